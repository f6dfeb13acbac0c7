/*
 * run.c: the life of a run, as rows of settle.run and settle.run_slice (see run.h).
 *
 * Invariant: at most one process, the leader, writes the run's state, and it holds the period's lock from before it
 * looks for a run until it ends. A new attempt raises `attempt` on the run and on every unfinished slice in one
 * transaction, so a worker of an older attempt finds no slice of its own to write to.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "batch/log.h"
#include "batch/run.h"
#include "errcodes.h"
#include "store/sql.h"

/* Users can take advisory locks of class 1 and 2 only. settle.has_live_run() and run_is_alive() know these too. */
#define LOCK_CLASS_PERIOD 0x5e77
#define LOCK_CLASS_ALIVE 0x5e78

static const char *const kind_names[] = {"final", "retry", "rebill", "dry"};
static const char *const state_names[] = {"running", "stopped", "failed", "completed", "abandoned"};

const char *
run_kind_name(RunKind kind)
{
	return kind_names[kind];
}

const char *
run_state_name(RunState state)
{
	return state_names[state];
}

bool
run_parse_kind(const char *name, RunKind *kind)
{
	for (int i = 0; i < lengthof(kind_names); i++)
		if (strcmp(name, kind_names[i]) == 0)
		{
			*kind = (RunKind) i;
			return true;
		}
	return false;
}

static LOCKTAG
period_tag(Period period)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) period.from, 0, LOCK_CLASS_PERIOD);
	return tag;
}

static const bool for_session = true;
static const bool for_transaction = false;
static const bool dont_wait = true;

bool
run_lock_period(Period period)
{
	const LOCKTAG tag = period_tag(period);

	return LockAcquire(&tag, ExclusiveLock, for_session, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
run_lock_alive(Period period, int64 run_id)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) period.from, (uint32) run_id, LOCK_CLASS_ALIVE);
	/* Nobody takes it in another mode, so there is nothing to wait for. */
	(void) LockAcquire(&tag, ShareLock, for_session, dont_wait);
}

void
run_unlock_all(Period period, int64 run_id)
{
	const LOCKTAG tag = period_tag(period);
	LOCKTAG alive;

	SET_LOCKTAG_ADVISORY(alive, MyDatabaseId, (uint32) period.from, (uint32) run_id, LOCK_CLASS_ALIVE);
	if (run_id != 0)
		LockRelease(&alive, ShareLock, for_session);
	LockRelease(&tag, ExclusiveLock, for_session);
}

bool
run_keep_away(Period period)
{
	const LOCKTAG tag = period_tag(period);
	SqlParams params = {0};

	if (LockAcquire(&tag, ExclusiveLock, for_transaction, dont_wait) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	/* A worker may outlive its leader by the chunk it is in. */
	sql_add_date(&params, period.from);
	sql_execute("SELECT settle.has_live_run($1)", &params);
	if (!sql_bool(0, 1))
		return true;
	run_let_in(period);
	return false;
}

void
run_let_in(Period period)
{
	const LOCKTAG tag = period_tag(period);

	LockRelease(&tag, ExclusiveLock, for_transaction);
}

static void
add_accounts(SqlParams *params, const int64 *accounts, int count)
{
	if (count < 0)
	{
		sql_add_null(params, INT8ARRAYOID);
		return;
	}
	sql_add_int8_array(params, accounts, count);
}

static void
refuse_settled(const RunRequest *request, int64 run_id)
{
	char month[16];

	ymd_print_month(request->period.from, month);
	ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_COMPLETED),
					errmsg("%s is settled already, by run " INT64_FORMAT, month, run_id),
					errhint("Use settle_run('%s', kind => 'retry') for accounts that were skipped or came later.", month)));
}

/* A retry is for what a settled month has left; it must not slip past a run of the month that waits to be gone on with. */
static void
check_retry(const RunRequest *request)
{
	SqlParams params = {0};
	char month[16];

	sql_add_date(&params, request->period.from);
	ymd_print_month(request->period.from, month);
	if (sql_execute("SELECT run_id, state::text FROM settle.run WHERE period = $1 AND kind = 'final' AND accounts IS NULL"
					" AND state IN ('running', 'stopped', 'failed') LIMIT 1",
					&params) > 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_STATE),
						errmsg("run " INT64_FORMAT " of %s has not ended: it is %s", sql_int8(0, 1), month, sql_text(0, 2)),
						errhint("settle_run('%s') goes on with it, settle_abandon() ends it.", month)));
	if (request->account_count < 0 &&
		sql_execute("SELECT FROM settle.run WHERE period = $1 AND kind = 'final' AND accounts IS NULL AND state = 'completed'"
					" LIMIT 1",
					&params) == 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_STATE), errmsg("%s has not been settled, so there is nothing to retry", month),
						errhint("Run SELECT settle_run('%s');", month)));
}

int64
run_find_resumable(const RunRequest *request, const int64 *accounts)
{
	SqlParams params = {0};

	if (request->kind == RUN_RETRY)
		check_retry(request);

	sql_add_date(&params, request->period.from);
	sql_add_text(&params, run_kind_name(request->kind));
	add_accounts(&params, accounts, request->account_count);
	/* Only a run of all accounts settles the month; pilots, retries and dry runs may be made any number of times. */
	if (request->kind == RUN_FINAL && request->account_count < 0 &&
		sql_execute("SELECT run_id FROM settle.run WHERE period = $1 AND kind = $2::settle.run_kind"
					" AND state = 'completed' AND accounts IS NULL LIMIT 1",
					&(SqlParams){.count = 2,
								 .types = {params.types[0], params.types[1]},
								 .values = {params.values[0], params.values[1]}}) > 0)
		refuse_settled(request, sql_int8(0, 1));

	if (sql_execute("SELECT run_id FROM settle.run WHERE period = $1 AND kind = $2::settle.run_kind"
					" AND state IN ('running', 'stopped', 'failed') AND accounts IS NOT DISTINCT FROM $3"
					" ORDER BY run_id DESC LIMIT 1",
					&params) == 0)
		return 0;
	return sql_int8(0, 1);
}

bool
run_count_crash(int64 run_id, const RunRequest *request)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_bool(&params, request->automatic);
	sql_add_bool(&params, request->after_shutdown);
	/*
	 * The same progress at two crashes in a row: the next attempt would only crash the server again. Trying skips again is
	 * none, unless they are billed.
	 */
	if (sql_execute("UPDATE settle.run SET crashes = crashes + (NOT $3)::int, state = found.verdict,"
					" crashed_at_progress = CASE WHEN $3 THEN crashed_at_progress ELSE found.progress END,"
					" message = CASE found.verdict WHEN 'failed'"
					"  THEN 'crashed twice at the same checkpoint, see the server''s log' END,"
					" finished_at = CASE WHEN found.verdict <> 'running' THEN clock_timestamp() END"
					" FROM (SELECT sum(s.due + s.written)::int8 AS progress, (CASE WHEN NOT $2 THEN 'running'"
					"   WHEN r.stop_requested THEN 'stopped'"
					"   WHEN NOT $3 AND r.crashed_at_progress = sum(s.due + s.written) THEN 'failed' ELSE 'running' END)::settle.run_state AS verdict"
					"  FROM settle.run AS r JOIN settle.run_slice AS s ON s.run_id = r.run_id"
					"  WHERE r.run_id = $1 GROUP BY r.run_id) AS found"
					" WHERE run_id = $1 AND state = 'running' RETURNING state::text, crashes",
					&params) == 0)
		return true;

	const char *state = sql_text(0, 1);
	const int crashes = sql_int4(0, 2);
	const char *stopped = strcmp(state, "stopped") == 0 ? "; it was asked to stop, so it is not resumed automatically" : "";
	if (strcmp(state, "failed") == 0)
		log_write(run_id, RUN_LOG_ERROR, LOG_NO_SLICE,
				  "crashed twice at the same checkpoint and is not resumed automatically again; see the server's log,"
				  " then call settle_run");
	else if (request->after_shutdown)
		log_write(run_id, RUN_LOG_INFO, LOG_NO_SLICE, "was interrupted by a shutdown of the server%s", stopped);
	else
		log_write(run_id, RUN_LOG_WARNING, LOG_NO_SLICE, "crashed (%d so far): its leader is gone%s", crashes, stopped);
	return strcmp(state, "running") == 0;
}

int64
run_find_active(Period period)
{
	SqlParams params = {0};

	sql_add_date(&params, period.from);
	if (sql_execute("SELECT run_id FROM settle.run WHERE period = $1 AND state = 'running' ORDER BY run_id DESC LIMIT 1",
					&params) == 0)
		return 0;
	return sql_int8(0, 1);
}

int
run_list_crashed(bool after_shutdown, RunRequest **requests)
{
	/*
	 * One that is alive holds its period's lock, and its would-be second leader is turned away by that. From the second
	 * crash on a single process goes on: with several, chunks of the others would pass for progress, and one account that
	 * crashes the server could do so as often as there are chunks.
	 */
	const int count = (int) sql_execute("SELECT run_id, period, kind::text, CASE WHEN crashes = 0 THEN workers ELSE 1 END"
										" FROM settle.run"
										" WHERE state = 'running' AND NOT settle.run_is_alive(run_id) ORDER BY period, run_id",
										NULL);

	*requests = palloc0(Max(count, 1) * sizeof(RunRequest));
	for (int i = 0; i < count; i++)
	{
		RunRequest *request = &(*requests)[i];
		const Ymd first = ymd_from_day(sql_day(i, 2));

		request->resume_run_id = sql_int8(i, 1);
		request->automatic = true;
		request->after_shutdown = after_shutdown;
		request->period = ymd_period(first.year, first.month);
		if (!run_parse_kind(sql_text(i, 3), &request->kind))
			elog(ERROR, "unexpected kind of run " INT64_FORMAT, request->resume_run_id);
		request->workers = sql_int4(i, 4);
		request->workers_given = true;
		request->account_count = -1;
	}
	return count;
}

int64
run_create(const RunRequest *request, const int64 *accounts, Oid requested_by, const char *fingerprint, bytea *frozen,
		   int slices)
{
	SqlParams params = {0};

	sql_add_date(&params, request->period.from);
	sql_add_text(&params, run_kind_name(request->kind));
	add_accounts(&params, accounts, request->account_count);
	sql_add_int4(&params, request->workers);
	sql_add_int4(&params, request->chunk_size);
	sql_add_int8(&params, request->skip_limit);
	sql_add_int4(&params, request->retry_limit);
	sql_add_text(&params, request->release_auto ? "auto" : "manual");
	sql_add_text(&params, request->time_zone);
	sql_add_int4(&params, request->due_days);
	sql_add_text(&params, fingerprint);
	if (frozen != NULL)
		sql_add(&params, BYTEAOID, PointerGetDatum(frozen));
	else
		sql_add_null(&params, BYTEAOID);
	sql_add_text(&params, GetUserNameFromId(requested_by, true));
	sql_execute("INSERT INTO settle.run (period, kind, accounts, workers, chunk_size, skip_limit, retry_limit, release,"
				" time_zone, due_days, catalog_fingerprint, group_sizes, requested_by, ordinal)"
				" SELECT $1, $2::settle.run_kind, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, 'unknown'),"
				"  (SELECT count(*) FROM settle.run WHERE period = $1 AND kind = $2::settle.run_kind)"
				" RETURNING run_id",
				&params);
	const int64 run_id = sql_int8(0, 1);

	SqlParams slice_params = {0};
	sql_add_int8(&slice_params, run_id);
	sql_add_int4(&slice_params, slices);
	sql_execute("INSERT INTO settle.run_slice (run_id, slice) SELECT $1, slice FROM generate_series(0, $2 - 1) AS slice",
				&slice_params);
	return run_id;
}

/* An operator may have abandoned it between our look and our lock. */
static void
lock_resumable(int64 run_id)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	if (sql_execute("SELECT FROM settle.run WHERE run_id = $1 AND state IN ('running', 'stopped', 'failed')"
					" FOR NO KEY UPDATE",
					&params) == 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_RUN_STATE), errmsg("run " INT64_FORMAT " cannot be resumed any more", run_id),
						errhint("See settle.run_history.")));
}

void
run_resume(int64 run_id, const RunRequest *request, const char *fingerprint)
{
	SqlParams params = {0};

	lock_resumable(run_id);
	sql_add_int8(&params, run_id);
	sql_add_text(&params, fingerprint);
	sql_add_bool(&params, request->force);
	sql_add_int4(&params, request->workers);
	params.nulls[3] = !request->workers_given;
	sql_add_int8(&params, request->skip_limit);
	params.nulls[4] = !request->skip_limit_given;
	sql_add_int4(&params, request->chunk_size);
	params.nulls[5] = !request->chunk_size_given;
	sql_add_text(&params, request->release_auto ? "auto" : "manual");
	params.nulls[6] = !request->release_given;
	if (sql_execute("UPDATE settle.run SET attempt = attempt + 1, state = 'running', stop_requested = false,"
					" message = NULL, finished_at = NULL, resumed_at = now(), workers = coalesce($4, workers),"
					" skip_limit = coalesce($5, skip_limit), chunk_size = coalesce($6, chunk_size),"
					" release = coalesce($7, release), catalog_fingerprint = $2,"
					" resumed_due = (SELECT sum(due) FROM settle.run_slice WHERE run_id = $1)"
					" WHERE run_id = $1 AND (catalog_fingerprint = $2 OR $3) RETURNING attempt",
					&params) == 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_CATALOG_CHANGED),
						errmsg("the catalogue has changed since run " INT64_FORMAT " was created", run_id),
						errdetail("Accounts settled before and after the change would be rated differently."),
						errhint("Undo the change, or pass force => true to go on with the new catalogue.")));

	/* What was skipped may have been corrected meanwhile, or else the skip limit would be met again at once. */
	sql_execute("UPDATE settle.run_slice AS s SET attempt = (SELECT attempt FROM settle.run WHERE run_id = $1),"
				" state = 'pending', worker_pid = NULL WHERE run_id = $1 AND (state <> 'done'"
				"  OR EXISTS (SELECT FROM settle.run_error AS e WHERE e.run_id = $1 AND e.slice = s.slice"
				"   AND e.status = 'open'))",
				&(SqlParams){.count = 1, .types = {INT8OID}, .values = {Int64GetDatum(run_id)}});
}

static void
load_accounts(Run *run, Datum value)
{
	Datum *ids;

	deconstruct_array(DatumGetArrayTypeP(value), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids, NULL,
					  &run->account_count);
	run->accounts = palloc(Max(run->account_count, 1) * sizeof(int64));
	for (int i = 0; i < run->account_count; i++)
		run->accounts[i] = DatumGetInt64(ids[i]);
}

Run *
run_load(int64 run_id)
{
	SqlParams params = {0};
	bool isnull;

	sql_add_int8(&params, run_id);
	if (sql_execute("SELECT run_id, period, kind::text, ordinal, attempt, workers, chunk_size, skip_limit,"
					" release = 'auto', due_days, created_at, catalog_fingerprint, group_sizes, accounts, retry_limit"
					" FROM settle.run WHERE run_id = $1",
					&params) == 0)
		elog(ERROR, "run " INT64_FORMAT " does not exist", run_id);

	Run *run = palloc0(sizeof(Run));
	const Ymd first = ymd_from_day(sql_day(0, 2));
	run->run_id = sql_int8(0, 1);
	run->period = ymd_period(first.year, first.month);
	if (!run_parse_kind(sql_text(0, 3), &run->kind))
		elog(ERROR, "unexpected kind of run " INT64_FORMAT, run_id);
	run->ordinal = sql_int4(0, 4);
	run->attempt = sql_int4(0, 5);
	run->workers = sql_int4(0, 6);
	run->chunk_size = sql_int4(0, 7);
	run->skip_limit = sql_int8(0, 8);
	run->release_auto = sql_bool(0, 9);
	run->due_days = sql_int4(0, 10);
	run->created_at = DatumGetTimestampTz(sql_datum(0, 11, &isnull));
	run->fingerprint = pstrdup(sql_text(0, 12));
	run->retry_limit = sql_int4(0, 15);

	const Datum frozen = sql_datum(0, 13, &isnull);
	run->frozen = isnull ? NULL : DatumGetByteaPCopy(frozen);
	const Datum accounts = sql_datum(0, 14, &isnull);
	if (!isnull)
		load_accounts(run, accounts);
	return run;
}

static void
log_end(int64 run_id, RunState state, const char *message)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_execute("SELECT sum(due)::int8, sum(written)::int8, sum(empty)::int8, sum(skips)::int8, sum(warnings)::int8"
				" FROM settle.run_slice WHERE run_id = $1",
				&params);
	log_write(run_id, state == RUN_FAILED ? RUN_LOG_ERROR : RUN_LOG_INFO, LOG_NO_SLICE,
			  "%s%s%s; " INT64_FORMAT " due, " INT64_FORMAT " written, " INT64_FORMAT " empty, " INT64_FORMAT
			  " skipped, " INT64_FORMAT " warnings",
			  run_state_name(state), message ? ": " : "", message ? message : "", sql_int8(0, 1), sql_int8(0, 2),
			  sql_int8(0, 3), sql_int8(0, 4), sql_int8(0, 5));
}

void
run_finish(const Run *run, RunState state, const char *message)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, run->attempt);
	sql_add_text(&params, state_names[state]);
	sql_add_text(&params, message);
	/* Slices that are not done and not ours to do are another leader's, even if the run's row does not say so. */
	if (sql_execute("UPDATE settle.run SET state = $3::settle.run_state, message = $4, finished_at = clock_timestamp()"
					" WHERE run_id = $1 AND attempt = $2 AND state = 'running' AND ($3 <> 'completed'"
					"  OR NOT EXISTS (SELECT FROM settle.run_slice AS s WHERE s.run_id = $1 AND s.state <> 'done'))",
					&params) != 1)
		elog(ERROR, "run " INT64_FORMAT " was taken over by another leader", run->run_id);
	log_end(run->run_id, state, message);
	if (state != RUN_COMPLETED)
		sql_execute("UPDATE settle.run_slice SET state = 'pending', worker_pid = NULL"
					" WHERE run_id = $1 AND state = 'running'",
					&(SqlParams){.count = 1, .types = {INT8OID}, .values = {Int64GetDatum(run->run_id)}});
}

void
run_give_up(int64 run_id, const char *message)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_text(&params, message);
	if (sql_execute("UPDATE settle.run SET state = 'failed', message = $2, finished_at = clock_timestamp()"
					" WHERE run_id = $1 AND state = 'running'",
					&params) == 1)
		log_write(run_id, RUN_LOG_ERROR, LOG_NO_SLICE, "could not be resumed automatically: %s", message);
}

bool
run_stop_requested(const Run *run)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_execute("SELECT stop_requested FROM settle.run WHERE run_id = $1", &params);
	return sql_bool(0, 1);
}

void
run_record_action(int64 run_id, const char *action, Oid actor, const char *reason)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_text(&params, action);
	sql_add_text(&params, GetUserNameFromId(actor, true));
	sql_add_text(&params, reason);
	sql_execute("INSERT INTO settle.run_action (run_id, action, acted_by, reason) VALUES ($1, $2, coalesce($3, 'unknown'), $4)",
				&params);
}
