/*
 * fault_test.c: a bad account is a value. Every reason code by the input that causes it, the order in which faults are
 * found, what is none of the month's business, and the checks that mark bad rows of the catalogue (DESIGN.md §3).
 */
#include "rig.h"

/* ---- faults ------------------------------------------------------------------------------------------------------ */

/* A sound account, broken in one place by each row of the table below. */
static Rig *
sound(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "1000");

	rig_tax(rig, 0, DAY_MIN, 100000, false);
	product->tax = 0;
	rig_charge(rig, product, 1, CHARGE_PER_UNIT, "2");
	rig_discount(rig, 3, DISCOUNT_AMOUNT, "100");
	rig->account.has_group = true;
	rig->account.group_id = 77;
	rig->account.group_size = 2;
	rig_subscribe(rig, 11, 1, 20240101, DAY_MAX);
	rig_use(rig, 11, 1, 50);
	rig_grant(rig, 21, 3, 1);
	rig_adjust(rig, 31, 500, 0);
	return rig;
}

static void break_account(Rig *rig) { rig->account.exists = false; }
static void break_no_currency(Rig *rig) { rig->account.currency = -1; }
static void break_currency(Rig *rig) { rig->account.currency = -2; }
static void break_group(Rig *rig) { rig->account.group_size = -1; }
static void break_product(Rig *rig) { rig->subscriptions[0].product_id = 5; }
static void break_product_currency(Rig *rig) { rig->products[0].currency = USD; }
static void break_range(Rig *rig) { rig_subscribe(rig, 12, 9, 20240301, 20240201); }
static void break_quantity(Rig *rig) { rig->subscriptions[0].quantity = -1; }
static void break_own_price(Rig *rig) { rig->subscriptions[0].invalid = REASON_INVALID_PRICE; }
static void break_no_price(Rig *rig) { rig->products[0].price_count = 0; }
static void break_price(Rig *rig) { rig->prices[0][0].invalid = REASON_NEGATIVE_PRICE; }
static void break_usage(Rig *rig) { rig->usage[0].invalid = REASON_INVALID_QUANTITY; }
static void break_usage_quantity(Rig *rig) { rig->usage[0].quantity = -1; }
static void break_usage_sum(Rig *rig) { rig->usage[0].invalid = REASON_OVERFLOW; }
static void break_metric(Rig *rig) { rig->usage[0].metric_id = 99; }
static void break_subscription(Rig *rig) { rig->usage[0].subscription_id = 12; }
static void break_charge(Rig *rig) { rig->charges[0][0].invalid = REASON_INVALID_CHARGE; }
static void break_tiers(Rig *rig) { rig->charges[0][0].invalid = REASON_INVALID_TIERS; }
static void break_adjustment_tax(Rig *rig) { rig->adjustments[0].tax = -2; }
static void break_discount(Rig *rig) { rig->grants[0].discount_id = 4; }
static void break_discount_row(Rig *rig) { rig->discounts[0].invalid = REASON_INVALID_DISCOUNT; }
static void break_discount_currency(Rig *rig) { rig->discounts[0].currency = USD; }

static void
break_grant_range(Rig *rig)
{
	rig->grants[0].starts_on = day(20240301);
	rig->grants[0].ends_on = day(20240201);
}

static void break_grant_product(Rig *rig) { rig->grants[0].has_product = false; }
static void break_product_tax(Rig *rig) { rig->products[0].tax = -2; }
static void break_tax_version(Rig *rig) { rig->rates[0][0].valid_from = day(20240502); }
static void break_tax_rate(Rig *rig) { rig->rates[0][0].rate_ppm = -1; }
static void break_tax_row(Rig *rig) { rig->rates[0][0].invalid = REASON_INVALID_TAX; }
static void break_line(Rig *rig) { rig->prices[0][0].unit_price = major("9223372036854775808"); }

static void
break_recurring_product(Rig *rig)
{
	rig->prices[0][0].unit_price = major("100000000000000000000000000");
	rig->subscriptions[0].quantity = 99;
}

static void break_sum(Rig *rig) { rig->adjustments[0].amount = INT64_MAX; }
static void break_usage_amount(Rig *rig) { rig->charges[0][0].unit_amount = major("900000000000000000"); }
static void break_tax_sum(Rig *rig) { rig->adjustments[0].amount = INT64_MAX - 1000; }

static void
break_credit(Rig *rig)
{
	rig->adjustments[0] = (Adjustment){31, INT64_MIN, -1, "credit"};
	rig->account.subscription_count = rig->account.usage_count = 0;
}


static const struct {
	const char *name;
	void (*break_it)(Rig *rig);
	Reason reason;
	int64_t a, b;
} faults[] = {
	/* in the order in which they are looked for */
	{"account", break_account, REASON_UNKNOWN_ACCOUNT, 42, 0},
	{"no currency", break_no_currency, REASON_NO_CURRENCY, 42, 0},
	{"currency", break_currency, REASON_UNKNOWN_CURRENCY, 42, 0},
	{"group", break_group, REASON_UNKNOWN_GROUP, 77, 42},
	{"product", break_product, REASON_UNKNOWN_PRODUCT, 11, 5},
	{"product's currency", break_product_currency, REASON_CURRENCY_MISMATCH, 11, 1},
	{"quantity", break_quantity, REASON_INVALID_QUANTITY, 0, 11},
	{"own price", break_own_price, REASON_INVALID_PRICE, 11, 1},
	{"no price", break_no_price, REASON_NO_PRICE, 11, 1},
	{"negative price", break_price, REASON_NEGATIVE_PRICE, 11, 1},
	{"line too large", break_line, REASON_OVERFLOW, 0, 11},
	{"product too large", break_recurring_product, REASON_OVERFLOW, 0, 11},
	{"range, though not in the month and of no product", break_range, REASON_INVALID_SUBSCRIPTION, 12, 9},
	{"usage", break_usage, REASON_INVALID_QUANTITY, 1, 11},
	{"usage below 0", break_usage_quantity, REASON_INVALID_QUANTITY, 1, 11},
	{"usage too large", break_usage_sum, REASON_OVERFLOW, 1, 11},
	{"metric", break_metric, REASON_UNKNOWN_METRIC, 99, 11},
	{"subscription", break_subscription, REASON_UNKNOWN_SUBSCRIPTION, 1, 12},
	{"charge", break_charge, REASON_INVALID_CHARGE, 10, 1},
	{"tiers", break_tiers, REASON_INVALID_TIERS, 10, 1},
	{"usage amount", break_usage_amount, REASON_OVERFLOW, 1, 11},
	{"adjustment's tax", break_adjustment_tax, REASON_UNKNOWN_TAX, 0, 31},
	{"sum", break_sum, REASON_OVERFLOW, 0, 0},
	{"discount", break_discount, REASON_UNKNOWN_DISCOUNT, 21, 4},
	{"grant's range", break_grant_range, REASON_INVALID_GRANT, 21, 3},
	{"discount's numbers", break_discount_row, REASON_INVALID_DISCOUNT, 21, 3},
	{"discount's currency", break_discount_currency, REASON_CURRENCY_MISMATCH, 21, 3},
	{"grant's product", break_grant_product, REASON_INVALID_GRANT, 21, 3},
	{"product's tax", break_product_tax, REASON_UNKNOWN_TAX, 1, 0},
	{"tax version", break_tax_version, REASON_UNKNOWN_TAX, 1, 0},
	{"tax rate", break_tax_rate, REASON_INVALID_TAX, 1, 0},
	{"tax row", break_tax_row, REASON_INVALID_TAX, 1, 0},
	{"tax's sum", break_tax_sum, REASON_OVERFLOW, 0, 0},
	{"credit", break_credit, REASON_OVERFLOW, 0, 0},
};

static void
each_fault(void)
{
	const size_t count = sizeof(faults) / sizeof(faults[0]);
	Rig *rig = sound();

	EXPECT_BILL(rig, 1000 + 100 + 500 - 100 + 150);
	rig->account.has_group = false;
	rig->account.group_size = -1;
	EXPECT_BILL(rig, 1650); /* without a group its size means nothing */
	rig_free(rig);
	for (size_t i = 0; i < count; i++)
	{
		CHECK_CASE(faults[i].name);
		rig = sound();
		faults[i].break_it(rig);
		EXPECT_SKIP(rig, faults[i].reason, faults[i].a, faults[i].b);
		rig_free(rig);
	}
	CHECK_CASE("");
}

/* Of two faults the one that is looked for first is reported, whichever was made first. */
static void
first_fault_wins(void)
{
	static const char *const order[] = {"account", "currency", "group", "product", "quantity", "own price", "usage",
		"charge", "adjustment's tax", "discount's numbers", "product's tax"};
	const size_t count = sizeof(faults) / sizeof(faults[0]), stages = sizeof(order) / sizeof(order[0]);

	for (size_t first = 0; first < stages; first++)
		for (size_t second = first + 1; second < stages; second++)
		{
			Rig *rig = sound();
			Reason expected = REASON_OK;

			for (size_t i = 0; i < count; i++)
			{
				if (strcmp(faults[i].name, order[second]) == 0)
					faults[i].break_it(rig);
				if (strcmp(faults[i].name, order[first]) == 0)
				{
					faults[i].break_it(rig);
					expected = faults[i].reason;
				}
			}
			CHECK_CASE(order[first]);
			CHECK_INT(rig_rate(rig), OUTCOME_SKIP);
			CHECK_TEXT(reason_code(rig->fault.reason), reason_code(expected));
			rig_free(rig);
		}
	CHECK_CASE("");
}

/* What does not concern the month cannot fail the account: old subscriptions, old grants, charges of the absent. */
static void
faults_outside_the_month(void)
{
	Rig *rig = sound();

	rig_subscribe(rig, 1, 99, 20200101, 20240501)->quantity = -5;
	rig_grant(rig, 2, 99, 0)->ends_on = day(20240501);
	rig_grant(rig, 3, 99, 0)->starts_on = day(20240601);
	EXPECT_BILL(rig, 1650);
	rig_use(rig, 12, 1, 5); /* usage brings its subscription back into view */
	rig->subscriptions[1].subscription_id = 12;
	EXPECT_SKIP(rig, REASON_UNKNOWN_PRODUCT, 12, 99);
	rig_free(rig);

	/* a broken charge of a subscription without days matters only to usage of its metric */
	rig = sound();
	rig_charge(rig, rig_product(rig, 2, "5"), 2, CHARGE_PER_UNIT, "1")->invalid = REASON_INVALID_CHARGE;
	rig_subscribe(rig, 12, 2, 20240101, 20240501);
	rig_use(rig, 12, 1, 5);
	EXPECT_BILL(rig, 1650);
	rig->usage[1].metric_id = 2;
	EXPECT_SKIP(rig, REASON_INVALID_CHARGE, 20, 2);
	rig_free(rig);
}

/* Grants come in any order; the lowest of the broken ones is reported. */
static void
grant_faults_in_any_order(void)
{
	Rig *rig = sound();

	rig->account.grant_count = 0;
	rig_grant(rig, 9, 98, 1);
	rig_grant(rig, 4, 97, 1);
	rig_grant(rig, 7, 96, 1);
	EXPECT_SKIP(rig, REASON_UNKNOWN_DISCOUNT, 4, 97);
	rig_free(rig);
}

/* An account with nothing to charge is empty only when nothing is wrong with it. */
static void
empty_is_checked_too(void)
{
	Rig *rig = sound();

	rig->account.subscription_count = rig->account.usage_count = rig->account.adjustment_count = 0;
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	break_discount(rig);
	EXPECT_SKIP(rig, REASON_UNKNOWN_DISCOUNT, 21, 4);
	rig_free(rig);
}

/* Too small a workspace is refused, not overrun. */
static void
workspace_too_small(void)
{
	Rig *rig = sound();

	CHECK_INT(rig_rate(rig), OUTCOME_BILL);
	rig->workspace.size--;
	CHECK_INT(rate_account(&rig->tariff, rig->period, &rig->account, &rig->workspace, &rig->bill, &rig->fault),
			  OUTCOME_SKIP);
	rig_free(rig);
}

/* ---- catalogue checks -------------------------------------------------------------------------------------------- */

static void
charge_checks(void)
{
	Tier tiers[RIG_TIERS];
	const Charge sound_charge = rig_loose_charge(CHARGE_GRADUATED, "0", tiers, "5@1 10@2 *@3");
	Charge charge = sound_charge;

	CHECK_INT(rate_check_charge(&charge), REASON_OK);
#define BROKEN(statement, reason)                                                                                      \
	do                                                                                                                 \
	{                                                                                                                  \
		tiers_read(tiers, &charge.tier_count, "5@1 10@2 *@3");                                                         \
		charge = sound_charge;                                                                                         \
		statement;                                                                                                     \
		CHECK_CASE(#statement);                                                                                        \
		CHECK_TEXT(reason_code(rate_check_charge(&charge)), reason_code(reason));                                      \
	} while (0)
	BROKEN(charge.unit_amount = -1, REASON_INVALID_CHARGE);
	BROKEN(charge.event_amount = -1, REASON_INVALID_CHARGE);
	BROKEN(charge.included = -1, REASON_INVALID_CHARGE);
	BROKEN((charge.has_minimum = true, charge.minimum = -1), REASON_INVALID_CHARGE);
	BROKEN((charge.has_maximum = true, charge.maximum = -1), REASON_INVALID_CHARGE);
	BROKEN(charge.maximum = -1, REASON_OK);
	BROKEN((charge.has_minimum = charge.has_maximum = true, charge.minimum = 1), REASON_INVALID_CHARGE);
	BROKEN((charge.has_minimum = charge.has_maximum = true, charge.minimum = charge.maximum = 1), REASON_OK);
	BROKEN(charge.model = CHARGE_PACKAGE, REASON_INVALID_CHARGE);
	BROKEN((charge.model = CHARGE_PACKAGE, charge.package_size = 1), REASON_OK);
	BROKEN(charge.model = (ChargeModel) 9, REASON_INVALID_CHARGE);
	BROKEN(tiers[1].unit_amount = -1, REASON_INVALID_CHARGE);
	BROKEN(tiers[2].flat_amount = -1, REASON_INVALID_CHARGE);
	BROKEN(charge.tier_count = 0, REASON_INVALID_TIERS);
	BROKEN(charge.tier_count = 2, REASON_INVALID_TIERS); /* the last is finite */
	BROKEN(tiers[1].up_to = 5, REASON_INVALID_TIERS);
	BROKEN(tiers[1].up_to = 4, REASON_INVALID_TIERS);
	BROKEN(tiers[0].up_to = 0, REASON_INVALID_TIERS);
	BROKEN(tiers[1].up_to = INT64_MAX, REASON_INVALID_TIERS);
	BROKEN((charge.model = CHARGE_VOLUME, charge.tier_count = 0), REASON_INVALID_TIERS);
	BROKEN((charge.model = CHARGE_PER_UNIT, charge.tier_count = 0), REASON_OK);
	BROKEN((charge.model = CHARGE_UNLIMITED, charge.tier_count = 0), REASON_OK);
#undef BROKEN
	CHECK_CASE("");
}

static void
discount_checks(void)
{
	Discount discount;

#define CHECKED(statement, reason)                                                                                     \
	do                                                                                                                 \
	{                                                                                                                  \
		discount = (Discount){.kind = DISCOUNT_PERCENT, .value = major("100"), .currency = -1};                        \
		statement;                                                                                                     \
		CHECK_CASE(#statement);                                                                                        \
		CHECK_TEXT(reason_code(rate_check_discount(&discount)), reason_code(reason));                                  \
	} while (0)
	CHECKED((void) 0, REASON_OK);
	CHECKED(discount.value = 1, REASON_OK);
	CHECKED(discount.value = 0, REASON_INVALID_DISCOUNT);
	CHECKED(discount.value = -1, REASON_INVALID_DISCOUNT);
	CHECKED(discount.value++, REASON_INVALID_DISCOUNT);
	CHECKED((discount.value++, discount.kind = DISCOUNT_AMOUNT), REASON_OK);
	CHECKED((discount.value = 0, discount.kind = DISCOUNT_AMOUNT), REASON_INVALID_DISCOUNT);
	CHECKED(discount.condition = CONDITION_GROUP_SIZE, REASON_INVALID_DISCOUNT);
	CHECKED((discount.condition = CONDITION_TENURE_YEARS, discount.condition_minimum = 1), REASON_OK);
	CHECKED(discount.scope = SCOPE_FAMILY, REASON_INVALID_DISCOUNT);
	CHECKED((discount.scope = SCOPE_FAMILY, discount.family_count = 1), REASON_OK);
	CHECKED(discount.scope = (DiscountScope) 7, REASON_INVALID_DISCOUNT);
	CHECKED((discount.stage = -5, discount.priority = INT32_MIN), REASON_OK);
#undef CHECKED
	CHECK_CASE("");
}

static void
increments(void)
{
	static const struct {
		int64_t first, then, quantity, billed;
	} rows[] = {
		{1, 1, 0, 0}, {1, 1, 7, 7}, {60, 60, 0, 0}, {60, 60, 1, 60}, {60, 60, 60, 60}, {60, 60, 61, 120},
		{30, 6, 1, 30}, {30, 6, 30, 30}, {30, 6, 31, 36}, {30, 6, 32, 36}, {30, 6, 57, 60}, {30, 6, 75, 78},
		{60, 1, 85, 85}, {60, 1, 45, 60}, {1, 10, 1, 1}, {1, 10, 2, 11}, {100, 1, INT64_MAX, INT64_MAX},
	};
	int64_t billed;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Metric metric = {1, rows[i].first, rows[i].then, "metric"};

		CHECK(rate_increment(&metric, rows[i].quantity, &billed));
		CHECK_INT(billed, rows[i].billed);
	}
	CHECK(!rate_increment(&(Metric){1, 60, 60, "metric"}, INT64_MAX, &billed));
}

static void
lookups(void)
{
	Rig *rig = rig_new(202405);

	CHECK(tariff_product(&rig->tariff, 1) == NULL);
	for (int32_t i = 0; i < 20; i++)
		rig_product(rig, i < 10 ? i - 5 : i * i * 1000000, "1");
	for (int32_t i = 0; i < 20; i++)
		CHECK(tariff_product(&rig->tariff, rig->products[i].product_id) == &rig->products[i]);
	CHECK(tariff_product(&rig->tariff, 5) == NULL);
	CHECK(tariff_product(&rig->tariff, INT32_MIN) == NULL);
	CHECK(tariff_product(&rig->tariff, INT32_MAX) == NULL);
	CHECK(tariff_metric(&rig->tariff, 8) == &rig->metrics[7]);
	CHECK(tariff_metric(&rig->tariff, 9) == NULL);
	CHECK(tariff_discount(&rig->tariff, 1) == NULL);
	rig_free(rig);
}

/* Usage of the pool that no subscription of the month is there to price: not charged, and said. */
static void
unpriced_usage(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "0");

	rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1");
	rig_product(rig, 2, "1000");
	rig_discount(rig, 1, DISCOUNT_AMOUNT, "5");
	rig_grant(rig, 1, 1, 2);
	rig_use(rig, 0, 1, 77);
	rig_use(rig, 0, 2, 0); /* nothing was used */
	rig_use(rig, 0, 3, 5);
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	CHECK_INT(rig->bill.warning_count, 2); /* none of the grant: there is no bill */
	CHECK_INT(rig->bill.warnings[0].reason, REASON_UNPRICED_USAGE);
	CHECK_INT(rig->bill.warnings[0].a, 1);
	CHECK_INT(rig->bill.warnings[0].b, 77);
	CHECK_INT(rig->bill.warnings[1].a, 3);
	CHECK_INT(rig->bill.warnings[1].b, 5);

	rig_adjust(rig, 1, 500, -1);
	EXPECT_BILL(rig, 500); /* with a bill, the grant is told too, and last */
	CHECK_INT(rig->bill.warning_count, 3);
	CHECK_INT(rig->bill.warnings[2].reason, REASON_GRANT_NOT_APPLICABLE);

	rig_subscribe(rig, 1, 1, 20240101, 20240501); /* one that has ended prices nothing of the pool */
	EXPECT_BILL(rig, 500);
	CHECK_INT(rig->bill.warning_count, 3);
	rig_subscribe(rig, 2, 2, 20240531, DAY_MAX); /* one of the last day does, free as its product has no charge */
	CHECK_INT(rig_rate(rig), OUTCOME_BILL);
	CHECK_INT(rig->bill.warning_count, 0);
	rig_free(rig);
}

/* Every code has a name, a help and a message, and messages are cut, not overrun. */
static void
reasons(void)
{
	char text[160], small[5];
	int warnings = 0;

	for (int i = 0; i < REASON_COUNT; i++)
	{
		Reason reason = (Reason) i;

		CHECK(reason_code(reason) != NULL && reason_help(reason) != NULL && strlen(reason_help(reason)) > 5);
		for (int j = 0; j < i; j++)
			if (strcmp(reason_code(reason), reason_code((Reason) j)) == 0)
				CHECK_TEXT(reason_code(reason), "unique");
		CHECK(reason_message((Fault){reason, INT64_MIN, INT64_MAX}, text, sizeof(text)) < 159);
		CHECK(strchr(text, '%') == NULL);
		CHECK_INT(reason_class(reason),
				  reason >= REASON_NO_PRICE && reason <= REASON_INVALID_TAX ? REASON_CLASS_CATALOG : REASON_CLASS_DATA);
		warnings += reason_is_warning(reason);
	}
	CHECK_INT(warnings, 3);
	CHECK(reason_is_warning(REASON_UNPRICED_USAGE) && reason_is_warning(REASON_CONDITION_NOT_MET) && reason_is_warning(REASON_GRANT_NOT_APPLICABLE));
	reason_message((Fault){REASON_UNKNOWN_PRODUCT, 7, -1234567890123}, text, sizeof(text));
	CHECK_TEXT(text, "subscription 7 is of product -1234567890123, which does not exist");
	CHECK_INT(reason_message((Fault){REASON_UNKNOWN_PRODUCT, 7, 8}, small, sizeof(small)), 4);
	CHECK_TEXT(small, "subs");
	CHECK_INT(reason_message((Fault){REASON_UNKNOWN_PRODUCT, 7, 8}, small, 1), 0);
	CHECK_TEXT(reason_code((Reason) 9999), "OK");
}

int
main(void)
{
	each_fault();
	first_fault_wins();
	faults_outside_the_month();
	grant_faults_in_any_order();
	empty_is_checked_too();
	workspace_too_small();
	charge_checks();
	discount_checks();
	increments();
	lookups();
	unpriced_usage();
	reasons();
	return check_done();
}
