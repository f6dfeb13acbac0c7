/*
 * log.c: structured log lines on stderr (see log.h).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "lib/log.h"

#define LINE_SIZE 4096

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static _Atomic int current_level = LOG_LEVEL_INFO;
static bool as_json;

void
log_setup(LogLevel level, bool json)
{
	as_json = json;
	atomic_store(&current_level, (int) level);
}

LogLevel
log_level(void)
{
	return (LogLevel) atomic_load(&current_level);
}

bool
log_parse_level(const char *name, LogLevel *level)
{
	for (int i = 0; i < 4; i++)
		if (strcmp(name, level_names[i]) == 0)
		{
			*level = (LogLevel) i;
			return true;
		}
	return false;
}

static void
print_time(char *text, size_t size)
{
	struct timespec now;
	struct tm tm;
	char seconds[24];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, size, "%s.%03dZ", seconds, (int) (now.tv_nsec / 1000000) % 1000);
}

static void
json_key(Json *line, const char *name)
{
	json_lit(line, ",");
	json_string(line, name, strlen(name));
	json_lit(line, ":");
}

static void
write_json(Json *line, const char *time, LogLevel level, const char *message, const LogField *fields)
{
	json_lit(line, "{\"time\":");
	json_string(line, time, strlen(time));
	json_key(line, "level");
	json_string(line, level_names[level], strlen(level_names[level]));
	json_key(line, "message");
	json_string(line, message, strlen(message));
	for (; fields->name != NULL; fields++)
	{
		json_key(line, fields->name);
		if (fields->text != NULL)
			json_string(line, fields->text, strlen(fields->text));
		else
			json_int(line, fields->number);
	}
	json_lit(line, "}");
}

/* A value with blanks or quotes is quoted, so that a line can be taken apart again. */
static void
write_value(Json *line, const LogField *field)
{
	if (field->text == NULL)
		json_int(line, field->number);
	else if (*field->text == '\0' || strpbrk(field->text, " \t\r\n\"=") != NULL)
		json_string(line, field->text, strlen(field->text));
	else
		json_raw(line, field->text, strlen(field->text));
}

static void
write_text(Json *line, const char *time, LogLevel level, const char *message, const LogField *fields)
{
	char head[64];
	const int len = snprintf(head, sizeof(head), "%s %-7s ", time, level_names[level]);

	json_raw(line, head, (size_t) len);
	json_raw(line, message, strlen(message));
	for (; fields->name != NULL; fields++)
	{
		json_lit(line, " ");
		json_raw(line, fields->name, strlen(fields->name));
		json_lit(line, "=");
		write_value(line, fields);
	}
}

void
log_line(LogLevel level, const char *message, const LogField *fields)
{
	char text[LINE_SIZE + 1];
	char time[40];
	Json line = {.text = text, .size = LINE_SIZE};

	if ((int) level > atomic_load(&current_level))
		return;
	print_time(time, sizeof(time));
	(as_json ? write_json : write_text)(&line, time, level, message, fields);
	if (line.full)
	{
		/* too long: the message alone, rather than half a field */
		line = (Json){.text = text, .size = LINE_SIZE};
		(as_json ? write_json : write_text)(&line, time, level, message, &(LogField){0});
	}
	text[line.len] = '\n';
	(void) !write(STDERR_FILENO, text, line.len + 1);
}
