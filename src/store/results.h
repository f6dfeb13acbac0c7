/*
 * results.h: bills, their lines and their events, written in bulk.
 *
 * A Results is open for one chunk, inside its transaction: three writers on the leaves of one month and bucket.
 */
#ifndef STORE_RESULTS_H
#define STORE_RESULTS_H

#include "postgres.h"

#include "batch/run.h"
#include "outbox/emit.h"
#include "rate/rate.h"
#include "store/reader.h"

/* Values of the enums settle.line_kind and settle.bill_kind. */
typedef struct LabelValues {
	Oid lines[LINE_KIND_COUNT];
	Oid bill;
	Oid void_bill;
} LabelValues;

typedef struct Results Results;

extern void results_load_labels(LabelValues *labels);
extern Results *results_open(const Run *run, const Tariff *tariff, const LabelValues *labels, int bucket);
extern void results_bill(Results *results, const Account *account, const UsageSeen *seen, int16 revision, const Bill *bill);
extern void results_close(Results *results);

/* Takes a bill back: a revision of kind void, without lines and amounts, and its event. */
extern void results_void(Results *results, const VoidBill *bill);

/* Whether the error says that this bill or event is there already: the belt to the engine's exactly-once argument. */
extern bool results_are_doubled(const ErrorData *error);

/* Refuses triggers, foreign keys and foreign columns on the result tables of a month, and leaves out of place. */
extern void results_check(int32 month);

/* After a bucket's last chunk: statistics and block range summaries, so that the first queries are fast. */
extern void results_finish(int32 month, int bucket);

#endif
