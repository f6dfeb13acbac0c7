/*
 * topics.c: the relay's topics, looked up, created when they are not there, and asked for their limit (see topics.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "relay/topics.h"

#define CALL_TIMEOUT_MS 10000
#define CONFIG_TIMEOUT_MS 2000
#define MESSAGE_OVERHEAD 512 /* of a batch's and record's own bytes, generously */
#define DEFAULT_MAX_VALUE 1000000

static KafkaResult
create_topic(Kafka *kafka, const char *name, int partitions, bool compacted, Err *err)
{
	const Settings *settings = kafka->state->settings;
	char reason[256];
	char retention[32];
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, (int) settings->replication, reason, sizeof(reason));
	if (topic == NULL)
	{
		(void) err_set(err, "topic %s: %s", name, reason);
		return KAFKA_REFUSED;
	}
	snprintf(retention, sizeof(retention), "%lld", (long long) settings->retention_ms);
	if (compacted)
		(void) rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
	else
		(void) rd_kafka_NewTopic_set_config(topic, "retention.ms", retention);

	rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->client);
	rd_kafka_CreateTopics(kafka->client, &topic, 1, NULL, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_TIMEOUT_MS);
	KafkaResult result = KAFKA_OK;
	rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	const char *text = event ? rd_kafka_event_error_string(event) : "no answer";
	if (event != NULL && code == 0)
	{
		size_t count;
		const rd_kafka_topic_result_t **results =
			rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
		code = rd_kafka_topic_result_error(results[0]);
		text = rd_kafka_topic_result_error_string(results[0]);
	}
	if (code != 0 && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
	{
		(void) err_set(err, "cannot create topic %s: %s", name, text ? text : rd_kafka_err2str(code));
		result = kafka_classify(code);
	}
	else if (code == 0)
		log_info("topic created", F_TEXT("topic", name), F_INT("partitions", partitions));
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(topic);
	return result;
}

/* KAFKA_OK with *exists = false when the broker does not know the topic. */
static KafkaResult
look_up_topic(Kafka *kafka, rd_kafka_topic_t *topic, bool *exists, Err *err)
{
	const struct rd_kafka_metadata *metadata;
	const rd_kafka_resp_err_t code = rd_kafka_metadata(kafka->client, 0, topic, &metadata, CALL_TIMEOUT_MS);

	if (code != 0)
		return kafka_fail(rd_kafka_topic_name(topic), code, rd_kafka_err2str(code), err);
	const rd_kafka_resp_err_t topic_code = metadata->topic_cnt > 0 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	*exists = topic_code == 0 && metadata->topics[0].partition_cnt > 0;
	rd_kafka_metadata_destroy(metadata);
	if (!*exists && topic_code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && topic_code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC &&
		topic_code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && topic_code != 0)
		return kafka_fail(rd_kafka_topic_name(topic), topic_code, rd_kafka_err2str(topic_code), err);
	return KAFKA_OK;
}

static KafkaResult
open_topic(Kafka *kafka, const char *name, int partitions, bool compacted, rd_kafka_topic_t **topic, Err *err)
{
	const int64_t give_up = clock_ms() + CALL_TIMEOUT_MS;
	bool created = false;

	*topic = rd_kafka_topic_new(kafka->client, name, NULL);
	for (;;)
	{
		bool exists;
		KafkaResult result = look_up_topic(kafka, *topic, &exists, err);

		if (result != KAFKA_OK || exists)
			return result;
		if (!kafka->state->settings->create_topics)
		{
			(void) err_set(err, "topic %s does not exist; create it, or set topic.create = on", name);
			return KAFKA_REFUSED;
		}
		if (!created)
			result = create_topic(kafka, name, partitions, compacted, err);
		if (result != KAFKA_OK)
			return result;
		created = true;
		if (clock_ms() > give_up)
		{
			(void) err_set(err, "topic %s has no leader after %d s", name, CALL_TIMEOUT_MS / 1000);
			return KAFKA_BROKEN;
		}
		rd_kafka_poll(kafka->client, 100);
	}
}

static size_t
smallest_max_value(const rd_kafka_DescribeConfigs_result_t *result, size_t max_value)
{
	size_t resources, entries;
	const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(result, &resources);

	for (size_t r = 0; r < resources; r++)
	{
		const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(found[r], &entries);

		for (size_t i = 0; entry != NULL && i < entries; i++)
		{
			const char *value = rd_kafka_ConfigEntry_value(entry[i]);

			if (strcmp(rd_kafka_ConfigEntry_name(entry[i]), "max.message.bytes") == 0 && value != NULL &&
				strtoull(value, NULL, 10) < max_value)
				max_value = (size_t) strtoull(value, NULL, 10);
		}
	}
	return max_value;
}

/*
 * The smallest limit of the topics of events, and the client's own. Brokers that do not say theirs refuse what is too
 * large; among them are those that have no controller to ask, so they are not waited for long.
 */
static void
find_max_value(Kafka *kafka)
{
	const Settings *settings = kafka->state->settings;
	rd_kafka_ConfigResource_t *topics[] = {rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, settings->topic_bills),
										   rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, settings->topic_runs),
										   rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, settings->topic_dead_letter)};
	const size_t count = settings->poison == POISON_DEAD_LETTER ? 3 : 2;
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(kafka->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->client);

	kafka->max_value = kafka_configured_number(kafka->client, "message.max.bytes", DEFAULT_MAX_VALUE);
	(void) rd_kafka_AdminOptions_set_request_timeout(options, CONFIG_TIMEOUT_MS, NULL, 0);
	rd_kafka_DescribeConfigs(kafka->client, topics, count, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CONFIG_TIMEOUT_MS);
	if (event != NULL && rd_kafka_event_error(event) == 0)
		kafka->max_value = smallest_max_value(rd_kafka_event_DescribeConfigs_result(event), kafka->max_value);
	kafka->max_batch = kafka->max_value;
	kafka->max_value -= kafka->max_value > MESSAGE_OVERHEAD ? MESSAGE_OVERHEAD : 0;
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ConfigResource_destroy_array(topics, 3);
}

KafkaResult
topics_open(Kafka *kafka, Err *err)
{
	const Settings *settings = kafka->state->settings;
	KafkaResult result = open_topic(kafka, settings->topic_bills, (int) settings->partitions, false, &kafka->bills, err);

	if (result == KAFKA_OK)
		result = open_topic(kafka, settings->topic_runs, 1, false, &kafka->runs, err);
	if (result == KAFKA_OK)
		result = open_topic(kafka, settings->topic_position, 1, true, &kafka->positions, err);
	if (result == KAFKA_OK && settings->poison == POISON_DEAD_LETTER)
		result = open_topic(kafka, settings->topic_dead_letter, 1, false, &kafka->dead_letters, err);
	if (result == KAFKA_OK)
		find_max_value(kafka);
	return result;
}
