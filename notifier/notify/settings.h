/*
 * settings.h: what settle-notifier can be told. The table in settings.c is also --help and the man page's source.
 */
#ifndef NOTIFY_SETTINGS_H
#define NOTIFY_SETTINGS_H

#include "lib/conf.h"

typedef struct Settings {
	char *conninfo;
	char *topic_bills;
	char *group;
	int64_t batch_events;
	int64_t batch_ms;
	int64_t sweep_ms;
	int64_t spread_minutes;
	int64_t validity_hours;
	char *listen;
	int log_level;  /* LogLevel */
	int log_format; /* 0 = text, 1 = json */
} Settings;

extern const ConfKey settings_keys[];
extern const ConfReserved settings_reserved[];

/* Conf.check: names that Kafka takes, and what would fail at run in any case. */
bool settings_check(const void *target, const Conf *conf, Err *err) MUST_CHECK;

#endif
