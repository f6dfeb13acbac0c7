/*
 * results.c: bills, their lines and their events, written in bulk (see results.h).
 *
 * Bills and lines are hidden from logical decoding, events are not. The column numbers here are those of
 * src/sql/06_results.sql; results_check() refuses tables that have others.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "outbox/emit.h"
#include "store/leaves.h"
#include "store/results.h"
#include "store/sql.h"
#include "store/writer.h"

static const Column bill_list[] = {
	{"account_id", "bigint"},     {"run_id", "bigint"},       {"recurring", "bigint"},  {"usage", "bigint"},
	{"one_off", "bigint"},        {"discount", "bigint"},     {"tax", "bigint"},        {"rounding", "bigint"},
	{"carried", "bigint"},        {"arrears", "bigint"},      {"credit_forward", "bigint"}, {"total", "bigint"},
	{"included_tax", "bigint"},   {"usage_rows", "bigint"},   {"usage_digest", "bigint"}, {"period", "settle.period"},
	{"due_on", "date"},           {"kind", "settle.bill_kind"}, {"revision", "smallint"}, {"exponent", "smallint"},
	{"currency", "text"},
};
static const Columns bill_columns = {"settle.bill", lengthof(bill_list), bill_list};

static const Column line_list[] = {
	{"account_id", "bigint"},       {"amount", "bigint"},     {"period", "settle.period"}, {"line_no", "integer"},
	{"kind", "settle.line_kind"},   {"revision", "smallint"}, {"days", "smallint"},        {"product_id", "integer"},
	{"subscription_id", "bigint"},  {"quantity", "bigint"},   {"discounted", "bigint"},    {"metric_id", "integer"},
	{"discount_id", "integer"},     {"adjustment_id", "bigint"}, {"base", "bigint"},       {"tax_code", "text"},
};
static const Columns line_columns = {"settle.bill_line", lengthof(line_list), line_list};

struct Results {
	const Run *run;
	const Tariff *tariff;
	const LabelValues *labels;
	int32 due_on;
	Datum *currencies; /* text by currency index */
	Datum *tax_codes;  /* text by tax index */
	Writer *bills;
	Writer *lines;
	Emitter events;
};

void
results_load_labels(LabelValues *labels)
{
	bool isnull;

	if (sql_execute("SELECT oid FROM pg_catalog.pg_enum WHERE enumtypid = 'settle.line_kind'::regtype ORDER BY enumsortorder",
					NULL) != LINE_KIND_COUNT)
		elog(ERROR, "settle.line_kind does not have %d values", LINE_KIND_COUNT);
	for (int i = 0; i < LINE_KIND_COUNT; i++)
		labels->lines[i] = DatumGetObjectId(sql_datum(i, 1, &isnull));
	sql_execute("SELECT 'bill'::settle.bill_kind, 'void'::settle.bill_kind", NULL);
	labels->bill = DatumGetObjectId(sql_datum(0, 1, &isnull));
	labels->void_bill = DatumGetObjectId(sql_datum(0, 2, &isnull));
}

Results *
results_open(const Run *run, const Tariff *tariff, const LabelValues *labels, int bucket)
{
	Results *results = palloc0(sizeof(Results));
	const int32 month = run->period.from;

	results->run = run;
	results->tariff = tariff;
	results->labels = labels;
	results->due_on = run->period.to + run->due_days;
	results->currencies = palloc(Max(tariff->currency_count, 1) * sizeof(Datum));
	for (int32 i = 0; i < tariff->currency_count; i++)
		results->currencies[i] = CStringGetTextDatum(tariff->currencies[i].code);
	results->tax_codes = palloc(Max(tariff->tax_count, 1) * sizeof(Datum));
	for (int32 i = 0; i < tariff->tax_count; i++)
		results->tax_codes[i] = CStringGetTextDatum(tariff->taxes[i].code);

	results->bills = writer_open(leaf_find(leaf_name_of_month("bill", month, bucket), RowExclusiveLock), &bill_columns, true);
	results->lines = writer_open(leaf_find(leaf_name_of_month("bill_line", month, bucket), RowExclusiveLock), &line_columns, true);
	emit_open(&results->events, run, tariff, leaf_find(leaf_name_of_outbox(month), RowExclusiveLock));
	return results;
}

static void
write_bill(Results *results, const Account *account, const UsageSeen *seen, int16 revision, const Bill *bill)
{
	Datum *values;
	bool *nulls;

	writer_row(results->bills, &values, &nulls);
	memset(nulls, false, bill_columns.count);
	values[0] = Int64GetDatum(account->account_id);
	values[1] = Int64GetDatum(results->run->run_id);
	values[2] = Int64GetDatum(bill->recurring);
	values[3] = Int64GetDatum(bill->usage);
	values[4] = Int64GetDatum(bill->one_off);
	values[5] = Int64GetDatum(bill->discount);
	values[6] = Int64GetDatum(bill->tax);
	values[7] = Int64GetDatum(bill->rounding);
	values[8] = Int64GetDatum(bill->carried);
	values[9] = Int64GetDatum(bill->arrears);
	values[10] = Int64GetDatum(bill->credit_forward);
	values[11] = Int64GetDatum(bill->total);
	values[12] = Int64GetDatum(bill->included_tax);
	values[13] = Int64GetDatum(seen->rows);
	values[14] = Int64GetDatum((int64) seen->digest);
	values[15] = DateADTGetDatum(results->run->period.from);
	values[16] = DateADTGetDatum(results->due_on);
	values[17] = ObjectIdGetDatum(results->labels->bill);
	values[18] = Int16GetDatum(revision);
	values[19] = Int16GetDatum((int16) results->tariff->currencies[bill->currency].exponent);
	values[20] = results->currencies[bill->currency];
	writer_accept(results->bills);
}

static void
set(Datum *values, bool *nulls, int column, Datum value)
{
	values[column] = value;
	nulls[column] = false;
}

static void
write_line(Results *results, const Account *account, int16 revision, const Line *line, int32 line_no)
{
	Datum *values;
	bool *nulls;

	writer_row(results->lines, &values, &nulls);
	memset(nulls, false, 6);
	values[0] = Int64GetDatum(account->account_id);
	values[1] = Int64GetDatum(line->amount);
	values[2] = DateADTGetDatum(results->run->period.from);
	values[3] = Int32GetDatum(line_no);
	values[4] = ObjectIdGetDatum(results->labels->lines[line->kind]);
	values[5] = Int16GetDatum(revision);
	if (line->kind == LINE_RECURRING)
		set(values, nulls, 6, Int16GetDatum((int16) line->days));
	if (line->product >= 0)
		set(values, nulls, 7, Int32GetDatum(results->tariff->products[line->product].product_id));
	if (line->kind <= LINE_MAXIMUM)
		set(values, nulls, 8, Int64GetDatum(line->subscription_id));
	if (line->kind <= LINE_USAGE)
		set(values, nulls, 9, Int64GetDatum(line->quantity));
	if (line->discounted != 0)
		set(values, nulls, 10, Int64GetDatum(line->discounted));
	if (line->metric >= 0)
		set(values, nulls, 11, Int32GetDatum(results->tariff->metrics[line->metric].metric_id));
	if (line->discount >= 0)
		set(values, nulls, 12, Int32GetDatum(results->tariff->discounts[line->discount].discount_id));
	if (line->adjustment >= 0)
		set(values, nulls, 13, Int64GetDatum(account->adjustments[line->adjustment].adjustment_id));
	if (line->kind >= LINE_DISCOUNT && line->kind <= LINE_INCLUDED_TAX)
		set(values, nulls, 14, Int64GetDatum(line->base));
	if (line->tax >= 0)
		set(values, nulls, 15, results->tax_codes[line->tax]);
	writer_accept(results->lines);
}

void
results_bill(Results *results, const Account *account, const UsageSeen *seen, int16 revision, const Bill *bill)
{
	write_bill(results, account, seen, revision, bill);
	for (int32 i = 0; i < bill->line_count; i++)
		write_line(results, account, revision, &bill->lines[i], i + 1);
	emit_bill(&results->events, account, revision, bill, results->due_on);
}

void
results_void(Results *results, const VoidBill *bill)
{
	Datum *values;
	bool *nulls;

	writer_row(results->bills, &values, &nulls);
	memset(nulls, false, bill_columns.count);
	values[0] = Int64GetDatum(bill->account_id);
	values[1] = Int64GetDatum(results->run->run_id);
	/* every amount, the usage it was computed from */
	for (int column = 2; column <= 14; column++)
		values[column] = Int64GetDatum(0);
	values[15] = DateADTGetDatum(results->run->period.from);
	values[16] = DateADTGetDatum(bill->due_on);
	values[17] = ObjectIdGetDatum(results->labels->void_bill);
	values[18] = Int16GetDatum(bill->revision);
	values[19] = Int16GetDatum(bill->exponent);
	values[20] = CStringGetTextDatum(bill->currency);
	writer_accept(results->bills);
	emit_void(&results->events, bill);
}

void
results_close(Results *results)
{
	writer_close(results->bills);
	writer_close(results->lines);
	emit_close(&results->events);
}

bool
results_are_doubled(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && error->table_name != NULL &&
		   (strncmp(error->table_name, "bill_", 5) == 0 || strncmp(error->table_name, "outbox_", 7) == 0);
}

/* The parent, the month and its leaves: a trigger on any of them would be skipped. */
static void
check_tree(int32 month, const Columns *columns)
{
	SqlParams params = {0};

	sql_add_text(&params, columns->table);
	sql_add_date(&params, month);
	const uint64 count =
		sql_execute("SELECT $1::regclass::oid UNION ALL SELECT relid::oid FROM pg_partition_tree("
					"settle.leaf_name($1, $2, NULL)::regclass)",
					&params);
	Oid *tables = palloc(Max(count, 1) * sizeof(Oid));
	bool isnull;

	for (uint64 i = 0; i < count; i++)
		tables[i] = DatumGetObjectId(sql_datum(i, 1, &isnull));
	for (uint64 i = 0; i < count; i++)
		writer_check(tables[i], columns);
}

void
results_check(int32 month)
{
	check_tree(month, &bill_columns);
	check_tree(month, &line_columns);
	check_tree(month, &outbox_columns);
}

/*
 * A VACUUM, an index build or the like may hold the leaf for an hour. Statistics are not worth waiting for, let alone
 * failing a run for: the next VACUUM or autoanalyze makes up for them.
 */
static bool
lock_for_maintenance(const char *leaf)
{
	if (ConditionalLockRelationOid(table_find(leaf), ShareUpdateExclusiveLock))
		return true;
	ereport(LOG, (errmsg("table \"%s\" is locked by another session, so it is not analyzed", leaf)));
	return false;
}

/*
 * A sample of 3000 rows a leaf is plenty for tables that are this regular, and ten times cheaper than the default.
 */
void
results_finish(int32 month, int bucket)
{
	const char *bills = leaf_name_of_month("bill", month, bucket);
	const char *lines = leaf_name_of_month("bill_line", month, bucket);
	const int level = NewGUCNestLevel();

	(void) set_config_option("default_statistics_target", "10", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (lock_for_maintenance(bills))
		sql_execute(psprintf("ANALYZE %s", bills), NULL);
	if (lock_for_maintenance(lines))
	{
		SqlParams params = {0};

		sql_execute(psprintf("ANALYZE %s", lines), NULL);
		/* The block ranges that were just filled: until then a search has to read them all. */
		sql_add_text(&params, lines);
		sql_execute("SELECT pg_catalog.brin_summarize_new_values(i.indexrelid) FROM pg_catalog.pg_index AS i"
					" JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am AS a ON a.oid = c.relam"
					" WHERE i.indrelid = $1::regclass AND a.amname = 'brin'",
					&params);
	}
	AtEOXact_GUC(true, level);
}
