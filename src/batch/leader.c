/*
 * leader.c: the process that owns a run.
 *
 * It takes the period's lock, creates or resumes the run, starts the workers and settles slices itself, so that a server
 * without a free worker slot still finishes. Between its own chunks it looks after the workers: a failed one fails the
 * run, a vanished one has its slice given back and is replaced within a budget. It ends the run in one transaction with
 * the step's closing events. It outlives the session that asked for it.
 */
#include "compat.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "batch/slice.h"
#include "batch/worker.h"
#include "errcodes.h"
#include "store/sql.h"

#define MAX_WORKERS 64
#define RESTARTS_PER_WORKER 3

typedef struct Crew {
	Run *run;
	RunShared *shared;
	dsm_handle segment;
	int count;
	int restarts_left;
	BackgroundWorkerHandle *workers[MAX_WORKERS]; /* NULL = gone */
} Crew;

static dsm_handle leader_segment;

/* Prerequisites, and the run's row: a new one, or the next attempt of one that did not complete. */
static int64
open_run(RunShared *shared)
{
	const RunRequest *request = &shared->request;

	batch_step->check(request);
	char *fingerprint = batch_step->fingerprint();
	int64 run_id = run_find_resumable(request, shared->accounts);
	if (run_id != 0)
	{
		run_resume(run_id, request, fingerprint);
		run_record_action(run_id, "resume", shared->caller, NULL);
		return run_id;
	}

	const int slices = batch_step->slice_count();
	run_id = run_create(request, shared->accounts, shared->caller, fingerprint, batch_step->freeze(request), slices);
	for (int slice = 0; slice < slices; slice++)
	{
		SqlParams params = {0};

		sql_add_int8(&params, run_id);
		sql_add_int4(&params, slice);
		sql_add_int8(&params, batch_step->slice_estimate(request, slice));
		sql_execute("UPDATE settle.run_slice SET expected = $3 WHERE run_id = $1 AND slice = $2", &params);
	}
	run_record_action(run_id, "start", shared->caller, NULL);
	return run_id;
}

/* A resumed run starts counting where its rows stand. */
static void
load_counters(RunShared *shared, int64 run_id)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_execute("SELECT sum(expected)::int8, sum(due)::int8, sum(written)::int8, sum(empty)::int8, sum(skips)::int8,"
				" sum(warnings)::int8 FROM settle.run_slice WHERE run_id = $1",
				&params);
	pg_atomic_write_u64(&shared->expected, sql_int8(0, 1));
	pg_atomic_write_u64(&shared->due, sql_int8(0, 2));
	pg_atomic_write_u64(&shared->written, sql_int8(0, 3));
	pg_atomic_write_u64(&shared->empty, sql_int8(0, 4));
	pg_atomic_write_u64(&shared->skips, sql_int8(0, 5));
	pg_atomic_write_u64(&shared->warnings, sql_int8(0, 6));
}

static void
refuse_active(Period period)
{
	char month[16];

	ymd_print_month(period.from, month);
	sql_begin("settle: another run is active");
	const int64 run_id = run_find_active(period);
	if (run_id == 0) /* it is so young that its row is not committed */
		ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_ACTIVE), errmsg("%s is being settled already", month),
						errhint("Watch it in settle.run_progress.")));
	ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_ACTIVE),
					errmsg("%s is being settled already, by run " INT64_FORMAT, month, run_id),
					errhint("Watch it in settle.run_progress, or stop it with settle_stop(" INT64_FORMAT ").", run_id)));
}

static void
start_worker(Crew *crew, int i)
{
	if (!process_start("worker", "settle_worker_main", crew->segment, &crew->workers[i]))
		crew->workers[i] = NULL; /* no free slot: whoever is there does the work */
}

static void
rethrow(const Failure *failure)
{
	ereport(ERROR, (errcode(failure->sqlstate), errmsg("%s", failure->message),
					failure->detail[0] ? errdetail("%s", failure->detail) : 0,
					failure->hint[0] ? errhint("%s", failure->hint) : 0));
}

static void
rethrow_worker_failure(RunShared *shared)
{
	Failure failure;
	int64 run_id;

	(void) shared_read_reply(shared, &run_id, &failure);
	rethrow(&failure);
}

/* Gives back the slices of processes that are gone; true when there were any. */
static bool
release_lost_slices(Crew *crew)
{
	int live[MAX_WORKERS + 1] = {MyProcPid};
	int live_count = 1;
	pid_t pid;

	for (int i = 0; i < crew->count; i++)
		if (crew->workers[i] != NULL && GetBackgroundWorkerPid(crew->workers[i], &pid) == BGWH_STARTED)
			live[live_count++] = (int) pid;
	sql_begin("settle: taking over from a lost worker");
	const bool released = slice_release(crew->run, live, live_count) > 0;
	sql_commit();
	return released;
}

/* Notices workers that have ended; true when there were any. */
static bool
reap(Crew *crew)
{
	bool ended = false;
	pid_t pid;

	for (int i = 0; i < crew->count; i++)
		if (crew->workers[i] != NULL && GetBackgroundWorkerPid(crew->workers[i], &pid) == BGWH_STOPPED)
		{
			crew->workers[i] = NULL;
			ended = true;
		}
	return ended;
}

static void
look_after_workers(void *arg)
{
	Crew *crew = arg;

	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (shared_has_failed(crew->shared))
		rethrow_worker_failure(crew->shared);
	/* A worker that found nothing left to claim ends too, and leaves no slice behind. */
	if (!reap(crew) || !release_lost_slices(crew))
		return;
	for (int i = 0; i < crew->count && crew->restarts_left > 0; i++)
		if (crew->workers[i] == NULL)
		{
			crew->restarts_left--;
			start_worker(crew, i);
		}
}

static void
wait_for_workers(Crew *crew)
{
	for (;;)
	{
		int running = 0;

		(void) reap(crew);
		for (int i = 0; i < crew->count; i++)
			running += crew->workers[i] != NULL;
		if (running == 0)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 200, wait_event_of("SettleWorkers"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
end_run(const Run *run, RunState state, const char *message)
{
	/* Where the database or server commits asynchronously, this one commit makes all chunks before it durable. */
	SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_SESSION);
	sql_begin("settle: ending the run");
	if (state == RUN_COMPLETED)
		batch_step->complete(run);
	run_finish(run, state, message);
	sql_commit();
}

/* Slices until none is open: a slice lost by a worker comes back to whoever is left. */
static LoopEnd
settle_all(Crew *crew, void *step)
{
	for (;;)
	{
		const LoopEnd end = slice_loop(crew->run, batch_step, step, crew->shared, look_after_workers, crew);

		crew->restarts_left = 0;
		wait_for_workers(crew);
		if (shared_has_failed(crew->shared))
			rethrow_worker_failure(crew->shared);
		if (end != LOOP_DONE)
			return end;

		sql_begin("settle: looking for open slices");
		const bool stopped = run_stop_requested(crew->run) || pg_atomic_read_u32(&crew->shared->stop) != 0;
		const int open = slice_open_count(crew->run);
		sql_commit();
		if (open == 0)
			return LOOP_DONE;
		if (stopped)
			return LOOP_STOPPED;
		(void) release_lost_slices(crew);
	}
}

static Crew crew; /* one run per process */

static void
lead(RunShared *shared)
{
	MemoryContext run_context = AllocSetContextCreate(TopMemoryContext, "settle run", ALLOCSET_DEFAULT_SIZES);

	if (!run_lock(shared->request.period))
		refuse_active(shared->request.period);

	sql_begin("settle: opening the run");
	const int64 run_id = open_run(shared);
	load_counters(shared, run_id);
	MemoryContext before = MemoryContextSwitchTo(run_context);
	Run *run = run_load(run_id);
	MemoryContextSwitchTo(before);
	sql_commit();
	crew = (Crew){.run = run, .shared = shared, .segment = leader_segment};
	shared->attempt = crew.run->attempt;
	shared_reply(shared, REPLY_RUNNING, run_id);

	MemoryContextSwitchTo(run_context);
	crew.count = Min(crew.run->workers - 1, MAX_WORKERS);
	crew.restarts_left = crew.count * RESTARTS_PER_WORKER;
	for (int i = 0; i < crew.count; i++)
		start_worker(&crew, i);

	sql_begin("settle: loading the catalogue");
	before = MemoryContextSwitchTo(run_context);
	void *step = batch_step->open(crew.run);
	MemoryContextSwitchTo(before);
	sql_commit();

	switch (settle_all(&crew, step))
	{
		case LOOP_DONE:
			end_run(crew.run, RUN_COMPLETED, NULL);
			shared_reply(shared, REPLY_COMPLETED, run_id);
			break;
		case LOOP_STOPPED:
			end_run(crew.run, RUN_STOPPED, "stopped on request");
			shared_reply(shared, REPLY_STOPPED, run_id);
			break;
		case LOOP_FENCED:
			elog(ERROR, "run " INT64_FORMAT " was taken over by another leader", run_id);
	}
}

/* After a failure: everybody stops, and the run's row says why. */
static void
fail_run(RunShared *shared)
{
	Failure failure;
	int64 run_id;

	pg_atomic_write_u32(&shared->stop, 1);
	(void) shared_read_reply(shared, &run_id, &failure);
	if (crew.run == NULL)
		return;
	wait_for_workers(&crew);
	end_run(crew.run, RUN_FAILED, failure.message);
}

/* However the leader ends, its workers stop at their next chunk. */
static void
stop_workers(int code, Datum shared)
{
	pg_atomic_write_u32(&((RunShared *) DatumGetPointer(shared))->stop, 1);
}

void
settle_leader_main(Datum segment)
{
	RunShared *shared = process_enter(segment, &leader_segment);
	bool succeeded;

	before_shmem_exit(stop_workers, PointerGetDatum(shared));
	succeeded = process_guard(lead, shared);
	if (!succeeded)
	{
		(void) process_guard(fail_run, shared);
		shared_reply(shared, REPLY_FAILED, crew.run != NULL ? crew.run->run_id : 0);
	}
	proc_exit(succeeded ? 0 : 1);
}
