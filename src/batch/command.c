/*
 * command.c: commands by their id, for settle_run() (see command.h).
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "batch/command.h"
#include "store/sql.h"

static SqlParams
describe(const pg_uuid_t *id, const char *verb, const char *arguments)
{
	SqlParams params = {0};

	sql_add(&params, UUIDOID, UUIDPGetDatum(id));
	sql_add_text(&params, verb);
	sql_add_text(&params, arguments);
	return params;
}

bool
command_find(const pg_uuid_t *id, const char *verb, const char *arguments, int64 *run_id)
{
	const SqlParams params = describe(id, verb, arguments);

	if (sql_execute("SELECT outcome::int8 FROM settle.command_find($1, $2, $3::jsonb) AS outcome"
					" WHERE outcome IS NOT NULL",
					&params) == 0)
		return false;
	*run_id = sql_int8(0, 1);
	return true;
}

void
command_record(const pg_uuid_t *id, const char *verb, const char *arguments, Oid caller, int64 run_id)
{
	SqlParams params = describe(id, verb, arguments);
	bool isnull;

	sql_add_text(&params, GetUserNameFromId(caller, true));
	sql_execute("SELECT settle.command_claim($1, $2, $3::jsonb, coalesce($4, 'unknown')::name)", &params);
	(void) sql_datum(0, 1, &isnull);
	/* A repeat was looked for under the period's lock, so this id is new, or the claim has failed. */
	if (!isnull)
		elog(ERROR, "command of run " INT64_FORMAT " was executed before", run_id);

	SqlParams outcome = {0};
	sql_add(&outcome, UUIDOID, UUIDPGetDatum(id));
	sql_add_int8(&outcome, run_id);
	sql_execute("SELECT settle.command_finish($1, to_jsonb($2))", &outcome);
}
