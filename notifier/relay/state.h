/*
 * state.h: what the threads of settle-relay share.
 *
 *   main      libuv loop: PostgreSQL's socket, timers, signals; decides when to connect and when to end
 *   producer  Kafka: decodes frames, produces, commits; the only thread that calls librdkafka
 *   recorder  tells the database how far Kafka is, and what it refused (recorder.h)
 *   http      libmicrohttpd's own: reads metrics
 *
 * Numbers are atomics, written by the thread that is named; the rest is protected by `mutex`.
 */
#ifndef RELAY_STATE_H
#define RELAY_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/err.h"
#include "lib/queue.h"
#include "relay/position.h"
#include "relay/settings.h"

/* Exit status; the man page has the same list. */
typedef enum Ending {
	END_OK = 0,         /* drained after SIGTERM, or --once found the end */
	END_INTERNAL = 1,
	END_CONFIG = 2,     /* a setting is missing or wrong */
	END_POSTGRES = 3,   /* PostgreSQL refuses: rights, plugin, wal_level */
	END_SLOT = 4,       /* the slot does not exist, is lost, or is of another plugin */
	END_GAP = 5,        /* slot or timeline do not fit the stored position: going on could lose events */
	END_POISON = 6,     /* an event cannot be delivered, and relay.poison = stop */
	END_KAFKA = 7       /* Kafka refuses: rights, no such topic, no transactions */
} Ending;

typedef enum ProducerState {
	PRODUCER_IDLE,    /* nothing was asked for, or it has been closed */
	PRODUCER_OPENING,
	PRODUCER_READY,   /* `position` says where to start */
	PRODUCER_BROKEN,  /* may work when opened again; `reason` says why */
	PRODUCER_HALTED   /* cannot go on: `ending` and `reason` */
} ProducerState;

/* What the main thread hands to the producer. */
typedef enum ItemKind { ITEM_START, ITEM_FRAME, ITEM_IDLE, ITEM_FLUSH } ItemKind;

typedef struct Item {
	ItemKind kind;
	uint64_t epoch; /* of the stream it belongs to */
	uint64_t lsn;   /* ITEM_IDLE, ITEM_FLUSH: nothing of ours lies before it; ITEM_START: where the stream begins */
	char *frame;    /* ITEM_FRAME: libpq's memory */
	const char *data;
	size_t size;
} Item;

/* What a stored position belongs to; with another one it has to be read, and looked at, anew. */
typedef struct Identity {
	char system_id[24];
	uint32_t timeline;
	char position_key[256]; /* CLUSTER/DATABASE/SLOT */
} Identity;

typedef struct State {
	const Settings *settings;
	const ConfPair *kafka;
	size_t kafka_count;

	pthread_mutex_t mutex;
	/* main: the server that was connected last */
	Identity server;
	/* main → producer: what the wanted epoch is for */
	Identity wanted;
	/* producer → main */
	Position position;
	bool has_position;
	Ending ending;
	Err reason;

	_Atomic int producer;          /* ProducerState, written by the producer */
	_Atomic uint64_t wanted_epoch; /* main: open for this epoch; 0 = close */
	_Atomic bool stopping;         /* main */
	_Atomic int signal;            /* signal handler: SIGTERM or SIGINT has come */
	_Atomic uint64_t flushed_lsn;  /* producer: PostgreSQL may forget what lies before */
	_Atomic uint64_t received_lsn; /* main */
	_Atomic bool outstanding;      /* producer: events are on their way */

	/* metrics */
	_Atomic uint64_t events, bytes, transactions, kafka_transactions, suppressed, poison, reconnects_postgres,
		reconnects_kafka, record_faults;
	_Atomic uint64_t server_lsn;       /* main: the server's end of WAL, as last heard */
	_Atomic int64_t last_wire_ms;      /* main: clock_ms() of the last byte from PostgreSQL */
	_Atomic int64_t last_commit_time;  /* producer: commit time of the last event's transaction, µs since 2000 */
	_Atomic int64_t oldest_pending_ms; /* producer: clock_ms() of the first event not committed; 0 = none */
	_Atomic uint64_t commit_buckets[12];
	_Atomic uint64_t commit_sum_us;
	_Atomic int connected;             /* main */

	Queue *queue;
	struct Recorder *recorder;
	void (*wake_main)(void *arg);
	void *wake_arg;
} State;

/* Producer: reports and wakes the main thread. */
void state_report(State *state, ProducerState producer, Ending ending, const char *reason);

#endif
