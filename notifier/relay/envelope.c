/*
 * envelope.c: a CloudEvents 1.0 envelope around an outbox row (see envelope.h).
 *
 * The payload is JSON that settle wrote; it goes in as it is. time is the moment the row was written, in UTC.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "relay/envelope.h"

#define EPOCH_SHIFT INT64_C(946684800) /* seconds from 1970 to 2000 */

static void
put_time(Json *json, int64_t microseconds)
{
	int64_t seconds = microseconds / 1000000;
	int64_t rest = microseconds % 1000000;
	char text[48];
	struct tm tm;

	if (rest < 0)
	{
		rest += 1000000;
		seconds--;
	}
	const time_t unix_time = (time_t) (seconds + EPOCH_SHIFT);
	gmtime_r(&unix_time, &tm);
	const size_t len = strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%S", &tm);
	const int more = snprintf(text + len, sizeof(text) - len, ".%06dZ\"", (int) rest);
	json_raw(json, text, len + (size_t) more);
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
