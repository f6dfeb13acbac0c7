/*
 * gen_copy.c: binary COPY through libpq (see gen.h).
 *
 * Binary, because the server then neither parses numbers and timestamps nor looks for line ends; the buffer is flushed
 * only between rows and is larger than any row written here by far.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "gen.h"

#define FLUSH_AT (sizeof(((Copy *) 0)->buffer) - 8192)

static void
fail(Copy *copy)
{
	if (!copy->failed)
		snprintf(copy->error, GEN_ERROR_SIZE, "%s", PQerrorMessage(copy->conn));
	copy->failed = true;
}

static void
put(Copy *copy, const void *bytes, size_t len)
{
	memcpy(copy->buffer + copy->len, bytes, len);
	copy->len += len;
}

static void
put_int16(Copy *copy, int value)
{
	const uint16_t wire = htons((uint16_t) value);

	put(copy, &wire, sizeof(wire));
}

static void
put_int32(Copy *copy, int32_t value)
{
	const uint32_t wire = htonl((uint32_t) value);

	put(copy, &wire, sizeof(wire));
}

static void
flush(Copy *copy)
{
	if (!copy->failed && copy->len > 0 && PQputCopyData(copy->conn, copy->buffer, (int) copy->len) != 1)
		fail(copy);
	copy->len = 0;
}

void
copy_begin(Copy *copy, PGconn *conn, char *error, const char *command)
{
	PGresult *result = PQexec(conn, command);

	copy->conn = conn;
	copy->error = error;
	copy->rows = 0;
	copy->len = 0;
	copy->failed = false;
	if (PQresultStatus(result) != PGRES_COPY_IN)
		fail(copy);
	PQclear(result);
	put(copy, "PGCOPY\n\377\r\n", 11); /* the 11th byte is the string's own 0 */
	put_int32(copy, 0);
	put_int32(copy, 0);
}

void
copy_row(Copy *copy, int columns)
{
	if (copy->len >= FLUSH_AT)
		flush(copy);
	copy->rows++;
	put_int16(copy, columns);
}

void
copy_null(Copy *copy)
{
	put_int32(copy, -1);
}

void
copy_int16(Copy *copy, int16_t value)
{
	put_int32(copy, 2);
	put_int16(copy, value);
}

void
copy_int32(Copy *copy, int32_t value)
{
	put_int32(copy, 4);
	put_int32(copy, value);
}

void
copy_int64(Copy *copy, int64_t value)
{
	put_int32(copy, 8);
	put_int32(copy, (int32_t) (value >> 32));
	put_int32(copy, (int32_t) value);
}

void
copy_bytes(Copy *copy, const char *value, size_t len)
{
	put_int32(copy, (int32_t) len);
	put(copy, value, len);
}

void
copy_text(Copy *copy, const char *value)
{
	if (value == NULL)
		copy_null(copy);
	else
		copy_bytes(copy, value, strlen(value));
}

/* numeric on the wire: digits of base 10 000 with the power of the first one, sign, decimals to display. */
void
copy_tenths(Copy *copy, int64_t value)
{
	int16_t digits[6], count = 0;
	int64_t whole = value / 10;
	const int fraction = (int) (value % 10);

	for (; whole > 0; whole /= 10000)
		digits[count++] = (int16_t) (whole % 10000);
	put_int32(copy, 8 + 2 * (count + (fraction > 0)));
	put_int16(copy, count + (fraction > 0));
	put_int16(copy, count - 1);
	put_int16(copy, 0);
	put_int16(copy, fraction > 0);
	for (int i = count - 1; i >= 0; i--)
		put_int16(copy, digits[i]);
	if (fraction > 0)
		put_int16(copy, fraction * 1000);
}

bool
copy_end(Copy *copy)
{
	PGresult *result;

	put_int16(copy, -1);
	flush(copy);
	if (copy->failed)
		return false;
	if (PQputCopyEnd(copy->conn, NULL) != 1)
	{
		fail(copy);
		return false;
	}
	result = PQgetResult(copy->conn);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(copy);
	PQclear(result);
	while ((result = PQgetResult(copy->conn)) != NULL)
		PQclear(result);
	return !copy->failed;
}
