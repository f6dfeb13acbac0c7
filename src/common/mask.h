/*
 * mask.h: names, phone numbers and e-mail addresses as operators may see them.
 *
 * The rules are those of the system before (research/seed.md §4.8). Text that is no phone number or address comes back as
 * it is: mask_hides() says whether anything was hidden, and who stores a mask must not store one that hides nothing.
 * Freestanding; text is UTF-8 and not terminated. The mask is at most MASK_GROWTH bytes longer: the dashes of a phone number,
 * whose middle always shows four stars.
 */
#ifndef COMMON_MASK_H
#define COMMON_MASK_H

#include <stdbool.h>
#include <stddef.h>

#define MASK_GROWTH 3

/* The first character, then a star for each further one; a single character stays. Returns the mask's length. */
size_t mask_name(const char *text, size_t len, char *mask);

/* 010-1234-5678, 01012345678, 0212345678 → 010-****-5678, 021-****-5678. */
size_t mask_phone(const char *text, size_t len, char *mask);

/* hong.gildong@example.com → ho**********@example.com; of two characters or less before the @ none is left: *@example.com. */
size_t mask_email(const char *text, size_t len, char *mask);

bool mask_hides(const char *text, size_t len, const char *mask, size_t mask_len);

#endif
