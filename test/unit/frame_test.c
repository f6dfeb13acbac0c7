/*
 * frame_test.c: the frames between output plugin and relay.
 *
 * Holds to DESIGN.md §6: what is written comes out again byte for byte; a frame that is cut at any length, or damaged at any
 * byte so that its lengths no longer fit, is refused as a whole and nothing outside of it is read.
 */
#include <stdlib.h>

#include "check.h"

#include "common/frame.h"

static const FrameHeader header = {
	.xid = 4711,
	.commit_lsn = UINT64_C(0x1122334455667788),
	.end_lsn = UINT64_C(0x11223344556677b0),
	.commit_time = -1234567890123,
	.first_ordinal = UINT64_C(5000000000),
	.last = true,
};

static FrameRow
row_of(const char *type, const char *id, const char *key, const char *payload)
{
	return (FrameRow){
		.period = 8887,
		.created_at = INT64_MIN,
		.type = type,
		.type_len = strlen(type),
		.id = id,
		.id_len = strlen(id),
		.key = key,
		.key_len = strlen(key),
		.payload = payload,
		.payload_len = strlen(payload),
	};
}

static void
check_row(const FrameRow *seen, const FrameRow *wanted)
{
	CHECK_INT(seen->period, wanted->period);
	CHECK_INT(seen->created_at, wanted->created_at);
	CHECK(seen->type_len == wanted->type_len && memcmp(seen->type, wanted->type, wanted->type_len) == 0);
	CHECK(seen->id_len == wanted->id_len && memcmp(seen->id, wanted->id, wanted->id_len) == 0);
	CHECK(seen->key_len == wanted->key_len && memcmp(seen->key, wanted->key, wanted->key_len) == 0);
	CHECK(seen->payload_len == wanted->payload_len && memcmp(seen->payload, wanted->payload, wanted->payload_len) == 0);
}

/* Three rows in a buffer of exactly their size; the caller frees it. */
static uint8_t *
three_rows(FrameRow rows[3], size_t *size)
{
	rows[0] = row_of("bill.settled.v1", "bill/2024-05/42/0", "42", "{\"total\":1}");
	rows[1] = row_of("run.completed.v1", "run/2024-05/final/0/completed", "", "{}");
	rows[2] = row_of("t", "i", "-9223372036854775808", "");
	*size = FRAME_HEADER_SIZE;
	for (int i = 0; i < 3; i++)
		*size += frame_row_size(&rows[i]);

	FrameWriter writer = {.data = malloc(*size), .size = *size};
	for (int i = 0; i < 3; i++)
		CHECK(frame_add(&writer, &rows[i]));
	CHECK(!frame_add(&writer, &rows[2]));
	CHECK_INT(frame_finish(&writer, &header), *size);
	CHECK_INT(writer.len, 0);
	CHECK_INT(writer.row_count, 0);
	return writer.data;
}

static void
round_trip(void)
{
	FrameRow rows[3];
	FrameRow row;
	FrameHeader seen;
	FrameReader reader;
	size_t size;
	uint8_t *data = three_rows(rows, &size);

	CHECK(frame_open(data, size, &seen, &reader) == NULL);
	CHECK_INT(seen.xid, header.xid);
	CHECK_INT(seen.commit_lsn, header.commit_lsn);
	CHECK_INT(seen.end_lsn, header.end_lsn);
	CHECK_INT(seen.commit_time, header.commit_time);
	CHECK_INT(seen.first_ordinal, header.first_ordinal);
	CHECK_INT(seen.row_count, 3);
	CHECK(seen.last);
	for (int i = 0; i < 3; i++)
		if (CHECK(frame_next(&reader, &row)))
			check_row(&row, &rows[i]);
	CHECK(!frame_next(&reader, &row));
	CHECK(!frame_next(&reader, &row));
	free(data);
}

static void
limits(void)
{
	static char long_text[70000];
	uint8_t data[FRAME_HEADER_SIZE + 100];
	FrameWriter writer = {.data = data, .size = sizeof(data)};

	memset(long_text, 'x', sizeof(long_text) - 1);
	FrameRow row = row_of("t", long_text, "", "");
	CHECK_INT(frame_row_size(&row), 0);
	CHECK(!frame_add(&writer, &row));
	row = row_of("t", "i", "k", long_text);
	CHECK_INT(frame_row_size(&row), FRAME_ROW_HEADER_SIZE + 3 + 69999);
	CHECK(!frame_add(&writer, &row));
	CHECK_INT(writer.row_count, 0);
	row.payload_len = SIZE_MAX - 10;
	CHECK_INT(frame_row_size(&row), 0);
	/* a frame without rows is written by nobody and read by nobody */
	FrameHeader seen;
	FrameReader reader;
	CHECK_INT(frame_finish(&writer, &header), FRAME_HEADER_SIZE);
	CHECK(frame_open(data, FRAME_HEADER_SIZE, &seen, &reader) != NULL);
}

/* In a copy of exactly that size, so that the sanitizer sees any byte read behind it. */
static const char *
opened(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + (size == 0));
	FrameHeader seen;
	FrameReader reader;
	FrameRow row;
	size_t rows = 0;

	if (size > 0)
		memcpy(copy, data, size);
	const char *fault = frame_open(copy, size, &seen, &reader);
	while (fault == NULL && frame_next(&reader, &row))
		rows += row.payload_len + row.key_len > size;
	CHECK_INT(rows, 0);
	free(copy);
	return fault;
}

static void
hostile(void)
{
	FrameRow rows[3];
	size_t size;
	uint8_t *data = three_rows(rows, &size);

	for (size_t cut = 0; cut < size; cut++)
		CHECK(opened(data, cut) != NULL);
	/* one byte more */
	uint8_t *longer = calloc(1, size + 1);
	memcpy(longer, data, size);
	CHECK(opened(longer, size + 1) != NULL);
	free(longer);
	/* every byte set to every value: refused or read, never read past */
	for (size_t at = 0; at < size; at++)
	{
		const uint8_t before = data[at];

		for (int value = 0; value < 256; value++)
		{
			data[at] = (uint8_t) value;
			(void) opened(data, size);
		}
		data[at] = before;
	}
	/* what must be refused wherever it stands */
	static const struct {
		size_t at;
		uint8_t value;
	} faults[] = {{0, 0}, {0, 2}, {1, 2}, {1, 0x81}, {2, 1}, {3, 1}, {40, 0}, {40, 2}, {40, 4}, {43, 1}, {44, 0}, {47, 1}, {48 + 22, 1}};
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		const uint8_t before = data[faults[i].at];

		data[faults[i].at] = faults[i].value;
		CHECK(opened(data, size) != NULL);
		data[faults[i].at] = before;
	}
	CHECK(opened(data, size) == NULL);
	free(data);
}

int
main(void)
{
	round_trip();
	limits();
	hostile();
	return check_done();
}
