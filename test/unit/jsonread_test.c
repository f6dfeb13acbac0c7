/*
 * jsonread_test.c: JSON is read strictly, value by value.
 *
 * The second opinion is jansson: payloads of real bills, damaged at random, are accepted by both or refused by both, and the
 * strings and numbers that both read are the same.
 */
#include <jansson.h>
#include <stdlib.h>

#include "check.h"

#include "common/jsonread.h"

static bool
skips(const char *text, const char **fault)
{
	/* of exactly its size: one byte too far is seen */
	char *exact = malloc(strlen(text) + 1);
	JsonReader reader = json_reader(exact, strlen(text));

	memcpy(exact, text, strlen(text));
	const bool done = json_skip(&reader) && json_done(&reader);
	*fault = reader.fault;
	free(exact);
	return done;
}

static void
accepts(void)
{
	static const char *const texts[] = {"{}", "[]", " [ ] ", "[{}]", "{\"a\":1}", "{\"a\":[],\"b\":{}}", "[1,2.5,-3e+10,0,-0,0.0E-1]",
		"[true,false,null]", "\"\"", "\"한글\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\\b\\f\\r\\t\"", "\t\r\n 1", "[[[[1]]]]", "{\"a\":{\"b\":[{\"c\":\"d\"}]}}"};
	const char *fault;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		CHECK_CASE(texts[i]);
		CHECK(skips(texts[i], &fault) && fault == NULL);
	}
}

static void
refuses(void)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "a value is missing"},
		{" ", "a value is missing"},
		{"{", "a key is missing"},
		{"{\"a\":1", "a comma or the end of an object or array is missing"},
		{"{\"a\":1,}", "a key is missing"},
		{"{,}", "a key is missing"},
		{"{1:2}", "a key is missing"},
		{"{\"a\"}", "a key has no value"},
		{"{\"a\":}", "a value is missing"},
		{"[1,]", "a value is missing"},
		{"[,1]", "a value is missing"},
		{"[1 2]", "a comma or the end of an object or array is missing"},
		{"[1}", "a comma or the end of an object or array is missing"},
		{"[1]]", "something follows the end"},
		{"1 2", "something follows the end"},
		{"01", "something follows the end"},
		{"-", "a number is malformed"},
		{"1.", "a number is malformed"},
		{"1e", "a number is malformed"},
		{"1e+", "a number is malformed"},
		{".5", "a value is missing"},
		{"+1", "a value is missing"},
		{"tru", "an unknown word"},
		{"nil", "an unknown word"},
		{"\"a", "a string is not closed"},
		{"\"a\\", "a string is not closed"},
		{"\"\\x\"", "an escape sequence is malformed"},
		{"\"\\u12g4\"", "an escape sequence is malformed"},
		{"\"\\u12", "an escape sequence is cut off"},
		{"\"\\u0000\"", "a string has a zero character"},
		{"\"\\ud83d\"", "half of a surrogate pair stands alone"},
		{"\"\\ud83dabcdef\"", "half of a surrogate pair stands alone"},
		{"\"\\ude00\"", "half of a surrogate pair stands alone"},
		{"\"\\ud83d\\ud83d\"", "half of a surrogate pair stands alone"},
		{"\"\n\"", "a control character in a string"},
		{"\"\x80\"", "a string is not UTF-8"},
		{"\"\xC0\x80\"", "a string is not UTF-8"},
		{"\"\xE0\x80\x80\"", "a string is not UTF-8"},
		{"\"\xED\xA0\x80\"", "a string is not UTF-8"},
		{"\"\xF4\x90\x80\x80\"", "a string is not UTF-8"},
		{"\"\xF0\x9F\x98", "a string is not UTF-8"},
		{"\"\xED\x95", "a string is not UTF-8"},
	};
	const char *fault;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		CHECK_CASE(cases[i].text);
		CHECK(!skips(cases[i].text, &fault));
		CHECK_TEXT(fault != NULL ? fault : "none", cases[i].why);
	}
}

static void
depth(void)
{
	char text[2 * JSON_DEPTH_MAX + 8] = "";
	const char *fault;

	CHECK_CASE("as deep as allowed");
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	CHECK(skips(text, &fault));
	CHECK_CASE("deeper");
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	CHECK(!skips(text, &fault));
	CHECK_TEXT(fault, "objects and arrays are nested too deeply");
}

static void
numbers(void)
{
	static const struct {
		const char *text;
		bool whole;
		int64_t value;
	} cases[] = {
		{"0", true, 0}, {"-0", true, 0}, {"7 ", true, 7}, {"-12", true, -12}, {"9223372036854775807", true, INT64_MAX},
		{"-9223372036854775808", true, INT64_MIN}, {"9223372036854775808", false, 0}, {"-9223372036854775809", false, 0},
		{"99999999999999999999", false, 0}, {"1.0", false, 0}, {"1e3", false, 0}, {"01", false, 0}, {"-", false, 0},
		{"\"1\"", false, 0}, {"null", false, 0}, {"", false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		JsonReader reader = json_reader(cases[i].text, strlen(cases[i].text));
		int64_t value = 0;

		CHECK_CASE(cases[i].text);
		CHECK_INT(json_read_int(&reader, &value), cases[i].whole);
		CHECK_INT(value, cases[i].value);
		CHECK_INT(json_done(&reader), cases[i].whole || *cases[i].text == '\0');
	}
}

/* ---- against jansson --------------------------------------------------------------------------------------------- */

/* Reads a value that jansson has read too, and compares. */
static bool
same(JsonReader *reader, const json_t *wanted)
{
	static char text[65536];
	const char *key;
	size_t len, count = 0;
	int64_t value;

	switch (json_typeof(wanted))
	{
		case JSON_OBJECT:
			for (json_open(reader, '{'); json_next_key(reader, &key, &len); count++)
			{
				const json_t *inner = json_object_getn(wanted, key, len);

				/* an escaped key is not known by its escapes */
				if (inner != NULL ? !same(reader, inner) : !json_skip(reader))
					return false;
			}
			return count == json_object_size(wanted);
		case JSON_ARRAY:
			for (json_open(reader, '['); json_next_item(reader); count++)
				if (!same(reader, json_array_get(wanted, count)))
					return false;
			return count == json_array_size(wanted);
		case JSON_STRING:
			return json_read_string(reader, text, &len) && len == json_string_length(wanted) && memcmp(text, json_string_value(wanted), len) == 0;
		case JSON_INTEGER:
			return json_read_int(reader, &value) && value == json_integer_value(wanted);
		default:
			return json_skip(reader);
	}
}

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void
damage(char *text, size_t *len, uint64_t *random)
{
	static const char bytes[] = "{}[]\":,\\u0019-.eE tfn\n\xED\x95\x9C\x80\xFF";

	for (uint64_t n = next_random(random) % 4; n > 0 && *len > 1; n--)
	{
		const size_t at = next_random(random) % *len;

		switch (next_random(random) % 3)
		{
			case 0:
				text[at] = bytes[next_random(random) % (sizeof(bytes) - 1)];
				break;
			case 1:
				memmove(text + at, text + at + 1, --*len - at);
				break;
			default:
				memmove(text + at + 1, text + at, (*len)++ - at);
				text[at] = bytes[next_random(random) % (sizeof(bytes) - 1)];
		}
	}
}

static void
as_jansson(void)
{
	static const char whole[] = " {\"name\":\"\\ud55c\\uae00 한글 \\\"q\\\" \\ud83d\\ude00\",\"n\":-123,\"x\":[1.5e3,0,{\"a\":null},true],\"e\":{},\"lines\":[{\"k\":\"tax\",\"amount\":0}]}\n";
	uint64_t random = 1;
	int accepted = 0, refused = 0;

	for (int i = 0; i < 200000; i++)
	{
		char text[sizeof(whole) + 8];
		size_t len = sizeof(whole) - 1;
		json_error_t error;

		memcpy(text, whole, len);
		damage(text, &len, &random);
		char *exact = malloc(len);
		memcpy(exact, text, len);
		json_t *wanted = json_loadb(exact, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
		JsonReader reader = json_reader(exact, len);
		const bool seen = json_skip(&reader) && json_done(&reader);
		/* a number that jansson cannot hold is JSON none the less, and so is a key that stands twice */
		const bool judged = wanted != NULL || (json_error_code(&error) != json_error_numeric_overflow &&
											   json_error_code(&error) != json_error_duplicate_key);
		accepted += wanted != NULL;
		refused += judged && wanted == NULL;
		text[len] = '\0';
		CHECK_CASE(text);
		if (judged && seen != (wanted != NULL))
			CHECK_TEXT(reader.fault != NULL ? reader.fault : "accepted", wanted != NULL ? "accepted" : error.text);
		reader = json_reader(exact, len);
		if (wanted != NULL && !same(&reader, wanted))
			CHECK_TEXT("read otherwise", "the same");
		json_decref(wanted);
		free(exact);
	}
	CHECK_CASE("both happen");
	CHECK(accepted > 50000);
	CHECK(refused > 50000);
}

int
main(void)
{
	accepts();
	refuses();
	depth();
	numbers();
	as_jansson();
	return check_done();
}
