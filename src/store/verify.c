/*
 * verify.c: settle.verify_accounts(), which compares a month's results with what they were made of.
 *
 * A bucket is read as a run reads it: each of its tables once, in sequence, into flat arrays with a map from account to
 * place. So a million accounts take seconds, memory is that of one bucket, and no plan can go wrong. Every read uses the
 * snapshot of the caller's statement: the promises hold in every committed state, also while a run is at work.
 *
 * What is compared: revisions of an account with each other, lines with their bill, stored usage with what the newest
 * bill says it was computed from, rows with the counters of completed runs, and accounts that are due with bills and
 * skips. A due account that has neither is rated as settle_preview() would, because only that tells one with nothing to
 * charge from one that was lost. Reported are facts (verify.h); what they mean is said in src/sql/12_verify.sql.
 */
#include "store/verify.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/catalog.h"
#include "store/collect.h"
#include "store/groups.h"
#include "store/leaves.h"
#include "store/reader.h"
#include "store/results.h"
#include "store/settlement.h"
#include "store/sql.h"

#define FACT_COLUMNS 4

PG_FUNCTION_INFO_V1(settle_verify_accounts);

const char *const verify_kind_names[3] = {"bill", "rebill", "void"};
enum { KIND_BILL, KIND_REBILL, KIND_VOID };

/* Parts of a bill that its lines add up to. */
enum {
	PART_RECURRING, PART_USAGE, PART_ONE_OFF, PART_DISCOUNT, PART_TAX, PART_SHOWN, PART_ROUNDING, PART_CARRIED,
	PART_ARREARS, PART_CREDIT, PART_COUNT
};

static const int part_of_line[LINE_KIND_COUNT] = {
	[LINE_RECURRING] = PART_RECURRING,	 [LINE_USAGE] = PART_USAGE,		  [LINE_MINIMUM] = PART_USAGE,
	[LINE_MAXIMUM] = PART_USAGE,		 [LINE_ADJUSTMENT] = PART_ONE_OFF, [LINE_DISCOUNT] = PART_DISCOUNT,
	[LINE_TAX] = PART_TAX,				 [LINE_INCLUDED_TAX] = PART_SHOWN, [LINE_ROUNDING] = PART_ROUNDING,
	[LINE_CARRIED] = PART_CARRIED,		 [LINE_ARREARS] = PART_ARREARS,	  [LINE_CREDIT_FORWARD] = PART_CREDIT,
};

/* A bill of the bucket. Amounts are added up modulo 2^64: what should be 0 is 0. */
typedef struct Stored {
	int64 run_id;
	int64 usage_rows;
	uint64 usage_digest;
	uint64 left[PART_COUNT]; /* the part less the lines that were seen */
	uint64 unsummed;         /* the total less the parts */
	uint64 line_numbers;     /* their sum */
	uint32 lines;
	uint32 last_line;
	uint32 older; /* another revision of the account; MAP_NONE = none */
	int32 revision;
	bool is_void;
} Stored;

/* An account of the bucket, or an id that rows of the month name. */
typedef struct Seen {
	int64 account_id;
	int64 error_run; /* the newest run that skipped it; 0 = none */
	UsageSeen usage;
	uint64 revisions; /* bit r: has revision r, below 64 */
	uint32 newest;    /* place of its newest bill; MAP_NONE = none */
	int32 bills;
	bool due;
	bool repeated; /* a revision twice */
} Seen;

/* A run of the month, with its slice of the bucket. */
typedef struct RunSeen {
	int64 run_id;
	int64 *accounts; /* rising; NULL = all */
	int account_count;
	bool dry, completed, abandoned;
	bool has_slice, done, has_checkpoint;
	int64 done_through;
	int64 written, lines;           /* as counted by the run */
	int64 found_bills, found_lines; /* as found here */
} RunSeen;

typedef struct Bucket {
	Verify *verify;
	int number;
	Oid closed; /* value of settle.account_status */
	const LabelValues *labels;
	Map places; /* account_id → place in seen */
	int64 last_id;
	uint32 last_place; /* of last_id; MAP_NONE = not known */
	Rows seen;  /* of Seen */
	Rows bills; /* of Stored */
	RunSeen *runs; /* newest first */
	int run_count;
	Rows suspects; /* of int64: due, without bill, and nobody says why */
} Bucket;

/* What rating needs, loaded when the first suspect turns up. */
typedef struct Rating {
	Catalog *catalog;
	GroupSizes *groups;
} Rating;

/* ---- facts ------------------------------------------------------------------------------------------------------ */

static void
put_fact(const Verify *verify, const char *fact, const int64 *account_id, const int64 *run_id, const int64 *n)
{
	Datum values[FACT_COLUMNS] = {CStringGetTextDatum(fact)};
	bool nulls[FACT_COLUMNS] = {false, account_id == NULL, run_id == NULL, n == NULL};

	values[1] = account_id == NULL ? 0 : Int64GetDatum(*account_id);
	values[2] = run_id == NULL ? 0 : Int64GetDatum(*run_id);
	values[3] = n == NULL ? 0 : Int64GetDatum(*n);
	tuplestore_putvalues(verify->result->setResult, verify->result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[0]));
}

void
verify_fact(const Verify *verify, const char *fact, int64 account_id, int64 run_id)
{
	put_fact(verify, fact, &account_id, run_id == 0 ? NULL : &run_id, NULL);
}

void
verify_count(const Verify *verify, const char *fact, int64 run_id, int64 n)
{
	put_fact(verify, fact, NULL, run_id == 0 ? NULL : &run_id, &n);
}

/* ---- reading a bucket ------------------------------------------------------------------------------------------- */

static Seen *
seen_at(const Bucket *bucket, uint32 place)
{
	return (Seen *) bucket->seen.items + place;
}

static Stored *
stored_at(const Bucket *bucket, uint32 place)
{
	return place == MAP_NONE ? NULL : (Stored *) bucket->bills.items + place;
}

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

static RunSeen *
find_run(const Bucket *bucket, int64 run_id)
{
	for (int i = 0; i < bucket->run_count; i++)
		if (bucket->runs[i].run_id == run_id)
			return &bucket->runs[i];
	return NULL;
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

void
verify_read_bill(const Verify *verify, const TupleTableSlot *slot, PayloadBill *bill)
{
	const Datum *values = slot->tts_values;
	int kind = KIND_BILL;

	while (kind < KIND_VOID && verify->bill_kinds[kind] != DatumGetObjectId(values[2]))
		kind++;
	*bill = (PayloadBill){
		.account_id = DatumGetInt64(values[0]),
		.revision = DatumGetInt16(values[1]),
		.kind = verify_kind_names[kind],
		.run_id = DatumGetInt64(values[3]),
		.exponent = DatumGetInt16(values[4]),
		.recurring = DatumGetInt64(values[5]),
		.usage = DatumGetInt64(values[6]),
		.one_off = DatumGetInt64(values[7]),
		.discount = DatumGetInt64(values[8]),
		.tax = DatumGetInt64(values[9]),
		.included_tax = DatumGetInt64(values[10]),
		.rounding = DatumGetInt64(values[11]),
		.carried = DatumGetInt64(values[12]),
		.arrears = DatumGetInt64(values[13]),
		.credit_forward = DatumGetInt64(values[14]),
		.total = DatumGetInt64(values[15]),
	};
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

static int
compare_ids(const void *a, const void *b)
{
	const int64 left = *(const int64 *) a;
	const int64 right = *(const int64 *) b;

	return (left > right) - (left < right);
}

static void
read_pilot(RunSeen *run, Datum array)
{
	ArrayType *accounts = DatumGetArrayTypeP(array);

	run->account_count = ArrayGetNItems(ARR_NDIM(accounts), ARR_DIMS(accounts));
	run->accounts = palloc(Max(run->account_count, 1) * sizeof(int64));
	memcpy(run->accounts, ARR_DATA_PTR(accounts), run->account_count * sizeof(int64));
	qsort(run->accounts, run->account_count, sizeof(int64), compare_ids);
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
	return run->accounts == NULL ||
		   bsearch(&account_id, run->accounts, run->account_count, sizeof(int64), compare_ids) != NULL;
}

/* The newest run that has dealt with an account; 0 = none. */
static int64
last_taken_by(const Bucket *bucket, int64 account_id)
{
	for (int i = 0; i < bucket->run_count; i++)
		if (has_taken(&bucket->runs[i], account_id))
			return bucket->runs[i].run_id;
	return 0;
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

static void
judge_revisions(const Bucket *bucket, const Seen *seen)
{
	const Stored *newest = stored_at(bucket, seen->newest);

	if (seen->repeated)
		verify_fact(bucket->verify, "revision repeated", seen->account_id, newest->run_id);
	else if (newest->revision != seen->bills - 1)
		verify_fact(bucket->verify, "revision missing", seen->account_id, newest->run_id);
}

static bool
lines_add_up(const Stored *stored)
{
	uint64 wrong = stored->unsummed;

	for (int part = 0; part < PART_COUNT; part++)
		wrong |= stored->left[part];
	return wrong == 0 && stored->lines == stored->last_line &&
		   stored->line_numbers == (uint64) stored->lines * (stored->lines + 1) / 2;
}

/* A bill and what it was made of. A void bill owes no lines. */
static void
judge_bill(const Bucket *bucket, int64 account_id, const Stored *stored)
{
	RunSeen *run = find_run(bucket, stored->run_id);

	if (stored->lines == 0 && !stored->is_void)
		verify_fact(bucket->verify, "bill without lines", account_id, stored->run_id);
	else if (!lines_add_up(stored))
		verify_fact(bucket->verify, "lines differ", account_id, stored->run_id);

	if (run == NULL)
		verify_fact(bucket->verify, "bill of no run", account_id, stored->run_id);
	else if (run->dry)
		verify_fact(bucket->verify, "bill of a dry run", account_id, stored->run_id);
	if (run == NULL || stored->is_void)
		return;
	run->found_bills++;
	run->found_lines += stored->lines;
}

static void
judge_usage(const Bucket *bucket, const Seen *seen, const Stored *live)
{
	const char *fact = seen->usage.rows > live->usage_rows		   ? "usage added"
					   : seen->usage.rows < live->usage_rows	   ? "usage removed"
					   : seen->usage.digest != live->usage_digest ? "usage changed"
																   : NULL;

	if (fact != NULL)
		verify_fact(bucket->verify, fact, seen->account_id, live->run_id);
}

typedef struct Counts {
	int64 due, billed, voided, skipped, untaken, empty;
} Counts;

/* A due account without a bill: who says why? */
static void
judge_unbilled(Bucket *bucket, const Seen *seen, const Stored *newest, Counts *counts)
{
	const int64 taken_by = last_taken_by(bucket, seen->account_id);

	if (newest != NULL && taken_by <= newest->run_id)
		counts->voided++;
	else if (taken_by == 0)
		counts->untaken++;
	else if (seen->error_run == taken_by)
		counts->skipped++;
	else
		*(int64 *) rows_add(&bucket->suspects, 0) = seen->account_id;
}

static void
judge_account(Bucket *bucket, const Seen *seen, Counts *counts)
{
	const Stored *newest = stored_at(bucket, seen->newest);
	const Stored *live = newest == NULL || newest->is_void ? NULL : newest;

	if (newest != NULL)
		judge_revisions(bucket, seen);
	for (const Stored *stored = newest; stored != NULL; stored = stored_at(bucket, stored->older))
		judge_bill(bucket, seen->account_id, stored);
	if (live != NULL)
		judge_usage(bucket, seen, live);
	counts->due += seen->due || live != NULL;
	counts->billed += live != NULL;
	if (seen->due && live == NULL)
		judge_unbilled(bucket, seen, newest, counts);
}

static void
judge_slices(const Bucket *bucket)
{
	for (int i = 0; i < bucket->run_count; i++)
	{
		const RunSeen *run = &bucket->runs[i];

		if (run->completed && !run->dry && (run->written != run->found_bills || run->lines != run->found_lines))
			verify_count(bucket->verify, "slice differs", run->run_id, bucket->number);
	}
}

/* Rates the suspects as they are now: those with nothing to charge are empty, the others should have a bill or a skip. */
static void
judge_suspects(Bucket *bucket, Rating *rating, Counts *counts)
{
	const Verify *verify = bucket->verify;
	Bill bill;
	Fault fault;

	const Slice *slice = slice_read(&(SliceRequest){
		.tariff = &rating->catalog->tariff,
		.period = verify->period,
		.bucket = bucket->number,
		.only = bucket->suspects.items,
		.only_count = (int) bucket->suspects.count,
		.group_sizes = rating->groups,
	});
	Workspace workspace = {.memory = palloc(Max(slice->rate_space, 1)), .size = slice->rate_space};
	for (int32 i = 0; i < slice->count; i++)
	{
		const Account *account = &slice->accounts[i];
		const int64 run_id = last_taken_by(bucket, account->account_id);

		switch (rate_account(&rating->catalog->tariff, verify->period, account, &workspace, &bill, &fault))
		{
			case OUTCOME_BILL:
				verify_fact(verify, "unbilled", account->account_id, run_id);
				break;
			case OUTCOME_SKIP:
				verify_fact(verify, "unreported", account->account_id, run_id);
				break;
			case OUTCOME_EMPTY:
			case OUTCOME_NOT_DUE:
				counts->empty++;
				break;
		}
	}
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

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

/* Bills before lines: a line looks for its bill. Accounts first, so that they lie in the order of the table. */
static void
read_bucket(Bucket *bucket)
{
	const int32 month = bucket->verify->period.from;
	const int number = bucket->number;

	read_runs(bucket);
	read_rows(bucket, &accounts, leaf_name("account", number), account_row);
	read_rows(bucket, &verify_bills, leaf_name_of_month("bill", month, number), bill_row);
	read_rows(bucket, &lines, leaf_name_of_month("bill_line", month, number), line_row);
	read_rows(bucket, &subscriptions, leaf_name("subscription", number), subscription_row);
	read_rows(bucket, &adjustments, leaf_name_of_month("adjustment", month, number), adjustment_row);
	read_rows(bucket, &usage, leaf_name_of_month("usage", month, number), usage_row);
	read_errors(bucket);
}

static void
load_rating(Rating *rating, MemoryContext context)
{
	if (rating->catalog != NULL)
		return;
	MemoryContext caller = MemoryContextSwitchTo(context);
	rating->catalog = catalog_load();
	rating->groups = groups_count();
	MemoryContextSwitchTo(caller);
}

static void
verify_bucket(Bucket *bucket, Rating *rating, MemoryContext rating_context)
{
	Counts counts = {0};

	map_init(&bucket->places);
	rows_init(&bucket->seen, sizeof(Seen), false);
	rows_init(&bucket->bills, sizeof(Stored), false);
	rows_init(&bucket->suspects, sizeof(int64), false);
	read_bucket(bucket);
	for (uint32 place = 0; place < bucket->seen.count; place++)
		judge_account(bucket, seen_at(bucket, place), &counts);
	judge_slices(bucket);
	if (bucket->suspects.count > 0)
	{
		load_rating(rating, rating_context);
		judge_suspects(bucket, rating, &counts);
	}

	verify_count(bucket->verify, "due", 0, counts.due);
	verify_count(bucket->verify, "billed", 0, counts.billed);
	verify_count(bucket->verify, "voided", 0, counts.voided);
	verify_count(bucket->verify, "skipped", 0, counts.skipped);
	verify_count(bucket->verify, "untaken", 0, counts.untaken);
	verify_count(bucket->verify, "empty", 0, counts.empty);
	verify_count(bucket->verify, "bills", 0, bucket->bills.count);
}

static void
load_values(Verify *verify, Bucket *model)
{
	bool isnull;

	sql_select("SELECT 'bill'::settle.bill_kind, 'rebill'::settle.bill_kind, 'void'::settle.bill_kind,"
			   " 'closed'::settle.account_status",
			   NULL);
	for (int kind = KIND_BILL; kind <= KIND_VOID; kind++)
		verify->bill_kinds[kind] = DatumGetObjectId(sql_datum(0, kind + 1, &isnull));
	model->closed = DatumGetObjectId(sql_datum(0, 4, &isnull));
}

Datum
settle_verify_accounts(PG_FUNCTION_ARGS)
{
	const Ymd first = ymd_from_day(PG_GETARG_DATEADT(0));
	Verify verify = {.result = (ReturnSetInfo *) fcinfo->resultinfo, .period = ymd_period(first.year, first.month)};
	Bucket model = {.verify = &verify};
	Rating rating = {0};
	LabelValues labels;

	init_materialized_srf(fcinfo);
	sql_enter();
	verify.buckets = settlement_check_month(verify.period);
	verify.owed = palloc0(verify.buckets * sizeof(EventSum));
	ymd_print_month(verify.period.from, verify.month);
	load_values(&verify, &model);
	results_load_labels(&labels);
	model.labels = &labels;

	MemoryContext own = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(own, "settle verified bucket", ALLOCSET_DEFAULT_SIZES);
	for (int number = 0; number < verify.buckets; number++)
	{
		Bucket bucket = model;

		bucket.number = number;
		bucket.last_place = MAP_NONE;
		MemoryContextSwitchTo(context);
		verify_bucket(&bucket, &rating, own);
		MemoryContextSwitchTo(own);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	verify_events(&verify);
	sql_leave();
	return (Datum) 0;
}
