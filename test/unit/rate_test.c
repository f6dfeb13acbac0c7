/*
 * rate_test.c: who is due, what subscriptions and usage cost: each rule of DESIGN.md §3 by a small example.
 *
 * Prices are in KRW (no decimals, no rounding) in May 2024 (31 days) unless a test says otherwise.
 */
#include "rig.h"

/* ---- who is due -------------------------------------------------------------------------------------------------- */

static void
due_rule(void)
{
	static const struct {
		const char *name;
		bool exists, subscribed, uses, adjusted, granted;
		AccountStatus status;
		Outcome outcome;
	} rows[] = {
		{"active with nothing", true, false, false, false, false, ACCOUNT_ACTIVE, OUTCOME_EMPTY},
		{"suspended with nothing", true, false, false, false, false, ACCOUNT_SUSPENDED, OUTCOME_EMPTY},
		{"closed with nothing", true, false, false, false, false, ACCOUNT_CLOSED, OUTCOME_NOT_DUE},
		{"closed with a subscription", true, true, false, false, false, ACCOUNT_CLOSED, OUTCOME_BILL},
		{"closed with pool usage", true, false, true, false, false, ACCOUNT_CLOSED, OUTCOME_EMPTY},
		{"closed with an adjustment", true, false, false, true, false, ACCOUNT_CLOSED, OUTCOME_BILL},
		{"closed with a grant", true, false, false, false, true, ACCOUNT_CLOSED, OUTCOME_NOT_DUE},
		{"unknown with usage", false, false, true, false, false, ACCOUNT_ACTIVE, OUTCOME_SKIP},
		{"unknown with a subscription", false, true, false, false, false, ACCOUNT_ACTIVE, OUTCOME_SKIP},
		{"unknown with an adjustment", false, false, false, true, false, ACCOUNT_CLOSED, OUTCOME_SKIP},
		{"unknown with nothing", false, false, false, false, false, ACCOUNT_CLOSED, OUTCOME_NOT_DUE},
		{"unknown, but a run was asked for it", false, false, false, false, false, ACCOUNT_ACTIVE, OUTCOME_SKIP},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Rig *rig = rig_new(202405);

		CHECK_CASE(rows[i].name);
		rig_product(rig, 1, "1000");
		rig_discount(rig, 1, DISCOUNT_AMOUNT, "5");
		rig->account.exists = rows[i].exists;
		rig->account.status = rows[i].status;
		if (rows[i].subscribed)
			rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
		if (rows[i].uses)
			rig_use(rig, 0, 1, 10);
		if (rows[i].adjusted)
			rig_adjust(rig, 1, 5, -1);
		if (rows[i].granted)
			rig_grant(rig, 1, 1, 1);
		CHECK_INT(rig_rate(rig), rows[i].outcome);
		if (rows[i].outcome == OUTCOME_SKIP)
			CHECK_INT(rig->fault.reason, REASON_UNKNOWN_ACCOUNT);
		rig_free(rig);
	}
	CHECK_CASE("");
}

/* A subscription outside the month, of any length or none, does not make a closed account due. */
static void
due_needs_overlap(void)
{
	Rig *rig = rig_new(202405);

	rig->account.status = ACCOUNT_CLOSED;
	rig_product(rig, 1, "1000");
	rig_subscribe(rig, 1, 1, 20240301, 20240501);
	rig_subscribe(rig, 2, 1, 20240510, 20240510);
	rig_subscribe(rig, 3, 1, 20240601, DAY_MAX);
	CHECK_INT(rig_rate(rig), OUTCOME_NOT_DUE);
	rig_subscribe(rig, 4, 1, 20240531, DAY_MAX);
	EXPECT_BILL(rig, 32);
	rig_free(rig);
}

/* Empty: nothing but zeros to charge. A credit that exactly meets a charge, or a discount, still makes a bill. */
static void
empty_rule(void)
{
	Rig *rig = rig_new(202405);

	rig_product(rig, 1, "0");
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	rig_adjust(rig, 1, 0, -1);
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	rig_adjust(rig, 2, 70, -1);
	rig_adjust(rig, 3, -70, -1);
	EXPECT_BILL(rig, 0);
	CHECK_INT(rig->bill.line_count, 4);
	CHECK_INT(rig->bill.one_off, 0);
	rig_free(rig);

	rig = rig_new(202405);
	rig_product(rig, 1, "1000");
	rig_discount(rig, 1, DISCOUNT_PERCENT, "100");
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_grant(rig, 1, 1, 1);
	EXPECT_BILL(rig, 0);
	CHECK_INT(rig->bill.discount, -1000);
	rig_free(rig);
}

/* ---- recurring --------------------------------------------------------------------------------------------------- */

static void
recurring_proration(void)
{
	static const struct {
		const char *name;
		Proration proration;
		int32_t from, to, quantity;
		int64_t amount;
	} rows[] = {
		{"whole", PRORATION_DAILY, 20240101, DAY_MAX, 1, 31000},
		{"three units", PRORATION_DAILY, 20240101, DAY_MAX, 3, 93000},
		{"no unit", PRORATION_DAILY, 20240101, DAY_MAX, 0, 0},
		{"from the 11th", PRORATION_DAILY, 20240511, DAY_MAX, 1, 21000},
		{"until the 11th", PRORATION_DAILY, 20240101, 20240511, 2, 20000},
		{"one day", PRORATION_DAILY, 20240510, 20240511, 1, 1000},
		{"one day in full", PRORATION_NONE, 20240510, 20240511, 1, 31000},
		{"thirty, whole", PRORATION_THIRTY, 20240101, DAY_MAX, 1, 31000},
		{"thirty, from the 16th", PRORATION_THIRTY, 20240516, DAY_MAX, 1, 15500},
		{"thirty, the 31st", PRORATION_THIRTY, 20240531, DAY_MAX, 1, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Rig *rig = rig_new(202405);

		CHECK_CASE(rows[i].name);
		rig_product(rig, 1, "31000")->proration = rows[i].proration;
		rig_subscribe(rig, 7, 1, rows[i].from, rows[i].to)->quantity = rows[i].quantity;
		CHECK_INT(rig_rate(rig), rows[i].amount ? OUTCOME_BILL : OUTCOME_EMPTY);
		CHECK_INT(rig->bill.recurring, rows[i].amount);
		CHECK_INT(rig->bill.line_count, 1);
		CHECK_INT(rig->bill.lines[0].quantity, rows[i].quantity);
		CHECK_INT(rig->bill.lines[0].days, ymd_overlap(rig->period, day(rows[i].from), day(rows[i].to)));
		CHECK_INT(rig->bill.lines[0].subscription_id, 7);
		CHECK_INT(rig->bill.lines[0].product, 0);
		CHECK(rig->bill.lines[0].metric == -1 && rig->bill.lines[0].tax == -1 && rig->bill.lines[0].discount == -1);
		rig_free(rig);
	}
	CHECK_CASE("");
}

/* Multiplied out, divided and rounded once: 3 × 10.01 × 15/31 is 14.53, three rounded thirds would be 14.52. */
static void
recurring_rounds_once(void)
{
	Rig *rig = rig_new(202405);

	rig->account.currency = USD;
	rig_product(rig, 1, "10.01");
	rig_subscribe(rig, 1, 1, 20240517, DAY_MAX)->quantity = 3;
	EXPECT_BILL(rig, 1453);
	rig_free(rig);
}

static void
recurring_price_versions(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, NULL);

	rig_price(rig, product, day(20240401), "100");
	rig_price(rig, product, day(20240501), "200");
	rig_price(rig, product, day(20240510), "400");
	product->proration = PRORATION_NONE;
	rig_subscribe(rig, 1, 1, 20200101, DAY_MAX); /* the price of the first of the month */
	rig_subscribe(rig, 2, 1, 20240509, DAY_MAX);
	rig_subscribe(rig, 3, 1, 20240510, DAY_MAX); /* began under the new one */
	EXPECT_BILL(rig, 200 + 200 + 400);
	rig->period = ymd_period(2024, 4);
	rig->account.subscription_count = 1;
	EXPECT_BILL(rig, 100); /* an old month at its own prices */
	rig->period = ymd_period(2024, 6);
	EXPECT_BILL(rig, 400);
	rig->period = ymd_period(2024, 3);
	EXPECT_SKIP(rig, REASON_NO_PRICE, 1, 1);
	rig_free(rig);
}

static void
recurring_own_price(void)
{
	Rig *rig = rig_new(202405);
	Subscription *subscription;

	rig_product(rig, 1, NULL);
	subscription = rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	subscription->has_unit_price = true;
	subscription->unit_price = major("123.4");
	subscription->quantity = 10;
	EXPECT_BILL(rig, 1234);
	subscription->unit_price = -1;
	EXPECT_SKIP(rig, REASON_INVALID_PRICE, 1, 1);
	rig_free(rig);
}

/* refund_days: cancelled in less than that many days is free; its usage is not. */
static void
recurring_refund(void)
{
	for (int32_t end = 20240506; end <= 20240509; end++)
	{
		Rig *rig = rig_new(202405);
		Product *product = rig_product(rig, 1, "1000");

		product->refund_days = 7;
		product->proration = PRORATION_NONE;
		rig_charge(rig, product, 1, CHARGE_PER_UNIT, "3");
		rig_subscribe(rig, 1, 1, 20240501, end);
		rig_use(rig, 1, 1, 5);
		EXPECT_BILL(rig, end < 20240508 ? 15 : 1015);
		rig_free(rig);
	}
}

/* ---- usage ------------------------------------------------------------------------------------------------------- */

static void
check_price(const Charge *charge, int64_t quantity, int64_t rows, int64_t allowance, const char *expected)
{
	char text[AMOUNT_TEXT_SIZE] = "overflow";
	Amount amount;

	if (rate_charge(charge, quantity, rows, allowance, &amount))
		amount_print(amount, text);
	CHECK_TEXT(text, expected);
}

static void
models(void)
{
	Tier tiers[RIG_TIERS];
	Charge charge = rig_loose_charge(CHARGE_PER_UNIT, "0.0275", tiers, NULL);

	check_price(&charge, 12345, 3, 10000, "64.4875");
	check_price(&charge, 10000, 3, 10000, "0");
	charge.event_amount = major("0.15"); /* due whatever the allowance */
	check_price(&charge, 10000, 3, 10000, "0.45");

	charge = rig_loose_charge(CHARGE_GRADUATED, "0", tiers, "5@7+1 10@6.5+2 *@6+4");
	check_price(&charge, 0, 0, 0, "0");
	check_price(&charge, 1, 0, 0, "8");
	check_price(&charge, 5, 0, 0, "36");
	check_price(&charge, 6, 0, 0, "44.5"); /* up_to is inclusive: the 6th unit enters the second tier */
	check_price(&charge, 10, 0, 0, "70.5");
	check_price(&charge, 11, 0, 0, "80.5");
	check_price(&charge, 16, 0, 5, "80.5");
	charge.zero_flat = true;
	check_price(&charge, 0, 0, 0, "1");
	check_price(&charge, 5, 0, 5, "1");

	charge = rig_loose_charge(CHARGE_VOLUME, "0", tiers, "5@7+1 10@6.5+2 *@6+4");
	check_price(&charge, 0, 0, 0, "0");
	check_price(&charge, 5, 0, 0, "36");
	check_price(&charge, 6, 0, 0, "41");
	check_price(&charge, 10, 0, 0, "67");
	check_price(&charge, 11, 0, 0, "70");
	charge.zero_flat = true;
	check_price(&charge, 0, 0, 0, "1");

	charge = rig_loose_charge(CHARGE_PACKAGE, "5", tiers, NULL);
	charge.package_size = 100;
	check_price(&charge, 0, 0, 0, "0");
	check_price(&charge, 1, 0, 0, "5");
	check_price(&charge, 100, 0, 0, "5");
	check_price(&charge, 101, 0, 0, "10");
	check_price(&charge, 201, 0, 100, "10");
	charge.package_round_down = true;
	check_price(&charge, 99, 0, 0, "0");
	check_price(&charge, 199, 0, 0, "5");

	charge = rig_loose_charge(CHARGE_UNLIMITED, "5", tiers, NULL);
	charge.event_amount = major("1");
	check_price(&charge, INT64_MAX, 9, 0, "0");

	charge = rig_loose_charge(CHARGE_PER_UNIT, "100000000000000000", tiers, NULL);
	check_price(&charge, INT64_MAX, 0, 0, "overflow");
	charge = rig_loose_charge(CHARGE_GRADUATED, "0", tiers, "5@1 9@1");
	check_price(&charge, 10, 0, 0, "overflow"); /* a finite last tier is no free cap */
}

static void
quotes(void)
{
	Tier tiers[RIG_TIERS];
	Charge charge = rig_loose_charge(CHARGE_PER_UNIT, "0.01", tiers, NULL);
	Amount amount;

	charge.included = 10;
	charge.has_minimum = charge.has_maximum = true;
	charge.minimum = major("0.2");
	charge.maximum = major("0.62");
	CHECK(rate_quote(&charge, 0, 0, &amount) && amount == major("0.2"));
	CHECK(rate_quote(&charge, 45, 0, &amount) && amount == major("0.35"));
	CHECK(rate_quote(&charge, 1000, 0, &amount) && amount == major("0.62"));
	charge.unit_amount = major("0.000000000001");
	charge.has_minimum = false;
	CHECK(rate_quote(&charge, 11, 0, &amount) && amount == 1); /* unrounded */
}

/* Two charges side by side, usage without a charge is free, lines by subscription and metric. */
static void
usage_lines(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "1000");

	rig_charge(rig, product, 1, CHARGE_PER_UNIT, "2")->included = 10;
	rig_charge(rig, product, 3, CHARGE_PER_UNIT, "5");
	rig_charge(rig, product, 4, CHARGE_UNLIMITED, "5");
	rig_subscribe(rig, 8, 1, 20230101, DAY_MAX);
	rig_subscribe(rig, 5, 1, 20240101, DAY_MAX);
	rig_use(rig, 5, 1, 10);	  /* within the allowance: no line */
	rig_use(rig, 5, 2, 9999); /* no charge: free */
	rig_use(rig, 5, 3, 2);
	rig_use(rig, 5, 4, 9999);
	rig_use(rig, 8, 1, 13);
	rig_use(rig, 8, 3, 1);
	EXPECT_BILL(rig, 2000 + 6 + 5 + 10);
	CHECK_INT(rig->bill.line_count, 5);
	CHECK_INT(rig->bill.lines[2].subscription_id, 8);
	CHECK_INT(rig->bill.lines[2].metric, 0);
	CHECK_INT(rig->bill.lines[2].quantity, 13);
	CHECK_INT(rig->bill.lines[2].amount, 6);
	CHECK_INT(rig->bill.lines[3].metric, 2);
	CHECK_INT(rig->bill.lines[4].subscription_id, 5);
	CHECK_INT(rig->bill.lines[4].amount, 10);
	rig_free(rig);
}

static void
allowance_proration(void)
{
	static const struct {
		const char *name;
		Proration proration;
		bool prorated;
		int32_t from, to;
		int64_t allowance;
	} rows[] = {
		{"whole", PRORATION_DAILY, true, 20240101, DAY_MAX, 600},
		{"16 of 31 days, half up", PRORATION_DAILY, true, 20240516, DAY_MAX, 310},
		{"not prorated", PRORATION_DAILY, false, 20240516, DAY_MAX, 600},
		{"15 of 30 days", PRORATION_THIRTY, true, 20240516, DAY_MAX, 300},
		{"price in full, allowance in part", PRORATION_NONE, true, 20240516, DAY_MAX, 310},
		{"ended before the month", PRORATION_DAILY, false, 20240101, 20240501, 0},
		{"begins after the month", PRORATION_DAILY, true, 20240601, DAY_MAX, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Rig *rig = rig_new(202405);
		Product *product = rig_product(rig, 1, "0");
		Charge *charge = rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1");

		CHECK_CASE(rows[i].name);
		product->proration = rows[i].proration;
		charge->included = 600;
		charge->included_prorate = rows[i].prorated;
		rig_subscribe(rig, 1, 1, rows[i].from, rows[i].to);
		rig_use(rig, 1, 1, 1000);
		EXPECT_BILL(rig, 1000 - rows[i].allowance);
		CHECK_INT(rig_line(rig, LINE_USAGE, 0)->quantity, 1000);
		rig_free(rig);
	}
	CHECK_CASE("");
}

/* Versions of a charge are selected like prices; before the first version there is no charge. */
static void
charge_versions(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "0");

	rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1")->valid_from = day(20240401);
	rig_charge(rig, product, 1, CHARGE_PER_UNIT, "2")->valid_from = day(20240510);
	rig_charge(rig, product, 2, CHARGE_PER_UNIT, "100")->valid_from = day(20250101);
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	rig_subscribe(rig, 2, 1, 20240510, DAY_MAX);
	for (int64_t subscription = 1; subscription <= 2; subscription++)
		for (int32_t metric = 1; metric <= 2; metric++)
			rig_use(rig, subscription, metric, 10);
	EXPECT_BILL(rig, 10 + 20);
	rig->period = ymd_period(2024, 3);
	CHECK_INT(rig_rate(rig), OUTCOME_BILL); /* the second has no days yet: its usage is rated all the same */
	CHECK_INT(rig->bill.total, 20);
	rig_free(rig);
}

/* A pool of 1000 over two allowances and a rest: 100 + 50 own, 300 + 400 included. */
static Rig *
pool_rig(int64_t pool)
{
	Rig *rig = rig_new(202405);
	Product *first = rig_product(rig, 1, "0"), *second = rig_product(rig, 2, "0");

	rig_charge(rig, first, 1, CHARGE_PER_UNIT, "10")->included = 300;
	rig_charge(rig, second, 1, CHARGE_PER_UNIT, "1")->included = 400;
	rig_product(rig, 3, "0"); /* no charge for the metric: takes no part */
	rig_subscribe(rig, 1, 1, 20230101, DAY_MAX);
	rig_subscribe(rig, 2, 2, 20230201, DAY_MAX);
	rig_subscribe(rig, 3, 3, 20230301, DAY_MAX);
	rig_subscribe(rig, 4, 2, 20230401, 20240501); /* not there this month */
	rig_use(rig, 0, 1, pool)->rows = 4;
	rig_use(rig, 1, 1, 100);
	rig_use(rig, 2, 1, 50);
	return rig;
}

static void
pools(void)
{
	Rig *rig = pool_rig(550);

	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY); /* 200 + 350 of allowance take all of it */
	rig_free(rig);

	rig = pool_rig(1000);
	EXPECT_BILL(rig, 450); /* the last one prices the rest, at 1 */
	CHECK_INT(rig->bill.line_count, 3 + 1);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->subscription_id, 2);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->quantity, 50 + 800); /* with its own */
	rig_free(rig);

	rig = pool_rig(1000);
	rig->usage[1].quantity = 301; /* the first is over by itself: it has no room, the rest grows by 200 */
	EXPECT_BILL(rig, 10 + 650);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->quantity, 301);
	rig_free(rig);

	rig = pool_rig(1000);
	rig->charges[0][0].event_amount = major("7");
	EXPECT_BILL(rig, 450 + 7);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->quantity, 300); /* its own 100 and the 200 that its allowance took */
	rig->charges[1][0].event_amount = major("1000"); /* rows of the pool go to the last: 1 own and 4 */
	EXPECT_BILL(rig, 450 + 7 + 5000);
	rig_free(rig);

	rig = pool_rig(1000);
	rig->charges[0][0].model = CHARGE_UNLIMITED; /* one without limit makes the pool free */
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	rig_free(rig);

	rig = pool_rig(1000);
	rig->charges[1][0].zero_flat = true;
	rig->usage[0].metric_id = 2; /* nobody has a charge for it: free */
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	rig_free(rig);

	rig = pool_rig(INT64_MAX);
	rig->usage[2].quantity = 500;
	EXPECT_SKIP(rig, REASON_OVERFLOW, 1, 0);
	rig_free(rig);
}

/* What did not come in this month is no participant, but its late usage is still rated, without allowance. */
static void
zero_day_subscription(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "1000");
	Charge *charge = rig_tiers(rig, product, 1, CHARGE_GRADUATED, "*@2+50");

	charge->included = 100;
	charge->zero_flat = true;
	charge->has_minimum = true;
	charge->minimum = major("500");
	charge->minimum_prorate = charge->included_prorate = false;
	rig_subscribe(rig, 1, 1, 20240101, 20240501);
	rig_use(rig, 0, 1, 77);
	rig_use(rig, 1, 1, 10);
	EXPECT_BILL(rig, 70); /* 10 × 2 + 50; no recurring line, no minimum, and the pool finds nobody */
	CHECK_INT(rig->bill.line_count, 1);
	rig->usage[1].quantity = 0;
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	rig_free(rig);
}

/* ---- minimum and maximum ----------------------------------------------------------------------------------------- */

static void
minimum(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "0");
	Charge *charge = rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1");

	charge->has_minimum = true;
	charge->minimum = major("310");
	charge->included = 10;
	rig_subscribe(rig, 1, 1, 20240101, DAY_MAX);
	EXPECT_BILL(rig, 310); /* without any usage */
	CHECK_INT(rig_count(rig, LINE_USAGE), 0);
	CHECK_INT(rig_line(rig, LINE_MINIMUM, 0)->amount, 310);
	CHECK_INT(rig_line(rig, LINE_MINIMUM, 0)->subscription_id, 1);
	CHECK_INT(rig_line(rig, LINE_MINIMUM, 0)->metric, 0);
	rig_use(rig, 1, 1, 110);
	EXPECT_BILL(rig, 310);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->amount, 100);
	CHECK_INT(rig_line(rig, LINE_MINIMUM, 0)->amount, 210);
	rig->usage[0].quantity = 5; /* inside the allowance: shown, because the minimum is */
	EXPECT_BILL(rig, 310);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->amount, 0);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->quantity, 5);
	rig->usage[0].quantity = 320;
	EXPECT_BILL(rig, 310);
	CHECK_INT(rig_count(rig, LINE_MINIMUM), 0);
	rig->usage[0].quantity = 1000;
	EXPECT_BILL(rig, 990);
	rig->subscriptions[0].started_on = day(20240522); /* 10 of 31 days */
	rig->usage[0].quantity = 0;
	EXPECT_BILL(rig, 100);
	charge->minimum_prorate = false;
	EXPECT_BILL(rig, 310);
	product->proration = PRORATION_THIRTY; /* 9 of 30 */
	charge->minimum_prorate = true;
	EXPECT_BILL(rig, 93);
	rig_free(rig);
}

static void
maximum(void)
{
	Rig *rig = rig_new(202405);
	Product *product = rig_product(rig, 1, "0");
	Charge *charge = rig_charge(rig, product, 1, CHARGE_PER_UNIT, "1");

	charge->has_maximum = true;
	charge->maximum = major("62");
	rig_subscribe(rig, 1, 1, 20240520, DAY_MAX); /* not prorated */
	rig_use(rig, 1, 1, 62);
	EXPECT_BILL(rig, 62);
	CHECK_INT(rig_count(rig, LINE_MAXIMUM), 0);
	rig->usage[0].quantity = 70;
	EXPECT_BILL(rig, 62);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->amount, 70); /* the uncapped amount stays visible */
	CHECK_INT(rig_line(rig, LINE_MAXIMUM, 0)->amount, -8);
	charge->maximum = 0;
	EXPECT_BILL(rig, 0);
	charge->maximum = major("100000000000000000000"); /* beyond 64 bits: no cap */
	EXPECT_BILL(rig, 70);
	rig_free(rig);
}

/* zero_flat: the first tier's flat amount is a monthly fee, also without usage, in full. */
static void
zero_flat(void)
{
	Rig *rig = rig_new(202405);
	Charge *charge = rig_tiers(rig, rig_product(rig, 1, "0"), 1, CHARGE_VOLUME, "100@2+10 *@1");

	rig_subscribe(rig, 1, 1, 20240520, DAY_MAX);
	CHECK_INT(rig_rate(rig), OUTCOME_EMPTY);
	charge->zero_flat = true;
	EXPECT_BILL(rig, 10);
	CHECK_INT(rig_line(rig, LINE_USAGE, 0)->quantity, 0);
	rig_free(rig);
}

int
main(void)
{
	due_rule();
	due_needs_overlap();
	empty_rule();
	recurring_proration();
	recurring_rounds_once();
	recurring_price_versions();
	recurring_own_price();
	recurring_refund();
	models();
	quotes();
	usage_lines();
	allowance_proration();
	charge_versions();
	pools();
	zero_day_subscription();
	minimum();
	maximum();
	zero_flat();
	return check_done();
}
