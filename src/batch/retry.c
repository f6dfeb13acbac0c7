/*
 * retry.c: transactions that are tried again (see retry.h).
 *
 * This is one of the two places that catch an error (the other is process_guard() in worker.c). Cancel, shutdown,
 * resource and internal errors are never kept from the caller: only classes 40 and 55P03 are repeated, and only what the
 * caller's filter names comes back.
 */
#include "compat.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"

#include "batch/log.h"
#include "batch/retry.h"
#include "store/sql.h"

#define FIRST_PAUSE_MS 50
#define LONGEST_PAUSE_MS 5000

static bool
may_succeed_later(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
		   error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* Doubles from try to try, up to a limit; half of it is by chance, so that two that collided do not meet again. */
static int
pause_ms(int tries)
{
	const int longest = tries < 7 ? FIRST_PAUSE_MS << tries : LONGEST_PAUSE_MS;

	return longest / 2 + (int) (random() % (longest / 2 + 1));
}

/* By the clock that nobody sets. */
static void
pause_before_retry(const Work *work, int tries)
{
	const int pause = pause_ms(tries);
	instr_time began;

	INSTR_TIME_SET_CURRENT(began);
	for (;;)
	{
		instr_time passed;

		INSTR_TIME_SET_CURRENT(passed);
		INSTR_TIME_SUBTRACT(passed, began);
		const long left_ms = pause - (long) INSTR_TIME_GET_MILLISEC(passed);
		if (left_ms <= 0 || pg_atomic_read_u32(&work->shared->stop) != 0)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(left_ms, 200),
						 wait_event_of("SettleRetry"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The error of a transaction that was rolled back; NULL when it committed. */
static ErrorData *
try_once(const char *activity, TransactionBody body, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		sql_begin(activity);
		body(arg);
		sql_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return error;
}

ErrorData *
transaction_run(const Work *work, const char *activity, TransactionBody body, void *arg, ErrorFilter keep)
{
	for (int tries = 0;; tries++)
	{
		ErrorData *error = try_once(activity, body, arg);

		if (error == NULL || (keep != NULL && keep(error, arg)))
			return error;
		if (!may_succeed_later(error) || tries >= work->run->retry_limit)
			ReThrowError(error);
		log_commit(work->run->run_id, RUN_LOG_WARNING, work->slice, "%s: %s; try %d of %d follows", activity,
				   error->message, tries + 2, work->run->retry_limit + 1);
		FreeErrorData(error);
		pause_before_retry(work, tries);
	}
}
