/*
 * ini_file.c: an INI file as a list (see ini_file.h). inih takes lines apart; which lines it gets to see is decided here.
 */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ini_file.h"

#define BLANKS " \t\r\n\v\f"
#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

typedef struct Reading {
	const char *path;
	FILE *stream;
	IniFile *file;
	Err *err;
	char *text;        /* the line as it stands there */
	size_t size;
	int line;
	bool has_key;      /* since the section began */
	size_t key_indent;
	bool continues;    /* the line goes on with the value before it */
	bool failed;
} Reading;

static char *
fail(Reading *reading, const char *what)
{
	reading->failed = true;
	(void) err_set(reading->err, "%s, line %d %s", reading->path, reading->line, what);
	return NULL;
}

/* A file whose keys are all indented is no single long value: what counts is whether a line is further in than its key. */
static void
look_at_indent(Reading *reading, size_t indent, char first)
{
	reading->continues = reading->has_key && indent > reading->key_indent;
	if (reading->continues)
		return;
	reading->has_key = first != '[';
	reading->key_indent = indent;
}

/* inih's reader, in place of fgets: inih would take the rest of a line that is too long for the next line. */
static char *
next_line(char *line, int size, void *arg)
{
	Reading *reading = arg;
	char what[64];

	if (reading->failed || getline(&reading->text, &reading->size, reading->stream) < 0)
		return NULL;
	char *text = reading->text;
	if (reading->line++ == 0 && strncmp(text, BYTE_ORDER_MARK, 3) == 0)
		text += 3;
	const size_t indent = strspn(text, BLANKS);
	text += indent;
	size_t len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		len--;
	if (len == 0 || *text == ';' || *text == '#')
		return strcpy(line, "\n");
	const size_t most = (size_t) size - sizeof(" \n");
	if (len > most)
	{
		snprintf(what, sizeof(what), "has more than %zu bytes; go on in an indented line", most);
		return fail(reading, what);
	}
	look_at_indent(reading, indent, *text);
	snprintf(line, (size_t) size, "%s%.*s\n", reading->continues ? " " : "", (int) len, text);
	return line;
}

static void
append(IniEntry *entry, const char *value)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", entry->value, *entry->value ? " " : "", value) < 0)
		abort();
	free(entry->value);
	entry->value = joined;
}

static int
take_value(void *arg, const char *section, const char *name, const char *value)
{
	Reading *reading = arg;
	IniFile *file = reading->file;
	char *full;

	if (reading->continues && file->count > 0)
	{
		append(&file->entries[file->count - 1], value);
		return 1;
	}
	if (asprintf(&full, "%s%s%s", section, *section ? "." : "", name) < 0)
		abort();
	for (size_t i = 0; i < file->count && !reading->failed; i++)
		if (strcmp(file->entries[i].name, full) == 0)
		{
			reading->failed = true;
			(void) err_set(reading->err, "%s, line %d: %.200s is there already, in line %d", reading->path, reading->line, full,
						   file->entries[i].line);
		}
	file->entries = realloc(file->entries, (file->count + 1) * sizeof(IniEntry));
	file->entries[file->count++] = (IniEntry){full, strdup(value), reading->line};
	return 1;
}

bool
ini_file_read(const char *path, IniFile *file, Err *err)
{
	Reading reading = {.path = path, .file = file, .err = err};

	*file = (IniFile){0};
	reading.stream = fopen(path, "r");
	if (reading.stream == NULL)
		return err_set(err, "cannot read %s: %s", path, strerror(errno));
	errno = 0;
	const int bad_line = ini_parse_stream(next_line, &reading, take_value, &reading);
	if (ferror(reading.stream))
		reading.failed = !err_set(err, "cannot read %s: %s", path, strerror(errno));
	else if (bad_line != 0)
		reading.failed = !err_set(err, "%s, line %d is not \"key = value\"", path, bad_line);
	fclose(reading.stream);
	free(reading.text);
	if (reading.failed)
		ini_file_free(file);
	return !reading.failed;
}

void
ini_file_free(IniFile *file)
{
	for (size_t i = 0; i < file->count; i++)
	{
		free(file->entries[i].name);
		free(file->entries[i].value);
	}
	free(file->entries);
	*file = (IniFile){0};
}
