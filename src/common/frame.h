/*
 * frame.h: what the output plugin sends and the relay reads: outbox rows of one transaction, packed.
 *
 * A transaction's rows travel in one or more frames, in the order they were written; the last one says so. A frame holds
 * as many rows as fit into FRAME_TARGET bytes, and at least one. All integers are little-endian.
 *
 *   header, FRAME_HEADER_SIZE bytes              each row
 *      0  u8   version                              0  u32  bytes that follow
 *      1  u8   flags: 1 = last of transaction       4  i32  period, days since 2000-01-01
 *      2  u16  0                                    8  i64  created_at, microseconds since 2000-01-01 UTC
 *      4  u32  transaction id                      16  u16  length of type
 *      8  u64  LSN of the commit record            18  u16  length of id
 *     16  u64  LSN after it                        20  u16  length of key, 0 = none
 *     24  i64  commit time, as created_at          22  u16  0
 *     32  u64  ordinal of the first row, from 0    24       type, id, key, payload (what is left)
 *     40  u32  number of rows
 *     44  u32  bytes of all rows
 *
 * (commit LSN, ordinal) is a row's position: it rises strictly in the stream of a slot. The LSN after the commit record is
 * where replication restarts once the whole transaction is through. Freestanding: no allocation, no input or output.
 */
#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION 1
#define FRAME_HEADER_SIZE 48
#define FRAME_ROW_HEADER_SIZE 24
#define FRAME_TARGET 65536

typedef struct FrameHeader {
	uint32_t xid;
	uint64_t commit_lsn;
	uint64_t end_lsn;
	int64_t commit_time;
	uint64_t first_ordinal;
	uint32_t row_count;
	bool last;
} FrameHeader;

/* Texts are UTF-8 and not terminated; in a row that was read they point into the frame. */
typedef struct FrameRow {
	int32_t period;
	int64_t created_at;
	const char *type;
	const char *id;
	const char *key; /* key_len 0 = none */
	const char *payload;
	size_t type_len;
	size_t id_len;
	size_t key_len;
	size_t payload_len;
} FrameRow;

/* ---- writing ---- */

typedef struct FrameWriter {
	uint8_t *data; /* the caller's, of `size` bytes, at least FRAME_HEADER_SIZE */
	size_t size;
	size_t len; /* header included, once a row was added */
	uint32_t row_count;
} FrameWriter;

/* Bytes a row takes; 0 when one of its texts is too long for the format (64 kB; payload: 4 GB with the row). */
size_t frame_row_size(const FrameRow *row);

/* False when the row does not fit into what is left of the buffer; nothing has changed then. */
bool frame_add(FrameWriter *writer, const FrameRow *row);

/* Fills in the header (row_count is the writer's); the frame is data[0 … len). Afterwards the writer is empty again. */
size_t frame_finish(FrameWriter *writer, const FrameHeader *header);

/* ---- reading ---- */

typedef struct FrameReader {
	const uint8_t *at;
	const uint8_t *end;
	uint32_t rows_left;
} FrameReader;

/* NULL when the bytes are a frame, else what is wrong with them. Rows are checked too: frame_next() cannot fail then. */
const char *frame_open(const void *data, size_t size, FrameHeader *header, FrameReader *reader);

/* The next row; false at the end. */
bool frame_next(FrameReader *reader, FrameRow *row);

#endif
