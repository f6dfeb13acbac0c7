/*
 * rate.c: nanoseconds of rate_account() for a typical account, without database and mostly without cache misses.
 *
 *   cc -O2 -std=gnu11 -Isrc -o bench/build/rate bench/rate.c $(find src/rate -name '*.c') src/common/money.c src/common/ymd.c
 *
 * A thousand different accounts of 2 or 3 subscriptions, 4 usage rows and 0 to 2 grants are rated in turn; the best of
 * several passes counts, as the machine may be shared. The catalogue has 40 products of 3 charges each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rate/rate.h"

#define PRODUCTS 40
#define METRICS 4
#define ACCOUNTS 1000
#define PASSES 50
#define MAJOR ((Amount) 1000000000000)

typedef struct Row {
	Subscription subscriptions[3];
	Usage usage[4];
	Grant grants[2];
	Account account;
} Row;

static const Currency currencies[] = {{"KRW", 0, 10, ROUND_DOWN}};
static const Tier tiers[] = {{1000, MAJOR / 40, 0}, {INT64_MAX, MAJOR / 50, 0}};
static const TaxRate rates[] = {{DAY_MIN, 100000, false, REASON_OK}};
static const Tax taxes[] = {{"VAT", rates, 1}};
static Metric metrics[METRICS];
static Price prices[PRODUCTS];
static Charge charges[PRODUCTS][3];
static Product products[PRODUCTS];
static Discount discounts[6];
static Row rows[ACCOUNTS];

static void
make_catalogue(void)
{
	for (int i = 0; i < METRICS; i++)
		metrics[i] = (Metric){i + 1, 1, 1, "metric"};
	for (int i = 0; i < PRODUCTS; i++)
	{
		prices[i] = (Price){DAY_MIN, REASON_OK, (10000 + 500 * i) * MAJOR};
		for (int j = 0; j < 3; j++)
			charges[i][j] = (Charge){.charge_id = i * 3 + j + 1, .metric_id = j + 1, .valid_from = DAY_MIN,
				.model = j == 2 ? CHARGE_GRADUATED : CHARGE_PER_UNIT, .included_prorate = true, .included = 100,
				.unit_amount = MAJOR * 11 / 400, .tiers = tiers, .tier_count = 2};
		products[i] = (Product){.product_id = i + 1, .family = i % 4, .tax = 0, .proration = PRORATION_DAILY,
			.discountable = i % 4 != 3, .prices = &prices[i], .price_count = 1, .charges = charges[i],
			.charge_count = 3, .name = "product"};
	}
	for (int i = 0; i < 6; i++)
		discounts[i] = (Discount){.discount_id = i + 1, .kind = i % 2 ? DISCOUNT_PERCENT : DISCOUNT_AMOUNT,
			.scope = i < 3 ? SCOPE_PRODUCT : SCOPE_BILL, .target = i < 4 ? TARGET_RECURRING : TARGET_ALL,
			.currency = -1, .stage = i % 3, .valid_from = DAY_MIN, .valid_to = DAY_MAX,
			.value = i % 2 ? 25 * MAJOR : 3000 * MAJOR, .name = "discount"};
}

static void
make_accounts(Period period)
{
	for (int i = 0; i < ACCOUNTS; i++)
	{
		Row *row = &rows[i];
		int32_t count = 2 + i % 2;

		for (int32_t j = 0; j < count; j++)
			row->subscriptions[j] = (Subscription){.subscription_id = 10 * i + j + 1,
				.product_id = (i * 7 + j * 13) % PRODUCTS + 1, .quantity = 1,
				.started_on = j == 2 ? period.from + i % 31 : period.from - 400 + 10 * j, .ended_on = DAY_MAX};
		for (int j = 0; j < 4; j++)
			row->usage[j] = (Usage){10 * i + 1 + j / 3, j % 3 + 1, REASON_OK, 37 * i % 3000, 5};
		for (int j = 0; j < 2; j++)
			row->grants[j] = (Grant){j + 1, (i + j * 3) % 6 + 1, row->subscriptions[0].product_id, true, DAY_MIN, DAY_MAX};
		row->account = (Account){.account_id = i, .exists = true, .subscription_count = count, .usage_count = 4,
			.grant_count = i % 3, .subscriptions = row->subscriptions, .usage = row->usage, .grants = row->grants};
	}
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

int
main(void)
{
	Tariff tariff = {currencies, metrics, products, discounts, taxes, 1, METRICS, PRODUCTS, 6, 1};
	Period period = ymd_period(2024, 5);
	Workspace workspace = {aligned_alloc(16, 1 << 16), 1 << 16};
	int64_t lines = 0, bills = 0, total = 0;
	double best = 1e18;
	Fault fault;
	Bill bill;

	make_catalogue();
	make_accounts(period);
	for (int pass = 0; pass < PASSES; pass++)
	{
		double start = now(), each;

		lines = bills = total = 0;
		for (int i = 0; i < ACCOUNTS; i++)
		{
			if (rate_space(&tariff, &rows[i].account) > workspace.size ||
				rate_account(&tariff, period, &rows[i].account, &workspace, &bill, &fault) != OUTCOME_BILL)
				return 1;
			bills++;
			lines += bill.line_count;
			total += bill.total;
		}
		each = (now() - start) / ACCOUNTS;
		best = each < best ? each : best;
	}
	printf("%.0f ns per account, %.2f lines per bill (total %lld)\n", best, (double) lines / (double) bills,
		   (long long) total);
	free(workspace.memory);
	return 0;
}
