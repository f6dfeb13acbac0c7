/*
 * pg.h: answers of PostgreSQL with a time limit, for libpq would wait for ever.
 */
#ifndef LIB_PG_H
#define LIB_PG_H

#include <stdatomic.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "lib/err.h"

/*
 * The answer to what was sent by PQsendQuery() and its like: the last result, or that of a COPY that begins. NULL when none came
 * in time, or *interrupted (may be NULL) became other than 0: the connection is of no use then. Whether the result is an error is
 * for the caller to see.
 */
PGresult *pg_answer(PGconn *connection, int64_t timeout_ms, const _Atomic int *interrupted, Err *err) MUST_CHECK;

/* libpq's words for what went wrong, in one line. */
bool pg_error(Err *err, const char *what, const PGconn *connection);

#endif
