/*
 * tax.c: taxes on what is left.
 *
 * Responsible for the sixth stage: it sums what discounts left of the items, and the adjustments, per (tax code, rate),
 * and computes each tax once on its sum, half up on the magnitude. An exclusive tax is a line that is added; an
 * inclusive one is already in the prices, so it is shown on a line of amount 0 and summed in bill.included_tax.
 *
 * The invariants: tax is never computed per line, so lines cannot drift from it; two codes of the same rate stay apart;
 * lines come by (tax, rate) whatever the order of the subscriptions. Called by rate_account() after discounts. Not here:
 * which code a product has, and rates per customer.
 */
#include "rate/internal.h"

#define MILLION 1000000

/* The product's tax or the adjustment's, valid on a day; *rate stays NULL when it is not taxed. names: for a fault. */
static bool
find_rate(Work *work, int32_t tax, int32_t on, Fault names, const TaxRate **rate)
{
	const Tax *found;

	*rate = NULL;
	if (tax == -1)
		return true;
	if (tax < 0)
		return fail(work, REASON_UNKNOWN_TAX, names.a, names.b);
	found = &work->tariff->taxes[tax];
	for (int32_t i = found->rate_count - 1; i >= 0 && *rate == NULL; i--)
		if (found->rates[i].valid_from <= on)
			*rate = &found->rates[i];
	if (*rate == NULL)
		return fail(work, REASON_UNKNOWN_TAX, names.a, names.b);
	if ((*rate)->invalid != REASON_OK || (*rate)->rate_ppm < 0)
		return fail(work, (*rate)->invalid != REASON_OK ? (*rate)->invalid : REASON_INVALID_TAX, names.a, names.b);
	return true;
}

static bool
group_before(const TaxGroup *a, const TaxGroup *b)
{
	if (a->inclusive != b->inclusive)
		return !a->inclusive;
	return a->tax != b->tax ? a->tax < b->tax : a->rate_ppm < b->rate_ppm;
}

/*
 * Adds to the group of a rate. Groups are kept in the order of their lines; there are as many as distinct rates on the
 * bill, so making room for a new one is cheap however many items there are.
 */
static bool
add_to_group(Work *work, int32_t tax, const TaxRate *rate, int64_t amount)
{
	TaxGroup wanted = {amount, tax, rate->rate_ppm, rate->inclusive};
	TaxGroup *groups = work->groups;
	int32_t low = 0, high = work->group_count;

	while (low < high)
	{
		int32_t middle = low + (high - low) / 2;

		if (group_before(&groups[middle], &wanted))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == work->group_count || group_before(&wanted, &groups[low]))
	{
		for (int32_t i = work->group_count++; i > low; i--)
			groups[i] = groups[i - 1];
		groups[low] = wanted;
		return true;
	}
	return money_add(groups[low].base, amount, &groups[low].base) || fail(work, REASON_OVERFLOW, 0, 0);
}

static bool
collect_groups(Work *work)
{
	const Account *account = work->account;
	const TaxRate *rate;

	for (int32_t i = 0; i < work->item_count; i++)
	{
		const Item *item = &work->items[i];
		const Part *part = &work->parts[item->part];
		const Product *product = part->product;

		if (!find_rate(work, product->tax, part->on, (Fault){REASON_OK, product->product_id, 0}, &rate) ||
			(rate != NULL && !add_to_group(work, product->tax, rate, item->left)))
			return false;
	}
	for (int32_t i = 0; i < account->adjustment_count; i++)
	{
		const Adjustment *adjustment = &account->adjustments[i];

		if (!find_rate(work, adjustment->tax, work->period.from, (Fault){REASON_OK, 0, adjustment->adjustment_id},
					  &rate) ||
			(rate != NULL && !add_to_group(work, adjustment->tax, rate, adjustment->amount)))
			return false;
	}
	return true;
}

/* One group's tax and line; false: overflow. */
static bool
charge_group(Work *work, const TaxGroup *group)
{
	const int64_t whole = group->inclusive ? MILLION + (int64_t) group->rate_ppm : MILLION;
	int64_t *total = group->inclusive ? &work->bill->included_tax : &work->bill->tax;
	int64_t tax, product;
	Line *line;

	/* mostly fits 64 bits, where the divisor is a constant too */
	if (!group->inclusive && !__builtin_mul_overflow(group->base, (int64_t) group->rate_ppm, &product))
	{
		tax = product / MILLION;
		product %= MILLION;
		tax += product >= MILLION / 2 ? 1 : product <= -MILLION / 2 ? -1 : 0;
	}
	else if (!money_divide((Amount) group->base * group->rate_ppm, whole, ROUND_HALF_UP, &tax))
		return false;
	line = bill_add_line(work, group->inclusive ? LINE_INCLUDED_TAX : LINE_TAX, group->inclusive ? 0 : tax);
	if (line == NULL || !money_add(*total, tax, total))
		return false;
	line->tax = group->tax;
	line->rate_ppm = group->rate_ppm;
	line->base = group->base;
	return true;
}

bool
tax_apply(Work *work)
{
	if (!collect_groups(work))
		return false;
	for (int32_t i = 0; i < work->group_count; i++)
		if (work->groups[i].base != 0 && !charge_group(work, &work->groups[i]))
			return fail(work, REASON_OVERFLOW, 0, 0);
	return true;
}
