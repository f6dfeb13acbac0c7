/*
 * settlement.c: the step that makes bills: reader → rate → writers, one chunk at a time.
 *
 * An item is an account, a slice a bucket. Bills, lines, events and skips of a chunk are written in the chunk's
 * transaction. Kind dry rates everything and writes only skips. Nothing about an account's bill depends on which worker
 * rates it, in which chunk, or on which attempt.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "common/ids.h"
#include "errcodes.h"
#include "outbox/emit.h"
#include "store/catalog.h"
#include "store/groups.h"
#include "store/leaves.h"
#include "store/reader.h"
#include "store/results.h"
#include "store/settlement.h"
#include "store/sql.h"

typedef struct Settlement {
	const Run *run;
	Catalog *catalog;
	GroupSizes *group_sizes;
	LabelValues labels;
	Workspace workspace;
	int buckets;
	/* of the slice that is open */
	Slice *slice;
} Settlement;

/* A dump of a database that settle_init() accepted may have been restored into another one. */
static void
check_encoding(void)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("settle needs a database with encoding UTF8, not %s", GetDatabaseEncodingName()),
						errdetail("Events are JSON, which is UTF-8, and are written as they are stored."),
						errhint("Restore it into a database created with ENCODING 'UTF8'.")));
}

static void
check_not_initialized(int buckets)
{
	if (buckets == 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_NOT_INITIALIZED), errmsg("settle is not set up in this database"),
						errhint("Run SELECT settle_init();")));
}

static int
bucket_count(void)
{
	sql_execute("SELECT settle.bucket_count()", NULL);
	return sql_int4(0, 1);
}

Period
settlement_parse_month(const text *month)
{
	const char *name = text_to_cstring(month);
	Period period;

	if (!ymd_parse_period(name, strlen(name), &period))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is not a month", name),
						errhint("Write it as YYYY-MM, for example '2024-05'.")));
	return period;
}

int
settlement_check_month(Period period)
{
	SqlParams params = {0};
	char month[16];
	const int buckets = bucket_count();

	check_encoding();
	check_not_initialized(buckets);
	sql_add_date(&params, period.from);
	sql_execute("SELECT settle.month_is_open($1)", &params);
	if (!sql_bool(0, 1))
	{
		ymd_print_month(period.from, month);
		ereport(ERROR, (errcode(ERRCODE_SETTLE_MONTH_NOT_OPEN), errmsg("month %s is not open", month),
						errhint("Run SELECT settle_open_period('%s');", month)));
	}
	return buckets;
}

static void
check_request(const RunRequest *request)
{
	settlement_check_month(request->period);
	leaves_check(request->period.from, ALL_BUCKETS);
	reader_check();
	results_check(request->period.from);
}

static const char *
catalog_fingerprint(void *step)
{
	return ((Settlement *) step)->catalog->fingerprint;
}

static bytea *
freeze_groups(void *step, const RunRequest *request)
{
	return groups_encode(groups_count());
}

/* What the planner believes; -1 and 0 mean that nobody has looked, then it is counted. */
static int64
estimate_slice(const RunRequest *request, int slice)
{
	SqlParams params = {0};

	if (request->account_count >= 0)
		return 0; /* a pilot: exact once its slices are opened */
	sql_add_text(&params, leaf_name("account", slice));
	sql_execute("SELECT greatest(reltuples, 0)::int8 FROM pg_catalog.pg_class WHERE oid = $1::regclass", &params);
	return sql_int8(0, 1);
}

static void *
open_settlement(void)
{
	Settlement *settlement = palloc0(sizeof(Settlement));

	settlement->catalog = catalog_load();
	catalog_check(settlement->catalog);
	results_load_labels(&settlement->labels);
	return settlement;
}

static void
attach_run(void *step, const Run *run)
{
	Settlement *settlement = step;

	if (strcmp(settlement->catalog->fingerprint, run->fingerprint) != 0)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_CATALOG_CHANGED),
						errmsg("the catalogue changed while run " INT64_FORMAT " was starting", run->run_id),
						errhint("Undo the change and call settle_run again, or pass force => true.")));
	settlement->run = run;
	settlement->buckets = bucket_count();
	settlement->group_sizes = run->frozen ? groups_decode(run->frozen) : NULL;
}

static int64
open_slice(void *step, const SliceRange *range)
{
	Settlement *settlement = step;
	const Run *run = settlement->run;
	const SliceRequest request = {
		.tariff = &settlement->catalog->tariff,
		.period = run->period,
		.bucket = range->slice,
		.after = range->has_checkpoint,
		.after_id = range->done_through,
		.again = range->again,
		.again_count = range->again_count,
		.unbilled = run->kind == RUN_FINAL || run->kind == RUN_RETRY,
		.only = run->accounts,
		.only_count = run->account_count,
		.buckets = settlement->buckets,
		.group_sizes = settlement->group_sizes,
	};

	settlement->slice = slice_read(&request);
	settlement->workspace.size = settlement->slice->rate_space;
	settlement->workspace.memory = MemoryContextAllocHuge(CurrentMemoryContext, Max(settlement->workspace.size, 1));
	return settlement->slice->count;
}

static int64
item_id(void *step, int64 place)
{
	return ((Settlement *) step)->slice->accounts[place].account_id;
}

static void
record_fault(const Settlement *settlement, int64 account_id, Fault fault)
{
	char message[256];

	reason_message(fault, message, sizeof(message));
	skip_record(settlement->run->run_id, settlement->slice->bucket, account_id, reason_is_warning(fault.reason),
				reason_code(fault.reason), message, NULL);
}

Outcome
settlement_rate(const Tariff *tariff, Period period, const Account *account, Workspace *workspace, Bill *bill, Fault *fault)
{
	const Outcome outcome = rate_account(tariff, period, account, workspace, bill, fault);

	if (outcome != OUTCOME_BILL || emit_fits(tariff, account, bill))
		return outcome;
	*fault = (Fault){.reason = REASON_BILL_TOO_LARGE, .a = bill->line_count};
	return OUTCOME_SKIP;
}

/* The rows of one chunk; in the chunk's context. */
typedef struct Chunk {
	Settlement *settlement;
	Results *results; /* NULL: kind dry */
	Tally *tally;
	Amount *totals; /* by currency, in minor units: 128 bits cannot overflow here */
} Chunk;

static void
record_warnings(Chunk *chunk, const Account *account, const Bill *bill)
{
	for (int32 i = 0; i < bill->warning_count; i++)
		record_fault(chunk->settlement, account->account_id, bill->warnings[i]);
	chunk->tally->warnings += bill->warning_count;
}

static bool
rate_one(Chunk *chunk, int32 place)
{
	Settlement *settlement = chunk->settlement;
	const Account *account = &settlement->slice->accounts[place];
	Bill bill;
	Fault fault;

	switch (settlement_rate(&settlement->catalog->tariff, settlement->run->period, account, &settlement->workspace, &bill,
							&fault))
	{
		case OUTCOME_NOT_DUE:
			return false;
		case OUTCOME_EMPTY:
			record_warnings(chunk, account, &bill);
			chunk->tally->empty++;
			return true;
		case OUTCOME_SKIP:
			record_fault(settlement, account->account_id, fault);
			chunk->tally->skips++;
			return true;
		case OUTCOME_BILL:
			break;
	}

	record_warnings(chunk, account, &bill);
	chunk->tally->written++;
	chunk->tally->lines += bill.line_count;
	chunk->totals[bill.currency] += bill.total;
	if (chunk->results != NULL)
		results_bill(chunk->results, account, &settlement->slice->usage_seen[place],
					 settlement->slice->revisions ? settlement->slice->revisions[place] : 0, &bill);
	return true;
}

/* amount_print() divides by 10^12; these are minor units. */
static void
append_total(StringInfo text, Amount total)
{
	const uint64 base = UINT64CONST(1000000000000000000);

	if (total >= (Amount) base)
		appendStringInfo(text, UINT64_FORMAT "%018llu", (uint64) (total / base), (unsigned long long) (total % base));
	else
		appendStringInfo(text, UINT64_FORMAT, (uint64) total);
}

static char *
print_totals(const Tariff *tariff, const Amount *totals)
{
	StringInfoData text;
	const char *separator = "{";

	initStringInfo(&text);
	for (int32 i = 0; i < tariff->currency_count; i++)
		if (totals[i] != 0)
		{
			appendStringInfo(&text, "%s\"%s\":", separator, tariff->currencies[i].code);
			append_total(&text, totals[i]);
			separator = ",";
		}
	if (text.len == 0)
		appendStringInfoChar(&text, '{');
	appendStringInfoChar(&text, '}');
	return text.data;
}

static void
process_chunk(void *step, int64 from, int64 end, Tally *tally)
{
	Settlement *settlement = step;
	const Tariff *tariff = &settlement->catalog->tariff;
	Chunk chunk = {.settlement = settlement, .tally = tally};

	chunk.totals = palloc0(Max(tariff->currency_count, 1) * sizeof(Amount));
	if (settlement->run->kind != RUN_DRY)
		chunk.results = results_open(settlement->run, tariff, &settlement->labels, settlement->slice->bucket);
	for (int64 place = from; place < end; place++)
		if (rate_one(&chunk, (int32) place))
			tally->due++;
	if (chunk.results != NULL)
		results_close(chunk.results);
	tally->totals = print_totals(tariff, chunk.totals);
}

static void
close_slice(void *step, int bucket)
{
	Settlement *settlement = step;

	if (settlement->run->kind != RUN_DRY)
		results_finish(settlement->run->period.from, bucket);
}

/*
 * Skips of other runs of the month that ask for attention, and their accounts, as far as the run is about them; how many.
 * The ids of a pilot are looked through here (sorted by settle_run()): as a parameter the planner would weigh each.
 */
static int
list_skips(const Run *run, int64 **errors, int64 **accounts)
{
	SqlParams params = {0};
	int count = 0;

	sql_add_int8(&params, run->run_id);
	sql_add_date(&params, run->period.from);
	const uint64 found =
		sql_execute("SELECT e.error_id, e.account_id FROM settle.run AS r JOIN settle.run_error AS e USING (run_id)"
					" WHERE r.period = $2 AND r.run_id <> $1 AND e.status IN ('open', 'failed')",
					&params);
	*errors = palloc(Max(found, 1) * sizeof(int64));
	*accounts = palloc(Max(found, 1) * sizeof(int64));
	for (uint64 i = 0; i < found; i++)
	{
		const int64 account_id = sql_int8(i, 2);

		if (run->accounts != NULL && !ids_contain(run->accounts, run->account_count, account_id))
			continue;
		(*errors)[count] = sql_int8(i, 1);
		(*accounts)[count++] = account_id;
	}
	return count;
}

/*
 * Accounts that other runs of the month skipped and this one has dealt with need nobody's attention any more: they have a
 * bill now, or nothing to charge. A skip may be younger than a bucket that was opened before a resume; then only a bill
 * says that it is settled. And who was left out as ignored was not looked at.
 */
static void
resolve_skips(const Run *run)
{
	SqlParams params = {0};
	int64 *errors;
	int64 *accounts;
	const int count = list_skips(run, &errors, &accounts);

	if (count == 0)
		return;

	/* The array, not a join, so that bills are looked up by their keys whatever the planner believes of them. */
	sql_add_int8(&params, run->run_id);
	sql_add_date(&params, run->period.from);
	sql_add_bool(&params, run->accounts != NULL);
	sql_add_int8_array(&params, errors, count);
	sql_add_int8_array(&params, accounts, count);
	sql_execute("WITH newest AS MATERIALIZED (SELECT DISTINCT ON (account_id) account_id, run_id, kind FROM settle.bill"
				"  WHERE period = $2 AND account_id = ANY ($5) ORDER BY account_id, revision DESC),"
				" settled AS MATERIALIZED (SELECT e.error_id, CASE WHEN b.run_id IS NULL"
				"   THEN format('nothing to charge in run %s', $1) ELSE format('billed by run %s', b.run_id) END AS how"
				"  FROM settle.run_error AS e"
				"  LEFT JOIN (SELECT * FROM newest WHERE kind <> 'void') AS b USING (account_id)"
				"  WHERE e.error_id = ANY ($4) AND (b.run_id IS NOT NULL OR EXISTS (SELECT FROM settle.run_slice AS s"
				"    WHERE s.run_id = $1 AND s.slice = e.slice AND s.started_at > e.created_at)"
				"   AND ($3 OR e.account_id NOT IN (SELECT settle.ignored_accounts($2))))"
				"  AND NOT EXISTS (SELECT FROM settle.run_error AS own"
				"   WHERE own.run_id = $1 AND own.account_id = e.account_id AND own.severity = 'error'))"
				" UPDATE settle.run_error AS e SET status = 'resolved', marked_at = now(),"
				"  marked_by = this.requested_by, mark_reason = settled.how"
				" FROM settled, settle.run AS this WHERE e.error_id = settled.error_id AND this.run_id = $1"
				"  AND e.status IN ('open', 'failed')",
				&params);
}

static void
complete_run(const Run *run)
{
	if (run->kind == RUN_DRY)
		return;
	resolve_skips(run);
	emit_run(run->run_id, "completed");
	if (run->release_auto)
	{
		SqlParams params = {0};

		sql_add_int8(&params, run->run_id);
		sql_execute("UPDATE settle.run SET released_at = now() WHERE run_id = $1", &params);
		emit_run(run->run_id, "released");
	}
}

const StepOps settlement_step = {
	.check = check_request,
	.fingerprint = catalog_fingerprint,
	.freeze = freeze_groups,
	.slice_count = bucket_count,
	.slice_estimate = estimate_slice,
	.open = open_settlement,
	.attach = attach_run,
	.open_slice = open_slice,
	.item_id = item_id,
	.process = process_chunk,
	.is_own_fault = results_are_doubled,
	.close_slice = close_slice,
	.complete = complete_run,
};
