/*
 * progress.c: what leaves a worker while it works: the shared reply, failures, and rows of settle.run_error.
 */
#include "compat.h"

#include "mb/pg_wchar.h"

#include "batch/shared.h"
#include "batch/step.h"
#include "store/sql.h"

void
shared_reply(RunShared *shared, Reply reply, int64 run_id)
{
	SpinLockAcquire(&shared->mutex);
	shared->reply = reply;
	shared->run_id = run_id;
	SpinLockRelease(&shared->mutex);
}

Reply
shared_read_reply(RunShared *shared, int64 *run_id, Failure *failure)
{
	SpinLockAcquire(&shared->mutex);
	const Reply reply = shared->reply;
	*run_id = shared->run_id;
	*failure = shared->failure;
	SpinLockRelease(&shared->mutex);
	return reply;
}

/* As much as fits, cut between characters: it is stored in a table. */
static void
keep_text(char *target, size_t size, const char *text)
{
	const int len = pg_mbcliplen(text, (int) strlen(text), (int) size - 1);

	memcpy(target, text, len);
	target[len] = '\0';
}

void
shared_fail(RunShared *shared, const ErrorData *error)
{
	Failure failure = {.sqlstate = error->sqlerrcode};

	keep_text(failure.message, sizeof(failure.message), error->message ? error->message : "unknown error");
	keep_text(failure.detail, sizeof(failure.detail), error->detail ? error->detail : "");
	keep_text(failure.hint, sizeof(failure.hint), error->hint ? error->hint : "");

	SpinLockAcquire(&shared->mutex);
	if (shared->failure.sqlstate == 0)
		shared->failure = failure;
	SpinLockRelease(&shared->mutex);
}

bool
shared_has_failed(RunShared *shared)
{
	SpinLockAcquire(&shared->mutex);
	const bool failed = shared->failure.sqlstate != 0;
	SpinLockRelease(&shared->mutex);
	return failed;
}

void
skip_record(int64 run_id, int slice, int64 item, bool warning, const char *code, const char *message)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_int4(&params, slice);
	sql_add_int8(&params, item);
	sql_add_text(&params, warning ? "warning" : "error");
	sql_add_text(&params, code);
	sql_add_text(&params, message);
	sql_execute("INSERT INTO settle.run_error (run_id, slice, account_id, severity, code, message)"
				" VALUES ($1, $2, $3, $4::settle.severity, $5, $6)",
				&params);
}
