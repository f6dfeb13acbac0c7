/*
 * internal.h: what the stages of rate_account() share.
 *
 * A Work is one account on its way to a bill. Its arrays lie in the caller's workspace, sized by bill.c before the first
 * stage runs, so no stage allocates and none can run over: each writes at most what its comment says. The stages run in
 * the order recurring, usage, (adjustments in bill.c), discount, tax, and each leaves behind what the next one needs:
 *
 *   recurring  parts[]           every subscription with its product, days and usage rows; its line and item
 *   usage      cells[], items[]  what each charge is due, as lines and one item per charge
 *   discount   items[].left      what remains of each item
 *   tax        groups[]          the remains summed per (code, rate)
 *
 * A stage returns false for a fault, which it has then put into *fault.
 */
#ifndef RATE_INTERNAL_H
#define RATE_INTERNAL_H

#include "rate/rate.h"

/* A subscription as rating sees it; parallel to Account.subscriptions. */
typedef struct Part {
	const Product *product; /* NULL: neither in the month nor with usage, nothing to do */
	int32_t product_index;
	int32_t on;             /* the day that selects versions: the later of its start and the month's first */
	int32_t days;           /* in the month */
	int32_t numerator;      /* its part of the month, for whatever is prorated */
	int32_t denominator;
	int32_t usage;          /* its rows in Account.usage: [usage, usage_end) */
	int32_t usage_end;
} Part;

/* What is due for one charge of one subscription. */
typedef struct Cell {
	const Charge *charge;
	int32_t part;
	int32_t next;      /* the next participant of the same pool, -1 at the end */
	int64_t quantity;  /* its own, and what came from the pool */
	int64_t rows;
	int64_t allowance;
} Cell;

/* The cells that share one row of pool usage, first to last. */
typedef struct Pool {
	int32_t first;
	int32_t last;
} Pool;

/* A discountable unit: a recurring line, or all lines of one charge together. */
typedef struct Item {
	int64_t left; /* not yet discounted away, ≥ 0 */
	int32_t part;
	int32_t line; /* its first line, which shows the discounts */
	bool usage;
} Item;

typedef struct AppliedGrant {
	const Grant *grant;
	const Discount *discount;
} AppliedGrant;

typedef struct TaxGroup {
	int64_t base;
	int32_t tax;
	int32_t rate_ppm;
	bool inclusive;
} TaxGroup;

typedef struct Work {
	const Tariff *tariff;
	const Account *account;
	const Currency *currency;
	Bill *bill;
	Fault *fault;
	Period period;
	int64_t sum;      /* of all lines so far */
	bool charged;     /* some line before discounts is not 0 */
	bool by_product_sorted;
	int32_t item_count, cell_count, grant_count, group_count;
	int32_t unpriced; /* warnings of unpriced usage, the first of all */
	Part *parts;      /* per subscription */
	Cell *cells;      /* at most one per charge of each subscription */
	Pool *pools;      /* per row of pool usage */
	bool *known;      /* per usage row: a subscription claimed it */
	Item *items;      /* at most one per subscription and one per cell */
	int32_t *chosen;  /* per item: those that a discount works on */
	int64_t *weights; /* per item: what is left of the chosen */
	int64_t *shares;  /* per item: what the discount takes off each */
	int32_t *by_product; /* per item: items by (product, item) */
	AppliedGrant *grants; /* per grant */
	int32_t *grant_order; /* per grant */
	TaxGroup *groups; /* at most one per item and adjustment */
} Work;

bool recurring_rate(Work *work);
bool usage_rate(Work *work);
bool discount_apply(Work *work);
bool tax_apply(Work *work);

/* Appends a line whose other fields are empty; NULL: the sum of the lines overflows. */
Line *bill_add_line(Work *work, LineKind kind, int64_t amount);

static inline bool
fail(Work *work, Reason reason, int64_t a, int64_t b)
{
	*work->fault = (Fault){reason, a, b};
	return false;
}

static inline int32_t
later(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

#endif
