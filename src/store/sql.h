/*
 * sql.h: how settle's workers talk SQL: transactions, statements with parameters, rows streamed into a callback.
 *
 * Workers run many transactions; each is opened by sql_begin() and closed by sql_commit(), nowhere else. Inside, the
 * process acts as the owner of the settle tables with SECURITY_RESTRICTED_OPERATION, as maintenance commands do. The
 * same reads also serve functions called in a user's own transaction (sql_enter / sql_leave), whose SECURITY DEFINER
 * wrapper has switched the role already.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "postgres.h"

#include "executor/spi.h"
#include "executor/tuptable.h"

#include "store/columns.h"

#define SQL_MAX_PARAMS 24

/* Parameters of one statement: add them in order; $1 is the first. */
typedef struct SqlParams {
	int count;
	Oid types[SQL_MAX_PARAMS];
	Datum values[SQL_MAX_PARAMS];
	bool nulls[SQL_MAX_PARAMS];
} SqlParams;

extern void sql_add(SqlParams *params, Oid type, Datum value);
extern void sql_add_null(SqlParams *params, Oid type);
extern void sql_add_int4(SqlParams *params, int32 value);
extern void sql_add_int8(SqlParams *params, int64 value);
extern void sql_add_date(SqlParams *params, int32 day);
extern void sql_add_text(SqlParams *params, const char *value); /* NULL pointer = SQL NULL */
/* Copies the ids. */
extern void sql_add_int8_array(SqlParams *params, const int64 *values, int count);
extern void sql_add_bool(SqlParams *params, bool value);

/* Ids as a bigint[], in the current context. */
extern Datum sql_id_array(const int64 *ids, int count);

/* Transaction bracket of a worker. activity is what pg_stat_activity shows meanwhile. */
extern void sql_begin(const char *activity);
extern void sql_commit(void);

/* SPI bracket inside somebody else's transaction; results of reads must live in the caller's context. */
extern void sql_enter(void);
extern void sql_leave(void);

/* The role that owns the settle tables. */
extern Oid sql_owner(void);

/* Runs a statement and returns the rows processed; RETURNING rows are in SPI_tuptable. params may be NULL. */
extern uint64 sql_execute(const char *statement, const SqlParams *params);

/*
 * The same for a statement that is executed often: it is parsed at its first execution in this process only. A static
 * variable with the statement and parameters of always the same types.
 */
typedef struct SqlPrepared {
	const char *statement;
	SPIPlanPtr plan;
} SqlPrepared;
extern uint64 sql_execute_prepared(SqlPrepared *prepared, const SqlParams *params);

/*
 * The same for a query, under the snapshot that sql_begin() or the caller's statement took: all such reads of one
 * transaction, and of sql_read(), see one state of the database.
 */
extern uint64 sql_select(const char *query, const SqlParams *params);

/*
 * Runs a query under that snapshot and hands each row to the callback, which must copy what it keeps. Errors before the
 * first row when the query does not return the types of `columns`.
 */
typedef void (*SqlRow)(TupleTableSlot *slot, void *arg);
extern void sql_read(const char *query, const SqlParams *params, const Columns *columns, SqlRow row, void *arg);

/* The same for a statement that writes and returns rows, under a snapshot of its own. */
extern void sql_returning(const char *statement, const SqlParams *params, const Columns *columns, SqlRow row, void *arg);

/*
 * Columns (from 1) of row number `row` of SPI_tuptable; those that name a type error when it is another one or the value
 * is NULL.
 */
extern Datum sql_datum(uint64 row, int column, bool *isnull);
extern int64 sql_int8(uint64 row, int column);
extern int32 sql_int4(uint64 row, int column);
extern int32 sql_day(uint64 row, int column);
extern bool sql_bool(uint64 row, int column);
extern char *sql_text(uint64 row, int column); /* NULL for SQL NULL; lives in the SPI context */

#endif
