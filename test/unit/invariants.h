/*
 * invariants.h: what every bill keeps, whatever it was made of (DESIGN.md §3).
 *
 * Its lines sum to its total, each part is the sum of its kinds of line, shares of discounts sum to the discounts, no
 * remainder is negative, lines come in the documented order. The unit tests hold each bill they make to it, and so does
 * the fuzzer.
 */
#ifndef UNIT_INVARIANTS_H
#define UNIT_INVARIANTS_H

#include "rate/rate.h"

/* Whether one line is sound by itself and may follow the one before it. */
static inline bool
line_is_sound(const Line *line, const Line *before)
{
	const bool usage = line->kind >= LINE_USAGE && line->kind <= LINE_MAXIMUM;
	const bool usage_before = before->kind >= LINE_USAGE && before->kind <= LINE_MAXIMUM;

	if (before->kind > line->kind && !(usage && usage_before))
		return false;
	if (line->discounted > 0 || (line->discounted != 0 && line->kind > LINE_MINIMUM))
		return false;
	switch (line->kind)
	{
		case LINE_RECURRING:
			return line->amount + line->discounted >= 0;
		case LINE_MINIMUM:
			return line->amount > 0;
		case LINE_MAXIMUM:
			return line->amount < 0;
		case LINE_DISCOUNT:
			return line->amount < 0 && -line->amount <= line->base;
		case LINE_INCLUDED_TAX:
			return line->amount == 0;
		default:
			return (unsigned) line->kind < LINE_KIND_COUNT;
	}
}

/* The invariant that a bill breaks, in words; NULL when it keeps all. */
static inline const char *
bill_broken(const Bill *bill)
{
	/* wider than a bill: uncapped usage alone may exceed 64 bits where usage and maximum together do not */
	Amount kinds[LINE_KIND_COUNT] = {0}, sum = 0, discounted = 0;

	for (int32_t i = 0; i < bill->line_count; i++)
	{
		const Line *line = &bill->lines[i];

		if (!line_is_sound(line, i > 0 ? line - 1 : line))
			return "each line is sound and in its place";
		kinds[line->kind] += line->amount;
		sum += line->amount;
		discounted += line->discounted;
	}
	if (sum != bill->total)
		return "the lines sum to the total";
	if (bill->total < 0)
		return "the total is not negative";
	if (discounted != bill->discount)
		return "shares of discounts sum to the discounts";
	if (bill->recurring != kinds[LINE_RECURRING] || bill->one_off != kinds[LINE_ADJUSTMENT] ||
		bill->usage != kinds[LINE_USAGE] + kinds[LINE_MINIMUM] + kinds[LINE_MAXIMUM] ||
		bill->discount != kinds[LINE_DISCOUNT] || bill->tax != kinds[LINE_TAX] ||
		bill->rounding != kinds[LINE_ROUNDING] || bill->credit_forward != kinds[LINE_CREDIT_FORWARD] ||
		bill->carried != 0 || bill->arrears != 0)
		return "each part is the sum of its lines";
	return NULL;
}

#endif
