/*
 * seen.c: one bucket's month as verification sees it (see seen.h).
 *
 * Each table of the bucket is read once, in sequence. Usage and lines are added up while they stream by, so memory is
 * that of the accounts and bills of one bucket, whatever the number of rows.
 */
#include "store/seen.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "common/ids.h"
#include "store/leaves.h"
#include "store/sql.h"

static const int part_of_line[LINE_KIND_COUNT] = {
	[LINE_RECURRING] = PART_RECURRING,	 [LINE_USAGE] = PART_USAGE,		  [LINE_MINIMUM] = PART_USAGE,
	[LINE_MAXIMUM] = PART_USAGE,		 [LINE_ADJUSTMENT] = PART_ONE_OFF, [LINE_DISCOUNT] = PART_DISCOUNT,
	[LINE_TAX] = PART_TAX,				 [LINE_INCLUDED_TAX] = PART_SHOWN, [LINE_ROUNDING] = PART_ROUNDING,
	[LINE_CARRIED] = PART_CARRIED,		 [LINE_ARREARS] = PART_ARREARS,	  [LINE_CREDIT_FORWARD] = PART_CREDIT,
};

/* ---- reading a bucket ------------------------------------------------------------------------------------------- */

/* Rows of an account mostly lie side by side, so the last answer is kept. */
static uint32
place_of(Bucket *bucket, int64 account_id)
{
	if (bucket->last_place == MAP_NONE || bucket->last_id != account_id)
	{
		bucket->last_id = account_id;
		bucket->last_place = map_find(&bucket->places, account_id);
	}
	return bucket->last_place;
}

static Seen *
seen_of(Bucket *bucket, int64 account_id)
{
	const uint32 place = place_of(bucket, account_id);

	if (place != MAP_NONE)
		return seen_at(bucket, place);
	map_add(&bucket->places, account_id, bucket->seen.count);
	Seen *seen = rows_add(&bucket->seen, 0);
	seen->account_id = account_id;
	seen->newest = MAP_NONE;
	return seen;
}

static void
account_row(TupleTableSlot *slot, void *arg)
{
	Bucket *bucket = arg;

	seen_of(bucket, DatumGetInt64(slot->tts_values[0]))->due = DatumGetObjectId(slot->tts_values[1]) != bucket->closed;
}

static void
subscription_row(TupleTableSlot *slot, void *arg)
{
	Bucket *bucket = arg;
	const int32 ended_on = slot->tts_isnull[2] ? DAY_MAX : DatumGetDateADT(slot->tts_values[2]);

	if (ymd_overlap(bucket->verify->period, DatumGetDateADT(slot->tts_values[1]), ended_on) > 0)
		seen_of(bucket, DatumGetInt64(slot->tts_values[0]))->due = true;
}

static void
adjustment_row(TupleTableSlot *slot, void *arg)
{
	seen_of(arg, DatumGetInt64(slot->tts_values[0]))->due = true;
}

static void
usage_row(TupleTableSlot *slot, void *arg)
{
	Seen *seen = seen_of(arg, DatumGetInt64(slot->tts_values[0]));

	seen->due = true;
	seen->usage.rows++;
	seen->usage.digest += usage_digest(DatumGetInt64(slot->tts_values[1]), DatumGetInt32(slot->tts_values[2]),
									   DatumGetTimestampTz(slot->tts_values[3]), DatumGetInt64(slot->tts_values[4]));
}

static void
error_row(TupleTableSlot *slot, void *arg)
{
	Seen *seen = seen_of(arg, DatumGetInt64(slot->tts_values[0]));

	seen->error_run = Max(seen->error_run, DatumGetInt64(slot->tts_values[1]));
}

static void
keep_parts(Stored *stored, const PayloadBill *bill)
{
	stored->left[PART_RECURRING] = (uint64) bill->recurring;
	stored->left[PART_USAGE] = (uint64) bill->usage;
	stored->left[PART_ONE_OFF] = (uint64) bill->one_off;
	stored->left[PART_DISCOUNT] = (uint64) bill->discount;
	stored->left[PART_TAX] = (uint64) bill->tax;
	stored->left[PART_ROUNDING] = (uint64) bill->rounding;
	stored->left[PART_CARRIED] = (uint64) bill->carried;
	stored->left[PART_ARREARS] = (uint64) bill->arrears;
	stored->left[PART_CREDIT] = (uint64) bill->credit_forward;
	stored->unsummed = (uint64) bill->total;
	for (int part = 0; part < PART_COUNT; part++)
		stored->unsummed -= stored->left[part];
}

/* Puts a bill into its account's chain, which begins with the newest revision. */
static void
chain(Bucket *bucket, Seen *seen, Stored *stored, uint32 place)
{
	Stored *newest = stored_at(bucket, seen->newest);

	if (newest == NULL || newest->revision <= stored->revision)
	{
		stored->older = seen->newest;
		seen->newest = place;
	}
	else
	{
		stored->older = newest->older;
		newest->older = place;
	}
	seen->bills++;
	if (stored->revision >= 0 && stored->revision < 64)
	{
		seen->repeated |= (seen->revisions >> stored->revision & 1) != 0;
		seen->revisions |= UINT64CONST(1) << stored->revision;
	}
}

static void
bill_row(TupleTableSlot *slot, void *arg)
{
	Bucket *bucket = arg;
	EventSum *owed = &bucket->verify->owed[bucket->number];
	const uint32 place = bucket->bills.count;
	Stored *stored = rows_add(&bucket->bills, 0);
	PayloadBill bill;

	verify_read_bill(bucket->verify, slot, &bill);
	stored->run_id = bill.run_id;
	stored->revision = bill.revision;
	stored->is_void = bill.kind == verify_kind_names[KIND_VOID];
	stored->usage_rows = DatumGetInt64(slot->tts_values[16]);
	stored->usage_digest = (uint64) DatumGetInt64(slot->tts_values[17]);
	keep_parts(stored, &bill);
	chain(bucket, seen_of(bucket, bill.account_id), stored, place);
	owed->events++;
	owed->digest += verify_digest(&bill);
}

static void
line_row(TupleTableSlot *slot, void *arg)
{
	Bucket *bucket = arg;
	const int64 account_id = DatumGetInt64(slot->tts_values[0]);
	const uint32 place = place_of(bucket, account_id);
	const int32 revision = DatumGetInt16(slot->tts_values[1]);
	const int32 line_no = DatumGetInt32(slot->tts_values[2]);
	const Oid label = DatumGetObjectId(slot->tts_values[3]);
	Stored *stored = place == MAP_NONE ? NULL : stored_at(bucket, seen_at(bucket, place)->newest);
	int kind = 0;

	while (stored != NULL && stored->revision != revision)
		stored = stored_at(bucket, stored->older);
	if (stored == NULL)
	{
		verify_fact(bucket->verify, "line without bill", account_id, 0);
		return;
	}
	while (kind < LINE_KIND_COUNT - 1 && bucket->labels->lines[kind] != label)
		kind++;
	stored->left[part_of_line[kind]] -= (uint64) DatumGetInt64(slot->tts_values[4]);
	stored->line_numbers += (uint64) line_no;
	stored->last_line = Max(stored->last_line, (uint32) line_no);
	stored->lines++;
}

/* ---- runs ------------------------------------------------------------------------------------------------------- */

static void
read_pilot(RunSeen *run, Datum array)
{
	ArrayType *accounts = DatumGetArrayTypeP(array);

	run->account_count = ArrayGetNItems(ARR_NDIM(accounts), ARR_DIMS(accounts));
	run->accounts = palloc(Max(run->account_count, 1) * sizeof(int64));
	memcpy(run->accounts, ARR_DATA_PTR(accounts), run->account_count * sizeof(int64));
	qsort(run->accounts, run->account_count, sizeof(int64), ids_compare);
}

static void
read_runs(Bucket *bucket)
{
	SqlParams params = {0};

	sql_add_date(&params, bucket->verify->period.from);
	sql_add_int4(&params, bucket->number);
	bucket->run_count = (int) sql_select(
		"SELECT run_id, run.kind = 'dry', run.state = 'completed', run.state = 'abandoned', accounts,"
		" s.slice IS NOT NULL, coalesce(s.state = 'done', false), s.done_through, coalesce(s.written, 0), coalesce(s.lines, 0)"
		" FROM settle.run LEFT JOIN (SELECT * FROM settle.run_slice WHERE slice = $2) AS s USING (run_id)"
		" WHERE period = $1 ORDER BY run_id DESC",
		&params);
	bucket->runs = palloc0(Max(bucket->run_count, 1) * sizeof(RunSeen));
	for (int i = 0; i < bucket->run_count; i++)
	{
		RunSeen *run = &bucket->runs[i];
		bool isnull;

		*run = (RunSeen){.run_id = sql_int8(i, 1),
						 .dry = sql_bool(i, 2),
						 .completed = sql_bool(i, 3),
						 .abandoned = sql_bool(i, 4),
						 .has_slice = sql_bool(i, 6),
						 .done = sql_bool(i, 7),
						 .written = sql_int8(i, 9),
						 .lines = sql_int8(i, 10)};
		const Datum accounts = sql_datum(i, 5, &isnull);
		if (!isnull)
			read_pilot(run, accounts);
		run->done_through = DatumGetInt64(sql_datum(i, 8, &isnull));
		run->has_checkpoint = !isnull;
	}
}

/* Whether a run has dealt with an account. What an abandoned run did is left to the next one. */
static bool
has_taken(const RunSeen *run, int64 account_id)
{
	if (run->dry || run->abandoned || !run->has_slice)
		return false;
	if (!run->done && (!run->has_checkpoint || account_id > run->done_through))
		return false;
	return run->accounts == NULL || ids_contain(run->accounts, run->account_count, account_id);
}

RunSeen *
seen_run(const Bucket *bucket, int64 run_id)
{
	for (int i = 0; i < bucket->run_count; i++)
		if (bucket->runs[i].run_id == run_id)
			return &bucket->runs[i];
	return NULL;
}

int64
seen_last_taken_by(const Bucket *bucket, int64 account_id)
{
	for (int i = 0; i < bucket->run_count; i++)
		if (has_taken(&bucket->runs[i], account_id))
			return bucket->runs[i].run_id;
	return 0;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static const Column account_list[] = {{"account_id", "bigint"}, {"status", "settle.account_status"}};
static const Column line_list[] = {{"account_id", "bigint"}, {"revision", "smallint"}, {"line_no", "integer"},
								   {"kind", "settle.line_kind"}, {"amount", "bigint"}};
static const Column subscription_list[] = {{"account_id", "bigint"}, {"started_on", "date"}, {"ended_on", "date"}};
static const Column adjustment_list[] = {{"account_id", "bigint"}};
static const Column usage_list[] = {{"account_id", "bigint"}, {"subscription_id", "bigint"}, {"metric_id", "integer"},
									{"occurred_at", "timestamp with time zone"}, {"quantity", "bigint"}};
static const Column error_list[] = {{"account_id", "bigint"}, {"run_id", "bigint"}};

static const Columns accounts = {"settle.account", lengthof(account_list), account_list};
static const Columns lines = {"settle.bill_line", lengthof(line_list), line_list};
static const Columns subscriptions = {"settle.subscription", lengthof(subscription_list), subscription_list};
static const Columns adjustments = {"settle.adjustment", lengthof(adjustment_list), adjustment_list};
static const Columns usage = {"settle.usage", lengthof(usage_list), usage_list};
static const Columns errors = {"settle.run_error", lengthof(error_list), error_list};

static void
read_rows(Bucket *bucket, const Columns *columns, const char *leaf, SqlRow row)
{
	char *query = columns_query(columns, leaf);

	sql_read(query, NULL, columns, row, bucket);
	pfree(query);
}

static void
read_errors(Bucket *bucket)
{
	SqlParams params = {0};

	sql_add_date(&params, bucket->verify->period.from);
	sql_add_int4(&params, bucket->number);
	sql_read("SELECT account_id, run_id FROM settle.run_error WHERE slice = $2 AND severity = 'error'"
			 " AND run_id IN (SELECT run_id FROM settle.run WHERE period = $1 AND kind <> 'dry' AND state <> 'abandoned')",
			 &params, &errors, error_row, bucket);
}

static void
read_ignored(Bucket *bucket)
{
	SqlParams params = {0};

	sql_add_date(&params, bucket->verify->period.from);
	sql_add_int4(&params, bucket->number);
	const uint64 count = sql_select("SELECT settle.ignored_accounts($1, $2)", &params);
	for (uint64 i = 0; i < count; i++)
		seen_of(bucket, sql_int8(i, 1))->ignored = true;
}

/* Bills before lines: a line looks for its bill. Accounts first, so that they lie in the order of the table. */
void
seen_read(Bucket *bucket)
{
	const int32 month = bucket->verify->period.from;
	const int number = bucket->number;

	map_init(&bucket->places);
	rows_init(&bucket->seen, sizeof(Seen), false);
	rows_init(&bucket->bills, sizeof(Stored), false);
	bucket->last_place = MAP_NONE;
	read_runs(bucket);
	read_rows(bucket, &accounts, leaf_name("account", number), account_row);
	read_rows(bucket, &verify_bills, leaf_name_of_month("bill", month, number), bill_row);
	read_rows(bucket, &lines, leaf_name_of_month("bill_line", month, number), line_row);
	read_rows(bucket, &subscriptions, leaf_name("subscription", number), subscription_row);
	read_rows(bucket, &adjustments, leaf_name_of_month("adjustment", month, number), adjustment_row);
	read_rows(bucket, &usage, leaf_name_of_month("usage", month, number), usage_row);
	read_errors(bucket);
	read_ignored(bucket);
}
