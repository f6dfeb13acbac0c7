/*
 * money.h: exact amounts.
 *
 * Two kinds of amount exist. A posted amount is an int64 of minor units (cents, won). An unposted one, a price or the
 * result of rating before its single rounding, is an Amount: a 128-bit integer of 10^-12 major units, which holds every
 * price of at most 12 decimals exactly. Nothing here is floating point, allocates or fails in any way but by returning
 * false for an overflow.
 *
 * Freestanding: compiled into the server module, the daemons and the unit tests.
 */
#ifndef COMMON_MONEY_H
#define COMMON_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Aligned like an int64, as PostgreSQL aligns its own: palloc() promises no more. */
__extension__ typedef __int128 Amount __attribute__((aligned(8)));

#define AMOUNT_DECIMALS 12
/* enough for a sign, 39 digits, a point and the end */
#define AMOUNT_TEXT_SIZE 44

typedef enum RoundingMode {
	ROUND_HALF_UP,
	ROUND_HALF_EVEN,
	ROUND_UP,
	ROUND_DOWN,
	ROUND_CEIL,
	ROUND_FLOOR
} RoundingMode;

/* *result = a + b; a × b. False: overflow, *result unspecified. */
bool amount_add(Amount a, Amount b, Amount *result);
bool amount_mul(Amount a, Amount b, Amount *result);

/* Reads a decimal like -12.345; false when it is malformed, has more than 12 significant decimals or overflows. */
bool amount_parse(const char *text, size_t len, Amount *result);

/* Writes the shortest exact decimal, without exponent, and returns its length; text has AMOUNT_TEXT_SIZE bytes. */
int amount_print(Amount amount, char *text);

/*
 * Posts an amount: amount × numerator / denominator in minor units of a currency with `exponent` decimals (0–4),
 * rounded half up on the magnitude, once. numerator ≥ 0, denominator > 0. False: it, or amount × numerator, does not
 * fit.
 */
bool amount_post(Amount amount, int64_t numerator, int64_t denominator, int exponent, int64_t *minor);

/* numerator / denominator rounded; denominator > 0. False: does not fit int64. */
bool money_divide(Amount numerator, Amount denominator, RoundingMode mode, int64_t *result);

/* amount brought to a multiple of unit (≥ 1). False: does not fit. */
bool money_round_to(int64_t amount, int64_t unit, RoundingMode mode, int64_t *result);

static inline bool
money_add(int64_t a, int64_t b, int64_t *result)
{
	return !__builtin_add_overflow(a, b, result);
}

/*
 * Spreads total (0 ≤ total ≤ Σ weights) over n shares in proportion to weights (each ≥ 0) by largest remainder: the
 * shares sum to total exactly, a tie goes to the lower index, and no share exceeds its weight. Σ weights fits int64.
 */
void money_spread(int64_t total, const int64_t *weights, int64_t *shares, int n);

#endif
