/*
 * checks.c: what the daemons' own checks of their settings have in common (see checks.h).
 */
#include <string.h>

#include "lib/checks.h"

#define LONGEST_TOPIC 249

bool
check_topic(const char *key, const char *topic, Err *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const size_t len = strlen(topic);

	if (len >= 1 && len <= LONGEST_TOPIC && strspn(topic, letters) == len && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0)
		return true;
	return err_set(err, "%s must be the name of a topic: 1 to %d letters, digits, dots, underscores and hyphens, not \"%.300s\"",
				   key, LONGEST_TOPIC, topic);
}

rd_kafka_conf_t *
check_kafka(const Conf *conf, Err *err)
{
	rd_kafka_conf_t *kafka = rd_kafka_conf_new();
	char reason[256];
	size_t size = 0;

	for (size_t i = 0; i < conf->kafka_count; i++)
		if (rd_kafka_conf_set(kafka, conf->kafka[i].name, conf->kafka[i].value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK)
		{
			(void) err_set(err, "kafka.%.100s: %s", conf->kafka[i].name, reason);
			rd_kafka_conf_destroy(kafka);
			return NULL;
		}
	/* The size counts the final zero; kafka.metadata.broker.list is the same property. */
	if (rd_kafka_conf_get(kafka, "bootstrap.servers", NULL, &size) == RD_KAFKA_CONF_OK && size > 1)
		return kafka;
	(void) err_set(err, "kafka.bootstrap.servers is missing: the brokers to begin with, HOST:PORT, separated by commas");
	rd_kafka_conf_destroy(kafka);
	return NULL;
}
