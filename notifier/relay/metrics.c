/*
 * metrics.c: what settle-relay tells about itself over HTTP (see metrics.h).
 *
 * Ready means that events flow: connected, heard from PostgreSQL lately, Kafka open, nothing pending for too long. It is
 * never derived from the process being up.
 */
#include <inttypes.h>
#include <time.h>

#include "lib/clock.h"
#include "relay/metrics.h"

#define PENDING_TOO_LONG_MS 30000
#define EPOCH_SHIFT INT64_C(946684800)

static void
counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	fprintf(out, "# HELP settle_relay_%s %s\n# TYPE settle_relay_%s counter\nsettle_relay_%s %" PRIu64 "\n", name, help, name,
			name, value);
}

static void
gauge(FILE *out, const char *name, const char *help, double value)
{
	fprintf(out, "# HELP settle_relay_%s %s\n# TYPE settle_relay_%s gauge\nsettle_relay_%s %.3f\n", name, help, name, name,
			value);
}

static void
write_histogram(State *state, FILE *out)
{
	static const double bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5};
	uint64_t sum = 0;

	fputs("# HELP settle_relay_kafka_commit_seconds time a Kafka transaction takes to commit\n"
		  "# TYPE settle_relay_kafka_commit_seconds histogram\n",
		  out);
	for (int i = 0; i < 11; i++)
	{
		sum += atomic_load(&state->commit_buckets[i]);
		fprintf(out, "settle_relay_kafka_commit_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", bounds[i], sum);
	}
	sum += atomic_load(&state->commit_buckets[11]);
	fprintf(out, "settle_relay_kafka_commit_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", sum);
	fprintf(out, "settle_relay_kafka_commit_seconds_sum %.6f\nsettle_relay_kafka_commit_seconds_count %" PRIu64 "\n",
			(double) atomic_load(&state->commit_sum_us) / 1e6, sum);
}

static double
seconds_behind(State *state)
{
	const int64_t commit_time = atomic_load(&state->last_commit_time);

	if (commit_time == 0 || !atomic_load(&state->outstanding))
		return 0;
	return (double) (time(NULL) - EPOCH_SHIFT) - (double) commit_time / 1e6;
}

void
metrics_write(void *arg, FILE *out)
{
	State *state = arg;
	const uint64_t server = atomic_load(&state->server_lsn);
	const uint64_t flushed = atomic_load(&state->flushed_lsn);

	counter(out, "events_total", "events committed to Kafka", atomic_load(&state->events));
	counter(out, "bytes_total", "bytes of events handed to Kafka", atomic_load(&state->bytes));
	counter(out, "transactions_total", "database transactions with events that were read whole", atomic_load(&state->transactions));
	counter(out, "kafka_transactions_total", "Kafka transactions committed", atomic_load(&state->kafka_transactions));
	counter(out, "duplicates_suppressed_total", "events that came again and were left out", atomic_load(&state->suppressed));
	counter(out, "poison_total", "events too large for their topic", atomic_load(&state->poison));
	counter(out, "record_faults_total", "attempts to record progress in the database that failed",
			atomic_load(&state->record_faults));
	fprintf(out, "# HELP settle_relay_reconnects_total connections made anew\n# TYPE settle_relay_reconnects_total counter\n"
				 "settle_relay_reconnects_total{peer=\"postgres\"} %" PRIu64 "\nsettle_relay_reconnects_total{peer=\"kafka\"} %" PRIu64 "\n",
			atomic_load(&state->reconnects_postgres), atomic_load(&state->reconnects_kafka));
	gauge(out, "lag_bytes", "WAL between the server's end and what PostgreSQL may forget",
		  server > flushed ? (double) (server - flushed) : 0);
	gauge(out, "lag_seconds", "age of the newest event, while events are on their way", seconds_behind(state));
	gauge(out, "queue_bytes", "bytes read ahead of Kafka", (double) queue_bytes(state->queue));
	gauge(out, "last_wire_activity_seconds", "time since a byte came from PostgreSQL",
		  (double) (clock_ms() - atomic_load(&state->last_wire_ms)) / 1000);
	gauge(out, "connected", "1 while replication streams", atomic_load(&state->connected));
	gauge(out, "producer_state", "0 closed, 1 opening, 2 ready, 3 broken, 4 halted", atomic_load(&state->producer));
	write_histogram(state, out);
}

bool
metrics_healthy(void *arg, FILE *reason)
{
	State *state = arg;

	if (atomic_load(&state->producer) == PRODUCER_HALTED)
	{
		fputs("halted\n", reason);
		return false;
	}
	fputs("ok\n", reason);
	return true;
}

bool
metrics_ready(void *arg, FILE *reason)
{
	State *state = arg;
	const int64_t now = clock_ms();
	const int64_t pending = atomic_load(&state->oldest_pending_ms);
	const char *text = NULL;

	if (atomic_load(&state->connected) == 0)
		text = "not streaming from PostgreSQL";
	else if (atomic_load(&state->producer) != PRODUCER_READY)
		text = "Kafka is not open";
	else if (now - atomic_load(&state->last_wire_ms) > state->settings->silence_ms / 2)
		text = "PostgreSQL has been silent";
	else if (pending != 0 && now - pending > PENDING_TOO_LONG_MS)
		text = "events have waited for Kafka too long";
	fprintf(reason, "%s\n", text ? text : "ok");
	return text == NULL;
}
