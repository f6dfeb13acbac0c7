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
#include "store/seen.h"

#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "store/catalog.h"
#include "store/groups.h"
#include "store/settlement.h"
#include "store/sql.h"

#define FACT_COLUMNS 4

PG_FUNCTION_INFO_V1(settle_verify_accounts);

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
	RunSeen *run = seen_run(bucket, stored->run_id);

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
	const int64 taken_by = seen_last_taken_by(bucket, seen->account_id);

	if (newest != NULL && taken_by <= newest->run_id)
		counts->voided++;
	else if (taken_by == 0)
		counts->untaken++;
	else if (seen->error_run == taken_by || seen->ignored)
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
		const int64 run_id = seen_last_taken_by(bucket, account->account_id);

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

	rows_init(&bucket->suspects, sizeof(int64), false);
	seen_read(bucket);
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
