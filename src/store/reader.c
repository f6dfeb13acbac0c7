/*
 * reader.c: one bucket's month as an array of accounts (see reader.h).
 *
 * Reading order: accounts, which get their place in a hash map, then subscriptions, grants, adjustments and usage, whose
 * rows remember the place of their account. Rows of accounts that do not exist open an account with exists = false, so
 * they are reported and never dropped. Usage is added up while it streams by: one Usage per (account, subscription,
 * metric), whatever the number of rows. At the end each kind of row is brought into account order by counting sort and
 * into its own order inside an account, which makes the result independent of how rows lie on disk.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "fmgr.h"

#include "common/ids.h"
#include "common/mix.h"
#include "store/bucket.h"
#include "store/catalog.h"
#include "store/collect.h"
#include "store/groups.h"
#include "store/leaves.h"
#include "store/reader.h"
#include "store/sql.h"

typedef struct Reading {
	const SliceRequest *request;
	MemoryContext context;
	int64 *only; /* those of the request's that are in this bucket */
	int only_count;
	Datum only_array; /* both as arrays for the queries */
	Datum again_array;
	Oid suspended; /* values of the enum settle.account_status */
	Oid closed;
	Oid void_bill; /* value of the enum settle.bill_kind */
	Rows accounts;      /* of Account */
	Map places;         /* account_id → place in accounts */
	Rows subscriptions; /* of Subscription, with owners */
	Rows grants;
	Rows adjustments;
	UsageSums usage;
	int16 *bills; /* by place: what is known of its bills, see billed_row() */
} Reading;

uint64
usage_digest(int64 subscription_id, int32 metric_id, int64 occurred_at, int64 quantity)
{
	uint64 digest = mix64((uint64) occurred_at);

	/* each field is mixed in by itself, so that no two of them can stand in for each other */
	digest = mix64(digest ^ (uint64) quantity);
	digest = mix64(digest ^ (uint64) subscription_id);
	return mix64(digest ^ (uint32) metric_id);
}

/* Place of an account; one that is not there yet is added as not existing. */
static uint32
place_of(Reading *reading, int64 account_id)
{
	uint32 place = map_find(&reading->places, account_id);

	if (place != MAP_NONE)
		return place;
	place = reading->accounts.count;
	Account *account = rows_add(&reading->accounts, 0);
	account->account_id = account_id;
	account->status = ACCOUNT_CLOSED;
	account->currency = -1;
	map_add(&reading->places, account_id, place);
	return place;
}

static int32
currency_index(Reading *reading, Datum value)
{
	const text *code = DatumGetTextPP(value);

	return catalog_currency(reading->request->tariff, VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
}

static void
account_row(TupleTableSlot *slot, void *arg)
{
	Reading *reading = arg;
	const Oid status = DatumGetObjectId(slot->tts_values[3]);
	const int64 account_id = DatumGetInt64(slot->tts_values[0]);
	const uint32 place = reading->accounts.count;
	Account *account = rows_add(&reading->accounts, 0);

	account->account_id = account_id;
	account->exists = true;
	account->has_group = !slot->tts_isnull[1];
	account->group_id = account->has_group ? DatumGetInt64(slot->tts_values[1]) : 0;
	account->currency = slot->tts_isnull[2] ? -1 : currency_index(reading, slot->tts_values[2]);
	account->status = status == reading->closed      ? ACCOUNT_CLOSED
					  : status == reading->suspended ? ACCOUNT_SUSPENDED
													 : ACCOUNT_ACTIVE;
	map_add(&reading->places, account_id, place);
}

/* A subscription's own price: rare, so its text form is fast enough. */
static void
read_own_price(Subscription *subscription, Datum value)
{
	char *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

	subscription->has_unit_price = true;
	if (!amount_parse(text, strlen(text), &subscription->unit_price))
		subscription->invalid = REASON_INVALID_PRICE;
	pfree(text);
}

static void
subscription_row(TupleTableSlot *slot, void *arg)
{
	Reading *reading = arg;
	const uint32 place = place_of(reading, DatumGetInt64(slot->tts_values[0]));
	Subscription *subscription = rows_add(&reading->subscriptions, place);

	subscription->subscription_id = DatumGetInt64(slot->tts_values[1]);
	subscription->product_id = DatumGetInt32(slot->tts_values[2]);
	subscription->quantity = DatumGetInt32(slot->tts_values[3]);
	subscription->started_on = DatumGetDateADT(slot->tts_values[4]);
	subscription->ended_on = slot->tts_isnull[5] ? DAY_MAX : DatumGetDateADT(slot->tts_values[5]);
	if (!slot->tts_isnull[6])
		read_own_price(subscription, slot->tts_values[6]);
}

static void
grant_row(TupleTableSlot *slot, void *arg)
{
	Reading *reading = arg;
	const uint32 place = map_find(&reading->places, DatumGetInt64(slot->tts_values[0]));

	/* Granting a discount to nobody owes nobody anything: it makes no account due. */
	if (place == MAP_NONE)
		return;
	Grant *grant = rows_add(&reading->grants, place);
	grant->grant_id = DatumGetInt64(slot->tts_values[1]);
	grant->discount_id = DatumGetInt32(slot->tts_values[2]);
	grant->has_product = !slot->tts_isnull[3];
	grant->product_id = grant->has_product ? DatumGetInt32(slot->tts_values[3]) : 0;
	grant->starts_on = DatumGetDateADT(slot->tts_values[4]);
	grant->ends_on = slot->tts_isnull[5] ? DAY_MAX : DatumGetDateADT(slot->tts_values[5]);
}

static void
adjustment_row(TupleTableSlot *slot, void *arg)
{
	Reading *reading = arg;
	const uint32 place = place_of(reading, DatumGetInt64(slot->tts_values[0]));
	Adjustment *adjustment = rows_add(&reading->adjustments, place);

	adjustment->adjustment_id = DatumGetInt64(slot->tts_values[1]);
	adjustment->amount = DatumGetInt64(slot->tts_values[2]);
	adjustment->tax = -1;
	if (!slot->tts_isnull[3])
	{
		const text *code = DatumGetTextPP(slot->tts_values[3]);
		adjustment->tax = catalog_tax(reading->request->tariff, VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	}
	MemoryContext caller = MemoryContextSwitchTo(reading->context);
	adjustment->description = text_to_cstring(DatumGetTextPP(slot->tts_values[4]));
	MemoryContextSwitchTo(caller);
}

static void
usage_row(TupleTableSlot *slot, void *arg)
{
	Reading *reading = arg;
	const uint32 place = place_of(reading, DatumGetInt64(slot->tts_values[0]));
	const int64 subscription_id = DatumGetInt64(slot->tts_values[1]);
	const int32 metric_id = DatumGetInt32(slot->tts_values[2]);
	const int64 quantity = DatumGetInt64(slot->tts_values[4]);
	Usage *sum = usage_sum(&reading->usage, place, subscription_id, metric_id);

	usage_sum_add(sum, tariff_metric(reading->request->tariff, metric_id), quantity);
	usage_seen_add(&reading->usage, place,
				   usage_digest(subscription_id, metric_id, DatumGetTimestampTz(slot->tts_values[3]), quantity));
}

/* A pilot may name a million accounts: every bucket asks for its own only, and makes its arrays once. */
static void
choose_accounts(Reading *reading)
{
	const SliceRequest *request = reading->request;
	const bool all_are_here = request->buckets == 0;

	reading->only = palloc(Max(request->only_count, 1) * sizeof(int64));
	for (int i = 0; i < request->only_count; i++)
		if (all_are_here || account_bucket(request->only[i], request->buckets) == request->bucket)
			reading->only[reading->only_count++] = request->only[i];
	reading->only_array = sql_id_array(reading->only, reading->only_count);
	reading->again_array = sql_id_array(request->again, request->again_count);
}

/* What is read of each table, in the order in which the callbacks above take it. */
static const Column account_list[] = {
	{"account_id", "bigint"}, {"group_id", "bigint"}, {"currency", "text"}, {"status", "settle.account_status"}};
static const Column subscription_list[] = {
	{"account_id", "bigint"}, {"subscription_id", "bigint"}, {"product_id", "integer"}, {"quantity", "integer"},
	{"started_on", "date"},   {"ended_on", "date"},          {"unit_price", "numeric"}};
static const Column grant_list[] = {{"account_id", "bigint"},  {"grant_id", "bigint"}, {"discount_id", "integer"},
									{"product_id", "integer"}, {"starts_on", "date"},  {"ends_on", "date"}};
static const Column adjustment_list[] = {{"account_id", "bigint"}, {"adjustment_id", "bigint"}, {"amount", "bigint"},
										 {"tax_code", "text"},     {"description", "text"}};
static const Column usage_list[] = {{"account_id", "bigint"}, {"subscription_id", "bigint"}, {"metric_id", "integer"},
									{"occurred_at", "timestamp with time zone"}, {"quantity", "bigint"}};
static const Column bill_list[] = {{"account_id", "bigint"}, {"revision", "smallint"}, {"kind", "settle.bill_kind"}};

static const Columns account_columns = {"settle.account", lengthof(account_list), account_list};
static const Columns subscription_columns = {"settle.subscription", lengthof(subscription_list), subscription_list};
static const Columns grant_columns = {"settle.discount_grant", lengthof(grant_list), grant_list};
static const Columns adjustment_columns = {"settle.adjustment", lengthof(adjustment_list), adjustment_list};
static const Columns usage_columns = {"settle.usage", lengthof(usage_list), usage_list};
static const Columns bill_columns = {"settle.bill", lengthof(bill_list), bill_list};

void
reader_check(void)
{
	/* Leaves have the types of their parents, always. */
	columns_check_table(&account_columns);
	columns_check_table(&subscription_columns);
	columns_check_table(&grant_columns);
	columns_check_table(&adjustment_columns);
	columns_check_table(&usage_columns);
	columns_check_table(&bill_columns);
}

/*
 * Runs one of the slice's queries: columns of a leaf, for the accounts the request is about. Values that vary are
 * parameters; only names and the filter's shape are text.
 */
static void
read_leaf(Reading *reading, const Columns *columns, const char *leaf, const char *filter, SqlRow row)
{
	const SliceRequest *request = reading->request;
	SqlParams params = {0};
	StringInfoData query;

	(void) leaf_find(leaf, AccessShareLock);
	if (request->only != NULL && reading->only_count == 0)
		return;
	initStringInfo(&query);
	appendStringInfo(&query, "%s WHERE %s", columns_query(columns, leaf), filter);
	sql_add_date(&params, request->period.to);
	sql_add_int8(&params, request->after_id);
	sql_add(&params, INT8ARRAYOID, reading->only_array);
	sql_add(&params, INT8ARRAYOID, reading->again_array);
	if (request->only != NULL)
		appendStringInfoString(&query, " AND account_id = ANY ($3)");
	if (request->after && request->again_count > 0)
		appendStringInfoString(&query, " AND (account_id > $2 OR account_id = ANY ($4))");
	else if (request->after)
		appendStringInfoString(&query, " AND account_id > $2");
	sql_read(query.data, &params, columns, row, reading);
	pfree(query.data);
}

static void
load_enum_values(Reading *reading)
{
	sql_execute("SELECT 'suspended'::settle.account_status, 'closed'::settle.account_status, 'void'::settle.bill_kind",
				NULL);
	bool isnull;
	reading->suspended = DatumGetObjectId(sql_datum(0, 1, &isnull));
	reading->closed = DatumGetObjectId(sql_datum(0, 2, &isnull));
	reading->void_bill = DatumGetObjectId(sql_datum(0, 3, &isnull));
}

static void
read_tables(Reading *reading)
{
	const SliceRequest *request = reading->request;
	const int bucket = request->bucket;
	const int32 month = request->period.from;

	load_enum_values(reading);
	read_leaf(reading, &account_columns, leaf_name("account", bucket), "true", account_row);
	/* Ended subscriptions too: usage may still name one. */
	read_leaf(reading, &subscription_columns, leaf_name("subscription", bucket), "true", subscription_row);
	read_leaf(reading, &grant_columns, leaf_name("discount_grant", bucket), "starts_on < $1", grant_row);
	read_leaf(reading, &adjustment_columns, leaf_name_of_month("adjustment", month, bucket), "true", adjustment_row);
	read_leaf(reading, &usage_columns, leaf_name_of_month("usage", month, bucket), "true", usage_row);
}

/* A pilot names its accounts; one that does not exist must not pass without a word. */
static void
add_missing(Reading *reading)
{
	const SliceRequest *request = reading->request;

	for (int i = 0; i < reading->only_count && request->buckets > 0; i++)
	{
		const int64 id = reading->only[i];

		if (map_find(&reading->places, id) != MAP_NONE)
			continue;
		if (!request->after || id > request->after_id ||
			ids_contain(request->again, request->again_count, id))
		{
			const uint32 place = place_of(reading, id);

			((Account *) reading->accounts.items)[place].status = ACCOUNT_ACTIVE; /* due, because it was asked for */
		}
	}
}

static int
compare_subscriptions(const void *a, const void *b)
{
	const Subscription *left = a;
	const Subscription *right = b;

	if (left->started_on != right->started_on)
		return left->started_on < right->started_on ? -1 : 1;
	return (left->subscription_id > right->subscription_id) - (left->subscription_id < right->subscription_id);
}

static int
compare_adjustments(const void *a, const void *b)
{
	const Adjustment *left = a;
	const Adjustment *right = b;

	return (left->adjustment_id > right->adjustment_id) - (left->adjustment_id < right->adjustment_id);
}

static int
compare_grants(const void *a, const void *b)
{
	const Grant *left = a;
	const Grant *right = b;

	return (left->grant_id > right->grant_id) - (left->grant_id < right->grant_id);
}

static int
compare_usage(const void *a, const void *b)
{
	const Usage *left = a;
	const Usage *right = b;

	if (left->subscription_id != right->subscription_id)
		return left->subscription_id < right->subscription_id ? -1 : 1;
	return (left->metric_id > right->metric_id) - (left->metric_id < right->metric_id);
}

/* Brings one kind of row into account order and points the accounts at their share. */
#define ATTACH(reading, rows, Type, field, count_field, compare)                                                       \
	do                                                                                                                 \
	{                                                                                                                  \
		const uint32 account_count = (reading)->accounts.count;                                                        \
		const uint32 *starts = rows_group((rows), account_count, (compare));                                           \
		Account *accounts = (reading)->accounts.items;                                                                 \
		for (uint32 i = 0; i < account_count; i++)                                                                     \
		{                                                                                                              \
			accounts[i].field = (const Type *) (rows)->items + starts[i];                                              \
			accounts[i].count_field = (int32) (starts[i + 1] - starts[i]);                                             \
		}                                                                                                              \
	} while (0)

static void
freeze_groups(Reading *reading)
{
	const GroupSizes *groups = reading->request->group_sizes;
	Account *accounts = reading->accounts.items;

	if (groups == NULL)
		groups = groups_count();
	for (uint32 i = 0; i < reading->accounts.count; i++)
		if (accounts[i].has_group)
			accounts[i].group_size = groups_size(groups, accounts[i].group_id);
}

typedef struct Ordered {
	Account account;
	UsageSeen seen;
	int16 revision;
} Ordered;

static int
compare_ordered(const void *a, const void *b)
{
	const int64 left = ((const Ordered *) a)->account.account_id;
	const int64 right = ((const Ordered *) b)->account.account_id;

	return (left > right) - (left < right);
}

/* Accounts in id order: usually they lie on disk that way already. */
static void
order_accounts(Slice *slice)
{
	int32 i = 1;

	while (i < slice->count && slice->accounts[i - 1].account_id < slice->accounts[i].account_id)
		i++;
	if (i >= slice->count)
		return;

	Ordered *ordered = MemoryContextAllocHuge(CurrentMemoryContext, slice->count * sizeof(Ordered));
	for (i = 0; i < slice->count; i++)
		ordered[i] = (Ordered){slice->accounts[i], slice->usage_seen[i], slice->revisions ? slice->revisions[i] : 0};
	qsort(ordered, slice->count, sizeof(Ordered), compare_ordered);
	for (i = 0; i < slice->count; i++)
	{
		slice->accounts[i] = ordered[i].account;
		slice->usage_seen[i] = ordered[i].seen;
		if (slice->revisions)
			slice->revisions[i] = ordered[i].revision;
	}
	pfree(ordered);
}

/*
 * Revisions come in any order; what counts is the newest: n + 1 when it is n and a bill, -(n + 1) when it is n and void,
 * 0 when there is none.
 */
static void
billed_row(TupleTableSlot *slot, void *arg)
{
	Reading *reading = arg;
	const uint32 place = map_find(&reading->places, DatumGetInt64(slot->tts_values[0]));
	const int16 revision = DatumGetInt16(slot->tts_values[1]);
	const bool is_void = DatumGetObjectId(slot->tts_values[2]) == reading->void_bill;

	if (place != MAP_NONE && revision + 1 > abs(reading->bills[place]))
		reading->bills[place] = is_void ? -(revision + 1) : revision + 1;
}

#define LEFT_OUT INT16_MAX /* as if it had a bill, of a revision that no bill has */

static void
leave_out_ignored(Reading *reading)
{
	SqlParams params = {0};

	sql_add_date(&params, reading->request->period.from);
	sql_add_int4(&params, reading->request->bucket);
	const uint64 count = sql_select("SELECT settle.ignored_accounts($1, $2)", &params);
	for (uint64 i = 0; i < count; i++)
	{
		const uint32 place = map_find(&reading->places, sql_int8(i, 1));

		if (place != MAP_NONE)
			reading->bills[place] = LEFT_OUT;
	}
}

/* Takes out accounts that have a bill or need none, and gives those whose bills were voided their next revision. */
static void
drop_settled(Reading *reading, Slice *slice)
{
	Account *accounts = reading->accounts.items;
	UsageSeen *seen = reading->usage.seen.items;
	const uint32 count = reading->accounts.count;
	uint32 kept = 0;
	bool revised = false;

	reading->bills = MemoryContextAllocExtended(CurrentMemoryContext, Max(count, 1) * sizeof(int16),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (reading->request->unbilled)
		read_leaf(reading, &bill_columns,
				  leaf_name_of_month("bill", reading->request->period.from, reading->request->bucket), "true", billed_row);
	if (reading->request->only == NULL)
		leave_out_ignored(reading);
	for (uint32 i = 0; i < count; i++)
		if (reading->bills[i] <= 0)
		{
			accounts[kept] = accounts[i];
			seen[kept] = seen[i];
			revised |= reading->bills[i] < 0;
			reading->bills[kept++] = -reading->bills[i];
		}
	reading->accounts.count = kept;
	if (revised)
		slice->revisions = reading->bills;
	else
		pfree(reading->bills);
}

Slice *
slice_read(const SliceRequest *request)
{
	Reading reading = {.request = request, .context = CurrentMemoryContext};

	rows_init(&reading.accounts, sizeof(Account), false);
	rows_init(&reading.subscriptions, sizeof(Subscription), true);
	rows_init(&reading.grants, sizeof(Grant), true);
	rows_init(&reading.adjustments, sizeof(Adjustment), true);
	map_init(&reading.places);
	usage_sums_init(&reading.usage);
	choose_accounts(&reading);
	read_tables(&reading);
	add_missing(&reading);

	ATTACH(&reading, &reading.subscriptions, Subscription, subscriptions, subscription_count, compare_subscriptions);
	ATTACH(&reading, &reading.grants, Grant, grants, grant_count, compare_grants);
	ATTACH(&reading, &reading.adjustments, Adjustment, adjustments, adjustment_count, compare_adjustments);
	ATTACH(&reading, &reading.usage.sums, Usage, usage, usage_count, compare_usage);
	usage_seen_fill(&reading.usage, reading.accounts.count);
	freeze_groups(&reading);

	Slice *slice = palloc0(sizeof(Slice));
	drop_settled(&reading, slice);
	slice->bucket = request->bucket;
	slice->count = (int32) reading.accounts.count;
	slice->accounts = reading.accounts.items;
	slice->usage_seen = reading.usage.seen.items;
	order_accounts(slice);
	for (int32 i = 0; i < slice->count; i++)
		slice->rate_space = Max(slice->rate_space, rate_space(request->tariff, &slice->accounts[i]));
	return slice;
}
