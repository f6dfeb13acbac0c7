/*
 * payload.c: the data of settle's events, as JSON (see payload.h and docs/events/).
 */
#include <string.h>

#include "common/payload.h"
#include "common/ymd.h"

static void
text(Json *json, const char *value)
{
	json_string(json, value, strlen(value));
}

static void
month(Json *json, int32_t day)
{
	char buffer[16];
	const int len = ymd_print_month(day, buffer);

	json_lit(json, "\"");
	json_raw(json, buffer, (size_t) len);
	json_lit(json, "\"");
}

static void
date(Json *json, int32_t day)
{
	char buffer[16];
	const int len = ymd_print_day(day, buffer);

	json_lit(json, "\"");
	json_raw(json, buffer, (size_t) len);
	json_lit(json, "\"");
}

void
payload_bill_begin(Json *json, const PayloadBill *bill)
{
	json_lit(json, "{\"period\":");
	month(json, bill->period);
	json_lit(json, ",\"account_id\":");
	json_int(json, bill->account_id);
	json_lit(json, ",\"revision\":");
	json_int(json, bill->revision);
	json_lit(json, ",\"kind\":");
	text(json, bill->kind);
	json_lit(json, ",\"run_id\":");
	json_int(json, bill->run_id);
	json_lit(json, ",\"currency\":");
	text(json, bill->currency);
	json_lit(json, ",\"exponent\":");
	json_int(json, bill->exponent);
	json_lit(json, ",\"recurring\":");
	json_int(json, bill->recurring);
	json_lit(json, ",\"usage\":");
	json_int(json, bill->usage);
	json_lit(json, ",\"one_off\":");
	json_int(json, bill->one_off);
	json_lit(json, ",\"discount\":");
	json_int(json, bill->discount);
	json_lit(json, ",\"tax\":");
	json_int(json, bill->tax);
	json_lit(json, ",\"included_tax\":");
	json_int(json, bill->included_tax);
	json_lit(json, ",\"rounding\":");
	json_int(json, bill->rounding);
	json_lit(json, ",\"carried\":");
	json_int(json, bill->carried);
	json_lit(json, ",\"arrears\":");
	json_int(json, bill->arrears);
	json_lit(json, ",\"credit_forward\":");
	json_int(json, bill->credit_forward);
	json_lit(json, ",\"total\":");
	json_int(json, bill->total);
	json_lit(json, ",\"due_on\":");
	date(json, bill->due_on);
	json_lit(json, ",\"settled_at\":");
	text(json, bill->settled_at);
	json_lit(json, ",\"lines\":[");
}

void
payload_line(Json *json, const PayloadLine *line, bool first)
{
	if (first)
		json_lit(json, "{\"kind\":");
	else
		json_lit(json, ",{\"kind\":");
	text(json, line->kind);
	if (line->name != NULL)
	{
		json_lit(json, ",\"name\":");
		text(json, line->name);
	}
	if (line->has_product)
	{
		json_lit(json, ",\"product_id\":");
		json_int(json, line->product_id);
	}
	if (line->metric != NULL)
	{
		json_lit(json, ",\"metric\":");
		text(json, line->metric);
	}
	if (line->has_quantity)
	{
		json_lit(json, ",\"quantity\":");
		json_int(json, line->quantity);
	}
	if (line->days != 0)
	{
		json_lit(json, ",\"days\":");
		json_int(json, line->days);
	}
	json_lit(json, ",\"amount\":");
	json_int(json, line->amount);
	json_lit(json, "}");
}

void
payload_bill_end(Json *json)
{
	json_lit(json, "]}");
}

/* Longest head and end of a bill, longest line without its names, longest escape sequence of a byte. */
#define HEAD_SIZE 1024
#define LINE_SIZE 200
#define ESCAPE_SIZE 6

size_t
payload_bill_bound(size_t lines, size_t names)
{
	return HEAD_SIZE + lines * LINE_SIZE + names * ESCAPE_SIZE;
}

void
payload_run(Json *json, const PayloadRun *run, const char *at_key)
{
	json_lit(json, "{\"period\":");
	month(json, run->period);
	json_lit(json, ",\"run_id\":");
	json_int(json, run->run_id);
	json_lit(json, ",\"kind\":");
	text(json, run->kind);
	json_lit(json, ",\"due\":");
	json_int(json, run->due);
	json_lit(json, ",\"bills\":");
	json_int(json, run->bills);
	json_lit(json, ",\"empty\":");
	json_int(json, run->empty);
	json_lit(json, ",\"skips\":");
	json_int(json, run->skips);
	json_lit(json, ",\"totals\":");
	json_raw(json, run->totals, strlen(run->totals));
	json_lit(json, ",");
	text(json, at_key);
	json_lit(json, ":");
	text(json, run->at);
	json_lit(json, "}");
}

/* ---- reading back ----------------------------------------------------------------------------------------------- */

typedef struct Reader {
	const char *at;
	const char *end;
	bool failed;
} Reader;

/* Moves behind the next `"key":`. It is what follows the comma, unless keys were added since this was written. */
static void
seek(Reader *reader, const char *key, size_t len)
{
	const char *at = reader->at;

	while ((size_t) (reader->end - at) >= len)
	{
		if (memcmp(at, key, len) == 0)
		{
			reader->at = at + len;
			return;
		}
		at = memchr(at + 1, '"', (size_t) (reader->end - at - 1));
		if (at == NULL)
			break;
	}
	reader->failed = true;
}

static int64_t
read_int(Reader *reader)
{
	const bool negative = reader->at < reader->end && *reader->at == '-';
	const char *digits = reader->at + negative;
	int64_t value = 0;

	/* downwards, because the smallest number has no positive twin */
	for (reader->at = digits; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, *reader->at - '0', &value))
			reader->failed = true;
	if (reader->at == digits || (!negative && __builtin_sub_overflow(0, value, &value)))
		reader->failed = true;
	/* a number that is cut off is another number */
	if (reader->at == reader->end || (*reader->at != ',' && *reader->at != '}'))
		reader->failed = true;
	return value;
}

/* A string without escapes that must be one of those given. */
static const char *
read_word(Reader *reader, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		const size_t len = strlen(words[i]);

		if ((size_t) (reader->end - reader->at) >= len + 2 && reader->at[0] == '"' && reader->at[len + 1] == '"' &&
			memcmp(reader->at + 1, words[i], len) == 0)
			return words[i];
	}
	reader->failed = true;
	return NULL;
}

static int32_t
read_month(Reader *reader)
{
	Period period = {0};

	if (reader->end - reader->at < 9 || reader->at[0] != '"' || reader->at[8] != '"' ||
		!ymd_parse_period(reader->at + 1, 7, &period))
		reader->failed = true;
	return period.from;
}

static int32_t
read_small(Reader *reader)
{
	const int64_t value = read_int(reader);

	if (value < INT32_MIN || value > INT32_MAX)
		reader->failed = true;
	return (int32_t) value;
}

#define FIELD(reader, key, read) (seek((reader), "\"" key "\":", sizeof("\"" key "\":") - 1), (reader)->failed ? 0 : (read))

bool
payload_read_bill(const char *text, size_t len, PayloadBill *bill)
{
	static const char *const kinds[] = {"bill", "rebill", "void"};
	Reader reader = {.at = text, .end = text + len};

	*bill = (PayloadBill){0};
	bill->period = FIELD(&reader, "period", read_month(&reader));
	bill->account_id = FIELD(&reader, "account_id", read_int(&reader));
	bill->revision = FIELD(&reader, "revision", read_small(&reader));
	bill->kind = FIELD(&reader, "kind", read_word(&reader, kinds, sizeof(kinds) / sizeof(kinds[0])));
	bill->run_id = FIELD(&reader, "run_id", read_int(&reader));
	bill->exponent = FIELD(&reader, "exponent", read_small(&reader));
	bill->recurring = FIELD(&reader, "recurring", read_int(&reader));
	bill->usage = FIELD(&reader, "usage", read_int(&reader));
	bill->one_off = FIELD(&reader, "one_off", read_int(&reader));
	bill->discount = FIELD(&reader, "discount", read_int(&reader));
	bill->tax = FIELD(&reader, "tax", read_int(&reader));
	bill->included_tax = FIELD(&reader, "included_tax", read_int(&reader));
	bill->rounding = FIELD(&reader, "rounding", read_int(&reader));
	bill->carried = FIELD(&reader, "carried", read_int(&reader));
	bill->arrears = FIELD(&reader, "arrears", read_int(&reader));
	bill->credit_forward = FIELD(&reader, "credit_forward", read_int(&reader));
	bill->total = FIELD(&reader, "total", read_int(&reader));
	return !reader.failed;
}

bool
payload_read_int(const char *text, size_t len, const char *key, int64_t *value)
{
	const size_t key_len = strlen(key);

	for (Reader reader = {.at = text, .end = text + len}; !reader.failed;)
	{
		seek(&reader, "\"", 1);
		if (reader.failed || (size_t) (reader.end - reader.at) < key_len + 2)
			break;
		if (memcmp(reader.at, key, key_len) == 0 && reader.at[key_len] == '"' && reader.at[key_len + 1] == ':')
		{
			reader.at += key_len + 2;
			*value = read_int(&reader);
			return !reader.failed;
		}
	}
	return false;
}
