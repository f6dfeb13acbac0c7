/*
 * step.h: what the engine asks of the work it drives.
 *
 * The engine knows runs, slices, chunks, items and checkpoints; the step knows what an item is and what becomes of it.
 * A slice is opened once per worker, then its items are processed in rising order of their id, a chunk per transaction,
 * so that "all up to this id" is a complete checkpoint. Any callback may throw; the engine then rolls the chunk back.
 */
#ifndef BATCH_STEP_H
#define BATCH_STEP_H

#include "postgres.h"

#include "batch/run.h"

/* What one chunk did. */
typedef struct Tally {
	int64 due; /* written + empty + skips */
	int64 written;
	int64 empty;
	int64 skips;
	int64 warnings;
	int64 lines;
	char *totals; /* JSON object of sums, in the chunk's context */
} Tally;

typedef struct StepOps {
	/* Leader, in a transaction, before a run is created or resumed: errors when a prerequisite is missing. */
	void (*check)(const RunRequest *request);

	/* Leader: hash of the configuration the step computes with, and what it freezes for the run (may be NULL). */
	char *(*fingerprint)(void);
	bytea *(*freeze)(const RunRequest *request);

	int (*slice_count)(void);
	/* Leader: rough number of items of a slice, for progress before it is opened. */
	int64 (*slice_estimate)(const RunRequest *request, int slice);

	/* Worker, in a transaction: loads what all slices need into the current context. Errors on a changed fingerprint. */
	void *(*open)(const Run *run);

	/* Worker, in a transaction: reads a slice above the checkpoint into the current context; returns its item count. */
	int64 (*open_slice)(void *step, int slice, bool has_checkpoint, int64 done_through);

	/* Worker, in the chunk's transaction: up to `limit` items. False when the slice is exhausted after it. */
	bool (*process)(void *step, int limit, Tally *tally, int64 *done_through);

	/* Worker, in a transaction of its own after the slice's last chunk: statistics and the like. */
	void (*close_slice)(void *step, int slice);

	/* Leader, in the transaction that completes the run. */
	void (*complete)(const Run *run);
} StepOps;

/* Records an item that was skipped (or, as a warning, not); call inside the chunk's transaction. */
extern void skip_record(int64 run_id, int slice, int64 item, bool warning, const char *code, const char *message);

#endif
