/*
 * discount_test.c: what comes after the lines: discounts, taxes, currency rounding, credit (DESIGN.md §3, 5 to 8).
 *
 * Prices are in KRW (no decimals, no rounding) in May 2024 (31 days) unless a test says otherwise.
 */
#include "rig.h"

/* ---- discounts --------------------------------------------------------------------------------------------------- */

static void
discount_order(void)
{
	Rig *rig = rig_new(202405);

	rig_product(rig, 1, "50000");
	rig_discount(rig, 1, DISCOUNT_PERCENT, "10")->stage = 2;
	rig_discount(rig, 2, DISCOUNT_PERCENT, "25")->priority = 1;
	rig_discount(rig, 3, DISCOUNT_AMOUNT, "5000");
	rig_discount(rig, 4, DISCOUNT_AMOUNT, "1000");
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	for (int32_t i = 1; i <= 4; i++)
		rig_grant(rig, 10 - i, i, 1);
	rig_grant(rig, 2, 3, 1); /* the same discount again, under a lower grant */
	EXPECT_BILL(rig, (50000 - 5000 - 5000 - 1000) * 3 / 4 * 9 / 10);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 0)->discount, 2);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 0)->amount, -5000);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 0)->base, 50000);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 1)->base, 45000);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 2)->amount, -1000);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 3)->amount, -9750);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 4)->amount, -2925);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 4)->product, 0);
	CHECK_INT(rig_line(rig, LINE_RECURRING, 0)->discounted, rig->bill.discount);
	rig_free(rig);
}

/* Floor at 0; a discount that finds only zeros leaves no line and no warning. */
static void
discount_floor(void)
{
	Rig *rig = rig_new(202405);

	rig_product(rig, 1, "50000");
	rig_product(rig, 2, "22000");
	rig_discount(rig, 1, DISCOUNT_AMOUNT, "100000");
	rig_discount(rig, 2, DISCOUNT_PERCENT, "25")->stage = 1;
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_subscribe(rig, 2, 2, 20240101, DAY_MAX);
	rig_grant(rig, 1, 1, 1);
	rig_grant(rig, 2, 2, 1);
	EXPECT_BILL(rig, 22000);
	CHECK_INT(rig_count(rig, LINE_DISCOUNT), 1);
	CHECK_INT(rig->bill.discount, -50000);
	CHECK_INT(rig->bill.warning_count, 0);
	rig->discounts[0].value = major("100000000000000000000"); /* beyond 64 bits of won: still only the base */
	EXPECT_BILL(rig, 22000);
	rig_free(rig);
}

static void
discount_half_up(void)
{
	Rig *rig = rig_new(202405);

	rig->account.currency = USD;
	rig_product(rig, 1, "0.99");
	rig_discount(rig, 1, DISCOUNT_PERCENT, "50");
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_grant(rig, 1, 1, 1);
	EXPECT_BILL(rig, 49); /* 49.5 cents off */
	CHECK_INT(rig->bill.discount, -50);
	rig->discounts[0].value = major("0.000000000001");
	EXPECT_BILL(rig, 99);
	CHECK_INT(rig_count(rig, LINE_DISCOUNT), 0);
	rig->discounts[0].value = major("33.333333333333");
	EXPECT_BILL(rig, 66);
	rig->prices[0][0].unit_price = major("90000000000000000"); /* the wide path */
	EXPECT_BILL(rig, 9000000000000000000 - 2999999999999970000);
	rig_free(rig);
}

/* Scope, target, discountable and the grant's product together decide what a discount touches. */
static void
discount_reach(void)
{
	static const struct {
		const char *name;
		DiscountScope scope;
		DiscountTarget target;
		int32_t grant_product, own_product;
		int64_t off; /* of 100 % */
		int32_t product;
	} rows[] = {
		{"product by the grant", SCOPE_PRODUCT, TARGET_RECURRING, 1, 0, 1000, 0},
		{"product by the discount", SCOPE_PRODUCT, TARGET_RECURRING, 0, 2, 2000, 1},
		{"the grant's product counts", SCOPE_PRODUCT, TARGET_RECURRING, 1, 2, 1000, 0},
		{"usage of a product", SCOPE_PRODUCT, TARGET_USAGE, 1, 0, 70, 0},
		{"all of a product", SCOPE_PRODUCT, TARGET_ALL, 1, 0, 1070, 0},
		{"family", SCOPE_FAMILY, TARGET_RECURRING, 0, 0, 3000, -1},
		{"family, all", SCOPE_FAMILY, TARGET_ALL, 0, 0, 3070, -1},
		{"family narrowed to a product", SCOPE_FAMILY, TARGET_ALL, 2, 0, 2000, 1},
		{"bill, without what is not discountable", SCOPE_BILL, TARGET_RECURRING, 0, 0, 7000, -1},
		{"bill, all", SCOPE_BILL, TARGET_ALL, 0, 0, 7070, -1},
		{"bill narrowed to a product", SCOPE_BILL, TARGET_ALL, 1, 0, 1070, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Rig *rig = rig_new(202405);
		Product *product = rig_product(rig, 1, "1000");
		Discount *discount = rig_discount(rig, 1, DISCOUNT_PERCENT, "100");

		CHECK_CASE(rows[i].name);
		product->family = 7;
		rig_charge(rig, product, 1, CHARGE_PER_UNIT, "7");
		rig_product(rig, 2, "2000")->family = 8;
		rig_product(rig, 3, "4000")->family = 9;
		rig_product(rig, 4, "8000")->discountable = false;
		discount->scope = rows[i].scope;
		discount->target = rows[i].target;
		discount->has_product = rows[i].own_product != 0;
		discount->product_id = rows[i].own_product;
		discount->family_count = 2;
		rig->families[0][0] = 7;
		rig->families[0][1] = 8;
		for (int32_t id = 1; id <= 4; id++)
			rig_subscribe(rig, id, id, 20240101, DAY_MAX);
		rig_use(rig, 1, 1, 10);
		rig_adjust(rig, 1, 500, -1); /* never discounted */
		rig_grant(rig, 1, 1, rows[i].grant_product);
		EXPECT_BILL(rig, 15570 - rows[i].off);
		CHECK_INT(rig_line(rig, LINE_DISCOUNT, 0)->product, rows[i].product);
		CHECK_INT(rig->bill.warning_count, 0);
		rig_free(rig);
	}
	CHECK_CASE("");
}

/* Usage with its minimum or maximum is one item: a discount works on the net and shows on its first line. */
static void
discount_on_usage_net(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "0");
	Charge *charge = rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1");

	charge->has_maximum = true;
	charge->maximum = major("60");
	rig_discount(rig, 1, DISCOUNT_PERCENT, "50")->target = TARGET_ALL;
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_use(rig, 1, 1, 100);
	rig_grant(rig, 1, 1, 1);
	EXPECT_BILL(rig, 30);
	CHECK_INT(rig_line(rig, LINE_DISCOUNT, 0)->base, 60);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->discounted, -30);
	charge->has_maximum = false;
	charge->has_minimum = true;
	charge->minimum = major("60");
	rig->account.usage_count = 0;
	EXPECT_BILL(rig, 30);
	CHECK_INT(rig_line(rig, LINE_MINIMUM, 0)->discounted, -30);
	rig_free(rig);
}

static void
discount_conditions(void)
{
	static const struct {
		const char *name;
		DiscountCondition condition;
		int32_t minimum;
		bool has_group;
		int32_t group_size, started_on;
		bool met;
	} rows[] = {
		{"group reached exactly", CONDITION_GROUP_SIZE, 3, true, 3, 20240101, true},
		{"group above", CONDITION_GROUP_SIZE, 3, true, 4, 20240101, true},
		{"group below", CONDITION_GROUP_SIZE, 3, true, 2, 20240101, false},
		{"no group", CONDITION_GROUP_SIZE, 1, false, 9, 20240101, false},
		{"two years on the month's last day", CONDITION_TENURE_YEARS, 2, false, 0, 20220601, true},
		{"two years a day short", CONDITION_TENURE_YEARS, 2, false, 0, 20220602, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Rig *rig = rig_new(202405);
		Discount *discount = rig_discount(rig, 5, DISCOUNT_AMOUNT, "100");

		CHECK_CASE(rows[i].name);
		rig_product(rig, 1, "1000");
		discount->condition = rows[i].condition;
		discount->condition_minimum = rows[i].minimum;
		rig->account.has_group = rows[i].has_group;
		rig->account.group_size = rows[i].group_size;
		rig_subscribe(rig, 1, 1, rows[i].started_on, DAY_MAX);
		rig_grant(rig, 9, 5, 1);
		EXPECT_BILL(rig, rows[i].met ? 900 : 1000);
		if (rows[i].met)
			CHECK_INT(rig->bill.warning_count, 0);
		else
			EXPECT_WARNING(rig, REASON_CONDITION_NOT_MET, 9, 5);
		rig_free(rig);
	}
	CHECK_CASE("");
}

/* Tenure is each subscription's own: the young one is left alone; it ends with the subscription. */
static void
tenure_per_item(void)
{
	Rig *rig = rig_new(202405);
	Discount *discount = rig_discount(rig, 1, DISCOUNT_PERCENT, "10");

	rig_product(rig, 1, "1000")->proration = PRORATION_NONE;
	discount->scope = SCOPE_BILL;
	discount->condition = CONDITION_TENURE_YEARS;
	discount->condition_minimum = 1;
	rig_subscribe(rig, 1, 1, 20220101, DAY_MAX);
	rig_subscribe(rig, 2, 1, 20230515, 20240514);
	rig_subscribe(rig, 3, 1, 20230515, 20240515);
	rig_subscribe(rig, 4, 1, 20240101, DAY_MAX);
	rig_grant(rig, 1, 1, 0);
	EXPECT_BILL(rig, 4000 - 200);
	CHECK_INT(rig->bill.lines[0].discounted, -100);
	CHECK_INT(rig->bill.lines[1].discounted, 0);
	CHECK_INT(rig->bill.lines[2].discounted, -100);
	rig_free(rig);
}

/* Dates of grants and discounts: a grant works in every month it overlaps. */
static void
discount_dates(void)
{
	static const struct {
		const char *name;
		int32_t starts_on, ends_on, valid_from, valid_to;
		int64_t total;
		int32_t warnings;
	} rows[] = {
		{"always", DAY_MIN, DAY_MAX, DAY_MIN, DAY_MAX, 900, 0},
		{"last day", 20240531, DAY_MAX, DAY_MIN, DAY_MAX, 900, 0},
		{"ended on the first", DAY_MIN, 20240501, DAY_MIN, DAY_MAX, 1000, 0},
		{"begins next month", 20240601, DAY_MAX, DAY_MIN, DAY_MAX, 1000, 0},
		{"empty", 20240510, 20240510, DAY_MIN, DAY_MAX, 1000, 0},
		{"discount from the first", DAY_MIN, DAY_MAX, 20240501, DAY_MAX, 900, 0},
		{"discount from the second", DAY_MIN, DAY_MAX, 20240502, DAY_MAX, 1000, 1},
		{"discount from the second, grant too", 20240502, DAY_MAX, 20240502, DAY_MAX, 900, 0},
		{"discount until the first", DAY_MIN, DAY_MAX, DAY_MIN, 20240501, 1000, 1},
		{"discount until the second", DAY_MIN, DAY_MAX, DAY_MIN, 20240502, 900, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Rig *rig = rig_new(202405);
		Discount *discount = rig_discount(rig, 1, DISCOUNT_AMOUNT, "100");
		Grant *grant;

		CHECK_CASE(rows[i].name);
		rig_product(rig, 1, "1000");
		rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
		grant = rig_grant(rig, 1, 1, 1);
		grant->starts_on = day(rows[i].starts_on);
		grant->ends_on = day(rows[i].ends_on);
		discount->valid_from = day(rows[i].valid_from);
		discount->valid_to = day(rows[i].valid_to);
		EXPECT_BILL(rig, rows[i].total);
		CHECK_INT(rig->bill.warning_count, rows[i].warnings);
		if (rows[i].warnings == 1)
			EXPECT_WARNING(rig, REASON_GRANT_NOT_APPLICABLE, 1, 1);
		rig_free(rig);
	}
	CHECK_CASE("");
}

static void
discount_not_applicable(void)
{
	static const int32_t granted[] = {2, 3, 4, 99};

	/* not subscribed, refunded, not discountable, no such product */
	for (size_t i = 0; i < 4; i++)
	{
		Rig *rig = rig_new(202405);

		rig_product(rig, 1, "1000");
		rig_product(rig, 2, "2000");
		rig_product(rig, 3, "3000")->refund_days = 7;
		rig_product(rig, 4, "4000")->discountable = false;
		rig_discount(rig, 1, DISCOUNT_AMOUNT, "100");
		rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
		rig_subscribe(rig, 4, 4, 20240101, DAY_MAX);
		rig_subscribe(rig, 3, 3, 20240501, 20240502);
		rig_grant(rig, 6, 1, granted[i]);
		EXPECT_BILL(rig, 5000);
		EXPECT_WARNING(rig, REASON_GRANT_NOT_APPLICABLE, 6, 1);
		rig_free(rig);
	}
}

/* ---- tax, rounding, credit --------------------------------------------------------------------------------------- */

static void
taxes(void)
{
	Rig *rig = rig_new(202405);
	int32_t vat, reduced, same;

	rig->account.currency = USD;
	vat = rig_tax(rig, 0, DAY_MIN, 50000, false);
	rig_tax(rig, 0, day(20240401), 100000, false);
	rig_tax(rig, 0, day(20240510), 200000, false);
	reduced = rig_tax(rig, 1, DAY_MIN, 40000, true);
	same = rig_tax(rig, 2, DAY_MIN, 100000, false);
	rig_product(rig, 1, "10.05")->tax = vat;
	rig_product(rig, 2, "2.99")->tax = reduced;
	rig_product(rig, 3, "10.05")->tax = same;
	rig_product(rig, 4, "5");
	rig->products[0].proration = PRORATION_NONE;
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_subscribe(rig, 2, 2, 20240101, DAY_MAX);
	rig_subscribe(rig, 3, 3, 20240101, DAY_MAX);
	rig_subscribe(rig, 4, 4, 20240101, DAY_MAX);
	rig_subscribe(rig, 5, 1, 20240510, DAY_MAX); /* began under the new rate */
	rig_adjust(rig, 1, -5, vat);
	rig_adjust(rig, 2, 100, -1);
	EXPECT_BILL(rig, 1005 * 3 + 299 + 500 + 95 + 100 + 101 + 201);
	CHECK_INT(rig_count(rig, LINE_TAX), 3);
	CHECK_INT(rig_line(rig, LINE_TAX, 0)->base, 1000);
	CHECK_INT(rig_line(rig, LINE_TAX, 0)->rate_ppm, 100000);
	CHECK_INT(rig_line(rig, LINE_TAX, 0)->amount, 100);
	CHECK_INT(rig_line(rig, LINE_TAX, 1)->rate_ppm, 200000);
	CHECK_INT(rig_line(rig, LINE_TAX, 1)->amount, 201);
	CHECK_INT(rig_line(rig, LINE_TAX, 2)->tax, same); /* two codes of one rate do not merge: 100.5 up */
	CHECK_INT(rig_line(rig, LINE_TAX, 2)->amount, 101);
	CHECK_INT(rig_line(rig, LINE_INCLUDED_TAX, 0)->base, 299);
	CHECK_INT(rig_line(rig, LINE_INCLUDED_TAX, 0)->amount, 0);
	CHECK_INT(rig->bill.included_tax, 12);
	rig_free(rig);
}

/* Tax is on what discounts left; a negative base has a negative tax, rounded on the magnitude; a base of 0 has no line. */
static void
tax_base(void)
{
	Rig *rig = rig_new(202405);

	rig_tax(rig, 0, DAY_MIN, 50000, false);
	rig_product(rig, 1, "1000")->tax = 0;
	rig_discount(rig, 1, DISCOUNT_AMOUNT, "990");
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_grant(rig, 1, 1, 1);
	EXPECT_BILL(rig, 11); /* 10 and 0.5 up */
	rig_adjust(rig, 1, -20, 0);
	EXPECT_BILL(rig, 0);
	CHECK_INT(rig->bill.tax, -1);
	CHECK_INT(rig->bill.credit_forward, 11);
	rig->adjustments[0].amount = -10;
	EXPECT_BILL(rig, 0);
	CHECK_INT(rig_count(rig, LINE_TAX), 0);
	rig->rates[0][0].rate_ppm = 0; /* zero-rated: shown */
	rig->adjustments[0].amount = 90;
	EXPECT_BILL(rig, 100);
	CHECK_INT(rig_line(rig, LINE_TAX, 0)->base, 100);
	rig->rates[0][0] = (TaxRate){DAY_MIN, 100000, true, REASON_OK};
	rig->adjustments[0].amount = -120;
	EXPECT_BILL(rig, 0); /* inclusive tax of a credit */
	CHECK_INT(rig->bill.included_tax, -10);
	rig_free(rig);
}

static void
currency_rounding(void)
{
	Rig *rig = rig_new(202405);

	rig->account.currency = KRW10;
	rig_product(rig, 1, "87905");
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	EXPECT_BILL(rig, 87900);
	CHECK_INT(rig->bill.rounding, -5);
	CHECK_INT(rig_line(rig, LINE_ROUNDING, 0)->amount, -5);
	rig->currencies[KRW10].rounding_mode = ROUND_HALF_UP;
	EXPECT_BILL(rig, 87910);
	rig->prices[0][0].unit_price = major("87900");
	EXPECT_BILL(rig, 87900);
	CHECK_INT(rig_count(rig, LINE_ROUNDING), 0);
	rig->currencies[KRW10].rounding_mode = ROUND_DOWN;
	rig_adjust(rig, 1, -88009, -1);
	EXPECT_BILL(rig, 0); /* -109 down to -100, carried */
	CHECK_INT(rig->bill.rounding, 9);
	CHECK_INT(rig->bill.credit_forward, 100);
	CHECK_INT(rig_line(rig, LINE_CREDIT_FORWARD, 0)->amount, 100);
	rig_free(rig);
}

int
main(void)
{
	discount_order();
	discount_floor();
	discount_half_up();
	discount_reach();
	discount_on_usage_net();
	discount_conditions();
	tenure_per_item();
	discount_dates();
	discount_not_applicable();
	taxes();
	tax_base();
	currency_rounding();
	return check_done();
}
