/*
 * emit.c: outbox rows, written in the transaction of what they tell (see emit.h).
 *
 * The payload is built once, straight into the memory that becomes the text value. Ids are made of the period, the
 * account and the revision only, so a repeated event is recognised by any consumer, on any node.
 */
#include "compat.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common/payload.h"
#include "outbox/emit.h"
#include "store/origin.h"
#include "store/sql.h"

#define FIRST_PAYLOAD_SIZE 4096

static const Column outbox_list[] = {
	{"account_id", "bigint"}, {"created_at", "timestamp with time zone"}, {"period", "settle.period"},
	{"event_type", "text"},   {"event_id", "text"},                       {"payload", "text"},
};
const Columns outbox_columns = {"settle.outbox", lengthof(outbox_list), outbox_list};

static const char *const line_names[LINE_KIND_COUNT] = {
	"recurring", "usage",		 "minimum",	 "maximum", "adjustment", "discount",
	"tax",		 "included_tax", "rounding", "carried", "arrears",	  "credit_forward",
};

static void
print_instant(TimestampTz instant, char *text, size_t size)
{
	struct pg_tm tm;
	fsec_t fraction;

	/* no zone given: timestamp2tm() breaks it down in UTC */
	if (timestamp2tm(instant, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
			 tm.tm_sec);
}

void
emit_open(Emitter *emitter, const Run *run, const Tariff *tariff, Oid outbox)
{
	char month[16];

	ymd_print_month(run->period.from, month);
	*emitter = (Emitter){.run = run, .tariff = tariff, .month = pstrdup(month)};
	emitter->writer = writer_open(outbox, &outbox_columns, false);
	emitter->context = AllocSetContextCreate(CurrentMemoryContext, "settle events", ALLOCSET_DEFAULT_SIZES);
	emitter->payload_size = FIRST_PAYLOAD_SIZE;
	emitter->payload = palloc(FIRST_PAYLOAD_SIZE);
	emitter->bill_settled = CStringGetTextDatum("bill.settled.v1");
	emitter->bill_voided = CStringGetTextDatum("bill.voided.v1");
	emitter->created_at = GetCurrentTransactionStartTimestamp();
	print_instant(run->created_at, emitter->settled_at, sizeof(emitter->settled_at));
}

static PayloadLine
describe_line(const Tariff *tariff, const Account *account, const Line *line)
{
	PayloadLine payload = {.kind = line_names[line->kind], .days = line->days, .amount = line->amount};

	if (line->product >= 0)
	{
		payload.has_product = true;
		payload.product_id = tariff->products[line->product].product_id;
		payload.name = tariff->products[line->product].name;
	}
	if (line->metric >= 0)
		payload.metric = tariff->metrics[line->metric].code;
	if (line->kind == LINE_RECURRING || line->kind == LINE_USAGE)
	{
		payload.has_quantity = true;
		payload.quantity = line->quantity;
	}
	if (line->discount >= 0)
		payload.name = tariff->discounts[line->discount].name;
	else if (line->adjustment >= 0)
		payload.name = account->adjustments[line->adjustment].description;
	else if (line->tax >= 0)
		payload.name = tariff->taxes[line->tax].code;
	return payload;
}

bool
emit_fits(const Tariff *tariff, const Account *account, const Bill *bill)
{
	size_t names = 0;

	for (int32 i = 0; i < bill->line_count; i++)
	{
		const PayloadLine line = describe_line(tariff, account, &bill->lines[i]);

		names += (line.name ? strlen(line.name) : 0) + (line.metric ? strlen(line.metric) : 0);
	}
	return payload_bill_bound((size_t) bill->line_count, names) <= PAYLOAD_MAX;
}

/* One bill on its way into a payload; a void one has no account, lines or amounts. */
typedef struct Telling {
	const Account *account;
	const Bill *bill;
	PayloadBill payload;
} Telling;

static void
write_bill(Json *json, const Emitter *emitter, const Telling *telling)
{
	const int32 lines = telling->bill != NULL ? telling->bill->line_count : 0;

	payload_bill_begin(json, &telling->payload);
	for (int32 i = 0; i < lines; i++)
	{
		const PayloadLine line = describe_line(emitter->tariff, telling->account, &telling->bill->lines[i]);
		payload_line(json, &line, i == 0);
	}
	payload_bill_end(json);
}

/* The payload, written straight into the text value, in a buffer that grows with the largest bill of the chunk. */
static text *
bill_payload(Emitter *emitter, const Telling *telling)
{
	for (;;)
	{
		Json json = {.text = VARDATA(emitter->payload), .size = emitter->payload_size - VARHDRSZ};

		write_bill(&json, emitter, telling);
		if (!json.full)
		{
			SET_VARSIZE(emitter->payload, VARHDRSZ + json.len);
			return emitter->payload;
		}
		emitter->payload_size *= 2;
		emitter->payload = repalloc(emitter->payload, emitter->payload_size);
	}
}

static void
tell(Emitter *emitter, Datum event_type, Telling *telling)
{
	PayloadBill *payload = &telling->payload;
	MemoryContext caller = MemoryContextSwitchTo(emitter->context);
	Datum *values;
	bool *nulls;
	char id[64];

	payload->period = emitter->run->period.from;
	payload->run_id = emitter->run->run_id;
	payload->settled_at = emitter->settled_at;
	const int id_length = snprintf(id, sizeof(id), "bill/%s/" INT64_FORMAT "/%d", emitter->month, payload->account_id,
								   payload->revision);
	writer_row(emitter->writer, &values, &nulls);
	memset(nulls, false, outbox_columns.count);
	values[0] = Int64GetDatum(payload->account_id);
	values[1] = TimestampTzGetDatum(emitter->created_at);
	values[2] = DateADTGetDatum(emitter->run->period.from);
	values[3] = event_type;
	values[4] = PointerGetDatum(cstring_to_text_with_len(id, id_length));
	values[5] = PointerGetDatum(bill_payload(emitter, telling));
	writer_accept(emitter->writer);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(emitter->context);
}

void
emit_bill(Emitter *emitter, const Account *account, int16 revision, const Bill *bill, int32 due_on)
{
	const Currency *currency = &emitter->tariff->currencies[bill->currency];
	Telling telling = {
		.account = account,
		.bill = bill,
		.payload = {
			.account_id = account->account_id,
			.revision = revision,
			.kind = "bill",
			.currency = currency->code,
			.exponent = currency->exponent,
			.recurring = bill->recurring,
			.usage = bill->usage,
			.one_off = bill->one_off,
			.discount = bill->discount,
			.tax = bill->tax,
			.rounding = bill->rounding,
			.carried = bill->carried,
			.arrears = bill->arrears,
			.credit_forward = bill->credit_forward,
			.total = bill->total,
			.included_tax = bill->included_tax,
			.due_on = due_on,
		},
	};

	tell(emitter, emitter->bill_settled, &telling);
}

void
emit_void(Emitter *emitter, const VoidBill *bill)
{
	Telling telling = {
		.payload = {
			.account_id = bill->account_id,
			.revision = bill->revision,
			.kind = "void",
			.currency = bill->currency,
			.exponent = bill->exponent,
			.due_on = bill->due_on,
		},
	};

	tell(emitter, emitter->bill_voided, &telling);
}

void
emit_close(Emitter *emitter)
{
	writer_close(emitter->writer);
	MemoryContextDelete(emitter->context);
}

void
emit_run(int64 run_id, const char *what)
{
	SqlParams params = {0};
	char at[32];
	char key[32];

	sql_add_int8(&params, run_id);
	if (sql_execute("SELECT period, kind::text, ordinal, totals::text, due, bills, empty, skips FROM settle.run_history"
					" WHERE run_id = $1",
					&params) == 0)
		elog(ERROR, "run " INT64_FORMAT " does not exist", run_id);

	const int32 period = sql_day(0, 1);
	const int32 ordinal = sql_int4(0, 3);
	print_instant(GetCurrentTransactionStartTimestamp(), at, sizeof(at));
	const PayloadRun payload = {
		.period = period,
		.kind = sql_text(0, 2),
		.run_id = run_id,
		.totals = sql_text(0, 4),
		.due = sql_int8(0, 5),
		.bills = sql_int8(0, 6),
		.empty = sql_int8(0, 7),
		.skips = sql_int8(0, 8),
		.at = at,
	};
	const size_t size = 1024 + strlen(payload.totals);
	Json json = {.text = palloc(size), .size = size};
	char month[16];

	snprintf(key, sizeof(key), "%s_at", what);
	payload_run(&json, &payload, key);
	if (json.full)
		elog(ERROR, "event of run " INT64_FORMAT " does not fit", run_id);
	ymd_print_month(period, month);

	SqlParams row = {0};
	sql_add_date(&row, period);
	sql_add_text(&row, psprintf("run.%s.v1", what));
	sql_add_text(&row, psprintf("run/%s/%s/%d/%s", month, payload.kind, ordinal, what));
	sql_add_text(&row, pnstrdup(json.text, json.len));
	/* A caller may have hidden its bulk rows; an event never is. */
	origin_hide(false);
	sql_execute("INSERT INTO settle.outbox (created_at, period, event_type, event_id, payload) VALUES (now(), $1, $2, $3, $4)",
				&row);
}
