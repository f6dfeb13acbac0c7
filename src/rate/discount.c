/*
 * discount.c: what discounts take off.
 *
 * Responsible for the fifth stage: the account's grants are put in their order and applied one after the other, each to
 * what the earlier ones left of the items it may touch. A discount that cannot apply (condition, nothing to work on) is
 * left out with a warning and never costs the account its bill.
 *
 * The invariants: no item goes below 0; what a discount's line takes equals what its items lost, exactly (largest
 * remainder, ties to the earlier item); the result does not depend on the order in which the grants were read, not even
 * which fault is reported when several grants are broken.
 *
 * Called by rate_account() after adjustments, which are never items and so never discounted. A discount on one product
 * finds that product's items through an index when the account is large, so many grants on many subscriptions do not
 * multiply. Not here: whether a discount's numbers are sound (rate_check_discount()).
 */
#include "rate/internal.h"

/* Below this many items, looking at all of them is faster than an index by product. */
#define INDEX_ITEMS 16

typedef bool (*Before)(const Work *work, int32_t a, int32_t b);

/* Heap sort: no memory, no bad case. Keys are unique, so that it is not stable does not show. */
static void
sift_down(const Work *work, Before before, int32_t *order, int32_t root, int32_t count)
{
	for (int32_t child; (child = 2 * root + 1) < count; root = child)
	{
		int32_t moved = order[root];

		if (child + 1 < count && before(work, order[child], order[child + 1]))
			child++;
		if (!before(work, moved, order[child]))
			return;
		order[root] = order[child];
		order[child] = moved;
	}
}

static void
sort_order(const Work *work, Before before, int32_t *order, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
		order[i] = i;
	for (int32_t root = count / 2 - 1; root >= 0; root--)
		sift_down(work, before, order, root, count);
	for (int32_t end = count - 1; end > 0; end--)
	{
		int32_t largest = order[0];

		order[0] = order[end];
		order[end] = largest;
		sift_down(work, before, order, 0, end);
	}
}

static bool
grant_before(const Work *work, int32_t a, int32_t b)
{
	const AppliedGrant *x = &work->grants[a], *y = &work->grants[b];

	if (x->discount->stage != y->discount->stage)
		return x->discount->stage < y->discount->stage;
	if (x->discount->priority != y->discount->priority)
		return x->discount->priority < y->discount->priority;
	if (x->discount->discount_id != y->discount->discount_id)
		return x->discount->discount_id < y->discount->discount_id;
	return x->grant->grant_id < y->grant->grant_id;
}

static int32_t
product_of(const Work *work, int32_t item)
{
	return work->parts[work->items[item].part].product_index;
}

static bool
item_before(const Work *work, int32_t a, int32_t b)
{
	int32_t x = product_of(work, a), y = product_of(work, b);

	return x != y ? x < y : a < b;
}

/* The grants of the month. Grants come in any order, so of several faults the one of the lowest grant is reported. */
static bool
collect_grants(Work *work)
{
	const Account *account = work->account;
	const Grant *broken = NULL;
	Reason reason = REASON_OK;

	for (int32_t i = 0; i < account->grant_count; i++)
	{
		const Grant *grant = &account->grants[i];
		const Discount *discount = NULL;
		Reason found = REASON_INVALID_GRANT;

		if (grant->ends_on >= grant->starts_on)
		{
			if (ymd_overlap(work->period, grant->starts_on, grant->ends_on) == 0)
				continue;
			discount = tariff_discount(work->tariff, grant->discount_id);
			found = REASON_UNKNOWN_DISCOUNT;
		}
		if (discount != NULL)
			work->grants[work->grant_count++] = (AppliedGrant){grant, discount};
		else if (broken == NULL || grant->grant_id < broken->grant_id)
		{
			broken = grant;
			reason = found;
		}
	}
	return broken == NULL || fail(work, reason, broken->grant_id, broken->discount_id);
}

/* What one grant may touch, resolved once. */
typedef struct Reach {
	const Discount *discount;
	bool one_product;
	int32_t product; /* index; -1: a product that does not exist */
} Reach;

static bool
family_named(const Discount *discount, int32_t family)
{
	for (int32_t i = 0; i < discount->family_count; i++)
		if (discount->families[i] == family)
			return true;
	return false;
}

static bool
reaches(const Work *work, const Reach *reach, const Item *item)
{
	const Discount *discount = reach->discount;
	const Part *part = &work->parts[item->part];

	if (reach->one_product && part->product_index != reach->product)
		return false;
	if (!part->product->discountable || discount->target == (item->usage ? TARGET_RECURRING : TARGET_USAGE))
		return false;
	return discount->scope != SCOPE_FAMILY || family_named(discount, part->product->family);
}

/* The subscription's whole years at the end of the month, or at its own end before that. */
static bool
tenured(const Work *work, const Discount *discount, const Item *item)
{
	const Subscription *subscription = &work->account->subscriptions[item->part];
	int32_t until = subscription->ended_on < work->period.to ? subscription->ended_on : work->period.to;

	return ymd_years(subscription->started_on, until) >= discount->condition_minimum;
}

/* Items by (product, item), built when a large account first needs it; returns where the product's begin. */
static int32_t
first_of_product(Work *work, int32_t product)
{
	int32_t low = 0, high = work->item_count;

	if (!work->by_product_sorted)
		sort_order(work, item_before, work->by_product, work->item_count);
	work->by_product_sorted = true;
	while (low < high)
	{
		int32_t middle = low + (high - low) / 2;

		if (product_of(work, work->by_product[middle]) < product)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Collects the eligible items in work->chosen. *reached: some would be but for the tenure condition. */
static int32_t
choose_items(Work *work, const Reach *reach, bool *reached)
{
	const bool indexed = reach->one_product && work->item_count > INDEX_ITEMS;
	const bool tenure = reach->discount->condition == CONDITION_TENURE_YEARS;
	int32_t count = 0;

	*reached = false;
	for (int32_t i = indexed ? first_of_product(work, reach->product) : 0; i < work->item_count; i++)
	{
		int32_t index = indexed ? work->by_product[i] : i;
		const Item *item = &work->items[index];

		if (indexed && product_of(work, index) != reach->product)
			break;
		if (!reaches(work, reach, item))
			continue;
		*reached = true;
		if (!tenure || tenured(work, reach->discount, item))
			work->chosen[count++] = index;
	}
	return count;
}

/* What the discount takes off a base, rounded half up and never more than the base. */
static bool
amount_off(const Work *work, const Discount *discount, int64_t base, int64_t *off)
{
	static const int64_t ppm = 100000000, unit = 1000000000000;
	int64_t product;

	if (discount->kind == DISCOUNT_AMOUNT)
	{
		if (!amount_post(discount->value, 1, 1, work->currency->exponent, off))
			*off = base; /* more than any base */
		if (*off > base)
			*off = base;
		return true;
	}
	/* percents of at most 4 decimals are whole millionths, which mostly keeps the product in 64 bits */
	if (discount->value % ppm == 0 && !__builtin_mul_overflow(base, (int64_t) (discount->value / ppm), &product))
		return money_divide(product, 1000000, ROUND_HALF_UP, off);
	return money_divide(discount->value * base, (Amount) 100 * unit, ROUND_HALF_UP, off);
}

/* Takes `off` from the chosen items and writes the discount's line. */
static bool
take_off(Work *work, const Discount *discount, int32_t count, int64_t base, int64_t off)
{
	int32_t product = product_of(work, work->chosen[0]);
	Line *line;

	money_spread(off, work->weights, work->shares, count);
	for (int32_t i = 0; i < count; i++)
	{
		Item *item = &work->items[work->chosen[i]];

		item->left -= work->shares[i];
		work->bill->lines[item->line].discounted -= work->shares[i];
		if (product_of(work, work->chosen[i]) != product)
			product = -1;
	}
	line = bill_add_line(work, LINE_DISCOUNT, -off);
	if (line == NULL || !money_add(work->bill->discount, -off, &work->bill->discount))
		return fail(work, REASON_OVERFLOW, 0, 0);
	line->base = base;
	line->discount = (int32_t) (discount - work->tariff->discounts);
	line->product = product;
	return true;
}

static bool
warn(Work *work, Reason reason, const Grant *grant)
{
	work->bill->warnings[work->bill->warning_count++] = (Fault){reason, grant->grant_id, grant->discount_id};
	return true;
}

/* Faults of a grant that need its discount; *reach when there are none. */
static bool
resolve(Work *work, const AppliedGrant *applied, Reach *reach)
{
	const Grant *grant = applied->grant;
	const Discount *discount = applied->discount;
	const int32_t product_id = grant->has_product ? grant->product_id : discount->product_id;
	const Product *product;

	if (discount->invalid != REASON_OK)
		return fail(work, discount->invalid, grant->grant_id, discount->discount_id);
	if (discount->currency != -1 && discount->currency != work->account->currency)
		return fail(work, REASON_CURRENCY_MISMATCH, grant->grant_id, discount->discount_id);
	*reach = (Reach){discount, grant->has_product || discount->has_product, -1};
	if (discount->scope == SCOPE_PRODUCT && !reach->one_product)
		return fail(work, REASON_INVALID_GRANT, grant->grant_id, discount->discount_id);
	product = reach->one_product ? tariff_product(work->tariff, product_id) : NULL;
	if (product != NULL)
		reach->product = (int32_t) (product - work->tariff->products);
	return true;
}

static bool
apply(Work *work, const AppliedGrant *applied)
{
	const Grant *grant = applied->grant;
	const Discount *discount = applied->discount;
	const Account *account = work->account;
	const int32_t on = later(work->period.from, grant->starts_on);
	int64_t base = 0, off;
	int32_t count;
	bool reached;
	Reach reach;

	if (!resolve(work, applied, &reach))
		return false;
	if (on < discount->valid_from || on >= discount->valid_to)
		return warn(work, REASON_GRANT_NOT_APPLICABLE, grant);
	count = choose_items(work, &reach, &reached);
	if (!reached)
		return warn(work, REASON_GRANT_NOT_APPLICABLE, grant);
	if (count == 0 || (discount->condition == CONDITION_GROUP_SIZE &&
					   !(account->has_group && account->group_size >= discount->condition_minimum)))
		return warn(work, REASON_CONDITION_NOT_MET, grant);
	for (int32_t i = 0; i < count; i++)
	{
		work->weights[i] = work->items[work->chosen[i]].left;
		if (!money_add(base, work->weights[i], &base))
			return fail(work, REASON_OVERFLOW, 0, 0);
	}
	if (!amount_off(work, discount, base, &off))
		return fail(work, REASON_OVERFLOW, 0, 0);
	return off == 0 || take_off(work, discount, count, base, off);
}

bool
discount_apply(Work *work)
{
	if (work->account->grant_count == 0)
		return true;
	if (!collect_grants(work))
		return false;
	sort_order(work, grant_before, work->grant_order, work->grant_count);
	for (int32_t i = 0; i < work->grant_count; i++)
		if (!apply(work, &work->grants[work->grant_order[i]]))
			return false;
	return true;
}
