/*
 * functions.c: small functions that SQL needs from C: buckets, digests, reason codes, careful parsing.
 */
#include "compat.h"

#include <unistd.h>

#include "access/htup_details.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "common/payload.h"
#include "batch/run.h"
#include "common/reason.h"
#include "outbox/emit.h"
#include "store/bucket.h"
#include "store/groups.h"
#include "store/origin.h"
#include "store/reader.h"
#include "store/sql.h"

/* default_version of settle.control: scripts/lint compares them */
#define SETTLE_VERSION "1.0"

PG_FUNCTION_INFO_V1(settle_bucket);
PG_FUNCTION_INFO_V1(settle_set_bulk_origin);
PG_FUNCTION_INFO_V1(settle_usage_digest);
PG_FUNCTION_INFO_V1(settle_group_size);
PG_FUNCTION_INFO_V1(settle_reasons);
PG_FUNCTION_INFO_V1(settle_emit_released);
PG_FUNCTION_INFO_V1(settle_lock_period);
PG_FUNCTION_INFO_V1(settle_unlock_period);
PG_FUNCTION_INFO_V1(settle_payload_number);
PG_FUNCTION_INFO_V1(settle_flush_wal);
PG_FUNCTION_INFO_V1(settle_library);
PG_FUNCTION_INFO_V1(settle_try_bigint);
PG_FUNCTION_INFO_V1(settle_try_timestamptz);

Datum
settle_bucket(PG_FUNCTION_ARGS)
{
	const int32 buckets = PG_GETARG_INT32(1);

	if (buckets < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("buckets must be at least 1, not %d", buckets)));
	PG_RETURN_INT32(account_bucket(PG_GETARG_INT64(0), buckets));
}

Datum
settle_set_bulk_origin(PG_FUNCTION_ARGS)
{
	/* The owner, because settle_unload() works in its name; whoever else could, would hide rows from the owner. */
	if (!superuser() && GetUserId() != sql_owner())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied to hide rows from logical decoding"),
						errhint("Only a superuser or the owner of settle can.")));
	origin_hide(PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

Datum
settle_usage_digest(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) usage_digest(PG_GETARG_INT64(0), PG_GETARG_INT32(1), PG_GETARG_TIMESTAMPTZ(2),
										 PG_GETARG_INT64(3)));
}

Datum
settle_group_size(PG_FUNCTION_ARGS)
{
	const int32 size = groups_size(groups_decode(PG_GETARG_BYTEA_PP(0)), PG_GETARG_INT64(1));

	if (size < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(size);
}

Datum
settle_reasons(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	init_materialized_srf(fcinfo);
	for (int reason = REASON_OK + 1; reason < REASON_COUNT; reason++)
	{
		Datum values[4] = {
			CStringGetTextDatum(reason_code((Reason) reason)),
			CStringGetTextDatum(reason_class((Reason) reason) == REASON_CLASS_CATALOG ? "catalog" : "data"),
			CStringGetTextDatum(reason_is_warning((Reason) reason) ? "warning" : "error"),
			CStringGetTextDatum(reason_help((Reason) reason)),
		};
		bool nulls[4] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static Period
period_of(DateADT day)
{
	const Ymd ymd = ymd_from_day(day);

	return ymd_period(ymd.year, ymd.month);
}

Datum
settle_lock_period(PG_FUNCTION_ARGS)
{
	sql_enter();
	const bool locked = run_keep_away(period_of(PG_GETARG_DATEADT(0)));
	sql_leave();
	PG_RETURN_BOOL(locked);
}

Datum
settle_unlock_period(PG_FUNCTION_ARGS)
{
	run_let_in(period_of(PG_GETARG_DATEADT(0)));
	PG_RETURN_VOID();
}

Datum
settle_emit_released(PG_FUNCTION_ARGS)
{
	sql_enter();
	emit_run(PG_GETARG_INT64(0), "released");
	sql_leave();
	PG_RETURN_VOID();
}

/* Not through jsonb: a damaged payload is NULL here, not an error, and settle_verify() goes on. */
Datum
settle_payload_number(PG_FUNCTION_ARGS)
{
	const text *payload = PG_GETARG_TEXT_PP(0);
	int64_t value;

	if (!payload_read_int(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), text_to_cstring(PG_GETARG_TEXT_PP(1)), &value))
		PG_RETURN_NULL();
	PG_RETURN_INT64(value);
}

/* pg_logical_emit_message() can flush by itself from PostgreSQL 17 on only. */
Datum
settle_flush_wal(PG_FUNCTION_ARGS)
{
	const XLogRecPtr lsn = PG_GETARG_LSN(0);

	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("a standby writes no WAL")));
	if (lsn > GetXLogInsertRecPtr())
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("no WAL has been written up to %X/%X", LSN_FORMAT_ARGS(lsn))));
	XLogFlush(lsn);
	PG_RETURN_VOID();
}

/* For settle_doctor(), which compares it with the version of the extension. */
Datum
settle_library(PG_FUNCTION_ARGS)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	TupleDesc row;
	bool nulls[2] = {false, processors < 1};

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Datum values[2] = {CStringGetTextDatum(SETTLE_VERSION), Int32GetDatum((int32) processors)};
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}

/* NULL instead of an error: staging rows may hold anything. */
Datum
settle_try_bigint(PG_FUNCTION_ARGS)
{
	const char *value_text = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *end;

	while (isspace((unsigned char) *value_text))
		value_text++;
	if (*value_text == '\0')
		PG_RETURN_NULL();
	errno = 0;
	const long long value = strtoll(value_text, &end, 10);
	while (isspace((unsigned char) *end))
		end++;
	if (errno != 0 || *end != '\0' || end == value_text)
		PG_RETURN_NULL();
	PG_RETURN_INT64(value);
}

Datum
settle_try_timestamptz(PG_FUNCTION_ARGS)
{
	const char *value_text = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char work[MAXDATELEN + MAXDATEFIELDS];
	char *fields[MAXDATEFIELDS];
	int types[MAXDATEFIELDS];
	struct pg_tm tm;
	fsec_t fraction;
	TimestampTz value;
	int count;
	int type;
	int tz = 0;

	if (ParseDateTime(value_text, work, sizeof(work), fields, types, MAXDATEFIELDS, &count) != 0 ||
		decode_date_time(fields, types, count, &type, &tm, &fraction, &tz) != 0 || type != DTK_DATE ||
		tm2timestamp(&tm, fraction, &tz, &value) != 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(value);
}
