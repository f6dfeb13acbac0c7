/*
 * sql.c: transactions and statements of the workers (see sql.h).
 *
 * Every statement goes through SPI_execute_extended(), so parameters are never pasted into text and rows can go
 * straight from the executor into a callback without a tuple table in between: a slice's usage is millions of rows.
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "access/table.h"
#include "store/sql.h"

static Oid saved_role;
static int saved_security;

void
sql_add(SqlParams *params, Oid type, Datum value)
{
	if (params->count >= SQL_MAX_PARAMS)
		elog(ERROR, "more than %d statement parameters", SQL_MAX_PARAMS);
	params->types[params->count] = type;
	params->values[params->count] = value;
	params->nulls[params->count] = false;
	params->count++;
}

void
sql_add_null(SqlParams *params, Oid type)
{
	sql_add(params, type, (Datum) 0);
	params->nulls[params->count - 1] = true;
}

void
sql_add_int4(SqlParams *params, int32 value)
{
	sql_add(params, INT4OID, Int32GetDatum(value));
}

void
sql_add_int8(SqlParams *params, int64 value)
{
	sql_add(params, INT8OID, Int64GetDatum(value));
}

void
sql_add_date(SqlParams *params, int32 day)
{
	sql_add(params, DATEOID, DateADTGetDatum(day));
}

void
sql_add_text(SqlParams *params, const char *value)
{
	if (value == NULL)
		sql_add_null(params, TEXTOID);
	else
		sql_add(params, TEXTOID, CStringGetTextDatum(value));
}

void
sql_add_int8_array(SqlParams *params, const int64 *values, int count)
{
	sql_add(params, INT8ARRAYOID, sql_id_array(values, count));
}

void
sql_add_bool(SqlParams *params, bool value)
{
	sql_add(params, BOOLOID, BoolGetDatum(value));
}

Datum
sql_id_array(const int64 *ids, int count)
{
	Datum *values = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		values[i] = Int64GetDatum(ids[i]);
	ArrayType *array = construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	pfree(values);
	return PointerGetDatum(array);
}

Oid
sql_owner(void)
{
	const Oid schema = get_namespace_oid("settle", false);
	const Oid table = get_relname_relid("run", schema);

	if (!OidIsValid(table))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table settle.run does not exist"),
						errhint("Run CREATE EXTENSION settle in this database.")));

	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	const Oid owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
sql_begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	sql_enter();
	PushActiveSnapshot(GetTransactionSnapshot());
	/* Static: an error is reported after the frame that made the text is gone. */
	static char statement[128];
	strlcpy(statement, activity, sizeof(statement));
	pgstat_report_activity(STATE_RUNNING, statement);
	debug_query_string = statement;

	/* An error resets both to what they were at StartTransactionCommand(). */
	GetUserIdAndSecContext(&saved_role, &saved_security);
	SetUserIdAndSecContext(sql_owner(), saved_security | SECURITY_RESTRICTED_OPERATION);
}

void
sql_commit(void)
{
	SetUserIdAndSecContext(saved_role, saved_security);
	sql_leave();
	PopActiveSnapshot();
	CommitTransactionCommand();
	debug_query_string = NULL;
	/* A background worker must do this itself, or autovacuum never hears of its writes. */
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

void
sql_enter(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
sql_leave(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

static ParamListInfo
param_list(const SqlParams *params)
{
	if (params == NULL || params->count == 0)
		return NULL;

	ParamListInfo list = makeParamList(params->count);
	for (int i = 0; i < params->count; i++)
	{
		list->params[i].value = params->values[i];
		list->params[i].isnull = params->nulls[i];
		list->params[i].pflags = PARAM_FLAG_CONST;
		list->params[i].ptype = params->types[i];
	}
	return list;
}

static void
run_statement(const char *statement, const SqlParams *params, bool read_only, DestReceiver *dest)
{
	/* SPI leaves its own context behind; callers keep theirs. */
	MemoryContext caller = CurrentMemoryContext;
	SPIExecuteOptions options = {0};

	options.params = param_list(params);
	options.read_only = read_only;
	options.dest = dest;
	const int result = SPI_execute_extended(statement, &options);
	MemoryContextSwitchTo(caller);
	if (result < 0)
		elog(ERROR, "statement failed with %s: %s", SPI_result_code_string(result), statement);
}

uint64
sql_execute(const char *statement, const SqlParams *params)
{
	run_statement(statement, params, false, NULL);
	return SPI_processed;
}

uint64
sql_execute_prepared(SqlPrepared *prepared, const SqlParams *params)
{
	MemoryContext caller = CurrentMemoryContext;
	const SPIExecuteOptions options = {.params = param_list(params)};

	if (prepared->plan == NULL)
	{
		SPIPlanPtr plan = SPI_prepare(prepared->statement, params->count, (Oid *) params->types);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "cannot prepare: %s", prepared->statement);
		prepared->plan = plan;
	}
	const int result = SPI_execute_plan_extended(prepared->plan, &options);
	MemoryContextSwitchTo(caller);
	if (result < 0)
		elog(ERROR, "statement failed with %s: %s", SPI_result_code_string(result), prepared->statement);
	return SPI_processed;
}

uint64
sql_select(const char *query, const SqlParams *params)
{
	run_statement(query, params, true, NULL);
	return SPI_processed;
}

/* A DestReceiver that knows a callback. */
typedef struct RowReceiver {
	DestReceiver base;
	const Columns *columns;
	SqlRow row;
	void *arg;
} RowReceiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;

	slot_getallattrs(slot);
	receiver->row(slot, receiver->arg);
	return true;
}

static void
receive_start(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	columns_check_query(((RowReceiver *) self)->columns, typeinfo);
}

static void
receive_end(DestReceiver *self)
{
}

static void
stream(const char *statement, const SqlParams *params, bool read_only, RowReceiver receiver)
{
	receiver.base = (DestReceiver){
		.receiveSlot = receive_row,
		.rStartup = receive_start,
		.rShutdown = receive_end,
		.rDestroy = receive_end,
		.mydest = DestNone,
	};
	run_statement(statement, params, read_only, &receiver.base);
}

void
sql_read(const char *query, const SqlParams *params, const Columns *columns, SqlRow row, void *arg)
{
	stream(query, params, true, (RowReceiver){.columns = columns, .row = row, .arg = arg});
}

void
sql_returning(const char *statement, const SqlParams *params, const Columns *columns, SqlRow row, void *arg)
{
	stream(statement, params, false, (RowReceiver){.columns = columns, .row = row, .arg = arg});
}

Datum
sql_datum(uint64 row, int column, bool *isnull)
{
	if (SPI_tuptable == NULL || row >= SPI_processed)
		elog(ERROR, "row %llu of a result with %llu rows", (unsigned long long) row,
			 (unsigned long long) SPI_processed);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/* Somebody may have changed the type of a catalogue column: its value must not be taken for another type's. */
static Datum
not_null(uint64 row, int column, Oid type)
{
	bool isnull;
	const Datum value = sql_datum(row, column, &isnull);
	const Oid found = SPI_gettypeid(SPI_tuptable->tupdesc, column);

	if (found != type && getBaseType(found) != type)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("column \"%s\" of a table of settle has type %s, expected %s",
							   SPI_fname(SPI_tuptable->tupdesc, column), format_type_be(found), format_type_be(type)),
						errhint("Change it back with ALTER TABLE; keep own data in own tables.")));

	if (isnull)
		elog(ERROR, "unexpected NULL in column %d", column);
	return value;
}

int64
sql_int8(uint64 row, int column)
{
	return DatumGetInt64(not_null(row, column, INT8OID));
}

int32
sql_int4(uint64 row, int column)
{
	return DatumGetInt32(not_null(row, column, INT4OID));
}

int32
sql_day(uint64 row, int column)
{
	return DatumGetDateADT(not_null(row, column, DATEOID));
}

bool
sql_bool(uint64 row, int column)
{
	return DatumGetBool(not_null(row, column, BOOLOID));
}

char *
sql_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}
