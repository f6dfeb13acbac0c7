/*
 * buf.h: a buffer of bytes that grows.
 *
 * It is emptied with buf_clear() and used again: after the first few messages nothing is allocated any more. Without
 * memory the process ends; there is nothing a daemon could do with half a message.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stddef.h>
#include <string.h>

typedef struct Buf {
	char *data;
	size_t len;
	size_t size;
} Buf;

/* Room for `more` bytes behind what is there; returns where they go. The caller raises `len` by what it wrote. */
char *buf_reserve(Buf *buf, size_t more);
void buf_free(Buf *buf);

static inline void
buf_clear(Buf *buf)
{
	buf->len = 0;
}

static inline void
buf_add(Buf *buf, const void *data, size_t len)
{
	if (len == 0)
		return;
	memcpy(buf_reserve(buf, len), data, len);
	buf->len += len;
}

static inline void
buf_text(Buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

#define buf_lit(buf, literal) buf_add(buf, "" literal, sizeof(literal) - 1)

#endif
