/*
 * recorder.h: the thread that tells the database how far the relay is, over an ordinary connection.
 *
 * Progress is told once a second, when there is any; when the database does not answer the relay goes on, and what is told
 * later holds all that was not told before. A refused event is told before the relay goes past it.
 */
#ifndef RELAY_RECORDER_H
#define RELAY_RECORDER_H

#include "common/frame.h"
#include "relay/state.h"

typedef struct Recorder Recorder;

/* NULL when no thread can be made. */
Recorder *recorder_start(State *state);

/* What Kafka holds now, and when the last event of it was committed in the database. Returns at once. */
void recorder_progress(Recorder *recorder, const Position *position, int64_t commit_time);

/* Kafka does not take this event: settle.relay_error has it when this returns true. Waits for the database. */
bool recorder_refuse(Recorder *recorder, const FrameRow *row, uint64_t commit_lsn, const char *action, const char *message,
					 Err *err) MUST_CHECK;

/* Tells what has not been told, if the database answers, and ends. */
void recorder_stop(Recorder *recorder);

#endif
