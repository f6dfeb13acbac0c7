/*
 * metrics.h: what settle-notifier tells about itself over HTTP.
 */
#ifndef NOTIFY_METRICS_H
#define NOTIFY_METRICS_H

#include <stdio.h>

#include "notify/state.h"

void metrics_write(void *state, FILE *out);
bool metrics_healthy(void *state, FILE *reason);
bool metrics_ready(void *state, FILE *reason);

#endif
