/*
 * kafka.c: what the relay asks of librdkafka (see kafka.h).
 *
 * A producer that has failed is never mended, but closed and opened again from the stored position: librdkafka before 2.3
 * turns fatal after some disconnects, brokers forget idle transactional ids after a week, and both look like fencing. The
 * replication slot is the lock between two relays, so being fenced is only a reason to look again who holds the slot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "relay/envelope.h"
#include "relay/kafka.h"
#include "relay/topics.h"

#define CALL_TIMEOUT_MS 10000
#define COMMIT_TIMEOUT_MS 180000 /* longer than a transaction may last: then the broker has decided */
#define INIT_TIMEOUT_MS 60000
#define SLICE_MS 500
#define LAST_CHANCE_MS 10000 /* how long Kafka may take when the relay has been asked to end */

KafkaResult
kafka_classify(rd_kafka_resp_err_t code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
		case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
		case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
			return KAFKA_REFUSED;
		default:
			return KAFKA_BROKEN;
	}
}

KafkaResult
kafka_fail(const char *what, rd_kafka_resp_err_t code, const char *text, Err *err)
{
	(void) err_set(err, "%s: %s (%s)", what, text, rd_kafka_err2name(code));
	return kafka_classify(code);
}

static KafkaResult
fail_error(const char *what, rd_kafka_error_t *error, Err *err)
{
	const KafkaResult result = kafka_fail(what, rd_kafka_error_code(error), rd_kafka_error_string(error), err);

	rd_kafka_error_destroy(error);
	return result;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

/* Asked to end, and Kafka has had its last chance: what is not committed now will be sent by the next relay. */
static bool
is_over(Kafka *kafka)
{
	if (!atomic_load(&kafka->state->stopping))
		return false;
	if (kafka->stopping_since_ms == 0)
		kafka->stopping_since_ms = clock_ms();
	return clock_ms() - kafka->stopping_since_ms > LAST_CHANCE_MS;
}

/* A call that goes on with what it has begun when it is made again: in short pieces, so that the relay can be ended. */
static rd_kafka_error_t *
in_slices(Kafka *kafka, rd_kafka_error_t *(*call)(rd_kafka_t *client, int timeout_ms), int64_t timeout_ms)
{
	const int64_t give_up = clock_ms() + timeout_ms;

	for (;;)
	{
		rd_kafka_error_t *error = call(kafka->client, SLICE_MS);

		if (error == NULL || !rd_kafka_error_is_retriable(error) || clock_ms() > give_up || is_over(kafka))
			return error;
		rd_kafka_error_destroy(error);
	}
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void
delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	Kafka *kafka = opaque;

	(void) client;
	if (message->err != 0 && kafka->failed_delivery[0] == '\0')
		snprintf(kafka->failed_delivery, sizeof(kafka->failed_delivery), "%s", rd_kafka_err2str(message->err));
}

static void
write_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	(void) client;
	if (level <= 4)
		log_warning("librdkafka", F_TEXT("facility", facility), F_TEXT("text", text));
	else
		log_debug("librdkafka", F_TEXT("facility", facility), F_TEXT("text", text));
}

static bool
set(rd_kafka_conf_t *conf, const char *name, const char *value, Err *err)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
		return true;
	return err_set(err, "kafka.%s = %s: %s", name, value, reason);
}

static bool
set_defaults(rd_kafka_conf_t *conf, Err *err)
{
	/* Enough for the broker to be late, little enough to stay small and in the caches; the relay waits when it is full. */
	return set(conf, "queue.buffering.max.kbytes", "8192", err) && set(conf, "queue.buffering.max.messages", "200000", err) &&
		   set(conf, "linger.ms", "5", err) && set(conf, "compression.codec", "lz4", err) &&
		   set(conf, "socket.nagle.disable", "true", err) && set(conf, "client.id", "settle-relay", err) &&
		   set(conf, "transaction.timeout.ms", "60000", err);
}

static bool
set_promises(const State *state, const Identity *identity, rd_kafka_conf_t *conf, Err *err)
{
	/* Topics that a broker makes unasked have the broker's partitions and are not compacted. */
	if (!set(conf, "enable.idempotence", "true", err) || !set(conf, "acks", "all", err) ||
		!set(conf, "allow.auto.create.topics", "false", err) ||
		!set(conf, "partitioner", "murmur2_random", err) || !set(conf, "delivery.report.only.error", "true", err))
		return false;
	if (state->settings->delivery == AT_LEAST_ONCE)
		return set(conf, "message.timeout.ms", "0", err);
	return set(conf, "transactional.id", identity->position_key, err);
}

static rd_kafka_conf_t *
make_conf(const State *state, const Identity *identity, Err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const bool producer = identity != NULL;
	bool made = !producer || set_defaults(conf, err);

	for (size_t i = 0; made && i < state->kafka_count; i++)
		made = set(conf, state->kafka[i].name, state->kafka[i].value, err);
	if (made && producer)
		made = set_promises(state, identity, conf, err);
	rd_kafka_conf_set_log_cb(conf, write_log);
	if (made)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

size_t
kafka_configured_number(rd_kafka_t *client, const char *name, size_t otherwise)
{
	char text[32];
	size_t size = sizeof(text);

	return rd_kafka_conf_get(rd_kafka_conf(client), name, text, &size) == RD_KAFKA_CONF_OK ? (size_t) strtoull(text, NULL, 10)
																						   : otherwise;
}

static KafkaResult
open_client(State *state, const Identity *identity, size_t max_batch, Kafka **opened, Err *err)
{
	char reason[256];
	rd_kafka_conf_t *conf = make_conf(state, identity, err);

	*opened = NULL;
	if (conf == NULL)
		return KAFKA_REFUSED;
	if (max_batch > 0)
	{
		snprintf(reason, sizeof(reason), "%zu", max_batch);
		if (!set(conf, "batch.size", reason, err))
		{
			rd_kafka_conf_destroy(conf);
			return KAFKA_REFUSED;
		}
	}
	Kafka *kafka = calloc(1, sizeof(Kafka));
	kafka->state = state;
	rd_kafka_conf_set_opaque(conf, kafka);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	kafka->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (kafka->client == NULL)
	{
		rd_kafka_conf_destroy(conf);
		free(kafka);
		(void) err_set(err, "cannot make a Kafka producer: %s", reason);
		return KAFKA_REFUSED;
	}
	const KafkaResult result = topics_open(kafka, err);
	if (result != KAFKA_OK)
		kafka_close(kafka);
	else
		*opened = kafka;
	return result;
}

KafkaResult
kafka_open(State *state, const Identity *identity, Kafka **opened, Err *err)
{
	KafkaResult result = open_client(state, identity, 0, opened, err);
	Kafka *kafka = *opened;

	/* A topic's limit holds for a batch, not for an event; a producer learns its own only when it is made. */
	if (result == KAFKA_OK && kafka->max_batch < kafka_configured_number(kafka->client, "batch.size", 0))
	{
		const size_t max_batch = kafka->max_batch;
		kafka_close(kafka);
		result = open_client(state, identity, max_batch, opened, err);
		kafka = *opened;
	}
	if (result == KAFKA_OK && state->settings->delivery == EXACTLY_ONCE)
	{
		rd_kafka_error_t *error = in_slices(kafka, rd_kafka_init_transactions, INIT_TIMEOUT_MS);
		if (error != NULL)
		{
			result = fail_error("cannot start transactions", error, err);
			kafka_close(kafka);
			*opened = NULL;
		}
	}
	return result;
}

void
kafka_close(Kafka *kafka)
{
	if (kafka == NULL)
		return;
	(void) rd_kafka_purge(kafka->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_topic_t *const topics[] = {kafka->bills, kafka->runs, kafka->positions, kafka->dead_letters};
	for (int i = 0; i < 4; i++)
		if (topics[i] != NULL)
			rd_kafka_topic_destroy(topics[i]);
	rd_kafka_destroy(kafka->client);
	free(kafka);
}

/* ---- position --------------------------------------------------------------------------------------------------- */

/* Reads [from, to) of partition 0; keeps the last value under the key, if there is a record of it (*seen). */
static KafkaResult
scan(rd_kafka_t *consumer, const char *topic, int64_t from, int64_t to, const char *key, Position *position, bool *seen, bool *found,
	 Err *err)
{
	const int64_t give_up = clock_ms() + CALL_TIMEOUT_MS;
	rd_kafka_topic_partition_list_t *assignment = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(assignment, topic, 0)->offset = from;
	(void) rd_kafka_assign(consumer, assignment);
	rd_kafka_topic_partition_list_destroy(assignment);
	for (;;)
	{
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 200);

		if (clock_ms() > give_up)
		{
			if (message != NULL)
				rd_kafka_message_destroy(message);
			(void) err_set(err, "topic %s does not answer; a transaction of another relay may still be open", topic);
			return KAFKA_BROKEN;
		}
		if (message == NULL)
			continue;
		/* A leader that has just come may not know the end yet, and say that it is sooner. */
		const bool at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ? message->offset >= to : message->offset + 1 >= to;
		if (message->err == 0 && message->key_len == strlen(key) && memcmp(message->key, key, message->key_len) == 0)
		{
			*seen = true;
			/* A record without value is an operator's way to forget the position. */
			*found = message->payload != NULL && position_parse(message->payload, message->len, position);
			if (!*found && message->payload != NULL)
			{
				(void) err_set(err, "the record at offset %lld of %s is not a position of this release; see the manual, \"a gap\"",
							   (long long) message->offset, topic);
				rd_kafka_message_destroy(message);
				return KAFKA_REFUSED;
			}
		}
		else if (message->err != 0 && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF && kafka_classify(message->err) == KAFKA_REFUSED)
		{
			const KafkaResult result = kafka_fail(topic, message->err, rd_kafka_message_errstr(message), err);
			rd_kafka_message_destroy(message);
			return result;
		}
		rd_kafka_message_destroy(message);
		if (at_end)
			return KAFKA_OK;
	}
}

static rd_kafka_t *
open_consumer(const State *state, Err *err)
{
	rd_kafka_conf_t *conf = make_conf(state, NULL, err);
	char reason[256];

	if (conf == NULL)
		return NULL;
	if (!set(conf, "group.id", "settle-relay-position", err) || !set(conf, "isolation.level", "read_committed", err) ||
		!set(conf, "enable.partition.eof", "true", err) || !set(conf, "enable.auto.commit", "false", err) ||
		!set(conf, "auto.offset.reset", "earliest", err) || !set(conf, "fetch.wait.max.ms", "10", err))
	{
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	if (consumer == NULL)
	{
		rd_kafka_conf_destroy(conf);
		(void) err_set(err, "cannot make a Kafka consumer: %s", reason);
	}
	return consumer;
}

/* From the end backwards, in steps that grow: the topic is compacted, so the beginning is never far. */
KafkaResult
kafka_read_position(Kafka *kafka, const char *key, Position *position, bool *found, Err *err)
{
	const char *topic = kafka->state->settings->topic_position;
	rd_kafka_t *consumer = open_consumer(kafka->state, err);
	int64_t low, high;
	bool seen = false;

	*found = false;
	if (consumer == NULL)
		return KAFKA_REFUSED;
	const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(consumer, topic, 0, &low, &high, CALL_TIMEOUT_MS);
	KafkaResult result = code == 0 ? KAFKA_OK : kafka_fail(topic, code, rd_kafka_err2str(code), err);
	for (int64_t step = 200; result == KAFKA_OK && !seen && high > low; step *= 8)
	{
		const int64_t from = high - step > low ? high - step : low;

		result = scan(consumer, topic, from, high, key, position, &seen, found, err);
		if (from == low)
			break;
	}
	(void) rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	return result;
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

KafkaResult
kafka_begin(Kafka *kafka, Err *err)
{
	kafka->failed_delivery[0] = '\0';
	if (kafka->state->settings->delivery == EXACTLY_ONCE)
	{
		rd_kafka_error_t *error = rd_kafka_begin_transaction(kafka->client);
		if (error != NULL)
			return fail_error("cannot begin a transaction", error, err);
	}
	kafka->in_transaction = true;
	return KAFKA_OK;
}

KafkaResult
kafka_send(Kafka *kafka, rd_kafka_topic_t *topic, const char *key, size_t key_len, const char *value, size_t value_len,
		   bool with_header, Err *err)
{
	static const char content_type[] = ENVELOPE_CONTENT_TYPE;
	/* Positions are read from partition 0, whatever the topic has. */
	rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = topic == kafka->positions ? 0 : RD_KAFKA_PARTITION_UA},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *) value, value_len}},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *) (key_len > 0 ? key : NULL), key_len}},
		{.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"content-type", content_type, sizeof(content_type) - 1}},
	};

	for (;;)
	{
		rd_kafka_error_t *error = rd_kafka_produceva(kafka->client, fields, with_header ? 6 : 5);

		if (error == NULL)
			return KAFKA_OK;
		if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return fail_error("cannot send an event", error, err);
		rd_kafka_error_destroy(error);
		rd_kafka_poll(kafka->client, 10);
		if (kafka->failed_delivery[0] != '\0')
		{
			(void) err_set(err, "an event was not delivered: %s", kafka->failed_delivery);
			return KAFKA_BROKEN;
		}
		if (is_over(kafka))
		{
			(void) err_set(err, "Kafka takes no events");
			return KAFKA_BROKEN;
		}
	}
}

/* At least once: everything is delivered when nothing is on its way any more. */
static KafkaResult
flush(Kafka *kafka, Err *err)
{
	while (rd_kafka_flush(kafka->client, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT)
		if (kafka->failed_delivery[0] != '\0' || atomic_load(&kafka->state->stopping))
			break;
	if (kafka->failed_delivery[0] == '\0' && rd_kafka_outq_len(kafka->client) == 0)
		return KAFKA_OK;
	(void) err_set(err, "events were not delivered: %s", kafka->failed_delivery[0] ? kafka->failed_delivery : "no answer");
	return KAFKA_BROKEN;
}

KafkaResult
kafka_commit(Kafka *kafka, Err *err)
{
	kafka->in_transaction = false;
	if (kafka->state->settings->delivery == AT_LEAST_ONCE)
		return flush(kafka, err);
	rd_kafka_error_t *error = in_slices(kafka, rd_kafka_commit_transaction, COMMIT_TIMEOUT_MS);
	/* Whether it was committed all the same is decided by the stored position. */
	return error == NULL ? KAFKA_OK : fail_error("cannot commit", error, err);
}

void
kafka_poll(Kafka *kafka)
{
	rd_kafka_poll(kafka->client, 0);
}
