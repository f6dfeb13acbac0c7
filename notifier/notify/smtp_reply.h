/*
 * smtp_reply.h: what an SMTP server says, and what it means for a message.
 *
 * Pure: bytes in, replies and results out; smtp_session.c decides what to say next.
 */
#ifndef NOTIFY_SMTP_REPLY_H
#define NOTIFY_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "notify/outcome.h"

typedef struct SmtpReply {
	int code;          /* 200 … 599 */
	char enhanced[12]; /* RFC 3463, of its first line; empty = none */
	char text[256];    /* of all lines, printable ASCII, addresses masked */
} SmtpReply;

typedef enum SmtpRead { SMTP_READ_MORE, SMTP_READ_REPLY, SMTP_READ_BROKEN } SmtpRead;

/* Starts as all zeroes. */
typedef struct SmtpReader {
	SmtpReply reply;
	char line[512]; /* what a line may have (RFC 5321 §4.5.3.1.5); more of it is dropped */
	size_t len;     /* of the line so far, with what was dropped */
	int lines;      /* of this reply, before the line */
} SmtpReader;

/* Takes bytes up to the end of a reply; `used` says how many. After a reply the next call begins another one. */
SmtpRead smtp_reader_feed(SmtpReader *reader, const char *data, size_t len, size_t *used);

/* What was asked for when the reply came. */
typedef enum SmtpStep { SMTP_STEP_MAIL, SMTP_STEP_RCPT, SMTP_STEP_DATA, SMTP_STEP_DOT } SmtpStep;

/* The result of a message that got this reply as its last word: any 4xx or 5xx, and 2xx to the dot. */
void smtp_judge(Result *result, SmtpStep step, const SmtpReply *reply);

/* Code, enhanced code and text, and nothing about the outcome. */
void smtp_quote(Result *result, const SmtpReply *reply);

/* What EHLO offers. */
typedef struct SmtpOffer {
	bool pipelining;
	bool eight_bit;
	bool utf8;
	bool auth;
	long long size; /* largest message; 0 = not told */
} SmtpOffer;

/* One line of the answer to EHLO, "250-SIZE 1000"; the first line clears what was there. */
void smtp_offer_line(SmtpOffer *offer, const char *line, size_t len, bool first);

#endif
