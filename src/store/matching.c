/*
 * matching.c: every bill has exactly one event, and every event of a bill has its bill.
 *
 * The outbox of a month is one table for all buckets, so it is read once and reduced to a sum of digests for each bucket.
 * Equal sums mean equal sets: a bill's digest covers its id and amounts, and accidents do not cancel out in 64 bits. Only
 * for the buckets that differ are bills and events matched one by one, which reads the outbox once more for each. Memory
 * stays that of one bucket.
 */
#include "store/verify.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "common/mix.h"
#include "store/bucket.h"
#include "store/collect.h"
#include "store/leaves.h"
#include "store/reader.h"
#include "store/sql.h"

const char *const verify_kind_names[3] = {"bill", "rebill", "void"};
static const char *const event_types[3] = {"bill.settled.v1", "bill.revised.v1", "bill.voided.v1"};

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

uint64
verify_digest(const PayloadBill *bill)
{
	const int64 values[] = {bill->revision, bill->kind[0],	bill->run_id,	bill->exponent, bill->recurring,
							bill->usage,	bill->one_off,	bill->discount, bill->tax,		bill->included_tax,
							bill->rounding, bill->carried, bill->arrears,	bill->credit_forward, bill->total};
	uint64 digest = mix64((uint64) bill->account_id);

	for (size_t i = 0; i < lengthof(values); i++)
		digest = mix64(digest ^ (uint64) values[i]);
	return digest;
}

typedef struct Event {
	int64 account_id;
	PayloadBill bill;
	bool valid; /* its columns and its payload agree with each other */
} Event;

static bool
equals(const text *value, const char *wanted, size_t len)
{
	return VARSIZE_ANY_EXHDR(value) == len && memcmp(VARDATA_ANY(value), wanted, len) == 0;
}

/* account_id, event_type, event_id, payload */
static Event
read_event(const Verify *verify, const TupleTableSlot *slot)
{
	Event event = {.account_id = DatumGetInt64(slot->tts_values[0])};
	const text *type = DatumGetTextPP(slot->tts_values[1]);
	const text *id = DatumGetTextPP(slot->tts_values[2]);
	const text *payload = DatumGetTextPP(slot->tts_values[3]);
	char wanted[64];

	if (!payload_read_bill(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), &event.bill) ||
		event.bill.account_id != event.account_id || event.bill.period != verify->period.from)
		return event;
	const int len = snprintf(wanted, sizeof(wanted), "bill/%s/" INT64_FORMAT "/%d", verify->month, event.account_id,
							 event.bill.revision);
	for (int i = 0; i < lengthof(event_types); i++)
		if (strcmp(event.bill.kind, verify_kind_names[i]) == 0)
			event.valid = equals(type, event_types[i], strlen(event_types[i])) && equals(id, wanted, (size_t) len);
	return event;
}

static const Column bill_list[] = {
	{"account_id", "bigint"}, {"revision", "smallint"}, {"kind", "settle.bill_kind"}, {"run_id", "bigint"},
	{"exponent", "smallint"}, {"recurring", "bigint"},  {"usage", "bigint"},          {"one_off", "bigint"},
	{"discount", "bigint"},   {"tax", "bigint"},        {"included_tax", "bigint"},   {"rounding", "bigint"},
	{"carried", "bigint"},    {"arrears", "bigint"},    {"credit_forward", "bigint"}, {"total", "bigint"},
	{"usage_rows", "bigint"}, {"usage_digest", "bigint"}};
static const Column event_list[] = {
	{"account_id", "bigint"}, {"event_type", "text"}, {"event_id", "text"}, {"payload", "text"}};

const Columns verify_bills = {"settle.bill", lengthof(bill_list), bill_list};
static const Columns events = {"settle.outbox", lengthof(event_list), event_list};

static void
read_outbox(const Verify *verify, SqlRow row, void *arg)
{
	const Ymd ymd = ymd_from_day(verify->period.from);

	sql_read(psprintf("SELECT account_id, event_type, event_id, payload FROM settle.outbox_%04d_%02d"
					  " WHERE account_id IS NOT NULL", ymd.year, ymd.month),
			 NULL, &events, row, arg);
}

/* ---- sums ------------------------------------------------------------------------------------------------------- */

typedef struct Summing {
	const Verify *verify;
	EventSum *sums;
	bool *faulty;          /* by bucket: has an event that is no bill's */
	MemoryContext scratch; /* for values that were compressed */
} Summing;

static void
sum_event(TupleTableSlot *slot, void *arg)
{
	Summing *summing = arg;
	MemoryContext caller = MemoryContextSwitchTo(summing->scratch);
	const Event event = read_event(summing->verify, slot);
	const int bucket = account_bucket(event.account_id, summing->verify->buckets);

	summing->sums[bucket].events++;
	if (event.valid)
		summing->sums[bucket].digest += verify_digest(&event.bill);
	else
		summing->faulty[bucket] = true;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(summing->scratch);
}

/* ---- one by one ------------------------------------------------------------------------------------------------- */

typedef struct Owed {
	int64 account_id;
	uint64 digest;
	int64 run_id;
	int64 events; /* that name this bill */
	uint32 next;  /* another revision of the account */
	int32 revision;
} Owed;

typedef struct Matching {
	const Verify *verify;
	int bucket;
	Rows owed;  /* of Owed */
	Map places; /* account_id → its first Owed */
	MemoryContext scratch;
} Matching;

static Owed *
owed_at(const Matching *matching, uint32 place)
{
	return place == MAP_NONE ? NULL : (Owed *) matching->owed.items + place;
}

static void
owed_row(TupleTableSlot *slot, void *arg)
{
	Matching *matching = arg;
	const uint32 place = matching->owed.count;
	PayloadBill bill;

	verify_read_bill(matching->verify, slot, &bill);
	Owed *owed = rows_add(&matching->owed, 0);
	*owed = (Owed){.account_id = bill.account_id,
				   .digest = verify_digest(&bill),
				   .run_id = bill.run_id,
				   .revision = bill.revision,
				   .next = MAP_NONE};

	Owed *first = owed_at(matching, map_find(&matching->places, bill.account_id));
	if (first == NULL)
		map_add(&matching->places, bill.account_id, place);
	else
	{
		owed->next = first->next;
		first->next = place;
	}
}

static void
match_event(TupleTableSlot *slot, void *arg)
{
	Matching *matching = arg;
	const Verify *verify = matching->verify;

	if (account_bucket(DatumGetInt64(slot->tts_values[0]), verify->buckets) != matching->bucket)
		return;
	MemoryContext caller = MemoryContextSwitchTo(matching->scratch);
	const Event event = read_event(verify, slot);
	Owed *first = owed_at(matching, map_find(&matching->places, event.account_id));
	Owed *owed = first;

	MemoryContextSwitchTo(caller);
	MemoryContextReset(matching->scratch);
	/* Whose event a damaged one was cannot be told: it is not reported as missing besides. */
	while (event.valid && owed != NULL && owed->revision != event.bill.revision)
		owed = owed_at(matching, owed->next);
	if (owed != NULL)
		owed->events++;
	if (event.valid && owed == NULL)
		verify_fact(verify, "event without bill", event.account_id, event.bill.run_id);
	else if (!event.valid || owed->digest != verify_digest(&event.bill))
		verify_fact(verify, "event differs", event.account_id, event.bill.run_id);
}

static void
match_bucket(const Verify *verify, int bucket, MemoryContext scratch)
{
	Matching matching = {.verify = verify, .bucket = bucket, .scratch = scratch};

	rows_init(&matching.owed, sizeof(Owed), false);
	map_init(&matching.places);
	sql_read(columns_query(&verify_bills, leaf_name_of_month("bill", verify->period.from, bucket)), NULL, &verify_bills,
			 owed_row, &matching);
	read_outbox(verify, match_event, &matching);
	for (uint32 i = 0; i < matching.owed.count; i++)
	{
		const Owed *owed = owed_at(&matching, i);

		if (owed->events != 1)
			verify_fact(verify, owed->events == 0 ? "event missing" : "event repeated", owed->account_id, owed->run_id);
	}
}

void
verify_events(const Verify *verify)
{
	Summing summing = {.verify = verify};

	summing.sums = palloc0(verify->buckets * sizeof(EventSum));
	summing.faulty = palloc0(verify->buckets * sizeof(bool));
	summing.scratch = AllocSetContextCreate(CurrentMemoryContext, "settle verified event", ALLOCSET_DEFAULT_SIZES);
	read_outbox(verify, sum_event, &summing);

	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "settle verified bucket", ALLOCSET_DEFAULT_SIZES);
	for (int bucket = 0; bucket < verify->buckets; bucket++)
	{
		const EventSum *found = &summing.sums[bucket];
		const EventSum *owed = &verify->owed[bucket];

		if (!summing.faulty[bucket] && found->events == owed->events && found->digest == owed->digest)
			continue;
		MemoryContext caller = MemoryContextSwitchTo(context);
		match_bucket(verify, bucket, summing.scratch);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	MemoryContextDelete(summing.scratch);
}
