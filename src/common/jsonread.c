/*
 * jsonread.c: reads JSON from front to back, value by value (see jsonread.h).
 */
#include <string.h>

#include "common/jsonread.h"

static bool
fail(JsonReader *reader, const char *why)
{
	if (reader->fault == NULL)
		reader->fault = why;
	return false;
}

static void
skip_blanks(JsonReader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r'))
		reader->at++;
}

static bool
is_digit(const JsonReader *reader, const char *at)
{
	return at < reader->end && *at >= '0' && *at <= '9';
}

char
json_peek(JsonReader *reader)
{
	if (reader->fault != NULL)
		return '\0';
	skip_blanks(reader);
	if (reader->at == reader->end)
		return '\0';
	switch (*reader->at)
	{
		case '{':
		case '[':
		case '"':
		case 't':
		case 'f':
		case 'n':
			return *reader->at;
		case '-':
			return '0';
		default:
			return is_digit(reader, reader->at) ? '0' : '\0';
	}
}

bool
json_open(JsonReader *reader, char bracket)
{
	if (json_peek(reader) != bracket)
		return false;
	reader->at++;
	reader->first = true;
	return true;
}

static bool
next(JsonReader *reader, char close)
{
	if (reader->fault != NULL)
		return false;
	skip_blanks(reader);
	if (reader->at < reader->end && *reader->at == close)
	{
		reader->at++;
		reader->first = false;
		return false;
	}
	if (!reader->first)
	{
		if (reader->at == reader->end || *reader->at != ',')
			return fail(reader, "a comma or the end of an object or array is missing");
		reader->at++;
	}
	reader->first = false;
	return true;
}

bool
json_next_item(JsonReader *reader)
{
	return next(reader, ']') && (json_peek(reader) != '\0' || fail(reader, "a value is missing"));
}

/* ---- strings ------------------------------------------------------------------------------------------------------ */

/* Bytes of the character that begins here, or 0: it is not valid UTF-8 (RFC 3629). */
static size_t
utf8(const unsigned char *text, size_t left)
{
	const unsigned char c = text[0];
	const size_t size = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;

	if (size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	if ((c == 0xE0 && text[1] < 0xA0) || (c == 0xED && text[1] > 0x9F) || (c == 0xF0 && text[1] < 0x90) ||
		(c == 0xF4 && text[1] > 0x8F))
		return 0;
	return size;
}

static size_t
put_utf8(char *out, uint32_t code)
{
	if (code < 0x80)
	{
		out[0] = (char) code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = (char) (0xC0 | code >> 6);
		out[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = (char) (0xE0 | code >> 12);
		out[1] = (char) (0x80 | (code >> 6 & 0x3F));
		out[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char) (0xF0 | code >> 18);
	out[1] = (char) (0x80 | (code >> 12 & 0x3F));
	out[2] = (char) (0x80 | (code >> 6 & 0x3F));
	out[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

/* Four hexadecimal digits. */
static bool
read_unit(JsonReader *reader, uint32_t *unit)
{
	*unit = 0;
	if (reader->end - reader->at < 4)
		return fail(reader, "an escape sequence is cut off");
	for (int i = 0; i < 4; i++)
	{
		const char c = *reader->at++;

		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (uint32_t) (c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			*unit = *unit << 4 | (uint32_t) ((c | 0x20) - 'a' + 10);
		else
			return fail(reader, "an escape sequence is malformed");
	}
	return true;
}

/* Behind \u; a character beyond 16 bits is two of them. */
static bool
read_unicode(JsonReader *reader, uint32_t *code)
{
	uint32_t low;

	if (!read_unit(reader, code))
		return false;
	if (*code == 0)
		return fail(reader, "a string has a zero character");
	if (*code < 0xD800 || *code > 0xDFFF)
		return true;
	if (*code > 0xDBFF || reader->end - reader->at < 6 || reader->at[0] != '\\' || reader->at[1] != 'u')
		return fail(reader, "half of a surrogate pair stands alone");
	reader->at += 2;
	if (!read_unit(reader, &low))
		return false;
	if (low < 0xDC00 || low > 0xDFFF)
		return fail(reader, "half of a surrogate pair stands alone");
	*code = 0x10000 + ((*code - 0xD800) << 10 | (low - 0xDC00));
	return true;
}

/* Behind a backslash; writes at most 4 bytes, which is fewer than it reads. */
static bool
read_escape(JsonReader *reader, char *out, size_t *len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t code;

	if (reader->at == reader->end)
		return fail(reader, "a string is not closed");
	const char c = *reader->at++;
	if (c == 'u')
	{
		if (!read_unicode(reader, &code))
			return false;
		*len = put_utf8(out, code);
		return true;
	}
	const char *found = c != '\0' ? strchr(from, c) : NULL;
	if (found == NULL)
		return fail(reader, "an escape sequence is malformed");
	*out = to[found - from];
	*len = 1;
	return true;
}

static void
copy(char *out, size_t *len, const char *from, size_t size)
{
	if (out != NULL)
		memcpy(out + *len, from, size);
	*len += size;
}

/* The first byte from here on that is a quote, a backslash, a control character or not UTF-8; or the end. */
static const char *
end_of_plain(const char *at, const char *end)
{
	while (at < end)
	{
		const unsigned char c = (unsigned char) *at;
		size_t size = 1;

		if (c < 0x20 || c == '"' || c == '\\')
			break;
		if (c >= 0x80 && (size = utf8((const unsigned char *) at, (size_t) (end - at))) == 0)
			break;
		at += size;
	}
	return at;
}

/* Behind the opening quote; out NULL: only checked. */
static bool
read_string(JsonReader *reader, char *out, size_t *len)
{
	char escaped[4];
	size_t size;

	*len = 0;
	for (;;)
	{
		const char *plain = reader->at;

		reader->at = end_of_plain(plain, reader->end);
		copy(out, len, plain, (size_t) (reader->at - plain));
		if (reader->at == reader->end)
			return fail(reader, "a string is not closed");
		if ((unsigned char) *reader->at < 0x20)
			return fail(reader, "a control character in a string");
		if ((unsigned char) *reader->at >= 0x80)
			return fail(reader, "a string is not UTF-8");
		if (*reader->at++ == '"')
			return true;
		if (!read_escape(reader, escaped, &size))
			return false;
		copy(out, len, escaped, size);
	}
}

bool
json_read_string(JsonReader *reader, char *out, size_t *len)
{
	if (json_peek(reader) != '"')
		return false;
	reader->at++;
	return read_string(reader, out, len);
}

bool
json_next_key(JsonReader *reader, const char **key, size_t *len)
{
	size_t unescaped;

	if (!next(reader, '}'))
		return false;
	if (json_peek(reader) != '"')
		return fail(reader, "a key is missing");
	*key = ++reader->at;
	if (!read_string(reader, NULL, &unescaped))
		return false;
	*len = (size_t) (reader->at - *key - 1);
	skip_blanks(reader);
	if (reader->at == reader->end || *reader->at != ':')
		return fail(reader, "a key has no value");
	reader->at++;
	return true;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

bool
json_read_int(JsonReader *reader, int64_t *value)
{
	if (json_peek(reader) != '0')
		return false;
	const bool negative = *reader->at == '-';
	const char *digits = reader->at + negative;
	const char *at = digits;
	int64_t number = 0;

	/* downwards, because the smallest number has no positive twin */
	for (; is_digit(reader, at); at++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_sub_overflow(number, *at - '0', &number))
			return false;
	if (at == digits || (*digits == '0' && at - digits > 1) || (!negative && __builtin_sub_overflow(0, number, &number)))
		return false;
	if (at < reader->end && (*at == '.' || *at == 'e' || *at == 'E'))
		return false;
	*value = number;
	reader->at = at;
	return true;
}

static bool
skip_digits(JsonReader *reader)
{
	if (!is_digit(reader, reader->at))
		return fail(reader, "a number is malformed");
	while (is_digit(reader, reader->at))
		reader->at++;
	return true;
}

static bool
skip_number(JsonReader *reader)
{
	if (*reader->at == '-')
		reader->at++;
	if (reader->at < reader->end && *reader->at == '0')
		reader->at++;
	else if (!skip_digits(reader))
		return false;
	if (reader->at < reader->end && *reader->at == '.')
	{
		reader->at++;
		if (!skip_digits(reader))
			return false;
	}
	if (reader->at < reader->end && (*reader->at == 'e' || *reader->at == 'E'))
	{
		reader->at++;
		if (reader->at < reader->end && (*reader->at == '+' || *reader->at == '-'))
			reader->at++;
		return skip_digits(reader);
	}
	return true;
}

/* ---- anything ----------------------------------------------------------------------------------------------------- */

static bool
skip_word(JsonReader *reader, const char *word)
{
	const size_t len = strlen(word);

	if ((size_t) (reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return fail(reader, "an unknown word");
	reader->at += len;
	return true;
}

static bool
skip(JsonReader *reader, int depth)
{
	const char *key;
	size_t len;

	switch (json_peek(reader))
	{
		case '{':
		case '[':
			if (depth == JSON_DEPTH_MAX)
				return fail(reader, "objects and arrays are nested too deeply");
			if (json_open(reader, '{'))
				while (json_next_key(reader, &key, &len) && skip(reader, depth + 1))
					;
			else if (json_open(reader, '['))
				while (json_next_item(reader) && skip(reader, depth + 1))
					;
			return reader->fault == NULL;
		case '"':
			reader->at++;
			return read_string(reader, NULL, &len);
		case '0':
			return skip_number(reader);
		case 't':
			return skip_word(reader, "true");
		case 'f':
			return skip_word(reader, "false");
		case 'n':
			return skip_word(reader, "null");
		default:
			return fail(reader, "a value is missing");
	}
}

bool
json_skip(JsonReader *reader)
{
	return skip(reader, 0);
}

bool
json_done(JsonReader *reader)
{
	if (reader->fault != NULL)
		return false;
	skip_blanks(reader);
	return reader->at == reader->end || fail(reader, "something follows the end");
}
