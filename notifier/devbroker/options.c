/*
 * options.c: the command line of settle-devbroker (see options.h).
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "devbroker/command.h"
#include "devbroker/options.h"

#define MOST_BROKERS 20
#define MOST_PARTITIONS 1000
#define LONGEST_NAME 249 /* Kafka's own limit */
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static bool
is_there(const Options *options, const char *name)
{
	for (size_t i = 0; i < options->topic_count; i++)
		if (strcmp(options->topics[i].name, name) == 0)
			return true;
	return false;
}

/* NAME or NAME:PARTITIONS */
static bool
add_topic(Options *options, char *text, Err *err)
{
	char *colon = strchr(text, ':');
	long partitions = 1;

	if (colon != NULL)
		*colon = '\0';
	const size_t len = strlen(text);
	if (len == 0 || len > LONGEST_NAME || strspn(text, NAME_LETTERS) != len)
		return err_set(err, "\"%.260s\" is not a name of a topic: up to %d letters, digits, \".\", \"_\" and \"-\"", text, LONGEST_NAME);
	if (colon != NULL && !command_number(colon + 1, 1, MOST_PARTITIONS, &partitions))
		return err_set(err, "partitions of topic %s must be a whole number from 1 to %d, not \"%s\"", text, MOST_PARTITIONS, colon + 1);
	if (is_there(options, text))
		return err_set(err, "topic %s is there twice", text);
	options->topics = realloc(options->topics, (options->topic_count + 1) * sizeof(Topic));
	options->topics[options->topic_count++] = (Topic){strdup(text), (int) partitions};
	return true;
}

static bool
add_topics(Options *options, const char *list, Err *err)
{
	char *copy = strdup(list);
	char *rest = copy;
	char *text;
	bool added = true;

	while (added && (text = strsep(&rest, ",")) != NULL)
		added = add_topic(options, text, err);
	free(copy);
	return added;
}

static bool
take_option(Options *options, int option, const char *argument, Err *err)
{
	long brokers;

	switch (option)
	{
		case 't':
			return add_topics(options, optarg, err);
		case 'b':
			if (!command_number(optarg, 1, MOST_BROKERS, &brokers))
				return err_set(err, "--brokers must be a whole number from 1 to %d, not \"%s\"", MOST_BROKERS, optarg);
			options->brokers = (int) brokers;
			return true;
		case 'f':
			options->bootstrap_file = optarg;
			return *optarg != '\0' || err_set(err, "--bootstrap-file needs the name of a file");
		case 'h':
			options->action = ACTION_HELP;
			return true;
		case 'v':
			options->action = ACTION_VERSION;
			return true;
		case ':':
			return err_set(err, "%s needs a value", argument);
		default:
			return err_set(err, "\"%s\" is not an option; --help lists them", argument);
	}
}

bool
options_read(int argc, char **argv, Options *options, Err *err)
{
	static const struct option table[] = {
		{"topics", required_argument, NULL, 't'}, {"brokers", required_argument, NULL, 'b'},
		{"bootstrap-file", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'}, {NULL, 0, NULL, 0},
	};

	*options = (Options){.brokers = 1};
	for (;;)
	{
		/* no short options; the plus keeps the order of arguments, the colon leaves messages to us */
		const char *argument = argv[optind];
		const int option = getopt_long(argc, argv, "+:", table, NULL);

		if (option == -1)
			break;
		if (!take_option(options, option, argument, err))
			return false;
	}
	return optind == argc || err_set(err, "\"%s\" is not an option; --help lists them", argv[optind]);
}

void
options_help(FILE *out)
{
	fputs("usage: settle-devbroker [--brokers N] [--topics NAME[:PARTITIONS],…] [--bootstrap-file FILE]\n\n"
		  "A make-believe Kafka for trials and tests, in memory: it forgets all when it ends, keeps at most 5 MiB of a\n"
		  "partition, and its transactions take nothing back. Prints its bootstrap servers and serves until SIGTERM.\n\n"
		  "  --brokers N            brokers of the cluster (default: 1)\n"
		  "  --topics LIST          makes topics, with one partition where none are given; can be repeated\n"
		  "  --bootstrap-file FILE  also writes the bootstrap servers there, when they can be reached\n"
		  "  --version, --help\n\n"
		  "Faults, as lines on standard input; each is answered by \"ok\" or \"error: …\":\n\n",
		  out);
	command_help(out);
}

void
options_free(Options *options)
{
	for (size_t i = 0; i < options->topic_count; i++)
		free(options->topics[i].name);
	free(options->topics);
}
