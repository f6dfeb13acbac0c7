/*
 * kafka.h: what the relay asks of librdkafka.
 *
 * Errors are sorted once, here: what may go away when the producer is opened again, what never will. All calls are the
 * producer thread's.
 */
#ifndef RELAY_KAFKA_H
#define RELAY_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "relay/state.h"

typedef enum KafkaResult {
	KAFKA_OK,
	KAFKA_BROKEN, /* open it again, after a pause */
	KAFKA_REFUSED /* it is no use */
} KafkaResult;

typedef struct Kafka {
	State *state;
	rd_kafka_t *client;
	rd_kafka_topic_t *bills, *runs, *positions, *dead_letters;
	size_t max_value; /* largest message every topic of events takes */
	size_t max_batch; /* what these topics take at once */
	bool in_transaction;
	int64_t stopping_since_ms; /* 0 = not asked to end yet */
	char failed_delivery[256]; /* the first delivery that failed; empty = none */
} Kafka;

/* Whether an error may go away; with words for the log. */
KafkaResult kafka_classify(rd_kafka_resp_err_t code);
KafkaResult kafka_fail(const char *what, rd_kafka_resp_err_t code, const char *text, Err *err);

/* A number among the client's settings. */
size_t kafka_configured_number(rd_kafka_t *client, const char *name, size_t otherwise);

KafkaResult kafka_open(State *state, const Identity *identity, Kafka **kafka, Err *err) MUST_CHECK;
/* Ends without waiting: what is not committed is gone. */
void kafka_close(Kafka *kafka);

/* The newest committed position under the key; *found = false when there is none. */
KafkaResult kafka_read_position(Kafka *kafka, const char *key, Position *position, bool *found, Err *err) MUST_CHECK;

KafkaResult kafka_begin(Kafka *kafka, Err *err) MUST_CHECK;
/* Copies key and value; waits when librdkafka's queue is full. */
KafkaResult kafka_send(Kafka *kafka, rd_kafka_topic_t *topic, const char *key, size_t key_len, const char *value,
					   size_t value_len, bool with_header, Err *err) MUST_CHECK;
/* Everything sent since kafka_begin() is in Kafka when it returns KAFKA_OK, and nothing of it otherwise (exactly once). */
KafkaResult kafka_commit(Kafka *kafka, Err *err) MUST_CHECK;
void kafka_poll(Kafka *kafka);

#endif
