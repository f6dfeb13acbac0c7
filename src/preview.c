/*
 * preview.c: settle_preview(), the lines a run would write for one account, without writing.
 *
 * It reads the account with the run's own reader and rates it with the run's own function, in the caller's transaction:
 * what the preview shows is what the next run writes, if nothing changes in between.
 */
#include "compat.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "errcodes.h"
#include "store/catalog.h"
#include "store/leaves.h"
#include "store/reader.h"
#include "store/results.h"
#include "store/settlement.h"
#include "store/sql.h"

#define PREVIEW_COLUMNS 12

PG_FUNCTION_INFO_V1(settle_preview);

static Slice *
read_account(const Tariff *tariff, Period period, int64 account_id)
{
	SqlParams params = {0};
	const int buckets = settlement_check_month(period);

	sql_add_int8(&params, account_id);
	sql_add_int4(&params, buckets);
	sql_execute("SELECT settle.bucket($1, $2)", &params);
	const int bucket = sql_int4(0, 1);
	leaves_check(period.from, bucket);
	reader_check();
	return slice_read(&(SliceRequest){
		.tariff = tariff, .period = period, .bucket = bucket, .only = &account_id, .only_count = 1});
}

static void
put(Datum *values, bool *nulls, int column, Datum value)
{
	values[column] = value;
	nulls[column] = false;
}

static void
put_line(ReturnSetInfo *result, const Tariff *tariff, const Account *account, const Line *line, int32 line_no, Oid kind)
{
	Datum values[PREVIEW_COLUMNS] = {0};
	bool nulls[PREVIEW_COLUMNS];
	const char *name = NULL;

	memset(nulls, true, sizeof(nulls));
	put(values, nulls, 0, Int32GetDatum(line_no));
	put(values, nulls, 1, ObjectIdGetDatum(kind));
	if (line->product >= 0)
	{
		name = tariff->products[line->product].name;
		put(values, nulls, 3, Int32GetDatum(tariff->products[line->product].product_id));
	}
	if (line->kind <= LINE_MAXIMUM)
		put(values, nulls, 4, Int64GetDatum(line->subscription_id));
	if (line->metric >= 0)
		put(values, nulls, 5, Int32GetDatum(tariff->metrics[line->metric].metric_id));
	if (line->discount >= 0)
	{
		name = tariff->discounts[line->discount].name;
		put(values, nulls, 6, Int32GetDatum(tariff->discounts[line->discount].discount_id));
	}
	if (line->adjustment >= 0)
	{
		name = account->adjustments[line->adjustment].description;
		put(values, nulls, 7, Int64GetDatum(account->adjustments[line->adjustment].adjustment_id));
	}
	if (line->tax >= 0)
		name = tariff->taxes[line->tax].code;
	if (line->kind <= LINE_USAGE)
		put(values, nulls, 8, Int64GetDatum(line->quantity));
	if (line->kind == LINE_RECURRING)
		put(values, nulls, 9, Int16GetDatum((int16) line->days));
	put(values, nulls, 10, Int64GetDatum(line->amount));
	if (line->discounted != 0)
		put(values, nulls, 11, Int64GetDatum(line->discounted));
	if (name != NULL)
		put(values, nulls, 2, CStringGetTextDatum(name));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

pg_noreturn static void
refuse_account(int64 account_id, Fault fault)
{
	char message[256];

	reason_message(fault, message, sizeof(message));
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("account " INT64_FORMAT " would be skipped with %s: %s", account_id, reason_code(fault.reason),
						   message)));
}

static void
warn(const Bill *bill)
{
	for (int32 i = 0; i < bill->warning_count; i++)
	{
		char message[256];

		reason_message(bill->warnings[i], message, sizeof(message));
		ereport(WARNING, (errmsg("%s: %s", reason_code(bill->warnings[i].reason), message)));
	}
}

Datum
settle_preview(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const int64 account_id = PG_GETARG_INT64(0);
	const Period period = settlement_parse_month(PG_GETARG_TEXT_PP(1));
	LabelValues labels;
	Bill bill;
	Fault fault;

	init_materialized_srf(fcinfo);
	sql_enter();
	const Catalog *catalog = catalog_load();
	catalog_check(catalog);
	results_load_labels(&labels);
	const Slice *slice = read_account(&catalog->tariff, period, account_id);
	if (slice->count == 0)
		refuse_account(account_id, (Fault){.reason = REASON_UNKNOWN_ACCOUNT, .a = account_id});

	Workspace workspace = {.memory = palloc(Max(slice->rate_space, 1)), .size = slice->rate_space};
	switch (settlement_rate(&catalog->tariff, period, &slice->accounts[0], &workspace, &bill, &fault))
	{
		case OUTCOME_SKIP:
			refuse_account(account_id, fault);
		case OUTCOME_BILL:
			warn(&bill);
			for (int32 i = 0; i < bill.line_count; i++)
				put_line(result, &catalog->tariff, &slice->accounts[0], &bill.lines[i], i + 1,
						 labels.lines[bill.lines[i].kind]);
			break;
		case OUTCOME_EMPTY:
			warn(&bill);
			break;
		case OUTCOME_NOT_DUE:
			break;
	}
	sql_leave();
	return (Datum) 0;
}
