/*
 * ingest.h: the thread that makes notices of events.
 */
#ifndef NOTIFY_INGEST_H
#define NOTIFY_INGEST_H

#include "notify/state.h"

typedef struct Ingest Ingest;

/* Joins the group; NULL with the reason when the settings are refused. */
Ingest *ingest_start(State *state, Err *err) MUST_CHECK;
/* After state->stopping: the batch that is under way is finished, offsets are committed, the group is left. */
void ingest_stop(Ingest *ingest);

#endif
