/*
 * step.h: what the engine asks of the work it drives.
 *
 * The engine knows runs, slices, chunks, items and checkpoints; the step knows what an item is and what becomes of it.
 * A slice is opened by one process, then its items are processed in rising order of their id, a chunk per transaction,
 * so that "all up to this id" is a complete checkpoint. Any callback may throw; the engine then rolls the transaction
 * back and may call it again with the same or fewer items, so a callback must not remember that it was called.
 */
#ifndef BATCH_STEP_H
#define BATCH_STEP_H

#include "postgres.h"

#include "batch/run.h"

/* What one chunk did. */
typedef struct Tally {
	int64 due; /* written + empty + skips; below that, and below 0, when earlier skips were taken back */
	int64 written;
	int64 empty;
	int64 skips;
	int64 warnings;
	int64 lines;
	char *totals; /* JSON object of sums, in the chunk's context */
} Tally;

/* Which items of a slice to read. */
typedef struct SliceRange {
	int slice;
	bool has_checkpoint; /* only items above done_through … */
	int64 done_through;
	const int64 *again;  /* … and these below it, rising: they were skipped, and are tried again */
	int again_count;
} SliceRange;

typedef struct StepOps {
	/* Leader, in a transaction, before a run is created or resumed: errors when a prerequisite is missing. */
	void (*check)(const RunRequest *request);

	/* In a transaction: loads the configuration that all slices need into the current context. */
	void *(*open)(void);
	/* Leader: hash of that configuration, and what the step freezes for the run (may be NULL). */
	const char *(*fingerprint)(void *step);
	bytea *(*freeze)(void *step, const RunRequest *request);
	/* In the transaction of open(): for this run, whose fingerprint must be that of the configuration. */
	void (*attach)(void *step, const Run *run);

	int (*slice_count)(void);
	/* Leader: rough number of items of a slice, for progress before it is opened. */
	int64 (*slice_estimate)(const RunRequest *request, int slice);

	/* In a transaction: reads a slice into the current context; returns its item count. */
	int64 (*open_slice)(void *step, const SliceRange *range);
	/* Id of the item at a place (from 0) of the open slice. */
	int64 (*item_id)(void *step, int64 place);

	/* In the chunk's transaction: the items at places `from` to `end` - 1 of the open slice. */
	void (*process)(void *step, int64 from, int64 end, Tally *tally);
	/* Whether a data or constraint error means that the step itself is at fault, not an item. */
	bool (*is_own_fault)(const ErrorData *error);

	/* In the transaction that closes a slice, after its last chunk: statistics and the like. */
	void (*close_slice)(void *step, int slice);

	/* Leader, in the transaction that completes the run. */
	void (*complete)(const Run *run);
} StepOps;

/* Records an item that was skipped (or, as a warning, not); call inside the chunk's transaction. context may be NULL. */
extern void skip_record(int64 run_id, int slice, int64 item, bool warning, const char *code, const char *message,
						const char *context);

/* Takes back the open skips of these items of a slice, which are about to be tried again; returns how many. */
extern int64 skip_forget(int64 run_id, int slice, const int64 *items, int count);

/* Items of a slice with an open skip up to a checkpoint, rising, in the current context; returns how many. */
extern int skip_list(int64 run_id, int slice, int64 done_through, int64 **items);

#endif
