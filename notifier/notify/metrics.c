/*
 * metrics.c: what settle-notifier tells about itself over HTTP (see metrics.h).
 *
 * How many notices there are in each state is the database's to say (settle.notice_stats); here is what this process does.
 */
#include <inttypes.h>

#include "lib/clock.h"
#include "notify/metrics.h"

#define SILENT_MS 30000

static void
counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	fprintf(out, "# HELP settle_notifier_%s %s\n# TYPE settle_notifier_%s counter\nsettle_notifier_%s %" PRIu64 "\n", name, help,
			name, name, value);
}

static void
gauge(FILE *out, const char *name, const char *help, int64_t value)
{
	fprintf(out, "# HELP settle_notifier_%s %s\n# TYPE settle_notifier_%s gauge\nsettle_notifier_%s %" PRId64 "\n", name, help, name,
			name, value);
}

void
metrics_write(void *arg, FILE *out)
{
	State *state = arg;

	counter(out, "events_total", "events read", atomic_load(&state->events));
	counter(out, "batches_total", "transactions in which they were taken in", atomic_load(&state->batches));
	counter(out, "notices_total", "notices made of them", atomic_load(&state->stored));
	counter(out, "duplicates_total", "events that had their notice already", atomic_load(&state->duplicates));
	counter(out, "dead_letters_total", "events that could not become a notice", atomic_load(&state->dead_letters));
	counter(out, "replaced_total", "unsent notices that a newer bill replaced", atomic_load(&state->cancelled));
	counter(out, "ingest_faults_total", "batches that had to be tried again", atomic_load(&state->ingest_faults));
	counter(out, "released_total", "notices let go because their run was released", atomic_load(&state->released));
	counter(out, "lost_total", "notices whose worker was gone", atomic_load(&state->lost));
	counter(out, "sweep_faults_total", "looks into the database that failed", atomic_load(&state->sweep_faults));
	gauge(out, "partitions", "partitions that this instance reads", atomic_load(&state->partitions));
	gauge(out, "database", "1 when the last look into the database went well", atomic_load(&state->database));
}

static const char *
fault(State *state)
{
	if (clock_ms() - atomic_load(&state->last_poll_ms) > SILENT_MS)
		return "Kafka has not been asked for too long";
	if (!atomic_load(&state->ingesting))
		return "events cannot be taken in";
	return atomic_load(&state->database) ? NULL : "the database cannot be reached";
}

bool
metrics_healthy(void *arg, FILE *reason)
{
	State *state = arg;
	const bool alive = clock_ms() - atomic_load(&state->last_poll_ms) < 10 * SILENT_MS;

	fputs(alive ? "ok\n" : "it hangs\n", reason);
	return alive;
}

bool
metrics_ready(void *arg, FILE *reason)
{
	const char *text = fault(arg);

	fprintf(reason, "%s\n", text != NULL ? text : "ok");
	return text == NULL;
}
