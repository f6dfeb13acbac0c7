/*
 * quote.h: a charge told key by key, as settle_quote() gets it.
 *
 * The caller walks the JSON and hands over each pair; here it is decided what the pair means and whether it can. So all
 * of settle_quote() but the walk can be tested and fuzzed without a server. Nothing is allocated: the caller owns the
 * tiers, sets charge.tiers and charge.tier_count, and opens each tier with QUOTE_TIER.
 *
 *     Quote quote = {0};
 *     quote_set(&quote, "model", …) && … && quote_price(&quote, 7500, 1, &amount)
 *
 * A false result has left in the Quote what is wrong.
 */
#ifndef RATE_QUOTE_H
#define RATE_QUOTE_H

#include "rate/rate.h"

typedef enum QuoteType { QUOTE_NULL, QUOTE_FLAG, QUOTE_NUMBER, QUOTE_STRING, QUOTE_NESTED } QuoteType;

typedef struct QuoteValue {
	QuoteType type;
	bool flag;
	const char *text; /* of a number or string; without a final 0 */
	size_t len;
} QuoteValue;

typedef enum QuoteFault {
	QUOTE_FINE,
	QUOTE_WRONG_VALUE,      /* key must be what `expected` says */
	QUOTE_UNKNOWN_KEY,
	QUOTE_UNKNOWN_TIER_KEY,
	QUOTE_NO_MODEL,
	QUOTE_UNUSABLE,         /* the charge as a whole, for `reason` */
	QUOTE_NEGATIVE,         /* quantity or rows */
	QUOTE_OUT_OF_RANGE
} QuoteFault;

typedef struct Quote {
	Charge charge;
	bool has_model;
	QuoteFault fault;
	const char *key; /* the caller's, or a constant */
	const char *expected;
	Reason reason;
} Quote;

/* A tier before any of its keys: without end. */
#define QUOTE_TIER ((Tier){.up_to = INT64_MAX})

/* Takes in one pair of the charge (any but "tiers") or of one of its tiers. */
bool quote_set(Quote *quote, const char *key, QuoteValue value);
bool quote_set_tier(Quote *quote, Tier *tier, const char *key, QuoteValue value);

/* Checks the charge as a whole and prices a month's quantity, exactly and unrounded. */
bool quote_price(Quote *quote, int64_t quantity, int64_t rows, Amount *amount);

#endif
