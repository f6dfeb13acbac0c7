/*
 * usage.c: what usage costs.
 *
 * Responsible for the second and third stage: allowance, pool, charge models, minimum and maximum. Each charge of each
 * subscription becomes a cell; the account's pool is spread over the cells of its metric; each cell is then priced on
 * the quantity of the whole month and rounded once.
 *
 * The invariant: price depends on sums only, never on the order in which usage came, and a unit of usage is priced or
 * taken off an allowance exactly once. A cell's quantity is its own usage plus what it took from the pool, and the
 * allowance comes off that sum: the pool takes no more from a cell than its allowance has left, except from the last
 * one, where the excess is meant to be priced. A metric without a charge is free.
 *
 * Called by rate_account(), and settle_quote() through rate_quote(). Everything is linear in the account's rows and its
 * products' charges. Not here: increments of single usage rows, applied while rows are added up (rate_increment()).
 */
#include "rate/internal.h"

static bool
price_graduated(const Charge *charge, int64_t quantity, bool zero_flat, Amount *amount)
{
	int64_t lower = 0;
	Amount part;

	*amount = 0;
	if (quantity == 0)
	{
		*amount = zero_flat && charge->tier_count > 0 ? charge->tiers[0].flat_amount : 0;
		return true;
	}
	for (int32_t i = 0; i < charge->tier_count && lower < quantity; i++)
	{
		const Tier *tier = &charge->tiers[i];
		int64_t upper = quantity < tier->up_to ? quantity : tier->up_to;

		if (!amount_mul(tier->unit_amount, upper - lower, &part) || !amount_add(*amount, part, amount) ||
			!amount_add(*amount, tier->flat_amount, amount))
			return false;
		lower = upper;
	}
	return lower == quantity;
}

static bool
price_volume(const Charge *charge, int64_t quantity, bool zero_flat, Amount *amount)
{
	const Tier *tier = charge->tiers;

	*amount = 0;
	if (quantity == 0 && !zero_flat)
		return true;
	for (int32_t i = 0; i < charge->tier_count; i++, tier++)
		if (quantity <= tier->up_to)
			return amount_mul(tier->unit_amount, quantity, amount) && amount_add(*amount, tier->flat_amount, amount);
	return false;
}

static bool
price_package(const Charge *charge, int64_t quantity, Amount *amount)
{
	int64_t packages = quantity / charge->package_size;

	if (!charge->package_round_down)
		packages += quantity % charge->package_size != 0;
	return amount_mul(charge->unit_amount, packages, amount);
}

/* The model's price, exact. zero_flat: whether a first tier's flat amount is due without usage. */
static bool
price(const Charge *charge, int64_t quantity, int64_t rows, int64_t allowance, bool zero_flat, Amount *amount)
{
	int64_t excess = 0;
	Amount events;
	bool fits = false;

	if (quantity > allowance && __builtin_sub_overflow(quantity, allowance, &excess))
		return false;
	switch (charge->model)
	{
		case CHARGE_PER_UNIT:
			fits = amount_mul(charge->unit_amount, excess, amount);
			break;
		case CHARGE_GRADUATED:
			fits = price_graduated(charge, excess, zero_flat, amount);
			break;
		case CHARGE_VOLUME:
			fits = price_volume(charge, excess, zero_flat, amount);
			break;
		case CHARGE_PACKAGE:
			fits = price_package(charge, excess, amount);
			break;
		case CHARGE_UNLIMITED:
			*amount = 0;
			return true;
	}
	return fits && amount_mul(charge->event_amount, rows, &events) && amount_add(*amount, events, amount);
}

bool
rate_charge(const Charge *charge, int64_t quantity, int64_t rows, int64_t allowance, Amount *amount)
{
	return price(charge, quantity, rows, allowance, charge->zero_flat, amount);
}

bool
rate_quote(const Charge *charge, int64_t quantity, int64_t rows, Amount *amount)
{
	if (!rate_charge(charge, quantity, rows, charge->included, amount))
		return false;
	if (charge->has_minimum && *amount < charge->minimum)
		*amount = charge->minimum;
	if (charge->has_maximum && *amount > charge->maximum)
		*amount = charge->maximum;
	return true;
}

/* Each row by itself, in order: what adding it up met, its metric, its subscription. */
static bool
check_rows(Work *work)
{
	const Account *account = work->account;

	for (int32_t i = 0; i < account->usage_count; i++)
	{
		const Usage *usage = &account->usage[i];

		if (usage->invalid != REASON_OK)
			return fail(work, usage->invalid, usage->metric_id, usage->subscription_id);
		if (usage->quantity < 0)
			return fail(work, REASON_INVALID_QUANTITY, usage->metric_id, usage->subscription_id);
		if (tariff_metric(work->tariff, usage->metric_id) == NULL)
			return fail(work, REASON_UNKNOWN_METRIC, usage->metric_id, usage->subscription_id);
		if (!work->known[i] && usage->subscription_id != 0)
			return fail(work, REASON_UNKNOWN_SUBSCRIPTION, usage->metric_id, usage->subscription_id);
	}
	return true;
}

/* The rows of pool usage in Account.usage, sorted by metric. */
typedef struct PoolRows {
	const Usage *usage;
	int32_t count;
} PoolRows;

static PoolRows
find_pool(const Work *work)
{
	const Account *account = work->account;
	PoolRows rows = {account->usage, 0};
	int32_t first = 0;

	/* ids of subscriptions are more than 0, so this stops at once */
	while (first < account->usage_count && account->usage[first].subscription_id < 0)
		first++;
	/* an account without usage may have no array at all */
	if (first < account->usage_count)
		rows.usage = &account->usage[first];
	while (first + rows.count < account->usage_count && rows.usage[rows.count].subscription_id == 0)
	{
		work->pools[rows.count] = (Pool){-1, -1};
		rows.count++;
	}
	return rows;
}

/* Index of the pool's row of a metric, -1 when the pool has none. */
static int32_t
find_pool_row(PoolRows rows, int32_t metric_id)
{
	int32_t low = 0, high = rows.count;

	while (low < high)
	{
		int32_t middle = low + (high - low) / 2;

		if (rows.usage[middle].metric_id < metric_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < rows.count && rows.usage[low].metric_id == metric_id ? low : -1;
}

/* Free units of the month, prorated in units and rounded half up; none for a subscription that was not there. */
static int64_t
allowance_of(const Charge *charge, const Part *part)
{
	int64_t units;

	if (part->days == 0)
		return 0;
	if (!charge->included_prorate || part->numerator == part->denominator)
		return charge->included;
	/* cannot fail: the part is at most the whole */
	money_divide((Amount) charge->included * part->numerator, part->denominator, ROUND_HALF_UP, &units);
	return units;
}

/* Appends the cell of a charge, unless it cannot come to anything. */
static bool
add_cell(Work *work, int32_t index, const Charge *charge, const Usage *own, PoolRows rows)
{
	const Part *part = &work->parts[index];
	int32_t row = part->days > 0 ? find_pool_row(rows, charge->metric_id) : -1;
	Cell *cell = &work->cells[work->cell_count];

	if (own == NULL && part->days == 0)
		return true;
	if (charge->invalid != REASON_OK)
		return fail(work, charge->invalid, charge->charge_id, part->product->product_id);
	if (own == NULL && row < 0 && !charge->has_minimum && !charge->zero_flat)
		return true;
	*cell = (Cell){charge, index, -1, 0, 0, allowance_of(charge, part)};
	if (own != NULL)
	{
		cell->quantity = own->quantity;
		cell->rows = own->rows;
	}
	if (row >= 0)
	{
		Pool *pool = &work->pools[row];

		if (pool->last < 0)
			pool->first = work->cell_count;
		else
			work->cells[pool->last].next = work->cell_count;
		pool->last = work->cell_count;
	}
	work->cell_count++;
	return true;
}

/* The cells of one subscription: its product's charges and its usage, both sorted by metric, side by side. */
static bool
add_cells(Work *work, int32_t index, PoolRows rows)
{
	const Part *part = &work->parts[index];
	const Usage *usage = work->account->usage;
	const Charge *charges = part->product->charges;
	const int32_t count = part->product->charge_count;
	int32_t at = part->usage;

	for (int32_t i = 0; i < count;)
	{
		const int32_t metric_id = charges[i].metric_id;
		const Charge *newest = NULL;
		const Usage *own = NULL;

		for (; i < count && charges[i].metric_id == metric_id; i++)
			if (charges[i].valid_from <= part->on)
				newest = &charges[i];
		if (newest == NULL)
			continue;
		while (at < part->usage_end && usage[at].metric_id < metric_id)
			at++;
		if (at < part->usage_end && usage[at].metric_id == metric_id)
			own = &usage[at];
		if (!add_cell(work, index, newest, own, rows))
			return false;
	}
	return true;
}

/*
 * Spreads one row of pool usage: what the participants' own usage left of their allowances takes it in, in order, and
 * the last one is charged for the rest. One participant without limit makes the pool free; so does having none, which
 * warn_unpriced() tells if it is not meant.
 */
static bool
spread_pool(Work *work, const Pool *pool, const Usage *usage)
{
	int64_t rest = usage->quantity;
	Cell *last;

	for (int32_t i = pool->first; i >= 0; i = work->cells[i].next)
		if (work->cells[i].charge->model == CHARGE_UNLIMITED)
			return true;
	for (int32_t i = pool->first; i >= 0 && rest > 0; i = work->cells[i].next)
	{
		Cell *cell = &work->cells[i];
		int64_t room = cell->quantity < cell->allowance ? cell->allowance - cell->quantity : 0;
		int64_t taken = rest < room ? rest : room;

		cell->quantity += taken;
		rest -= taken;
	}
	if (pool->last < 0)
		return true;
	last = &work->cells[pool->last];
	if (!money_add(last->quantity, rest, &last->quantity) || !money_add(last->rows, usage->rows, &last->rows))
		return fail(work, REASON_OVERFLOW, usage->metric_id, 0);
	return true;
}

/* What lifts a posted amount to the charge's minimum or cuts it to its maximum; 0 when it lies between. */
static bool
bound(const Work *work, const Cell *cell, int64_t amount, int64_t *difference)
{
	const Charge *charge = cell->charge;
	const Part *part = &work->parts[cell->part];
	const int exponent = work->currency->exponent;
	int64_t limit;

	*difference = 0;
	/* A maximum that does not fit into 64 bits is above every amount that does. */
	if (charge->has_maximum && amount_post(charge->maximum, 1, 1, exponent, &limit) && amount > limit)
	{
		*difference = limit - amount;
		return true;
	}
	if (charge->has_minimum && part->days > 0)
	{
		bool whole = !charge->minimum_prorate;

		if (!amount_post(charge->minimum, whole ? 1 : part->numerator, whole ? 1 : part->denominator, exponent, &limit))
			return false;
		if (amount < limit)
			*difference = limit - amount;
	}
	return true;
}

/* Appends a line of a cell and adds it to the bill's usage. */
static Line *
add_line(Work *work, const Cell *cell, LineKind kind, int64_t amount, const Metric *metric)
{
	const Part *part = &work->parts[cell->part];
	Line *line = bill_add_line(work, kind, amount);

	if (line == NULL || !money_add(work->bill->usage, amount, &work->bill->usage))
		return NULL;
	line->product = part->product_index;
	line->metric = (int32_t) (metric - work->tariff->metrics);
	line->subscription_id = work->account->subscriptions[cell->part].subscription_id;
	work->charged |= amount != 0;
	return line;
}

/* Prices a cell and writes its lines: usage, then what brings it to its minimum or maximum. */
static bool
charge_cell(Work *work, const Cell *cell)
{
	const Charge *charge = cell->charge;
	const Part *part = &work->parts[cell->part];
	const int32_t first = work->bill->line_count;
	const Metric *metric;
	Amount exact;
	int64_t amount, difference;
	Line *line;

	if (!price(charge, cell->quantity, cell->rows, cell->allowance, charge->zero_flat && part->days > 0, &exact) ||
		!amount_post(exact, 1, 1, work->currency->exponent, &amount) || !bound(work, cell, amount, &difference))
		goto overflow;
	if (amount == 0 && difference == 0)
		return true;
	metric = tariff_metric(work->tariff, charge->metric_id);
	if (metric == NULL)
		return fail(work, REASON_UNKNOWN_METRIC, charge->metric_id,
					work->account->subscriptions[cell->part].subscription_id);
	if (amount != 0 || cell->quantity > 0)
	{
		line = add_line(work, cell, LINE_USAGE, amount, metric);
		if (line == NULL)
			goto overflow;
		line->quantity = cell->quantity;
	}
	if (difference != 0 &&
		add_line(work, cell, difference > 0 ? LINE_MINIMUM : LINE_MAXIMUM, difference, metric) == NULL)
		goto overflow;
	work->items[work->item_count++] = (Item){amount + difference, cell->part, first, true};
	return true;

overflow:
	return fail(work, REASON_OVERFLOW, charge->metric_id,
				work->account->subscriptions[cell->part].subscription_id);
}

/*
 * Usage of the pool is priced by the subscriptions of the month. Where there is none it cannot be charged, which is worth
 * a word: a subscription whose product has no charge for the metric makes it free on purpose, nobody does not.
 */
static void
warn_unpriced(Work *work, PoolRows rows)
{
	Bill *bill = work->bill;

	for (int32_t i = 0; i < work->account->subscription_count; i++)
		if (work->parts[i].days > 0)
			return;
	for (int32_t i = 0; i < rows.count; i++)
		if (rows.usage[i].quantity > 0)
			bill->warnings[bill->warning_count++] =
				(Fault){REASON_UNPRICED_USAGE, rows.usage[i].metric_id, rows.usage[i].quantity};
	work->unpriced = bill->warning_count;
}

bool
usage_rate(Work *work)
{
	PoolRows rows;

	if (!check_rows(work))
		return false;
	rows = find_pool(work);
	warn_unpriced(work, rows);
	for (int32_t i = 0; i < work->account->subscription_count; i++)
		if (work->parts[i].product != NULL && !add_cells(work, i, rows))
			return false;
	for (int32_t i = 0; i < rows.count; i++)
		if (!spread_pool(work, &work->pools[i], &rows.usage[i]))
			return false;
	for (int32_t i = 0; i < work->cell_count; i++)
		if (!charge_cell(work, &work->cells[i]))
			return false;
	return true;
}
