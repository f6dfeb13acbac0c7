/*
 * log.c: what an operator wants to read afterwards, as rows of settle.run_log (see log.h).
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"

#include "batch/log.h"
#include "store/sql.h"

static const char *const level_names[] = {"info", "warning", "error"};

#define MESSAGE_SIZE 1024

/* As much as fits, cut between characters: it is stored in a table. */
pg_attribute_printf(2, 0) static void
print(char *message, const char *format, va_list arguments)
{
	vsnprintf(message, MESSAGE_SIZE, format, arguments);
	message[pg_mbcliplen(message, (int) strlen(message), MESSAGE_SIZE - 1)] = '\0';
}

static void
insert(int64 run_id, LogLevel level, int slice, const char *message)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_text(&params, level_names[level]);
	if (slice == LOG_NO_SLICE)
		sql_add_null(&params, INT4OID);
	else
		sql_add_int4(&params, slice);
	sql_add_text(&params, message);
	sql_execute("INSERT INTO settle.run_log (run_id, level, slice, message) VALUES ($1, $2::settle.log_level, $3, $4)",
				&params);
}

void
log_write(int64 run_id, LogLevel level, int slice, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	print(message, format, arguments);
	va_end(arguments);
	insert(run_id, level, slice, message);
}

void
log_commit(int64 run_id, LogLevel level, int slice, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	print(message, format, arguments);
	va_end(arguments);
	sql_begin("settle: writing the run's log");
	insert(run_id, level, slice, message);
	sql_commit();
}
