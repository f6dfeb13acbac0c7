/*
 * command.h: faults on request, a line each, such as "down 1" or "errors Produce 5 MSG_SIZE_TOO_LARGE".
 *
 * The table in command.c is also --help.
 */
#ifndef DEVBROKER_COMMAND_H
#define DEVBROKER_COMMAND_H

#include <stdio.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "lib/err.h"

/* Executes a line, which is taken apart in place. It is in force when this returns. */
bool command_run(rd_kafka_mock_cluster_t *cluster, char *line, Err *err) MUST_CHECK;

void command_help(FILE *out);

/* A whole number within the limits, and nothing else. */
bool command_number(const char *text, long low, long high, long *value);

#endif
