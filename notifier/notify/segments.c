/*
 * segments.c: how many messages an SMS is sent as (see segments.h).
 */
#include "notify/segments.h"

/* The next character; damaged bytes become U+FFFD, one each. */
static uint32_t
next_character(const char *text, size_t len, size_t *at)
{
	const unsigned char first = (unsigned char) text[*at];
	const size_t more = first < 0x80 ? 0 : first < 0xC2 ? 4 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : 4;
	uint32_t code = more == 0 ? first : first & (0x3Fu >> more);

	(*at)++;
	if (more == 4 || len - *at < more)
		return 0xFFFD;
	for (size_t i = 0; i < more; i++)
	{
		const unsigned char c = (unsigned char) text[*at + i];

		if ((c & 0xC0) != 0x80)
			return 0xFFFD;
		code = code << 6 | (c & 0x3F);
	}
	*at += more;
	return code;
}

/* Septets of a character, 0 = it is not in the alphabet. */
static size_t
septets(uint32_t code)
{
	static const uint16_t others[] = {0xA3, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0xD8, 0xF8, 0xC5, 0xE5, 0x394, 0x3A6,
		0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, 0xC6, 0xE6, 0xDF, 0xC9, 0xA4, 0xA1, 0xC4, 0xD6, 0xD1, 0xDC,
		0xA7, 0xBF, 0xE4, 0xF6, 0xF1, 0xFC, 0xE0};

	switch (code)
	{
		case '\f':
		case '^':
		case '{':
		case '}':
		case '\\':
		case '[':
		case '~':
		case ']':
		case '|':
		case 0x20AC: /* € */
			return 2;
		case '\n':
		case '\r':
			return 1;
		case '`':
			return 0;
	}
	if (code >= 0x20 && code < 0x7F)
		return 1;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i] == code)
			return 1;
	return 0;
}

/* UTF-16 units or septets; a character that does not fit begins the next segment. */
static size_t
pack(const char *text, size_t len, bool gsm, size_t room)
{
	size_t count = 1;
	size_t used = 0;

	for (size_t at = 0; at < len;)
	{
		const uint32_t code = next_character(text, len, &at);
		const size_t units = gsm ? septets(code) : code > 0xFFFF ? 2 : 1;

		if (used + units > room)
		{
			count++;
			used = 0;
		}
		used += units;
	}
	return count;
}

Segments
segments_of(const char *text, size_t len)
{
	Segments segments = {.gsm = true};
	size_t ucs2 = 0;

	for (size_t at = 0; at < len;)
	{
		const uint32_t code = next_character(text, len, &at);
		const size_t units = septets(code);

		segments.gsm = segments.gsm && units > 0;
		segments.units += units;
		ucs2 += code > 0xFFFF ? 2 : 1;
	}
	if (!segments.gsm)
		segments.units = ucs2;
	if (segments.units <= (segments.gsm ? 160 : 70))
		segments.count = 1;
	else
		segments.count = pack(text, len, segments.gsm, segments.gsm ? 153 : 67);
	return segments;
}
