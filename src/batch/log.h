/*
 * log.h: what an operator wants to read afterwards, as rows of settle.run_log.
 */
#ifndef BATCH_LOG_H
#define BATCH_LOG_H

#include "postgres.h"

typedef enum LogLevel { RUN_LOG_INFO, RUN_LOG_WARNING, RUN_LOG_ERROR } LogLevel;

#define LOG_NO_SLICE (-1)

/* Inside a transaction: commits or is undone with what it tells. */
extern void log_write(int64 run_id, LogLevel level, int slice, const char *format, ...) pg_attribute_printf(4, 5);

/* Between transactions, in one of its own. */
extern void log_commit(int64 run_id, LogLevel level, int slice, const char *format, ...) pg_attribute_printf(4, 5);

#endif
