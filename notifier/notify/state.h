/*
 * state.h: what the threads of settle-notifier share.
 *
 *   main     libuv loop: signals; decides when to end
 *   ingest   Kafka: events become notices; the only thread that calls librdkafka
 *   sweep    what no event brings about: releases, leases that have ended
 *   http     libmicrohttpd's own: reads metrics
 *
 * Numbers are atomics, written by the thread that is named.
 */
#ifndef NOTIFY_STATE_H
#define NOTIFY_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/conf.h"
#include "notify/settings.h"

/* Exit status; the man page has the same list. */
typedef enum Ending {
	END_OK = 0,       /* after SIGTERM */
	END_INTERNAL = 1,
	END_CONFIG = 2    /* a setting is missing or wrong */
} Ending;

typedef struct State {
	const Settings *settings;
	const Conf *conf;
	_Atomic bool stopping;

	/* ingest */
	_Atomic uint64_t events, stored, duplicates, dead_letters, cancelled, batches;
	_Atomic uint64_t ingest_faults; /* batches that had to be tried again */
	_Atomic bool ingesting;         /* the last batch went well */
	_Atomic int64_t last_poll_ms;   /* clock_ms() when Kafka was last asked */
	_Atomic int partitions;         /* that this instance has */
	/* sweep */
	_Atomic uint64_t released, lost, sweep_faults;
	_Atomic bool database; /* the last sweep went well */
} State;

#endif
