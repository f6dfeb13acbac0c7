/*
 * log.h: structured log lines on stderr, as text or JSON.
 *
 * A line is an event with a level, a message and up to eight fields. Thread-safe: a line is one write. Never log an
 * address, a payload or a secret.
 *
 *   2026-11-24T19:00:00.123Z info   committed events=50000 lsn=0/16B3748
 *   {"time":"2026-11-24T19:00:00.123Z","level":"info","message":"committed","events":50000,"lsn":"0/16B3748"}
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

typedef enum LogLevel { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } LogLevel;

typedef struct LogField {
	const char *name; /* NULL = the end */
	const char *text; /* NULL = the number */
	int64_t number;
} LogField;

/* log_info("committed", F_INT("events", n), F_TEXT("lsn", text)); */
#define F_TEXT(name, text) ((LogField){name, text, 0})
#define F_INT(name, number) ((LogField){name, NULL, number})

void log_setup(LogLevel level, bool json);
LogLevel log_level(void);
bool log_parse_level(const char *name, LogLevel *level);
void log_line(LogLevel level, const char *message, const LogField *fields);

#define LOG_AT(level, message, ...) log_line(level, message, (const LogField[]){__VA_ARGS__ __VA_OPT__(,) {0}})
#define log_error(message, ...) LOG_AT(LOG_LEVEL_ERROR, message __VA_OPT__(,) __VA_ARGS__)
#define log_warning(message, ...) LOG_AT(LOG_LEVEL_WARNING, message __VA_OPT__(,) __VA_ARGS__)
#define log_info(message, ...) LOG_AT(LOG_LEVEL_INFO, message __VA_OPT__(,) __VA_ARGS__)
#define log_debug(message, ...) LOG_AT(LOG_LEVEL_DEBUG, message __VA_OPT__(,) __VA_ARGS__)

#endif
