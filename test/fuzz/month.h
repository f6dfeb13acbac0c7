/*
 * month.h: a catalogue and one account's rows out of a fuzz input.
 *
 * What comes out is what the server could hand to rate_account(), and no more. From the tables' constraints and from
 * catalog.c: ids and versions are unique and sorted, currencies and increments are sound, enums are enums, a broken row
 * is marked `invalid` by the same checks; all else may be anything: amounts of either sign, any up_to, any package size,
 * ranges that end before they begin, ids that name nothing. From reader.c: rows come in any order and are sorted, usage
 * is added up row by row after its increments, a grant that begins after the month is left out, an account that does
 * not exist has rows and nothing else, or is one that a run was asked for.
 *
 * Every array has exactly its size, so that the address sanitizer sees reading past it. The caller frees all at once.
 */
#ifndef FUZZ_MONTH_H
#define FUZZ_MONTH_H

#include "fuzz.h"
#include "rate/rate.h"

/* PostgreSQL's dates, 4713 BC to 5874897 AD, as days from 2000 */
#define FIRST_DAY (-2451545)
#define LAST_DAY 2145031948

enum { MOST_PRODUCTS = 6, MOST_CHARGES = 8, MOST_VERSIONS = 3, MOST_TIERS = 6, MOST_DISCOUNTS = 6, MOST_TAXES = 3 };
enum { MOST_METRICS = 4, MOST_SUBSCRIPTIONS = 48, MOST_USAGE = 96, MOST_GRANTS = 24, MOST_ADJUSTMENTS = 8 };
enum { MOST_BLOCKS = 128 };

/* One row of settle.usage, and how many rows of quantity 0 stand beside it. */
typedef struct UsageRow {
	int64_t subscription_id;
	int32_t metric_id;
	int64_t quantity;
	int64_t zeros;
} UsageRow;

typedef struct Month {
	Tariff tariff;
	Period period;
	Account account; /* all but its rows, which lie_down() sorts out of these: */
	Subscription subscriptions[MOST_SUBSCRIPTIONS];
	UsageRow usage[MOST_USAGE];
	Grant grants[MOST_GRANTS];
	Adjustment adjustments[MOST_ADJUSTMENTS];
	int32_t subscription_count, usage_count, grant_count, adjustment_count;
	int32_t next_charge_id;
	void *blocks[MOST_BLOCKS];
	int32_t block_count;
} Month;

/* A copy of exactly this size, freed with the month. */
static void *
keep(Month *month, const void *array, size_t size)
{
	void *block = malloc(size);

	if (block == NULL || month->block_count == MOST_BLOCKS)
		abort();
	memcpy(block, array, size);
	month->blocks[month->block_count++] = block;
	return block;
}

static void
month_free(Month *month)
{
	while (month->block_count > 0)
		free(month->blocks[--month->block_count]);
}

static int32_t
take_day(Input *input, const Month *month)
{
	static const int32_t edges[] = {DAY_MIN, DAY_MAX, FIRST_DAY, LAST_DAY};
	const uint8_t shape = take_byte(input);
	int64_t day;

	if (shape < 128)
		return month->period.from - 32 + shape % 96; /* the month and one on either side */
	if (shape < 192)
		return month->period.from - 366 * (shape % 16) + take_byte(input) % 8 - 4;
	if (shape < 224)
		return edges[shape % COUNT(edges)];
	day = (int32_t) (uint32_t) take_bytes(input, 4);
	return (int32_t) (day < FIRST_DAY ? FIRST_DAY : day > LAST_DAY ? LAST_DAY : day);
}

/* The next of ids or versions that rise; false when there is none. */
static bool
rise(int32_t *previous, bool first, int32_t next)
{
	if (!first && next <= *previous)
	{
		if (*previous == INT32_MAX)
			return false;
		next = *previous + 1;
	}
	*previous = next;
	return true;
}

/* A version's first day: above the one before, and a day that a date can be. */
static bool
rise_day(int32_t *previous, bool first, int32_t next)
{
	if (!first && *previous == DAY_MIN && next == DAY_MIN)
		next = FIRST_DAY;
	if (!first && *previous == LAST_DAY && next <= LAST_DAY)
		next = DAY_MAX;
	return rise(previous, first, next);
}

/* ---- catalogue -------------------------------------------------------------------------------------------------- */

static void
take_currencies(Input *input, Month *month)
{
	Currency currencies[3];
	const int32_t count = 1 + take_choice(input, COUNT(currencies));

	for (int32_t i = 0; i < count; i++)
		currencies[i] = (Currency){{'A', 'A', (char) ('A' + i), 0}, take_choice(input, 5), take_positive(input, 1),
			(RoundingMode) take_choice(input, 6)};
	month->tariff.currencies = keep(month, currencies, (size_t) count * sizeof(Currency));
	month->tariff.currency_count = count;
}

static void
take_metrics(Input *input, Month *month)
{
	Metric metrics[MOST_METRICS];
	const int32_t wanted = take_choice(input, MOST_METRICS + 1);
	int32_t count = 0, id = 0;

	while (count < wanted && rise(&id, count == 0, take_number32(input)))
		metrics[count++] = (Metric){id, take_positive(input, 1), take_positive(input, 1), "metric"};
	month->tariff.metrics = keep(month, metrics, (size_t) count * sizeof(Metric));
	month->tariff.metric_count = count;
}

static void
take_taxes(Input *input, Month *month)
{
	Tax taxes[MOST_TAXES];
	const int32_t count = take_choice(input, MOST_TAXES + 1);

	for (int32_t i = 0; i < count; i++)
	{
		TaxRate rates[MOST_VERSIONS];
		const int32_t versions = 1 + take_choice(input, MOST_VERSIONS);
		int32_t on = 0, have = 0;

		while (have < versions && rise_day(&on, have == 0, take_day(input, month)))
		{
			const int32_t rate = take_rarely(input) ? take_number32(input) : take_byte(input) * 1000;

			rates[have++] = (TaxRate){on, rate, take_flag(input), rate < 0 ? REASON_INVALID_TAX : REASON_OK};
		}
		taxes[i] = (Tax){"tax", keep(month, rates, (size_t) have * sizeof(TaxRate)), have};
	}
	month->tariff.taxes = keep(month, taxes, (size_t) count * sizeof(Tax));
	month->tariff.tax_count = count;
}

/* A numeric as catalog.c reads it: false, and 0, when it has too many decimals or is too large. */
static bool
take_numeric(Input *input, Amount *amount)
{
	const uint8_t shape = take_byte(input);

	*amount = shape < 240 ? shape * MAJOR / 20 : shape < 254 ? take_amount(input) : 0;
	return shape < 254;
}

static void
take_prices(Input *input, Month *month, Product *product, bool needed)
{
	Price prices[MOST_VERSIONS];
	const int32_t wanted = take_choice(input, MOST_VERSIONS + !needed) + needed;
	int32_t count = 0, on = 0;

	while (count < wanted && rise_day(&on, count == 0, take_day(input, month)))
	{
		Price *price = &prices[count++];

		*price = (Price){.valid_from = on};
		if (!take_numeric(input, &price->unit_price))
			*price = (Price){on, REASON_INVALID_PRICE, 0};
		else if (price->unit_price < 0)
			price->invalid = REASON_NEGATIVE_PRICE;
	}
	product->price_count = count;
	product->prices = count == 0 ? NULL : keep(month, prices, (size_t) count * sizeof(Price));
}

static void
take_tiers(Input *input, Month *month, Charge *charge)
{
	Tier tiers[MOST_TIERS];
	const bool sound = !take_rarely(input);
	int64_t up_to = 0;

	charge->tier_count = take_choice(input, MOST_TIERS) + sound;
	for (int32_t i = 0; i < charge->tier_count; i++)
	{
		Tier *tier = &tiers[i];

		if (!sound)
			up_to = take_flag(input) ? take_number(input) : INT64_MAX;
		else if (i == charge->tier_count - 1 || __builtin_add_overflow(up_to, take_positive(input, 1), &up_to))
			up_to = INT64_MAX;
		*tier = (Tier){.up_to = up_to};
		if (!take_numeric(input, &tier->unit_amount) || !take_numeric(input, &tier->flat_amount))
			charge->invalid = REASON_INVALID_TIERS;
	}
	charge->tiers = charge->tier_count == 0 ? NULL : keep(month, tiers, (size_t) charge->tier_count * sizeof(Tier));
}

static Charge
take_charge(Input *input, Month *month)
{
	Charge charge = {.charge_id = month->next_charge_id++, .model = (ChargeModel) take_choice(input, 5)};
	const uint8_t flags = take_byte(input);

	charge.metric_id = take_rarely(input) || month->tariff.metric_count == 0
						   ? take_number32(input) /* the foreign key may have been switched off */
						   : month->tariff.metrics[take_choice(input, month->tariff.metric_count)].metric_id;
	charge.valid_from = take_flag(input) ? take_day(input, month) : DAY_MIN;
	charge.included_prorate = flags & 1;
	charge.minimum_prorate = flags & 2;
	charge.has_minimum = flags & 4;
	charge.has_maximum = flags & 8;
	charge.zero_flat = flags & 16;
	charge.package_round_down = flags & 32;
	charge.included = flags & 64 ? take_number(input) : 0;
	charge.package_size = charge.model == CHARGE_PACKAGE || flags & 128 ? take_number(input) : 0;
	/* as catalog.c: the first that cannot be read leaves those after it 0 */
	if (!take_numeric(input, &charge.unit_amount) || !take_numeric(input, &charge.event_amount) ||
		(charge.has_minimum && !take_numeric(input, &charge.minimum)) ||
		(charge.has_maximum && !take_numeric(input, &charge.maximum)))
		charge.invalid = REASON_INVALID_CHARGE;
	if (charge.model == CHARGE_GRADUATED || charge.model == CHARGE_VOLUME)
		take_tiers(input, month, &charge);
	if (charge.invalid == REASON_OK)
		charge.invalid = rate_check_charge(&charge);
	return charge;
}

static bool
charge_before(const Charge *a, const Charge *b)
{
	return a->metric_id != b->metric_id ? a->metric_id < b->metric_id : a->valid_from < b->valid_from;
}

static void
take_charges(Input *input, Month *month, Product *product)
{
	Charge charges[MOST_CHARGES];
	const int32_t wanted = take_choice(input, take_rarely(input) ? MOST_CHARGES + 1 : 4);
	int32_t count = 0;

	for (int32_t i = 0; i < wanted; i++)
	{
		const Charge charge = take_charge(input, month);
		int32_t at = 0;

		while (at < count && charge_before(&charges[at], &charge))
			at++;
		if (at < count && !charge_before(&charge, &charges[at]))
			continue; /* charge_version_key */
		memmove(&charges[at + 1], &charges[at], (size_t) (count++ - at) * sizeof(Charge));
		charges[at] = charge;
	}
	product->charge_count = count;
	product->charges = count == 0 ? NULL : keep(month, charges, (size_t) count * sizeof(Charge));
}

/* -1 = none, -2 = a code that is not there, or an index. */
static int32_t
take_code(Input *input, int32_t count)
{
	const int32_t choice = take_byte(input);

	return choice >= 250 ? -2 : choice % 4 == 3 || count == 0 ? -1 : choice % count;
}

static void
take_products(Input *input, Month *month)
{
	Product products[MOST_PRODUCTS];
	const int32_t wanted = 1 + take_choice(input, MOST_PRODUCTS);
	int32_t count = 0, id = 0;

	while (count < wanted && rise(&id, count == 0, take_number32(input)))
	{
		Product *product = &products[count++];
		const uint8_t flags = take_byte(input);

		*product = (Product){.product_id = id, .family = flags % 4, .discountable = flags < 224, .name = "product"};
		product->currency = take_rarely(input) ? take_choice(input, month->tariff.currency_count + 1) : 0;
		if (product->currency == month->tariff.currency_count)
			product->currency = -2;
		product->tax = take_code(input, month->tariff.tax_count);
		product->refund_days = (int32_t) (take_rarely(input) ? take_number32(input) & INT32_MAX : flags / 4 % 8);
		product->proration = (Proration) take_choice(input, 3);
		take_prices(input, month, product, count == 1);
		take_charges(input, month, product);
	}
	month->tariff.products = keep(month, products, (size_t) count * sizeof(Product));
	month->tariff.product_count = count;
}

static int32_t
take_product_id(Input *input, const Month *month)
{
	const int32_t choice = take_byte(input);

	return choice >= 248 ? take_number32(input) : month->tariff.products[choice % month->tariff.product_count].product_id;
}

static void
take_discounts(Input *input, Month *month)
{
	Discount discounts[MOST_DISCOUNTS];
	const int32_t wanted = take_choice(input, MOST_DISCOUNTS + 1);
	int32_t count = 0, id = 0;

	while (count < wanted && rise(&id, count == 0, take_number32(input)))
	{
		Discount *discount = &discounts[count++];
		const uint8_t flags = take_byte(input);
		int32_t families[3];

		*discount = (Discount){.discount_id = id, .kind = (DiscountKind) (flags & 1), .scope = (DiscountScope) (flags / 2 % 3),
			.target = (DiscountTarget) (flags / 8 % 3), .valid_from = DAY_MIN, .valid_to = DAY_MAX, .name = "discount"};
		discount->condition = take_flag(input) ? (DiscountCondition) take_choice(input, 3) : CONDITION_NONE;
		discount->condition_minimum = take_flag(input) ? take_number32(input) : 1;
		discount->currency = take_rarely(input) ? take_code(input, month->tariff.currency_count) : -1;
		discount->has_product = discount->scope == SCOPE_PRODUCT ? !take_rarely(input) : take_rarely(input);
		discount->product_id = discount->has_product ? take_product_id(input, month) : 0;
		discount->stage = take_rarely(input) ? take_number32(input) : flags / 32 % 2;
		discount->priority = take_rarely(input) ? take_number32(input) : flags / 64 % 2;
		if (take_rarely(input))
			discount->valid_from = take_day(input, month);
		if (take_rarely(input))
			discount->valid_to = take_day(input, month);
		discount->family_count = discount->scope == SCOPE_FAMILY || take_rarely(input) ? take_choice(input, 4) : 0;
		for (int32_t i = 0; i < discount->family_count; i++)
			families[i] = take_choice(input, 5); /* 4: no product's */
		if (discount->family_count > 0)
			discount->families = keep(month, families, (size_t) discount->family_count * sizeof(int32_t));
		discount->invalid = take_numeric(input, &discount->value) ? rate_check_discount(discount) : REASON_INVALID_DISCOUNT;
	}
	month->tariff.discounts = keep(month, discounts, (size_t) count * sizeof(Discount));
	month->tariff.discount_count = count;
}

/* ---- the account's rows, as they lie in the tables -------------------------------------------------------------- */

/* How often a row is repeated under ids of its own: large accounts need not cost large inputs. */
static int32_t
take_copies(Input *input)
{
	const uint8_t shape = take_byte(input);

	return shape < 224 ? 1 : shape - 222;
}

static void
take_subscriptions(Input *input, Month *month)
{
	const int32_t wanted = take_choice(input, 7);
	int64_t id = 0;

	for (int32_t i = 0; i < wanted; i++)
	{
		const uint8_t flags = take_byte(input);
		Subscription subscription = {.product_id = take_product_id(input, month), .quantity = 1, .ended_on = DAY_MAX};

		subscription.started_on = take_day(input, month);
		if (flags & 1)
			subscription.ended_on = take_day(input, month);
		if ((flags & 3) == 1 && subscription.ended_on < subscription.started_on) /* the other way round is rare enough */
		{
			const int32_t started_on = subscription.ended_on;

			subscription.ended_on = subscription.started_on;
			subscription.started_on = started_on;
		}
		if (flags & 4)
			subscription.quantity = take_number32(input);
		subscription.has_unit_price = flags & 8;
		if (subscription.has_unit_price && !take_numeric(input, &subscription.unit_price))
		{
			subscription.invalid = REASON_INVALID_PRICE;
			subscription.unit_price = 0;
		}
		if (flags & 16)
			id = take_positive(input, 1) - 1;
		for (int32_t copies = take_copies(input); copies > 0 && month->subscription_count < MOST_SUBSCRIPTIONS; copies--)
		{
			bool taken = id == INT64_MAX;

			for (int32_t j = 0; j < month->subscription_count && !taken; j++)
				taken = month->subscriptions[j].subscription_id == id + 1;
			if (taken)
				break;
			subscription.subscription_id = ++id;
			month->subscriptions[month->subscription_count++] = subscription;
		}
	}
}

static void
take_usage(Input *input, Month *month)
{
	const int32_t wanted = take_choice(input, 17);

	for (int32_t i = 0; i < wanted; i++)
	{
		const int32_t owner = take_byte(input), metrics = month->tariff.metric_count;
		UsageRow row = {.subscription_id = 0};

		row.metric_id = metrics == 0 || take_byte(input) >= 252
							? take_number32(input)
							: month->tariff.metrics[take_choice(input, metrics)].metric_id;
		row.quantity = take_number(input);
		row.zeros = take_rarely(input) ? take_positive(input, 0) & ((INT64_C(1) << 40) - 1) : 0;
		if (owner >= 252)
			row.subscription_id = take_number(input);
		else if (owner % 4 > 0 && month->subscription_count > 0)
			row.subscription_id = month->subscriptions[owner % month->subscription_count].subscription_id;
		for (int32_t copies = take_copies(input); copies > 0 && month->usage_count < MOST_USAGE; copies--)
			month->usage[month->usage_count++] = row;
	}
}

static void
take_grants(Input *input, Month *month)
{
	const int32_t wanted = take_choice(input, 6);
	const uint64_t first_id = (uint64_t) take_number(input);

	for (int32_t i = 0; i < wanted; i++)
	{
		const int32_t discounts = month->tariff.discount_count;
		const uint8_t flags = take_byte(input);
		Grant grant = {.starts_on = DAY_MIN, .ends_on = DAY_MAX};

		grant.discount_id = discounts == 0 || flags >= 252
								? take_number32(input)
								: month->tariff.discounts[take_choice(input, discounts)].discount_id;
		grant.has_product = flags & 1;
		grant.product_id = grant.has_product ? take_product_id(input, month) : 0;
		if (flags & 2)
			grant.starts_on = take_day(input, month);
		if (flags & 4)
			grant.ends_on = take_day(input, month);
		if (grant.starts_on >= month->period.to)
			continue; /* reader.c does not ask for it */
		for (int32_t copies = take_copies(input); copies > 0 && month->grant_count < MOST_GRANTS; copies--)
		{
			grant.grant_id = (int64_t) (first_id + (uint64_t) month->grant_count);
			month->grants[month->grant_count++] = grant;
		}
	}
}

static void
take_adjustments(Input *input, Month *month)
{
	const uint64_t last_id = (uint64_t) take_number(input);

	month->adjustment_count = take_choice(input, take_rarely(input) ? MOST_ADJUSTMENTS + 1 : 3);
	for (int32_t i = 0; i < month->adjustment_count; i++)
	{
		const int64_t amount = take_number(input);
		const bool credit = take_flag(input) && amount != INT64_MIN;

		month->adjustments[i] = (Adjustment){(int64_t) (last_id - (uint64_t) i), credit ? -amount : amount,
			take_code(input, month->tariff.tax_count), "adjustment"};
	}
}

static void
take_account(Input *input, Month *month)
{
	Account *account = &month->account;
	const uint8_t flags = take_byte(input);

	account->account_id = take_number(input);
	account->exists = flags < 240;
	account->status = (AccountStatus) (flags % 3);
	account->currency = -1;
	if (!account->exists)
	{
		/* it is there because of its rows, or else a run was asked for it; grants are read after subscriptions */
		account->status = month->subscription_count + month->usage_count + month->adjustment_count > 0 ? ACCOUNT_CLOSED
																										: ACCOUNT_ACTIVE;
		month->grant_count = month->subscription_count > 0 ? month->grant_count : 0;
		return;
	}
	if (!(flags >= 232))
		account->currency = take_rarely(input) ? take_code(input, month->tariff.currency_count) : 0;
	account->has_group = flags & 16;
	if (account->has_group)
	{
		account->group_id = take_number(input);
		account->group_size = take_rarely(input) ? -1 : take_number32(input) & INT32_MAX;
	}
}

static void
month_take(Input *input, Month *month)
{
	*month = (Month){.next_charge_id = 1};
	month->period = ymd_period(2024, 1 + take_choice(input, 12));
	if (take_rarely(input))
		month->period = ymd_period(1 + (int32_t) take_bytes(input, 2) % 2100, 1 + take_choice(input, 12));
	take_currencies(input, month);
	take_metrics(input, month);
	take_taxes(input, month);
	take_products(input, month);
	take_discounts(input, month);
	take_subscriptions(input, month);
	take_usage(input, month);
	take_grants(input, month);
	take_adjustments(input, month);
	take_account(input, month);
}

#endif
