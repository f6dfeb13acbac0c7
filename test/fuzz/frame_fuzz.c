/*
 * frame_fuzz.c: the frames between output plugin and relay under a fuzzer (libFuzzer, address and undefined-behaviour
 * sanitizers).
 *
 * Design §6: a frame that was cut, damaged or made up is refused as a whole, and nothing outside of it is read. The first
 * byte of an input chooses: the rest is a frame as it is; is a frame whose total length is put right first, so that damage
 * further in is reached; or says what rows to write, and where to damage or cut the frame that they make.
 *
 * Held to: what is accepted is exactly what frame_add() and frame_finish() write of the rows and the header that were read
 * of it, byte for byte; undamaged rows come out as they went in; what is refused is said why.
 */
#include "fuzz.h"

#include "common/frame.h"

enum { MOST_ROWS = 8, MOST_TEXT = 300 };

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void
hold_inside(const FrameRow *row, const uint8_t *data, size_t size)
{
	const char *begin = (const char *) data + FRAME_HEADER_SIZE + FRAME_ROW_HEADER_SIZE;
	const char *end = (const char *) data + size;

	HOLD(row->type >= begin && row->id == row->type + row->type_len && row->key == row->id + row->id_len);
	HOLD(row->payload == row->key + row->key_len && row->payload <= end && row->payload_len <= (size_t) (end - row->payload));
	HOLD(row->type_len > 0 && row->id_len > 0);
}

/* True when it is accepted; then it was written again and is the same. */
static bool
read_frame(const uint8_t *data, size_t size)
{
	FrameHeader header;
	FrameReader reader;
	FrameRow row;
	const char *wrong = frame_open(data, size, &header, &reader);
	uint32_t count = 0;

	if (wrong != NULL)
	{
		HOLD(wrong[0] != '\0');
		return false;
	}
	FrameWriter writer = {.data = malloc(size), .size = size};
	while (frame_next(&reader, &row))
	{
		hold_inside(&row, data, size);
		HOLD(frame_add(&writer, &row));
		count++;
	}
	HOLD(count == header.row_count && count == writer.row_count);
	HOLD(frame_finish(&writer, &header) == size);
	HOLD(memcmp(writer.data, data, size) == 0);
	free(writer.data);
	return true;
}

static void
put_length(uint8_t *data, size_t size)
{
	for (int i = 0; i < 4 && size >= FRAME_HEADER_SIZE; i++)
		data[44 + i] = (uint8_t) ((size - FRAME_HEADER_SIZE) >> 8 * i);
}

static void
read_bytes(const Input *input, bool repair)
{
	const size_t size = (size_t) (input->end - input->at);
	uint8_t *data = malloc(size + (size == 0)); /* of exactly its size: one byte too far is seen */

	memcpy(data, input->at, size);
	if (repair)
		put_length(data, size);
	(void) read_frame(data, size);
	free(data);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static const char *
take_text(Input *input, size_t least, size_t *len)
{
	static const char text[MOST_TEXT] = "bill.settled.v1 bill/2024-05/42/0 {\"total\":\"1.00\"}";

	*len = least + (size_t) take_choice(input, 64);
	if (take_rarely(input))
		*len += 200;
	return text;
}

static FrameRow
take_row(Input *input)
{
	FrameRow row = {.period = take_number32(input), .created_at = take_number(input)};

	row.type = take_text(input, 1, &row.type_len);
	row.id = take_text(input, 1, &row.id_len);
	row.key = take_text(input, 0, &row.key_len);
	row.payload = take_text(input, 0, &row.payload_len);
	return row;
}

static FrameHeader
take_header(Input *input)
{
	FrameHeader header = {
		.xid = (uint32_t) take_number32(input),
		.commit_lsn = (uint64_t) take_positive(input, 1),
		.commit_time = take_number(input),
		.first_ordinal = (uint64_t) take_positive(input, 0),
		.last = take_flag(input),
	};

	header.end_lsn = header.commit_lsn + 1 + (uint64_t) take_byte(input);
	return header;
}

static void
hold_same(const FrameRow *seen, const FrameRow *wanted)
{
	HOLD(seen->period == wanted->period && seen->created_at == wanted->created_at);
	HOLD(seen->type_len == wanted->type_len && memcmp(seen->type, wanted->type, wanted->type_len) == 0);
	HOLD(seen->id_len == wanted->id_len && memcmp(seen->id, wanted->id, wanted->id_len) == 0);
	HOLD(seen->key_len == wanted->key_len && memcmp(seen->key, wanted->key, wanted->key_len) == 0);
	HOLD(seen->payload_len == wanted->payload_len && memcmp(seen->payload, wanted->payload, wanted->payload_len) == 0);
}

static void
hold_written(const uint8_t *data, size_t size, const FrameHeader *wanted, const FrameRow *rows, uint32_t count)
{
	FrameHeader header;
	FrameReader reader;
	FrameRow row;

	HOLD(frame_open(data, size, &header, &reader) == NULL);
	HOLD(header.xid == wanted->xid && header.commit_lsn == wanted->commit_lsn && header.end_lsn == wanted->end_lsn);
	HOLD(header.commit_time == wanted->commit_time && header.first_ordinal == wanted->first_ordinal);
	HOLD(header.last == wanted->last && header.row_count == count);
	for (uint32_t i = 0; i < count; i++)
	{
		HOLD(frame_next(&reader, &row));
		hold_same(&row, &rows[i]);
	}
	HOLD(!frame_next(&reader, &row));
}

static void
damage(Input *input, uint8_t *data, size_t size)
{
	const size_t cut = (size_t) take_bytes(input, 2) % size;
	uint8_t *part = malloc(cut + (cut == 0));

	memcpy(part, data, cut);
	HOLD(!read_frame(part, cut));
	put_length(part, cut);
	(void) read_frame(part, cut);
	free(part);

	data[(size_t) take_bytes(input, 2) % size] ^= (uint8_t) (1 + take_choice(input, 255));
	(void) read_frame(data, size);
}

static void
write_rows(Input *input)
{
	FrameRow rows[MOST_ROWS];
	const uint32_t count = 1 + (uint32_t) take_choice(input, MOST_ROWS);
	const FrameHeader header = take_header(input);
	size_t size = FRAME_HEADER_SIZE;

	for (uint32_t i = 0; i < count; i++)
	{
		rows[i] = take_row(input);
		size += frame_row_size(&rows[i]);
	}
	FrameWriter writer = {.data = malloc(size), .size = size};
	for (uint32_t i = 0; i < count; i++)
		HOLD(frame_add(&writer, &rows[i]));
	HOLD(!frame_add(&writer, &rows[0]));
	HOLD(frame_finish(&writer, &header) == size);
	hold_written(writer.data, size, &header, rows, count);
	damage(input, writer.data, size);
	free(writer.data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {.at = data, .end = data + size};

	switch (take_choice(&input, 3))
	{
		case 0:
			read_bytes(&input, false);
			break;
		case 1:
			read_bytes(&input, true);
			break;
		default:
			write_rows(&input);
	}
	return 0;
}
