/*
 * skip.c: items that could not be settled, as rows of settle.run_error.
 *
 * A skip belongs to the chunk that judged the item: row and counters commit together, so that skips of a slice = its
 * open rows at any time. A resumed run tries skipped items again (see step.h); the chunk that does so first takes the old
 * row back. What an operator has marked (settle_error_mark()) is not open any more and stays as it is.
 */
#include "compat.h"

#include "batch/step.h"
#include "store/sql.h"

void
skip_record(int64 run_id, int slice, int64 item, bool warning, const char *code, const char *message,
			const char *context)
{
	/* Prepared, because a run of a faulty catalogue skips every item. */
	static SqlPrepared insert = {
		"INSERT INTO settle.run_error (run_id, slice, account_id, severity, code, message, context, status)"
		" VALUES ($1, $2, $3, $4::settle.severity, $5, $6, $7,"
		"  CASE WHEN $4 = 'error' THEN 'open'::settle.error_status END)"};
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_int4(&params, slice);
	sql_add_int8(&params, item);
	sql_add_text(&params, warning ? "warning" : "error");
	sql_add_text(&params, code);
	sql_add_text(&params, message);
	sql_add_text(&params, context);
	sql_execute_prepared(&insert, &params);
}

int64
skip_forget(int64 run_id, int slice, const int64 *items, int count)
{
	SqlParams params = {0};

	if (count == 0)
		return 0;
	sql_add_int8(&params, run_id);
	sql_add_int4(&params, slice);
	sql_add_int8_array(&params, items, count);
	return (int64) sql_execute("DELETE FROM settle.run_error WHERE run_id = $1 AND slice = $2"
							   " AND account_id = ANY ($3) AND status = 'open'",
							   &params);
}

int
skip_list(int64 run_id, int slice, int64 done_through, int64 **items)
{
	SqlParams params = {0};

	sql_add_int8(&params, run_id);
	sql_add_int4(&params, slice);
	sql_add_int8(&params, done_through);
	const int count = (int) sql_execute("SELECT DISTINCT account_id FROM settle.run_error WHERE run_id = $1"
										" AND slice = $2 AND account_id <= $3 AND status = 'open' ORDER BY account_id",
										&params);

	*items = palloc(Max(count, 1) * sizeof(int64));
	for (int i = 0; i < count; i++)
		(*items)[i] = sql_int8(i, 1);
	return count;
}
