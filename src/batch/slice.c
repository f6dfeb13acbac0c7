/*
 * slice.c: claims slices one by one and settles each chunk by chunk (see slice.h).
 *
 * Claiming skips locked rows, so processes never wait for each other, and takes the largest slice first, so that they
 * end at about the same time. The slice's data lives in a context of its own that is dropped before the next claim:
 * memory is bounded by the largest bucket, not by the run.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "batch/slice.h"
#include "store/sql.h"

typedef struct Claim {
	int slice; /* -1 = none left */
	bool has_checkpoint;
	int64 done_through;
} Claim;

static Claim
claim_slice(const Run *run)
{
	Claim claim = {.slice = -1};
	SqlParams params = {0};
	bool isnull;

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, run->attempt);
	sql_add_int4(&params, MyProcPid);
	if (sql_execute("UPDATE settle.run_slice SET state = 'running', worker_pid = $3,"
					" started_at = coalesce(started_at, clock_timestamp())"
					" WHERE run_id = $1 AND slice = (SELECT slice FROM settle.run_slice"
					"  WHERE run_id = $1 AND attempt = $2 AND state = 'pending'"
					"  ORDER BY expected DESC, slice LIMIT 1 FOR UPDATE SKIP LOCKED)"
					" RETURNING slice, done_through",
					&params) == 0)
		return claim;
	claim.slice = sql_int4(0, 1);
	claim.done_through = DatumGetInt64(sql_datum(0, 2, &isnull));
	claim.has_checkpoint = !isnull;
	return claim;
}

static void
set_expected(const Run *run, int slice, int64 items, RunShared *shared)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, slice);
	sql_add_int4(&params, run->attempt);
	sql_add_int8(&params, items);
	/* The old value comes from the row as it was: an estimate, or the count of an earlier attempt. */
	if (sql_execute("UPDATE settle.run_slice AS s SET expected = s.due + $4 FROM settle.run_slice AS old"
					" WHERE s.run_id = $1 AND s.slice = $2 AND s.attempt = $3"
					" AND old.run_id = s.run_id AND old.slice = s.slice RETURNING s.expected - old.expected",
					&params) == 1)
		pg_atomic_fetch_add_u64(&shared->expected, sql_int8(0, 1));
}

static void
finish_slice(const Run *run, int slice)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, slice);
	sql_add_int4(&params, run->attempt);
	sql_execute("UPDATE settle.run_slice SET state = 'done', expected = due, finished_at = clock_timestamp()"
				" WHERE run_id = $1 AND slice = $2 AND attempt = $3",
				&params);
}

static char *
activity(const Run *run, int slice, const char *what)
{
	static char text[128];

	snprintf(text, sizeof(text), "settle run " INT64_FORMAT " slice %d: %s", run->run_id, slice, what);
	return text;
}

static ChunkEnd
settle_slice(const Run *run, const StepOps *ops, void *step, RunShared *shared, const Claim *claim, BetweenChunks between,
			 void *arg)
{
	MemoryContext slice_context = AllocSetContextCreate(TopMemoryContext, "settle slice", ALLOCSET_DEFAULT_SIZES);
	ChunkEnd end;

	sql_begin(activity(run, claim->slice, "reading"));
	MemoryContext before = MemoryContextSwitchTo(slice_context);
	const int64 items = ops->open_slice(step, claim->slice, claim->has_checkpoint, claim->done_through);
	MemoryContextSwitchTo(before);
	set_expected(run, claim->slice, items, shared);
	sql_commit();

	do
	{
		if (between != NULL)
			between(arg);
		end = chunk_run(run, ops, step, shared, claim->slice);
	} while (end == CHUNK_MORE);

	if (end == CHUNK_LAST)
	{
		sql_begin(activity(run, claim->slice, "closing"));
		ops->close_slice(step, claim->slice);
		finish_slice(run, claim->slice);
		sql_commit();
	}
	MemoryContextDelete(slice_context);
	return end;
}

LoopEnd
slice_loop(const Run *run, const StepOps *ops, void *step, RunShared *shared, BetweenChunks between, void *arg)
{
	for (;;)
	{
		sql_begin("settle: claiming a slice");
		const Claim claim = claim_slice(run);
		sql_commit();
		if (claim.slice < 0)
			return LOOP_DONE;

		switch (settle_slice(run, ops, step, shared, &claim, between, arg))
		{
			case CHUNK_STOPPED:
				return LOOP_STOPPED;
			case CHUNK_FENCED:
				return LOOP_FENCED;
			default:
				break;
		}
	}
}

int
slice_release(const Run *run, const int *live_pids, int live_count)
{
	SqlParams params = {0};
	Datum *pids = palloc(Max(live_count, 1) * sizeof(Datum));

	for (int i = 0; i < live_count; i++)
		pids[i] = Int32GetDatum(live_pids[i]);
	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, run->attempt);
	sql_add(&params, INT4ARRAYOID,
			PointerGetDatum(construct_array(pids, live_count, INT4OID, sizeof(int32), true, TYPALIGN_INT)));
	return (int) sql_execute("UPDATE settle.run_slice SET state = 'pending', worker_pid = NULL"
							 " WHERE run_id = $1 AND attempt = $2 AND state = 'running' AND worker_pid <> ALL ($3)",
							 &params);
}

int
slice_open_count(const Run *run)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, run->attempt);
	sql_execute("SELECT count(*)::int FROM settle.run_slice WHERE run_id = $1 AND attempt = $2 AND state <> 'done'", &params);
	return sql_int4(0, 1);
}
