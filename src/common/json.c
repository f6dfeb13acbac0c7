/*
 * json.c: writes JSON into a buffer of the caller (see json.h).
 *
 * Invariant: `len` never exceeds `size`, and once `full` is set nothing is written any more, so a truncated document can
 * never be taken for a whole one by a caller that looks at `full`.
 */
#include <string.h>

#include "common/json.h"

void
json_raw(Json *json, const char *text, size_t len)
{
	if (json->full || json->size - json->len < len)
	{
		json->full = true;
		return;
	}
	memcpy(json->text + json->len, text, len);
	json->len += len;
}

void
json_int(Json *json, int64_t value)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
								"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
								"8081828384858687888990919293949596979899";
	char digits[20];
	char *at = digits + sizeof(digits);
	uint64_t rest = value < 0 ? -(uint64_t) value : (uint64_t) value;

	while (rest >= 100)
	{
		at -= 2;
		memcpy(at, pairs + 2 * (rest % 100), 2);
		rest /= 100;
	}
	if (rest >= 10)
	{
		at -= 2;
		memcpy(at, pairs + 2 * rest, 2);
	}
	else
		*--at = (char) ('0' + rest);
	if (value < 0)
		*--at = '-';
	json_raw(json, at, (size_t) (digits + sizeof(digits) - at));
}

static void
escape(Json *json, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char sequence[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	switch (c)
	{
		case '"':
		case '\\':
			sequence[1] = (char) c;
			json_raw(json, sequence, 2);
			break;
		case '\n':
			json_lit(json, "\\n");
			break;
		case '\r':
			json_lit(json, "\\r");
			break;
		case '\t':
			json_lit(json, "\\t");
			break;
		default:
			json_raw(json, sequence, sizeof(sequence));
	}
}

void
json_string(Json *json, const char *text, size_t len)
{
	size_t plain = 0; /* start of the run that needs no escaping */

	json_lit(json, "\"");
	for (size_t i = 0; i < len; i++)
	{
		const unsigned char c = (unsigned char) text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		json_raw(json, text + plain, i - plain);
		escape(json, c);
		plain = i + 1;
	}
	json_raw(json, text + plain, len - plain);
	json_lit(json, "\"");
}
