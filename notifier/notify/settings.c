/*
 * settings.c: what settle-notifier can be told (see settings.h).
 */
#include <stddef.h>

#include "lib/checks.h"
#include "notify/settings.h"

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

#define TEXT(key, field, standard, text) {.name = key, .type = CONF_TEXT, .offset = offsetof(Settings, field), .otherwise = standard, .help = text}
#define NUMBER(key, field, standard, low, high, text) \
	{.name = key, .type = CONF_INT, .offset = offsetof(Settings, field), .otherwise = standard, .min = low, .max = high, .reloads = true, .help = text}

const ConfKey settings_keys[] = {
	{.name = "postgres.conninfo", .type = CONF_TEXT, .offset = offsetof(Settings, conninfo), .otherwise = "", .secret = true,
	 .help = "libpq connection string of the database; PG* variables and a service file work too"},
	TEXT("topic.bills", topic_bills, "settle.bills", "topic of bill events, as settle-relay writes it"),
	TEXT("consumer.group", group, "settle-notifier", "consumer group; instances of one group share the partitions"),
	NUMBER("ingest.events", batch_events, "1000", 1, 10000, "events taken in in one transaction at most"),
	NUMBER("ingest.ms", batch_ms, "20", 1, 10000, "… or what has come in so long"),
	NUMBER("sweep.ms", sweep_ms, "1000", 100, 60000, "how often releases and leases that have ended are looked for"),
	NUMBER("quiet.spread_minutes", spread_minutes, "30", 0, 720, "notices that waited for the end of quiet hours follow one another over so long"),
	NUMBER("notice.validity_hours", validity_hours, "0", 0, 8784, "a notice that could not go out for so long is not sent any more; 0 = it always is"),
	TEXT("http.listen", listen, "127.0.0.1:9188", "address of /metrics, /healthz, /readyz; empty = none"),
	{.name = "log.level", .type = CONF_CHOICE, .offset = offsetof(Settings, log_level), .otherwise = "info", .choices = levels,
	 .reloads = true, .help = "error, warning, info or debug"},
	{.name = "log.format", .type = CONF_CHOICE, .offset = offsetof(Settings, log_format), .otherwise = "text", .choices = formats,
	 .help = "text or json"},
	{.name = NULL},
};

/* The notifier's promises rest on these. */
const ConfReserved settings_reserved[] = {
	{"group.id", "it is consumer.group"},
	{"isolation.level", "events of transactions that were aborted are no bills"},
	{"enable.auto.offset.store", "an offset is stored when its event is in the database, and no sooner"},
	{"auto.offset.reset", "it is always earliest: what is in the database already is known by its key"},
	{"enable.partition.eof", "it is the notifier's own"},
	{NULL, NULL},
};

bool
settings_check(const void *target, const Conf *conf, Err *err)
{
	const Settings *settings = target;

	if (!check_topic("topic.bills", settings->topic_bills, err))
		return false;
	if (*settings->group == '\0')
		return err_set(err, "consumer.group must not be empty");
	rd_kafka_conf_t *kafka = check_kafka(conf, err);
	if (kafka == NULL)
		return false;
	rd_kafka_conf_destroy(kafka);
	return true;
}
