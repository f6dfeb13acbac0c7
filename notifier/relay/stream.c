/*
 * stream.c: the replication connection (see stream.h).
 *
 * What PostgreSQL may forget is what the producer has committed, nothing else; a keepalive's position is handed to the
 * producer as well, which stores it when nothing of ours is on its way. So the slot never gets ahead of the stored position,
 * and one that is ahead all the same was made anew or moved by somebody: then events are missing, and the relay stops.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/pg.h"
#include "relay/stream.h"

#define XLOG_HEADER 25
#define KEEPALIVE_SIZE 18
#define NAGS_BEFORE_LEAVING 20
#define CONNECT_SLICE_MS 5
#define ANSWER_TIMEOUT_MS 30000
#define SLICE_MS 100
#define WAL_IS_GONE "58P01" /* undefined_file: a segment that the slot needs */
#define EPOCH_SHIFT_US INT64_C(946684800000000)

static StreamResult
refuse(Ending *ending, Ending why)
{
	*ending = why;
	return STREAM_REFUSED;
}

static void
set_pg_error(Stream *stream, const char *what, Err *err)
{
	(void) pg_error(err, what, stream->connection);
}

/*
 * As PQexec(); NULL with the reason in err when there was no answer. Until the first answers are there the main thread waits here
 * and not in its loop: there is nothing else for it to do, the web server has a thread of its own, and a signal ends the wait.
 */
static PGresult *
execute(Stream *stream, const char *statement, Err *err)
{
	if (PQsendQuery(stream->connection, statement))
		return pg_answer(stream->connection, ANSWER_TIMEOUT_MS, &stream->state->signal, err);
	set_pg_error(stream, "PostgreSQL", err);
	return NULL;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

typedef struct Attempt {
	const char *conninfo;
	PGconn *connection;
	_Atomic bool done;
} Attempt;

static void *
attempt_thread(void *arg)
{
	static const char *const keywords[] = {"dbname", "replication", "application_name", "connect_timeout", "keepalives_idle",
										   "tcp_user_timeout", "client_encoding", NULL};
	Attempt *attempt = arg;
	const char *const values[] = {attempt->conninfo, "database", "settle-relay", "10", "10", "30000", "UTF8", NULL};

	attempt->connection = PQconnectdbParams(keywords, values, 1);
	atomic_store(&attempt->done, true);
	return NULL;
}

/* By libpq's blocking call, for only that one goes on to the next host of a list when one is silent; in a thread, which is
 * left alone when we are asked to end. */
static bool
connect_to(Stream *stream, Err *err)
{
	Attempt *attempt = calloc(1, sizeof(Attempt));
	pthread_t thread;

	attempt->conninfo = stream->state->settings->conninfo;
	if (pthread_create(&thread, NULL, attempt_thread, attempt) != 0)
	{
		free(attempt);
		return err_set(err, "cannot start a thread");
	}
	pthread_detach(thread);
	while (!atomic_load(&attempt->done))
	{
		if (atomic_load(&stream->state->signal) != 0)
			return err_set(err, "asked to end");
		(void) poll(NULL, 0, CONNECT_SLICE_MS);
	}
	stream->connection = attempt->connection;
	free(attempt);
	if (PQstatus(stream->connection) == CONNECTION_OK)
		return true;
	set_pg_error(stream, "cannot connect to PostgreSQL", err);
	return false;
}

/* A server that says no to us, rather than one that is not there. */
static bool
is_refusal(const char *sqlstate)
{
	return sqlstate != NULL && (strncmp(sqlstate, "28", 2) == 0 || strncmp(sqlstate, "42", 2) == 0 ||
								strcmp(sqlstate, "3D000") == 0 || strcmp(sqlstate, "22023") == 0);
}

static PGresult *
query(Stream *stream, const char *statement, Err *err)
{
	PGresult *result = execute(stream, statement, err);

	if (result == NULL || PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	set_pg_error(stream, "PostgreSQL", err);
	PQclear(result);
	return NULL;
}

static bool
parse_lsn(const char *text, uint64_t *lsn)
{
	unsigned high, low;

	if (sscanf(text, "%X/%X", &high, &low) != 2)
		return false;
	*lsn = (uint64_t) high << 32 | low;
	return true;
}

static StreamResult
identify(Stream *stream, Err *err)
{
	State *state = stream->state;
	PGresult *result = query(stream, "IDENTIFY_SYSTEM", err);

	if (result == NULL)
		return STREAM_LOST;
	pthread_mutex_lock(&state->mutex);
	snprintf(state->server.system_id, sizeof(state->server.system_id), "%s", PQgetvalue(result, 0, 0));
	state->server.timeline = (uint32_t) strtoul(PQgetvalue(result, 0, 1), NULL, 10);
	snprintf(stream->database, sizeof(stream->database), "%s", PQgetvalue(result, 0, 3));
	snprintf(state->server.position_key, sizeof(state->server.position_key), "%s/%s/%s", state->server.system_id, stream->database,
			 state->settings->slot);
	pthread_mutex_unlock(&state->mutex);
	(void) parse_lsn(PQgetvalue(result, 0, 2), &stream->server_lsn);
	PQclear(result);
	return STREAM_OK;
}

/* A standby has no slot of ours yet; it may be promoted in a moment, or a host list may lead to the primary then. */
static StreamResult
refuse_standby(Stream *stream, Err *err)
{
	PGresult *result = query(stream, "SELECT pg_catalog.pg_is_in_recovery()::int", err);

	if (result == NULL)
		return STREAM_LOST;
	const bool standby = strcmp(PQgetvalue(result, 0, 0), "1") == 0;
	PQclear(result);
	if (!standby)
		return STREAM_OK;
	(void) err_set(err, "the server is a standby; with several hosts, target_session_attrs=read-write finds the primary");
	return STREAM_LOST;
}

static StreamResult
look_at_slot(Stream *stream, Ending *ending, Err *err)
{
	const char *slot = stream->state->settings->slot;
	char *quoted = PQescapeLiteral(stream->connection, slot, strlen(slot));
	char statement[512];
	StreamResult seen = STREAM_OK;

	snprintf(statement, sizeof(statement),
			 "SELECT plugin, active::int, coalesce(wal_status, 'reserved'), coalesce(confirmed_flush_lsn::text, '0/0'), database"
			 " FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
			 quoted);
	PQfreemem(quoted);
	PGresult *result = query(stream, statement, err);
	if (result == NULL)
		return STREAM_LOST;
	if (PQntuples(result) == 0)
	{
		(void) err_set(err, "replication slot \"%s\" does not exist; run SELECT settle_relay_setup('%s'); in the database",
					   slot, slot);
		seen = refuse(ending, END_SLOT);
	}
	else if (strcmp(PQgetvalue(result, 0, 0), "settle") != 0)
	{
		(void) err_set(err, "replication slot \"%s\" is of plugin \"%s\", not settle", slot, PQgetvalue(result, 0, 0));
		seen = refuse(ending, END_SLOT);
	}
	else if (strcmp(PQgetvalue(result, 0, 4), stream->database) != 0)
	{
		(void) err_set(err, "replication slot \"%s\" is of database \"%s\", not \"%s\"", slot, PQgetvalue(result, 0, 4),
					   stream->database);
		seen = refuse(ending, END_SLOT);
	}
	else if (strcmp(PQgetvalue(result, 0, 2), "lost") == 0)
	{
		(void) err_set(err, "replication slot \"%s\" is lost: the server has removed WAL that it needs; drop it, make it anew"
							" with settle_relay_setup(), and send the months concerned again with settle_republish()",
					   slot);
		seen = refuse(ending, END_SLOT);
	}
	else if (strcmp(PQgetvalue(result, 0, 1), "1") == 0)
	{
		(void) err_set(err, "replication slot \"%s\" is in use", slot);
		seen = STREAM_BUSY;
	}
	else
		(void) parse_lsn(PQgetvalue(result, 0, 3), &stream->slot_lsn);
	PQclear(result);
	return seen;
}

StreamResult
stream_open(State *state, Stream *stream, Ending *ending, Err *err)
{
	*stream = (Stream){.state = state};
	if (!connect_to(stream, err))
	{
		/* libpq gives no SQLSTATE for a failed connection; its words must do. */
		const char *text = PQerrorMessage(stream->connection);
		const bool refused = strstr(text, "authentication failed") != NULL || strstr(text, "does not exist") != NULL ||
							 strstr(text, "no pg_hba.conf entry") != NULL || strstr(text, "must be superuser") != NULL ||
							 strstr(text, "no password supplied") != NULL || strstr(text, "permission denied") != NULL;
		return refused ? refuse(ending, END_POSTGRES) : STREAM_LOST;
	}
	StreamResult result = identify(stream, err);
	if (result == STREAM_OK)
		result = refuse_standby(stream, err);
	if (result == STREAM_OK)
		result = look_at_slot(stream, ending, err);
	return result;
}

/* ---- starting --------------------------------------------------------------------------------------------------- */

/* Where our timeline left the stored one; UINT64_MAX when the history does not say. */
static uint64_t
find_switch(const char *history, uint32_t timeline)
{
	for (const char *line = history; line != NULL && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
	{
		unsigned id, high, low;

		if (sscanf(line, "%u\t%X/%X", &id, &high, &low) == 3 && id == timeline)
			return (uint64_t) high << 32 | low;
	}
	return UINT64_MAX;
}

static StreamResult
check_timeline(Stream *stream, const Position *stored, Ending *ending, Err *err)
{
	const uint32_t timeline = stream->state->server.timeline;
	char statement[64];
	char lsn[32];

	if (stored->timeline == timeline)
		return STREAM_OK;
	snprintf(statement, sizeof(statement), "TIMELINE_HISTORY %" PRIu32, timeline);
	PGresult *result = query(stream, statement, err);
	if (result == NULL)
		return STREAM_LOST;
	const uint64_t left_at = find_switch(PQgetvalue(result, 0, 1), stored->timeline);
	PQclear(result);
	if (left_at != UINT64_MAX && stored->restart_lsn <= left_at && stored->commit_lsn <= left_at)
	{
		log_info("the server was promoted", F_INT("timeline", timeline));
		return STREAM_OK;
	}
	lsn_print(stored->restart_lsn, lsn, sizeof(lsn));
	(void) err_set(err, "timeline %" PRIu32 " does not hold %s of timeline %" PRIu32 ", up to where events are in Kafka: the"
						" promoted server lacks WAL that was sent; see the manual, \"after a failover\"",
				   timeline, lsn, stored->timeline);
	return refuse(ending, END_GAP);
}

static StreamResult
check_position(Stream *stream, const Position *stored, Ending *ending, Err *err)
{
	char slot_lsn[32];
	char stored_lsn[32];

	if (strcmp(stored->system_id, stream->state->server.system_id) != 0)
	{
		(void) err_set(err, "the stored position is of cluster %s, this is cluster %s", stored->system_id,
					   stream->state->server.system_id);
		return refuse(ending, END_GAP);
	}
	if (stream->slot_lsn > stored->restart_lsn)
	{
		lsn_print(stream->slot_lsn, slot_lsn, sizeof(slot_lsn));
		lsn_print(stored->restart_lsn, stored_lsn, sizeof(stored_lsn));
		(void) err_set(err, "slot \"%s\" stands at %s, but events are in Kafka only up to %s, says the position of %s: it was made"
							" anew or moved, and what lies between may be missing; see the manual, \"a gap\"",
					   stream->state->settings->slot, slot_lsn, stored_lsn, stream->state->server.position_key);
		return refuse(ending, END_GAP);
	}
	/* Another relay may have been here since we asked. */
	if (stream->server_lsn < stored->restart_lsn && identify(stream, err) != STREAM_OK)
		return STREAM_LOST;
	/* Two standbys promoted apart from each other have timelines of one number. */
	if (stream->server_lsn < stored->restart_lsn && stored->timeline == stream->state->server.timeline)
	{
		lsn_print(stream->server_lsn, slot_lsn, sizeof(slot_lsn));
		lsn_print(stored->restart_lsn, stored_lsn, sizeof(stored_lsn));
		(void) err_set(err, "the server's WAL ends at %s, but events are in Kafka up to %s: this is another server, or one that"
							" was restored; see the manual, \"after a failover\"",
					   slot_lsn, stored_lsn);
		return refuse(ending, END_GAP);
	}
	return check_timeline(stream, stored, ending, err);
}

StreamResult
stream_start(Stream *stream, const Position *stored, bool has_stored, Ending *ending, Err *err)
{
	const char *slot = stream->state->settings->slot;
	char lsn[32];
	char statement[256];

	if (has_stored)
	{
		const StreamResult fits = check_position(stream, stored, ending, err);
		if (fits != STREAM_OK)
			return fits;
	}
	lsn_print(has_stored ? stored->restart_lsn : 0, lsn, sizeof(lsn));
	char *quoted = PQescapeIdentifier(stream->connection, slot, strlen(slot));
	snprintf(statement, sizeof(statement), "START_REPLICATION SLOT %s LOGICAL %s", quoted, lsn);
	PQfreemem(quoted);
	PGresult *result = execute(stream, statement, err);
	if (result == NULL)
		return STREAM_LOST;
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
	{
		const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		const bool busy = sqlstate != NULL && strcmp(sqlstate, "55006") == 0;
		const bool refused = is_refusal(sqlstate) || (sqlstate != NULL && strncmp(sqlstate, "55", 2) == 0 && !busy);

		set_pg_error(stream, "cannot start replication", err);
		PQclear(result);
		return busy ? STREAM_BUSY : refused ? refuse(ending, END_POSTGRES) : STREAM_LOST;
	}
	PQclear(result);
	const int64_t now = clock_ms();
	stream->status_at_ms = now;
	stream->sent_flush = has_stored ? stored->restart_lsn : stream->slot_lsn;
	atomic_store(&stream->state->received_lsn, stream->sent_flush);
	atomic_store(&stream->state->last_wire_ms, now);
	log_info("streaming", F_TEXT("slot", slot), F_TEXT("from", lsn));
	return STREAM_OK;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static uint64_t
read_u64(const char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return be64toh(value);
}

static void
hand_over(Stream *stream, ItemKind kind, uint64_t lsn, char *frame, const char *data, size_t size)
{
	Item *item = malloc(sizeof(Item));

	*item = (Item){.kind = kind, .epoch = stream->epoch, .lsn = lsn, .frame = frame, .data = data, .size = size};
	queue_push(stream->state->queue, item, sizeof(Item) + size);
}

/* At its shutdown the server asks without end until all is acknowledged; when Kafka is away, leaving is the better answer. */
static bool
is_nagged(Stream *stream, uint64_t lsn, int64_t now)
{
	if (lsn != stream->nagged_lsn || now - stream->nagged_since_ms > 1000)
	{
		stream->nagged_lsn = lsn;
		stream->nagged = 0;
		stream->nagged_since_ms = now;
	}
	return ++stream->nagged > NAGS_BEFORE_LEAVING && atomic_load(&stream->state->outstanding);
}

static StreamResult
take_keepalive(Stream *stream, const char *message, Err *err)
{
	const uint64_t lsn = read_u64(message + 1);
	const bool asked = message[KEEPALIVE_SIZE - 1] != 0;
	const int64_t now = clock_ms();

	if (lsn > atomic_load(&stream->state->received_lsn))
		atomic_store(&stream->state->received_lsn, lsn);
	atomic_store(&stream->state->server_lsn, lsn);
	const bool urgent = asked || stream->eager;
	if (lsn > stream->idle_lsn || (urgent && now - stream->flush_asked_ms >= 200))
	{
		stream->idle_lsn = lsn;
		hand_over(stream, urgent ? ITEM_FLUSH : ITEM_IDLE, lsn, NULL, NULL, 0);
		if (urgent)
			stream->flush_asked_ms = now;
	}
	if (!asked)
		return STREAM_OK;
	if (is_nagged(stream, lsn, now))
	{
		(void) err_set(err, "the server is shutting down and Kafka does not answer");
		return STREAM_LOST;
	}
	return stream_tell(stream, false, err);
}

static StreamResult
take_message(Stream *stream, char *message, int size, Err *err)
{
	if (message[0] == 'w' && size > XLOG_HEADER)
	{
		const uint64_t end = read_u64(message + 9);

		if (end > atomic_load(&stream->state->server_lsn))
			atomic_store(&stream->state->server_lsn, end);
		hand_over(stream, ITEM_FRAME, 0, message, message + XLOG_HEADER, (size_t) size - XLOG_HEADER);
		return STREAM_OK;
	}
	StreamResult result = STREAM_OK;
	if (message[0] == 'k' && size == KEEPALIVE_SIZE)
		result = take_keepalive(stream, message, err);
	PQfreemem(message);
	return result;
}

StreamResult
stream_read(Stream *stream, bool *full, Ending *ending, Err *err)
{
	*full = false;
	if (!PQconsumeInput(stream->connection))
	{
		set_pg_error(stream, "lost the connection", err);
		return STREAM_LOST;
	}
	atomic_store(&stream->state->last_wire_ms, clock_ms());
	for (;;)
	{
		char *message;

		if (queue_is_full(stream->state->queue))
		{
			*full = true;
			return STREAM_OK;
		}
		const int size = PQgetCopyData(stream->connection, &message, 1);

		if (size == 0)
			return STREAM_OK;
		if (size < 0)
		{
			PGresult *result = PQgetResult(stream->connection);
			const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
			const bool gone = sqlstate != NULL && strcmp(sqlstate, WAL_IS_GONE) == 0;

			set_pg_error(stream, gone ? "the slot is of no use any more" : "the stream has ended", err);
			PQclear(result);
			return gone ? refuse(ending, END_SLOT) : STREAM_LOST;
		}
		const StreamResult result = take_message(stream, message, size, err);
		if (result != STREAM_OK)
			return result;
	}
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

static void
write_u64(char *to, uint64_t value)
{
	value = htobe64(value);
	memcpy(to, &value, sizeof(value));
}

StreamResult
stream_tell(Stream *stream, bool ask, Err *err)
{
	char message[34] = "r";
	struct timespec now;
	uint64_t flushed = atomic_load(&stream->state->flushed_lsn);
	uint64_t received = atomic_load(&stream->state->received_lsn);

	/* Never back: a position that falls would be a promise taken back. */
	if (flushed < stream->sent_flush)
		flushed = stream->sent_flush;
	if (received < flushed)
		received = flushed;
	clock_gettime(CLOCK_REALTIME, &now);
	write_u64(message + 1, received);
	write_u64(message + 9, flushed);
	write_u64(message + 17, flushed);
	write_u64(message + 25, (uint64_t) (now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 - EPOCH_SHIFT_US));
	message[33] = ask;
	if (PQputCopyData(stream->connection, message, sizeof(message)) != 1 || PQflush(stream->connection) < 0)
	{
		set_pg_error(stream, "lost the connection", err);
		return STREAM_LOST;
	}
	stream->sent_flush = flushed;
	stream->status_at_ms = clock_ms();
	return STREAM_OK;
}

void
stream_end(Stream *stream)
{
	Err err;

	if (stream->connection == NULL || PQstatus(stream->connection) != CONNECTION_OK)
		return;
	(void) (stream_tell(stream, false, &err) == STREAM_OK && PQputCopyEnd(stream->connection, NULL) == 1 &&
			PQflush(stream->connection) == 0);
}

void
stream_close(Stream *stream)
{
	if (stream->connection != NULL)
		PQfinish(stream->connection);
	stream->connection = NULL;
}
