/*
 * chunk.c: one chunk is one transaction.
 *
 * It locks its slice's row (the fence), lets the step process the next items, and writes the checkpoint and the counters
 * into that row; all of it commits together or not at all. That is the whole exactly-once argument: a crash at any
 * moment leaves the checkpoint at the last chunk whose results are there.
 */
#include "compat.h"

#include "miscadmin.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "batch/slice.h"
#include "errcodes.h"
#include "store/sql.h"

typedef enum Fence { FENCE_MINE, FENCE_STOP, FENCE_LOST } Fence;

static Fence
lock_slice(const Run *run, int slice, RunShared *shared)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, slice);
	sql_add_int4(&params, run->attempt);
	sql_add_int4(&params, MyProcPid);
	if (sql_execute("SELECT r.stop_requested FROM settle.run_slice AS s JOIN settle.run AS r USING (run_id)"
					" WHERE s.run_id = $1 AND s.slice = $2 AND s.attempt = $3 AND s.worker_pid = $4"
					" AND s.state = 'running'"
					" FOR NO KEY UPDATE OF s",
					&params) == 0)
		return FENCE_LOST;
	return sql_bool(0, 1) || pg_atomic_read_u32(&shared->stop) != 0 ? FENCE_STOP : FENCE_MINE;
}

static void
save_checkpoint(const Run *run, int slice, const Tally *tally, int64 done_through)
{
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, slice);
	sql_add_int8(&params, tally->due);
	sql_add_int8(&params, tally->written);
	sql_add_int8(&params, tally->empty);
	sql_add_int8(&params, tally->skips);
	sql_add_int8(&params, tally->warnings);
	sql_add_int8(&params, tally->lines);
	sql_add_int8(&params, done_through);
	sql_add_text(&params, tally->totals ? tally->totals : "{}");
	sql_execute("UPDATE settle.run_slice SET due = due + $3, written = written + $4, empty = empty + $5, skips = skips + $6,"
				" warnings = warnings + $7, lines = lines + $8, chunks = chunks + 1, done_through = $9,"
				" totals = settle.add_totals(totals, $10::jsonb)"
				" WHERE run_id = $1 AND slice = $2",
				&params);
}

static void
publish(RunShared *shared, const Tally *tally)
{
	pg_atomic_fetch_add_u64(&shared->due, tally->due);
	pg_atomic_fetch_add_u64(&shared->written, tally->written);
	pg_atomic_fetch_add_u64(&shared->empty, tally->empty);
	pg_atomic_fetch_add_u64(&shared->skips, tally->skips);
	pg_atomic_fetch_add_u64(&shared->warnings, tally->warnings);
}

static void
check_skip_limit(const Run *run, RunShared *shared)
{
	const uint64 skips = pg_atomic_read_u64(&shared->skips);

	if (skips > (uint64) run->skip_limit)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_SKIP_LIMIT),
						errmsg("more than " INT64_FORMAT " accounts were skipped", run->skip_limit),
						errdetail("The reasons are in settle.run_error of run " INT64_FORMAT ".", run->run_id),
						errhint("Correct the data or pass a higher skip_limit, and call settle_run again to go on.")));
}

ChunkEnd
chunk_run(const Run *run, const StepOps *ops, void *step, RunShared *shared, int slice)
{
	char activity[128];
	Tally tally = {0};
	int64 done_through = 0;

	CHECK_FOR_INTERRUPTS();
	check_skip_limit(run, shared);
	snprintf(activity, sizeof(activity), "settle run " INT64_FORMAT " slice %d: " UINT64_FORMAT " of " UINT64_FORMAT,
			 run->run_id, slice, pg_atomic_read_u64(&shared->due), pg_atomic_read_u64(&shared->expected));
	sql_begin(activity);
	const Fence fence = lock_slice(run, slice, shared);
	if (fence != FENCE_MINE)
	{
		sql_commit();
		return fence == FENCE_STOP ? CHUNK_STOPPED : CHUNK_FENCED;
	}

	const bool more = ops->process(step, run->chunk_size, &tally, &done_through);
	if (tally.due > 0)
		save_checkpoint(run, slice, &tally, done_through);
	sql_commit();
	publish(shared, &tally);
	/* Before the slice can be closed: a limit that only the last chunk exceeds must stop the run too. */
	check_skip_limit(run, shared);
	return more ? CHUNK_MORE : CHUNK_LAST;
}
