/*
 * progress.c: the memory a call shares with its leader and workers (see shared.h).
 */
#include "compat.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "batch/shared.h"

dsm_segment *
shared_create(const RunRequest *request, const int64 *accounts, const char *arguments)
{
	const Size account_bytes = Max(request->account_count, 0) * sizeof(int64);
	const Size argument_bytes = arguments != NULL ? strlen(arguments) + 1 : 0;
	const Size fixed = offsetof(RunShared, accounts) + account_bytes;
	dsm_segment *segment = dsm_create(fixed + argument_bytes, 0);
	RunShared *shared = dsm_segment_address(segment);

	memset(shared, 0, sizeof(RunShared));
	shared->database = MyDatabaseId;
	shared->caller = GetSessionUserId();
	shared->request = *request;
	if (account_bytes > 0)
		memcpy(shared->accounts, accounts, account_bytes);
	if (arguments != NULL)
	{
		shared->arguments = fixed;
		memcpy((char *) shared + fixed, arguments, argument_bytes);
	}
	SpinLockInit(&shared->mutex);
	pg_atomic_init_u32(&shared->stop, 0);
	pg_atomic_init_u64(&shared->expected, 0);
	pg_atomic_init_u64(&shared->due, 0);
	pg_atomic_init_u64(&shared->written, 0);
	pg_atomic_init_u64(&shared->empty, 0);
	pg_atomic_init_u64(&shared->skips, 0);
	pg_atomic_init_u64(&shared->warnings, 0);
	return segment;
}

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
