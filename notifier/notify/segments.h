/*
 * segments.h: how many messages an SMS is sent as.
 *
 * A text in the GSM 7-bit alphabet (3GPP TS 23.038: its basic table and the extension table, whose characters count twice)
 * has 160 septets in one segment, and 153 in each of several; any other text is UCS-2, with 70 and 67 UTF-16 units. A
 * character is never divided between segments.
 */
#ifndef NOTIFY_SEGMENTS_H
#define NOTIFY_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Segments {
	size_t count;
	size_t units; /* septets, or UTF-16 units */
	bool gsm;
} Segments;

/* The text is UTF-8; of one that is not, what is damaged counts as a character for each byte. */
Segments segments_of(const char *text, size_t len);

#endif
