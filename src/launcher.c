/*
 * launcher.c: resumes crashed runs when the server starts, after a crash too.
 *
 * With settle in shared_preload_libraries the postmaster keeps one launcher. It is connected to no database: at each
 * start of the server it sends a scout, which reads the list of databases and starts, one after the other, a short-lived
 * process in each of settle.databases; that one looks for runs that are "running" without a leader, starts a leader for
 * each, and ends. After that the launcher sleeps, so nothing holds a connection while idle.
 *
 * A run that crashes the server would do so again and again: run_count_crash() ends that at the second crash in a row
 * without progress. A shutdown in order is no crash.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_control.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "batch/worker.h"
#include "guc.h"
#include "launcher.h"
#include "store/sql.h"

#define SLOT_TRIES 60 /* seconds to wait for a free worker slot */

extern PGDLLEXPORT void settle_launcher_main(Datum unused);
extern PGDLLEXPORT void settle_scout_main(Datum unused);
extern PGDLLEXPORT void settle_resume_main(Datum database);

/* Starts a process, waiting for a worker slot when none is free; NULL after a warning. */
static BackgroundWorkerHandle *
start_patiently(const char *role, const char *function, Datum argument)
{
	BackgroundWorkerHandle *handle;

	for (int tries = 0; tries < SLOT_TRIES; tries++)
	{
		if (process_start(role, function, argument, &handle))
			return handle;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000, wait_event_of("SettleLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	ereport(WARNING, (errmsg("settle found no free background worker slot to resume crashed runs"),
					  errhint("Raise max_worker_processes, and call settle_run for the months concerned.")));
	return NULL;
}

/* ---- launcher --------------------------------------------------------------------------------------------------- */

void
settle_launcher_main(Datum unused)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	if (guc_auto_resume)
		(void) start_patiently("scout", "settle_scout_main", (Datum) 0);
	for (;;)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, wait_event_of("SettleLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

/*
 * Whether the server comes from a shutdown in order. Shared memory is set up once at the postmaster's start, when the
 * control file still says how the last one ended, and again after each crash. Children inherit the answer.
 */
static bool after_shutdown;
static shmem_startup_hook_type next_shmem_startup_hook;

static void
look_at_last_end(void)
{
	static int starts;
	bool crc_ok;

	if (next_shmem_startup_hook != NULL)
		next_shmem_startup_hook();
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	after_shutdown = starts++ == 0 && crc_ok && control->state == DB_SHUTDOWNED;
	pfree(control);
}

void
launcher_register(void)
{
	next_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = look_at_last_end;

	BackgroundWorker worker = {
		.bgw_name = "settle launcher",
		.bgw_type = "settle launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 10,
		.bgw_library_name = "settle",
		.bgw_function_name = "settle_launcher_main",
	};

	RegisterBackgroundWorker(&worker);
}

/* ---- scout ------------------------------------------------------------------------------------------------------ */

static bool
is_named(const char *database)
{
	List *names;
	ListCell *cell;

	if (!SplitGUCList(pstrdup(guc_databases), ',', &names))
		return false;
	foreach (cell, names)
		if (strcmp(lfirst(cell), "*") == 0 || strcmp(lfirst(cell), database) == 0)
			return true;
	return false;
}

/* Oids of the databases to look at. Without a connection to any, only the shared catalogues can be read. */
static List *
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *databases = NIL;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	Relation relation = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		const Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (!database->datallowconn || database->datistemplate || !is_named(NameStr(database->datname)))
			continue;
		MemoryContext transaction = MemoryContextSwitchTo(caller);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(transaction);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

void
settle_scout_main(Datum unused)
{
	ListCell *cell;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(InvalidOid, InvalidOid, 0);
	MemoryContextSwitchTo(TopMemoryContext);
	foreach (cell, list_databases())
	{
		BackgroundWorkerHandle *handle =
			start_patiently("resume", "settle_resume_main", ObjectIdGetDatum(lfirst_oid(cell)));

		if (handle == NULL)
			break;
		(void) WaitForBackgroundWorkerShutdown(handle);
	}
	proc_exit(0);
}

/* ---- in a database ---------------------------------------------------------------------------------------------- */

static bool
has_settle(void)
{
	StartTransactionCommand();
	const bool found = OidIsValid(get_extension_oid("settle", true));
	CommitTransactionCommand();
	return found;
}

/*
 * Starts the leader; it needs our segment until it has attached, which its first reply or its end tells. With `to_its_end`
 * waits for that, because another run of the same month comes next.
 */
static void
resume(const RunRequest *request, bool to_its_end)
{
	dsm_segment *segment = shared_create(request, NULL, NULL);
	RunShared *shared = dsm_segment_address(segment);
	BackgroundWorkerHandle *leader =
		start_patiently("leader", "settle_leader_main", UInt32GetDatum(dsm_segment_handle(segment)));

	while (leader != NULL)
	{
		int64 run_id;
		Failure failure;
		pid_t pid;

		if (GetBackgroundWorkerPid(leader, &pid) == BGWH_STOPPED ||
			(!to_its_end && shared_read_reply(shared, &run_id, &failure) != REPLY_NONE))
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100, wait_event_of("SettleLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	dsm_detach(segment);
}

void
settle_resume_main(Datum database)
{
	RunRequest *requests;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	process_pin_settings();
	process_wait_for_locks(true); /* this is the only look until the next start */
	MemoryContextSwitchTo(TopMemoryContext);
	if (!has_settle())
		proc_exit(0);

	sql_begin("settle: looking for crashed runs");
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
	const int count = run_list_crashed(after_shutdown, &requests);
	MemoryContextSwitchTo(before);
	sql_commit();
	for (int i = 0; i < count; i++)
	{
		ereport(LOG, (errmsg("settle resumes run " INT64_FORMAT, requests[i].resume_run_id)));
		resume(&requests[i], i + 1 < count && requests[i + 1].period.from == requests[i].period.from);
	}
	proc_exit(0);
}
