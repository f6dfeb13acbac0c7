/*
 * reader.h: one bucket's month as an array of accounts, ready to rate.
 *
 * Each table of the bucket is read once, sequentially and unsorted; rows are brought to their accounts here by counting
 * sort, because a sort in SQL would cost more than rating does. Memory is linear in the rows of one bucket and is freed
 * with the memory context the slice was read into.
 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "postgres.h"

#include "rate/rate.h"

/* What a bill keeps of the usage it was computed from. */
typedef struct UsageSeen {
	int64 rows;
	uint64 digest;
} UsageSeen;

typedef struct Slice {
	int bucket;
	int32 count;
	Account *accounts;     /* by account_id */
	UsageSeen *usage_seen; /* of the account at the same index */
	int16 *revisions;      /* of its next bill; NULL = all 0 */
	size_t rate_space;     /* largest rate_space() of any of them */
} Slice;

typedef struct SliceRequest {
	const Tariff *tariff;
	Period period;
	int bucket;
	bool after;          /* only accounts above after_id: the checkpoint of a resumed slice */
	int64 after_id;
	const int64 *again;  /* with `after`: these below it too, rising; they were skipped */
	int again_count;
	bool unbilled;       /* leave out accounts that have a bill of the month which is not void */
	const int64 *only;   /* only these accounts (a pilot or preview); NULL = all but those that are marked ignored */
	int only_count;
	/*
	 * With `only`: how many buckets there are; then ids of other buckets are passed over, and those that do not exist are
	 * reported. 0 = all are of this bucket, and what does not exist is left out.
	 */
	int buckets;
	const struct GroupSizes *group_sizes; /* NULL: count them now */
} SliceRequest;

/* Reads into the current memory context; inside a transaction with SPI connected. */
extern Slice *slice_read(const SliceRequest *request);

/* Errors unless the tables that are read have the columns that are read, with their types. */
extern void reader_check(void);

/* Order-independent digest of one usage row; a bill stores the sum over its rows. */
extern uint64 usage_digest(int64 subscription_id, int32 metric_id, int64 occurred_at, int64 quantity);

#endif
