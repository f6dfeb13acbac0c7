/*
 * jsonread.h: reads JSON from front to back, value by value.
 *
 *	JsonReader reader = json_reader(text, len);
 *	json_open(&reader, '{');
 *	while (json_next_key(&reader, &key, &key_len))
 *		... read or skip the value ...
 *	if (!json_done(&reader)) ... reader.fault says why, reader.at where ...
 *
 * Strict: RFC 8259 in valid UTF-8, without NUL. Once a fault is set everything fails, so that it is enough to look at the end.
 * A notice's payload is read for every notice, and a tree of it would cost more than all the rest of rendering. Freestanding:
 * no allocation.
 */
#ifndef COMMON_JSONREAD_H
#define COMMON_JSONREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Objects and arrays in one another that json_skip() goes into. */
#define JSON_DEPTH_MAX 64

typedef struct JsonReader {
	const char *at;
	const char *end;
	const char *fault; /* NULL = none so far */
	bool first;        /* nothing was read since the last json_open() */
} JsonReader;

static inline JsonReader
json_reader(const char *text, size_t len)
{
	return (JsonReader){.at = text, .end = text + len};
}

/* What comes next: one of { [ " 0 (a number) t f n, or \0: none of these. */
char json_peek(JsonReader *reader);

/* Enters an object '{' or array '['; false: something else comes. */
bool json_open(JsonReader *reader, char bracket);

/* Whether there is another item; at the last one's end it leaves the array. */
bool json_next_item(JsonReader *reader);

/* The same of an object. The key is between its quotes as it stands in the text; settle's have no escapes. */
bool json_next_key(JsonReader *reader, const char **key, size_t *len);

/* A string, without escapes; `out` has room for as many bytes as are left of the text. False: something else comes. */
bool json_read_string(JsonReader *reader, char *out, size_t *len);

/* A whole number without fraction or exponent. False: something else comes, or it does not fit; nothing was read then. */
bool json_read_int(JsonReader *reader, int64_t *value);

/* Whatever comes, checked. */
bool json_skip(JsonReader *reader);

/* True when all of the text was read without a fault. */
bool json_done(JsonReader *reader);

#endif
