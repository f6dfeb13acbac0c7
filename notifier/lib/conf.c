/*
 * conf.c: configuration from a table (see conf.h).
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/ini_file.h"
#include "lib/log.h"

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

static bool
read_file(Conf *conf, Err *err)
{
	IniFile file;
	Err reason;
	bool done = true;

	if (conf->file == NULL)
		return true;
	if (!ini_file_read(conf->file, &file, err))
		return false;
	for (size_t i = 0; done && i < file.count; i++)
	{
		done = set_named(conf, file.entries[i].name, file.entries[i].value, &reason);
		if (!done)
			(void) err_set(err, "%s, line %d: %.400s", conf->file, file.entries[i].line, reason.text);
	}
	ini_file_free(&file);
	return done;
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

/*
 * Takes the command line apart; keys are applied later, after the file, and again with each reload. argv stays as it is: a
 * daemon may execute itself anew with it.
 */
static bool
read_arguments(Conf *conf, int argc, char **argv, const ConfSwitch *switches, ConfAction *action, Err *err)
{
	conf->arguments = calloc((size_t) argc + 1, sizeof(ConfPair));
	for (int i = 1; i < argc; i++)
	{
		const char *argument = argv[i];
		const size_t len = strcspn(argument, "=");

		if (is_switch(switches, argument) || is_action(argument, action))
			continue;
		if (strncmp(argument, "--", 2) != 0)
			return err_set(err, "\"%s\" is not an option; %s --help lists them", argument, conf->program);
		if (argument[len] == '\0' && i + 1 == argc)
			return err_set(err, "%s needs a value", argument);
		const char *value = argument[len] == '=' ? argument + len + 1 : argv[++i];
		if (len == strlen("--config") && strncmp(argument, "--config", len) == 0)
			conf->file = value;
		else
			conf->arguments[conf->argument_count++] = (ConfPair){strndup(argument + 2, len - 2), strdup(value)};
	}
	return true;
}

static bool
read_sources(Conf *conf, Err *err)
{
	bool done = set_defaults(conf, err) && read_file(conf, err) && read_environment(conf, err);

	for (size_t i = 0; done && i < conf->argument_count; i++)
		done = set_named(conf, conf->arguments[i].name, conf->arguments[i].value, err);
	return done;
}

static bool
fits_together(const Conf *conf, Err *err)
{
	return conf->check == NULL || conf->check(conf->target, conf, err);
}

bool
conf_load(Conf *conf, int argc, char **argv, const ConfSwitch *switches, ConfAction *action, Err *err)
{
	*action = CONF_RUN;
	if (!read_arguments(conf, argc, argv, switches, action, err))
		return false;
	if (*action == CONF_HELP || *action == CONF_VERSION)
		return set_defaults(conf, err);
	/* What is in force can be looked at before it is complete. */
	return read_sources(conf, err) && (*action == CONF_PRINT || fits_together(conf, err));
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
	const bool loaded = read_sources(&fresh, err) && fits_together(&fresh, err);
	for (const ConfKey *key = conf->keys; loaded && key->name != NULL; key++)
		if (key->reloads && key->type != CONF_TEXT)
			memcpy((char *) conf->target + key->offset, (char *) fresh.target + key->offset, value_size(key->type));
	fresh.arguments = NULL; /* they are conf's */
	fresh.argument_count = 0;
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

/* Those of the file and of the environment are for the daemon's user and root alone. */
void
conf_warn_of_secrets(const Conf *conf)
{
	for (size_t i = 0; i < conf->argument_count; i++)
	{
		const char *name = conf->arguments[i].name;
		const ConfKey *key = find_key(conf, name);

		if (*conf->arguments[i].value != '\0' && (key != NULL ? key->secret : is_secret_property(name)))
			log_warning("everybody on this machine can read the command line; a secret belongs in the file or the environment",
						F_TEXT("setting", name));
	}
}

static void
free_pairs(ConfPair **pairs, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
	{
		free((*pairs)[i].name);
		free((*pairs)[i].value);
	}
	free(*pairs);
	*pairs = NULL;
	*count = 0;
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
	free_pairs(&conf->kafka, &conf->kafka_count);
	free_pairs(&conf->arguments, &conf->argument_count);
}
