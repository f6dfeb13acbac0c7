/*
 * conf.c: configuration from a table (see conf.h).
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"

extern char **environ;

static const ConfKey *
find_key(const Conf *conf, const char *name)
{
	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static bool
set_int(const ConfKey *key, const char *text, int64_t *target, Err *err)
{
	char *end;

	errno = 0;
	const long long value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < key->min || value > key->max)
		return err_set(err, "%s must be a whole number from %lld to %lld, not \"%s\"", key->name, (long long) key->min,
					   (long long) key->max, text);
	*target = value;
	return true;
}

static bool
set_bool(const ConfKey *key, const char *text, bool *target, Err *err)
{
	static const char *const yes[] = {"on", "true", "yes", "1"};
	static const char *const no[] = {"off", "false", "no", "0"};

	for (size_t i = 0; i < 4; i++)
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0)
		{
			*target = strcmp(text, yes[i]) == 0;
			return true;
		}
	return err_set(err, "%s must be on or off, not \"%s\"", key->name, text);
}

static bool
set_choice(const ConfKey *key, const char *text, int *target, Err *err)
{
	char list[256] = "";

	for (int i = 0; key->choices[i] != NULL; i++)
	{
		if (strcmp(key->choices[i], text) == 0)
		{
			*target = i;
			return true;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i > 0 ? ", " : "", key->choices[i]);
	}
	return err_set(err, "%s must be one of %s, not \"%s\"", key->name, list, text);
}

static bool
set_value(const Conf *conf, const ConfKey *key, const char *text, Err *err)
{
	char *place = (char *) conf->target + key->offset;

	switch (key->type)
	{
		case CONF_INT:
			return set_int(key, text, (int64_t *) (void *) place, err);
		case CONF_BOOL:
			return set_bool(key, text, (bool *) place, err);
		case CONF_CHOICE:
			return set_choice(key, text, (int *) (void *) place, err);
		case CONF_TEXT:
			break;
	}
	char **target = (char **) (void *) place;
	free(*target);
	*target = strdup(text);
	return true;
}

static bool
set_property(Conf *conf, const char *name, const char *value, Err *err)
{
	for (const ConfReserved *reserved = conf->reserved; reserved->name != NULL; reserved++)
		if (strcmp(reserved->name, name) == 0)
			return err_set(err, "kafka.%s cannot be set: %s", name, reserved->why);
	for (size_t i = 0; i < conf->kafka_count; i++)
		if (strcmp(conf->kafka[i].name, name) == 0)
		{
			free(conf->kafka[i].value);
			conf->kafka[i].value = strdup(value);
			return true;
		}
	conf->kafka = realloc(conf->kafka, (conf->kafka_count + 1) * sizeof(ConfPair));
	conf->kafka[conf->kafka_count++] = (ConfPair){strdup(name), strdup(value)};
	return true;
}

static bool
set_named(Conf *conf, const char *name, const char *value, Err *err)
{
	const ConfKey *key = find_key(conf, name);

	if (key != NULL)
		return set_value(conf, key, value, err);
	if (strncmp(name, "kafka.", 6) == 0 && name[6] != '\0')
		return set_property(conf, name + 6, value, err);
	return err_set(err, "there is no setting \"%s\"; %s --help lists them", name, conf->program);
}

/* ---- sources ---------------------------------------------------------------------------------------------------- */

typedef struct Reading {
	Conf *conf;
	Err *err;
	bool failed;
} Reading;

static int
ini_value(void *user, const char *section, const char *name, const char *value)
{
	Reading *reading = user;
	char full[256];

	if (reading->failed)
		return 1;
	snprintf(full, sizeof(full), "%s%s%s", section, *section ? "." : "", name);
	reading->failed = !set_named(reading->conf, full, value, reading->err);
	return 1;
}

static bool
read_file(Conf *conf, Err *err)
{
	Reading reading = {.conf = conf, .err = err};
	Err reason;

	if (conf->file == NULL)
		return true;
	const int result = ini_parse(conf->file, ini_value, &reading);
	if (result < 0)
		return err_set(err, "cannot read %s: %s", conf->file, strerror(errno));
	if (result > 0)
		return err_set(err, "%s, line %d is not \"key = value\"", conf->file, result);
	if (!reading.failed)
		return true;
	reason = *err;
	return err_set(err, "%s: %.400s", conf->file, reason.text);
}

/* SETTLE_RELAY_POSTGRES_SLOT → postgres.slot; a dot and an underscore look the same there, so keys are tried in turn. */
static bool
same_name(const char *key, const char *variable, size_t len)
{
	size_t i = 0;

	for (; i < len && key[i] != '\0'; i++)
	{
		const char upper = key[i] == '.' || key[i] == '-' ? '_' : (char) toupper((unsigned char) key[i]);

		if (upper != variable[i])
			return false;
	}
	return i == len && key[i] == '\0';
}

static bool
read_variable(Conf *conf, const char *name, size_t len, const char *value, Err *err)
{
	char property[128];

	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
		if (same_name(key->name, name, len))
			return set_value(conf, key, value, err);
	if (len <= 6 || strncmp(name, "KAFKA_", 6) != 0 || len - 6 >= sizeof(property))
		return err_set(err, "environment variable %s%.*s is not a setting", conf->environment, (int) len, name);
	for (size_t i = 6; i < len; i++)
		property[i - 6] = name[i] == '_' ? '.' : (char) tolower((unsigned char) name[i]);
	property[len - 6] = '\0';
	return set_property(conf, property, value, err);
}

static bool
read_environment(Conf *conf, Err *err)
{
	const size_t prefix = strlen(conf->environment);

	for (char **variable = environ; *variable != NULL; variable++)
	{
		const char *equals = strchr(*variable, '=');

		if (strncmp(*variable, conf->environment, prefix) != 0 || equals == NULL)
			continue;
		if (!read_variable(conf, *variable + prefix, (size_t) (equals - *variable) - prefix, equals + 1, err))
			return false;
	}
	return true;
}

static bool
set_defaults(Conf *conf, Err *err)
{
	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
		if (!set_value(conf, key, key->otherwise, err))
			return false;
	return true;
}

typedef struct Line {
	const char *name;
	const char *value;
} Line;

static bool
is_switch(const ConfSwitch *switches, const char *argument)
{
	for (; switches->name != NULL; switches++)
		if (strcmp(switches->name, argument) == 0)
		{
			*switches->value = true;
			return true;
		}
	return false;
}

static bool
is_action(const char *argument, ConfAction *action)
{
	static const struct {
		const char *name;
		ConfAction action;
	} actions[] = {{"--help", CONF_HELP},			{"-h", CONF_HELP},			  {"--version", CONF_VERSION},
				   {"--check-config", CONF_CHECK}, {"--print-config", CONF_PRINT}};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, argument) == 0)
		{
			*action = actions[i].action;
			return true;
		}
	return false;
}

/* Takes the command line apart; keys are applied later, after the file. */
static bool
read_arguments(Conf *conf, int argc, char **argv, const ConfSwitch *switches, ConfAction *action, Line *lines,
			   size_t *count, Err *err)
{
	for (int i = 1; i < argc; i++)
	{
		char *argument = argv[i];
		char *equals = strchr(argument, '=');

		if (is_switch(switches, argument) || is_action(argument, action))
			continue;
		if (strncmp(argument, "--", 2) != 0)
			return err_set(err, "\"%s\" is not an option; %s --help lists them", argument, conf->program);
		if (equals == NULL && i + 1 == argc)
			return err_set(err, "%s needs a value", argument);
		const char *value = equals != NULL ? equals + 1 : argv[++i];
		if (equals != NULL)
			*equals = '\0';
		if (strcmp(argument, "--config") == 0)
			conf->file = value;
		else
			lines[(*count)++] = (Line){argument + 2, value};
	}
	return true;
}

bool
conf_load(Conf *conf, int argc, char **argv, const ConfSwitch *switches, ConfAction *action, Err *err)
{
	Line *lines = calloc((size_t) argc + 1, sizeof(Line));
	size_t count = 0;

	*action = CONF_RUN;
	bool loaded = set_defaults(conf, err) &&
				  read_arguments(conf, argc, argv, switches, action, lines, &count, err) &&
				  (*action == CONF_HELP || *action == CONF_VERSION || (read_file(conf, err) && read_environment(conf, err)));
	for (size_t i = 0; loaded && i < count; i++)
		loaded = set_named(conf, lines[i].name, lines[i].value, err);
	free(lines);
	return loaded;
}

/* ---- reload ----------------------------------------------------------------------------------------------------- */

static size_t
value_size(ConfType type)
{
	switch (type)
	{
		case CONF_INT:
			return sizeof(int64_t);
		case CONF_BOOL:
			return sizeof(bool);
		case CONF_CHOICE:
			return sizeof(int);
		case CONF_TEXT:
			break;
	}
	return sizeof(char *);
}

static size_t
target_size(const Conf *conf)
{
	size_t size = 0;

	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
		if (key->offset + value_size(key->type) > size)
			size = key->offset + value_size(key->type);
	return size;
}

/* Texts never reload: somebody may hold a pointer to them. */
bool
conf_reload(Conf *conf, Err *err)
{
	Conf fresh = *conf;

	fresh.target = calloc(1, target_size(conf));
	fresh.kafka = NULL;
	fresh.kafka_count = 0;
	const bool loaded = set_defaults(&fresh, err) && read_file(&fresh, err) && read_environment(&fresh, err);
	for (const ConfKey *key = conf->keys; loaded && key->name != NULL; key++)
		if (key->reloads && key->type != CONF_TEXT)
			memcpy((char *) conf->target + key->offset, (char *) fresh.target + key->offset, value_size(key->type));
	conf_free(&fresh);
	free(fresh.target);
	return loaded;
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

void
conf_help(const Conf *conf, const ConfSwitch *switches, FILE *out)
{
	fprintf(out,
			"usage: %s [--config FILE] [--KEY VALUE …]\n\n"
			"  --config FILE      read settings from an INI file\n"
			"  --check-config     read all settings, say whether they are in order, and end\n"
			"  --print-config     print the settings in force, secrets masked, and end\n"
			"  --version, --help\n",
			conf->program);
	for (; switches->name != NULL; switches++)
		fprintf(out, "  %-18s %s\n", switches->name, switches->help);
	fprintf(out, "\nSettings, as --KEY VALUE, in the file, or in the environment (%sKEY, dots as underscores):\n\n",
			conf->environment);
	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
		fprintf(out, "  %-30s %s (default: %s)%s\n", key->name, key->help, *key->otherwise ? key->otherwise : "none",
				key->reloads ? " [reload]" : "");
	fprintf(out, "  %-30s %s\n", "kafka.PROPERTY", "any property of librdkafka, for example kafka.bootstrap.servers");
}

static void
print_value(const Conf *conf, const ConfKey *key, FILE *out)
{
	const char *place = (const char *) conf->target + key->offset;

	switch (key->type)
	{
		case CONF_INT:
			fprintf(out, "%lld", (long long) *(const int64_t *) (const void *) place);
			break;
		case CONF_BOOL:
			fputs(*(const bool *) place ? "on" : "off", out);
			break;
		case CONF_CHOICE:
			fputs(key->choices[*(const int *) (const void *) place], out);
			break;
		case CONF_TEXT:
		{
			const char *text = *(char *const *) (const void *) place;
			fputs(key->secret && *text ? "********" : text, out);
			break;
		}
	}
}

static bool
is_secret_property(const char *name)
{
	return strstr(name, "password") != NULL || strstr(name, "secret") != NULL || strstr(name, "key.pem") != NULL;
}

void
conf_print(const Conf *conf, FILE *out)
{
	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
	{
		fprintf(out, "%s = ", key->name);
		print_value(conf, key, out);
		fputc('\n', out);
	}
	for (size_t i = 0; i < conf->kafka_count; i++)
		fprintf(out, "kafka.%s = %s\n", conf->kafka[i].name,
				is_secret_property(conf->kafka[i].name) ? "********" : conf->kafka[i].value);
}

void
conf_free(Conf *conf)
{
	for (const ConfKey *key = conf->keys; key->name != NULL; key++)
		if (key->type == CONF_TEXT)
		{
			char **text = (char **) (void *) ((char *) conf->target + key->offset);
			free(*text);
			*text = NULL;
		}
	for (size_t i = 0; i < conf->kafka_count; i++)
	{
		free(conf->kafka[i].name);
		free(conf->kafka[i].value);
	}
	free(conf->kafka);
	conf->kafka = NULL;
	conf->kafka_count = 0;
}
