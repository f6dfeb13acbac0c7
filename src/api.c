/*
 * api.c: settle_run(), the function that settles a month.
 *
 * settle_run() checks its arguments, hands them to a leader process in shared memory and waits with progress notices. It
 * writes nothing itself: the run has transactions of its own and outlives this session.
 */
#include "compat.h"

#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "batch/worker.h"
#include "common/ids.h"
#include "errcodes.h"
#include "guc.h"
#include "store/settlement.h"

PG_FUNCTION_INFO_V1(settle_run);

enum {
	ARG_PERIOD,
	ARG_KIND,
	ARG_WORKERS,
	ARG_CHUNK_SIZE,
	ARG_SKIP_LIMIT,
	ARG_ACCOUNTS,
	ARG_RELEASE,
	ARG_WAIT,
	ARG_FORCE,
	ARG_COMMAND_ID
};

/* ---- arguments -------------------------------------------------------------------------------------------------- */

static Period
last_month(const char *zone)
{
	struct pg_tm tm;
	fsec_t fraction;
	int tz;

	if (timestamp2tm(GetCurrentTimestamp(), &tz, &tm, &fraction, NULL, pg_tzset(zone)) != 0)
		elog(ERROR, "timestamp out of range");
	return tm.tm_mon == 1 ? ymd_period(tm.tm_year - 1, 12) : ymd_period(tm.tm_year, tm.tm_mon - 1);
}

static Period
read_period(FunctionCallInfo fcinfo, const char *zone)
{
	if (PG_ARGISNULL(ARG_PERIOD))
		return last_month(zone);
	return settlement_parse_month(PG_GETARG_TEXT_PP(ARG_PERIOD));
}

static int64
read_number(FunctionCallInfo fcinfo, int argument, const char *name, int64 otherwise, int64 low, int64 high)
{
	if (PG_ARGISNULL(argument))
		return otherwise;

	const int64 value = argument == ARG_SKIP_LIMIT ? PG_GETARG_INT64(argument) : PG_GETARG_INT32(argument);
	if (value < low || value > high)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be between " INT64_FORMAT " and " INT64_FORMAT ", not " INT64_FORMAT, name, low, high,
							   value)));
	return value;
}

static int
default_workers(void)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return guc_workers > 0 ? guc_workers : (int) Min(Max(processors, 1), 64);
}

/* The pilot's accounts, sorted and without repeats, so that naming them again in another order resumes the same run. */
static int64 *
read_accounts(FunctionCallInfo fcinfo, int *count)
{
	Datum *ids;
	bool *nulls;

	*count = -1;
	if (PG_ARGISNULL(ARG_ACCOUNTS))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(ARG_ACCOUNTS), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids,
					  &nulls, count);
	if (*count == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("accounts is empty"),
						errhint("Leave it out to settle all accounts.")));

	int64 *accounts = palloc(*count * sizeof(int64));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("accounts must not contain NULL")));
		accounts[i] = DatumGetInt64(ids[i]);
	}
	qsort(accounts, *count, sizeof(int64), ids_compare);

	int kept = 1;
	for (int i = 1; i < *count; i++)
		if (accounts[i] != accounts[kept - 1])
			accounts[kept++] = accounts[i];
	*count = kept;
	return accounts;
}

static void
read_release(FunctionCallInfo fcinfo, RunRequest *request)
{
	const char *release = PG_ARGISNULL(ARG_RELEASE) ? "auto" : text_to_cstring(PG_GETARG_TEXT_PP(ARG_RELEASE));

	request->release_given = !PG_ARGISNULL(ARG_RELEASE);
	request->release_auto = strcmp(release, "auto") == 0;
	if (!request->release_auto && strcmp(release, "manual") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("release must be 'auto' or 'manual', not \"%s\"",
																		  release)));
}

static void
check_month(const RunRequest *request, const char *zone)
{
	const Period last = last_month(zone);

	if (request->period.from > last.to)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the month has not begun yet"),
						errhint("Settle a month when it is over.")));
	if (request->period.from == last.to && request->kind != RUN_DRY && request->account_count < 0 && !request->force)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the month is not over yet"),
						errdetail("Usage that comes later would not be billed."),
						errhint("Use kind => 'dry' to look ahead, name the accounts to settle, or pass force => true.")));
}

static int64 *
read_request(FunctionCallInfo fcinfo, RunRequest *request)
{
	const char *kind = PG_ARGISNULL(ARG_KIND) ? "final" : text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND));
	const char *zone = guc_effective_time_zone();

	if (!run_parse_kind(kind, &request->kind) || request->kind == RUN_REBILL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown kind of run \"%s\"", kind),
						errhint("Use 'final', 'retry' or 'dry'.")));
	request->period = read_period(fcinfo, zone);
	request->workers = (int) read_number(fcinfo, ARG_WORKERS, "workers", default_workers(), 1, 64);
	request->workers_given = !PG_ARGISNULL(ARG_WORKERS);
	request->chunk_size = (int) read_number(fcinfo, ARG_CHUNK_SIZE, "chunk_size", guc_chunk_size, 1, 1000000);
	request->chunk_size_given = !PG_ARGISNULL(ARG_CHUNK_SIZE);
	request->skip_limit = read_number(fcinfo, ARG_SKIP_LIMIT, "skip_limit", guc_skip_limit, 0, PG_INT64_MAX);
	request->skip_limit_given = !PG_ARGISNULL(ARG_SKIP_LIMIT);
	request->retry_limit = guc_retry_limit;
	read_release(fcinfo, request);
	request->force = !PG_ARGISNULL(ARG_FORCE) && PG_GETARG_BOOL(ARG_FORCE);
	request->due_days = guc_due_days;
	strlcpy(request->time_zone, zone, sizeof(request->time_zone));
	int64 *accounts = read_accounts(fcinfo, &request->account_count);
	check_month(request, zone);
	return accounts;
}

static void
add_text(StringInfo json, const char *key, FunctionCallInfo fcinfo, int argument)
{
	appendStringInfo(json, "\"%s\":", key);
	if (PG_ARGISNULL(argument))
		appendStringInfoString(json, "null,");
	else
	{
		escape_json(json, text_to_cstring(PG_GETARG_TEXT_PP(argument)));
		appendStringInfoChar(json, ',');
	}
}

static void
add_number(StringInfo json, const char *key, bool isnull, int64 value)
{
	if (isnull)
		appendStringInfo(json, "\"%s\":null,", key);
	else
		appendStringInfo(json, "\"%s\":" INT64_FORMAT ",", key, value);
}

/*
 * What decides whether another call with the same command id is a repeat: the arguments as they were given, but wait,
 * which changes nothing about the run.
 */
static char *
print_arguments(FunctionCallInfo fcinfo, const RunRequest *request, const int64 *accounts)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	add_text(&json, "period", fcinfo, ARG_PERIOD);
	add_text(&json, "kind", fcinfo, ARG_KIND);
	add_text(&json, "release", fcinfo, ARG_RELEASE);
	add_number(&json, "workers", PG_ARGISNULL(ARG_WORKERS), request->workers);
	add_number(&json, "chunk_size", PG_ARGISNULL(ARG_CHUNK_SIZE), request->chunk_size);
	add_number(&json, "skip_limit", PG_ARGISNULL(ARG_SKIP_LIMIT), request->skip_limit);
	appendStringInfo(&json, "\"force\":%s,\"accounts\":", request->force ? "true" : "false");
	for (int i = 0; i < request->account_count; i++)
		appendStringInfo(&json, "%c" INT64_FORMAT, i == 0 ? '[' : ',', accounts[i]);
	appendStringInfoString(&json, request->account_count < 0 ? "null}" : "]}");
	return json.data;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

typedef struct Watch {
	RunShared *shared;
	BackgroundWorkerHandle *leader;
	uint64 started_ms; /* by the clock that nobody sets */
	uint64 noticed_ms;
	uint64 due_at_start;
	bool counting;
} Watch;

static uint64
now_ms(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return (uint64) INSTR_TIME_GET_MILLISEC(now);
}

static void
notice_progress(Watch *watch, int64 run_id)
{
	const uint64 now = now_ms();
	const uint64 due = pg_atomic_read_u64(&watch->shared->due);
	const uint64 expected = Max(pg_atomic_read_u64(&watch->shared->expected), due);

	if (!watch->counting)
	{
		watch->due_at_start = due;
		watch->started_ms = watch->noticed_ms = now;
		watch->counting = true;
	}
	if (now - watch->noticed_ms < 1000)
		return;
	watch->noticed_ms = now;

	const uint64 elapsed_ms = Max(now - watch->started_ms, 1);
	/* Skips that are tried again are taken back first. */
	const uint64 rate = due > watch->due_at_start ? (due - watch->due_at_start) * 1000 / elapsed_ms : 0;
	const uint64 percent = expected == 0 ? 0 : due * 100 / expected;
	char left[32] = "unknown";

	if (rate > 0)
		snprintf(left, sizeof(left), UINT64_FORMAT " s", (expected - due + rate - 1) / rate);
	ereport(NOTICE, (errmsg("run " INT64_FORMAT ": " UINT64_FORMAT " %% (" UINT64_FORMAT " of " UINT64_FORMAT
							" accounts), " UINT64_FORMAT " accounts/s, %s left, " UINT64_FORMAT " skipped",
							run_id, percent, due, expected, rate, left, pg_atomic_read_u64(&watch->shared->skips))));
}

static void
notice_summary(Watch *watch, int64 run_id)
{
	const RunShared *shared = watch->shared;
	const uint64 ms = now_ms() - watch->started_ms;

	ereport(NOTICE,
			(errmsg("run " INT64_FORMAT " completed: " UINT64_FORMAT " bills, " UINT64_FORMAT " empty, " UINT64_FORMAT
					" skipped, " UINT64_FORMAT " warnings in " UINT64_FORMAT ".%03u s",
					run_id, pg_atomic_read_u64((pg_atomic_uint64 *) &shared->written),
					pg_atomic_read_u64((pg_atomic_uint64 *) &shared->empty),
					pg_atomic_read_u64((pg_atomic_uint64 *) &shared->skips),
					pg_atomic_read_u64((pg_atomic_uint64 *) &shared->warnings), ms / 1000, (unsigned) (ms % 1000))));
}

/* The server's own hint ("Check free disk space.") stays, and is followed by what becomes of the run. */
static void
raise_failure(const Failure *failure, int64 run_id)
{
	/* A hint of our own says it all; one of the server's (free some disk space) is what to do before going on. */
	const bool ours = ERRCODE_TO_CATEGORY(failure->sqlstate) == ERRCODE_TO_CATEGORY(ERRCODE_SETTLE_RUN_STOPPED);
	const bool resumable = run_id != 0 && (failure->hint[0] == '\0' || !ours);

	ereport(ERROR, (errcode(failure->sqlstate), errmsg("%s", failure->message),
					failure->detail[0] ? errdetail("%s", failure->detail) : 0,
					resumable ? errhint("%s%sRun " INT64_FORMAT " keeps what it has written; call settle_run again to go on.",
										failure->hint, failure->hint[0] ? " " : "", run_id)
					: failure->hint[0] ? errhint("%s", failure->hint)
									   : 0));
}

static void
raise_lost_leader(int64 run_id)
{
	ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_STOPPED), errmsg("the leader of the run ended without a word"),
					errdetail("It was terminated, or the server is shutting down."),
					run_id != 0 ? errhint("Run " INT64_FORMAT " keeps what it has written; call settle_run again to go on.", run_id)
								: errhint("Call settle_run again.")));
}

static void
raise_stopped(int64 run_id)
{
	ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_STOPPED), errmsg("run " INT64_FORMAT " was stopped", run_id),
					errhint("Call settle_run again to go on where it stopped.")));
}

/*
 * When the caller's statement fails, however and wherever it does so, the segment is let go and the run asked to stop at
 * its next chunk. A lost connection or a terminated session does not stop the run.
 */
static void
stop_on_detach(dsm_segment *segment, Datum arg)
{
	if (!ProcDiePending && !proc_exit_inprogress)
		pg_atomic_write_u32(&((RunShared *) dsm_segment_address(segment))->stop, 1);
}

/* The error that follows is the server's own, so a notice says what becomes of the run. */
static void
announce_cancel(int64 run_id)
{
	if (InterruptPending && QueryCancelPending && !ProcDiePending && run_id != 0)
		ereport(NOTICE, (errmsg("run " INT64_FORMAT " stops at its next chunk", run_id),
						 errhint("Call settle_run again to go on where it stopped.")));
	CHECK_FOR_INTERRUPTS();
}

static int64
wait_for_run(Watch *watch, bool wait)
{
	for (;;)
	{
		int64 run_id;
		Failure failure;
		pid_t pid;
		/* In this order: a leader that is gone has left its last reply before. */
		const bool gone = GetBackgroundWorkerPid(watch->leader, &pid) == BGWH_STOPPED;
		const Reply reply = shared_read_reply(watch->shared, &run_id, &failure);

		switch (reply)
		{
			case REPLY_FAILED:
				raise_failure(&failure, run_id);
				break;
			case REPLY_STOPPED:
				raise_stopped(run_id);
				break;
			case REPLY_REPEATED:
				if (wait && failure.sqlstate != 0)
					raise_failure(&failure, 0);
				ereport(NOTICE, (errmsg("this command was executed before, as run " INT64_FORMAT, run_id)));
				return run_id;
			case REPLY_COMPLETED:
				if (wait)
					notice_summary(watch, run_id);
				return run_id;
			case REPLY_RUNNING:
				if (!wait)
					return run_id;
				notice_progress(watch, run_id);
				break;
			case REPLY_NONE:
				break;
		}
		if (gone)
			raise_lost_leader(run_id);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, reply == REPLY_NONE ? 20 : 250,
						 wait_event_of("SettleRun"));
		ResetLatch(MyLatch);
		announce_cancel(run_id);
	}
}

/* ---- settle_run ------------------------------------------------------------------------------------------------- */

static void
check_transaction(void)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("settle_run cannot be called in a transaction that has already written"),
						errdetail("The run has transactions of its own, which could not see those changes."),
						errhint("Commit first.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("settle_run cannot be called in a %s transaction",
							   XactIsoLevel == XACT_SERIALIZABLE ? "serializable" : "repeatable read"),
						errdetail("The transaction would go on reading the state from before the run."),
						errhint("Call it in a read committed transaction.")));
	if (XactReadOnly && !RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("settle_run cannot be called in a read-only transaction")));
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("settle_run cannot be called during recovery"),
						errhint("Call it on the primary server.")));
}

Datum
settle_run(PG_FUNCTION_ARGS)
{
	const bool wait = PG_ARGISNULL(ARG_WAIT) || PG_GETARG_BOOL(ARG_WAIT);
	const bool has_command = !PG_ARGISNULL(ARG_COMMAND_ID);
	RunRequest request = {0};

	check_transaction();
	const int64 *accounts = read_request(fcinfo, &request);
	dsm_segment *segment = shared_create(&request, accounts, has_command ? print_arguments(fcinfo, &request, accounts) : NULL);
	Watch watch = {.shared = dsm_segment_address(segment), .started_ms = now_ms()};

	if (has_command)
		watch.shared->command_id = *PG_GETARG_UUID_P(ARG_COMMAND_ID);
	if (!process_start("leader", "settle_leader_main", UInt32GetDatum(dsm_segment_handle(segment)), &watch.leader))
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("no background worker slot is free"),
						errhint("Raise max_worker_processes, or try again when other workers have ended.")));
	on_dsm_detach(segment, stop_on_detach, (Datum) 0);
	const int64 run_id = wait_for_run(&watch, wait);
	cancel_on_dsm_detach(segment, stop_on_detach, (Datum) 0);
	dsm_detach(segment);
	PG_RETURN_INT64(run_id);
}
