/*
 * worker.c: the processes of a run (see worker.h).
 *
 * A worker knows nothing but the segment it is given: run id and attempt come from there, everything else from the
 * run's row. It claims slices until none is left and exits; the leader reads from the slice rows what it did.
 */
#include "compat.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "batch/slice.h"
#include "batch/worker.h"
#include "errcodes.h"
#include "store/sql.h"

const StepOps *batch_step;

bool
process_start(const char *role, const char *function, Datum argument, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = argument,
		.bgw_notify_pid = MyProcPid,
	};

	snprintf(worker.bgw_name, BGW_MAXLEN, "settle %s", role);
	snprintf(worker.bgw_type, BGW_MAXLEN, "settle %s", role);
	strlcpy(worker.bgw_library_name, "settle", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/*
 * Workers must not depend on settings a user made for the role or database: limits that kill a long statement, a search
 * path, parallel plans inside a process that is one of several.
 */
void
process_pin_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"statement_timeout", "0"},
		PIN_TRANSACTION_TIMEOUT
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"max_parallel_workers_per_gather", "0"},
		{"jit", "off"},
		{"row_security", "off"},
		{"synchronize_seqscans", "off"},
		{"session_replication_role", "origin"},
		{"DateStyle", "ISO, YMD"},
		{"client_min_messages", "error"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_SESSION);
	process_wait_for_locks(false);
}

void
process_wait_for_locks(bool for_ever)
{
	SetConfigOption("lock_timeout", for_ever ? "0" : "30s", PGC_SUSET, PGC_S_SESSION);
}

void
process_wait_for_disk(bool wait)
{
	/* NULL: what is configured; off there speaks of other transactions than the end of a run. */
	SetConfigOption("synchronous_commit", wait ? NULL : "off", PGC_SUSET, PGC_S_SESSION);
	if (wait && synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_SESSION);
}

RunShared *
process_enter(Datum segment_arg, dsm_handle *handle)
{
	*handle = DatumGetUInt32(segment_arg);

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	dsm_segment *segment = dsm_attach(*handle);
	if (segment == NULL)
		ereport(FATAL, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("settle_run was cancelled before its leader started")));
	RunShared *shared = dsm_segment_address(segment);

	/* As the bootstrap superuser: the tables' owner may be a role without login; sql_begin() switches to it. */
	BackgroundWorkerInitializeConnectionByOid(shared->database, InvalidOid, 0);
	pgstat_report_appname("settle");
	process_pin_settings();
	return shared;
}

bool
process_guard(void (*body)(RunShared *), RunShared *shared)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool succeeded = false;

	PG_TRY();
	{
		body(shared);
		succeeded = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		shared_fail(shared, error);
		pgstat_report_activity(STATE_IDLE, NULL);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return succeeded;
}

static void
work(RunShared *shared)
{
	MemoryContext run_context = AllocSetContextCreate(TopMemoryContext, "settle run", ALLOCSET_DEFAULT_SIZES);

	sql_begin("settle: loading the catalogue");
	MemoryContext before = MemoryContextSwitchTo(run_context);
	Run *run = run_load(shared->run_id);
	void *step = batch_step->open();
	batch_step->attach(step, run);
	MemoryContextSwitchTo(before);
	sql_commit();

	run_lock_alive(run->period, run->run_id);
	/* The row may be a newer attempt's by now; then nothing can be claimed, and that is right. */
	run->attempt = shared->attempt;
	process_wait_for_disk(shared->request.automatic);
	(void) slice_loop(run, batch_step, step, shared, NULL, NULL);
}

void
settle_worker_main(Datum segment)
{
	dsm_handle handle;
	RunShared *shared = process_enter(segment, &handle);

	/* 0 or 1, the leader finds out from the rows; 1 only shows in the log. */
	proc_exit(process_guard(work, shared) ? 0 : 1);
}
