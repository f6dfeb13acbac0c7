/*
 * retry.h: transactions that are tried again.
 *
 * Every transaction of a run goes through transaction_run(). What may succeed a moment later (serialization failures,
 * deadlocks, lock timeouts) is repeated from its start with growing pauses; an error the caller has a use for comes back
 * as a value; every other one is thrown. The transaction is rolled back in all these cases.
 */
#ifndef BATCH_RETRY_H
#define BATCH_RETRY_H

#include "batch/run.h"
#include "batch/shared.h"

/* Who works, on what: for the pauses, which end when a stop is asked for, and for the run's log. */
typedef struct Work {
	const Run *run;
	RunShared *shared;
	int slice; /* -1 = none */
} Work;

/* Everything the body keeps must be set anew on each call. */
typedef void (*TransactionBody)(void *arg);
typedef bool (*ErrorFilter)(const ErrorData *error, void *arg);

/*
 * Runs body between sql_begin(activity) and sql_commit(). NULL when it committed; else the error that keep (may be NULL)
 * said yes to, in the caller's memory context.
 */
extern ErrorData *transaction_run(const Work *work, const char *activity, TransactionBody body, void *arg,
								  ErrorFilter keep);

#endif
