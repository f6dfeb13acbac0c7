/*
 * bill.c: one account from its rows to its bill.
 *
 * Responsible for the order of the stages, which is part of the result (each works on what the one before it left), for
 * whether an account is due at all, and for the ends of a bill: adjustments, currency rounding, credit and total.
 *
 * The invariants: the lines sum to the total, which is not negative; the same inputs give the same bytes; the first
 * fault in the order account, subscriptions, usage, adjustments, grants, taxes wins, so a fault does not depend on how
 * the rows were read. An account is empty only when nothing is wrong with it.
 *
 * Called by the run, the preview and the unit tests. Memory is the caller's: rate_space() says how much, and both ends
 * compute it with the same lay_out(). Not here: numbering, dates, storage and events of bills.
 */
#include "rate/internal.h"

/* Free bytes after each array: none, but some in the fuzzer, which then sees one that is run over. A multiple of 16. */
#ifndef RATE_GUARD
#define RATE_GUARD 0
#endif

/* Where each array of a Work begins in the workspace. */
typedef struct Layout {
	size_t parts, cells, pools, known, items, chosen, weights, shares, by_product, grants, grant_order, groups, warnings,
		lines, total;
} Layout;

/* Reserves an array and returns its offset; all are aligned for Amount. */
static size_t
reserve(size_t *total, size_t count, size_t size)
{
	size_t offset = *total;

	*total = offset + ((count * size + 15) & ~(size_t) 15) + RATE_GUARD;
	return offset;
}

static Layout
lay_out(const Tariff *tariff, const Account *account)
{
	const size_t subscriptions = (size_t) account->subscription_count, grants = (size_t) account->grant_count;
	const size_t usage = (size_t) account->usage_count, adjustments = (size_t) account->adjustment_count;
	size_t cells = 0, items;
	Layout layout = {0};

	for (size_t i = 0; i < subscriptions; i++)
	{
		const Product *product = tariff_product(tariff, account->subscriptions[i].product_id);

		cells += product == NULL ? 0 : (size_t) product->charge_count;
	}
	items = subscriptions + cells;
	layout.parts = reserve(&layout.total, subscriptions, sizeof(Part));
	layout.known = reserve(&layout.total, usage, sizeof(bool));
	layout.pools = reserve(&layout.total, usage, sizeof(Pool));
	layout.cells = reserve(&layout.total, cells, sizeof(Cell));
	layout.items = reserve(&layout.total, items, sizeof(Item));
	layout.grants = reserve(&layout.total, grants, sizeof(AppliedGrant));
	layout.grant_order = reserve(&layout.total, grants, sizeof(int32_t));
	layout.warnings = reserve(&layout.total, grants + usage, sizeof(Fault));
	items = grants == 0 ? 0 : items;
	layout.chosen = reserve(&layout.total, items, sizeof(int32_t));
	layout.weights = reserve(&layout.total, items, sizeof(int64_t));
	layout.shares = reserve(&layout.total, items, sizeof(int64_t));
	layout.by_product = reserve(&layout.total, items, sizeof(int32_t));
	items = subscriptions + cells;
	layout.groups = reserve(&layout.total, items + adjustments, sizeof(TaxGroup));
	/* recurring; usage with a minimum or maximum; adjustments; discounts; taxes; rounding and credit */
	layout.lines = reserve(&layout.total, subscriptions + 2 * cells + adjustments + grants + items + adjustments + 2,
						   sizeof(Line));
	return layout;
}

size_t
rate_space(const Tariff *tariff, const Account *account)
{
	return lay_out(tariff, account).total;
}

static void
open_work(Work *work, const Layout *layout, char *memory)
{
	work->parts = (Part *) (void *) (memory + layout->parts);
	work->cells = (Cell *) (void *) (memory + layout->cells);
	work->pools = (Pool *) (void *) (memory + layout->pools);
	work->known = (bool *) (memory + layout->known);
	work->items = (Item *) (void *) (memory + layout->items);
	work->chosen = (int32_t *) (void *) (memory + layout->chosen);
	work->weights = (int64_t *) (void *) (memory + layout->weights);
	work->shares = (int64_t *) (void *) (memory + layout->shares);
	work->by_product = (int32_t *) (void *) (memory + layout->by_product);
	work->grants = (AppliedGrant *) (void *) (memory + layout->grants);
	work->grant_order = (int32_t *) (void *) (memory + layout->grant_order);
	work->groups = (TaxGroup *) (void *) (memory + layout->groups);
	for (int32_t i = 0; i < work->account->usage_count; i++)
		work->known[i] = false;
	*work->bill = (Bill){.currency = work->account->currency,
						 .lines = (Line *) (void *) (memory + layout->lines),
						 .warnings = (Fault *) (void *) (memory + layout->warnings)};
}

Line *
bill_add_line(Work *work, LineKind kind, int64_t amount)
{
	Line *line = &work->bill->lines[work->bill->line_count];

	if (!money_add(work->sum, amount, &work->sum))
		return NULL;
	work->bill->line_count++;
	*line = (Line){
		.kind = kind, .product = -1, .metric = -1, .discount = -1, .adjustment = -1, .tax = -1, .amount = amount};
	return line;
}

/* Whether the month concerns the account. One that does not exist is due, to be reported, if it has rows of the month. */
static bool
due(Period period, const Account *account)
{
	if (account->status != ACCOUNT_CLOSED)
		return true;
	if (account->usage_count > 0 || account->adjustment_count > 0)
		return true;
	for (int32_t i = 0; i < account->subscription_count; i++)
		if (ymd_overlap(period, account->subscriptions[i].started_on, account->subscriptions[i].ended_on) > 0)
			return true;
	return false;
}

static bool
check_account(Work *work)
{
	const Account *account = work->account;

	if (!account->exists)
		return fail(work, REASON_UNKNOWN_ACCOUNT, account->account_id, 0);
	if (account->currency < 0)
		return fail(work, account->currency == -1 ? REASON_NO_CURRENCY : REASON_UNKNOWN_CURRENCY, account->account_id,
					0);
	if (account->has_group && account->group_size < 0)
		return fail(work, REASON_UNKNOWN_GROUP, account->group_id, account->account_id);
	work->currency = &work->tariff->currencies[account->currency];
	return true;
}

/* The fourth stage: one-off charges and credits, as they are. */
static bool
add_adjustments(Work *work)
{
	const Account *account = work->account;

	for (int32_t i = 0; i < account->adjustment_count; i++)
	{
		const Adjustment *adjustment = &account->adjustments[i];
		Line *line;

		if (adjustment->tax == -2)
			return fail(work, REASON_UNKNOWN_TAX, 0, adjustment->adjustment_id);
		line = bill_add_line(work, LINE_ADJUSTMENT, adjustment->amount);
		if (line == NULL || !money_add(work->bill->one_off, adjustment->amount, &work->bill->one_off))
			return fail(work, REASON_OVERFLOW, 0, 0);
		line->adjustment = i;
		work->charged |= adjustment->amount != 0;
	}
	return true;
}

/* The seventh and eighth stage: the currency's rounding, then what is due, or what is carried forward; false: overflow. */
static bool
close_bill(Work *work)
{
	const Currency *currency = work->currency;
	Bill *bill = work->bill;
	int64_t rounded = work->sum;

	if (currency->rounding_unit > 1 &&
		!money_round_to(work->sum, currency->rounding_unit, currency->rounding_mode, &rounded))
		return false;
	if (rounded != work->sum && (__builtin_sub_overflow(rounded, work->sum, &bill->rounding) ||
								 bill_add_line(work, LINE_ROUNDING, bill->rounding) == NULL))
		return false;
	if (work->sum < 0 && (__builtin_sub_overflow(0, work->sum, &bill->credit_forward) ||
						  bill_add_line(work, LINE_CREDIT_FORWARD, bill->credit_forward) == NULL))
		return false;
	bill->total = work->sum;
	return true;
}

/* The parts, summed apart from the lines, must come to the same total. */
static bool
parts_sum_to_total(const Bill *bill)
{
	const int64_t parts[] = {bill->recurring, bill->usage,	 bill->one_off, bill->discount,	 bill->tax,
							 bill->rounding,  bill->carried, bill->arrears, bill->credit_forward};
	Amount sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		sum += parts[i];
	return sum == bill->total && bill->total >= 0;
}

Outcome
rate_account(const Tariff *tariff, Period period, const Account *account, Workspace *workspace, Bill *bill, Fault *fault)
{
	Work work = {.tariff = tariff, .account = account, .bill = bill, .fault = fault, .period = period};
	Layout layout;

	if (!due(period, account))
		return OUTCOME_NOT_DUE;
	if (!check_account(&work))
		return OUTCOME_SKIP;
	layout = lay_out(tariff, account);
	if (workspace->size < layout.total)
	{
		fail(&work, REASON_OVERFLOW, 0, 0);
		return OUTCOME_SKIP;
	}
	open_work(&work, &layout, workspace->memory);
	if (!recurring_rate(&work) || !usage_rate(&work) || !add_adjustments(&work) || !discount_apply(&work) ||
		!tax_apply(&work))
		return OUTCOME_SKIP;
	if (!close_bill(&work) || !parts_sum_to_total(bill))
	{
		fail(&work, REASON_OVERFLOW, 0, 0);
		return OUTCOME_SKIP;
	}
	if (work.charged)
		return OUTCOME_BILL;
	/* Discounts on nothing are no news; usage that nobody pays is. */
	bill->warning_count = work.unpriced;
	return OUTCOME_EMPTY;
}
