/*
 * recorder.c: the thread that tells the database how far the relay is (see recorder.h).
 *
 * One request of each kind waits at a time, so memory does not grow while the database is away. It calls two functions of
 * the extension, settle.relay_record() and settle.relay_refuse(); a role that may call these needs no right on any table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "common/ymd.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/pg.h"
#include "relay/recorder.h"

#define PERIOD_MS 1000
#define PAUSE_AFTER_FAULT_MS 5000
#define ANSWER_TIMEOUT_MS 8000 /* a server that can answer gives up sooner by itself */

/* An answer that does not come must not keep the relay from ending, nor a synchronous standby it. */
#define SESSION                                                                                                                \
	"SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET synchronous_commit = off; SET client_min_messages = warning;"  \
	" SET idle_in_transaction_session_timeout = 0"

typedef struct Refusal {
	const FrameRow *row; /* NULL = none waits */
	uint64_t commit_lsn;
	const char *action;
	const char *message;
	bool done;
	bool stored;
	Err reason;
} Refusal;

struct Recorder {
	State *state;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t work; /* for the thread */
	pthread_cond_t done; /* for who waits for a refusal */
	bool stopping;
	bool has_progress;
	Position progress;
	int64_t commit_time;
	Refusal refusal;
	/* the thread's own */
	PGconn *connection;
	char last_fault[512]; /* said once, not every few seconds */
};

/* ---- the database ------------------------------------------------------------------------------------------------- */

static bool
fail(Recorder *recorder)
{
	PQfinish(recorder->connection);
	recorder->connection = NULL;
	return false;
}

/* After a PQsend…(): whether it was done. What does not answer is left. */
static bool
is_done(Recorder *recorder, bool sent, Err *err)
{
	PGresult *result = sent ? pg_answer(recorder->connection, ANSWER_TIMEOUT_MS, NULL, err) : NULL;
	const ExecStatusType status = PQresultStatus(result);

	if (!sent || (result != NULL && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK))
		(void) pg_error(err, "PostgreSQL", recorder->connection);
	PQclear(result);
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ? true : fail(recorder);
}

static bool
connect_if_needed(Recorder *recorder, Err *err)
{
	const char *keywords[] = {"dbname", "application_name", "connect_timeout", "tcp_user_timeout", "client_encoding", NULL};
	const char *values[] = {recorder->state->settings->conninfo, "settle-relay recorder", "5", "10000", "UTF8", NULL};

	if (recorder->connection != NULL && PQstatus(recorder->connection) == CONNECTION_OK)
		return true;
	PQfinish(recorder->connection);
	recorder->connection = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(recorder->connection) != CONNECTION_OK)
	{
		(void) pg_error(err, "cannot connect to PostgreSQL", recorder->connection);
		return fail(recorder);
	}
	return is_done(recorder, PQsendQuery(recorder->connection, SESSION), err);
}

static bool
call(Recorder *recorder, const char *statement, int count, const char *const *values, Err *err)
{
	return connect_if_needed(recorder, err) &&
		   is_done(recorder, PQsendQueryParams(recorder->connection, statement, count, NULL, values, NULL, NULL, 0), err);
}

/* "{2024-05-01,2024-06-01}" and "{1000,20}" */
static void
print_periods(const Position *position, char *periods, char *events, size_t size)
{
	size_t periods_len = 0, events_len = 0;

	for (size_t i = 0; i < position->period_count; i++)
	{
		const char *comma = i > 0 ? "," : "{";
		char month[16];

		(void) ymd_print_month(position->periods[i].period, month);
		periods_len += (size_t) snprintf(periods + periods_len, size - periods_len, "%s%s-01", comma, month);
		events_len += (size_t) snprintf(events + events_len, size - events_len, "%s%" PRIu64, comma, position->periods[i].events);
	}
	snprintf(periods + periods_len, size - periods_len, "%s", periods_len > 0 ? "}" : "{}");
	snprintf(events + events_len, size - events_len, "%s", events_len > 0 ? "}" : "{}");
}

static bool
store_progress(Recorder *recorder, const Position *position, int64_t commit_time, Err *err)
{
	char lsn[32], microseconds[32], periods[POSITION_TEXT_SIZE], events[POSITION_TEXT_SIZE];
	/* 0: of the stored position at a start, whose last event's time nobody knows any more */
	const char *const values[] = {recorder->state->settings->slot, lsn, commit_time != 0 ? microseconds : NULL, periods, events};

	lsn_print(position->restart_lsn, lsn, sizeof(lsn));
	snprintf(microseconds, sizeof(microseconds), "%" PRId64, commit_time);
	print_periods(position, periods, events, sizeof(periods));
	return call(recorder,
				"SELECT settle.relay_record($1, $2, '2000-01-01 00:00+00'::timestamptz + $3::bigint * interval '1 microsecond',"
				" $4, $5)",
				5, values, err);
}

static bool
store_refusal(Recorder *recorder, const Refusal *refusal, Err *err)
{
	const FrameRow *row = refusal->row;
	char lsn[32], month[16], period[20];
	char *id = strndup(row->id, row->id_len);
	char *type = strndup(row->type, row->type_len);
	char *key = row->key_len > 0 ? strndup(row->key, row->key_len) : NULL;
	const char *const values[] = {recorder->state->settings->slot, id, type, key, period, refusal->action, refusal->message, lsn};

	lsn_print(refusal->commit_lsn, lsn, sizeof(lsn));
	(void) ymd_print_month(row->period, month);
	snprintf(period, sizeof(period), "%s-01", month);
	const bool stored = call(recorder, "SELECT settle.relay_refuse($1, $2, $3, $4, $5, $6, $7, $8)", 8, values, err);
	free(id);
	free(type);
	free(key);
	return stored;
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

static void
wait_for_work(Recorder *recorder, int64_t milliseconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += milliseconds / 1000;
	until.tv_nsec += milliseconds % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!recorder->stopping && (recorder->refusal.row == NULL || recorder->refusal.done))
		if (pthread_cond_timedwait(&recorder->work, &recorder->mutex, &until) == ETIMEDOUT)
			break;
}

/* Called and left with the mutex locked. */
static void
serve_refusal(Recorder *recorder)
{
	Refusal *refusal = &recorder->refusal;

	pthread_mutex_unlock(&recorder->mutex);
	const bool stored = store_refusal(recorder, refusal, &refusal->reason);
	pthread_mutex_lock(&recorder->mutex);
	refusal->stored = stored;
	refusal->done = true;
	pthread_cond_broadcast(&recorder->done);
}

/* Likewise; false after a fault. */
static bool
serve_progress(Recorder *recorder)
{
	const Position position = recorder->progress;
	const int64_t commit_time = recorder->commit_time;
	Err err = {.text = ""};

	recorder->has_progress = false;
	pthread_mutex_unlock(&recorder->mutex);
	const bool stored = store_progress(recorder, &position, commit_time, &err);
	if (!stored && strcmp(err.text, recorder->last_fault) != 0)
		log_warning("progress is not recorded; the relay goes on", F_TEXT("reason", err.text));
	snprintf(recorder->last_fault, sizeof(recorder->last_fault), "%s", err.text);
	if (!stored)
		atomic_fetch_add(&recorder->state->record_faults, 1);
	pthread_mutex_lock(&recorder->mutex);
	if (!stored)
		recorder->has_progress = true; /* what came in the meantime is newer, and holds it all */
	return stored;
}

static void *
recorder_thread(void *arg)
{
	Recorder *recorder = arg;
	int64_t next_ms = 0;

	pthread_mutex_lock(&recorder->mutex);
	while (!recorder->stopping)
	{
		const int64_t now = clock_ms();

		wait_for_work(recorder, next_ms > now ? next_ms - now : PERIOD_MS);
		if (recorder->refusal.row != NULL && !recorder->refusal.done)
			serve_refusal(recorder);
		if (recorder->stopping || clock_ms() < next_ms)
			continue;
		next_ms = clock_ms() + (recorder->has_progress && !serve_progress(recorder) ? PAUSE_AFTER_FAULT_MS : PERIOD_MS);
	}
	if (recorder->has_progress)
		(void) serve_progress(recorder);
	pthread_mutex_unlock(&recorder->mutex);
	PQfinish(recorder->connection);
	return NULL;
}

/* ---- for the others ----------------------------------------------------------------------------------------------- */

Recorder *
recorder_start(State *state)
{
	Recorder *recorder = calloc(1, sizeof(Recorder));
	pthread_condattr_t monotonic;

	recorder->state = state;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&recorder->work, &monotonic);
	pthread_cond_init(&recorder->done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&recorder->mutex, NULL);
	if (pthread_create(&recorder->thread, NULL, recorder_thread, recorder) == 0)
		return recorder;
	free(recorder);
	return NULL;
}

void
recorder_progress(Recorder *recorder, const Position *position, int64_t commit_time)
{
	pthread_mutex_lock(&recorder->mutex);
	recorder->progress = *position;
	recorder->commit_time = commit_time;
	recorder->has_progress = true;
	pthread_mutex_unlock(&recorder->mutex);
}

bool
recorder_refuse(Recorder *recorder, const FrameRow *row, uint64_t commit_lsn, const char *action, const char *message, Err *err)
{
	pthread_mutex_lock(&recorder->mutex);
	recorder->refusal = (Refusal){.row = row, .commit_lsn = commit_lsn, .action = action, .message = message};
	pthread_cond_signal(&recorder->work);
	while (!recorder->refusal.done)
		pthread_cond_wait(&recorder->done, &recorder->mutex);
	const bool stored = recorder->refusal.stored;
	if (!stored)
		(void) err_set(err, "event %.*s cannot be recorded as refused: %.300s", (int) (row->id_len < 150 ? row->id_len : 150),
					   row->id, recorder->refusal.reason.text);
	recorder->refusal = (Refusal){0};
	pthread_mutex_unlock(&recorder->mutex);
	return stored;
}

void
recorder_stop(Recorder *recorder)
{
	pthread_mutex_lock(&recorder->mutex);
	recorder->stopping = true;
	pthread_cond_signal(&recorder->work);
	pthread_mutex_unlock(&recorder->mutex);
	pthread_join(recorder->thread, NULL);
	pthread_cond_destroy(&recorder->work);
	pthread_cond_destroy(&recorder->done);
	pthread_mutex_destroy(&recorder->mutex);
	free(recorder);
}
