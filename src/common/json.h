/*
 * json.h: writes JSON into a buffer of the caller.
 *
 * No allocation: when the buffer is too small `full` is set, everything after is dropped, and the caller tries again
 * with a larger one. Commas are put by the caller's own literals, which keeps the writer free of state and fast: an
 * event is written for every bill.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Json {
	char *text;
	size_t len;
	size_t size;
	bool full;
} Json;

/* Bytes as they are: punctuation and keys known at compile time. */
void json_raw(Json *json, const char *text, size_t len);
#define json_lit(json, literal) json_raw(json, "" literal, sizeof(literal) - 1)

void json_int(Json *json, int64_t value);

/* A quoted string: escapes quote, backslash and control characters; the text must be UTF-8 already. */
void json_string(Json *json, const char *text, size_t len);

#endif
