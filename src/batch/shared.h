/*
 * shared.h: the memory a settle_run() call shares with its leader and workers (one dsm segment).
 *
 * It carries the request in and progress and the outcome out, for the one who waits; nothing that must survive is here:
 * that is in the tables. Who writes what:
 *   request        the caller, before the leader starts; read-only afterwards
 *   run_id, reply  the leader, under `mutex`
 *   faults         a worker that failed, under `mutex`, first one wins
 *   counters       any worker, atomically, after each committed chunk
 *   stop           anybody, atomically: the caller on cancel
 */
#ifndef BATCH_SHARED_H
#define BATCH_SHARED_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/dsm.h"
#include "storage/spin.h"
#include "utils/uuid.h"

#include "batch/run.h"

/* An error on its way to another process; sqlstate 0 = none. */
typedef struct Failure {
	int sqlstate;
	char message[512];
	char detail[512];
	char hint[256];
} Failure;

typedef enum Reply {
	REPLY_NONE,     /* the leader has not decided yet */
	REPLY_RUNNING,  /* run_id is known */
	REPLY_REPEATED, /* the command was executed before: run_id is what it started then */
	REPLY_COMPLETED,
	REPLY_STOPPED,
	REPLY_FAILED    /* failure says why; run_id is 0 when the run was refused */
} Reply;

typedef struct RunShared {
	Oid database;
	Oid caller;
	RunRequest request;
	pg_uuid_t command_id;

	slock_t mutex;
	Reply reply;
	int64 run_id;
	int attempt;
	Failure failure;

	pg_atomic_uint32 stop;
	pg_atomic_uint64 expected;
	pg_atomic_uint64 due;
	pg_atomic_uint64 written;
	pg_atomic_uint64 empty;
	pg_atomic_uint64 skips;
	pg_atomic_uint64 warnings;

	Size arguments;                        /* offset of the command's arguments, JSON text; 0 = no command id */
	int64 accounts[FLEXIBLE_ARRAY_MEMBER]; /* request.account_count of them */
} RunShared;

/* A new segment that holds a request, accounts and command included, ready for a leader. */
extern dsm_segment *shared_create(const RunRequest *request, const int64 *accounts, const char *arguments);

static inline const char *
shared_arguments(const RunShared *shared)
{
	return (const char *) shared + shared->arguments;
}

extern void shared_reply(RunShared *shared, Reply reply, int64 run_id);
extern Reply shared_read_reply(RunShared *shared, int64 *run_id, Failure *failure);

/* Keeps the first failure; takes what ErrorData says. */
extern void shared_fail(RunShared *shared, const ErrorData *error);
extern bool shared_has_failed(RunShared *shared);

#endif
