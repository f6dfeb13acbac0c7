/*
 * rig.h: builds a small catalogue and an account in memory, rates it, and holds every result to the invariants.
 *
 * A test fills a Rig with rig_product(), rig_charge(), rig_subscribe() … and calls rig_rate(), which rates in a
 * workspace of exactly rate_space() bytes (so the address sanitizer sees any overrun) and checks what must be true of
 * every bill (invariants.h).
 *
 * Days are written 20240515. Amounts are decimals in major units. The first currency, KRW without rounding, is the
 * account's unless a test says otherwise.
 */
#ifndef UNIT_RIG_H
#define UNIT_RIG_H

#include <stdlib.h>

#include "check.h"
#include "invariants.h"

enum { KRW, USD, JPY, KWD, KRW10, CURRENCIES };
enum { RIG_PRODUCTS = 64, RIG_VERSIONS = 6, RIG_TIERS = 8, RIG_METRICS = 8, RIG_DISCOUNTS = 64, RIG_ROWS = 640 };

typedef struct Rig {
	Tariff tariff;
	Account account;
	Period period;
	Outcome outcome;
	Bill bill;
	Fault fault;
	Workspace workspace;
	Currency currencies[CURRENCIES];
	Metric metrics[RIG_METRICS];
	Product products[RIG_PRODUCTS];
	Price prices[RIG_PRODUCTS][RIG_VERSIONS];
	Charge charges[RIG_PRODUCTS][RIG_VERSIONS];
	Tier tiers[RIG_PRODUCTS][RIG_VERSIONS][RIG_TIERS];
	Discount discounts[RIG_DISCOUNTS];
	int32_t families[RIG_DISCOUNTS][2];
	Tax taxes[RIG_VERSIONS];
	TaxRate rates[RIG_VERSIONS][RIG_VERSIONS];
	Subscription subscriptions[RIG_ROWS];
	Usage usage[RIG_ROWS * 4];
	Grant grants[RIG_ROWS];
	Adjustment adjustments[RIG_ROWS];
} Rig;

static inline Amount
major(const char *text)
{
	Amount amount = 0;

	if (!amount_parse(text, strlen(text), &amount))
	{
		printf("not an amount: %s\n", text);
		abort();
	}
	return amount;
}

static inline int32_t
day(int32_t yyyymmdd)
{
	if (yyyymmdd == DAY_MIN || yyyymmdd == DAY_MAX)
		return yyyymmdd;
	return ymd_to_day((Ymd){yyyymmdd / 10000, yyyymmdd / 100 % 100, yyyymmdd % 100});
}

/* An empty rig: metrics 1 to 8, an active account in KRW, the month yyyymm. */
static inline Rig *
rig_new(int32_t yyyymm)
{
	Rig *rig = calloc(1, sizeof(Rig));

	if (rig == NULL)
		abort();
	rig->currencies[KRW] = (Currency){"KRW", 0, 1, ROUND_HALF_UP};
	rig->currencies[USD] = (Currency){"USD", 2, 1, ROUND_HALF_UP};
	rig->currencies[JPY] = (Currency){"JPY", 0, 1, ROUND_HALF_UP};
	rig->currencies[KWD] = (Currency){"KWD", 3, 1, ROUND_HALF_UP};
	rig->currencies[KRW10] = (Currency){"KRW", 0, 10, ROUND_DOWN};
	for (int32_t i = 0; i < RIG_METRICS; i++)
		rig->metrics[i] = (Metric){i + 1, 1, 1, "metric"};
	rig->tariff = (Tariff){.currencies = rig->currencies, .metrics = rig->metrics, .products = rig->products,
		.discounts = rig->discounts, .taxes = rig->taxes, .currency_count = CURRENCIES, .metric_count = RIG_METRICS};
	rig->account = (Account){.account_id = 42, .exists = true, .subscriptions = rig->subscriptions,
		.usage = rig->usage, .grants = rig->grants, .adjustments = rig->adjustments};
	rig->period = ymd_period(yyyymm / 100, yyyymm % 100);
	return rig;
}

static inline void
rig_free(Rig *rig)
{
	free(rig->workspace.memory);
	free(rig);
}

/* Adds a product of the account's currency; ids must rise. price NULL: none. */
static inline Product *
rig_product(Rig *rig, int32_t product_id, const char *price)
{
	int32_t index = rig->tariff.product_count++;
	Product *product = &rig->products[index];

	if (price != NULL)
		rig->prices[index][0] = (Price){DAY_MIN, REASON_OK, major(price)};
	*product = (Product){.product_id = product_id, .currency = rig->account.currency, .tax = -1,
		.proration = PRORATION_DAILY, .discountable = true, .price_count = price != NULL, .prices = rig->prices[index],
		.charges = rig->charges[index], .name = "product"};
	return product;
}

static inline void
rig_price(Rig *rig, Product *product, int32_t valid_from, const char *price)
{
	rig->prices[product - rig->products][product->price_count++] = (Price){valid_from, REASON_OK, major(price)};
}

/* Adds a charge to a product; metrics must rise, and versions of one metric. */
static inline Charge *
rig_charge(Rig *rig, Product *product, int32_t metric_id, ChargeModel model, const char *unit_amount)
{
	int32_t index = (int32_t) (product - rig->products);
	Charge *charge = &rig->charges[index][product->charge_count];

	*charge = (Charge){.charge_id = product->product_id * 10 + product->charge_count, .metric_id = metric_id,
		.valid_from = DAY_MIN, .model = model, .tiers = rig->tiers[index][product->charge_count],
		.unit_amount = major(unit_amount), .included_prorate = true, .minimum_prorate = true};
	product->charge_count++;
	return charge;
}

/* Reads tiers like "100@2+10 200@1 *@0.5+50": up to 100 at 2 each and 10 flat, … */
static inline void
tiers_read(Tier *tiers, int32_t *count, const char *text)
{
	*count = 0;
	while (*text != '\0')
	{
		char up_to[24], unit[40], flat[40] = "0";
		int used = 0;

		if (sscanf(text, " %23[^@]@%39[0-9.]%n+%39[0-9.]%n", up_to, unit, &used, flat, &used) < 2)
			abort();
		tiers[(*count)++] =
			(Tier){up_to[0] == '*' ? INT64_MAX : strtoll(up_to, NULL, 10), major(unit), major(flat)};
		text += used;
	}
}

static inline Charge *
rig_tiers(Rig *rig, Product *product, int32_t metric_id, ChargeModel model, const char *text)
{
	Charge *charge = rig_charge(rig, product, metric_id, model, "0");

	tiers_read(rig->tiers[product - rig->products][product->charge_count - 1], &charge->tier_count, text);
	return charge;
}

/* Adds a discount of scope product without a product of its own; ids must rise. */
static inline Discount *
rig_discount(Rig *rig, int32_t discount_id, DiscountKind kind, const char *value)
{
	Discount *discount = &rig->discounts[rig->tariff.discount_count++];

	*discount = (Discount){.discount_id = discount_id, .kind = kind, .currency = -1, .valid_from = DAY_MIN,
		.valid_to = DAY_MAX, .value = major(value), .families = rig->families[discount - rig->discounts],
		.name = "discount"};
	return discount;
}

/* Adds a version of a tax; returns the tax's index. */
static inline int32_t
rig_tax(Rig *rig, int32_t index, int32_t valid_from, int32_t rate_ppm, bool inclusive)
{
	Tax *tax = &rig->taxes[index];

	if (index == rig->tariff.tax_count)
	{
		*tax = (Tax){"tax", rig->rates[index], 0};
		rig->tariff.tax_count++;
	}
	rig->rates[index][tax->rate_count++] = (TaxRate){valid_from, rate_ppm, inclusive, REASON_OK};
	return index;
}

static inline Subscription *
rig_subscribe(Rig *rig, int64_t subscription_id, int32_t product_id, int32_t started_on, int32_t ended_on)
{
	Subscription *subscription = &rig->subscriptions[rig->account.subscription_count++];

	*subscription = (Subscription){.subscription_id = subscription_id, .product_id = product_id, .quantity = 1,
		.started_on = day(started_on), .ended_on = day(ended_on)};
	return subscription;
}

/* Adds usage of one row; sort by subscription (0 first), metric. */
static inline Usage *
rig_use(Rig *rig, int64_t subscription_id, int32_t metric_id, int64_t quantity)
{
	Usage *usage = &rig->usage[rig->account.usage_count++];

	*usage = (Usage){subscription_id, metric_id, REASON_OK, quantity, 1};
	return usage;
}

/* Grants a discount for all time; product_id 0: names none. */
static inline Grant *
rig_grant(Rig *rig, int64_t grant_id, int32_t discount_id, int32_t product_id)
{
	Grant *grant = &rig->grants[rig->account.grant_count++];

	*grant = (Grant){grant_id, discount_id, product_id, product_id != 0, DAY_MIN, DAY_MAX};
	return grant;
}

static inline Adjustment *
rig_adjust(Rig *rig, int64_t adjustment_id, int64_t amount, int32_t tax)
{
	Adjustment *adjustment = &rig->adjustments[rig->account.adjustment_count++];

	*adjustment = (Adjustment){adjustment_id, amount, tax, "adjustment"};
	return adjustment;
}

/* One check per bill. */
static inline void
rig_check_bill(const Rig *rig)
{
	const char *broken = bill_broken(&rig->bill);

	check_report(broken == NULL, __FILE__, __LINE__, broken);
}

static inline Outcome
rig_rate(Rig *rig)
{
	size_t size = rate_space(&rig->tariff, &rig->account);

	/* aligned_alloc wants a multiple; rate_space() is one */
	if (size > rig->workspace.size || size < rig->workspace.size)
	{
		free(rig->workspace.memory);
		rig->workspace = (Workspace){aligned_alloc(16, size), size};
	}
	rig->fault = (Fault){REASON_OK, 0, 0};
	rig->outcome = rate_account(&rig->tariff, rig->period, &rig->account, &rig->workspace, &rig->bill, &rig->fault);
	if (rig->outcome == OUTCOME_BILL)
		rig_check_bill(rig);
	return rig->outcome;
}

/* Rates and expects a bill of this total. */
static inline bool
rig_expect_bill(Rig *rig, int64_t total, const char *file, int line)
{
	if (rig_rate(rig) != OUTCOME_BILL)
	{
		check_report(false, file, line, "outcome is a bill");
		printf("    outcome %d, %s\n", rig->outcome, reason_code(rig->fault.reason));
		return false;
	}
	return check_int(rig->bill.total, total, file, line, "total");
}

/* Rates and expects the account to be skipped. */
static inline bool
rig_expect_skip(Rig *rig, Reason reason, int64_t a, int64_t b, const char *file, int line)
{
	bool skipped = check_report(rig_rate(rig) == OUTCOME_SKIP, file, line, "outcome is a skip") &&
				   check_text(reason_code(rig->fault.reason), reason_code(reason), file, line, "reason");

	return skipped && check_int(rig->fault.a, a, file, line, "fault.a") &&
		   check_int(rig->fault.b, b, file, line, "fault.b");
}

/* The nth line of a kind; none: one of an impossible amount. */
static inline const Line *
rig_line(const Rig *rig, LineKind kind, int32_t nth)
{
	static const Line none = {.amount = INT64_MIN};

	for (int32_t i = 0; i < rig->bill.line_count; i++)
		if (rig->bill.lines[i].kind == kind && nth-- == 0)
			return &rig->bill.lines[i];
	return &none;
}

static inline int32_t
rig_count(const Rig *rig, LineKind kind)
{
	int32_t count = 0;

	for (int32_t i = 0; i < rig->bill.line_count; i++)
		count += rig->bill.lines[i].kind == kind;
	return count;
}
/* A charge outside any catalogue; text NULL: no tiers. */
static inline Charge
rig_loose_charge(ChargeModel model, const char *unit, Tier *tiers, const char *text)
{
	Charge charge = {.charge_id = 1, .metric_id = 1, .model = model, .unit_amount = major(unit), .tiers = tiers};

	if (text != NULL)
		tiers_read(tiers, &charge.tier_count, text);
	return charge;
}

#define EXPECT_BILL(rig, total) rig_expect_bill(rig, total, __FILE__, __LINE__)
#define EXPECT_SKIP(rig, reason, a, b) rig_expect_skip(rig, reason, a, b, __FILE__, __LINE__)
#define EXPECT_WARNING(rig, reason_, a_, b_)                                                                           \
	do                                                                                                                 \
	{                                                                                                                  \
		CHECK_INT((rig)->bill.warning_count, 1);                                                                       \
		CHECK_INT((rig)->bill.warnings[0].reason, reason_);                                                            \
		CHECK_INT((rig)->bill.warnings[0].a, a_);                                                                      \
		CHECK_INT((rig)->bill.warnings[0].b, b_);                                                                      \
	} while (0)

#endif
