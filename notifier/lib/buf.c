/*
 * buf.c: a buffer of bytes that grows (see buf.h).
 */
#include <stdlib.h>

#include "lib/buf.h"

char *
buf_reserve(Buf *buf, size_t more)
{
	if (buf->size - buf->len < more)
	{
		size_t size = buf->size < 1024 ? 1024 : buf->size * 2;
		while (size - buf->len < more)
			size *= 2;
		char *data = realloc(buf->data, size);
		if (data == NULL)
			abort();
		buf->data = data;
		buf->size = size;
	}
	return buf->data + buf->len;
}

void
buf_free(Buf *buf)
{
	free(buf->data);
	*buf = (Buf){0};
}
