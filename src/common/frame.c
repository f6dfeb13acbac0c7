/*
 * frame.c: outbox rows of one transaction, packed (see frame.h).
 *
 * The reader trusts nothing: frame_open() walks over all rows before it gives any out, so a truncated or hostile frame is
 * refused as a whole and no length in it is used unchecked.
 */
#include <string.h>

#include "common/frame.h"

#define FLAG_LAST 1

static void
put_u16(uint8_t *to, uint16_t value)
{
	for (int i = 0; i < 2; i++)
		to[i] = (uint8_t) (value >> (8 * i));
}

static void
put_u32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t) (value >> (8 * i));
}

static void
put_u64(uint8_t *to, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t) (value >> (8 * i));
}

static uint16_t
get_u16(const uint8_t *from)
{
	return (uint16_t) (from[0] | from[1] << 8);
}

static uint32_t
get_u32(const uint8_t *from)
{
	uint32_t value = 0;

	for (int i = 3; i >= 0; i--)
		value = value << 8 | from[i];
	return value;
}

static uint64_t
get_u64(const uint8_t *from)
{
	return (uint64_t) get_u32(from + 4) << 32 | get_u32(from);
}

size_t
frame_row_size(const FrameRow *row)
{
	if (row->type_len > UINT16_MAX || row->id_len > UINT16_MAX || row->key_len > UINT16_MAX ||
		row->payload_len > UINT32_MAX - 4 * (size_t) UINT16_MAX)
		return 0;
	return FRAME_ROW_HEADER_SIZE + row->type_len + row->id_len + row->key_len + row->payload_len;
}

static uint8_t *
put_text(uint8_t *to, const char *text, size_t len)
{
	if (len > 0)
		memcpy(to, text, len);
	return to + len;
}

bool
frame_add(FrameWriter *writer, const FrameRow *row)
{
	const size_t row_size = frame_row_size(row);
	const size_t start = writer->len == 0 ? FRAME_HEADER_SIZE : writer->len;

	if (row_size == 0 || start > writer->size || row_size > writer->size - start || writer->row_count == UINT32_MAX ||
		start - FRAME_HEADER_SIZE + row_size > UINT32_MAX)
		return false;

	uint8_t *to = writer->data + start;
	put_u32(to, (uint32_t) (row_size - 4));
	put_u32(to + 4, (uint32_t) row->period);
	put_u64(to + 8, (uint64_t) row->created_at);
	put_u16(to + 16, (uint16_t) row->type_len);
	put_u16(to + 18, (uint16_t) row->id_len);
	put_u16(to + 20, (uint16_t) row->key_len);
	put_u16(to + 22, 0);
	to = put_text(to + FRAME_ROW_HEADER_SIZE, row->type, row->type_len);
	to = put_text(to, row->id, row->id_len);
	to = put_text(to, row->key, row->key_len);
	(void) put_text(to, row->payload, row->payload_len);
	writer->len = start + row_size;
	writer->row_count++;
	return true;
}

size_t
frame_finish(FrameWriter *writer, const FrameHeader *header)
{
	uint8_t *to = writer->data;
	const size_t len = writer->len == 0 ? FRAME_HEADER_SIZE : writer->len;

	to[0] = FRAME_VERSION;
	to[1] = header->last ? FLAG_LAST : 0;
	put_u16(to + 2, 0);
	put_u32(to + 4, header->xid);
	put_u64(to + 8, header->commit_lsn);
	put_u64(to + 16, header->end_lsn);
	put_u64(to + 24, (uint64_t) header->commit_time);
	put_u64(to + 32, header->first_ordinal);
	put_u32(to + 40, writer->row_count);
	put_u32(to + 44, (uint32_t) (len - FRAME_HEADER_SIZE));
	writer->len = 0;
	writer->row_count = 0;
	return len;
}

/* The row at `from`, of which `left` bytes are there; its size, 0 when it is not whole. */
static size_t
read_row(const uint8_t *from, size_t left, FrameRow *row)
{
	if (left < FRAME_ROW_HEADER_SIZE)
		return 0;
	const size_t size = (size_t) get_u32(from) + 4;
	const size_t type_len = get_u16(from + 16);
	const size_t id_len = get_u16(from + 18);
	const size_t key_len = get_u16(from + 20);
	const size_t fixed = FRAME_ROW_HEADER_SIZE + type_len + id_len + key_len;

	if (size > left || fixed > size || get_u16(from + 22) != 0)
		return 0;
	const char *text = (const char *) from + FRAME_ROW_HEADER_SIZE;
	*row = (FrameRow){
		.period = (int32_t) get_u32(from + 4),
		.created_at = (int64_t) get_u64(from + 8),
		.type = text,
		.id = text + type_len,
		.key = text + type_len + id_len,
		.payload = text + type_len + id_len + key_len,
		.type_len = type_len,
		.id_len = id_len,
		.key_len = key_len,
		.payload_len = size - fixed,
	};
	return size;
}

static const char *
check_rows(const uint8_t *from, size_t size, uint32_t count)
{
	FrameRow row;

	for (uint32_t i = 0; i < count; i++)
	{
		const size_t row_size = read_row(from, size, &row);

		if (row_size == 0)
			return "a row is cut short or its lengths do not fit";
		if (row.type_len == 0 || row.id_len == 0)
			return "a row has no type or no id";
		from += row_size;
		size -= row_size;
	}
	return size == 0 ? NULL : "there are bytes after the last row";
}

const char *
frame_open(const void *data, size_t size, FrameHeader *header, FrameReader *reader)
{
	const uint8_t *from = data;

	if (size < FRAME_HEADER_SIZE)
		return "it is shorter than a header";
	if (from[0] != FRAME_VERSION)
		return "its version is unknown; plugin and relay must be of the same release";
	if ((from[1] & ~FLAG_LAST) != 0 || get_u16(from + 2) != 0)
		return "it has flags that are unknown";
	*header = (FrameHeader){
		.last = (from[1] & FLAG_LAST) != 0,
		.xid = get_u32(from + 4),
		.commit_lsn = get_u64(from + 8),
		.end_lsn = get_u64(from + 16),
		.commit_time = (int64_t) get_u64(from + 24),
		.first_ordinal = get_u64(from + 32),
		.row_count = get_u32(from + 40),
	};
	if (get_u32(from + 44) != size - FRAME_HEADER_SIZE)
		return "its length is not what the header says";
	if (header->row_count == 0)
		return "it has no rows";
	if (header->commit_lsn == 0 || header->end_lsn <= header->commit_lsn ||
		header->first_ordinal > UINT64_MAX - header->row_count)
		return "its position is impossible";
	*reader = (FrameReader){from + FRAME_HEADER_SIZE, from + size, header->row_count};
	return check_rows(reader->at, (size_t) (reader->end - reader->at), header->row_count);
}

bool
frame_next(FrameReader *reader, FrameRow *row)
{
	if (reader->rows_left == 0)
		return false;
	reader->at += read_row(reader->at, (size_t) (reader->end - reader->at), row);
	reader->rows_left--;
	return true;
}
