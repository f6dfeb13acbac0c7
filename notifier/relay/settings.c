/*
 * settings.c: what settle-relay can be told (see settings.h).
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/checks.h"
#include "relay/settings.h"

static const char *const deliveries[] = {"exactly-once", "at-least-once", NULL};
static const char *const poisons[] = {"stop", "dead-letter", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

#define TEXT(key, field, standard, text) {.name = key, .type = CONF_TEXT, .offset = offsetof(Settings, field), .otherwise = standard, .help = text}
#define NUMBER(key, field, standard, low, high, text) \
	{.name = key, .type = CONF_INT, .offset = offsetof(Settings, field), .otherwise = standard, .min = low, .max = high, .help = text}
#define CHOICE(key, field, standard, list, text) \
	{.name = key, .type = CONF_CHOICE, .offset = offsetof(Settings, field), .otherwise = standard, .choices = list, .help = text}

const ConfKey settings_keys[] = {
	{.name = "postgres.conninfo", .type = CONF_TEXT, .offset = offsetof(Settings, conninfo), .otherwise = "", .secret = true,
	 .help = "libpq connection string of the database; PG* variables and a service file work too"},
	TEXT("postgres.slot", slot, "settle_relay", "replication slot, made by settle_relay_setup()"),
	NUMBER("postgres.status_ms", status_ms, "5000", 100, 60000, "longest time between status messages to PostgreSQL"),
	NUMBER("postgres.silence_ms", silence_ms, "60000", 1000, 3600000, "reconnect after so long without a byte from PostgreSQL"),
	CHOICE("relay.delivery", delivery, "exactly-once", deliveries, "exactly-once needs a broker with transactions"),
	CHOICE("relay.poison", poison, "stop", poisons, "an event too large for the topic stops the relay, or goes to topic.dead_letter"),
	TEXT("relay.source", source, "settle", "source of the CloudEvents: deployment and node"),
	TEXT("topic.bills", topic_bills, "settle.bills", "topic of bill events; key = account id"),
	TEXT("topic.runs", topic_runs, "settle.runs", "topic of run events"),
	TEXT("topic.position", topic_position, "settle.relay.position", "compacted topic that keeps how far the relay is"),
	TEXT("topic.dead_letter", topic_dead_letter, "settle.dead-letter", "topic of events that are too large: id and reason"),
	{.name = "topic.create", .type = CONF_BOOL, .offset = offsetof(Settings, create_topics), .otherwise = "on",
	 .help = "create topics that do not exist"},
	NUMBER("topic.partitions", partitions, "6", 1, 100000, "partitions of a bills topic that is created"),
	NUMBER("topic.replication", replication, "-1", -1, 100, "replication of topics that are created; -1 = the broker's default"),
	NUMBER("topic.retention_ms", retention_ms, "-1", -1, INT64_MAX, "retention of topics that are created; -1 = for ever"),
	NUMBER("transaction.events", transaction_events, "50000", 1, 1000000, "a Kafka transaction ends after so many events"),
	NUMBER("transaction.ms", transaction_ms, "100", 1, 60000, "… or so long after its first one; up to a second later while more are waiting"),
	NUMBER("buffer.kb", buffer_kb, "16384", 256, 1048576, "bytes read ahead of Kafka before PostgreSQL is made to wait"),
	TEXT("http.listen", listen, "127.0.0.1:9187", "address of /metrics, /healthz, /readyz; empty = none"),
	{.name = "log.level", .type = CONF_CHOICE, .offset = offsetof(Settings, log_level), .otherwise = "info", .choices = levels,
	 .reloads = true, .help = "error, warning, info or debug"},
	CHOICE("log.format", log_format, "text", formats, "text or json"),
	{.name = NULL},
};

/* The relay's promises rest on these. */
const ConfReserved settings_reserved[] = {
	{"transactional.id", "it is made of the cluster's identity, the database and the slot, so that two relays fence each other"},
	{"enable.idempotence", "it is always on: without it a broker's retry could double or reorder events"},
	{"acks", "it is always all: an event that was acknowledged must not be lost with a broker"},
	{"max.in.flight", "the order of an account's events rests on the idempotent producer's limit"},
	{"max.in.flight.requests.per.connection", "the order of an account's events rests on the idempotent producer's limit"},
	{"message.timeout.ms", "a message that times out would leave a gap; the relay waits instead"},
	{"delivery.timeout.ms", "a message that times out would leave a gap; the relay waits instead"},
	{"partitioner", "it is murmur2_random, so that Java clients find an account's events where they expect them"},
	{"isolation.level", "the relay reads its position as read_committed"},
	{"dr_msg_cb", "it is the relay's own"},
	{"delivery.report.only.error", "it is the relay's own"},
	{NULL, NULL},
};

/* ---- what must hold between them -------------------------------------------------------------------------------- */

#define LONGEST_SLOT 63

static bool
check_slot(const char *slot, Err *err)
{
	const size_t len = strlen(slot);

	if (len >= 1 && len <= LONGEST_SLOT && strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_") == len)
		return true;
	return err_set(err, "postgres.slot must be 1 to %d lower-case letters, digits and underscores, not \"%.200s\"", LONGEST_SLOT, slot);
}

/* Positions among events would be read as events, and compacted together with them. */
static bool
check_topics(const Settings *settings, Err *err)
{
	const struct {
		const char *key, *topic;
	} topics[] = {{"topic.bills", settings->topic_bills},
				  {"topic.runs", settings->topic_runs},
				  {"topic.position", settings->topic_position},
				  {"topic.dead_letter", settings->topic_dead_letter}};

	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
	{
		if (!check_topic(topics[i].key, topics[i].topic, err))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(topics[i].topic, topics[j].topic) == 0)
				return err_set(err, "%s and %s must be two topics, not both %s", topics[j].key, topics[i].key, topics[i].topic);
	}
	return true;
}

/* The broker aborts a transaction that lasts too long, and counts from its first event; to commit takes time as well. */
static bool
check_transaction(const Settings *settings, rd_kafka_conf_t *kafka, Err *err)
{
	char text[32];
	size_t size = sizeof(text);

	if (settings->delivery != EXACTLY_ONCE || rd_kafka_conf_get(kafka, "transaction.timeout.ms", text, &size) != RD_KAFKA_CONF_OK)
		return true;
	const int64_t timeout = strtoll(text, NULL, 10);
	if (settings->transaction_ms <= timeout / 2)
		return true;
	return err_set(err, "transaction.ms must be at most half of kafka.transaction.timeout.ms, which is %" PRId64 ", not %" PRId64,
				   timeout, settings->transaction_ms);
}

bool
settings_check(const void *target, const Conf *conf, Err *err)
{
	const Settings *settings = target;

	if (!check_slot(settings->slot, err) || !check_topics(settings, err))
		return false;
	if (*settings->source == '\0')
		return err_set(err, "relay.source must not be empty: a CloudEvent has a source");
	rd_kafka_conf_t *kafka = check_kafka(conf, err);
	if (kafka == NULL)
		return false;
	const bool fits = check_transaction(settings, kafka, err);
	rd_kafka_conf_destroy(kafka);
	return fits;
}
