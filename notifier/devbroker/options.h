/*
 * options.h: the command line of settle-devbroker.
 */
#ifndef DEVBROKER_OPTIONS_H
#define DEVBROKER_OPTIONS_H

#include <stdio.h>

#include "lib/err.h"

typedef struct Topic {
	char *name;
	int partitions;
} Topic;

typedef enum Action { ACTION_RUN, ACTION_HELP, ACTION_VERSION } Action;

typedef struct Options {
	Action action;
	int brokers;
	const char *bootstrap_file; /* NULL = none */
	Topic *topics;
	size_t topic_count;
} Options;

bool options_read(int argc, char **argv, Options *options, Err *err) MUST_CHECK;
void options_help(FILE *out);
void options_free(Options *options);

#endif
