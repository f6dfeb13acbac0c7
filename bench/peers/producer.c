/*
 * producer.c: a bare librdkafka producer, and the topics of bench/relay.
 *
 *   producer BROKER create TOPIC PARTITIONS [KEY=VALUE …]
 *   producer BROKER delete TOPIC …
 *   producer BROKER send TOPIC FILE EVENTS    events of a file, in transactions of EVENTS, as settle-relay would send them
 *
 * FILE holds for each event its key, a newline, the length of its value as 4 bytes (big-endian), and the value: what
 * `kcat -f '%k\n%R%s'` writes. It is read before the clock starts. `send` prints events, seconds from the first event to the
 * last commit, and the CPU seconds of that time. What it does beyond that is nothing: this is how fast the relay could be.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 30000

typedef struct Events {
	char *data;
	size_t size;
	uint64_t count;
} Events;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "producer: %s: %s\n", what, why);
	exit(1);
}

static void
check(const char *what, rd_kafka_error_t *error)
{
	if (error != NULL)
		die(what, rd_kafka_error_string(error));
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK)
		die(name, reason);
}

/* The settings of notifier/relay/kafka.c. Errors only: that a broker is still loading its transactions is none. */
static rd_kafka_t *
open_producer(const char *broker, bool transactional)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[256];

	set(conf, "bootstrap.servers", broker);
	set(conf, "log_level", "3");
	set(conf, "socket.nagle.disable", "true");
	set(conf, "queue.buffering.max.kbytes", "8192");
	set(conf, "queue.buffering.max.messages", "200000");
	set(conf, "linger.ms", "5");
	set(conf, "compression.codec", "lz4");
	set(conf, "acks", "all");
	set(conf, "enable.idempotence", "true");
	set(conf, "partitioner", "murmur2_random");
	set(conf, "delivery.report.only.error", "true");
	if (transactional)
		set(conf, "transactional.id", "bench-producer");
	rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (producer == NULL)
		die("cannot make a producer", reason);
	return producer;
}

/* ---- topics ----------------------------------------------------------------------------------------------------- */

/* Which call it was, its result tells. */
static void
await(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
	const rd_kafka_topic_result_t **results;
	size_t count = 0;

	if (event == NULL)
		die("topics", "the broker does not answer");
	if (rd_kafka_event_error(event))
		die("topics", rd_kafka_event_error_string(event));
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
		results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
	else
		results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_topic_result_error(results[i]))
			die(rd_kafka_topic_result_name(results[i]), rd_kafka_topic_result_error_string(results[i]));
	rd_kafka_event_destroy(event);
}

static void
create_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, int count, char **words)
{
	char reason[256];
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(words[0], atoi(words[1]), 1, reason, sizeof(reason));

	if (topic == NULL)
		die(words[0], reason);
	for (int i = 2; i < count; i++)
	{
		char *value = strchr(words[i], '=');
		if (value == NULL)
			die(words[i], "not KEY=VALUE");
		*value++ = '\0';
		(void) rd_kafka_NewTopic_set_config(topic, words[i], value);
	}
	rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
	await(queue);
	rd_kafka_NewTopic_destroy(topic);
}

static void
delete_topics(rd_kafka_t *client, rd_kafka_queue_t *queue, int count, char **words)
{
	for (int i = 0; i < count; i++)
	{
		rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(words[i]);

		rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
		await(queue);
		rd_kafka_DeleteTopic_destroy(topic);
	}
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static Events
load(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	Events events = {0};

	if (file == NULL || fstat(fileno(file), &status) != 0)
		die(path, "cannot be read");
	events.size = (size_t) status.st_size;
	events.data = malloc(events.size);
	if (events.data == NULL || fread(events.data, 1, events.size, file) != events.size)
		die(path, "cannot be read");
	(void) fclose(file);
	return events;
}

static void
send_event(rd_kafka_t *producer, rd_kafka_topic_t *topic, const char *key, size_t key_len, const char *value, size_t value_len)
{
	static const char content_type[] = "application/cloudevents+json";
	const rd_kafka_vu_t fields[] = {
		{.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *) value, value_len}},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *) (key_len > 0 ? key : NULL), key_len}},
		{.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"content-type", content_type, sizeof(content_type) - 1}},
	};
	rd_kafka_error_t *error;

	while ((error = rd_kafka_produceva(producer, fields, 5)) != NULL)
	{
		if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			check("cannot send", error);
		rd_kafka_error_destroy(error);
		rd_kafka_poll(producer, 10);
	}
}

static void
send_all(rd_kafka_t *producer, rd_kafka_topic_t *topic, Events *events, uint64_t at_once)
{
	const char *at = events->data;
	const char *end = events->data + events->size;

	while (at < end)
	{
		check("begin", rd_kafka_begin_transaction(producer));
		for (uint64_t i = 0; i < at_once && at < end; i++, events->count++)
		{
			const char *newline = memchr(at, '\n', (size_t) (end - at));
			uint32_t len;

			if (newline == NULL || end - newline < 5)
				die("the file of events", "is cut short");
			memcpy(&len, newline + 1, sizeof(len));
			len = ntohl(len);
			if (len > (size_t) (end - newline - 5))
				die("the file of events", "is cut short");
			send_event(producer, topic, at, (size_t) (newline - at), newline + 5, len);
			at = newline + 5 + len;
		}
		check("commit", rd_kafka_commit_transaction(producer, TIMEOUT_MS));
	}
}

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double
clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
send_file(rd_kafka_t *producer, const char *name, const char *path, uint64_t at_once)
{
	Events events = load(path);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);
	const struct rd_kafka_metadata *metadata;

	if (topic == NULL || at_once == 0 || rd_kafka_metadata(producer, 0, topic, &metadata, TIMEOUT_MS) != 0)
		die(name, "cannot be opened");
	rd_kafka_metadata_destroy(metadata);
	check("init", rd_kafka_init_transactions(producer, TIMEOUT_MS));

	const double began = clock_seconds();
	const double cpu = cpu_seconds();
	send_all(producer, topic, &events, at_once);
	printf("%llu %.3f %.3f\n", (unsigned long long) events.count, clock_seconds() - began, cpu_seconds() - cpu);
	rd_kafka_topic_destroy(topic);
	free(events.data);
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 3 ? argv[2] : "";
	const bool sends = strcmp(verb, "send") == 0 && argc == 6;
	const bool creates = strcmp(verb, "create") == 0 && argc >= 5;

	if (!sends && !creates && strcmp(verb, "delete") != 0)
	{
		fprintf(stderr, "usage: producer BROKER create TOPIC PARTITIONS [KEY=VALUE …] | delete TOPIC … | send TOPIC FILE EVENTS\n");
		return 2;
	}
	rd_kafka_t *client = open_producer(argv[1], sends);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	if (sends)
		send_file(client, argv[3], argv[4], strtoull(argv[5], NULL, 10));
	else if (creates)
		create_topic(client, queue, argc - 3, argv + 3);
	else
		delete_topics(client, queue, argc - 3, argv + 3);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(client);
	return 0;
}
