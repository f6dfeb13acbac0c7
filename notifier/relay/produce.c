/*
 * produce.c: the thread that brings frames into Kafka, exactly once (see produce.h).
 *
 * A Kafka transaction takes rows until it has transaction.events of them or its first one is transaction.ms old. Its last
 * record is the position: where replication restarts, and the last row that is in. So after any crash the stored position
 * and the events agree, and what PostgreSQL sends again is left out. PostgreSQL is told to forget only what is committed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "relay/envelope.h"
#include "relay/kafka.h"
#include "relay/produce.h"
#include "relay/recorder.h"

#define IDLE_POSITION_MS 10000 /* how often an idle position is stored at most */
#define BACKLOG_MS 1000        /* how much older a transaction may get while more rows are waiting */

typedef struct Producer {
	State *state;
	Kafka *kafka;
	uint64_t epoch;
	Identity identity; /* what this epoch is for */
	bool has_stored;   /* a position lies in Kafka under its key, as far as this process knows */
	Position position; /* of what is in Kafka, including the open Kafka transaction */
	bool started;      /* the stream of this epoch has begun */
	bool inside;       /* of a database transaction: its last frame has not come */
	uint64_t events;   /* of the open Kafka transaction; 0 = none is open */
	int64_t commit_time; /* of the last row's database transaction */
	int64_t first_ms;  /* when it was opened */
	uint64_t idle_lsn; /* nothing of ours lies before; to be acknowledged when all is committed */
	int64_t idle_ms;   /* when an idle position was stored last */
	char *value;
	size_t value_size;
} Producer;

typedef enum Verdict { GO_ON, BREAK_OFF, HALT } Verdict;

void
item_free(void *pointer)
{
	Item *item = pointer;

	if (item->frame != NULL)
		PQfreemem(item->frame);
	free(item);
}

static Verdict
give_up(Producer *producer, KafkaResult result, const char *reason)
{
	const bool refused = result == KAFKA_REFUSED;

	state_report(producer->state, refused ? PRODUCER_HALTED : PRODUCER_BROKEN, refused ? END_KAFKA : END_OK, reason);
	return refused ? HALT : BREAK_OFF;
}

/* ---- transactions ----------------------------------------------------------------------------------------------- */

static Verdict
begin(Producer *producer)
{
	Err err;

	if (producer->events > 0 || producer->kafka->in_transaction)
		return GO_ON;
	const KafkaResult result = kafka_begin(producer->kafka, &err);
	if (result != KAFKA_OK)
		return give_up(producer, result, err.text);
	producer->first_ms = clock_ms();
	atomic_store(&producer->state->oldest_pending_ms, producer->first_ms);
	atomic_store(&producer->state->outstanding, true);
	return GO_ON;
}

static void
measure_commit(State *state, int64_t milliseconds)
{
	static const int64_t bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000};
	size_t bucket = 0;

	while (bucket < sizeof(bounds) / sizeof(bounds[0]) && milliseconds > bounds[bucket])
		bucket++;
	atomic_fetch_add(&state->commit_buckets[bucket], 1);
	atomic_fetch_add(&state->commit_sum_us, (uint64_t) milliseconds * 1000);
	atomic_fetch_add(&state->kafka_transactions, 1);
}

static KafkaResult
send_position(Producer *producer, Err *err)
{
	char text[POSITION_TEXT_SIZE];
	const char *key = producer->identity.position_key;
	const int len = position_print(&producer->position, text, sizeof(text));

	return kafka_send(producer->kafka, producer->kafka->positions, key, strlen(key), text, (size_t) len, false, err);
}

/* At least once there is no transaction to hold events and position together: the position follows when they are in. */
static KafkaResult
commit_all(Producer *producer, Err *err)
{
	KafkaResult result = KAFKA_OK;

	if (producer->state->settings->delivery == AT_LEAST_ONCE)
		result = kafka_commit(producer->kafka, err);
	if (result == KAFKA_OK)
		result = send_position(producer, err);
	if (result == KAFKA_OK)
		result = kafka_commit(producer->kafka, err);
	return result;
}

static Verdict
commit(Producer *producer)
{
	State *state = producer->state;
	Err err;

	if (!producer->kafka->in_transaction)
		return GO_ON;
	if (producer->idle_lsn > producer->position.restart_lsn && !producer->inside)
		producer->position.restart_lsn = producer->idle_lsn;
	const int64_t began = clock_ms();
	const KafkaResult result = commit_all(producer, &err);
	if (result != KAFKA_OK)
		return give_up(producer, result, err.text);

	measure_commit(state, clock_ms() - began);
	log_debug("committed", F_INT("events", (int64_t) producer->events), F_INT("ms", clock_ms() - began));
	producer->has_stored = true;
	atomic_fetch_add(&state->events, producer->events);
	if (producer->events > 0)
		recorder_progress(state->recorder, &producer->position, producer->commit_time);
	producer->events = 0;
	producer->idle_ms = clock_ms();
	atomic_store(&state->oldest_pending_ms, 0);
	atomic_store(&state->flushed_lsn, producer->position.restart_lsn);
	atomic_store(&state->outstanding, producer->inside);
	state->wake_main(state->wake_arg);
	return GO_ON;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static Verdict
too_large(Producer *producer, const FrameRow *row, uint64_t commit_lsn, size_t len)
{
	State *state = producer->state;
	char reason[512];
	char value[1024];
	Err err;

	atomic_fetch_add(&state->poison, 1);
	snprintf(reason, sizeof(reason), "event %.*s has %zu bytes, topics take %zu", (int) (row->id_len < 200 ? row->id_len : 200),
			 row->id, len, producer->kafka->max_value);
	const bool stop = state->settings->poison == POISON_STOP;
	const bool recorded = recorder_refuse(state->recorder, row, commit_lsn, stop ? "stop" : "dead-letter", reason, &err);
	if (stop)
	{
		if (!recorded)
			log_warning("the database is not told of it", F_TEXT("reason", err.text));
		state_report(state, PRODUCER_HALTED, END_POISON, reason);
		return HALT;
	}
	if (!recorded)
		return give_up(producer, KAFKA_BROKEN, err.text);
	log_warning("event goes to the dead letters", F_TEXT("reason", reason));
	const int value_len = snprintf(value, sizeof(value), "{\"id\":\"%.*s\",\"reason\":\"too large\",\"bytes\":%zu,\"limit\":%zu}",
								   (int) (row->id_len < 200 ? row->id_len : 200), row->id, len, producer->kafka->max_value);
	const KafkaResult result = kafka_send(producer->kafka, producer->kafka->dead_letters, row->id, row->id_len, value,
										  (size_t) value_len, false, &err);
	return result == KAFKA_OK ? GO_ON : give_up(producer, result, err.text);
}

static size_t
write_envelope(Producer *producer, const FrameRow *row)
{
	for (;;)
	{
		const size_t len = envelope_write(row, producer->state->settings->source, producer->value, producer->value_size);

		if (len <= producer->value_size)
			return len;
		producer->value_size = len;
		producer->value = realloc(producer->value, len);
	}
}

static Verdict
send_row(Producer *producer, const FrameRow *row, uint64_t commit_lsn)
{
	const bool of_run = row->type_len > 4 && memcmp(row->type, "run.", 4) == 0;
	const size_t len = write_envelope(producer, row);
	Err err;

	if (len > producer->kafka->max_value)
		return too_large(producer, row, commit_lsn, len);
	const KafkaResult result = kafka_send(producer->kafka, of_run ? producer->kafka->runs : producer->kafka->bills, row->key,
										  row->key_len, producer->value, len, true, &err);
	if (result != KAFKA_OK)
		return give_up(producer, result, err.text);
	atomic_fetch_add(&producer->state->bytes, len);
	position_count(&producer->position, row->period);
	return GO_ON;
}

/*
 * A commit costs two round trips in which nothing is sent. So while rows are waiting a transaction goes on past its time:
 * the reader of a backlog gains more by the speed than by seeing its first rows early.
 */
static bool
is_due(const Producer *producer)
{
	const Settings *settings = producer->state->settings;

	if (producer->events >= (uint64_t) settings->transaction_events)
		return true;
	if (producer->events == 0)
		return false;
	const int64_t late_ms = clock_ms() - producer->first_ms - settings->transaction_ms;
	return late_ms >= BACKLOG_MS || (late_ms >= 0 && queue_bytes(producer->state->queue) == 0);
}

static Verdict
send_rows(Producer *producer, const FrameHeader *header, FrameReader *reader)
{
	uint64_t ordinal = header->first_ordinal;
	FrameRow row;

	for (; frame_next(reader, &row); ordinal++)
	{
		if (position_covers(&producer->position, header->commit_lsn, ordinal))
		{
			atomic_fetch_add(&producer->state->suppressed, 1);
			continue;
		}
		Verdict verdict = begin(producer);
		if (verdict == GO_ON)
			verdict = send_row(producer, &row, header->commit_lsn);
		if (verdict != GO_ON)
			return verdict;
		producer->events++;
		producer->position.commit_lsn = header->commit_lsn;
		producer->position.next_ordinal = ordinal + 1;
		producer->commit_time = header->commit_time;
		if (producer->events >= (uint64_t) producer->state->settings->transaction_events && commit(producer) != GO_ON)
			return BREAK_OFF;
	}
	return GO_ON;
}

static Verdict
take_frame(Producer *producer, const Item *item)
{
	FrameHeader header;
	FrameReader reader;
	const char *fault = frame_open(item->data, item->size, &header, &reader);

	if (fault != NULL)
	{
		char reason[256];

		snprintf(reason, sizeof(reason), "PostgreSQL sent a frame that cannot be read: %s", fault);
		return give_up(producer, KAFKA_BROKEN, reason);
	}
	producer->inside = true;
	const Verdict verdict = send_rows(producer, &header, &reader);
	if (verdict != GO_ON)
		return verdict;
	if (header.last)
	{
		producer->inside = false;
		if (header.end_lsn > producer->position.restart_lsn)
			producer->position.restart_lsn = header.end_lsn;
		atomic_fetch_add(&producer->state->transactions, 1);
		atomic_store(&producer->state->last_commit_time, header.commit_time);
	}
	return GO_ON;
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

/* An idle position is stored before PostgreSQL is told, so that the slot never gets ahead of what is stored. */
static Verdict
store_idle(Producer *producer)
{
	const uint64_t stored = atomic_load(&producer->state->flushed_lsn);

	/* The end of a transaction whose last event filled a Kafka transaction is not stored yet. */
	if (producer->inside || (producer->idle_lsn <= stored && producer->position.restart_lsn <= stored))
		return GO_ON;
	const Verdict verdict = begin(producer);
	return verdict == GO_ON ? commit(producer) : verdict;
}

static Verdict
take_item(Producer *producer, const Item *item)
{
	if (item->kind == ITEM_START && item->epoch == producer->epoch)
	{
		/* The stream begins anew: what the old one brought is right, and what comes again will be left out. */
		producer->started = true;
		producer->inside = false;
		/* Without a stored position it is the slot's: the first one stored may be of half a transaction. */
		if (producer->position.restart_lsn < item->lsn)
			producer->position.restart_lsn = item->lsn;
		return commit(producer);
	}
	if (!producer->started || item->epoch != producer->epoch)
		return GO_ON;
	switch (item->kind)
	{
		case ITEM_FRAME:
			return take_frame(producer, item);
		case ITEM_IDLE:
			if (item->lsn > producer->idle_lsn)
				producer->idle_lsn = item->lsn;
			return GO_ON;
		case ITEM_FLUSH:
			if (item->lsn > producer->idle_lsn)
				producer->idle_lsn = item->lsn;
			return producer->events > 0 ? commit(producer) : store_idle(producer);
		case ITEM_START:
			break;
	}
	return GO_ON;
}

static int64_t
wait_ms(const Producer *producer)
{
	if (producer->events == 0)
		return 200;
	const int64_t left = producer->first_ms + producer->state->settings->transaction_ms - clock_ms();
	return left > 0 ? left : 0;
}

static Verdict
turn(Producer *producer)
{
	Item *item = queue_pop(producer->state->queue, wait_ms(producer));
	Verdict verdict = GO_ON;

	kafka_poll(producer->kafka);
	if (item != NULL)
	{
		verdict = take_item(producer, item);
		item_free(item);
	}
	if (verdict == GO_ON && is_due(producer))
		verdict = commit(producer);
	if (verdict == GO_ON && item == NULL && producer->events == 0 && producer->started &&
		clock_ms() - producer->idle_ms >= IDLE_POSITION_MS)
		verdict = store_idle(producer);
	return verdict;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* A position that this process has seen does not vanish by itself: beginning anew would send all again, or leave a gap. */
static Verdict
miss_position(Producer *producer)
{
	char reason[512];

	snprintf(reason, sizeof(reason),
			 "the position of %s is gone from topic %s: it was deleted, or the topic forgets (its cleanup.policy must be compact);"
			 " see the manual, \"a gap\"",
			 producer->identity.position_key, producer->state->settings->topic_position);
	state_report(producer->state, PRODUCER_HALTED, END_GAP, reason);
	return HALT;
}

static Verdict
read_position(Producer *producer)
{
	State *state = producer->state;
	Position position = {0};
	bool found = false;
	Err err;
	const KafkaResult result = kafka_read_position(producer->kafka, producer->identity.position_key, &position, &found, &err);

	if (result != KAFKA_OK)
		return give_up(producer, result, err.text);
	if (!found && producer->has_stored)
		return miss_position(producer);
	if (!found)
		position = (Position){0};
	else
		recorder_progress(state->recorder, &position, 0); /* a relay that was killed may not have told of it */
	producer->has_stored = found;
	producer->position = position;
	snprintf(producer->position.system_id, sizeof(producer->position.system_id), "%s", producer->identity.system_id);
	producer->position.timeline = producer->identity.timeline;
	pthread_mutex_lock(&state->mutex);
	state->position = position;
	state->has_position = found;
	pthread_mutex_unlock(&state->mutex);
	atomic_store(&state->flushed_lsn, position.restart_lsn);
	return GO_ON;
}

static Verdict
open_producer(Producer *producer)
{
	State *state = producer->state;
	const Identity before = producer->identity;
	Err err;

	state_report(state, PRODUCER_OPENING, END_OK, "");
	pthread_mutex_lock(&state->mutex);
	producer->identity = state->wanted;
	pthread_mutex_unlock(&state->mutex);
	if (strcmp(before.position_key, producer->identity.position_key) != 0)
		producer->has_stored = false;
	const KafkaResult result = kafka_open(state, &producer->identity, &producer->kafka, &err);
	if (result != KAFKA_OK)
		return give_up(producer, result, err.text);

	producer->started = producer->inside = false;
	producer->events = 0;
	producer->idle_lsn = 0;
	producer->idle_ms = clock_ms();
	const Verdict verdict = read_position(producer);
	if (verdict != GO_ON)
		return verdict;
	atomic_store(&state->outstanding, false);
	state_report(state, PRODUCER_READY, END_OK, "");
	return GO_ON;
}

static void
close_producer(Producer *producer)
{
	kafka_close(producer->kafka);
	producer->kafka = NULL;
	atomic_store(&producer->state->oldest_pending_ms, 0);
	atomic_store(&producer->state->outstanding, false);
}

static void
serve_epoch(Producer *producer)
{
	State *state = producer->state;
	Verdict verdict = open_producer(producer);

	while (verdict == GO_ON && atomic_load(&state->wanted_epoch) == producer->epoch && !atomic_load(&state->stopping))
		verdict = turn(producer);
	/* On the way out: what was read is brought to its place. */
	if (verdict == GO_ON && atomic_load(&state->stopping))
	{
		Item *item;

		while (verdict == GO_ON && (item = queue_pop(state->queue, 0)) != NULL)
		{
			verdict = take_item(producer, item);
			item_free(item);
		}
		if (verdict == GO_ON)
			verdict = producer->events > 0 ? commit(producer) : store_idle(producer);
	}
	close_producer(producer);
	if (verdict == GO_ON)
		state_report(state, PRODUCER_IDLE, END_OK, "");
}

void *
produce_thread(void *arg)
{
	State *state = arg;
	Producer producer = {.state = state, .value_size = 65536};

	producer.value = malloc(producer.value_size);
	while (!atomic_load(&state->stopping))
	{
		const uint64_t wanted = atomic_load(&state->wanted_epoch);

		if (wanted == producer.epoch || wanted == 0)
		{
			/* Items of a stream that is over. */
			Item *item = queue_pop(state->queue, 50);
			if (item != NULL)
				item_free(item);
			continue;
		}
		producer.epoch = wanted;
		serve_epoch(&producer);
	}
	free(producer.value);
	state_report(state, PRODUCER_IDLE, END_OK, "");
	return NULL;
}
