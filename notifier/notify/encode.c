/*
 * encode.c: what mail needs to carry UTF-8 in seven bits (see encode.h).
 */
#include <stdint.h>

#include "notify/encode.h"

#define WORD_HEAD 10 /* =?utf-8?B? */
#define WORD_TAIL 2  /* ?= */

static const char hex[] = "0123456789ABCDEF";

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------ */

/* Length of the character that begins here; 0 = none does. */
static size_t
utf8_length(const unsigned char *at, size_t left)
{
	const unsigned char first = at[0];
	const size_t len = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;

	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	if ((first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F) || (first == 0xF0 && at[1] < 0x90) ||
		(first == 0xF4 && at[1] > 0x8F))
		return 0;
	return len;
}

bool
utf8_is_valid(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *) text;

	while (len > 0)
	{
		uint64_t eight;
		if (len >= 8 && (memcpy(&eight, at, 8), (eight & UINT64_C(0x8080808080808080)) == 0))
		{
			at += 8;
			len -= 8;
			continue;
		}
		const size_t character = utf8_length(at, len);
		if (character == 0)
			return false;
		at += character;
		len -= character;
	}
	return true;
}

/* ---- quoted-printable ------------------------------------------------------------------------------------------- */

/* Stands for itself wherever it is. */
static inline bool
is_plain(unsigned char c)
{
	return c >= 33 && c <= 126 && c != '=';
}

static char *
put_hex(char *to, unsigned char c)
{
	to[0] = '=';
	to[1] = hex[c >> 4];
	to[2] = hex[c & 15];
	return to + 3;
}

/*
 * One line without its end. The 76th column is kept for the "=" of a soft break, also on lines that would have fit: one
 * rule, and a line is at most 75 of text then. "From " at a line's start becomes "=46rom ", which no mailbox file changes.
 */
static char *
put_line(char *to, const unsigned char *at, const unsigned char *end)
{
	const char *limit = to + LINE_WIDTH - 1;

	if (end - at >= 5 && memcmp(at, "From ", 5) == 0)
		to = put_hex(to, *at++);
	for (; at < end; at++)
	{
		const bool blank = *at == ' ' || *at == '\t';
		const bool plain = is_plain(*at) || (blank && at + 1 < end);
		if (to + (plain ? 1 : 3) > limit)
		{
			memcpy(to, "=\r\n", 3);
			to += 3;
			limit = to + LINE_WIDTH - 1;
		}
		if (plain)
			*to++ = (char) *at;
		else
			to = put_hex(to, *at);
	}
	return to;
}

void
encode_quoted_printable(Buf *out, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *) text;
	const unsigned char *end = at + len;

	while (at < end)
	{
		const unsigned char *stop = memchr(at, '\n', (size_t) (end - at));
		const bool ends = stop != NULL;
		const unsigned char *line_end = ends ? stop : end;
		if (ends && line_end > at && line_end[-1] == '\r')
			line_end--;
		/* at worst three for each byte, and a soft break after every 25 of them */
		const size_t line = (size_t) (line_end - at);
		char *from = buf_reserve(out, line * 3 + (line / 25 + 2) * 3 + 2);
		char *to = put_line(from, at, line_end);
		if (ends)
		{
			memcpy(to, "\r\n", 2);
			to += 2;
		}
		out->len += (size_t) (to - from);
		at = ends ? stop + 1 : end;
	}
}

/* ---- encoded words ---------------------------------------------------------------------------------------------- */

/* Also in a phrase, where fewer characters are allowed than in a subject (RFC 2047 §5). */
static inline bool
is_word_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '!' || c == '*' || c == '+' ||
		   c == '-' || c == '/';
}

static inline size_t
q_width(const unsigned char *at, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += is_word_plain(at[i]) || at[i] == ' ' ? 1 : 3;
	return width;
}

static void
put_q(Buf *out, const unsigned char *at, size_t len)
{
	char *from = buf_reserve(out, len * 3), *to = from;

	for (size_t i = 0; i < len; i++)
		if (at[i] == ' ')
			*to++ = '_';
		else if (is_word_plain(at[i]))
			*to++ = (char) at[i];
		else
			to = put_hex(to, at[i]);
	out->len += (size_t) (to - from);
}

static void
put_b(Buf *out, const unsigned char *at, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *from = buf_reserve(out, (len + 2) / 3 * 4), *to = from;

	for (size_t i = 0; i < len; i += 3)
	{
		const unsigned a = at[i], b = i + 1 < len ? at[i + 1] : 0, c = i + 2 < len ? at[i + 2] : 0;
		*to++ = digits[a >> 2];
		*to++ = digits[(a & 3) << 4 | b >> 4];
		*to++ = i + 1 < len ? digits[(b & 15) << 2 | c >> 6] : '=';
		*to++ = i + 2 < len ? digits[c & 63] : '=';
	}
	out->len += (size_t) (to - from);
}

/* How many bytes of whole characters fit into a word of this many characters; at least one character. */
static size_t
fitting(const unsigned char *at, size_t len, size_t room, bool base64)
{
	size_t taken = 0, width = 0;

	while (taken < len)
	{
		size_t character = utf8_length(at + taken, len - taken);
		if (character == 0)
			character = 1;
		width = base64 ? (taken + character + 2) / 3 * 4 : width + q_width(at + taken, character);
		if (width > room && taken > 0)
			break;
		taken += character;
	}
	return taken;
}

size_t
encode_words(Buf *out, const char *text, size_t len, size_t column)
{
	const unsigned char *at = (const unsigned char *) text;
	const bool base64 = (len + 2) / 3 * 4 < q_width(at, len);
	/* of one character at its worst: the smallest room that a word can do with */
	const size_t least = base64 ? 8 : 12;

	while (len > 0)
	{
		if (column + WORD_HEAD + least + WORD_TAIL > LINE_WIDTH)
		{
			buf_lit(out, "\r\n ");
			column = 1;
		}
		size_t room = LINE_WIDTH - column - WORD_HEAD - WORD_TAIL;
		if (room > 75 - WORD_HEAD - WORD_TAIL)
			room = 75 - WORD_HEAD - WORD_TAIL;
		const size_t taken = fitting(at, len, room, base64);
		const size_t before = out->len;
		buf_add(out, base64 ? "=?utf-8?B?" : "=?utf-8?Q?", WORD_HEAD);
		(base64 ? put_b : put_q)(out, at, taken);
		buf_lit(out, "?=");
		column += out->len - before;
		at += taken;
		len -= taken;
		if (len > 0)
		{
			buf_lit(out, "\r\n ");
			column = 1;
		}
	}
	return column;
}
