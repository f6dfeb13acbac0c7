/*
 * ingest.c: settle.move_staged(), the two statements that bring staged rows into settle.usage.
 *
 * The first is the caller's: it takes the rows out of the staging table, judges them and parks the bad ones. Triggers,
 * casts and policies of that table are code of the caller, which must not be able to hide rows from logical decoding. So
 * the good rows wait in a tuplestore, as plain values, and only the second statement is hidden: it is fixed, it writes
 * settle.usage and nothing else, and whoever may not create triggers there cannot run code in it. Both run with the
 * caller's rights. Calling this function by hand gains nothing: any query may be run openly, and its rows end in usage.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "store/origin.h"
#include "store/sql.h"

PG_FUNCTION_INFO_V1(settle_move_staged);

/* What the first statement returns; account_id is NULL in a row that only brings the counts. */
static const Column staged_list[] = {
	{"account_id", "bigint"}, {"subscription_id", "bigint"}, {"occurred_at", "timestamp with time zone"},
	{"quantity", "bigint"},   {"metric_id", "integer"},      {"period", "date"},
	{"event_id", "text"},     {"taken", "bigint"},           {"parked", "bigint"},
};
static const Columns staged_columns = {"settle.usage", lengthof(staged_list), staged_list};

typedef struct Staged {
	MemoryContext context;
	Tuplestorestate *rows;
	TupleDesc columns;
	int64 taken;
	int64 parked;
	int64 good;
} Staged;

static void
staged_row(TupleTableSlot *slot, void *arg)
{
	Staged *staged = arg;

	if (staged->columns == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(staged->context);

		staged->columns = CreateTupleDescCopy(slot->tts_tupleDescriptor);
		MemoryContextSwitchTo(caller);
		staged->taken = DatumGetInt64(slot->tts_values[7]);
		staged->parked = DatumGetInt64(slot->tts_values[8]);
	}
	if (slot->tts_isnull[0])
		return;
	tuplestore_puttupleslot(staged->rows, slot);
	staged->good++;
}

static uint64
store(const Staged *staged, int64 load_id)
{
	SqlParams params = {0};
	EphemeralNamedRelationData relation = {
		.md = {.name = "staged", .tupdesc = staged->columns, .enrtype = ENR_NAMED_TUPLESTORE, .enrtuples = staged->good},
		.reldata = staged->rows,
	};

	if (staged->good == 0)
		return 0;
	sql_add_int8(&params, load_id);
	if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed");
	origin_hide(true);
	const uint64 stored =
		sql_execute("INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, load_id,"
					" event_id) SELECT account_id, subscription_id, occurred_at, quantity, metric_id, period, $1, event_id"
					" FROM staged ON CONFLICT DO NOTHING",
					&params);
	origin_hide(false);
	SPI_unregister_relation(relation.md.name);
	return stored;
}

/* Parameters of the query: load_id, time zone, open months, first block and the one after the last. */
static void
take(Staged *staged, FunctionCallInfo fcinfo)
{
	SqlParams params = {0};

	for (int i = 1; i <= 5; i++)
	{
		const Oid types[] = {INT8OID, TEXTOID, DATEARRAYOID, TIDOID, TIDOID};

		sql_add(&params, types[i - 1], PG_GETARG_DATUM(i));
	}
	sql_returning(text_to_cstring(PG_GETARG_TEXT_PP(0)), &params, &staged_columns, staged_row, staged);
}

Datum
settle_move_staged(PG_FUNCTION_ARGS)
{
	Staged staged = {.context = CurrentMemoryContext, .rows = tuplestore_begin_heap(false, false, work_mem)};
	TupleDesc result;
	bool nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &result) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	sql_enter();
	take(&staged, fcinfo);
	const uint64 stored = store(&staged, PG_GETARG_INT64(1));
	sql_leave();
	tuplestore_end(staged.rows);

	Datum values[4] = {Int64GetDatum(staged.taken), Int64GetDatum(staged.good), Int64GetDatum((int64) stored),
					   Int64GetDatum(staged.parked)};
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result), values, nulls)));
}
