/*
 * mask.c: names, phone numbers and e-mail addresses as operators may see them (see mask.h).
 */
#include "common/mask.h"

#include <string.h>

/* Bytes of the character that begins here; a damaged one counts as one byte. */
static size_t
character(const char *text, size_t len)
{
	size_t size = 1;

	while (size < len && ((unsigned char) text[size] & 0xC0) == 0x80)
		size++;
	return size;
}

static size_t
count_characters(const char *text, size_t len)
{
	size_t count = 0;

	for (size_t at = 0; at < len; at += character(text + at, len - at))
		count++;
	return count;
}

static size_t
copy(const char *text, size_t len, char *mask)
{
	memmove(mask, text, len);
	return len;
}

size_t
mask_name(const char *text, size_t len, char *mask)
{
	const size_t count = count_characters(text, len);

	if (count < 2)
		return copy(text, len, mask);
	const size_t first = copy(text, character(text, len), mask);
	memset(mask + first, '*', count - 1);
	return first + count - 1;
}

static size_t
digits(const char *text, size_t len)
{
	size_t count = 0;

	while (count < len && text[count] >= '0' && text[count] <= '9')
		count++;
	return count;
}

/* Three digits, three or four, four; a dash between them or none. Where the last four begin, or 0. */
static size_t
last_four(const char *text, size_t len)
{
	if (len < 10 || digits(text, len) < 3)
		return 0;
	const size_t middle = text[3] == '-' ? 4 : 3;
	const size_t rest = len - middle;
	const size_t run = digits(text + middle, rest);
	if (run == rest && (rest == 7 || rest == 8))
		return len - 4;
	if ((run == 3 || run == 4) && rest == run + 5 && text[middle + run] == '-' && digits(text + len - 4, 4) == 4)
		return len - 4;
	return 0;
}

size_t
mask_phone(const char *text, size_t len, char *mask)
{
	const size_t end = last_four(text, len);

	if (end == 0)
		return copy(text, len, mask);
	char four[4];
	memcpy(four, text + end, 4);
	memmove(mask, text, 3);
	memcpy(mask + 3, "-****-", 6);
	memcpy(mask + 9, four, 4);
	return 13;
}

size_t
mask_email(const char *text, size_t len, char *mask)
{
	const char *at = memchr(text, '@', len);

	if (at == NULL)
		return copy(text, len, mask);
	const size_t local = (size_t) (at - text);
	const size_t count = count_characters(text, local);
	size_t kept = 0;
	for (size_t i = 0; i < 2 && count > 2; i++)
		kept += character(text + kept, local - kept);
	const size_t stars = count > 2 ? count - 2 : 1;
	const size_t domain = len - local;
	/* An empty local part grows by its star; there is room for it. */
	memmove(mask + kept + stars, at, domain);
	memmove(mask, text, kept);
	memset(mask + kept, '*', stars);
	return kept + stars + domain;
}

bool
mask_hides(const char *text, size_t len, const char *mask, size_t mask_len)
{
	return len != mask_len || memcmp(text, mask, len) != 0;
}
