/*
 * mask_test.c: names, phone numbers and addresses are masked as the system before did (research/seed.md §4.8).
 */
#include "check.h"

#include <stdlib.h>

#include "common/mask.h"

typedef size_t (*Mask)(const char *text, size_t len, char *mask);

/* In a buffer of exactly the size that mask.h allows, so that a sanitizer sees a byte too much. */
static void
check_mask(Mask mask, const char *text, const char *wanted)
{
	const size_t len = strlen(text);
	char *exact = malloc(len > 0 ? len : 1);
	char *out = malloc(len + MASK_GROWTH + 1);

	memcpy(exact, text, len);
	CHECK_CASE(text);
	const size_t mask_len = mask(exact, len, out);
	CHECK(mask_len <= len + MASK_GROWTH);
	out[mask_len] = '\0';
	CHECK_TEXT(out, wanted);
	CHECK_INT(mask_hides(text, len, out, mask_len), strcmp(text, wanted) != 0);
	free(exact);
	free(out);
}

int
main(void)
{
	static const struct {
		Mask mask;
		const char *text, *wanted;
	} cases[] = {
		{mask_name, "홍길동", "홍**"},
		{mask_name, "홍", "홍"},
		{mask_name, "", ""},
		{mask_name, "Li", "L*"},
		{mask_name, "Anna Karenina", "A************"},
		{mask_name, "😀😀", "😀*"},
		{mask_name, "\x80\x80\x80", "\x80\x80\x80"},
		{mask_phone, "010-1234-5678", "010-****-5678"},
		{mask_phone, "01012345678", "010-****-5678"},
		{mask_phone, "0101234-5678", "010-****-5678"},
		{mask_phone, "010-12345678", "010-****-5678"},
		{mask_phone, "011-123-4567", "011-****-4567"},
		{mask_phone, "0111234567", "011-****-4567"},
		{mask_phone, "123456", "123456"},
		{mask_phone, "1234567", "1234567"},
		{mask_phone, "", ""},
		{mask_phone, "+821012345678", "+821012345678"},
		{mask_phone, "010--1234-5678", "010--1234-5678"},
		{mask_phone, "010-1234-56789", "010-1234-56789"},
		{mask_phone, "010-12345-678", "010-12345-678"},
		{mask_phone, "010123456789", "010123456789"},
		{mask_phone, "010-1234-567x", "010-1234-567x"},
		{mask_email, "hong.gildong@example.com", "ho**********@example.com"},
		{mask_email, "abc@example.com", "ab*@example.com"},
		{mask_email, "ab@example.com", "*@example.com"},
		{mask_email, "a@example.com", "*@example.com"},
		{mask_email, "@example.com", "*@example.com"},
		{mask_email, "nobody", "nobody"},
		{mask_email, "", ""},
		{mask_email, "한글이름@example.kr", "한글**@example.kr"},
		{mask_email, "a@b@c", "*@b@c"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_mask(cases[i].mask, cases[i].text, cases[i].wanted);
	return check_done();
}
