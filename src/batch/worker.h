/*
 * worker.h: the processes of a run: how they start, and how an error in one reaches the others.
 */
#ifndef BATCH_WORKER_H
#define BATCH_WORKER_H

#include "postgres.h"

#include "postmaster/bgworker.h"

#include "batch/shared.h"
#include "batch/step.h"

/* The step that runs drive: set once by _PG_init, so that this folder need not know it. */
extern const StepOps *batch_step;

/* Starts a process of this run; false when no worker slot is free. The handle lives in the current context. */
extern bool process_start(const char *role, const char *function, Datum argument, BackgroundWorkerHandle **handle);

/* Settings a user may have made for the role or database must not reach a process of ours. */
extern void process_pin_settings(void);

/* Locks of others are waited for 30 s, then the transaction is tried again; or for ever, when nobody would try again. */
extern void process_wait_for_locks(bool for_ever);

/*
 * Whether commits wait until they are on disk (and on a synchronous standby). Those of chunks need not: what a crash takes
 * of them it takes with their checkpoint, and they are settled again. The commit that ends the run waits, and with it
 * everything before it. Those of a run that was resumed after a crash wait too: its progress is what tells it from one that
 * crashes again and again.
 */
extern void process_wait_for_disk(bool wait);

/* First lines of a background process: signals, shared memory, database. */
extern RunShared *process_enter(Datum segment, dsm_handle *handle);

/*
 * Runs body; an error aborts the transaction, goes to the server log and becomes the run's failure, and false is
 * returned. A shutdown or pg_terminate_backend() ends the process instead.
 */
extern bool process_guard(void (*body)(RunShared *), RunShared *shared);

/* Entry points of background processes. */
extern PGDLLEXPORT void settle_leader_main(Datum segment);
extern PGDLLEXPORT void settle_worker_main(Datum segment);

#endif
