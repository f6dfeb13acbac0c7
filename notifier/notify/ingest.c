/*
 * ingest.c: the thread that makes notices of events (see ingest.h).
 *
 * A batch is one database transaction: notices of its events, dead letters of those that are none. Only then its offsets are
 * stored, and librdkafka commits them by and by and when partitions are taken away. So what was taken in may come again, and
 * the notices' key knows it; what was not is never skipped. A batch that fails is tried again until it goes well: nothing of
 * what comes after it could be taken in either.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "notify/db.h"
#include "notify/event.h"
#include "notify/ingest.h"

#define LONGEST_PAUSE_MS 5000
#define MAX_BATCH 10000

struct Ingest {
	State *state;
	pthread_t thread;
	rd_kafka_t *consumer;
	rd_kafka_queue_t *queue;
	rd_kafka_message_t **messages;
	Db db;
	char last_fault[512]; /* said once, not at every attempt */
};

/* ---- one batch ---------------------------------------------------------------------------------------------------- */

typedef struct Call {
	DbParams params;
	int offsets, accounts, periods, revisions, kinds, runs, payloads;
} Call;

typedef struct Letters {
	DbParams params;
	int partitions, offsets, keys, values, reasons;
	size_t count;
} Letters;

static void
begin_call(Call *call, const State *state, int32_t partition)
{
	db_add_text(&call->params, state->settings->topic_bills);
	db_add_int4(&call->params, partition);
	call->offsets = db_begin_array(&call->params, OID_INT8);
	call->accounts = db_begin_array(&call->params, OID_INT8);
	call->periods = db_begin_array(&call->params, OID_TEXT);
	call->revisions = db_begin_array(&call->params, OID_INT4);
	call->kinds = db_begin_array(&call->params, OID_TEXT);
	call->runs = db_begin_array(&call->params, OID_INT8);
	call->payloads = db_begin_array(&call->params, OID_TEXT);
	db_add_int4(&call->params, (int32_t) (state->settings->spread_minutes * 60));
	db_add_interval_ms(&call->params, state->settings->validity_hours > 0 ? state->settings->validity_hours * 3600000 : -1);
}

static void
begin_letters(Letters *letters, const State *state)
{
	db_add_text(&letters->params, state->settings->topic_bills);
	letters->partitions = db_begin_array(&letters->params, OID_INT4);
	letters->offsets = db_begin_array(&letters->params, OID_INT8);
	letters->keys = db_begin_array(&letters->params, OID_TEXT);
	letters->values = db_begin_array(&letters->params, OID_TEXT);
	letters->reasons = db_begin_array(&letters->params, OID_TEXT);
}

static void
put_event(Call *call, const NoticeEvent *event, int64_t offset)
{
	char day[16];

	db_put_int8(&call->params, call->offsets, offset);
	db_put_int8(&call->params, call->accounts, event->account_id);
	db_put_text(&call->params, call->periods, day, (size_t) snprintf(day, sizeof(day), "%s-01", event->month));
	db_put_int4(&call->params, call->revisions, event->revision);
	db_put_text(&call->params, call->kinds, event->kind, strlen(event->kind));
	db_put_int8(&call->params, call->runs, event->run_id);
	db_put_text(&call->params, call->payloads, event->payload, strlen(event->payload));
}

/* PostgreSQL takes UTF-8 without zero bytes only; what is neither is kept by its place in the topic. */
static bool
is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		const unsigned char c = (unsigned char) text[i];
		const size_t size = c == 0 ? 0 : c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;

		if (size == 0 || i + size > len)
			return false;
		for (size_t k = 1; k < size; k++)
			if (((unsigned char) text[i + k] & 0xC0) != 0x80)
				return false;
		if ((c == 0xE0 && (unsigned char) text[i + 1] < 0xA0) || (c == 0xED && (unsigned char) text[i + 1] > 0x9F) ||
			(c == 0xF0 && (unsigned char) text[i + 1] < 0x90) || (c == 0xF4 && (unsigned char) text[i + 1] > 0x8F))
			return false;
		i += size;
	}
	return true;
}

static void
put_bytes(DbParams *params, int array, const void *bytes, size_t len)
{
	if (bytes != NULL && is_text(bytes, len))
		db_put_text(params, array, bytes, len);
	else
		db_put_null(params, array);
}

static void
put_letter(Letters *letters, const rd_kafka_message_t *message, const char *reason)
{
	db_put_int4(&letters->params, letters->partitions, message->partition);
	db_put_int8(&letters->params, letters->offsets, message->offset);
	put_bytes(&letters->params, letters->keys, message->key, message->key_len);
	put_bytes(&letters->params, letters->values, message->payload, message->len);
	put_bytes(&letters->params, letters->reasons, is_text(reason, strlen(reason)) ? reason : "it is no UTF-8", strlen(reason));
	letters->count++;
}

typedef struct Counts {
	uint64_t stored, duplicates, dead, cancelled;
} Counts;

static bool
store_call(Ingest *ingest, const Call *call, Counts *counts, Err *err)
{
	PGresult *result = db_execute(&ingest->db,
								  "SELECT stored, duplicates, dead, cancelled FROM settle.notice_ingest($1, $2, $3, $4, $5::date[], $6,"
								  " $7, $8, $9, $10, $11)",
								  &call->params, err);

	if (result == NULL)
		return false;
	counts->stored += (uint64_t) db_int8(result, 0, 0);
	counts->duplicates += (uint64_t) db_int8(result, 0, 1);
	counts->dead += (uint64_t) db_int8(result, 0, 2);
	counts->cancelled += (uint64_t) db_int8(result, 0, 3);
	PQclear(result);
	return true;
}

static bool
store_letters(Ingest *ingest, const Letters *letters, Counts *counts, Err *err)
{
	PGresult *result = db_execute(&ingest->db,
								  "INSERT INTO settle.dead_letter (topic, source_partition, source_offset, event_key, payload, reason)"
								  " SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[])"
								  " ON CONFLICT DO NOTHING RETURNING 1",
								  &letters->params, err);

	if (result == NULL)
		return false;
	counts->dead += (uint64_t) PQntuples(result);
	PQclear(result);
	return true;
}

/* The events of one partition; those of others are left for its own call. */
static bool
store_partition(Ingest *ingest, size_t count, int32_t partition, Letters *letters, Counts *counts, Err *err)
{
	Call call = {0};
	size_t events = 0;

	begin_call(&call, ingest->state, partition);
	for (size_t i = 0; i < count; i++)
	{
		const rd_kafka_message_t *message = ingest->messages[i];
		NoticeEvent event;
		Err fault;

		if (message->partition != partition || message->err != 0)
			continue;
		if (event_parse(message->payload, message->len, &event, &fault))
		{
			put_event(&call, &event, message->offset);
			events++;
		}
		else
			put_letter(letters, message, fault.text);
		free(event.payload);
	}
	const bool stored = events == 0 || store_call(ingest, &call, counts, err);
	db_forget(&call.params);
	return stored;
}

static bool
seen_before(const Ingest *ingest, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (ingest->messages[k]->partition == ingest->messages[i]->partition && ingest->messages[k]->err == 0)
			return true;
	return false;
}

static bool
store_batch(Ingest *ingest, size_t count, Counts *counts, Err *err)
{
	Letters letters = {0};
	bool stored = db_ready(&ingest->db, err) && db_run(&ingest->db, "BEGIN", err);

	begin_letters(&letters, ingest->state);
	for (size_t i = 0; stored && i < count; i++)
		if (ingest->messages[i]->err == 0 && !seen_before(ingest, i))
			stored = store_partition(ingest, count, ingest->messages[i]->partition, &letters, counts, err);
	if (stored && letters.count > 0)
		stored = store_letters(ingest, &letters, counts, err);
	if (stored)
		stored = db_run(&ingest->db, "COMMIT", err);
	if (!stored)
		db_close(&ingest->db); /* whatever it was in the middle of */
	db_forget(&letters.params);
	return stored;
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

static void
store_offsets(Ingest *ingest, size_t count)
{
	const char *topic = ingest->state->settings->topic_bills;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

	for (size_t i = 0; i < count; i++)
	{
		const rd_kafka_message_t *message = ingest->messages[i];
		rd_kafka_topic_partition_t *place;

		if (message->err != 0)
			continue;
		place = rd_kafka_topic_partition_list_find(list, topic, message->partition);
		if (place == NULL)
			place = rd_kafka_topic_partition_list_add(list, topic, message->partition);
		place->offset = message->offset + 1;
	}
	/* A partition that was taken away meanwhile is another's to read; it finds the notices there. */
	(void) rd_kafka_offsets_store(ingest->consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
}

static void
say_fault(Ingest *ingest, const char *text)
{
	if (strcmp(text, ingest->last_fault) != 0)
		log_warning("events wait", F_TEXT("reason", text));
	snprintf(ingest->last_fault, sizeof(ingest->last_fault), "%s", text);
}

static void
take_in(Ingest *ingest, size_t count)
{
	State *state = ingest->state;
	int64_t pause = 100;
	Counts counts = {0};
	Err err;

	while (!store_batch(ingest, count, &counts, &err))
	{
		counts = (Counts){0};
		atomic_store(&state->ingesting, false);
		atomic_fetch_add(&state->ingest_faults, 1);
		say_fault(ingest, err.text);
		for (int64_t waited = 0; waited < pause; waited += 50)
		{
			if (atomic_load(&state->stopping))
				return; /* it comes again */
			usleep(50000);
		}
		pause = pause * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause * 2;
	}
	store_offsets(ingest, count);
	ingest->last_fault[0] = '\0';
	atomic_store(&state->ingesting, true);
	atomic_fetch_add(&state->batches, 1);
	atomic_fetch_add(&state->events, count);
	atomic_fetch_add(&state->stored, counts.stored);
	atomic_fetch_add(&state->duplicates, counts.duplicates);
	atomic_fetch_add(&state->dead_letters, counts.dead);
	atomic_fetch_add(&state->cancelled, counts.cancelled);
}

static size_t
fetch(Ingest *ingest)
{
	const Settings *settings = ingest->state->settings;
	const int64_t until = clock_ms() + settings->batch_ms;
	const size_t wanted = (size_t) settings->batch_events;
	size_t count = 0;

	do
	{
		const ssize_t got = rd_kafka_consume_batch_queue(ingest->queue, count == 0 ? 200 : (int) settings->batch_ms,
														 ingest->messages + count, wanted - count);
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			if (ingest->messages[count + (size_t) i]->err != 0)
				say_fault(ingest, rd_kafka_message_errstr(ingest->messages[count + (size_t) i]));
		count += (size_t) got;
	} while (count < wanted && clock_ms() < until);
	return count;
}

static void *
ingest_thread(void *arg)
{
	Ingest *ingest = arg;
	State *state = ingest->state;

	while (!atomic_load(&state->stopping))
	{
		rd_kafka_topic_partition_list_t *assigned = NULL;
		const size_t count = fetch(ingest);

		atomic_store(&state->last_poll_ms, clock_ms());
		if (rd_kafka_assignment(ingest->consumer, &assigned) == 0)
		{
			atomic_store(&state->partitions, assigned->cnt);
			rd_kafka_topic_partition_list_destroy(assigned);
		}
		if (count > 0)
			take_in(ingest, count);
		for (size_t i = 0; i < count; i++)
			rd_kafka_message_destroy(ingest->messages[i]);
	}
	db_close(&ingest->db);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void
write_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	(void) client;
	LOG_AT(level <= 3 ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "librdkafka", F_TEXT("facility", facility), F_TEXT("text", text));
}

static bool
set(rd_kafka_conf_t *conf, const char *name, const char *value, Err *err)
{
	char reason[256];

	return rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK ? true
																							: err_set(err, "kafka.%s: %s", name, reason);
}

static bool
configure(const State *state, rd_kafka_conf_t *conf, Err *err)
{
	bool done = set(conf, "client.id", "settle-notifier", err) &&
				set(conf, "partition.assignment.strategy", "cooperative-sticky", err) &&
				/* Payloads wait in the database, not here. */
				set(conf, "queued.max.messages.kbytes", "16384", err) && set(conf, "queued.min.messages", "5000", err) &&
				set(conf, "fetch.max.bytes", "8388608", err);

	for (size_t i = 0; done && i < state->conf->kafka_count; i++)
		done = set(conf, state->conf->kafka[i].name, state->conf->kafka[i].value, err);
	return done && set(conf, "group.id", state->settings->group, err) && set(conf, "isolation.level", "read_committed", err) &&
		   set(conf, "enable.auto.offset.store", "false", err) && set(conf, "auto.offset.reset", "earliest", err);
}

static bool
join_group(Ingest *ingest, Err *err)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(topics, ingest->state->settings->topic_bills, RD_KAFKA_PARTITION_UA);
	const rd_kafka_resp_err_t code = rd_kafka_subscribe(ingest->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return code == 0 ? true : err_set(err, "cannot subscribe to %s: %s", ingest->state->settings->topic_bills, rd_kafka_err2str(code));
}

static void
ingest_free(Ingest *ingest)
{
	if (ingest->queue != NULL)
		rd_kafka_queue_destroy(ingest->queue);
	if (ingest->consumer != NULL)
		rd_kafka_destroy(ingest->consumer);
	free(ingest->messages);
	free(ingest);
}

Ingest *
ingest_start(State *state, Err *err)
{
	Ingest *ingest = calloc(1, sizeof(Ingest));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[256];

	ingest->state = state;
	ingest->messages = calloc(MAX_BATCH, sizeof(rd_kafka_message_t *));
	ingest->db = (Db){.conninfo = state->settings->conninfo, .name = "settle-notifier ingest"};
	rd_kafka_conf_set_log_cb(conf, write_log);
	if (!configure(state, conf, err))
	{
		rd_kafka_conf_destroy(conf);
		ingest_free(ingest);
		return NULL;
	}
	ingest->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	if (ingest->consumer == NULL)
	{
		(void) err_set(err, "cannot make a Kafka consumer: %s", reason);
		rd_kafka_conf_destroy(conf);
		ingest_free(ingest);
		return NULL;
	}
	(void) rd_kafka_poll_set_consumer(ingest->consumer);
	ingest->queue = rd_kafka_queue_get_consumer(ingest->consumer);
	if (!join_group(ingest, err) || pthread_create(&ingest->thread, NULL, ingest_thread, ingest) != 0)
	{
		ingest_free(ingest);
		return NULL;
	}
	return ingest;
}

void
ingest_stop(Ingest *ingest)
{
	pthread_join(ingest->thread, NULL);
	(void) rd_kafka_consumer_close(ingest->consumer);
	ingest_free(ingest);
}
