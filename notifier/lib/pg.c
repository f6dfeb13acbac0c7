/*
 * pg.c: answers of PostgreSQL with a time limit (see pg.h).
 */
#include <poll.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/pg.h"

#define SLICE_MS 100

static bool
wait_for_input(PGconn *connection, int64_t give_up, const _Atomic int *interrupted, Err *err)
{
	struct pollfd waited = {.fd = PQsocket(connection), .events = POLLIN};

	for (;;)
	{
		if (interrupted != NULL && atomic_load(interrupted) != 0)
			return err_set(err, "asked to end");
		if (clock_ms() > give_up)
			return err_set(err, "PostgreSQL does not answer");
		if (poll(&waited, 1, SLICE_MS) > 0)
			return true;
	}
}

PGresult *
pg_answer(PGconn *connection, int64_t timeout_ms, const _Atomic int *interrupted, Err *err)
{
	const int64_t give_up = clock_ms() + timeout_ms;
	PGresult *last = NULL;

	for (;;)
	{
		while (PQisBusy(connection))
		{
			if (!wait_for_input(connection, give_up, interrupted, err))
			{
				PQclear(last);
				return NULL;
			}
			if (!PQconsumeInput(connection))
				break;
		}
		PGresult *result = PQgetResult(connection);
		if (result == NULL)
			break;
		PQclear(last);
		last = result;
		if (PQresultStatus(result) == PGRES_COPY_BOTH || PQstatus(connection) != CONNECTION_OK)
			break;
	}
	if (last == NULL)
		(void) pg_error(err, "PostgreSQL", connection);
	return last;
}

bool
pg_error(Err *err, const char *what, const PGconn *connection)
{
	char text[400];
	size_t len = 0;

	for (const char *at = PQerrorMessage(connection); *at && len < sizeof(text) - 1; at++)
		text[len++] = *at == '\n' ? ' ' : *at;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	return err_set(err, "%s: %s", what, len > 0 ? text : "no answer");
}
