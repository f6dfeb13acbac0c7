/*
 * slow.h: prices a second time, as the rules are written and without a thought for speed.
 *
 * For the harnesses to compare with. Products are sums, overflows are seen by the compiler's own check of additions, an
 * amount is rounded by one division. Nothing here is shared with src/rate or src/common but the structs. A function is
 * false when its result does not fit.
 */
#ifndef FUZZ_SLOW_H
#define FUZZ_SLOW_H

#include "fuzz.h"
#include "rate/rate.h"

/* amount × count by doubling; both ≥ 0. */
static bool
slow_mul(Amount amount, int64_t count, Amount *result)
{
	bool fits = true;

	for (*result = 0; count > 0; count /= 2)
	{
		if (count % 2 == 1 && (!fits || __builtin_add_overflow(*result, amount, result)))
			return false;
		fits = fits && !__builtin_add_overflow(amount, amount, &amount);
	}
	return true;
}

/* amount × part / whole in minor units, half up; amount ≥ 0. */
static inline bool
slow_post(Amount amount, int64_t part, int64_t whole, int exponent, Amount *minor)
{
	Amount unit = MAJOR, product;

	for (int i = 0; i < exponent; i++)
		unit /= 10;
	if (part == whole)
		part = whole = 1;
	if (!slow_mul(amount, part, &product))
		return false;
	unit *= whole;
	*minor = product / unit + (2 * (product % unit) >= unit);
	return *minor <= INT64_MAX;
}

static bool
slow_add_tier(const Tier *tier, int64_t units, Amount *sum)
{
	Amount part;

	return slow_mul(tier->unit_amount, units, &part) && !__builtin_add_overflow(*sum, part, sum) &&
		   !__builtin_add_overflow(*sum, tier->flat_amount, sum);
}

static bool
slow_tiers(const Charge *charge, int64_t units, bool zero_flat, Amount *sum)
{
	int64_t below = 0;

	if (units == 0 && zero_flat)
		*sum = charge->tiers[0].flat_amount;
	for (int32_t i = 0; i < charge->tier_count && units > below; below = charge->tiers[i++].up_to)
	{
		const Tier *tier = &charge->tiers[i];

		if (charge->model == CHARGE_GRADUATED && !slow_add_tier(tier, (units < tier->up_to ? units : tier->up_to) - below, sum))
			return false;
		if (charge->model == CHARGE_VOLUME && units <= tier->up_to && !slow_add_tier(tier, units, sum))
			return false;
	}
	return true;
}

/* The price of the units beyond the allowance, without minimum and maximum. */
static bool
slow_price(const Charge *charge, int64_t units, int64_t rows, bool zero_flat, Amount *sum)
{
	Amount events;

	*sum = 0;
	switch (charge->model)
	{
		case CHARGE_UNLIMITED:
			return true;
		case CHARGE_PER_UNIT:
			if (!slow_mul(charge->unit_amount, units, sum))
				return false;
			break;
		case CHARGE_PACKAGE:
			if (!slow_mul(charge->unit_amount,
						  units / charge->package_size + (!charge->package_round_down && units % charge->package_size > 0),
						  sum))
				return false;
			break;
		case CHARGE_GRADUATED:
		case CHARGE_VOLUME:
			if (!slow_tiers(charge, units, zero_flat, sum))
				return false;
			break;
	}
	return slow_mul(charge->event_amount, rows, &events) && !__builtin_add_overflow(*sum, events, sum);
}

#endif
