/*
 * envelope.c: a CloudEvents 1.0 envelope around an outbox row (see envelope.h).
 *
 * The payload is JSON that settle wrote; it goes in as it is. time is the moment the row was written, in UTC.
 */
#include <string.h>

#include "common/json.h"
#include "common/ymd.h"
#include "relay/envelope.h"

#define DAY_US INT64_C(86400000000)

static void
put_digits(char *to, int count, int64_t value)
{
	while (count-- > 0)
	{
		to[count] = (char) ('0' + value % 10);
		value /= 10;
	}
}

/* By hand: strftime() and snprintf() would be a tenth of what the relay itself does for an event. */
static void
put_time(Json *json, int64_t microseconds)
{
	const int64_t day = microseconds >= 0 ? microseconds / DAY_US : -((DAY_US - 1 - microseconds) / DAY_US);
	const int64_t of_day = microseconds - day * DAY_US;
	char text[48] = "\"";
	char *at = text + 1 + ymd_print_day((int32_t) day, text + 1);

	memcpy(at, "T..:..:.........Z\"", 18);
	put_digits(at + 1, 2, of_day / 3600000000);
	put_digits(at + 4, 2, of_day / 60000000 % 60);
	put_digits(at + 7, 2, of_day / 1000000 % 60);
	put_digits(at + 10, 6, of_day % 1000000);
	json_raw(json, text, (size_t) (at - text) + 18);
}

size_t
envelope_write(const FrameRow *row, const char *source, char *text, size_t size)
{
	Json json = {.text = text, .size = size};

	json_lit(&json, "{\"specversion\":\"1.0\",\"id\":");
	json_string(&json, row->id, row->id_len);
	json_lit(&json, ",\"source\":");
	json_string(&json, source, strlen(source));
	json_lit(&json, ",\"type\":");
	json_string(&json, row->type, row->type_len);
	json_lit(&json, ",\"time\":");
	put_time(&json, row->created_at);
	if (row->key_len > 0)
	{
		json_lit(&json, ",\"subject\":");
		json_string(&json, row->key, row->key_len);
	}
	json_lit(&json, ",\"datacontenttype\":\"application/json\",\"data\":");
	json_raw(&json, row->payload, row->payload_len);
	json_lit(&json, "}");
	/* Escaping makes an id at most six times as long. */
	return json.full ? row->payload_len + 6 * (row->id_len + row->type_len + row->key_len + strlen(source)) + 256 : json.len;
}
