/*
 * payload.h: the data of settle's events, as JSON.
 *
 * One struct per event type, written with fixed keys in a fixed order: same struct, same bytes. The schemas are in
 * docs/events/. Amounts are integers in minor units; names are UTF-8. No personal data: ids, amounts, names of products
 * and discounts.
 */
#ifndef COMMON_PAYLOAD_H
#define COMMON_PAYLOAD_H

#include "common/json.h"

typedef struct PayloadLine {
	const char *kind;
	const char *name; /* product, discount or adjustment text, tax code; NULL = none */
	const char *metric; /* usage lines; NULL = none */
	int32_t product_id;
	bool has_product;
	bool has_quantity;
	int64_t quantity;
	int32_t days; /* 0 = none */
	int64_t amount;
} PayloadLine;

typedef struct PayloadBill {
	int32_t period; /* first day of the month, see ymd.h */
	int64_t account_id;
	int32_t revision;
	const char *kind; /* "bill", "rebill", "void" */
	int64_t run_id;
	const char *currency;
	int32_t exponent;
	int64_t recurring, usage, one_off, discount, tax, rounding, carried, arrears, credit_forward, total;
	int64_t included_tax;
	int32_t due_on;
	const char *settled_at; /* RFC 3339 */
} PayloadBill;

/* {"period":…,"lines":[ — then one payload_line() per line — then payload_bill_end(). */
void payload_bill_begin(Json *json, const PayloadBill *bill);
void payload_line(Json *json, const PayloadLine *line, bool first);
void payload_bill_end(Json *json);

/*
 * Reads such a payload back, up to its total: ids, kind and amounts; currency, due_on and settled_at stay NULL and 0.
 * Keys must come in the order of the writer, others may lie between them. False when it is none.
 */
bool payload_read_bill(const char *text, size_t len, PayloadBill *bill);

/* The whole number at the first `"key":` of a payload; false when there is none. */
bool payload_read_int(const char *text, size_t len, const char *key, int64_t *value);

/*
 * No event is larger: a text value of the database ends at 1 GB, and a reader must hold it. It is judged before a bill is
 * written, by its number of lines and the bytes of all their names and metrics, with the most that JSON needs for them.
 */
#define PAYLOAD_MAX ((size_t) 256 * 1024 * 1024)
size_t payload_bill_bound(size_t lines, size_t names);

typedef struct PayloadRun {
	int32_t period;
	const char *kind;
	int64_t run_id;
	int64_t due, bills, empty, skips;
	const char *totals; /* JSON object: currency → minor units */
	const char *at;     /* RFC 3339 */
} PayloadRun;

/* run.completed.v1 and run.released.v1 share one shape; at_key is "completed_at" or "released_at". */
void payload_run(Json *json, const PayloadRun *run, const char *at_key);

#endif
