/*
 * tariff.c: finding rows of the catalogue and telling sound ones from broken ones.
 *
 * Responsible for lookups by id in a frozen Tariff, and for the checks that the catalogue reader runs once per row so
 * that rating, which runs a million times, need not: it marks a broken row `invalid`, and only the accounts that use the
 * row are skipped.
 *
 * The invariant: a charge or discount that passes its check cannot make rating divide by zero, run past its tiers or
 * produce a negative amount. Called by the catalogue reader (checks) and by every stage of rating (lookups).
 *
 * Not here: choosing among versions, which depends on the subscription (recurring.c, usage.c, tax.c).
 */
#include "rate/rate.h"

/*
 * Index of an id in an array sorted by it, -1 when absent. Ids are mostly 1 … n without gaps, so the place where the id
 * would then be is tried first; it saves the mispredicted branches of the search.
 */
#define FIND(array, count, id_field, id, found)                                                                        \
	do                                                                                                                 \
	{                                                                                                                  \
		int32_t low_ = 0, high_ = (count);                                                                             \
		int64_t guess_ = high_ > 0 ? (int64_t) (id) - (array)[0].id_field : -1;                                        \
                                                                                                                       \
		(found) = -1;                                                                                                  \
		if (guess_ >= 0 && guess_ < high_ && (array)[guess_].id_field == (id))                                         \
		{                                                                                                              \
			(found) = (int32_t) guess_;                                                                                \
			break;                                                                                                     \
		}                                                                                                              \
		while (low_ < high_)                                                                                           \
		{                                                                                                              \
			int32_t middle_ = low_ + (high_ - low_) / 2;                                                               \
                                                                                                                       \
			if ((array)[middle_].id_field < (id))                                                                      \
				low_ = middle_ + 1;                                                                                    \
			else                                                                                                       \
				high_ = middle_;                                                                                       \
		}                                                                                                              \
		if (low_ < (count) && (array)[low_].id_field == (id))                                                          \
			(found) = low_;                                                                                            \
	} while (0)

const Product *
tariff_product(const Tariff *tariff, int32_t product_id)
{
	int32_t found;

	FIND(tariff->products, tariff->product_count, product_id, product_id, found);
	return found < 0 ? NULL : &tariff->products[found];
}

const Metric *
tariff_metric(const Tariff *tariff, int32_t metric_id)
{
	int32_t found;

	FIND(tariff->metrics, tariff->metric_count, metric_id, metric_id, found);
	return found < 0 ? NULL : &tariff->metrics[found];
}

const Discount *
tariff_discount(const Tariff *tariff, int32_t discount_id)
{
	int32_t found;

	FIND(tariff->discounts, tariff->discount_count, discount_id, discount_id, found);
	return found < 0 ? NULL : &tariff->discounts[found];
}

static bool
has_tiers(const Charge *charge)
{
	return charge->model == CHARGE_GRADUATED || charge->model == CHARGE_VOLUME;
}

/* Tiers must rise from above 0 and leave no quantity without a price: a finite last tier would be a free cap. */
static bool
tiers_rise(const Charge *charge)
{
	int64_t previous = 0;

	for (int32_t i = 0; i < charge->tier_count; i++)
	{
		if (charge->tiers[i].up_to <= previous)
			return false;
		previous = charge->tiers[i].up_to;
	}
	return previous == INT64_MAX;
}

Reason
rate_check_charge(const Charge *charge)
{
	if ((unsigned) charge->model > CHARGE_UNLIMITED || charge->unit_amount < 0 || charge->event_amount < 0 ||
		charge->included < 0)
		return REASON_INVALID_CHARGE;
	if ((charge->has_minimum && charge->minimum < 0) || (charge->has_maximum && charge->maximum < 0) ||
		(charge->has_minimum && charge->has_maximum && charge->minimum > charge->maximum))
		return REASON_INVALID_CHARGE;
	if (charge->model == CHARGE_PACKAGE && charge->package_size < 1)
		return REASON_INVALID_CHARGE;
	if (!has_tiers(charge))
		return REASON_OK;
	for (int32_t i = 0; i < charge->tier_count; i++)
		if (charge->tiers[i].unit_amount < 0 || charge->tiers[i].flat_amount < 0)
			return REASON_INVALID_CHARGE;
	return tiers_rise(charge) ? REASON_OK : REASON_INVALID_TIERS;
}

Reason
rate_check_discount(const Discount *discount)
{
	static const Amount hundred = (Amount) 100 * 1000000000000;

	if ((unsigned) discount->kind > DISCOUNT_PERCENT || (unsigned) discount->scope > SCOPE_BILL ||
		(unsigned) discount->target > TARGET_ALL || (unsigned) discount->condition > CONDITION_TENURE_YEARS)
		return REASON_INVALID_DISCOUNT;
	if (discount->value <= 0 || (discount->kind == DISCOUNT_PERCENT && discount->value > hundred))
		return REASON_INVALID_DISCOUNT;
	if (discount->condition != CONDITION_NONE && discount->condition_minimum < 1)
		return REASON_INVALID_DISCOUNT;
	if (discount->scope == SCOPE_FAMILY && discount->family_count < 1)
		return REASON_INVALID_DISCOUNT;
	return REASON_OK;
}

bool
rate_increment(const Metric *metric, int64_t quantity, int64_t *billed)
{
	int64_t rest, step = metric->increment_then;

	if (quantity <= metric->increment_first)
	{
		*billed = quantity == 0 ? 0 : metric->increment_first;
		return true;
	}
	/* above the first increment what matters is the part that lies beyond it */
	rest = (quantity - metric->increment_first) % step;
	return !__builtin_add_overflow(quantity, rest == 0 ? 0 : step - rest, billed);
}
