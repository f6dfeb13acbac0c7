/*
 * verify.h: what the parts of settle.verify_accounts() share.
 *
 * verify.c looks at one bucket (seen.h) after the other: accounts, bills, lines, usage. matching.c then looks at the outbox,
 * which has no buckets. Both report facts: rows of (fact, account_id, run_id, n), which src/sql/12_verify.sql makes into
 * promises.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "compat.h"

#include "executor/tuptable.h"

#include "common/payload.h"
#include "common/ymd.h"
#include "store/columns.h"

/* The events that the bills of a bucket owe, as their number and a sum of digests. */
typedef struct EventSum {
	int64 events;
	uint64 digest;
} EventSum;

typedef struct Verify {
	ReturnSetInfo *result;
	Period period;
	char month[16]; /* "2024-05" */
	int buckets;
	Oid bill_kinds[3]; /* values of settle.bill_kind, in the order of verify_kind_names */
	EventSum *owed;    /* by bucket */
} Verify;

enum { KIND_BILL, KIND_REBILL, KIND_VOID };
extern const char *const verify_kind_names[3];

/* A fact about an account (and a run), or, without an account, a count. */
extern void verify_fact(const Verify *verify, const char *fact, int64 account_id, int64 run_id);
extern void verify_count(const Verify *verify, const char *fact, int64 run_id, int64 n);

/* Columns of settle.bill and the values of such a row that an event repeats. */
extern const Columns verify_bills;
extern void verify_read_bill(const Verify *verify, const TupleTableSlot *slot, PayloadBill *bill);

/* What a bill and its event must have in common. */
extern uint64 verify_digest(const PayloadBill *bill);

/* Reports bills without their one event, and events without their bill, in the buckets whose sums differ. */
extern void verify_events(const Verify *verify);

#endif
