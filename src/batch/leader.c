/*
 * leader.c: the process that owns a run.
 *
 * It takes the period's lock, creates or resumes the run, starts the workers and settles slices itself, so that a server
 * without a free worker slot still finishes. Between its own chunks it looks after the workers: a failed one fails the
 * run, a vanished one has its slice given back and is replaced within a budget. It ends the run in one transaction with
 * the step's closing events. It outlives the session that asked for it.
 */
#include "compat.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "batch/command.h"
#include "batch/log.h"
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
static bool holds_period;

/* What the run was asked for, and how its caller can tell a repeat. */
static void
record_command(const RunShared *shared, int64 run_id)
{
	if (shared->arguments != 0)
		command_record(&shared->command_id, "settle_run", shared_arguments(shared), shared->caller, run_id);
}

static void
set_estimates(const RunRequest *request, int64 run_id, int slices)
{
	for (int slice = 0; slice < slices; slice++)
	{
		SqlParams params = {0};

		sql_add_int8(&params, run_id);
		sql_add_int4(&params, slice);
		sql_add_int8(&params, batch_step->slice_estimate(request, slice));
		sql_execute("UPDATE settle.run_slice SET expected = $3 WHERE run_id = $1 AND slice = $2", &params);
	}
}

static int64
create_run(RunShared *shared, void *step)
{
	const RunRequest *request = &shared->request;
	const int slices = batch_step->slice_count();
	const int64 run_id = run_create(request, shared->accounts, shared->caller, batch_step->fingerprint(step),
									batch_step->freeze(step, request), slices);

	set_estimates(request, run_id, slices);
	run_record_action(run_id, "start", shared->caller, NULL);
	log_write(run_id, RUN_LOG_INFO, LOG_NO_SLICE, "started: kind %s, %d slices, %d processes, chunks of %d accounts%s",
			  run_kind_name(request->kind), slices, request->workers, request->chunk_size,
			  request->account_count >= 0 ? psprintf(", for %d given accounts", request->account_count) : "");
	return run_id;
}

static void
resume_run(RunShared *shared, void *step, int64 run_id)
{
	const RunRequest *request = &shared->request;

	run_resume(run_id, request, batch_step->fingerprint(step));
	run_record_action(run_id, request->automatic ? "resume automatically" : "resume", shared->caller, NULL);
	log_write(run_id, RUN_LOG_INFO, LOG_NO_SLICE, "resumed%s from its checkpoints",
			  request->automatic ? " automatically" : "");
}

/* A resumed run starts counting where its rows stand; skips that will be tried again are counted when they are. */
static void
load_counters(RunShared *shared, int64 run_id)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_execute("SELECT sum(expected)::int8, sum(due)::int8, sum(written)::int8, sum(empty)::int8,"
				" sum(skips)::int8 - (SELECT count(*) FROM settle.run_error WHERE run_id = $1 AND status = 'open'),"
				" sum(warnings)::int8 FROM settle.run_slice WHERE run_id = $1",
				&params);
	pg_atomic_write_u64(&shared->expected, sql_int8(0, 1));
	pg_atomic_write_u64(&shared->due, sql_int8(0, 2));
	pg_atomic_write_u64(&shared->written, sql_int8(0, 3));
	pg_atomic_write_u64(&shared->empty, sql_int8(0, 4));
	pg_atomic_write_u64(&shared->skips, sql_int8(0, 5));
	pg_atomic_write_u64(&shared->warnings, sql_int8(0, 6));
}

static bool
resumable(const RunShared *shared, int64 *run_id)
{
	const RunRequest *request = &shared->request;

	*run_id = request->resume_run_id != 0 ? request->resume_run_id : run_find_resumable(request, shared->accounts);
	return *run_id != 0;
}

/* A crash is counted and committed before anything else is tried. False: automatic resuming has to give up. */
static bool
note_crash(const RunShared *shared)
{
	int64 run_id;
	bool go_on = true;

	sql_begin("settle: looking for a run to resume");
	if (resumable(shared, &run_id))
		go_on = run_count_crash(run_id, &shared->request);
	sql_commit();
	return go_on;
}

/* How a run that a command started has ended, for the caller who repeats the command; nothing for one that goes on. */
static void
report_outcome(RunShared *shared, int64 run_id)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	if (sql_execute("SELECT state::text, message FROM settle.run WHERE run_id = $1 AND state IN ('stopped', 'failed')",
					&params) == 0)
		return;
	const char *state = sql_text(0, 1);
	const char *message = sql_text(0, 2);
	ErrorData outcome = {
		.sqlerrcode = ERRCODE_SETTLE_RUN_STOPPED,
		.message = psprintf("run " INT64_FORMAT ", which this command started, has %s%s%s", run_id, state,
							message ? ": " : "", message ? message : ""),
		.hint = "Call settle_run with a new command id to go on.",
	};

	shared_fail(shared, &outcome);
}

/* Whether the command was executed before; then the caller gets the run of that time and nothing is done. */
static bool
is_repeat(RunShared *shared)
{
	int64 run_id = 0;
	bool found;

	if (shared->arguments == 0)
		return false;
	sql_begin("settle: looking for the command");
	found = command_find(&shared->command_id, "settle_run", shared_arguments(shared), &run_id);
	if (found)
		report_outcome(shared, run_id);
	sql_commit();
	if (found)
		shared_reply(shared, REPLY_REPEATED, run_id);
	return found;
}

static int64
find_active(Period period)
{
	sql_begin("settle: another run is active");
	const int64 run_id = run_find_active(period);
	sql_commit();
	return run_id;
}

pg_noreturn static void
refuse_active(Period period, int64 run_id)
{
	char month[16];

	ymd_print_month(period.from, month);
	if (run_id == 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_ACTIVE), errmsg("%s is in use by another session", month),
						errdetail("A run of it is about to begin, a load of it is being taken back, or it is being dropped."),
						errhint("Watch settle.run_progress, and try again.")));
	ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_ACTIVE),
					errmsg("%s is being settled already, by run " INT64_FORMAT, month, run_id),
					errhint("Watch it in settle.run_progress, or stop it with settle_stop(" INT64_FORMAT ").", run_id)));
}

static void
start_worker(Crew *crew, int i)
{
	if (!process_start("worker", "settle_worker_main", UInt32GetDatum(crew->segment), &crew->workers[i]))
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

static Work
work_of(const Crew *crew)
{
	return (Work){.run = crew->run, .shared = crew->shared, .slice = LOG_NO_SLICE};
}

typedef struct Release {
	Crew *crew;
	bool found;
} Release;

static void
release_slices(void *arg)
{
	Release *release = arg;
	const Crew *crew = release->crew;
	int live[MAX_WORKERS + 1] = {MyProcPid};
	int live_count = 1;
	pid_t pid;

	for (int i = 0; i < crew->count; i++)
		if (crew->workers[i] != NULL && GetBackgroundWorkerPid(crew->workers[i], &pid) == BGWH_STARTED)
			live[live_count++] = (int) pid;
	release->found = slice_release(crew->run, live, live_count) > 0;
}

/* Gives back the slices of processes that are gone; true when there were any. */
static bool
release_lost_slices(Crew *crew)
{
	const Work work = work_of(crew);
	Release release = {.crew = crew};

	(void) transaction_run(&work, "settle: taking over from a lost worker", release_slices, &release, NULL);
	return release.found;
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

typedef struct Ending {
	const Crew *crew;
	RunState state;
	const char *message;
} Ending;

static void
write_end(void *arg)
{
	const Ending *ending = arg;
	const Run *run = ending->crew->run;

	if (ending->state == RUN_COMPLETED)
		batch_step->complete(run);
	const char *message = ending->message;
	if (ending->state == RUN_STOPPED && !run_stop_requested(run))
	{
		message = "the call that waited for it was cancelled";
		run_record_action(run->run_id, "stop", ending->crew->shared->caller, message);
	}
	run_finish(run, ending->state, message);
}

static void
end_run(const Crew *crew, RunState state, const char *message)
{
	const Work work = work_of(crew);
	Ending ending = {.crew = crew, .state = state, .message = message};

	/* All is written: somebody's open transaction on the run's row must not make it fail now. */
	process_wait_for_locks(true);
	process_wait_for_disk(true);
	(void) transaction_run(&work, "settle: ending the run", write_end, &ending, NULL);
}

typedef struct Look {
	const Run *run;
	bool stop_requested;
	int open;
} Look;

static void
look_at_run(void *arg)
{
	Look *look = arg;

	look->stop_requested = run_stop_requested(look->run);
	look->open = slice_open_count(look->run);
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

		const Work work = work_of(crew);
		Look look = {.run = crew->run};
		(void) transaction_run(&work, "settle: looking for open slices", look_at_run, &look, NULL);
		if (look.open == 0)
			return LOOP_DONE;
		if (look.stop_requested || pg_atomic_read_u32(&crew->shared->stop) != 0)
			return LOOP_STOPPED;
		(void) release_lost_slices(crew);
		/* Somebody else may hold the row of the slice that is left. */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100, wait_event_of("SettleWorkers"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Prerequisites, and the run's row: a new one, or the next attempt of one that did not complete. Returns the step. */
static void *
open_run(RunShared *shared, Run **run)
{
	int64 run_id;

	batch_step->check(&shared->request);
	void *step = batch_step->open();
	if (resumable(shared, &run_id))
		resume_run(shared, step, run_id);
	else
		run_id = create_run(shared, step);
	record_command(shared, run_id);
	load_counters(shared, run_id);
	*run = run_load(run_id);
	/* Before the commit: whoever sees the run running sees it alive. */
	run_lock_alive((*run)->period, run_id);
	batch_step->attach(step, *run);
	return step;
}

/*
 * The period's lock. Two calls with the same command id may come at the same time: the one that is late waits until the
 * other's row says that it is a repeat, or that the month is busy with something else. False when it is a repeat.
 */
static bool
lock_period(RunShared *shared)
{
	const Period period = shared->request.period;

	for (;;)
	{
		holds_period = run_lock_period(period);
		/* In this order: whoever held the period a moment ago has left its rows before. */
		if (is_repeat(shared))
			return false;
		if (holds_period)
			return true;
		const int64 active = find_active(period);
		if (shared->arguments == 0 || active != 0)
		{
			if (is_repeat(shared))
				return false;
			refuse_active(period, active);
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100, wait_event_of("SettleCommand"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (pg_atomic_read_u32(&shared->stop) != 0)
			ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_STOPPED), errmsg("the call was cancelled before its run began")));
	}
}

static Crew crew; /* one run per process */

/* The caller may come back at once, and must not find the month held by a process that is about to end. */
static void
say_last_word(RunShared *shared, Reply reply, int64 run_id)
{
	if (holds_period)
		run_unlock_all(shared->request.period, run_id);
	holds_period = false;
	shared_reply(shared, reply, run_id);
}

static void
lead(RunShared *shared)
{
	MemoryContext run_context = AllocSetContextCreate(TopMemoryContext, "settle run", ALLOCSET_DEFAULT_SIZES);
	Run *run;

	/* That a run began, or crashed, must not be forgotten. */
	process_wait_for_disk(true);
	/* Nobody would call a run again that resumes by itself: while its rows are locked, it waits. */
	if (shared->request.automatic)
		process_wait_for_locks(true);
	if (!lock_period(shared) || !note_crash(shared))
		return;

	sql_begin("settle: opening the run");
	MemoryContext before = MemoryContextSwitchTo(run_context);
	void *step = open_run(shared, &run);
	MemoryContextSwitchTo(before);
	sql_commit();
	process_wait_for_locks(false);
	crew = (Crew){.run = run, .shared = shared, .segment = leader_segment};
	shared->attempt = run->attempt;
	shared_reply(shared, REPLY_RUNNING, run->run_id);

	process_wait_for_disk(shared->request.automatic);
	MemoryContextSwitchTo(run_context);
	crew.count = Min(run->workers - 1, MAX_WORKERS);
	crew.restarts_left = crew.count * RESTARTS_PER_WORKER;
	for (int i = 0; i < crew.count; i++)
		start_worker(&crew, i);

	switch (settle_all(&crew, step))
	{
		case LOOP_DONE:
			end_run(&crew, RUN_COMPLETED, NULL);
			say_last_word(shared, REPLY_COMPLETED, run->run_id);
			break;
		case LOOP_STOPPED:
			end_run(&crew, RUN_STOPPED, NULL);
			say_last_word(shared, REPLY_STOPPED, run->run_id);
			break;
		case LOOP_FENCED:
			elog(ERROR, "run " INT64_FORMAT " was taken over by another leader", run->run_id);
	}
}

/* After a failure: everybody stops, and the run's row says why. Nobody waits for an automatic resume, so its row must. */
static void
fail_run(RunShared *shared)
{
	Failure failure;
	int64 run_id;

	pg_atomic_write_u32(&shared->stop, 1);
	(void) shared_read_reply(shared, &run_id, &failure);
	if (crew.run == NULL && holds_period && shared->request.resume_run_id != 0)
	{
		sql_begin("settle: giving up a crashed run");
		run_give_up(shared->request.resume_run_id, failure.message);
		sql_commit();
	}
	if (crew.run == NULL)
		return;
	wait_for_workers(&crew);
	end_run(&crew, RUN_FAILED, failure.message);
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
		say_last_word(shared, REPLY_FAILED, crew.run != NULL ? crew.run->run_id : 0);
	}
	proc_exit(succeeded ? 0 : 1);
}
