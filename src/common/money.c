/*
 * money.c: arithmetic on amounts.
 *
 * Responsible for every multiplication, division and rounding of money in the project. The invariants: no result is
 * ever silently wrong (what does not fit is reported), and an amount is rounded in one place only, half up on the
 * magnitude, so that a charge and the credit that takes it back cancel to zero.
 *
 * Called by rating for each line of each bill, hence the 64-bit paths: nearly every amount is below 9 million major
 * units, where a division costs a few nanoseconds; a 128-bit one costs ten times that. The wide paths give the same
 * answers and are only slower. 128-bit products are checked by hand because __builtin_mul_overflow on __int128 needs a
 * function of compiler-rt (__muloti4) that programs linked with libgcc do not have.
 *
 * Not here: which amounts are multiplied (rate/), how they are shown with a currency (SQL, templates).
 */
#include "common/money.h"

__extension__ typedef unsigned __int128 Magnitude;

#define MAGNITUDE_MAX (((Magnitude) 1 << 127) - 1)

/* Shares up to which money_spread() picks the largest remainders by scanning instead of searching a threshold. */
#define SPREAD_SMALL 16

/* 10^12 / 10^exponent: an Amount's units in one minor unit */
static const uint64_t minor_unit[5] = {
	UINT64_C(1000000000000), UINT64_C(100000000000), UINT64_C(10000000000), UINT64_C(1000000000), UINT64_C(100000000)};

static inline Magnitude
magnitude(Amount amount)
{
	return amount < 0 ? -(Magnitude) amount : (Magnitude) amount;
}

static inline bool
is_narrow(Magnitude value)
{
	return (value >> 64) == 0;
}

/* Puts the sign back. The most negative value counts as an overflow: it has no opposite. */
static inline bool
with_sign(Magnitude value, bool negative, int64_t *result)
{
	if (value > INT64_MAX)
		return false;
	*result = negative ? -(int64_t) value : (int64_t) value;
	return true;
}

bool
amount_add(Amount a, Amount b, Amount *result)
{
	return !__builtin_add_overflow(a, b, result);
}

bool
amount_mul(Amount a, Amount b, Amount *result)
{
	Magnitude x, y, cross, product;

	if (a == (int64_t) a && b == (int64_t) b)
	{
		*result = a * b;
		return true;
	}
	x = magnitude(a);
	y = magnitude(b);
	if (!is_narrow(x) && !is_narrow(y))
		return false;
	/* one high half is 0, so the sum of the cross products is a single 64 × 64 bit product */
	cross = (x >> 64) * (uint64_t) y + (y >> 64) * (uint64_t) x;
	if (!is_narrow(cross))
		return false;
	product = (Magnitude) (uint64_t) x * (uint64_t) y;
	if (__builtin_add_overflow(product, cross << 64, &product) || product > MAGNITUDE_MAX)
		return false;
	*result = (a < 0) != (b < 0) ? -(Amount) product : (Amount) product;
	return true;
}

bool
amount_parse(const char *text, size_t len, Amount *result)
{
	Magnitude value = 0;
	size_t at = 0, digits = 0;
	int decimals = 0;
	bool negative = len > 0 && text[0] == '-', point = false;

	for (at = negative; at < len; at++)
	{
		unsigned digit = (unsigned) (unsigned char) text[at] - '0';

		if (text[at] == '.' && !point && digits > 0)
		{
			point = true;
			digits = 0;
			continue;
		}
		if (digit > 9)
			return false;
		digits++;
		if (point && decimals == AMOUNT_DECIMALS)
		{
			/* zeros that say nothing are fine: numeric keeps those it was typed with */
			if (digit != 0)
				return false;
			continue;
		}
		decimals += point;
		if (value > (MAGNITUDE_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (digits == 0)
		return false;
	for (; decimals < AMOUNT_DECIMALS; decimals++)
	{
		if (value > MAGNITUDE_MAX / 10)
			return false;
		value *= 10;
	}
	*result = negative ? -(Amount) value : (Amount) value;
	return true;
}

int
amount_print(Amount amount, char *text)
{
	Magnitude value = magnitude(amount);
	char reverse[AMOUNT_TEXT_SIZE];
	int count = 0, len = 0, decimals = AMOUNT_DECIMALS;

	for (; decimals > 0 && value % 10 == 0; decimals--)
		value /= 10;
	for (int i = 0; i < decimals; i++, value /= 10)
		reverse[count++] = (char) ('0' + (int) (value % 10));
	if (decimals > 0)
		reverse[count++] = '.';
	do
	{
		reverse[count++] = (char) ('0' + (int) (value % 10));
		value /= 10;
	} while (value > 0);
	if (amount < 0)
		text[len++] = '-';
	while (count > 0)
		text[len++] = reverse[--count];
	text[len] = '\0';
	return len;
}

bool
amount_post(Amount amount, int64_t numerator, int64_t denominator, int exponent, int64_t *minor)
{
	const uint64_t unit = minor_unit[exponent];
	Magnitude wide = magnitude(amount);
	uint64_t value = (uint64_t) wide, quotient, rest, whole;
	Amount product;

	if (is_narrow(wide))
	{
		whole = value / unit;
		rest = value - whole * unit;
		if (numerator == denominator)
			return with_sign(whole + (rest >= unit - rest), amount < 0, minor);
		/* an amount of whole minor units: the unit cancels out of the fraction */
		if (rest == 0 && !__builtin_mul_overflow(whole, (uint64_t) numerator, &value))
		{
			quotient = value / (uint64_t) denominator;
			rest = value - quotient * (uint64_t) denominator;
			return with_sign((Magnitude) quotient + (rest >= (uint64_t) denominator - rest), amount < 0, minor);
		}
	}
	return amount_mul(amount, numerator, &product) &&
		   money_divide(product, (Amount) unit * denominator, ROUND_HALF_UP, minor);
}

/* Whether the magnitude goes up, given that rest ≠ 0 was left; half: rest against the other half, -1, 0 or 1. */
static bool
rounds_up(RoundingMode mode, int half, bool odd, bool negative)
{
	switch (mode)
	{
		case ROUND_HALF_UP:
			return half >= 0;
		case ROUND_HALF_EVEN:
			return half > 0 || (half == 0 && odd);
		case ROUND_UP:
			return true;
		case ROUND_DOWN:
			return false;
		case ROUND_CEIL:
			return !negative;
		case ROUND_FLOOR:
			return negative;
	}
	return false;
}

bool
money_divide(Amount numerator, Amount denominator, RoundingMode mode, int64_t *result)
{
	const bool negative = numerator < 0;
	const Magnitude value = magnitude(numerator), divisor = (Magnitude) denominator;
	Magnitude quotient, rest;

	if (is_narrow(value) && is_narrow(divisor))
	{
		quotient = (uint64_t) value / (uint64_t) divisor;
		rest = (uint64_t) value % (uint64_t) divisor;
	}
	else
	{
		quotient = value / divisor;
		rest = value - quotient * divisor;
	}
	if (rest != 0)
	{
		/* rest is compared with what is missing to the next integer: twice the rest might not fit */
		int half = rest > divisor - rest ? 1 : rest == divisor - rest ? 0 : -1;

		quotient += rounds_up(mode, half, (quotient & 1) != 0, negative);
	}
	return with_sign(quotient, negative, result);
}

bool
money_round_to(int64_t amount, int64_t unit, RoundingMode mode, int64_t *result)
{
	int64_t multiple;

	return money_divide(amount, unit, mode, &multiple) && !__builtin_mul_overflow(multiple, unit, result);
}

/* The whole part of total × weight / sum; *rest is what the division leaves. */
static int64_t
whole_share(int64_t total, int64_t weight, int64_t sum, int64_t *rest)
{
	uint64_t narrow;
	Magnitude wide;

	if (!__builtin_mul_overflow((uint64_t) total, (uint64_t) weight, &narrow))
	{
		*rest = (int64_t) (narrow % (uint64_t) sum);
		return (int64_t) (narrow / (uint64_t) sum);
	}
	wide = (Magnitude) (uint64_t) total * (uint64_t) weight;
	*rest = (int64_t) (wide % (uint64_t) sum);
	return (int64_t) (wide / (uint64_t) sum);
}

/* Few shares: gives the `left` units out one by one, each to the largest remainder not yet served. */
static void
spread_small(int64_t left, int64_t *rests, int64_t *shares, int n)
{
	for (; left > 0; left--)
	{
		int best = 0;

		for (int i = 1; i < n; i++)
			if (rests[i] > rests[best])
				best = i;
		shares[best]++;
		rests[best] = -1;
	}
}

/*
 * Many shares: the units go to the remainders above a threshold, found by bisection, and to the first of those equal
 * to it. Linear in n, and `shares` is all the memory it needs: it holds the remainders until the threshold is known.
 */
static void
spread_large(int64_t total, int64_t left, int64_t sum, const int64_t *weights, int64_t *shares, int n)
{
	int64_t low = 0, high = sum, above = 0;

	/* the largest threshold that at least `left` remainders reach */
	while (high - low > 1)
	{
		int64_t middle = low + (high - low) / 2, reached = 0;

		for (int i = 0; i < n; i++)
			reached += shares[i] >= middle;
		if (reached >= left)
			low = middle;
		else
			high = middle;
	}
	for (int i = 0; i < n; i++)
		above += shares[i] > low;
	left -= above;
	for (int i = 0; i < n; i++)
	{
		int64_t rest = shares[i];
		bool gets = rest > low || (rest == low && left-- > 0);

		shares[i] = whole_share(total, weights[i], sum, &rest) + gets;
	}
}

void
money_spread(int64_t total, const int64_t *weights, int64_t *shares, int n)
{
	int64_t rests[SPREAD_SMALL];
	int64_t sum = 0, given = 0;

	for (int i = 0; i < n; i++)
		sum += weights[i];
	if (sum == 0 || n == 1)
	{
		for (int i = 0; i < n; i++)
			shares[i] = total;
		return;
	}
	for (int i = 0; i < n; i++)
	{
		int64_t rest;
		int64_t share = whole_share(total, weights[i], sum, &rest);

		given += share;
		if (n <= SPREAD_SMALL)
		{
			shares[i] = share;
			rests[i] = rest;
		}
		else
			shares[i] = rest;
	}
	if (n <= SPREAD_SMALL)
		spread_small(total - given, rests, shares, n);
	else
		spread_large(total, total - given, sum, weights, shares, n);
}
