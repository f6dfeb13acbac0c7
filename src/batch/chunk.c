/*
 * chunk.c: one chunk is one transaction; a chunk the database refuses is halved.
 *
 * A chunk locks its slice's row (the fence), lets the step process the next items, and writes the checkpoint and the
 * counters into that row; all of it commits together or not at all. That is the whole exactly-once argument: a crash at
 * any moment leaves the checkpoint at the last chunk whose results are there.
 *
 * A data or constraint error (class 22 or 23) says that some item of the chunk cannot be written. The chunk was rolled
 * back, so half of it is tried, and half of that, until the culprit stands alone: it is skipped with the database's
 * message, and chunks grow again. Any other error ends the run, resumable, and skips nobody.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"

#include "batch/log.h"
#include "batch/slice.h"
#include "common/ids.h"
#include "common/reason.h"
#include "errcodes.h"
#include "store/sql.h"

typedef enum Fence { FENCE_MINE, FENCE_STOP, FENCE_LOST } Fence;

typedef struct Chunk {
	const OpenSlice *slice;
	int64 end; /* place after the last item */
	const ErrorData *refused; /* why the only item is skipped; NULL = settle the items */
	Fence fence;
	int64 forgotten; /* earlier skips that were taken back */
	Tally tally;
} Chunk;

static Fence
lock_slice(const OpenSlice *slice)
{
	const Run *run = slice->work.run;
	SqlParams params = {0};

	sql_add_int8(&params, run->run_id);
	sql_add_int4(&params, slice->range.slice);
	sql_add_int4(&params, run->attempt);
	sql_add_int4(&params, MyProcPid);
	if (sql_execute("SELECT r.stop_requested FROM settle.run_slice AS s JOIN settle.run AS r USING (run_id)"
					" WHERE s.run_id = $1 AND s.slice = $2 AND s.attempt = $3 AND s.worker_pid = $4"
					" AND s.state = 'running'"
					" FOR NO KEY UPDATE OF s",
					&params) == 0)
		return FENCE_LOST;
	return sql_bool(0, 1) || pg_atomic_read_u32(&slice->work.shared->stop) != 0 ? FENCE_STOP : FENCE_MINE;
}

static void
save_checkpoint(const OpenSlice *slice, const Tally *tally, int64 done_through)
{
	SqlParams params = {0};

	sql_add_int8(&params, slice->work.run->run_id);
	sql_add_int4(&params, slice->range.slice);
	sql_add_int8(&params, tally->due);
	sql_add_int8(&params, tally->written);
	sql_add_int8(&params, tally->empty);
	sql_add_int8(&params, tally->skips);
	sql_add_int8(&params, tally->warnings);
	sql_add_int8(&params, tally->lines);
	sql_add_int8(&params, done_through);
	sql_add_text(&params, tally->totals ? tally->totals : "{}");
	/* Items that are tried again lie below the checkpoint, which never moves back. */
	sql_execute("UPDATE settle.run_slice SET due = due + $3, written = written + $4, empty = empty + $5, skips = skips + $6,"
				" warnings = warnings + $7, lines = lines + $8, chunks = chunks + 1,"
				" done_through = greatest(done_through, $9), totals = settle.add_totals(totals, $10::jsonb)"
				" WHERE run_id = $1 AND slice = $2",
				&params);
}

/* Where the server says what is wrong; the row's values (errdetail) are not kept. */
static void
skip_refused(Chunk *chunk, int64 item)
{
	const ErrorData *error = chunk->refused;
	char message[256];
	char context[512];

	reason_message((Fault){.reason = REASON_DATABASE, .a = item}, message, sizeof(message));
	snprintf(context, sizeof(context), "%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
	/* cut between characters: it is stored in a table */
	context[pg_mbcliplen(context, (int) strlen(context), sizeof(context) - 1)] = '\0';
	skip_record(chunk->slice->work.run->run_id, chunk->slice->range.slice, item, false, reason_code(REASON_DATABASE),
				message, context);
	chunk->tally.due++;
	chunk->tally.skips++;
}

/* The chunk's items that were skipped before: their old rows go, and they are judged anew. */
static int64
forget_skips(const OpenSlice *slice, int64 end)
{
	const SliceRange *range = &slice->range;
	int count = 0;

	if (range->again_count == 0)
		return 0;
	int64 *items = palloc((end - slice->next) * sizeof(int64));
	for (int64 place = slice->next; place < end; place++)
	{
		const int64 id = slice->ops->item_id(slice->step, place);

		if (ids_contain(range->again, range->again_count, id))
			items[count++] = id;
	}
	return skip_forget(slice->work.run->run_id, range->slice, items, count);
}

static void
settle_chunk(void *arg)
{
	Chunk *chunk = arg;
	const OpenSlice *slice = chunk->slice;
	const int64 first = slice->ops->item_id(slice->step, slice->next);
	const int64 last = slice->ops->item_id(slice->step, chunk->end - 1);

	chunk->tally = (Tally){0};
	chunk->fence = lock_slice(slice);
	if (chunk->fence != FENCE_MINE)
		return;
	chunk->forgotten = forget_skips(slice, chunk->end);
	chunk->tally.due -= chunk->forgotten;
	chunk->tally.skips -= chunk->forgotten;
	if (chunk->refused != NULL)
		skip_refused(chunk, first);
	else
		slice->ops->process(slice->step, slice->next, chunk->end, &chunk->tally);
	/* Skips that were taken back may balance new ones, which must not be met again from an old checkpoint. */
	if (chunk->tally.due != 0 || chunk->tally.skips != 0 || chunk->forgotten > 0)
		save_checkpoint(slice, &chunk->tally, last);
}

/* Skips that a resume takes back were not counted when it began (load_counters): the limit is for those that remain. */
static void
publish(RunShared *shared, const Chunk *chunk)
{
	const Tally *tally = &chunk->tally;

	pg_atomic_fetch_add_u64(&shared->due, tally->due);
	pg_atomic_fetch_add_u64(&shared->written, tally->written);
	pg_atomic_fetch_add_u64(&shared->empty, tally->empty);
	pg_atomic_fetch_add_u64(&shared->skips, tally->skips + chunk->forgotten);
	pg_atomic_fetch_add_u64(&shared->warnings, tally->warnings);
}

static void
check_skip_limit(const Work *work)
{
	const int64 skips = (int64) pg_atomic_read_u64(&work->shared->skips);

	if (skips > work->run->skip_limit)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_SKIP_LIMIT),
						errmsg("more than " INT64_FORMAT " accounts were skipped", work->run->skip_limit),
						errdetail("The reasons are in settle.run_error of run " INT64_FORMAT ".", work->run->run_id),
						errhint("Correct the data or pass a higher skip_limit, and call settle_run again to go on.")));
}

static bool
is_refusal(const ErrorData *error, void *arg)
{
	const Chunk *chunk = arg;
	const int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return (category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) &&
		   chunk->refused == NULL && !chunk->slice->ops->is_own_fault(error);
}

static const char *
activity(const OpenSlice *slice)
{
	static char text[128];
	RunShared *shared = slice->work.shared;

	snprintf(text, sizeof(text), "settle run " INT64_FORMAT " slice %d: " UINT64_FORMAT " of " UINT64_FORMAT,
			 slice->work.run->run_id, slice->range.slice, pg_atomic_read_u64(&shared->due),
			 pg_atomic_read_u64(&shared->expected));
	return text;
}

/* The items from slice->next to `end`. Returns why the database refused them; NULL when they are done or not to be. */
static ErrorData *
try_chunk(OpenSlice *slice, int64 end, const ErrorData *refused, Fence *fence)
{
	Chunk chunk = {.slice = slice, .end = end, .refused = refused};

	CHECK_FOR_INTERRUPTS();
	/* Without a postmaster nobody can be told and the server cannot be started again: the next one resumes the run. */
	if (!PostmasterIsAlive())
		proc_exit(1);
	check_skip_limit(&slice->work);
	if (slice->between != NULL)
		slice->between(slice->between_arg);
	ErrorData *error = transaction_run(&slice->work, activity(slice), settle_chunk, &chunk, is_refusal);
	*fence = error == NULL ? chunk.fence : FENCE_MINE;
	if (error != NULL || chunk.fence != FENCE_MINE)
		return error;

	slice->next = end;
	publish(slice->work.shared, &chunk);
	/* Before the slice can be closed: a limit that only the last chunk exceeds must stop the run too. */
	check_skip_limit(&slice->work);
	return NULL;
}

static void
log_refusal(const OpenSlice *slice, int64 count, const ErrorData *error)
{
	log_commit(slice->work.run->run_id, RUN_LOG_WARNING, slice->range.slice,
			   "the database refused a chunk of " INT64_FORMAT " accounts, looking for the culprit: %s", count,
			   error->message);
}

SliceEnd
chunk_loop(OpenSlice *slice)
{
	const int64 full_size = slice->work.run->chunk_size;
	int64 size = full_size;
	int64 suspect_end = 0; /* one of the items before this place is refused */

	while (slice->next < slice->items)
	{
		const int64 end = Min(slice->next + size, slice->items);
		const int64 count = end - slice->next;
		Fence fence;
		ErrorData *refused = try_chunk(slice, end, NULL, &fence);

		if (refused != NULL)
		{
			if (suspect_end <= slice->next)
				log_refusal(slice, count, refused);
			suspect_end = end;
			if (count == 1)
				(void) try_chunk(slice, end, refused, &fence);
			FreeErrorData(refused);
		}
		if (fence != FENCE_MINE)
			return fence == FENCE_STOP ? SLICE_STOPPED : SLICE_FENCED;
		size = slice->next < suspect_end ? Max((suspect_end - slice->next) / 2, 1) : Min(size * 2, full_size);
	}
	return SLICE_SETTLED;
}
