/*
 * gen_account.c: one account from its number (see gen.h).
 *
 * What it aims at: most accounts are one phone and a few other things, four in ten belong to a family, one in a hundred
 * does something unusual this month. Usage per account is log-normal: a fifth have none, the mean is five rows, the
 * heaviest have thousands.
 *
 * Grants are only given where the discount finds something to work on and its condition is met, as an operator's own
 * systems would do; three accounts in a thousand get one anyway and are billed with a warning.
 */
#include "gen.h"

/* ---- groups ------------------------------------------------------------------------------------------------------ */

#define BLOCK 20
#define GROUPED 8 /* of each block: 40 % */
#define BLOCK_GROUPS_MAX 4

static const int8_t layouts[][BLOCK_GROUPS_MAX] = {
	{2, 2, 4, 0}, {3, 5, 0, 0}, {3, 3, 2, 0}, {4, 4, 0, 0}, {2, 2, 2, 2}, {5, 3, 0, 0}, {2, 4, 2, 0}, {3, 2, 3, 0}};

int64_t
account_group(const Gen *gen, int64_t account_id, int *size, bool *first)
{
	static const int8_t strides[] = {1, 3, 7, 9, 11, 13, 17, 19}; /* coprime to BLOCK: a permutation */
	const int64_t block = (account_id - 1) / BLOCK;
	const uint64_t bits = random_mix(random_mix(gen->seed + 1) + (uint64_t) block);
	const int8_t *layout = layouts[bits & 7];
	int place = (int) ((account_id - 1) % BLOCK);

	*size = 0;
	*first = false;
	if ((block + 1) * BLOCK > gen->accounts)
		return 0;
	place = (place * strides[bits >> 3 & 7] + (int) (bits >> 6 & 15)) % BLOCK;
	if (place >= GROUPED)
		return 0;
	for (int i = 0; i < BLOCK_GROUPS_MAX; i++)
	{
		if (place < layout[i])
		{
			*size = layout[i];
			*first = place == 0;
			return block * BLOCK_GROUPS_MAX + i + 1;
		}
		place -= layout[i];
	}
	return 0;
}

/* ---- what is broken ---------------------------------------------------------------------------------------------- */

Broken
account_broken(const Gen *gen, int64_t account_id)
{
	/* the accounts are cut into as many stretches of equal length as there are broken ones; each has one somewhere */
	const int64_t count = gen->broken * BROKEN_ACCOUNT;
	int64_t length, stretch;

	if (account_id > gen->accounts)
		return BROKEN_ACCOUNT;
	if (count == 0)
		return BROKEN_NOT;
	length = gen->accounts / count;
	stretch = (account_id - 1) / length;
	if (stretch >= count)
		return BROKEN_NOT;
	if ((account_id - 1) % length != (int64_t) (random_mix(gen->seed + 2 + (uint64_t) stretch * 3) % (uint64_t) length))
		return BROKEN_NOT;
	return (Broken) (stretch % BROKEN_ACCOUNT);
}

static void
set_product(GenSubscription *subscription, int product_id)
{
	subscription->product = catalog_find(product_id);
	subscription->product_id = product_id;
	subscription->quantity = 1;
	subscription->price_tenths = -1;
}

/* The last subscription is made the one that cannot be settled. */
static void
break_account(const Gen *gen, GenAccount *account)
{
	GenSubscription *last = &account->subscriptions[account->subscription_count - 1];

	last->started_on = gen->period.from - 100;
	last->ended_on = DAY_MAX;
	last->from = 0;
	last->to = gen->period.days;
	switch (account->broken)
	{
		case BROKEN_PRODUCT:
			set_product(last, PRODUCT_MISSING);
			break;
		case BROKEN_NO_PRICE:
			set_product(last, PRODUCT_NO_PRICE);
			break;
		case BROKEN_NEGATIVE_PRICE:
			set_product(last, PRODUCT_NEGATIVE);
			break;
		case BROKEN_TAX:
			set_product(last, PRODUCT_NO_TAX);
			break;
		case BROKEN_DATES:
			last->ended_on = last->started_on - 1;
			last->to = 0;
			break;
		case BROKEN_NO_CURRENCY:
			account->currency = NULL;
			break;
		case BROKEN_CURRENCY:
			account->currency = "XTS";
			break;
		case BROKEN_GROUP:
			account->group_id = INT64_C(900000000000) + account->account_id;
			account->group_size = 0;
			break;
		default:
			break; /* broken by a grant or by usage */
	}
	last->charged = false;
}

/* ---- subscriptions ----------------------------------------------------------------------------------------------- */

static int32_t
least(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

/* Start and end. `over`: it must have ended before the month; `runs`: it must not. */
static void
choose_days(const Gen *gen, Random *random, GenSubscription *subscription, const GenProduct *product, bool over,
			bool runs)
{
	const Period *period = &gen->period;
	/* up to ten years, the recent ones denser */
	int32_t age = 1 + (int32_t) (random_below(random, 61) * random_below(random, 61));
	const int64_t fate = random_below(random, 10000);

	subscription->started_on = period->from - age;
	subscription->ended_on = DAY_MAX;
	if (over || (fate < 150 && !runs))
	{
		subscription->ended_on = period->from - (int32_t) random_below(random, 400);
		subscription->started_on = subscription->ended_on - age;
	}
	else if (fate < 300)
		subscription->started_on = period->from + (int32_t) random_below(random, period->days);
	else if (fate < 330)
	{
		subscription->started_on = period->from + (int32_t) random_below(random, period->days - 3);
		subscription->ended_on = subscription->started_on + 1 + (int32_t) random_below(random, 3);
	}
	else if (fate < 450)
		subscription->ended_on = period->from + 1 + (int32_t) random_below(random, period->days - 1);
	else if (fate < 650)
		subscription->ended_on = period->to + (int32_t) random_below(random, 700);

	subscription->from = subscription->started_on > period->from ? subscription->started_on - period->from : 0;
	subscription->to = least(subscription->ended_on, period->to) - period->from;
	if (subscription->to < subscription->from)
		subscription->to = subscription->from;
	subscription->charged = subscription->from < subscription->to &&
							!(product->refund_days > 0 && subscription->ended_on != DAY_MAX &&
							  subscription->ended_on - subscription->started_on < product->refund_days);
}

static Family
choose_family(Random *random, int slot, unsigned taken)
{
	static const int first[FAMILY_COUNT] = {86, 11, 1, 2, 0};
	static const int later[FAMILY_COUNT] = {11, 24, 20, 5, 40};
	const Family family = (Family) random_pick(random, slot == 0 ? first : later, FAMILY_COUNT);

	/* one line into the house, one television, one bundle */
	if ((taken & 1u << family) != 0 && family != MOBILE)
		return ADDON;
	return family;
}

static void
make_subscription(const Gen *gen, Random *random, GenAccount *account, int slot, unsigned *taken)
{
	GenSubscription *subscription = &account->subscriptions[slot];
	const Family family = choose_family(random, slot, *taken);
	int64_t own = random_below(random, 10000);

	*taken |= 1u << family;
	set_product(subscription, catalog_product(catalog_pick(random, family))->id);
	choose_days(gen, random, subscription, catalog_product(subscription->product), account->over, slot == 0);
	if (family == MOBILE && subscription->started_on >= gen->period.from + LAUNCH_DAY && random_chance(random, 4000))
		set_product(subscription, PRODUCT_LAUNCHED);
	if (family != INTERNET && family != IPTV && random_chance(random, 200))
		subscription->quantity = 2 + (int32_t) random_below(random, 4);
	if (own < 200)
	{
		const int64_t base = catalog_product(subscription->product)->base;

		/* some of them odd to the half won */
		subscription->price_tenths = base * (60 + random_below(random, 35)) / 100 * 10 + (own < 40 ? 5 : 0);
	}
}

void
account_make(const Gen *gen, int64_t account_id, GenAccount *account)
{
	static const int counts[GEN_SUBSCRIPTIONS_MAX] = {24, 31, 25, 12, 5, 2, 1, 0};
	Random random = random_stream(gen, account_id, STREAM_SUBSCRIPTION);
	const int64_t status = random_below(&random, 10000);
	unsigned taken = 0;
	bool first;

	*account = (GenAccount){.account_id = account_id, .status = "active", .currency = "KRW"};
	account->broken = account_broken(gen, account_id);
	if (account->broken == BROKEN_ACCOUNT)
		return;
	account->group_id = account_group(gen, account_id, &account->group_size, &first);
	if (account->broken == BROKEN_NOT)
	{
		account->over = status < 130; /* some of them still active: due, but with nothing to charge */
		account->status = status < 100 ? "closed" : status < 300 ? "suspended" : "active";
	}
	account->subscription_count = 1 + random_pick(&random, counts, GEN_SUBSCRIPTIONS_MAX);
	for (int i = 0; i < account->subscription_count; i++)
		make_subscription(gen, &random, account, i, &taken);
	if (account->broken != BROKEN_NOT)
		break_account(gen, account);
}

/* ---- grants ------------------------------------------------------------------------------------------------------ */

/* Whether the subscription has a line that the discount works on, for sure. */
static bool
eligible(const Gen *gen, const GenSubscription *subscription, const GenDiscount *discount)
{
	const GenProduct *product;

	if (subscription->product < 0 || subscription->from == subscription->to)
		return false;
	product = catalog_product(subscription->product);
	if (!product->discountable || (discount->target == USAGE ? !product->usage_always : !subscription->charged))
		return false;
	if (discount->scope == FAMILY && (discount->families & 1u << product->family) == 0)
		return false;
	if (discount->product_id != 0 && discount->product_id != product->id)
		return false;
	if (discount->condition == TENURE_YEARS)
		return ymd_years(subscription->started_on, least(subscription->ended_on, gen->period.to)) >= discount->minimum;
	return true;
}

static void
choose_grant_days(const Gen *gen, Random *random, GenGrant *grant)
{
	const Period *period = &gen->period;
	const int64_t fate = random_below(random, 100);

	grant->starts_on = DAY_MIN;
	grant->ends_on = DAY_MAX;
	if (fate < 45)
		grant->starts_on = period->from - (int32_t) random_below(random, 900);
	else if (fate < 48)
		grant->starts_on = period->from + (int32_t) random_below(random, period->days);
	if (fate % 3 == 0)
		grant->ends_on = period->to + (int32_t) random_below(random, 700);
	else if (fate == 50)
		grant->ends_on = period->from + 1 + (int32_t) random_below(random, period->days - 1);
}

/* Gives a discount if the account qualifies; product_id is that of a subscription picked at random. */
static bool
give(const Gen *gen, Random *random, GenAccount *account, const GenDiscount *discount)
{
	int fits[GEN_SUBSCRIPTIONS_MAX], count = 0;
	GenGrant *grant = &account->grants[account->grant_count];

	for (int i = 0; i < account->grant_count; i++)
		if (account->grants[i].discount_id == discount->id)
			return false;
	if (discount->condition == GROUP_SIZE && account->group_size < discount->minimum)
		return false;
	for (int i = 0; i < account->subscription_count; i++)
		if (eligible(gen, &account->subscriptions[i], discount))
			fits[count++] = i;
	if (count == 0)
		return false;
	*grant = (GenGrant){.discount_id = discount->id};
	if (discount->scope == PRODUCT && discount->product_id == 0)
		grant->product_id = account->subscriptions[fits[random_below(random, count)]].product_id;
	choose_grant_days(gen, random, grant);
	account->grant_count++;
	return true;
}

/* The few that should not have been given: over, too small a group, a product not held, a discount of the past. */
static void
give_wrongly(const Gen *gen, Random *random, GenAccount *account)
{
	GenGrant *grant = &account->grants[account->grant_count];
	const int64_t fate = random_below(random, 10000);

	if (fate >= 330)
		return;
	account->grant_count++;
	if (fate < 15 && account->group_size < 4)
		*grant = (GenGrant){5, 0, DAY_MIN, DAY_MAX};
	else if (fate < 22)
		*grant = (GenGrant){15, PRODUCT_LAUNCHED, DAY_MIN, DAY_MAX};
	else if (fate < 30)
		*grant = (GenGrant){23, account->subscriptions[0].product_id, DAY_MIN, DAY_MAX};
	else /* ended before the month: no warning, it just does not apply any more */
		*grant = (GenGrant){1, account->subscriptions[0].product_id, DAY_MIN,
							gen->period.from - (int32_t) random_below(random, 200)};
}

void
account_make_grants(const Gen *gen, GenAccount *account)
{
	static const int counts[GEN_GRANTS_MAX + 1] = {38, 47, 12, 3};
	Random random = random_stream(gen, account->account_id, STREAM_GRANT);
	const int wanted = random_pick(&random, counts, GEN_GRANTS_MAX + 1);
	int weights[64], count = catalog_discount_count();

	for (int i = 0; i < count; i++)
		weights[i] = catalog_discount(i)->weight;
	for (int tries = 0; account->grant_count < wanted && tries < 20; tries++)
		give(gen, &random, account, catalog_discount(random_pick(&random, weights, count)));
	if (account->grant_count == GEN_GRANTS_MAX)
		account->grant_count--; /* room for what follows */
	else if (account->broken == BROKEN_NOT)
		give_wrongly(gen, &random, account);
	if (account->broken == BROKEN_DISCOUNT)
		account->grants[account->grant_count++] = (GenGrant){DISCOUNT_MISSING, 0, DAY_MIN, DAY_MAX};
	if (account->broken == BROKEN_INVALID_DISCOUNT)
		account->grants[account->grant_count++] = (GenGrant){24, 0, DAY_MIN, DAY_MAX};
}

/* ---- adjustments ------------------------------------------------------------------------------------------------- */

void
account_make_adjustments(const Gen *gen, GenAccount *account)
{
	static const char *const companies[] = {"Hankang Games", "Seorae Store", "Namsan Video", "Dokkaebi Music",
											"Haneul Ride", "Jeju Delivery", "Moa Pay", "Bada Books"};
	static const int prices[] = {1100, 2500, 3300, 4900, 5500, 9900, 11000, 14900, 22000, 33000, 55000};
	static const int counts[GEN_ADJUSTMENTS_MAX + 1] = {800, 160, 33, 7};
	Random random = random_stream(gen, account->account_id, STREAM_ADJUSTMENT);

	if (account->over && !random_chance(&random, 300))
		return;
	account->adjustment_count = random_pick(&random, counts, GEN_ADJUSTMENTS_MAX + 1);
	for (int i = 0; i < account->adjustment_count; i++)
	{
		GenAdjustment *adjustment = &account->adjustments[i];
		const int64_t fate = random_below(&random, 100);

		*adjustment = (GenAdjustment){.amount = prices[random_below(&random, sizeof(prices) / sizeof(*prices))]};
		if (fate < 70)
		{
			adjustment->source = companies[random_below(&random, sizeof(companies) / sizeof(*companies))];
			adjustment->description = "Purchase on the phone bill";
			adjustment->taxed = fate < 15;
		}
		else if (fate < 80)
		{
			adjustment->description = "Installation";
			adjustment->taxed = true;
		}
		else
		{
			/* 3 % of the credits exceed any bill */
			adjustment->amount = -(100 + random_below(&random, 9900)) * (fate == 99 ? 30 : 1);
			adjustment->description = fate < 90 ? "Outage compensation" : "Goodwill credit";
			adjustment->taxed = fate < 90;
		}
	}
}

/* ---- usage ------------------------------------------------------------------------------------------------------- */

/* What a subscription of a product uses: weights of the metrics 1 … 7; NULL = nothing. */
static const int *
profile_of(const GenProduct *product)
{
	static const int phone[7] = {60, 24, 2, 9, 5, 0, 0}, kid[7] = {80, 10, 0, 10, 0, 0, 0}, view[7] = {[6] = 1},
					 office[7] = {0, 1, 0, 0, 0, 0, 0}, roam[7] = {[5] = 1}, intl[7] = {[2] = 1}, sms[7] = {[3] = 1};

	switch (product->id)
	{
		case 110:
		case 112:
			return kid;
		case 404:
			return office;
		case 507:
			return roam;
		case 508:
			return intl;
		case 512:
			return sms;
		case 511:
			return view;
		default:
			return product->family == MOBILE ? phone : product->family == IPTV ? view : NULL;
	}
}

static uint32_t
choose_units(Random *random, int metric_id)
{
	int64_t units;

	switch (metric_id)
	{
		case METRIC_DATA:
			units = random_lognormal(random, 600, 1.4);
			break;
		case METRIC_ROAM:
			units = random_lognormal(random, 200, 1.2);
			break;
		case METRIC_VOICE:
		case METRIC_INTL:
			units = random_chance(random, 150) ? 0 : random_lognormal(random, 130, 1.3);
			break;
		case METRIC_VOD:
			return 1;
		default:
			units = 1 + random_lognormal(random, 1.5, 1.3);
	}
	return (uint32_t) (units < 400000 ? units : 400000);
}

/* An instant of the days [from, to): mornings quiet, evenings busy. */
static uint32_t
choose_instant(const Gen *gen, Random *random, int32_t from, int32_t to)
{
	static const int hours[24] = {12, 7, 4, 3, 3, 5, 12, 26, 38, 42, 44, 47, 55, 50, 46, 46, 48, 54,
									  62, 66, 68, 66, 50, 28};
	const int64_t day = from + random_below(random, to - from);
	const int64_t hour = random_pick(random, hours, 24);
	const int64_t ms = (day * 24 + hour) * 3600000 + random_below(random, 3600000);

	return (uint32_t) (ms < gen->month_ms ? ms : gen->month_ms - 1); /* a month with a short day */
}

/* The rows by which a broken account is broken come first, so account_usage_quantity() knows them by number. */
static int
break_usage(const Gen *gen, const GenAccount *account, Random *random, GenUsage *rows)
{
	const int count = account->broken == BROKEN_OVERFLOW || account->broken == BROKEN_ACCOUNT ? 2
					  : account->broken == BROKEN_METRIC || account->broken == BROKEN_QUANTITY ||
							  account->broken == BROKEN_SUBSCRIPTION
						  ? 1
						  : 0;

	for (int i = 0; i < count; i++)
	{
		rows[i] = (GenUsage){choose_instant(gen, random, 0, gen->period.days), 100, METRIC_DATA, 0};
		if (account->broken == BROKEN_METRIC)
			rows[i].metric_id = 99;
		if (account->broken == BROKEN_SUBSCRIPTION)
			rows[i].subscription_id = 99;
	}
	return count;
}

int64_t
account_usage_quantity(const Gen *gen, int64_t account_id, int row, uint32_t units)
{
	const Broken broken = account_broken(gen, account_id);

	if (broken == BROKEN_OVERFLOW && row < 2)
		return INT64_MAX - 7;
	if (broken == BROKEN_QUANTITY && row == 0)
		return -(int64_t) units;
	return units;
}

int
account_make_usage(const Gen *gen, const GenAccount *account, GenUsage *rows)
{
	static const int shared[7] = {70, 15, 0, 15, 0, 0, 0};
	Random random = random_stream(gen, account->account_id, STREAM_USAGE);
	int users[GEN_SUBSCRIPTIONS_MAX], weights[GEN_SUBSCRIPTIONS_MAX], user_count = 0, pool = 0;
	int count = break_usage(gen, account, &random, rows);
	int64_t wanted = random_lognormal(&random, 2.65, 1.28);

	for (int i = 0; i < account->subscription_count; i++)
	{
		const GenSubscription *subscription = &account->subscriptions[i];

		if (subscription->product < 0 || subscription->from == subscription->to)
			continue;
		if (catalog_product(subscription->product)->family == MOBILE)
			pool = pool > 600 ? pool : 600;
		if (subscription->product_id == 401)
			pool = 4000;
		if (profile_of(catalog_product(subscription->product)) == NULL)
			continue;
		weights[user_count] = catalog_product(subscription->product)->family == MOBILE ? 10 : 2;
		users[user_count++] = i;
	}
	if (user_count == 0)
		return count;
	if (wanted > GEN_USAGE_MAX - count)
		wanted = GEN_USAGE_MAX - count;
	for (; wanted > 0; wanted--)
	{
		const int user = users[random_pick(&random, weights, user_count)];
		const GenSubscription *subscription = &account->subscriptions[user];
		const bool own = !random_chance(&random, pool);
		const int *metrics = own ? profile_of(catalog_product(subscription->product)) : shared;
		const int metric_id = 1 + random_pick(&random, metrics, 7);

		rows[count++] = (GenUsage){choose_instant(gen, &random, own ? subscription->from : 0,
												  own ? subscription->to : gen->period.days),
								   choose_units(&random, metric_id), (uint8_t) metric_id,
								   own ? (uint8_t) (user + 1) : 0};
	}
	return count;
}
