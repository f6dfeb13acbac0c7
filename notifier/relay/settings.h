/*
 * settings.h: what settle-relay can be told. The table in settings.c is also --help and the man page's source.
 */
#ifndef RELAY_SETTINGS_H
#define RELAY_SETTINGS_H

#include "lib/conf.h"

typedef enum Delivery { EXACTLY_ONCE, AT_LEAST_ONCE } Delivery;
typedef enum Poison { POISON_STOP, POISON_DEAD_LETTER } Poison;

typedef struct Settings {
	char *conninfo;
	char *slot;
	int64_t status_ms;
	int64_t silence_ms;
	int delivery; /* Delivery */
	int poison;   /* Poison */
	char *source;
	char *topic_bills;
	char *topic_runs;
	char *topic_position;
	char *topic_dead_letter;
	bool create_topics;
	int64_t partitions;
	int64_t replication;
	int64_t retention_ms;
	int64_t transaction_events;
	int64_t transaction_ms;
	int64_t buffer_kb;
	char *listen;
	int log_level;  /* LogLevel */
	int log_format; /* 0 = text, 1 = json */
} Settings;

extern const ConfKey settings_keys[];
extern const ConfReserved settings_reserved[];

/* Conf.check: names that PostgreSQL and Kafka take, and what would fail at run in any case. */
bool settings_check(const void *target, const Conf *conf, Err *err) MUST_CHECK;

#endif
