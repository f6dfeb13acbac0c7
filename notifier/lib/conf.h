/*
 * conf.h: configuration from a table: file, environment, command line.
 *
 * A daemon describes its keys once (ConfKey); the table drives parsing, --help, --print-config and reload. Later sources
 * win: defaults, --config FILE (INI), environment (SETTLE_RELAY_POSTGRES_SLOT for postgres.slot), --postgres.slot VALUE.
 * In the file (ini_file.h), [postgres] slot = x and postgres.slot = x are the same. `kafka.*` keys that the table does not know are
 * librdkafka's own properties and pass through; reserved ones are refused with the reason. What more must hold, of one value
 * or of several, is the daemon's own `check`.
 */
#ifndef LIB_CONF_H
#define LIB_CONF_H

#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

typedef enum ConfType { CONF_TEXT, CONF_INT, CONF_BOOL, CONF_CHOICE } ConfType;

typedef struct ConfKey {
	const char *name;      /* "postgres.slot" */
	ConfType type;
	size_t offset;         /* of char *, int64_t, bool or int in the daemon's struct */
	const char *otherwise; /* default, as it would stand in the file */
	int64_t min, max;      /* CONF_INT */
	const char *const *choices; /* CONF_CHOICE: NULL-terminated; the value is the index */
	bool secret;           /* masked by --print-config, warned of on the command line */
	bool reloads;          /* SIGHUP takes a new value over */
	const char *help;
} ConfKey;

/* Properties that pass through, and those that may not. */
typedef struct ConfPair {
	char *name; /* of a property without "kafka." */
	char *value;
} ConfPair;

typedef struct ConfReserved {
	const char *name;
	const char *why;
} ConfReserved;

typedef struct Conf {
	const char *program;      /* "settle-relay" */
	const char *environment;  /* "SETTLE_RELAY_" */
	const ConfKey *keys;      /* ends with name NULL */
	const ConfReserved *reserved; /* ends with name NULL */
	/* NULL, or whether the values in `target` and kafka can work together; asked before they are taken over */
	bool (*check)(const void *target, const struct Conf *conf, Err *err);
	void *target;             /* the daemon's struct */
	const char *file;         /* of --config, NULL = none */
	ConfPair *kafka;
	size_t kafka_count;
	ConfPair *arguments;      /* settings of the command line, which win at each reload, too */
	size_t argument_count;
} Conf;

/* What the command line asked for besides keys. */
typedef enum ConfAction { CONF_RUN, CONF_HELP, CONF_VERSION, CONF_CHECK, CONF_PRINT } ConfAction;

/*
 * Sets defaults, then reads file, environment and command line. Switches of the daemon itself (--once) are looked up in
 * `switches`, pairs of name and bool, ending with name NULL.
 */
typedef struct ConfSwitch {
	const char *name; /* "--once" */
	bool *value;
	const char *help;
} ConfSwitch;

bool conf_load(Conf *conf, int argc, char **argv, const ConfSwitch *switches, ConfAction *action, Err *err) MUST_CHECK;

/* Reads file and environment again, under the command line, and takes over what may change; on error nothing has changed. */
bool conf_reload(Conf *conf, Err *err) MUST_CHECK;

void conf_help(const Conf *conf, const ConfSwitch *switches, FILE *out);
void conf_print(const Conf *conf, FILE *out);
/* Logs a warning for each secret that stands on the command line. */
void conf_warn_of_secrets(const Conf *conf);
void conf_free(Conf *conf);

#endif
