/*
 * sweep.c: the thread that looks for what no event brings about (see sweep.h).
 *
 * It looks in a fixed rhythm, and at once when the functions for operators or a release wake it (channel settle_notice); so a
 * wake-up that is lost costs a moment and nothing else.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "notify/db.h"
#include "notify/sweep.h"

#define SLICE_MS 100

struct Sweep {
	State *state;
	pthread_t thread;
	Db db;
	char last_fault[512];
};

static bool
look(Sweep *sweep, Err *err)
{
	const bool fresh = sweep->db.connection == NULL;
	const DbParams none = {0};

	if (!db_ready(&sweep->db, err) || (fresh && !db_run(&sweep->db, "LISTEN settle_notice", err)))
		return false;
	PGresult *result = db_execute(&sweep->db, "SELECT released, lost FROM settle.notice_sweep()", &none, err);
	if (result == NULL)
		return false;
	const int64_t released = db_int8(result, 0, 0), lost = db_int8(result, 0, 1);
	PQclear(result);
	atomic_fetch_add(&sweep->state->released, (uint64_t) released);
	atomic_fetch_add(&sweep->state->lost, (uint64_t) lost);
	if (released > 0)
		log_info("notices of released runs may go", F_INT("notices", released));
	if (lost > 0)
		log_warning("notices whose worker is gone are unknown", F_INT("notices", lost));
	return true;
}

/* Until it is time, somebody calls, or the end. */
static void
wait_for_call(Sweep *sweep, int64_t until)
{
	while (!atomic_load(&sweep->state->stopping) && clock_ms() < until)
	{
		struct pollfd wire = {.fd = sweep->db.connection != NULL ? PQsocket(sweep->db.connection) : -1, .events = POLLIN};

		(void) poll(&wire, 1, SLICE_MS);
		if (sweep->db.connection == NULL || wire.revents == 0)
			continue;
		PGnotify *call = PQconsumeInput(sweep->db.connection) ? PQnotifies(sweep->db.connection) : NULL;
		const bool called = call != NULL || PQstatus(sweep->db.connection) != CONNECTION_OK;
		for (; call != NULL; call = PQnotifies(sweep->db.connection))
			PQfreemem(call);
		if (called)
			return;
	}
}

static void *
sweep_thread(void *arg)
{
	Sweep *sweep = arg;
	State *state = sweep->state;

	while (!atomic_load(&state->stopping))
	{
		Err err = {.text = ""};
		const bool done = look(sweep, &err);

		atomic_store(&state->database, done);
		if (!done)
		{
			atomic_fetch_add(&state->sweep_faults, 1);
			if (strcmp(err.text, sweep->last_fault) != 0)
				log_warning("the database is not looked after", F_TEXT("reason", err.text));
			db_close(&sweep->db);
		}
		strcpy(sweep->last_fault, err.text);
		wait_for_call(sweep, clock_ms() + state->settings->sweep_ms);
	}
	db_close(&sweep->db);
	return NULL;
}

Sweep *
sweep_start(State *state)
{
	Sweep *sweep = calloc(1, sizeof(Sweep));

	sweep->state = state;
	sweep->db = (Db){.conninfo = state->settings->conninfo, .name = "settle-notifier sweep"};
	pthread_create(&sweep->thread, NULL, sweep_thread, sweep);
	return sweep;
}

void
sweep_stop(Sweep *sweep)
{
	pthread_join(sweep->thread, NULL);
	free(sweep);
}
