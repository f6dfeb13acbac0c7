/*
 * payload_test.c: the JSON of events.
 *
 * Holds to DESIGN.md §5: same struct, same bytes; strings are escaped whatever a product is called; a buffer that is too
 * small is noticed at every length and never written past.
 */
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
	return check_done();
}
