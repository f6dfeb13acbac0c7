/*
 * slice.h: the slices of a run, claimed one by one, and the loop that settles them.
 *
 * The leader and every worker run the same loop. A slice belongs to the process whose attempt and pid stand in its
 * row; each chunk locks that row first and writes nothing when they are not its own any more (fencing).
 */
#ifndef BATCH_SLICE_H
#define BATCH_SLICE_H

#include "batch/retry.h"
#include "batch/run.h"
#include "batch/shared.h"
#include "batch/step.h"

typedef enum LoopEnd {
	LOOP_DONE,    /* no slice is left to claim */
	LOOP_STOPPED, /* a stop was asked for */
	LOOP_FENCED   /* another leader took the run over */
} LoopEnd;

/* Called between chunks; the leader looks after its workers there. */
typedef void (*BetweenChunks)(void *arg);

/* The slice a process works on, from its claim to its close. */
typedef struct OpenSlice {
	Work work;
	const StepOps *ops;
	void *step;
	BetweenChunks between;
	void *between_arg;
	SliceRange range;
	MemoryContext context; /* what the step has read */
	int64 items;
	int64 next; /* place of the item to settle next */
	TimestampTz began;
} OpenSlice;

extern LoopEnd slice_loop(const Run *run, const StepOps *ops, void *step, RunShared *shared, BetweenChunks between,
						  void *arg);

/* Leader, in a transaction: gives back the slices whose process is not among the living; returns how many. */
extern int slice_release(const Run *run, const int *live_pids, int live_count);
/* Slices of this attempt that are not done: a leader that was fenced has none left to wait for. */
extern int slice_open_count(const Run *run);

/* Settles the open slice to its end, chunk by chunk (chunk.c). */
typedef enum SliceEnd { SLICE_SETTLED, SLICE_STOPPED, SLICE_FENCED } SliceEnd;
extern SliceEnd chunk_loop(OpenSlice *slice);

#endif
