/*
 * command.h: commands by their id, for settle_run(), whose effect is a transaction of the leader.
 *
 * The row of settle.command and the run's row commit together. A repeat finds the row and does nothing. The functions
 * written in SQL do the same through settle.command_claim() and settle.command_finish().
 */
#ifndef BATCH_COMMAND_H
#define BATCH_COMMAND_H

#include "postgres.h"

#include "utils/uuid.h"

/* In a transaction: whether the command was executed before, and for which run. Errors when it had other arguments. */
extern bool command_find(const pg_uuid_t *id, const char *verb, const char *arguments, int64 *run_id);

/* In the transaction that creates or resumes the run. */
extern void command_record(const pg_uuid_t *id, const char *verb, const char *arguments, Oid caller, int64 run_id);

#endif
