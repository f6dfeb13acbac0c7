/*
 * main.c: settle-relay, one per database: the outbox of PostgreSQL to Kafka, exactly once.
 *
 * The main thread is a libuv loop that owns PostgreSQL's socket and decides what comes next; the producer thread owns Kafka
 * (produce.c). The course of things:
 *
 *   WAITING ──► connect, look at the slot ──► OPENING: the producer opens, reads the position ──► STREAMING
 *      ▲               │ in use: hot standby            │ broken                                    │ lost, broken
 *      └───────────────┴────────────────────────────────┴───────────────────────────────────────────┘ after a pause
 *
 * Only one relay streams from a slot; another one waits here until the slot is free. What cannot be mended ends the process
 * with a status of its own (state.h).
 */
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/http.h"
#include "lib/log.h"
#include "lib/version.h"
#include "relay/metrics.h"
#include "relay/produce.h"
#include "relay/recorder.h"
#include "relay/stream.h"

#define TICK_MS 50
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 30000
#define STANDBY_PAUSE_MS 500
#define MALLOC_KEEPS (64 * 1024 * 1024)
#define CALM_MS 60000 /* after so long without a fault pauses are short again */
#define SET_BACK_MS 5000

typedef enum Phase { WAITING, OPENING, STREAMING } Phase;

typedef struct Relay {
	Settings settings;
	Conf conf;
	State state;
	Stream stream;
	Phase phase;
	uv_loop_t loop;
	uv_timer_t tick;
	uv_async_t wake;
	uv_signal_t hangup;
	uv_poll_t *poll; /* NULL = there is no stream */
	bool paused;   /* the producer's queue is full */
	bool once;
	uint64_t once_lsn; /* with --once: the server's end of WAL when streaming began */
	bool ending;
	Ending status;
	pthread_t producer;
	int64_t resume_ms;
	int64_t pause_ms;
	int64_t calm_since_ms;
	bool standby; /* said so already */
	int64_t clock_lead_ms; /* of the wall clock before the monotonic one */
	char **argv;
} Relay;

static void on_readable(uv_poll_t *handle, int status, int events);

/* ---- endings ---------------------------------------------------------------------------------------------------- */

static void
finish(Relay *relay, Ending status, const char *reason)
{
	if (relay->ending)
		return;
	relay->ending = true;
	relay->status = status;
	if (status != END_OK)
		log_error("the relay ends", F_TEXT("reason", reason), F_INT("status", status));
	else
		log_info("draining", F_TEXT("reason", reason));
	atomic_store(&relay->state.stopping, true);
	queue_wake(relay->state.queue);
	uv_stop(&relay->loop);
}

static void
forget_poll(uv_handle_t *handle)
{
	free(handle);
}

static void
leave_stream(Relay *relay)
{
	if (relay->poll != NULL)
	{
		uv_poll_stop(relay->poll);
		uv_close((uv_handle_t *) relay->poll, forget_poll);
		relay->poll = NULL;
	}
	stream_close(&relay->stream);
	atomic_store(&relay->state.connected, 0);
	relay->paused = false;
}

/* Back to the start, after a pause that grows from fault to fault. */
static void
start_over(Relay *relay, const char *what, const char *reason)
{
	const int64_t now = clock_ms();

	if (relay->ending)
		return;
	leave_stream(relay);
	relay->phase = WAITING;
	if (atomic_load(&relay->state.signal) != 0)
		return; /* the next tick ends it */
	if (relay->calm_since_ms != 0 && now - relay->calm_since_ms > CALM_MS)
		relay->pause_ms = FIRST_PAUSE_MS;
	relay->calm_since_ms = 0;
	const int64_t pause = relay->pause_ms / 2 + (int64_t) (random() % (relay->pause_ms / 2 + 1));
	log_warning(what, F_TEXT("reason", reason), F_INT("retry_ms", pause));
	relay->pause_ms = relay->pause_ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : relay->pause_ms * 2;
	relay->resume_ms = now + pause;
}

static void
wait_in_standby(Relay *relay)
{
	leave_stream(relay);
	if (!relay->standby)
		log_info("the slot is in use by another relay; waiting for it as hot standby",
				 F_TEXT("slot", relay->settings.slot));
	relay->standby = true;
	atomic_store(&relay->state.wanted_epoch, 0);
	queue_clear(relay->state.queue, item_free);
	relay->resume_ms = clock_ms() + STANDBY_PAUSE_MS / 2 + random() % STANDBY_PAUSE_MS;
	relay->phase = WAITING;
}

/* ---- phases ----------------------------------------------------------------------------------------------------- */

static void
begin_streaming(Relay *relay)
{
	State *state = &relay->state;
	Position position;
	Ending ending = END_INTERNAL;
	Err err;

	pthread_mutex_lock(&state->mutex);
	position = state->position;
	bool has_position = state->has_position;
	pthread_mutex_unlock(&state->mutex);
	/* After a reconnect the producer knows better than what was stored when it was opened. */
	const uint64_t flushed = atomic_load(&state->flushed_lsn);
	if (flushed > position.restart_lsn)
	{
		/* It is the same server: any other would have had to be asked for its position (connect_and_look). */
		position.restart_lsn = flushed;
		snprintf(position.system_id, sizeof(position.system_id), "%s", state->wanted.system_id);
		position.timeline = state->wanted.timeline;
		has_position = true;
	}
	const StreamResult result = stream_start(&relay->stream, &position, has_position, &ending, &err);
	if (result == STREAM_REFUSED)
		return finish(relay, ending, err.text);
	if (result == STREAM_BUSY)
		return wait_in_standby(relay);
	if (result != STREAM_OK)
		return start_over(relay, "PostgreSQL", err.text);

	relay->standby = false;
	relay->once_lsn = relay->stream.server_lsn;
	relay->stream.epoch = atomic_load(&state->wanted_epoch);
	relay->stream.eager = relay->once;
	Item *item = malloc(sizeof(Item));
	*item = (Item){.kind = ITEM_START, .epoch = relay->stream.epoch, .lsn = relay->stream.sent_flush};
	queue_push(state->queue, item, sizeof(Item));
	relay->poll = calloc(1, sizeof(uv_poll_t));
	uv_poll_init(&relay->loop, relay->poll, PQsocket(relay->stream.connection));
	relay->poll->data = relay;
	uv_poll_start(relay->poll, UV_READABLE, on_readable);
	relay->phase = STREAMING;
	relay->calm_since_ms = clock_ms();
	atomic_store(&state->connected, 1);
	on_readable(relay->poll, 0, UV_READABLE); /* what came along with the answer */
}

static bool
is_same(const Identity *one, const Identity *other)
{
	return one->timeline == other->timeline && strcmp(one->system_id, other->system_id) == 0 &&
		   strcmp(one->position_key, other->position_key) == 0;
}

static void
connect_and_look(Relay *relay)
{
	State *state = &relay->state;
	Ending ending = END_INTERNAL;
	Err err;
	const StreamResult result = stream_open(state, &relay->stream, &ending, &err);

	if (result == STREAM_REFUSED)
		return finish(relay, ending, err.text);
	if (result == STREAM_BUSY)
		return wait_in_standby(relay);
	if (result != STREAM_OK)
		return start_over(relay, "PostgreSQL", err.text);
	atomic_fetch_add(&state->reconnects_postgres, 1);
	/* Another server, or this one promoted: what was stored has to be held against it, from the beginning. */
	if (atomic_load(&state->producer) == PRODUCER_READY && atomic_load(&state->wanted_epoch) != 0 &&
		is_same(&state->server, &state->wanted))
		return begin_streaming(relay);

	static uint64_t epoch;
	queue_clear(state->queue, item_free);
	pthread_mutex_lock(&state->mutex);
	state->wanted = state->server;
	pthread_mutex_unlock(&state->mutex);
	atomic_store(&state->producer, PRODUCER_OPENING);
	atomic_store(&state->wanted_epoch, ++epoch);
	atomic_fetch_add(&state->reconnects_kafka, 1);
	queue_wake(state->queue);
	relay->phase = OPENING;
}

static void
look_after_producer(Relay *relay)
{
	State *state = &relay->state;
	Err reason;

	pthread_mutex_lock(&state->mutex);
	reason = state->reason;
	const Ending ending = state->ending;
	pthread_mutex_unlock(&state->mutex);
	switch ((ProducerState) atomic_load(&state->producer))
	{
		case PRODUCER_HALTED:
			finish(relay, ending, reason.text);
			break;
		case PRODUCER_BROKEN:
			if (relay->phase != WAITING)
				start_over(relay, "events cannot be handed on", reason.text);
			break;
		case PRODUCER_READY:
			if (relay->phase == OPENING)
				begin_streaming(relay);
			break;
		case PRODUCER_IDLE:
		case PRODUCER_OPENING:
			break;
	}
}

/* ---- streaming -------------------------------------------------------------------------------------------------- */

static void
on_readable(uv_poll_t *handle, int status, int events)
{
	Relay *relay = handle->data;
	Ending ending = END_INTERNAL;
	bool full;
	Err err;

	(void) events;
	if (status < 0)
		return start_over(relay, "PostgreSQL", uv_strerror(status));
	const StreamResult result = stream_read(&relay->stream, &full, &ending, &err);
	if (result == STREAM_REFUSED)
		return finish(relay, ending, err.text);
	if (result != STREAM_OK)
		return start_over(relay, "PostgreSQL", err.text);
	if (full && !relay->paused)
	{
		relay->paused = true;
		uv_poll_stop(relay->poll);
		/* It may have been emptied in between, and nobody would say so again. */
		uv_async_send(&relay->wake);
	}
}

/* The queue has room again, or something was committed. */
static void
on_wake(uv_async_t *handle)
{
	Relay *relay = handle->data;

	look_after_producer(relay);
	if (relay->phase == STREAMING && relay->paused && !queue_is_full(relay->state.queue))
	{
		relay->paused = false;
		uv_poll_start(relay->poll, UV_READABLE, on_readable);
		on_readable(relay->poll, 0, UV_READABLE); /* libpq may hold messages already */
	}
}

static bool
is_drained(const Relay *relay)
{
	return atomic_load(&relay->state.flushed_lsn) >= relay->once_lsn;
}

static void
look_after_stream(Relay *relay)
{
	State *state = &relay->state;
	Stream *stream = &relay->stream;
	const int64_t now = clock_ms();
	const int64_t silent = now - atomic_load(&state->last_wire_ms);
	Err err;

	if (relay->once && is_drained(relay))
		return finish(relay, END_OK, "all events up to the end of the WAL are in Kafka");
	if (!relay->paused && silent > relay->settings.silence_ms)
		return start_over(relay, "PostgreSQL", "not a byte for too long");
	const bool moved = atomic_load(&state->flushed_lsn) > stream->sent_flush;
	const bool ask = (!relay->paused && silent > relay->settings.silence_ms / 2) || (relay->once && silent > 500);
	if ((moved || ask || now - stream->status_at_ms >= relay->settings.status_ms) &&
		(now - stream->status_at_ms >= 100 || relay->once) && stream_tell(stream, ask, &err) != STREAM_OK)
		start_over(relay, "PostgreSQL", err.text);
}

/*
 * librdkafka waits for its conditions by the wall clock: when that is set back, its threads sleep for as long as it was set
 * back. Nothing can wake them all, so the process begins anew; what it was about is in the stored position.
 */
static void
look_at_clock(Relay *relay)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	const int64_t lead = (int64_t) wall.tv_sec * 1000 + wall.tv_nsec / 1000000 - clock_ms();
	const bool set_back = lead < relay->clock_lead_ms - SET_BACK_MS;
	relay->clock_lead_ms = lead;
	if (!set_back)
		return;
	log_warning("the clock was set back; starting anew");
	(void) close_range(STDERR_FILENO + 1, ~0U, 0);
	execv("/proc/self/exe", relay->argv);
	log_error("cannot start anew");
	_exit(END_INTERNAL);
}

static void
on_tick(uv_timer_t *handle)
{
	Relay *relay = handle->data;
	const int number = atomic_load(&relay->state.signal);

	if (number != 0)
		return finish(relay, END_OK, number == SIGINT ? "SIGINT" : "SIGTERM");
	look_at_clock(relay);
	look_after_producer(relay);
	if (relay->ending)
		return;
	if (relay->phase == WAITING && clock_ms() >= relay->resume_ms)
		connect_and_look(relay);
	else if (relay->phase == STREAMING)
		look_after_stream(relay);
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static State *signalled;

/* Not libuv's: it must be seen while PostgreSQL is waited for outside the loop, too (stream.c). */
static void
on_terminate(int number)
{
	if (atomic_exchange(&signalled->signal, number) != 0)
		_exit(128 + number); /* asked twice */
}

static void
on_hangup(uv_signal_t *handle, int number)
{
	Relay *relay = handle->data;
	Err err;

	(void) number;
	if (conf_reload(&relay->conf, &err))
	{
		log_setup((LogLevel) relay->settings.log_level, relay->settings.log_format == 1);
		log_info("settings read again");
	}
	else
		log_error("settings were not taken over", F_TEXT("reason", err.text));
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void
wake_main(void *arg)
{
	uv_async_send(&((Relay *) arg)->wake);
}

void
state_report(State *state, ProducerState producer, Ending ending, const char *reason)
{
	pthread_mutex_lock(&state->mutex);
	state->ending = ending;
	(void) err_set(&state->reason, "%s", reason);
	pthread_mutex_unlock(&state->mutex);
	atomic_store(&state->producer, producer);
	state->wake_main(state->wake_arg);
}

/* Batches come and go by the megabyte. Giving their pages back each time, to get them again zeroed, costs more than it saves. */
static void
keep_memory(void)
{
	(void) mallopt(M_MMAP_THRESHOLD, MALLOC_KEEPS);
	(void) mallopt(M_TRIM_THRESHOLD, MALLOC_KEEPS);
}

static void
prepare(Relay *relay)
{
	const struct sigaction terminate = {.sa_handler = on_terminate};
	State *state = &relay->state;

	keep_memory();
	state->settings = &relay->settings;
	state->kafka = relay->conf.kafka;
	state->kafka_count = relay->conf.kafka_count;
	state->wake_main = wake_main;
	state->wake_arg = relay;
	pthread_mutex_init(&state->mutex, NULL);
	state->queue = queue_new((size_t) relay->settings.buffer_kb * 1024, wake_main, relay);
	atomic_store(&state->last_wire_ms, clock_ms());
	relay->pause_ms = FIRST_PAUSE_MS;

	uv_loop_init(&relay->loop);
	uv_async_init(&relay->loop, &relay->wake, on_wake);
	uv_timer_init(&relay->loop, &relay->tick);
	uv_signal_init(&relay->loop, &relay->hangup);
	relay->wake.data = relay->tick.data = relay->hangup.data = relay;
	uv_timer_start(&relay->tick, on_tick, 0, TICK_MS);
	signalled = state;
	sigaction(SIGTERM, &terminate, NULL);
	sigaction(SIGINT, &terminate, NULL);
	uv_signal_start(&relay->hangup, on_hangup, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
}

/* The producer commits what it has, then PostgreSQL is told, then all connections end. */
static void
drain(Relay *relay)
{
	pthread_join(relay->producer, NULL);
	recorder_stop(relay->state.recorder);
	if (relay->phase == STREAMING)
		stream_end(&relay->stream);
	leave_stream(relay);
	uv_close((uv_handle_t *) &relay->wake, NULL);
	uv_close((uv_handle_t *) &relay->tick, NULL);
	uv_close((uv_handle_t *) &relay->hangup, NULL);
	(void) uv_run(&relay->loop, UV_RUN_DEFAULT);
	uv_loop_close(&relay->loop);
	queue_free(relay->state.queue, item_free);
	pthread_mutex_destroy(&relay->state.mutex);
}

static int
run(Relay *relay)
{
	const HttpOps ops = {metrics_write, metrics_healthy, metrics_ready, &relay->state};
	Http *http = NULL;
	Err err;

	prepare(relay);
	if (*relay->settings.listen)
	{
		http = http_start(relay->settings.listen, &ops, &err);
		if (http == NULL)
		{
			log_error("cannot start", F_TEXT("reason", err.text));
			return END_CONFIG;
		}
	}
	log_info("settle-relay starts", F_TEXT("version", VERSION), F_TEXT("slot", relay->settings.slot));
	relay->state.recorder = recorder_start(&relay->state);
	if (relay->state.recorder == NULL || pthread_create(&relay->producer, NULL, produce_thread, &relay->state) != 0)
	{
		log_error("cannot start", F_TEXT("reason", "no thread can be made"));
		_exit(END_INTERNAL);
	}
	(void) uv_run(&relay->loop, UV_RUN_DEFAULT);
	http_stop(http);
	drain(relay);
	log_info("settle-relay ends", F_INT("status", relay->status), F_INT("events", (int64_t) atomic_load(&relay->state.events)));
	return (int) relay->status;
}

int
main(int argc, char **argv)
{
	static Relay relay;
	const ConfSwitch switches[] = {
		{"--once", &relay.once, "bring everything up to the present end of the WAL to Kafka, and end"},
		{NULL, NULL, NULL},
	};
	ConfAction action;
	Err err;

	relay.argv = argv;
	relay.conf = (Conf){.program = "settle-relay",
						.environment = "SETTLE_RELAY_",
						.keys = settings_keys,
						.reserved = settings_reserved,
						.check = settings_check,
						.target = &relay.settings};
	if (!conf_load(&relay.conf, argc, argv, switches, &action, &err))
	{
		fprintf(stderr, "settle-relay: %s\n", err.text);
		conf_free(&relay.conf);
		return END_CONFIG;
	}
	int status = END_OK;
	log_setup((LogLevel) relay.settings.log_level, relay.settings.log_format == 1);
	conf_warn_of_secrets(&relay.conf);
	switch (action)
	{
		case CONF_HELP:
			conf_help(&relay.conf, switches, stdout);
			break;
		case CONF_VERSION:
			puts("settle-relay " VERSION);
			break;
		case CONF_PRINT:
			conf_print(&relay.conf, stdout);
			break;
		case CONF_CHECK:
			puts("settings are in order");
			break;
		case CONF_RUN:
			status = run(&relay);
			break;
	}
	conf_free(&relay.conf);
	return status;
}
