/*
 * run.h: the life of a run, as rows of settle.run and settle.run_slice.
 *
 *   running ──► completed
 *      │  ▲ └─► failed ──┐
 *      ▼  └──────────────┤ settle_run() again: next attempt, from the checkpoints
 *   stopped ─────────────┘
 *
 * Only the leader changes a run's state (run_finish); "running" without a process that holds the period's lock means
 * that it crashed. Everything a resumed run needs is frozen in the row.
 */
#ifndef BATCH_RUN_H
#define BATCH_RUN_H

#include "postgres.h"

#include "common/ymd.h"
#include "utils/timestamp.h"

typedef enum RunKind { RUN_FINAL, RUN_RETRY, RUN_REBILL, RUN_DRY } RunKind;
typedef enum RunState { RUN_RUNNING, RUN_STOPPED, RUN_FAILED, RUN_COMPLETED, RUN_ABANDONED } RunState;

/* What settle_run() was asked for. */
typedef struct RunRequest {
	Period period;
	RunKind kind;
	int workers;
	int chunk_size;
	int64 skip_limit;
	int retry_limit;
	bool release_auto;
	/* On resume, what was given replaces what was frozen. */
	bool workers_given;
	bool chunk_size_given;
	bool skip_limit_given;
	bool release_given;
	bool force;           /* resume under a changed catalogue; settle a month that is not over */
	int64 resume_run_id;  /* resume this run and no other; 0 = whichever fits, or a new one */
	bool automatic;       /* nobody asked: give up after a second crash at the same checkpoint */
	bool after_shutdown;  /* the server was shut down in order, so nothing has crashed */
	int due_days;
	char time_zone[64];
	int account_count; /* pilot: so many ids follow; -1 = all accounts */
} RunRequest;

/* A run as its processes see it; lives in the context it was loaded in. */
typedef struct Run {
	int64 run_id;
	Period period;
	RunKind kind;
	int ordinal;
	int attempt;
	int workers;
	int chunk_size;
	int64 skip_limit;
	int retry_limit;
	bool release_auto;
	int due_days;
	TimestampTz created_at;
	char *fingerprint;
	bytea *frozen; /* what the step froze; NULL = nothing */
	int64 *accounts; /* pilot; NULL = all */
	int account_count;
} Run;

extern const char *run_kind_name(RunKind kind);
extern const char *run_state_name(RunState state);
extern bool run_parse_kind(const char *name, RunKind *kind);

/*
 * Two locks of private advisory classes. The period's is the leader's: one settlement of a month at a time. The run's is
 * shared by its leader and workers: while one of them lives the run is alive, even when its leader is gone. Both are held
 * for the session, so they end with the process.
 */
extern bool run_lock_period(Period period);
extern void run_lock_alive(Period period, int64 run_id);
/* Before the last word to the caller, who may come back at once. */
extern void run_unlock_all(Period period, int64 run_id);
/* For whoever must keep runs of a month away until its transaction ends; false when one is alive. */
extern bool run_keep_away(Period period);
extern void run_let_in(Period period);

/* All of these run inside a transaction with SPI connected. */

/* The run of this request that can be resumed; 0 = none. Errors when the month is settled already. */
extern int64 run_find_resumable(const RunRequest *request, const int64 *accounts);
/*
 * Counts a crash if the run shows one: "running" without a leader. False when an automatic resume must give up, because
 * nothing was settled between this crash and the one before; the run has failed then. Commit before going on.
 */
extern bool run_count_crash(int64 run_id, const RunRequest *request);
extern int64 run_find_active(Period period);
/* Requests, in the current context, that resume every run that shows as running; returns how many. */
extern int run_list_crashed(bool after_shutdown, RunRequest **requests);
extern int64 run_create(const RunRequest *request, const int64 *accounts, Oid requested_by, const char *fingerprint,
						bytea *frozen, int slices);
/* Opens the next attempt: fences the workers of all earlier ones, and opens the slices that have skips to try again. */
extern void run_resume(int64 run_id, const RunRequest *request, const char *fingerprint);
extern Run *run_load(int64 run_id);
extern void run_finish(const Run *run, RunState state, const char *message);
/* A crashed run that could not even be opened has failed, with this message. Under the period's lock. */
extern void run_give_up(int64 run_id, const char *message);
extern bool run_stop_requested(const Run *run);
extern void run_record_action(int64 run_id, const char *action, Oid actor, const char *reason);

#endif
