/*
 * stream.h: the replication connection. All calls are the main thread's.
 */
#ifndef RELAY_STREAM_H
#define RELAY_STREAM_H

#include <libpq-fe.h>

#include "relay/state.h"

typedef enum StreamResult {
	STREAM_OK,
	STREAM_LOST,    /* connect again, after a pause */
	STREAM_BUSY,    /* another relay has the slot: wait for it */
	STREAM_REFUSED  /* it is no use; `ending` says why */
} StreamResult;

typedef struct Stream {
	State *state;
	PGconn *connection;
	uint64_t epoch;
	uint64_t slot_lsn;    /* confirmed_flush_lsn when it was looked at */
	uint64_t server_lsn;  /* the server's end of WAL then */
	uint64_t idle_lsn;    /* handed to the producer last */
	uint64_t sent_flush;  /* told to PostgreSQL last */
	int64_t status_at_ms;
	int64_t flush_asked_ms;
	bool eager;           /* --once: store idle positions at once */
	uint64_t nagged_lsn;  /* the server asks again and again with the same position: it wants to shut down */
	int nagged;
	int64_t nagged_since_ms;
	char database[128];
} Stream;

/* Connects, identifies the cluster and looks at the slot. */
StreamResult stream_open(State *state, Stream *stream, Ending *ending, Err *err) MUST_CHECK;
/* Starts at the stored position, or at the slot's when there is none; refuses when the two do not fit. */
StreamResult stream_start(Stream *stream, const Position *stored, bool has_stored, Ending *ending, Err *err) MUST_CHECK;
/* Takes what has arrived and hands it to the producer, until nothing is left or its queue is full (*full). */
StreamResult stream_read(Stream *stream, bool *full, Ending *ending, Err *err) MUST_CHECK;
/* Tells PostgreSQL how far everything is; `ask` = and wants an answer. */
StreamResult stream_tell(Stream *stream, bool ask, Err *err) MUST_CHECK;
/* Ends the stream politely. */
void stream_end(Stream *stream);
void stream_close(Stream *stream);

#endif
