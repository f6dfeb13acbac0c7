/*
 * sweep.h: the thread that looks for what no event brings about.
 */
#ifndef NOTIFY_SWEEP_H
#define NOTIFY_SWEEP_H

#include "notify/state.h"

typedef struct Sweep Sweep;

Sweep *sweep_start(State *state);
/* After state->stopping. */
void sweep_stop(Sweep *sweep);

#endif
