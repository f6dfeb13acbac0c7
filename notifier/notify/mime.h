/*
 * mime.h: builds an e-mail: headers and a multipart/alternative of text and HTML, as the bytes that go over the wire.
 *
 * Equal input gives equal bytes: the boundary is made of the notice's key and the date is the caller's, so that a provider
 * that compares an attempt with the one before sees the same message. Lines end with CRLF and have at most 76 characters
 * in bodies; everything is seven-bit, but an address that is not ASCII stands as it is (RFC 6532, see smtp.h). Dots are
 * doubled by whoever sends.
 *
 * Nothing is stripped or mended: a control character in what goes into a header, an address that is none, a value that is
 * too long or text that is not UTF-8 is an error that names the field. None of the errors holds the value.
 */
#ifndef NOTIFY_MIME_H
#define NOTIFY_MIME_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

/* bytes */
#define MIME_NAME_MAX 256     /* display name */
#define MIME_SUBJECT_MAX 1000
#define MIME_VALUE_MAX 900    /* of another header; a line may have 998 */
#define MIME_KEY_MAX 60
#define MIME_ADDRESS_MAX 254  /* RFC 5321 §4.5.3.1, with its brackets 256 */

typedef struct MimeAddress {
	const char *name; /* UTF-8; NULL or empty = none */
	const char *address;
} MimeAddress;

typedef struct MimeHeader {
	const char *name;
	const char *value; /* UTF-8 */
} MimeHeader;

typedef struct MimePart {
	const char *data; /* UTF-8; NULL = there is no such part */
	size_t len;
} MimePart;

typedef struct MimeMail {
	const char *key;         /* of the notice: [A-Za-z0-9._-], for the boundary */
	MimeAddress from, to;
	MimeAddress reply_to;    /* address NULL = none */
	const char *subject;
	int64_t date_s;          /* seconds since 1970, UTC */
	const char *message_id;  /* without angle brackets */
	const char *unsubscribe; /* https: or mailto: URL of List-Unsubscribe; NULL = none */
	bool one_click;          /* RFC 8058, for https: the relay's DKIM must then sign both headers */
	const MimeHeader *extra; /* none of those that are written here */
	size_t extra_count;
	MimePart text, html;     /* one of them may be missing: then the message has a single part */
} MimeMail;

/* Adds the message to `out`; on an error `out` is as it was. */
bool mime_build(const MimeMail *mail, Buf *out, Err *err) MUST_CHECK;

/*
 * An address as it can stand in MAIL FROM and RCPT TO: local part of dot-atom characters or, when it is not ASCII, UTF-8;
 * domain in its ASCII form (xn--…). Also refuses what RFC 5321 allows and nobody has: quoted local parts.
 */
bool mime_check_address(const char *field, const char *address, Err *err) MUST_CHECK;

#endif
