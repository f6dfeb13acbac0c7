/*
 * property_test.c: what holds for every account, shown on random ones.
 *
 * Random catalogues and accounts are rated and held to the invariants of DESIGN.md §3 (rig_rate() checks each bill), and
 * the same inputs in another order must give the same bytes. Pools, discounts and taxes are computed a second time by
 * slow code that follows the rules word by word. Charge models are held to their mathematics.
 *
 *   property_test [seed [accounts]]     the seed of a failing run reproduces it (with the same compiler)
 */
#include "rig.h"

#define COUNT(table) ((int) (sizeof(table) / sizeof((table)[0])))

static uint64_t state;

static uint64_t
draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * UINT64_C(0x2545F4914F6CDD1D) >> 11;
}

static int64_t
below(int64_t bound)
{
	return (int64_t) (draw() % (uint64_t) bound);
}

static int32_t
small(int32_t bound)
{
	return (int32_t) below(bound);
}

static bool
chance(int percent)
{
	return below(100) < percent;
}

/* An amount of up to 12 decimals, mostly of a few. */
static Amount
draw_amount(int64_t major_bound)
{
	static const int64_t fractions[] = {1, 1, 10, 100, 10000, 1000000000000};
	int64_t fraction = fractions[below(COUNT(fractions))];

	return (Amount) below(major_bound * (fraction > 10000 ? 1 : fraction)) * (1000000000000 / fraction);
}

/* ---- charge models ----------------------------------------------------------------------------------------------- */

static Charge
draw_charge(Tier *tiers, bool flat)
{
	Charge charge = {.charge_id = 1, .metric_id = 1, .valid_from = DAY_MIN, .model = (ChargeModel) below(5),
		.tiers = tiers, .tier_count = 1 + small(5), .package_size = 1 + below(100), .package_round_down = chance(30),
		.included = chance(50) ? below(200) : 0, .included_prorate = chance(70), .minimum_prorate = chance(70),
		.has_minimum = chance(20), .has_maximum = chance(20), .zero_flat = flat && chance(30)};
	int64_t up_to = 0;

	charge.unit_amount = draw_amount(20);
	charge.event_amount = chance(20) ? draw_amount(3) : 0;
	charge.minimum = draw_amount(500);
	charge.maximum = charge.minimum + draw_amount(2000);
	for (int32_t i = 0; i < charge.tier_count; i++)
	{
		up_to += 1 + below(80);
		tiers[i] = (Tier){i == charge.tier_count - 1 ? INT64_MAX : up_to, draw_amount(20), flat ? draw_amount(50) : 0};
	}
	return charge;
}

static Amount
price_of(const Charge *charge, int64_t quantity)
{
	Amount amount = -1;

	if (!rate_charge(charge, quantity, 0, 0, &amount))
		CHECK_CASE("overflow");
	return amount;
}

/* Unit amount of the tier that a unit falls into. */
static Amount
unit_at(const Charge *charge, int64_t unit)
{
	int32_t tier = 0;

	while (charge->tiers[tier].up_to < unit)
		tier++;
	return charge->tiers[tier].unit_amount;
}

static void
models(void)
{
	int rounds = 300, falls = 0, jumps = 0, unequal = 0, packages = 0, allowances = 0;

	for (int round = 0; round < rounds; round++)
	{
		Tier tiers[RIG_TIERS];
		Charge charge = draw_charge(tiers, round % 2 == 1), one = charge, volume;

		charge.model = CHARGE_GRADUATED;
		charge.event_amount = 0;
		for (int64_t quantity = 0; quantity < 450; quantity++)
		{
			Amount step = price_of(&charge, quantity + 1) - price_of(&charge, quantity);

			falls += step < 0; /* graduated never falls */
			if (round % 2 == 0) /* and without flat amounts it grows by the unit's own price: no jump at a tier */
				jumps += step != unit_at(&charge, quantity + 1);
		}
		one.event_amount = 0;
		one.model = CHARGE_GRADUATED;
		one.tier_count = 1;
		tiers[0].up_to = INT64_MAX;
		volume = one;
		volume.model = CHARGE_VOLUME;
		for (int64_t quantity = 0; quantity < 450; quantity += 7)
			unequal += price_of(&one, quantity) != price_of(&volume, quantity);
		charge.model = CHARGE_PACKAGE;
		for (int64_t quantity = 0; quantity < 450; quantity++)
		{
			int64_t whole = 0;

			while (whole * charge.package_size + (charge.package_round_down ? charge.package_size : 1) <= quantity)
				whole++;
			packages += price_of(&charge, quantity) != whole * charge.unit_amount;
		}
		for (int64_t quantity = 0; quantity < 450; quantity += 5)
		{
			Amount after = -1;

			charge.model = (ChargeModel) (quantity % 4);
			allowances += !rate_charge(&charge, quantity, 0, 100, &after) ||
						  after != price_of(&charge, quantity > 100 ? quantity - 100 : 0);
		}
	}
	CHECK_INT(falls, 0);
	CHECK_INT(jumps, 0);
	CHECK_INT(unequal, 0);
	CHECK_INT(packages, 0);
	CHECK_INT(allowances, 0);
}

/* ---- random accounts --------------------------------------------------------------------------------------------- */

static void
draw_product(Rig *rig, int32_t index)
{
	Product *product = rig_product(rig, index * 3 + 1, NULL);
	int32_t charges = small(4), versions = 1 + small(3);

	for (int32_t i = 0; i < versions; i++)
	{
		rig_price(rig, product, i == 0 ? DAY_MIN : rig->period.from - 40 + 30 * i, "0");
		rig->prices[index][i].unit_price = chance(10) ? 0 : draw_amount(100000);
	}
	product->family = small(4);
	product->tax = chance(60) ? small(3) : -1;
	product->refund_days = chance(30) ? 7 : 0;
	product->proration = (Proration) below(3);
	product->discountable = chance(80);
	for (int32_t i = 0; i < charges; i++)
	{
		Charge *charge = rig_charge(rig, product, 1 + i, CHARGE_PER_UNIT, "0");

		*charge = draw_charge(rig->tiers[index][i], true);
		charge->metric_id = 1 + i;
	}
}

static void
draw_discount(Rig *rig, int32_t index)
{
	Discount *discount = rig_discount(rig, index + 1, chance(50) ? DISCOUNT_AMOUNT : DISCOUNT_PERCENT, "1");

	discount->value = discount->kind == DISCOUNT_AMOUNT ? 1 + draw_amount(30000) : 1 + draw_amount(100);
	discount->scope = (DiscountScope) below(3);
	discount->target = (DiscountTarget) below(3);
	discount->condition = (DiscountCondition) (chance(60) ? 0 : below(3));
	discount->condition_minimum = 1 + small(3);
	discount->has_product = true;
	discount->product_id = small(rig->tariff.product_count) * 3 + 1;
	if (discount->scope != SCOPE_PRODUCT)
		discount->has_product = chance(20);
	discount->family_count = 2;
	rig->families[index][0] = small(4);
	rig->families[index][1] = small(4);
	discount->stage = small(3);
	discount->priority = small(2);
}

static int
compare_subscriptions(const void *a, const void *b)
{
	const Subscription *x = a, *y = b;

	if (x->started_on != y->started_on)
		return x->started_on < y->started_on ? -1 : 1;
	return (x->subscription_id > y->subscription_id) - (x->subscription_id < y->subscription_id);
}

static Rig *
draw_rig(int32_t most)
{
	Rig *rig = rig_new(202401 + small(12));
	int32_t subscriptions = small(most + 1), products = 1 + small(12), discounts = 1 + small(10);
	int32_t grants = chance(50) ? small(4) : small(most + 1), adjustments = chance(30) ? small(4) : 0;

	rig->account.currency = small(CURRENCIES);
	for (int32_t i = 0; i < 3; i++)
	{
		rig_tax(rig, i, DAY_MIN, small(30) * 10000, i == 2);
		if (chance(50))
			rig_tax(rig, i, rig->period.from + small(5), small(30) * 10000, i == 2);
	}
	for (int32_t i = 0; i < products; i++)
		draw_product(rig, i);
	for (int32_t i = 0; i < discounts; i++)
		draw_discount(rig, i);
	for (int32_t metric = 1; metric <= 3; metric++)
		if (chance(30))
			rig_use(rig, 0, metric, below(2000))->rows = 1 + below(9);
	for (int64_t id = 1; id <= subscriptions; id++)
	{
		Subscription *subscription = rig_subscribe(rig, id, small(products) * 3 + 1, DAY_MIN, DAY_MAX);

		subscription->started_on = rig->period.from - (chance(70) ? small(1500) : small(60) - 35);
		if (chance(30))
			subscription->ended_on = subscription->started_on + (chance(50) ? small(40) : small(1500));
		subscription->quantity = chance(80) ? 1 : small(5);
		for (int32_t metric = 1; metric <= 4; metric++)
			if (chance(40))
				rig_use(rig, id, metric, chance(10) ? 0 : below(400))->rows = 1 + below(20);
	}
	qsort(rig->subscriptions, (size_t) subscriptions, sizeof(Subscription), compare_subscriptions);
	for (int64_t id = 1; id <= grants; id++)
		rig_grant(rig, id, 1 + small(discounts), chance(50) ? small(products) * 3 + 1 : 0);
	for (int64_t id = 1; id <= adjustments; id++)
		rig_adjust(rig, id, below(20000) - 10000, small(4) - 1);
	rig->account.has_group = chance(50);
	rig->account.group_size = small(6);
	return rig;
}

/* ---- the rules a second time, slowly ----------------------------------------------------------------------------- */

typedef struct Thing {
	const Product *product;
	const Subscription *subscription;
	int64_t left;
	bool usage;
} Thing;

static const Subscription *
subscription_of(const Rig *rig, int64_t id)
{
	for (int32_t i = 0; i < rig->account.subscription_count; i++)
		if (rig->subscriptions[i].subscription_id == id)
			return &rig->subscriptions[i];
	return NULL;
}

/* The discountable units, read off the bill's lines. */
static int32_t
things_of(const Rig *rig, Thing *things)
{
	int32_t count = 0;

	for (int32_t i = 0; i < rig->bill.line_count; i++)
	{
		const Line *line = &rig->bill.lines[i];
		bool follows = i > 0 && line->kind >= LINE_MINIMUM && line[-1].kind == LINE_USAGE &&
					   line[-1].subscription_id == line->subscription_id && line[-1].metric == line->metric;

		if (line->kind > LINE_MAXIMUM)
			break;
		if (follows)
			things[count - 1].left += line->amount;
		else
			things[count++] = (Thing){&rig->products[line->product], subscription_of(rig, line->subscription_id),
				line->amount, line->kind != LINE_RECURRING};
	}
	return count;
}

static bool
slowly_eligible(const Rig *rig, const Grant *grant, const Discount *discount, const Thing *thing)
{
	bool family = false;

	if (grant->has_product ? grant->product_id != thing->product->product_id
						   : discount->has_product && discount->product_id != thing->product->product_id)
		return false;
	for (int32_t i = 0; i < discount->family_count; i++)
		family |= discount->families[i] == thing->product->family;
	if (!thing->product->discountable || (discount->scope == SCOPE_FAMILY && !family))
		return false;
	if ((discount->target == TARGET_RECURRING && thing->usage) || (discount->target == TARGET_USAGE && !thing->usage))
		return false;
	if (discount->condition == CONDITION_GROUP_SIZE)
		return rig->account.has_group && rig->account.group_size >= discount->condition_minimum;
	if (discount->condition == CONDITION_TENURE_YEARS)
	{
		int32_t end = thing->subscription->ended_on < rig->period.to ? thing->subscription->ended_on : rig->period.to;

		return ymd_years(thing->subscription->started_on, end) >= discount->condition_minimum;
	}
	return true;
}

/* Grants in their order, by looking for the next one again and again. */
static const Grant *
next_grant(const Rig *rig, bool *used)
{
	int32_t best = -1;

	for (int32_t i = 0; i < rig->account.grant_count; i++)
	{
		const Discount *x = &rig->discounts[rig->grants[i].discount_id - 1], *y;

		if (used[i])
			continue;
		y = best < 0 ? NULL : &rig->discounts[rig->grants[best].discount_id - 1];
		if (y == NULL || x->stage < y->stage || (x->stage == y->stage && x->priority < y->priority) ||
			(x->stage == y->stage && x->priority == y->priority &&
			 (x->discount_id < y->discount_id ||
			  (x->discount_id == y->discount_id && rig->grants[i].grant_id < rig->grants[best].grant_id))))
			best = i;
	}
	if (best < 0)
		return NULL;
	used[best] = true;
	return &rig->grants[best];
}

static int
check_discounts(const Rig *rig, Thing *things, int32_t count)
{
	bool used[RIG_ROWS] = {false};
	int32_t line = 0, wrong = 0;
	const Grant *grant;

	while ((grant = next_grant(rig, used)) != NULL)
	{
		const Discount *discount = &rig->discounts[grant->discount_id - 1];
		int64_t weights[RIG_ROWS * 5], shares[RIG_ROWS * 5], base = 0, off;
		int32_t chosen[RIG_ROWS * 5], n = 0;

		for (int32_t i = 0; i < count; i++)
			if (slowly_eligible(rig, grant, discount, &things[i]))
			{
				base += weights[n] = things[i].left;
				chosen[n++] = i;
			}
		if (discount->kind == DISCOUNT_PERCENT)
			money_divide(discount->value * base, (Amount) 100 * 1000000000000, ROUND_HALF_UP, &off);
		else if (!amount_post(discount->value, 1, 1, rig->currencies[rig->account.currency].exponent, &off) || off > base)
			off = base;
		if (off == 0)
			continue;
		money_spread(off, weights, shares, n);
		for (int32_t i = 0; i < n; i++)
			things[chosen[i]].left -= shares[i];
		wrong += rig_line(rig, LINE_DISCOUNT, line)->amount != -off || rig_line(rig, LINE_DISCOUNT, line)->base != base ||
				 rig_line(rig, LINE_DISCOUNT, line)->discount != grant->discount_id - 1;
		line++;
	}
	return wrong + (line != rig_count(rig, LINE_DISCOUNT));
}

/* Each tax line's base is what is left of the things of its code and rate. */
static int
check_taxes(const Rig *rig, const Thing *things, int32_t count)
{
	int64_t taxable = 0, bases = 0;
	int wrong = 0;

	for (int32_t i = 0; i < count; i++)
		taxable += things[i].product->tax >= 0 ? things[i].left : 0;
	for (int32_t i = 0; i < rig->account.adjustment_count; i++)
		taxable += rig->adjustments[i].tax >= 0 ? rig->adjustments[i].amount : 0;
	for (int32_t i = 0; i < rig->bill.line_count; i++)
	{
		const Line *line = &rig->bill.lines[i];
		int64_t tax;

		if (line->kind != LINE_TAX && line->kind != LINE_INCLUDED_TAX)
			continue;
		bases += line->base;
		money_divide((Amount) line->base * line->rate_ppm, 1000000, ROUND_HALF_UP, &tax);
		wrong += line->kind == LINE_TAX && line->amount != tax;
		wrong += (line->kind == LINE_INCLUDED_TAX) != (line->tax == 2);
		wrong += i > 0 && line[-1].kind == line->kind &&
				 (line[-1].tax > line->tax || (line[-1].tax == line->tax && line[-1].rate_ppm >= line->rate_ppm));
	}
	return wrong + (taxable != bases);
}

static void
shuffle_grants(Rig *rig)
{
	for (int32_t i = rig->account.grant_count - 1; i > 0; i--)
	{
		int32_t j = small(i + 1);
		Grant moved = rig->grants[i];

		rig->grants[i] = rig->grants[j];
		rig->grants[j] = moved;
	}
}

/* Padding and unset fields included: what is written must not depend on what the workspace held before. */
static bool
same_bytes(Rig *rig)
{
	const Bill first = rig->bill;
	const size_t size = (size_t) first.line_count * sizeof(Line);
	Line *lines = malloc(size + 1);
	bool same;

	memcpy(lines, first.lines, size);
	memset(rig->workspace.memory, 0xA5, rig->workspace.size);
	shuffle_grants(rig);
	rig_rate(rig);
	same = rig->outcome == OUTCOME_BILL && rig->bill.line_count == first.line_count && rig->bill.total == first.total &&
		   rig->bill.warning_count == first.warning_count && memcmp(lines, rig->bill.lines, size) == 0;
	free(lines);
	return same;
}

static void
accounts(int count)
{
	int outcomes[4] = {0}, changed = 0, discounts = 0, taxes = 0;
	Thing *things = malloc(sizeof(Thing) * RIG_ROWS * 5);

	for (int i = 0; i < count; i++)
	{
		Rig *rig = draw_rig(i % 20 == 0 ? 120 : 6);

		outcomes[rig_rate(rig)]++;
		if (rig->outcome == OUTCOME_BILL)
		{
			int32_t n = things_of(rig, things);

			discounts += check_discounts(rig, things, n);
			taxes += check_taxes(rig, things, n);
			changed += !same_bytes(rig);
		}
		rig_free(rig);
	}
	free(things);
	printf("accounts: %d not due, %d empty, %d bills, %d skips\n", outcomes[0], outcomes[1], outcomes[2], outcomes[3]);
	CHECK(outcomes[OUTCOME_BILL] > count / 2);
	CHECK_INT(outcomes[OUTCOME_SKIP], 0);
	CHECK_INT(outcomes[OUTCOME_NOT_DUE], 0);
	CHECK_INT(discounts, 0);
	CHECK_INT(taxes, 0);
	CHECK_INT(changed, 0);
}

/*
 * Pool usage is taken off allowances or priced exactly once. With one unit price of 1 the account pays for what own
 * usage exceeds each allowance by, and for what the pool exceeds all that is left of them by.
 */
static void
pools(int count)
{
	int wrong = 0, shown = 0;

	for (int i = 0; i < count; i++)
	{
		Rig *rig = rig_new(202405);
		Product *product = rig_product(rig, 1, "0");
		Charge *charge = rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1");
		int64_t pool = below(3000), left = 0, excess = 0, used = pool, quantity = 0;

		charge->included = below(400);
		rig_use(rig, 0, 1, pool);
		for (int64_t id = 1; id <= 1 + i % 9; id++)
		{
			int64_t own = below(700);

			rig_subscribe(rig, id, 1, 20240101, DAY_MAX);
			rig_use(rig, id, 1, own);
			left += own < charge->included ? charge->included - own : 0;
			excess += own > charge->included ? own - charge->included : 0;
			used += own;
		}
		excess += pool > left ? pool - left : 0;
		wrong += rig_rate(rig) != (excess ? OUTCOME_BILL : OUTCOME_EMPTY) || rig->bill.total != excess;
		charge->event_amount = major("1000"); /* now every one has a line, and together they show all usage */
		rig_rate(rig);
		for (int32_t line = 0; line < rig_count(rig, LINE_USAGE); line++)
			quantity += rig_line(rig, LINE_USAGE, line)->quantity;
		shown += quantity != used;
		rig_free(rig);
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(shown, 0);
}

/* Extreme numbers end in a bill that adds up or in OVERFLOW, never in anything else. */
static void
extremes(int count)
{
	static const int64_t edges[] = {0, 1, INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, INT64_MIN, INT64_MIN + 1, -1, 5000000000};
	int skips = 0, other = 0;

	for (int i = 0; i < count; i++)
	{
		Rig *rig = draw_rig(4);

		for (int32_t j = 0; j < rig->account.usage_count; j++)
			if (chance(30))
				rig->usage[j].quantity = edges[below(5)];
		for (int32_t j = 0; j < rig->tariff.product_count; j++)
			if (chance(30))
				rig->prices[j][0].unit_price = (Amount) edges[below(5)] << below(63);
		rig_adjust(rig, 9, edges[below(COUNT(edges))], small(4) - 1);
		rig_adjust(rig, 10, edges[below(COUNT(edges))], small(4) - 1);
		if (rig_rate(rig) == OUTCOME_SKIP)
		{
			skips++;
			other += rig->fault.reason != REASON_OVERFLOW;
		}
		rig_free(rig);
	}
	CHECK(skips > count / 10);
	CHECK(skips < count);
	CHECK_INT(other, 0);
}

int
main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 10) : 20240501;
	state += state == 0; /* the generator's only fixed point */
	printf("seed %llu\n", (unsigned long long) state);
	models();
	accounts(argc > 2 ? atoi(argv[2]) : 3000);
	pools(1000);
	extremes(2000);
	return check_done();
}
