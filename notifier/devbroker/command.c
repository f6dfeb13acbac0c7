/*
 * command.c: faults on request (see command.h).
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "devbroker/command.h"

#define MOST_WORDS 4
#define MOST_ERRORS 100000

typedef struct Command {
	const char *name;
	size_t arguments;
	const char *usage; /* without the name */
	const char *help;
	bool (*run)(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err);
} Command;

/* ---- arguments -------------------------------------------------------------------------------------------------- */

bool
command_number(const char *text, long low, long high, long *value)
{
	char *end;

	errno = 0;
	const long number = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < low || number > high)
		return false;
	*value = number;
	return true;
}

static bool
read_number(const char *what, const char *text, long low, long high, long *value, Err *err)
{
	return command_number(text, low, high, value) ||
		   err_set(err, "%s must be a whole number from %ld to %ld, not \"%s\"", what, low, high, text);
}

/* Requests that clients of settle make, by the names and numbers of Kafka's protocol. */
static bool
read_api(const char *text, int16_t *api, Err *err)
{
	static const struct {
		const char *name;
		int16_t number;
	} apis[] = {{"Produce", 0},		  {"Fetch", 1},		   {"ListOffsets", 2},		  {"Metadata", 3},
				{"OffsetCommit", 8},  {"OffsetFetch", 9},	   {"FindCoordinator", 10},	  {"JoinGroup", 11},
				{"Heartbeat", 12},	  {"SyncGroup", 14},	   {"InitProducerId", 22},	  {"AddPartitionsToTxn", 24},
				{"AddOffsetsToTxn", 25}, {"EndTxn", 26},	   {"TxnOffsetCommit", 28}};

	for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
		if (strcasecmp(apis[i].name, text) == 0)
		{
			*api = apis[i].number;
			return true;
		}
	return err_set(err, "\"%s\" is not a request of Kafka's protocol that can fail here, such as Produce or Metadata", text);
}

/* As librdkafka names them, without RD_KAFKA_RESP_ERR_: NOT_LEADER_FOR_PARTITION, _TRANSPORT. */
static bool
read_error(const char *text, rd_kafka_resp_err_t *error, Err *err)
{
	const struct rd_kafka_err_desc *descriptions;
	size_t count;

	rd_kafka_get_err_descs(&descriptions, &count);
	for (size_t i = 0; i < count; i++)
		if (descriptions[i].name != NULL && descriptions[i].code != 0 && strcasecmp(descriptions[i].name, text) == 0)
		{
			*error = descriptions[i].code;
			return true;
		}
	return err_set(err, "\"%s\" is not an error of Kafka, such as MSG_SIZE_TOO_LARGE; _TRANSPORT closes the connection", text);
}

static bool
outcome(rd_kafka_resp_err_t code, Err *err)
{
	return code == 0 || err_set(err, "%s", rd_kafka_err2str(code));
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static bool
run_down(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err)
{
	long broker;

	return read_number("broker", arguments[0], 1, INT32_MAX, &broker, err) &&
		   outcome(rd_kafka_mock_broker_set_down(cluster, (int32_t) broker), err);
}

static bool
run_up(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err)
{
	long broker;

	return read_number("broker", arguments[0], 1, INT32_MAX, &broker, err) &&
		   outcome(rd_kafka_mock_broker_set_up(cluster, (int32_t) broker), err);
}

static bool
run_rtt(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err)
{
	long broker, milliseconds;

	return read_number("broker", arguments[0], 1, INT32_MAX, &broker, err) &&
		   read_number("milliseconds", arguments[1], 0, 3600000, &milliseconds, err) &&
		   outcome(rd_kafka_mock_broker_set_rtt(cluster, (int32_t) broker, (int) milliseconds), err);
}

static bool
run_leader(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err)
{
	long partition, broker;

	return read_number("partition", arguments[1], 0, INT32_MAX, &partition, err) &&
		   read_number("broker", arguments[2], -1, INT32_MAX, &broker, err) &&
		   outcome(rd_kafka_mock_partition_set_leader(cluster, arguments[0], (int32_t) partition, (int32_t) broker), err);
}

static bool
run_errors(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err)
{
	rd_kafka_resp_err_t error = 0;
	int16_t api = 0;
	long count;

	if (!read_api(arguments[0], &api, err) || !read_number("count", arguments[1], 1, MOST_ERRORS, &count, err) ||
		!read_error(arguments[2], &error, err))
		return false;
	rd_kafka_resp_err_t *errors = malloc((size_t) count * sizeof(*errors));
	for (long i = 0; i < count; i++)
		errors[i] = error;
	rd_kafka_mock_push_request_errors_array(cluster, api, (size_t) count, errors);
	free(errors);
	return true;
}

static bool
run_clear(rd_kafka_mock_cluster_t *cluster, char *const *arguments, Err *err)
{
	int16_t api = 0;

	if (!read_api(arguments[0], &api, err))
		return false;
	rd_kafka_mock_clear_request_errors(cluster, api);
	return true;
}

static const Command commands[] = {
	{"down", 1, "BROKER", "nobody can reach the broker; its partitions keep it as their leader", run_down},
	{"up", 1, "BROKER", "it can be reached again", run_up},
	{"rtt", 2, "BROKER MS", "its answers take so long", run_rtt},
	{"leader", 3, "TOPIC PARTITION BROKER", "moves a partition; broker -1 leaves it without a leader", run_leader},
	{"errors", 3, "API COUNT ERROR", "the next COUNT requests fail: errors Produce 5 MSG_SIZE_TOO_LARGE", run_errors},
	{"clear", 1, "API", "they do not fail any more", run_clear},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

bool
command_run(rd_kafka_mock_cluster_t *cluster, char *line, Err *err)
{
	char *words[MOST_WORDS + 1] = {NULL};
	char *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && count <= MOST_WORDS; word = strtok_r(NULL, " \t\r", &rest))
		words[count++] = word;
	if (count == 0)
		return err_set(err, "a command is missing");
	for (const Command *command = commands; command < commands + COMMANDS; command++)
		if (strcmp(command->name, words[0]) == 0)
			return count - 1 == command->arguments ? command->run(cluster, words + 1, err)
												   : err_set(err, "usage: %s %s", command->name, command->usage);
	return err_set(err, "there is no command \"%s\"; --help lists them", words[0]);
}

void
command_help(FILE *out)
{
	for (const Command *command = commands; command < commands + COMMANDS; command++)
		fprintf(out, "  %-7s%-24s%s\n", command->name, command->usage, command->help);
}
