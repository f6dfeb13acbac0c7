/*
 * db.c: an ordinary connection to PostgreSQL for one thread (see db.h).
 */
#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pg.h"
#include "notify/db.h"

#define OID_INT8_ARRAY 1016
#define OID_INT4_ARRAY 1007
#define OID_TEXT_ARRAY 1009
#define OID_INTERVAL 1186
#define ARRAY_HEADER 20

#define ANSWER_TIMEOUT_MS 70000

/* The server gives up before we do. */
#define SESSION "SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET client_min_messages = warning; SET timezone = 'UTC'"

/* ---- connection --------------------------------------------------------------------------------------------------- */

bool
db_ready(Db *db, Err *err)
{
	const char *keywords[] = {"dbname", "application_name", "connect_timeout", "tcp_user_timeout", "client_encoding", NULL};
	const char *values[] = {db->conninfo, db->name, "5", "30000", "UTF8", NULL};

	if (db->connection != NULL && PQstatus(db->connection) == CONNECTION_OK)
		return true;
	db_close(db);
	db->connection = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(db->connection) == CONNECTION_OK && db_run(db, SESSION, err))
		return true;
	if (PQstatus(db->connection) != CONNECTION_OK)
		(void) pg_error(err, "cannot connect to PostgreSQL", db->connection);
	db_close(db);
	return false;
}

void
db_close(Db *db)
{
	PQfinish(db->connection);
	db->connection = NULL;
}

/* NULL with the reason when it was not done. */
static PGresult *
finish(Db *db, bool sent, Err *err)
{
	PGresult *result = sent ? pg_answer(db->connection, ANSWER_TIMEOUT_MS, NULL, err) : NULL;
	const ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	if (!sent || result != NULL)
		(void) pg_error(err, "PostgreSQL", db->connection);
	PQclear(result);
	return NULL;
}

bool
db_run(Db *db, const char *statement, Err *err)
{
	PGresult *result = finish(db, PQsendQuery(db->connection, statement), err);

	const bool done = result != NULL;

	PQclear(result);
	return done;
}

PGresult *
db_execute(Db *db, const char *statement, const DbParams *params, Err *err)
{
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX];
	int formats[DB_PARAMS_MAX];

	for (int i = 0; i < params->count; i++)
	{
		values[i] = params->nulls[i] ? NULL : params->values[i].data;
		lengths[i] = (int) params->values[i].len;
		formats[i] = 1;
	}
	return finish(db, PQsendQueryParams(db->connection, statement, params->count, params->types, values, lengths, formats, 0), err);
}

int64_t
db_int8(const PGresult *result, int row, int column)
{
	return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

/* ---- parameters --------------------------------------------------------------------------------------------------- */

static char *
extend(DbBuffer *buffer, size_t more)
{
	if (buffer->len + more > buffer->size)
	{
		buffer->size = (buffer->len + more) * 2 + 64;
		buffer->data = realloc(buffer->data, buffer->size);
		if (buffer->data == NULL)
			abort();
	}
	char *at = buffer->data + buffer->len;
	buffer->len += more;
	return at;
}

static void
put_u32(DbBuffer *buffer, uint32_t value)
{
	value = htonl(value);
	memcpy(extend(buffer, sizeof(value)), &value, sizeof(value));
}

static void
put_u64(DbBuffer *buffer, uint64_t value)
{
	value = htobe64(value);
	memcpy(extend(buffer, sizeof(value)), &value, sizeof(value));
}

static DbBuffer *
add(DbParams *params, Oid type, bool null)
{
	if (params->count == DB_PARAMS_MAX)
		abort();
	params->types[params->count] = type;
	params->nulls[params->count] = null;
	DbBuffer *buffer = &params->values[params->count++];
	buffer->len = 0;
	(void) extend(buffer, 0); /* an empty value is not NULL */
	return buffer;
}

void
db_add_text(DbParams *params, const char *text)
{
	DbBuffer *buffer = add(params, OID_TEXT, text == NULL);
	const size_t len = text != NULL ? strlen(text) : 0;

	memcpy(extend(buffer, len), text != NULL ? text : "", len);
}

void
db_add_int4(DbParams *params, int32_t value)
{
	put_u32(add(params, OID_INT4, false), (uint32_t) value);
}

void
db_add_interval_ms(DbParams *params, int64_t milliseconds)
{
	DbBuffer *buffer = add(params, OID_INTERVAL, milliseconds < 0);

	put_u64(buffer, (uint64_t) milliseconds * 1000);
	put_u32(buffer, 0);
	put_u32(buffer, 0);
}

void
db_add_null(DbParams *params, Oid type)
{
	(void) add(params, type, true);
}

/* One dimension, from 1; the number of elements is filled in as they come. */
int
db_begin_array(DbParams *params, Oid element)
{
	const Oid type = element == OID_INT8 ? OID_INT8_ARRAY : element == OID_INT4 ? OID_INT4_ARRAY : OID_TEXT_ARRAY;
	DbBuffer *buffer = add(params, type, false);

	put_u32(buffer, 1);
	put_u32(buffer, 1); /* there may be NULLs */
	put_u32(buffer, element);
	put_u32(buffer, 0);
	put_u32(buffer, 1);
	return params->count - 1;
}

static DbBuffer *
next_element(DbParams *params, int array)
{
	DbBuffer *buffer = &params->values[array];
	uint32_t count;

	memcpy(&count, buffer->data + 12, sizeof(count));
	count = htonl(ntohl(count) + 1);
	memcpy(buffer->data + 12, &count, sizeof(count));
	return buffer;
}

void
db_put_int8(DbParams *params, int array, int64_t value)
{
	DbBuffer *buffer = next_element(params, array);

	put_u32(buffer, 8);
	put_u64(buffer, (uint64_t) value);
}

void
db_put_int4(DbParams *params, int array, int32_t value)
{
	DbBuffer *buffer = next_element(params, array);

	put_u32(buffer, 4);
	put_u32(buffer, (uint32_t) value);
}

void
db_put_text(DbParams *params, int array, const char *text, size_t len)
{
	DbBuffer *buffer = next_element(params, array);

	put_u32(buffer, (uint32_t) len);
	memcpy(extend(buffer, len), text, len);
}

void
db_put_null(DbParams *params, int array)
{
	put_u32(next_element(params, array), UINT32_MAX);
}

void
db_forget(DbParams *params)
{
	for (int i = 0; i < DB_PARAMS_MAX; i++)
		free(params->values[i].data);
	*params = (DbParams){0};
}
