/*
 * db.h: an ordinary connection to PostgreSQL for one thread, and parameters in binary.
 *
 * A connection that is lost is made anew at the next call; the caller decides what of its work to repeat. Every function that
 * changes something is one transaction of settle's own, so a call that failed has done nothing, unless its answer was lost.
 */
#ifndef NOTIFY_DB_H
#define NOTIFY_DB_H

#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "lib/err.h"

typedef struct Db {
	const char *conninfo;
	const char *name; /* application_name */
	PGconn *connection;
} Db;

/* Connects unless it is connected. */
bool db_ready(Db *db, Err *err) MUST_CHECK;
void db_close(Db *db);

/* ---- parameters ---- */

#define DB_PARAMS_MAX 24

/* The types of elements of arrays. */
#define OID_INT8 20
#define OID_INT4 23
#define OID_TEXT 25

typedef struct DbBuffer {
	char *data;
	size_t len, size;
} DbBuffer;

typedef struct DbParams {
	int count;
	Oid types[DB_PARAMS_MAX];
	DbBuffer values[DB_PARAMS_MAX];
	bool nulls[DB_PARAMS_MAX];
} DbParams;

void db_add_text(DbParams *params, const char *text);
void db_add_int4(DbParams *params, int32_t value);
void db_add_interval_ms(DbParams *params, int64_t milliseconds);
void db_add_null(DbParams *params, Oid type);

/* Arrays: begun, then filled one by one, in any interleaving of several arrays. Returns the array's number. */
int db_begin_array(DbParams *params, Oid element);
void db_put_int8(DbParams *params, int array, int64_t value);
void db_put_int4(DbParams *params, int array, int32_t value);
void db_put_text(DbParams *params, int array, const char *text, size_t len);
void db_put_null(DbParams *params, int array);

void db_forget(DbParams *params);

/* Executes one statement; NULL with the reason when it did not succeed. The caller clears the result. */
PGresult *db_execute(Db *db, const char *statement, const DbParams *params, Err *err) MUST_CHECK;
/* A statement without parameters or result. */
bool db_run(Db *db, const char *statement, Err *err) MUST_CHECK;

int64_t db_int8(const PGresult *result, int row, int column);

#endif
