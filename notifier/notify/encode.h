/*
 * encode.h: what mail needs to carry UTF-8 in seven bits: quoted-printable bodies and the encoded words of headers.
 *
 * Equal input gives equal bytes. Nothing here validates but utf8_is_valid(); mime.c does before it calls.
 */
#ifndef NOTIFY_ENCODE_H
#define NOTIFY_ENCODE_H

#include <stdbool.h>

#include "lib/buf.h"

#define LINE_WIDTH 76 /* of encoded bodies and of lines with encoded words, RFC 2045 and RFC 2047 */
#define FOLD_WIDTH 78 /* of other header lines, RFC 5322 */

/* Well-formed, shortest form, no surrogates. */
bool utf8_is_valid(const char *text, size_t len);

/*
 * A body as quoted-printable, lines of at most 76 characters that end with CRLF. LF and CRLF are line ends; any other
 * control character is encoded, and so is a blank at the end of a line. The last line ends only if the text's does.
 */
void encode_quoted_printable(Buf *out, const char *text, size_t len);

/*
 * UTF-8 as one or more encoded words, B or Q, whichever is shorter; every word holds whole characters and no line is
 * longer than 76. `column` is how many characters the line has so far; returns how many the last one has.
 */
size_t encode_words(Buf *out, const char *text, size_t len, size_t column);

#endif
