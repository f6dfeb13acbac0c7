/*
 * recurring.c: what subscriptions cost by the month.
 *
 * Responsible for the first stage: it looks at each subscription in the given order, finds its product, its days in the
 * month and its rows of usage, and writes its recurring line. What it finds out stays in work->parts for the stages
 * after it, so no product is looked up twice.
 *
 * The invariant: a subscription that neither overlaps the month nor has usage cannot fail the account, however broken it
 * is, except that a range that ends before it starts always does. The amount is multiplied out first and divided and
 * rounded once: unit price × units × days / days of the month.
 *
 * Called by rate_account(). Not here: anything about usage but where its rows are.
 */
#include "rate/internal.h"

/* Usage rows of a subscription: the array is sorted by subscription, so they lie together. */
static void
find_usage(const Account *account, int64_t subscription_id, Part *part)
{
	const Usage *usage = account->usage;
	int32_t low = 0, high = account->usage_count;

	while (low < high)
	{
		int32_t middle = low + (high - low) / 2;

		if (usage[middle].subscription_id < subscription_id)
			low = middle + 1;
		else
			high = middle;
	}
	part->usage = low;
	while (low < account->usage_count && usage[low].subscription_id == subscription_id)
		low++;
	part->usage_end = low;
}

/* Which part of the month the subscription ran: the ratio of whatever is prorated. */
static void
measure(const Period *period, const Subscription *subscription, Part *part)
{
	part->numerator = part->days;
	part->denominator = period->days;
	if (part->product->proration == PRORATION_THIRTY)
	{
		part->numerator = ymd_overlap_thirty(*period, subscription->started_on, subscription->ended_on);
		part->denominator = 30;
	}
}

/* Finds out about one subscription; its own faults in the order product, currency, range, quantity, price. */
static bool
open_part(Work *work, const Subscription *subscription, Part *part)
{
	const int64_t id = subscription->subscription_id;
	bool used;

	part->product = NULL;
	part->on = later(work->period.from, subscription->started_on);
	part->days = ymd_overlap(work->period, subscription->started_on, subscription->ended_on);
	find_usage(work->account, id, part);
	for (int32_t i = part->usage; i < part->usage_end; i++)
		work->known[i] = true;
	used = part->days > 0 || part->usage < part->usage_end;
	if (used)
	{
		const Product *product = tariff_product(work->tariff, subscription->product_id);

		if (product == NULL)
			return fail(work, REASON_UNKNOWN_PRODUCT, id, subscription->product_id);
		if (product->currency != work->account->currency)
			return fail(work, REASON_CURRENCY_MISMATCH, id, subscription->product_id);
		part->product = product;
		part->product_index = (int32_t) (product - work->tariff->products);
	}
	if (subscription->ended_on < subscription->started_on)
		return fail(work, REASON_INVALID_SUBSCRIPTION, id, subscription->product_id);
	if (!used)
		return true;
	if (subscription->quantity < 0)
		return fail(work, REASON_INVALID_QUANTITY, 0, id);
	if (subscription->invalid != REASON_OK)
		return fail(work, subscription->invalid, id, subscription->product_id);
	if (subscription->has_unit_price && subscription->unit_price < 0)
		return fail(work, REASON_INVALID_PRICE, id, subscription->product_id);
	measure(&work->period, subscription, part);
	return true;
}

/* Cancelled so soon after its start that the product's refund window takes the whole charge back. */
static bool
refunded(const Product *product, const Subscription *subscription)
{
	return product->refund_days > 0 && subscription->ended_on != DAY_MAX &&
		   (int64_t) subscription->ended_on - subscription->started_on < product->refund_days;
}

static bool
find_price(Work *work, const Subscription *subscription, const Part *part, Amount *price)
{
	const Product *product = part->product;
	const Price *newest = NULL;

	if (subscription->has_unit_price)
	{
		*price = subscription->unit_price;
		return true;
	}
	for (int32_t i = product->price_count - 1; i >= 0 && newest == NULL; i--)
		if (product->prices[i].valid_from <= part->on)
			newest = &product->prices[i];
	if (newest == NULL)
		return fail(work, REASON_NO_PRICE, subscription->subscription_id, product->product_id);
	if (newest->invalid != REASON_OK)
		return fail(work, newest->invalid, subscription->subscription_id, product->product_id);
	*price = newest->unit_price;
	return true;
}

/* The recurring line of a subscription, and the item that discounts and taxes see. */
static bool
charge_part(Work *work, const Subscription *subscription, int32_t index)
{
	const Part *part = &work->parts[index];
	const bool whole = part->product->proration == PRORATION_NONE;
	Amount price, exact;
	int64_t amount;
	Line *line;

	if (!find_price(work, subscription, part, &price))
		return false;
	if (!amount_mul(price, subscription->quantity, &exact) ||
		!amount_post(exact, whole ? 1 : part->numerator, whole ? 1 : part->denominator, work->currency->exponent,
					 &amount) ||
		(line = bill_add_line(work, LINE_RECURRING, amount)) == NULL ||
		!money_add(work->bill->recurring, amount, &work->bill->recurring))
		return fail(work, REASON_OVERFLOW, 0, subscription->subscription_id);
	line->days = part->days;
	line->product = part->product_index;
	line->subscription_id = subscription->subscription_id;
	line->quantity = subscription->quantity;
	work->charged |= amount != 0;
	work->items[work->item_count++] = (Item){amount, index, work->bill->line_count - 1, false};
	return true;
}

bool
recurring_rate(Work *work)
{
	const Account *account = work->account;

	for (int32_t i = 0; i < account->subscription_count; i++)
	{
		const Subscription *subscription = &account->subscriptions[i];
		Part *part = &work->parts[i];

		if (!open_part(work, subscription, part))
			return false;
		if (part->days > 0 && !refunded(part->product, subscription) && !charge_part(work, subscription, i))
			return false;
	}
	return true;
}
