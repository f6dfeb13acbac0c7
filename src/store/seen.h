/*
 * seen.h: one bucket's month as verification sees it: accounts with what makes them due, bills with what their lines leave
 * over, runs with what they say they wrote.
 */
#ifndef STORE_SEEN_H
#define STORE_SEEN_H

#include "store/verify.h"

#include "rate/rate.h"
#include "store/collect.h"
#include "store/reader.h"
#include "store/results.h"

/* Parts of a bill that its lines add up to. */
enum {
	PART_RECURRING, PART_USAGE, PART_ONE_OFF, PART_DISCOUNT, PART_TAX, PART_SHOWN, PART_ROUNDING, PART_CARRIED,
	PART_ARREARS, PART_CREDIT, PART_COUNT
};

/* A bill of the bucket. Amounts are added up modulo 2^64: what should be 0 is 0. */
typedef struct Stored {
	int64 run_id;
	int64 usage_rows;
	uint64 usage_digest;
	uint64 left[PART_COUNT]; /* the part less the lines that were seen */
	uint64 unsummed;         /* the total less the parts */
	uint64 line_numbers;     /* their sum */
	uint32 lines;
	uint32 last_line;
	uint32 older; /* another revision of the account; MAP_NONE = none */
	int32 revision;
	bool is_void;
} Stored;

/* An account of the bucket, or an id that rows of the month name. */
typedef struct Seen {
	int64 account_id;
	int64 error_run; /* the newest run that skipped it; 0 = none */
	UsageSeen usage;
	uint64 revisions; /* bit r: has revision r, below 64 */
	uint32 newest;    /* place of its newest bill; MAP_NONE = none */
	int32 bills;
	bool due;
	bool repeated; /* a revision twice */
	bool ignored;  /* somebody said that it needs no bill */
} Seen;

/* A run of the month, with its slice of the bucket. */
typedef struct RunSeen {
	int64 run_id;
	int64 *accounts; /* rising; NULL = all */
	int account_count;
	bool dry, completed, abandoned;
	bool has_slice, done, has_checkpoint;
	int64 done_through;
	int64 written, lines;           /* as counted by the run */
	int64 found_bills, found_lines; /* as found here */
} RunSeen;

typedef struct Bucket {
	Verify *verify;
	int number;
	Oid closed; /* value of settle.account_status */
	const LabelValues *labels;
	Map places; /* account_id → place in seen */
	int64 last_id;
	uint32 last_place; /* of last_id; MAP_NONE = not known */
	Rows seen;  /* of Seen */
	Rows bills; /* of Stored */
	RunSeen *runs; /* newest first */
	int run_count;
	Rows suspects; /* of int64: due, without bill, and nobody says why */
} Bucket;

static inline Seen *
seen_at(const Bucket *bucket, uint32 place)
{
	return (Seen *) bucket->seen.items + place;
}

static inline Stored *
stored_at(const Bucket *bucket, uint32 place)
{
	return place == MAP_NONE ? NULL : (Stored *) bucket->bills.items + place;
}

/*
 * Reads the bucket that verify, number, closed and labels name, into the current memory context. Lines that no bill
 * claims are reported at once; everything else is left to be judged.
 */
extern void seen_read(Bucket *bucket);

/* A run of the month; NULL when it has none of that id. */
extern RunSeen *seen_run(const Bucket *bucket, int64 run_id);

/* The newest run that has dealt with an account; 0 = none. */
extern int64 seen_last_taken_by(const Bucket *bucket, int64 account_id);

#endif
