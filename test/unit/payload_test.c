/*
 * payload_test.c: the JSON of events.
 *
 * Holds to DESIGN.md §5: same struct, same bytes; strings are escaped whatever a product is called; a buffer that is too
 * small is noticed at every length and never written past. And to §4: settle_verify() reads back what was written,
 * whatever was cut off or added.
 */
#include <stdlib.h>

#include "check.h"

#include "common/payload.h"
#include "common/ymd.h"

static const char *
written(void (*write)(Json *), char *buffer, size_t size)
{
	Json json = {.text = buffer, .size = size};

	write(&json);
	if (json.full)
		return NULL;
	buffer[json.len] = '\0';
	return buffer;
}

static void
numbers(Json *json)
{
	static const int64_t values[] = {0, 9, 10, 99, 100, -1, -100, 1234567, INT64_MAX, INT64_MIN};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		json_int(json, values[i]);
		json_lit(json, " ");
	}
}

static void
strings(Json *json)
{
	static const char nasty[] = "a\"b\\c\n\r\t\x01\x1f/\xed\x95\x9c";

	json_string(json, "", 0);
	json_string(json, "plain", 5);
	json_string(json, nasty, sizeof(nasty) - 1);
}

static void
bill(Json *json)
{
	const PayloadBill head = {
		.period = ymd_period(2024, 5).from,
		.account_id = 42,
		.kind = "bill",
		.run_id = 7,
		.currency = "USD",
		.exponent = 2,
		.recurring = 1000,
		.discount = -100,
		.tax = 90,
		.total = 990,
		.due_on = ymd_period(2024, 6).from + 14,
		.settled_at = "2024-06-01T00:00:00Z",
	};
	const PayloadLine lines[] = {
		{.kind = "recurring",
		 .name = "5G \"Max\"",
		 .product_id = 3,
		 .has_product = true,
		 .has_quantity = true,
		 .quantity = 1,
		 .days = 31,
		 .amount = 1000},
		{.kind = "discount", .name = "ten", .amount = -100},
		{.kind = "tax", .name = "VAT", .amount = 90},
	};

	payload_bill_begin(json, &head);
	for (int i = 0; i < 3; i++)
		payload_line(json, &lines[i], i == 0);
	payload_bill_end(json);
}

static const char bill_text[] =
	"{\"period\":\"2024-05\",\"account_id\":42,\"revision\":0,\"kind\":\"bill\",\"run_id\":7,\"currency\":\"USD\","
	"\"exponent\":2,\"recurring\":1000,\"usage\":0,\"one_off\":0,\"discount\":-100,\"tax\":90,\"included_tax\":0,"
	"\"rounding\":0,\"carried\":0,\"arrears\":0,\"credit_forward\":0,\"total\":990,\"due_on\":\"2024-06-15\","
	"\"settled_at\":\"2024-06-01T00:00:00Z\",\"lines\":["
	"{\"kind\":\"recurring\",\"name\":\"5G \\\"Max\\\"\",\"product_id\":3,\"quantity\":1,\"days\":31,\"amount\":1000},"
	"{\"kind\":\"discount\",\"name\":\"ten\",\"amount\":-100},{\"kind\":\"tax\",\"name\":\"VAT\",\"amount\":90}]}";

static void
run(Json *json)
{
	const PayloadRun payload = {.period = ymd_period(2024, 5).from,
								.kind = "final",
								.run_id = 7,
								.due = 3,
								.bills = 1,
								.empty = 1,
								.skips = 1,
								.totals = "{\"USD\": 990}",
								.at = "2024-06-01T00:00:00Z"};

	payload_run(json, &payload, "completed_at");
}

static void
every_length_is_safe(void)
{
	char buffer[sizeof(bill_text) + 8];
	int wrong = 0;

	for (size_t size = 0; size < sizeof(bill_text) - 1; size++)
	{
		memset(buffer, '#', sizeof(buffer));
		wrong += written(bill, buffer, size) != NULL || buffer[size] != '#';
	}
	CHECK_INT(wrong, 0);
	CHECK(written(bill, buffer, sizeof(bill_text) - 1) != NULL);
}

static void
a_bill_is_read_back(void)
{
	PayloadBill read;

	CHECK(payload_read_bill(bill_text, sizeof(bill_text) - 1, &read));
	CHECK_INT(read.period, ymd_period(2024, 5).from);
	CHECK_INT(read.account_id, 42);
	CHECK_INT(read.revision, 0);
	CHECK_TEXT(read.kind, "bill");
	CHECK_INT(read.run_id, 7);
	CHECK_INT(read.exponent, 2);
	CHECK_INT(read.recurring, 1000);
	CHECK_INT(read.discount, -100);
	CHECK_INT(read.tax, 90);
	CHECK_INT(read.total, 990);

	/* a key that was added later is passed over */
	static const char later[] =
		"{\"version\":2,\"period\":\"2024-05\",\"account_id\":-9223372036854775808,\"revision\":1,\"kind\":\"void\",\"run_id\":7,"
		"\"currency\":\"USD\",\"exponent\":2,\"recurring\":1,\"usage\":2,\"one_off\":3,\"discount\":4,\"tax\":5,"
		"\"included_tax\":6,\"rounding\":7,\"carried\":8,\"new\":-1,\"arrears\":9,\"credit_forward\":10,\"total\":11}";
	CHECK(payload_read_bill(later, sizeof(later) - 1, &read));
	CHECK_INT(read.account_id, INT64_MIN);
	CHECK_TEXT(read.kind, "void");
	CHECK_INT(read.usage, 2);
	CHECK_INT(read.one_off, 3);
	CHECK_INT(read.included_tax, 6);
	CHECK_INT(read.rounding, 7);
	CHECK_INT(read.carried, 8);
	CHECK_INT(read.arrears, 9);
	CHECK_INT(read.credit_forward, 10);
	CHECK_INT(read.total, 11);
}

/* Every prefix is in memory of its own, so that the address sanitizer sees a read past its end. */
static void
what_is_no_bill_is_not_read(void)
{
	const char *total = strstr(bill_text, "\"total\":990,");
	const size_t needed = (size_t) (total - bill_text) + sizeof("\"total\":990,") - 1;
	PayloadBill read;
	int64_t number;
	int wrong = 0;

	for (size_t len = 0; len < sizeof(bill_text); len++)
	{
		char *prefix = malloc(len + (len == 0));

		memcpy(prefix, bill_text, len);
		wrong += payload_read_bill(prefix, len, &read) != (len >= needed);
		(void) payload_read_int(prefix, len, "total", &number);
		free(prefix);
	}
	CHECK_INT(wrong, 0);

	static const char *const bad[] = {
		"{\"period\":\"2024-13\",\"account_id\":42,", "{\"period\":\"2024-05\",\"account_id\":9223372036854775808,",
		"{\"period\":2024,", "{\"period\":\"2024-05\",\"account_id\":-,", "[]", "null"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		CHECK_CASE(bad[i]);
		CHECK(!payload_read_bill(bad[i], strlen(bad[i]), &read));
	}
	CHECK_CASE("");
}

static void
a_number_is_found_by_its_key(void)
{
	static const char text[] = "{\"a\":\"due\",\"overdue\":1,\"due\":-9223372036854775808,\"bills\":9223372036854775807,\"x\":9223372036854775808}";
	int64_t value;

	CHECK(payload_read_int(text, sizeof(text) - 1, "due", &value));
	CHECK_INT(value, INT64_MIN);
	CHECK(payload_read_int(text, sizeof(text) - 1, "bills", &value));
	CHECK_INT(value, INT64_MAX);
	CHECK(!payload_read_int(text, sizeof(text) - 1, "x", &value));
	CHECK(!payload_read_int(text, sizeof(text) - 1, "a", &value));
	CHECK(!payload_read_int(text, sizeof(text) - 1, "missing", &value));
}

/* Everything as long as it can be: what is said before a bill is written must hold for it. */
static void
bound_holds(void)
{
	static char buffer[16384];
	static const char name[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c";
	const PayloadBill head = {
		.period = ymd_period(9999, 12).from, .account_id = INT64_MIN, .revision = INT32_MIN, .kind = "rebill",
		.run_id = INT64_MIN, .currency = "XXX", .exponent = INT32_MIN, .recurring = INT64_MIN, .usage = INT64_MIN,
		.one_off = INT64_MIN, .discount = INT64_MIN, .tax = INT64_MIN, .rounding = INT64_MIN, .carried = INT64_MIN,
		.arrears = INT64_MIN, .credit_forward = INT64_MIN, .total = INT64_MIN, .included_tax = INT64_MIN,
		.due_on = ymd_period(9999, 12).from, .settled_at = "2024-06-01T00:00:00Z",
	};
	const PayloadLine line = {.kind = "credit_forward", .name = name, .metric = name, .product_id = INT32_MIN,
							  .has_product = true, .has_quantity = true, .quantity = INT64_MIN, .days = INT32_MIN,
							  .amount = INT64_MIN};
	Json json = {.text = buffer, .size = sizeof(buffer)};

	payload_bill_begin(&json, &head);
	payload_bill_end(&json);
	CHECK(!json.full && json.len <= payload_bill_bound(0, 0));
	CHECK(json.len * 2 > payload_bill_bound(0, 0));
	json.len = 0;
	payload_bill_begin(&json, &head);
	for (int i = 0; i < 30; i++)
		payload_line(&json, &line, i == 0);
	payload_bill_end(&json);
	CHECK(!json.full && json.len <= payload_bill_bound(30, 30 * 2 * strlen(name)));
	CHECK((double) json.len > 0.8 * (double) payload_bill_bound(30, 30 * 2 * strlen(name)));

	/* where the limit is: a bill of 500 subscriptions is far from it */
	CHECK(payload_bill_bound(1000, 1000 * 100) < 1024 * 1024);
	CHECK(payload_bill_bound(1000000, 10000000) <= PAYLOAD_MAX);
	CHECK(payload_bill_bound(1, 45000000) > PAYLOAD_MAX);
}

int
main(void)
{
	char buffer[2048];

	CHECK_TEXT(written(numbers, buffer, sizeof(buffer)),
			   "0 9 10 99 100 -1 -100 1234567 9223372036854775807 -9223372036854775808 ");
	CHECK_TEXT(written(strings, buffer, sizeof(buffer)),
			   "\"\"\"plain\"\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f/\xed\x95\x9c\"");
	CHECK_TEXT(written(bill, buffer, sizeof(buffer)), bill_text);
	CHECK_TEXT(written(run, buffer, sizeof(buffer)),
			   "{\"period\":\"2024-05\",\"run_id\":7,\"kind\":\"final\",\"due\":3,\"bills\":1,\"empty\":1,\"skips\":1,"
			   "\"totals\":{\"USD\": 990},\"completed_at\":\"2024-06-01T00:00:00Z\"}");
	every_length_is_safe();
	a_bill_is_read_back();
	what_is_no_bill_is_not_read();
	a_number_is_found_by_its_key();
	bound_holds();
	return check_done();
}
