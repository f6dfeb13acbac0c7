/*
 * slice.h: the slices of a run, claimed one by one, and the loop that settles them.
 *
 * The leader and every worker run the same loop. A slice belongs to the process whose attempt and pid stand in its
 * row; each chunk locks that row first and writes nothing when they are not its own any more (fencing).
 */
#ifndef BATCH_SLICE_H
#define BATCH_SLICE_H

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

extern LoopEnd slice_loop(const Run *run, const StepOps *ops, void *step, RunShared *shared, BetweenChunks between,
						  void *arg);

/* Leader, in a transaction: gives back the slices whose process is not among the living; returns how many. */
extern int slice_release(const Run *run, const int *live_pids, int live_count);
/* Slices of this attempt that are not done: a leader that was fenced has none left to wait for. */
extern int slice_open_count(const Run *run);

/* One chunk in one transaction (chunk.c). */
typedef enum ChunkEnd { CHUNK_MORE, CHUNK_LAST, CHUNK_STOPPED, CHUNK_FENCED } ChunkEnd;
extern ChunkEnd chunk_run(const Run *run, const StepOps *ops, void *step, RunShared *shared, int slice);

#endif
