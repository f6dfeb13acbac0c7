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

#include "batch/log.h"
#include "batch/slice.h"
#include "store/sql.h"

/* Rows processed by a statement about one slice of this process; further parameters come after these four. */
static SqlParams
own_slice(const Run *run, int slice)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, slice);
	sql_add_int4(&params, run->attempt);
	sql_add_int4(&params, MyProcPid);
	return params;
}

#define IS_OWN_SLICE " run_id = $1 AND slice = $2 AND attempt = $3 AND worker_pid = $4 AND state = 'running' "

/*
 * The largest slice that nobody has taken, those that were begun before first, so that a run that crashes in one of them
 * comes to the same place again; slice -1 = none is left.
 */
static void
claim(void *arg)
{
	OpenSlice *slice = arg;
	const Run *run = slice->work.run;
	SqlParams params = {0};
	bool isnull;

	slice->range = (SliceRange){.slice = -1};
	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, run->attempt);
	sql_add_int4(&params, MyProcPid);
	if (sql_execute("UPDATE settle.run_slice SET state = 'running', worker_pid = $3,"
					" started_at = coalesce(started_at, clock_timestamp())"
					" WHERE run_id = $1 AND slice = (SELECT slice FROM settle.run_slice"
					"  WHERE run_id = $1 AND attempt = $2 AND state = 'pending'"
					"  ORDER BY started_at IS NULL, expected DESC, slice LIMIT 1 FOR UPDATE SKIP LOCKED)"
					" RETURNING slice, done_through",
					&params) == 0)
		return;
	slice->range.slice = sql_int4(0, 1);
	slice->range.done_through = DatumGetInt64(sql_datum(0, 2, &isnull));
	slice->range.has_checkpoint = !isnull;
}

static void
set_expected(const OpenSlice *slice)
{
	SqlParams params = own_slice(slice->work.run, slice->range.slice);

	sql_add_int8(&params, slice->items - slice->range.again_count);
	/* The old value comes from the row as it was: an estimate, or the count of an earlier attempt. */
	if (sql_execute("UPDATE settle.run_slice AS s SET expected = s.due + $5 FROM (SELECT expected AS before"
					" FROM settle.run_slice WHERE" IS_OWN_SLICE ") AS old"
					" WHERE" IS_OWN_SLICE "RETURNING expected - before",
					&params) == 1)
		pg_atomic_fetch_add_u64(&slice->work.shared->expected, sql_int8(0, 1));
}

static void
read_items(void *arg)
{
	OpenSlice *slice = arg;
	SliceRange *range = &slice->range;
	int64 *again = NULL;

	MemoryContextReset(slice->context);
	MemoryContext before = MemoryContextSwitchTo(slice->context);
	if (range->has_checkpoint)
		range->again_count = skip_list(slice->work.run->run_id, range->slice, range->done_through, &again);
	range->again = again;
	slice->items = slice->ops->open_slice(slice->step, range);
	MemoryContextSwitchTo(before);
	slice->next = 0;
	set_expected(slice);
}

static void
close_slice(void *arg)
{
	OpenSlice *slice = arg;
	const Run *run = slice->work.run;
	const SqlParams params = own_slice(run, slice->range.slice);

	slice->ops->close_slice(slice->step, slice->range.slice);
	/* No row: another leader has taken the run over, and what it finds open it settles. */
	if (sql_execute("UPDATE settle.run_slice SET state = 'done', expected = due, finished_at = clock_timestamp() WHERE"
					IS_OWN_SLICE "RETURNING due, written, skips",
					&params) == 1)
		log_write(run->run_id, RUN_LOG_INFO, slice->range.slice,
				  "done: " INT64_FORMAT " due, " INT64_FORMAT " written, " INT64_FORMAT " skipped; %ld ms", sql_int8(0, 1),
				  sql_int8(0, 2), sql_int8(0, 3), TimestampDifferenceMilliseconds(slice->began, GetCurrentTimestamp()));
}

static const char *
activity(const OpenSlice *slice, const char *what)
{
	static char text[128];

	snprintf(text, sizeof(text), "settle run " INT64_FORMAT " slice %d: %s", slice->work.run->run_id, slice->range.slice,
			 what);
	return text;
}

static SliceEnd
settle_slice(OpenSlice *slice)
{
	slice->work.slice = slice->range.slice;
	slice->context = AllocSetContextCreate(TopMemoryContext, "settle slice", ALLOCSET_DEFAULT_SIZES);
	(void) transaction_run(&slice->work, activity(slice, "reading"), read_items, slice, NULL);
	const SliceEnd end = chunk_loop(slice);
	if (end == SLICE_SETTLED)
		(void) transaction_run(&slice->work, activity(slice, "closing"), close_slice, slice, NULL);
	MemoryContextDelete(slice->context);
	return end;
}

LoopEnd
slice_loop(const Run *run, const StepOps *ops, void *step, RunShared *shared, BetweenChunks between, void *arg)
{
	for (;;)
	{
		OpenSlice slice = {
			.work = {.run = run, .shared = shared, .slice = LOG_NO_SLICE},
			.ops = ops,
			.step = step,
			.between = between,
			.between_arg = arg,
			.began = GetCurrentTimestamp(),
		};

		(void) transaction_run(&slice.work, "settle: claiming a slice", claim, &slice, NULL);
		if (slice.range.slice < 0)
			return LOOP_DONE;
		switch (settle_slice(&slice))
		{
			case SLICE_STOPPED:
				return LOOP_STOPPED;
			case SLICE_FENCED:
				return LOOP_FENCED;
			case SLICE_SETTLED:
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
	const int released = (int) sql_execute("UPDATE settle.run_slice SET state = 'pending', worker_pid = NULL"
										   " WHERE run_id = $1 AND attempt = $2 AND state = 'running'"
										   " AND worker_pid <> ALL ($3) RETURNING slice",
										   &params);
	int *slices = palloc(Max(released, 1) * sizeof(int));

	for (int i = 0; i < released; i++)
		slices[i] = sql_int4(i, 1);
	for (int i = 0; i < released; i++)
		log_write(run->run_id, RUN_LOG_WARNING, slices[i], "its process ended unexpectedly; another one takes over");
	return released;
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
