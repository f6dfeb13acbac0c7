/*
 * metrics.h: what settle-relay tells about itself over HTTP.
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include <stdio.h>

#include "relay/state.h"

void metrics_write(void *state, FILE *out);
bool metrics_healthy(void *state, FILE *reason);
bool metrics_ready(void *state, FILE *reason);

#endif
