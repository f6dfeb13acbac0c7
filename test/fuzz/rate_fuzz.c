/*
 * rate_fuzz.c: rating under a fuzzer (libFuzzer, address and undefined-behaviour sanitizers).
 *
 * Design §3: rate_account() is a pure function that turns whatever the tables hold into a bill or a reason. So for every
 * month that month.h can make of the input:
 *
 *   - the outcome is one that the account allows, a skip has a reason of rating, warnings are warnings;
 *   - a bill keeps what every bill keeps (test/unit/invariants.h), names only rows that exist, and what it
 *     charges for months and usage (but that of the pool), its taxes and its rounding are right when computed a second
 *     time;
 *   - rate_space() is enough: the workspace has exactly that, aligned as PostgreSQL aligns it, and between its arrays lie
 *     bytes that nobody may touch;
 *   - the order of usage rows, grants, subscriptions and adjustments in the tables does not show, nor does what the
 *     workspace held before;
 *   - OVERFLOW is never the answer to small numbers.
 */
#include <sanitizer/asan_interface.h>

#include "month.h"
#include "slow.h"
#include "../unit/invariants.h"

/* bill.c is compiled in here, to know where the arrays of the workspace lie. */
#define RATE_GUARD 32
#include "rate/bill.c"

/* The account's rows sorted and summed as reader.c hands them over, each array of its exact size. */
typedef struct Rows {
	Account account;
	Subscription *subscriptions;
	Usage *usage;
	Grant *grants;
	Adjustment *adjustments;
} Rows;

typedef struct Result {
	Outcome outcome;
	Bill bill;
	Fault fault;
} Result;

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static int
compare_subscriptions(const void *a, const void *b)
{
	const Subscription *x = a, *y = b;

	if (x->started_on != y->started_on)
		return x->started_on < y->started_on ? -1 : 1;
	return (x->subscription_id > y->subscription_id) - (x->subscription_id < y->subscription_id);
}

static int
compare_usage(const void *a, const void *b)
{
	const Usage *x = a, *y = b;

	if (x->subscription_id != y->subscription_id)
		return x->subscription_id < y->subscription_id ? -1 : 1;
	return (x->metric_id > y->metric_id) - (x->metric_id < y->metric_id);
}

static int
compare_adjustments(const void *a, const void *b)
{
	const Adjustment *x = a, *y = b;

	return (x->adjustment_id > y->adjustment_id) - (x->adjustment_id < y->adjustment_id);
}

/* What usage_sum_add() of store/collect.c does. */
static void
add_usage(Usage *sum, const Metric *metric, const UsageRow *row)
{
	int64_t billed = row->quantity;

	sum->rows += 1 + row->zeros;
	if (row->quantity < 0)
		sum->invalid = REASON_INVALID_QUANTITY;
	else if ((metric != NULL && !rate_increment(metric, row->quantity, &billed)) ||
			 !money_add(sum->quantity, billed, &sum->quantity))
	{
		sum->quantity = INT64_MAX;
		if (sum->invalid == REASON_OK)
			sum->invalid = REASON_OVERFLOW;
	}
	else
		HOLD(billed >= row->quantity && (row->quantity > 0) == (billed > 0));
}

static void
sum_usage(const Month *month, bool backwards, Usage *sums, int32_t *count)
{
	*count = 0;
	for (int32_t i = 0; i < month->usage_count; i++)
	{
		const UsageRow *row = &month->usage[backwards ? month->usage_count - 1 - i : i];
		int32_t at = 0;

		while (at < *count &&
			   (sums[at].subscription_id != row->subscription_id || sums[at].metric_id != row->metric_id))
			at++;
		if (at == *count)
			sums[(*count)++] = (Usage){.subscription_id = row->subscription_id, .metric_id = row->metric_id};
		add_usage(&sums[at], tariff_metric(&month->tariff, row->metric_id), row);
	}
	qsort(sums, (size_t) *count, sizeof(Usage), compare_usage);
}

/* An exact copy of an array, in its order or from its end. */
static void *
copy_rows(const void *rows, int32_t count, size_t size, bool backwards)
{
	char *copy = malloc((size_t) count * size);

	if (copy == NULL)
		abort();
	for (int32_t i = 0; i < count; i++)
		memcpy(copy + (size_t) i * size, (const char *) rows + (size_t) (backwards ? count - 1 - i : i) * size, size);
	return copy;
}

/* Reads the month's rows in the order in which they were drawn, or the other way round. */
static Rows
read_rows(const Month *month, bool backwards)
{
	Rows rows = {.account = month->account};
	Account *account = &rows.account;
	Usage sums[MOST_USAGE];

	sum_usage(month, backwards, sums, &account->usage_count);
	account->subscription_count = month->subscription_count;
	account->grant_count = month->grant_count;
	account->adjustment_count = month->adjustment_count;
	rows.usage = copy_rows(sums, account->usage_count, sizeof(Usage), false);
	rows.subscriptions = copy_rows(month->subscriptions, account->subscription_count, sizeof(Subscription), backwards);
	rows.grants = copy_rows(month->grants, account->grant_count, sizeof(Grant), backwards);
	rows.adjustments = copy_rows(month->adjustments, account->adjustment_count, sizeof(Adjustment), backwards);
	qsort(rows.subscriptions, (size_t) account->subscription_count, sizeof(Subscription), compare_subscriptions);
	qsort(rows.adjustments, (size_t) account->adjustment_count, sizeof(Adjustment), compare_adjustments);
	account->subscriptions = rows.subscriptions;
	account->usage = rows.usage;
	account->grants = rows.grants; /* reader.c sorts them; rating must not need it */
	account->adjustments = rows.adjustments;
	return rows;
}

static void
free_rows(Rows *rows)
{
	free(rows->subscriptions);
	free(rows->usage);
	free(rows->grants);
	free(rows->adjustments);
}

/* ---- rating ------------------------------------------------------------------------------------------------------ */

/* The bytes before each array but the first, and those at the end. */
static void
forbid_guards(const Layout *layout, const char *memory)
{
	const size_t *offset = (const size_t *) layout;

	for (size_t i = 0; i < sizeof(Layout) / sizeof(size_t); i++)
		if (offset[i] > 0)
			ASAN_POISON_MEMORY_REGION(memory + offset[i] - RATE_GUARD, RATE_GUARD);
}

static Result
rate(const Month *month, const Account *account, char *memory, const Layout *layout)
{
	Workspace workspace = {memory, layout->total};
	Result result = {.fault = {REASON_OK, 0, 0}};

	forbid_guards(layout, memory);
	result.outcome =
		rate_account(&month->tariff, month->period, account, &workspace, &result.bill, &result.fault);
	ASAN_UNPOISON_MEMORY_REGION(memory, layout->total);
	return result;
}

static bool
same_faults(const Fault *a, const Fault *b, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
		if (a[i].reason != b[i].reason || a[i].a != b[i].a || a[i].b != b[i].b)
			return false;
	return true;
}

/* A copy of an outcome's bill, so that the workspace can be used again. */
static Result
keep_result(const Result *result)
{
	Result kept = *result;

	kept.bill.lines = copy_rows(result->bill.lines, result->bill.line_count, sizeof(Line), false);
	kept.bill.warnings = copy_rows(result->bill.warnings, result->bill.warning_count, sizeof(Fault), false);
	return kept;
}

static bool
same_bill(const Bill *a, const Bill *b)
{
	Bill x = *a, y = *b;

	if (a->line_count != b->line_count || a->warning_count != b->warning_count || a->currency != b->currency ||
		memcmp(a->lines, b->lines, (size_t) a->line_count * sizeof(Line)) != 0 ||
		!same_faults(a->warnings, b->warnings, a->warning_count))
		return false;
	x.lines = y.lines = NULL;
	x.warnings = y.warnings = NULL;
	return memcmp(&x, &y, offsetof(Bill, currency)) == 0;
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static bool
is_fault_of_rating(Reason reason)
{
	return reason > REASON_OK && reason <= REASON_INVALID_TAX && !reason_is_warning(reason);
}

/* Each line names what its kind names, and nothing that is not there. */
static void
check_names(const Tariff *tariff, const Account *account, const Line *line)
{
	const bool of_subscription = line->kind <= LINE_MAXIMUM;
	const bool of_tax = line->kind == LINE_TAX || line->kind == LINE_INCLUDED_TAX;
	int32_t owners = 0;

	HOLD(line->product >= (of_subscription ? 0 : -1) && line->product < tariff->product_count);
	HOLD(line->product == -1 || of_subscription || line->kind == LINE_DISCOUNT);
	HOLD((line->metric >= 0) == (of_subscription && line->kind != LINE_RECURRING) && line->metric < tariff->metric_count);
	HOLD((line->discount >= 0) == (line->kind == LINE_DISCOUNT) && line->discount < tariff->discount_count);
	HOLD((line->adjustment >= 0) == (line->kind == LINE_ADJUSTMENT) && line->adjustment < account->adjustment_count);
	HOLD((line->tax >= 0) == of_tax && line->tax < tariff->tax_count && line->rate_ppm >= 0);
	HOLD(line->kind == LINE_RECURRING ? line->days >= 1 && line->days <= 31 : line->days == 0);
	HOLD(line->quantity >= 0);
	for (int32_t i = 0; i < account->subscription_count; i++)
		owners += account->subscriptions[i].subscription_id == line->subscription_id &&
				  account->subscriptions[i].product_id == tariff->products[of_subscription ? line->product : 0].product_id;
	HOLD(owners == of_subscription);
}

/* The tax of a line by another formula: floor((2·base·rate + whole) / (2·whole)) of the magnitudes. */
static Amount
tax_of(const Line *line)
{
	const Amount whole = line->kind == LINE_TAX ? 1000000 : 1000000 + (Amount) line->rate_ppm;
	const Amount base = line->base, magnitude = base < 0 ? -base : base;
	const Amount tax = (2 * magnitude * line->rate_ppm + whole) / (2 * whole);

	return base < 0 ? -tax : tax;
}

/* The rate that a line of a subscription or an adjustment is taxed at; NULL: none. */
static const TaxRate *
rate_of(const Month *month, const Account *account, const Line *line, int32_t *tax)
{
	const TaxRate *rate = NULL;
	int32_t on = month->period.from;

	*tax = -1;
	if (line->kind == LINE_ADJUSTMENT)
		*tax = account->adjustments[line->adjustment].tax;
	else if (line->kind <= LINE_MAXIMUM)
		*tax = month->tariff.products[line->product].tax;
	for (int32_t i = 0; i < account->subscription_count && line->kind <= LINE_MAXIMUM; i++)
		if (account->subscriptions[i].subscription_id == line->subscription_id)
			on = later(on, account->subscriptions[i].started_on);
	for (int32_t i = 0; *tax >= 0 && i < month->tariff.taxes[*tax].rate_count; i++)
		if (month->tariff.taxes[*tax].rates[i].valid_from <= on)
			rate = &month->tariff.taxes[*tax].rates[i];
	return rate;
}

/* Every tax line is computed on all that has its code and rate, and nothing that is taxed has no line. */
static void
check_bases(const Month *month, const Account *account, const Bill *bill)
{
	Amount bases = 0, taxable = 0;
	int32_t tax;

	for (int32_t i = 0; i < bill->line_count; i++)
	{
		const Line *line = &bill->lines[i];
		Amount base = 0;

		if (rate_of(month, account, line, &tax) != NULL)
			taxable += line->amount + (Amount) line->discounted;
		if (line->kind != LINE_TAX && line->kind != LINE_INCLUDED_TAX)
			continue;
		for (int32_t j = 0; j < i; j++)
		{
			const TaxRate *rate = rate_of(month, account, &bill->lines[j], &tax);

			if (rate != NULL && tax == line->tax && rate->rate_ppm == line->rate_ppm &&
				rate->inclusive == (line->kind == LINE_INCLUDED_TAX))
				base += bill->lines[j].amount + (Amount) bill->lines[j].discounted;
		}
		HOLD(line->base == base && base != 0);
		bases += base;
	}
	HOLD(bases == taxable);
}

/* ---- what subscriptions and their usage come to, a second time ---------------------------------------------------- */

/* A subscription in the month. */
typedef struct Stay {
	const Subscription *subscription;
	const Product *product;
	int32_t on; /* the day that selects versions */
	int32_t days;
	int64_t part; /* of whole: for what is prorated */
	int64_t whole;
} Stay;

static Stay
stay_of(const Month *month, const Subscription *subscription)
{
	Stay stay = {subscription, NULL, later(month->period.from, subscription->started_on), 0, 0, month->period.days};

	for (int32_t i = 0; i < month->tariff.product_count; i++)
		if (month->tariff.products[i].product_id == subscription->product_id)
			stay.product = &month->tariff.products[i];
	for (int32_t day = month->period.from; day < month->period.to; day++)
		stay.days += day >= subscription->started_on && day < subscription->ended_on;
	stay.part = stay.days;
	if (stay.product != NULL && stay.product->proration == PRORATION_THIRTY)
	{
		stay.part = ymd_overlap_thirty(month->period, subscription->started_on, subscription->ended_on);
		stay.whole = 30;
	}
	return stay;
}

/* Lines of these kinds that a subscription has; metric -1: whatever metric. */
static int32_t
sum_lines(const Bill *bill, const Stay *stay, int32_t metric, LineKind first, LineKind last, Amount *sum)
{
	int32_t count = 0;

	*sum = 0;
	for (int32_t i = 0; i < bill->line_count; i++)
	{
		const Line *line = &bill->lines[i];

		if (line->kind < first || line->kind > last || line->metric != metric ||
			line->subscription_id != stay->subscription->subscription_id)
			continue;
		*sum += line->amount;
		count++;
	}
	return count;
}

static void
check_recurring(const Stay *stay, int exponent, const Bill *bill)
{
	const Subscription *subscription = stay->subscription;
	const Product *product = stay->product;
	const int64_t length = (int64_t) subscription->ended_on - subscription->started_on;
	Amount price = -1, sum, expected;
	const int32_t count = sum_lines(bill, stay, -1, LINE_RECURRING, LINE_RECURRING, &sum);

	if (stay->days == 0 || (subscription->ended_on != DAY_MAX && length < product->refund_days))
	{
		HOLD(count == 0);
		return;
	}
	for (int32_t i = 0; i < product->price_count; i++)
		if (product->prices[i].valid_from <= stay->on)
			price = product->prices[i].unit_price;
	if (subscription->has_unit_price)
		price = subscription->unit_price;
	HOLD(count == 1 && price >= 0);
	HOLD(slow_mul(price, subscription->quantity, &price));
	HOLD(slow_post(price, product->proration == PRORATION_NONE ? 1 : stay->part,
				   product->proration == PRORATION_NONE ? 1 : stay->whole, exponent, &expected));
	HOLD(sum == expected);
}

/* What a charge comes to for a subscription's own usage. */
static Amount
expect_usage(const Stay *stay, const Charge *charge, const Usage *own, int exponent)
{
	const int64_t part = charge->included_prorate ? stay->part : 1, whole = charge->included_prorate ? stay->whole : 1;
	const Amount allowance = stay->days == 0 ? 0 : (2 * (Amount) charge->included * part + whole) / (2 * whole);
	const int64_t quantity = own == NULL ? 0 : own->quantity;
	Amount sum, limit;

	HOLD(charge->invalid == REASON_OK);
	HOLD(slow_price(charge, quantity > allowance ? (int64_t) (quantity - allowance) : 0, own == NULL ? 0 : own->rows,
					charge->zero_flat && stay->days > 0, &sum));
	HOLD(slow_post(sum, 1, 1, exponent, &sum));
	if (charge->has_minimum && stay->days > 0 &&
		slow_post(charge->minimum, charge->minimum_prorate ? stay->part : 1, charge->minimum_prorate ? stay->whole : 1,
				  exponent, &limit) &&
		sum < limit)
		sum = limit;
	if (charge->has_maximum && slow_post(charge->maximum, 1, 1, exponent, &limit) && sum > limit)
		sum = limit;
	return sum;
}

/* The row of usage of a subscription (0: the pool) and a metric; NULL: none. */
static const Usage *
find_own(const Account *account, int64_t subscription_id, int32_t metric_id)
{
	for (int32_t i = 0; i < account->usage_count; i++)
		if (account->usage[i].subscription_id == subscription_id && account->usage[i].metric_id == metric_id)
			return &account->usage[i];
	return NULL;
}

/* Each metric that has no pool: the newest version of its charge says what its lines sum to. */
static void
check_usage(const Month *month, const Account *account, const Stay *stay, int exponent, const Bill *bill)
{
	for (int32_t i = 0; i < month->tariff.metric_count; i++)
	{
		const int32_t metric_id = month->tariff.metrics[i].metric_id;
		const Usage *own = find_own(account, stay->subscription->subscription_id, metric_id);
		const Charge *charge = NULL;
		Amount sum;

		for (int32_t j = 0; j < stay->product->charge_count; j++)
			if (stay->product->charges[j].metric_id == metric_id && stay->product->charges[j].valid_from <= stay->on)
				charge = &stay->product->charges[j];
		sum_lines(bill, stay, i, LINE_USAGE, LINE_MAXIMUM, &sum);
		if (charge == NULL || (own == NULL && stay->days == 0))
			HOLD(sum == 0);
		else if (find_own(account, 0, metric_id) == NULL)
			HOLD(sum == expect_usage(stay, charge, own, exponent));
	}
}

static void
check_subscriptions(const Month *month, const Account *account, const Bill *bill)
{
	const int exponent = month->tariff.currencies[account->currency].exponent;

	for (int32_t i = 0; i < account->subscription_count; i++)
	{
		const Stay stay = stay_of(month, &account->subscriptions[i]);
		Amount sum;

		if (stay.product == NULL)
		{
			HOLD(stay.days == 0 && sum_lines(bill, &stay, -1, LINE_RECURRING, LINE_RECURRING, &sum) == 0);
			continue;
		}
		check_recurring(&stay, exponent, bill);
		check_usage(month, account, &stay, exponent, bill);
	}
}

static void
check_bill(const Month *month, const Account *account, const Bill *bill)
{
	const Currency *currency = &month->tariff.currencies[account->currency];
	const char *broken = bill_broken(bill);
	Amount included = 0, discountable = bill->recurring + (Amount) bill->usage;

	if (broken != NULL)
		fuzz_fail(broken, __FILE__, __LINE__);
	HOLD(bill->currency == account->currency);
	for (int32_t i = 0; i < bill->line_count; i++)
	{
		const Line *line = &bill->lines[i];

		check_names(&month->tariff, account, line);
		if (line->kind == LINE_TAX)
			HOLD(line->amount == tax_of(line));
		else if (line->kind == LINE_INCLUDED_TAX)
			included += tax_of(line);
		else if (line->kind == LINE_DISCOUNT)
		{
			HOLD(line->base <= discountable);
			discountable += line->amount;
		}
	}
	check_subscriptions(month, account, bill);
	check_bases(month, account, bill);
	HOLD(included == bill->included_tax);
	HOLD(discountable >= 0);
	HOLD(bill->total % currency->rounding_unit == 0);
	HOLD(bill->credit_forward % currency->rounding_unit == 0 && (bill->total == 0 || bill->credit_forward == 0));
	HOLD(bill->rounding > -currency->rounding_unit && bill->rounding < currency->rounding_unit);
}

static void
check_fault(Fault fault)
{
	char message[24]; /* shorter than most of them */
	const int len = reason_message(fault, message, sizeof(message));

	HOLD(len > 0 && len < (int) sizeof(message) && message[len] == '\0');
}

static void
check_result(const Month *month, const Account *account, const Result *result, bool large)
{
	const bool expected = account->status != ACCOUNT_CLOSED;

	switch (result->outcome)
	{
		case OUTCOME_NOT_DUE:
			HOLD(!expected && account->usage_count == 0 && account->adjustment_count == 0);
			return;
		case OUTCOME_SKIP:
			HOLD(is_fault_of_rating(result->fault.reason));
			HOLD(result->fault.reason != REASON_OVERFLOW || large);
			check_fault(result->fault);
			return;
		case OUTCOME_EMPTY:
			HOLD(result->bill.total == 0);
			break;
		case OUTCOME_BILL:
			HOLD(result->bill.line_count > 0);
			break;
		default:
			fuzz_fail("the outcome is one of four", __FILE__, __LINE__);
	}
	check_bill(month, account, &result->bill);
	HOLD(result->bill.warning_count <= account->grant_count + account->usage_count);
	for (int32_t i = 0; i < result->bill.warning_count; i++)
	{
		HOLD(reason_is_warning(result->bill.warnings[i].reason));
		check_fault(result->bill.warnings[i]);
	}
}

static void
check_month(const Month *month, bool large)
{
	Rows rows = read_rows(month, false), turned = read_rows(month, true);
	const Layout layout = lay_out(&month->tariff, &rows.account);
	/* 8 bytes more, since malloc() aligns to 16 and palloc() to 8 only */
	char *block = malloc(layout.total + 8), *memory = block + 8;
	Result first, second;

	HOLD(rate_space(&month->tariff, &rows.account) == layout.total);
	memset(block, 0xA5, layout.total + 8);
	ASAN_POISON_MEMORY_REGION(block, 8);
	first = rate(month, &rows.account, memory, &layout);
	check_result(month, &rows.account, &first, large);
	first = keep_result(&first);
	second = rate(month, &turned.account, memory, &layout);
	HOLD(first.outcome == second.outcome);
	if (first.outcome == OUTCOME_SKIP)
		HOLD(same_faults(&first.fault, &second.fault, 1));
	if (first.outcome == OUTCOME_BILL)
		HOLD(same_bill(&first.bill, &second.bill));
	free(first.bill.lines);
	free(first.bill.warnings);
	free(block);
	free_rows(&rows);
	free_rows(&turned);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {data, data + size, false};
	Month month;

	month_take(&input, &month);
	check_month(&month, input.large);
	month_free(&month);
	return 0;
}
