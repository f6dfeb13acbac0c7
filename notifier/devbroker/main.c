/*
 * main.c: settle-devbroker, a make-believe Kafka in a process of its own: librdkafka's mock cluster.
 *
 * For trials and tests without a Java machine. It speaks Kafka's protocol and checks nothing: what is kept is in memory and
 * bounded, transactions are accepted and mean nothing, topics cannot be made by clients. So the relay runs at-least-once
 * against it, and nothing that is read from it proves "exactly once".
 *
 * The cluster lives in librdkafka's threads; the main thread waits for a signal or a line on standard input (command.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "devbroker/command.h"
#include "devbroker/options.h"
#include "lib/log.h"
#include "lib/version.h"

#define MOST_REPLICAS 3
#define LINE_SIZE 1024

/* exit statuses */
enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE };

typedef struct Input {
	char line[LINE_SIZE];
	size_t len;
	bool too_long; /* the rest of the line is dropped */
	bool ended;
} Input;

/* ---- the cluster ------------------------------------------------------------------------------------------------ */

static void
write_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	(void) client;
	if (level <= 4)
		log_warning("librdkafka", F_TEXT("facility", facility), F_TEXT("text", text));
	else
		log_debug("librdkafka", F_TEXT("facility", facility), F_TEXT("text", text));
}

/* The mock cluster hangs on a client, which does nothing else. */
static rd_kafka_t *
open_client(Err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[256];

	rd_kafka_conf_set_log_cb(conf, write_log);
	rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (client == NULL)
	{
		rd_kafka_conf_destroy(conf);
		(void) err_set(err, "cannot make a Kafka client: %s", reason);
	}
	return client;
}

static bool
make_topics(rd_kafka_mock_cluster_t *cluster, const Options *options, Err *err)
{
	const int replicas = options->brokers < MOST_REPLICAS ? options->brokers : MOST_REPLICAS;

	for (size_t i = 0; i < options->topic_count; i++)
	{
		const Topic *topic = &options->topics[i];
		const rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, topic->name, topic->partitions, replicas);
		if (code != 0)
			return err_set(err, "cannot make topic %s: %s", topic->name, rd_kafka_err2str(code));
	}
	return true;
}

/* ---- where it is ------------------------------------------------------------------------------------------------ */

/* Whoever sees the file can read all of it: it is written under another name first. */
static bool
write_bootstrap_file(const char *path, const char *servers, Err *err)
{
	char fresh[4096];

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int) sizeof(fresh))
		return err_set(err, "the name of the bootstrap file is too long");
	FILE *file = fopen(fresh, "w");
	if (file == NULL)
		return err_set(err, "cannot write %s: %s", fresh, strerror(errno));
	const bool written = fprintf(file, "%s\n", servers) > 0;
	if (fclose(file) == 0 && written && rename(fresh, path) == 0)
		return true;
	(void) err_set(err, "cannot write %s: %s", path, strerror(errno));
	(void) unlink(fresh);
	return false;
}

static void
say(const char *text)
{
	puts(text);
	fflush(stdout);
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

static void
run_line(rd_kafka_mock_cluster_t *cluster, char *line)
{
	char answer[sizeof(((Err *) NULL)->text) + 16];
	Err err;

	if (command_run(cluster, line, &err))
		return say("ok");
	snprintf(answer, sizeof(answer), "error: %s", err.text);
	say(answer);
}

static void
take_byte(rd_kafka_mock_cluster_t *cluster, Input *input, char byte)
{
	if (byte != '\n')
	{
		if (input->len + 1 < sizeof(input->line))
			input->line[input->len++] = byte;
		else
			input->too_long = true;
		return;
	}
	input->line[input->len] = '\0';
	if (input->too_long)
		say("error: the line is too long");
	else
		run_line(cluster, input->line);
	input->len = 0;
	input->too_long = false;
}

/* The end of standard input is not ours: a service has none. */
static void
take_input(rd_kafka_mock_cluster_t *cluster, Input *input)
{
	char bytes[LINE_SIZE];
	const ssize_t len = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (len == 0 || (len < 0 && errno != EINTR && errno != EAGAIN))
		input->ended = true;
	for (ssize_t i = 0; i < len; i++)
		take_byte(cluster, input, bytes[i]);
}

static void
serve(rd_kafka_mock_cluster_t *cluster, int signals)
{
	Input input = {.len = 0};

	for (;;)
	{
		/* a negative descriptor is not looked at */
		struct pollfd sources[] = {{.fd = signals, .events = POLLIN}, {.fd = input.ended ? -1 : STDIN_FILENO, .events = POLLIN}};

		if (poll(sources, 2, -1) < 0)
			continue;
		if (sources[0].revents != 0)
			return;
		if (sources[1].revents != 0)
			take_input(cluster, &input);
	}
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static bool
announce_and_serve(rd_kafka_mock_cluster_t *cluster, const Options *options, int signals, Err *err)
{
	const char *servers = rd_kafka_mock_cluster_bootstraps(cluster);

	if (!make_topics(cluster, options, err) ||
		(options->bootstrap_file != NULL && !write_bootstrap_file(options->bootstrap_file, servers, err)))
		return false;
	say(servers);
	serve(cluster, signals);
	if (options->bootstrap_file != NULL)
		(void) unlink(options->bootstrap_file);
	return true;
}

static bool
run(const Options *options, Err *err)
{
	sigset_t ends;

	/* before librdkafka has threads that would take them */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	const int signals = signalfd(-1, &ends, SFD_CLOEXEC);
	if (signals < 0)
		return err_set(err, "cannot wait for signals: %s", strerror(errno));

	rd_kafka_t *client = open_client(err);
	if (client == NULL)
		return false;
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, options->brokers);
	bool served = false;
	if (cluster == NULL)
		(void) err_set(err, "cannot make a mock cluster of %d brokers", options->brokers);
	else
	{
		served = announce_and_serve(cluster, options, signals, err);
		rd_kafka_mock_cluster_destroy(cluster);
	}
	rd_kafka_destroy(client);
	close(signals);
	return served;
}

int
main(int argc, char **argv)
{
	Options options;
	int status = STATUS_OK;
	Err err;

	log_setup(LOG_LEVEL_WARNING, false);
	if (!options_read(argc, argv, &options, &err))
		status = STATUS_USAGE;
	else if (options.action == ACTION_HELP)
		options_help(stdout);
	else if (options.action == ACTION_VERSION)
		puts("settle-devbroker " VERSION);
	else if (!run(&options, &err))
		status = STATUS_FAILED;
	if (status != STATUS_OK)
		fprintf(stderr, "settle-devbroker: %s\n", err.text);
	options_free(&options);
	return status;
}
