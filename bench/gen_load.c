/*
 * gen_load.c: writes the accounts and their usage (see gen.h).
 *
 * The account-owned tables go one after the other in order of account_id, which is how a migration fills them. Usage
 * goes in order of time, accounts interleaved, which is how it arrives: all rows are laid out in memory first, 16 bytes
 * each. Accounts are made twice for that, once to count the rows of each stretch of time and once to place them, so
 * that no second copy is needed for sorting.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

bool
load_execute(PGconn *conn, const char *sql, char *error)
{
	PGresult *result = PQexec(conn, sql);
	const bool done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!done)
		snprintf(error, GEN_ERROR_SIZE, "%s", PQerrorMessage(conn));
	PQclear(result);
	return done;
}

/* ---- account-owned tables ---------------------------------------------------------------------------------------- */

static void
put_date_or_null(Copy *copy, int32_t day)
{
	if (day == DAY_MAX)
		copy_null(copy);
	else
		copy_int32(copy, day);
}

static void
put_id_or_null(Copy *copy, int64_t id)
{
	if (id == 0)
		copy_null(copy);
	else
		copy_int64(copy, id);
}

static void
put_group(Copy *copy, const Gen *gen, int64_t account_id)
{
	char name[32];
	int size;
	bool first;
	const int64_t group_id = account_group(gen, account_id, &size, &first);

	if (!first)
		return;
	snprintf(name, sizeof(name), "family %lld", (long long) group_id);
	copy_row(copy, 2);
	copy_int64(copy, group_id);
	copy_text(copy, name);
}

static void
put_account(Copy *copy, const Gen *gen, int64_t account_id)
{
	GenAccount account;

	account_make(gen, account_id, &account);
	copy_row(copy, 4);
	copy_int64(copy, account_id);
	put_id_or_null(copy, account.group_id);
	copy_text(copy, account.currency);
	copy_text(copy, account.status);
}

static void
put_subscriptions(Copy *copy, const Gen *gen, int64_t account_id)
{
	GenAccount account;

	account_make(gen, account_id, &account);
	for (int i = 0; i < account.subscription_count; i++)
	{
		const GenSubscription *subscription = &account.subscriptions[i];

		copy_row(copy, 7);
		copy_int64(copy, account_id);
		copy_int64(copy, i + 1);
		if (subscription->price_tenths < 0)
			copy_null(copy);
		else
			copy_tenths(copy, subscription->price_tenths);
		copy_int32(copy, subscription->product_id);
		copy_int32(copy, subscription->quantity);
		copy_int32(copy, subscription->started_on);
		put_date_or_null(copy, subscription->ended_on);
	}
}

static void
put_grants(Copy *copy, const Gen *gen, int64_t account_id)
{
	GenAccount account;

	account_make(gen, account_id, &account);
	account_make_grants(gen, &account);
	for (int i = 0; i < account.grant_count; i++)
	{
		const GenGrant *grant = &account.grants[i];

		copy_row(copy, 6);
		copy_int64(copy, account_id);
		copy_int64(copy, i + 1);
		copy_int32(copy, grant->discount_id);
		if (grant->product_id == 0)
			copy_null(copy);
		else
			copy_int32(copy, grant->product_id);
		copy_int32(copy, grant->starts_on); /* DAY_MIN is PostgreSQL's -infinity */
		put_date_or_null(copy, grant->ends_on);
	}
}

static void
put_adjustments(Copy *copy, const Gen *gen, int64_t account_id)
{
	GenAccount account;

	account_make(gen, account_id, &account);
	account_make_adjustments(gen, &account);
	for (int i = 0; i < account.adjustment_count; i++)
	{
		const GenAdjustment *adjustment = &account.adjustments[i];

		copy_row(copy, 7);
		copy_int64(copy, account_id);
		copy_int64(copy, i + 1);
		copy_int64(copy, adjustment->amount);
		copy_int32(copy, gen->period.from);
		copy_text(copy, adjustment->taxed ? "VAT10" : NULL);
		copy_text(copy, adjustment->description);
		copy_text(copy, adjustment->source);
	}
}

/* Contacts without sealed data: only what operators see, and when notices may go out. */
static void
put_contact(Copy *copy, const Gen *gen, int64_t account_id)
{
	static const char *const surnames[] = {"\xea\xb9\x80", "\xec\x9d\xb4", "\xeb\xb0\x95", "\xec\xb5\x9c", "\xec\xa0\x95",
										   "\xea\xb0\x95", "\xec\xa1\xb0", "\xec\x9c\xa4", "\xec\x9e\xa5", "\xec\x9e\x84"};
	static const char *const endings[] = {"\xec\x88\x98", "\xeb\xaf\xbc", "\xec\xa7\x80", "\xed\x98\xb8",
										  "\xec\xa7\x84", "\xec\x98\x81", "\xec\x97\xb0", "\xec\x9a\xb0"};
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	static const char *const channels[] = {"email", "sms", "push"};
	static const int channel_weights[] = {80, 15, 5};
	Random random = random_stream(gen, account_id, STREAM_CONTACT);
	const uint64_t bits = random_next(&random);
	char name[16], email[32], phone[16];

	if (bits % 100 < 3) /* nobody to tell */
		return;
	snprintf(name, sizeof(name), "%s*%s", surnames[bits >> 8 & 7], endings[bits >> 16 & 7]);
	snprintf(email, sizeof(email), "%c%c***@mail.example", letters[(bits >> 24 & 255) % 26],
			 letters[(bits >> 32 & 255) % 26]);
	snprintf(phone, sizeof(phone), "010-****-%04d", (int) random_below(&random, 10000));
	copy_row(copy, 11);
	copy_int64(copy, account_id);
	copy_text(copy, name);
	copy_text(copy, email);
	copy_text(copy, phone);
	copy_text(copy, channels[random_pick(&random, channel_weights, 3)]);
	copy_text(copy, random_chance(&random, 9400) ? "ko" : "en");
	copy_text(copy, random_chance(&random, 200) ? "Asia/Tokyo" : NULL);
	copy_int16(copy, (int16_t) (1 + random_below(&random, 28)));
	copy_int64(copy, (9 + random_below(&random, 10) / 8) * INT64_C(3600000000));
	if (random_chance(&random, 6000))
	{
		copy_int64(copy, 21 * INT64_C(3600000000));
		copy_int64(copy, 8 * INT64_C(3600000000));
	}
	else
	{
		copy_null(copy);
		copy_null(copy);
	}
}

typedef struct Table {
	const char *command;
	void (*put)(Copy *copy, const Gen *gen, int64_t account_id);
	size_t count; /* offset in Counts */
} Table;

static const Table tables[] = {
	{"COPY settle.account_group (group_id, name) FROM STDIN (FORMAT binary)", put_group, offsetof(Counts, groups)},
	{"COPY settle.account (account_id, group_id, currency, status) FROM STDIN (FORMAT binary)", put_account,
		offsetof(Counts, accounts)},
	{"COPY settle.subscription (account_id, subscription_id, unit_price, product_id, quantity, started_on, ended_on) "
	 "FROM STDIN (FORMAT binary)", put_subscriptions, offsetof(Counts, subscriptions)},
	{"COPY settle.discount_grant (account_id, grant_id, discount_id, product_id, starts_on, ends_on) "
	 "FROM STDIN (FORMAT binary)", put_grants, offsetof(Counts, grants)},
	{"COPY settle.adjustment (account_id, adjustment_id, amount, period, tax_code, description, source_company) "
	 "FROM STDIN (FORMAT binary)", put_adjustments, offsetof(Counts, adjustments)},
	{"COPY settle.contact (account_id, name_masked, email_masked, phone_masked, preferred_channel, locale, time_zone, "
	 "send_day, send_time, quiet_start, quiet_end) FROM STDIN (FORMAT binary)", put_contact, offsetof(Counts, contacts)},
};

bool
load_accounts(PGconn *conn, const Gen *gen, Counts *counts, char *error)
{
	static Copy copy;

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
	{
		copy_begin(&copy, conn, error, tables[i].command);
		for (int64_t account_id = 1; account_id <= gen->accounts && !copy.failed; account_id++)
			tables[i].put(&copy, gen, account_id);
		if (!copy_end(&copy))
			return false;
		*(int64_t *) ((char *) counts + tables[i].count) = copy.rows;
	}
	return true;
}

/* ---- usage ------------------------------------------------------------------------------------------------------- */

/* Stretches of time; within one, rows are sorted just before they are sent. */
#define SLOTS 4096

typedef struct Event {
	uint32_t ms;
	uint32_t account_id;
	uint32_t units;
	uint16_t row;
	uint8_t metric_id;
	uint8_t subscription_id;
} Event;

typedef struct Timeline {
	Event *events;
	int64_t starts[SLOTS + 1]; /* first event of each slot */
	int64_t count;
} Timeline;

/* Total order, so that the tables do not depend on the sort. */
static int
compare_events(const void *a, const void *b)
{
	const Event *left = a, *right = b;

	if (left->ms != right->ms)
		return left->ms < right->ms ? -1 : 1;
	if (left->account_id != right->account_id)
		return left->account_id < right->account_id ? -1 : 1;
	return left->row - right->row;
}

/* Goes over all usage: without events to count it per slot, with them to place it (starts[] then moves along). */
static void
walk(const Gen *gen, Timeline *timeline, int64_t *slots)
{
	static GenUsage usage[GEN_USAGE_MAX];
	GenAccount account;

	for (int64_t id = 1; id <= gen->accounts + gen->broken; id++)
	{
		int count;

		account_make(gen, id, &account);
		count = account_make_usage(gen, &account, usage);
		for (int i = 0; i < count; i++)
		{
			const int slot = (int) ((int64_t) usage[i].ms * SLOTS / gen->month_ms);
			const int64_t at = slots[slot]++;

			if (timeline->events != NULL)
				timeline->events[at] = (Event){usage[i].ms, (uint32_t) id, usage[i].units, (uint16_t) i,
											   usage[i].metric_id, usage[i].subscription_id};
		}
	}
}

static bool
lay_out(const Gen *gen, Timeline *timeline, char *error)
{
	static int64_t slots[SLOTS];

	timeline->events = NULL;
	walk(gen, timeline, slots);
	timeline->starts[0] = 0;
	for (int i = 0; i < SLOTS; i++)
	{
		timeline->starts[i + 1] = timeline->starts[i] + slots[i];
		slots[i] = timeline->starts[i];
	}
	timeline->count = timeline->starts[SLOTS];
	timeline->events = malloc(sizeof(Event) * (size_t) (timeline->count + 1));
	if (timeline->events == NULL)
	{
		snprintf(error, GEN_ERROR_SIZE, "out of memory for %lld rows of usage", (long long) timeline->count);
		return false;
	}
	walk(gen, timeline, slots);
	return true;
}

/* 16 hexadecimal digits, unique over all rows: a bijection of (account, row). */
static void
put_event_id(Copy *copy, const Gen *gen, const Event *event)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t id = random_mix(((uint64_t) event->account_id << 16 | event->row) ^ random_mix(gen->seed));
	char text[16];

	for (int i = 15; i >= 0; i--, id >>= 4)
		text[i] = digits[id & 15];
	copy_bytes(copy, text, sizeof(text));
}

static void
put_usage(Copy *copy, const Gen *gen, const Event *event)
{
	copy_row(copy, 7);
	copy_int64(copy, event->account_id);
	copy_int64(copy, event->subscription_id);
	copy_int64(copy, gen->month_at + (int64_t) event->ms * 1000);
	copy_int64(copy, account_usage_quantity(gen, event->account_id, event->row, event->units));
	copy_int32(copy, event->metric_id);
	copy_int32(copy, gen->period.from);
	put_event_id(copy, gen, event);
}

bool
load_usage(PGconn *conn, const Gen *gen, Counts *counts, char *error)
{
	static Copy copy;
	static Timeline timeline;

	if (!lay_out(gen, &timeline, error))
		return false;
	copy_begin(&copy, conn, error,
			   "COPY settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id) "
			   "FROM STDIN (FORMAT binary)");
	for (int slot = 0; slot < SLOTS && !copy.failed; slot++)
	{
		const int64_t start = timeline.starts[slot], end = timeline.starts[slot + 1];

		qsort(timeline.events + start, (size_t) (end - start), sizeof(Event), compare_events);
		for (int64_t i = start; i < end; i++)
			put_usage(&copy, gen, &timeline.events[i]);
	}
	free(timeline.events);
	counts->usage = copy.rows;
	return copy_end(&copy);
}
