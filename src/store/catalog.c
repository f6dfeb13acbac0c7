/*
 * catalog.c: the catalogue tables as a read-only Tariff (see catalog.h).
 *
 * Every query returns text-convertible columns in a fixed order with its rows sorted; the same text that is parsed goes
 * into the fingerprint, so nothing that rating can see escapes it. Children (prices, charges, tiers) come sorted by
 * their parent's key and are attached in one pass.
 */
#include "compat.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "errcodes.h"
#include "store/catalog.h"
#include "store/sql.h"

typedef struct Loader {
	Catalog *catalog;
	MemoryContext context; /* where the catalogue lives */
	StringInfoData seen;   /* all text read so far, for the fingerprint */
	uint64 row_count;      /* of the query read last */
	char **families;       /* names by number */
	int family_count;
} Loader;

/* Runs a query; its rows stay in SPI_tuptable. All values enter the fingerprint. */
static void
loader_query(Loader *loader, const char *query)
{
	loader->row_count = sql_select(query, NULL);
	for (uint64 row = 0; row < loader->row_count; row++)
		for (int column = 1; column <= SPI_tuptable->tupdesc->natts; column++)
		{
			const char *value = sql_text(row, column);
			/* length-prefixed, so that neighbouring values cannot be confused */
			appendStringInfo(&loader->seen, "%zd:%s;", value ? (ssize_t) strlen(value) : (ssize_t) -1, value ? value : "");
		}
	appendStringInfoChar(&loader->seen, '\n');
}

static void *
loader_alloc(Loader *loader, size_t size)
{
	return MemoryContextAllocZero(loader->context, Max(size, 1));
}

static const char *
loader_text(Loader *loader, uint64 row, int column)
{
	const char *value = sql_text(row, column);
	return value == NULL ? NULL : MemoryContextStrdup(loader->context, value);
}

static bool
is_null(uint64 row, int column)
{
	bool isnull;

	(void) sql_datum(row, column, &isnull);
	return isnull;
}

static int32
read_day(uint64 row, int column, int32 otherwise)
{
	return is_null(row, column) ? otherwise : sql_day(row, column);
}

/* Position of an enum label in the C enum's order. */
static int
read_label(uint64 row, int column, const char *const *labels)
{
	const char *value = sql_text(row, column);

	for (int i = 0; labels[i] != NULL; i++)
		if (strcmp(labels[i], value) == 0)
			return i;
	elog(ERROR, "unexpected enum value \"%s\"", value);
}

/* False when the number has more than 12 decimals or is too large; NULL reads as 0. */
static bool
read_amount(uint64 row, int column, Amount *amount)
{
	const char *value = sql_text(row, column);

	*amount = 0;
	return value == NULL || amount_parse(value, strlen(value), amount);
}

/* One snapshot and the foreign keys say that a parent is there; a replica or a restore may have switched them off. */
static void
check_parent(bool found, const char *child, const char *parent, int32 id)
{
	if (!found)
		ereport(ERROR, (errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
						errmsg("a row of settle.%s names %s %d, which does not exist", child, parent, id),
						errhint("Correct the catalogue.")));
}

static void
load_currencies(Loader *loader)
{
	static const char *const modes[] = {"half_up", "half_even", "up", "down", "ceil", "floor", NULL};

	loader_query(loader, "SELECT code, exponent::int4, rounding_unit, rounding_mode FROM settle.currency ORDER BY code");
	Currency *currencies = loader_alloc(loader, loader->row_count * sizeof(Currency));
	for (uint64 row = 0; row < loader->row_count; row++)
	{
		strlcpy(currencies[row].code, sql_text(row, 1), sizeof(currencies[row].code));
		currencies[row].exponent = sql_int4(row, 2);
		currencies[row].rounding_unit = sql_int8(row, 3);
		currencies[row].rounding_mode = (RoundingMode) read_label(row, 4, modes);
	}
	loader->catalog->tariff.currencies = currencies;
	loader->catalog->tariff.currency_count = (int32_t) loader->row_count;
}

static void
load_metrics(Loader *loader)
{
	loader_query(loader, "SELECT metric_id, increment_first, increment_then, code FROM settle.metric ORDER BY metric_id");
	Metric *metrics = loader_alloc(loader, loader->row_count * sizeof(Metric));
	for (uint64 row = 0; row < loader->row_count; row++)
	{
		metrics[row].metric_id = sql_int4(row, 1);
		metrics[row].increment_first = sql_int8(row, 2);
		metrics[row].increment_then = sql_int8(row, 3);
		metrics[row].code = loader_text(loader, row, 4);
	}
	loader->catalog->tariff.metrics = metrics;
	loader->catalog->tariff.metric_count = (int32_t) loader->row_count;
}

static void
load_taxes(Loader *loader)
{
	loader_query(loader, "SELECT code, valid_from, rate_ppm, inclusive FROM settle.tax ORDER BY code, valid_from");
	Tax *taxes = loader_alloc(loader, loader->row_count * sizeof(Tax));
	TaxRate *rates = loader_alloc(loader, loader->row_count * sizeof(TaxRate));
	int32_t count = 0;

	for (uint64 row = 0; row < loader->row_count; row++)
	{
		const char *code = sql_text(row, 1);

		if (count == 0 || strcmp(taxes[count - 1].code, code) != 0)
		{
			taxes[count].code = loader_text(loader, row, 1);
			taxes[count++].rates = &rates[row];
		}
		taxes[count - 1].rate_count++;
		rates[row].valid_from = read_day(row, 2, DAY_MIN);
		rates[row].rate_ppm = sql_int4(row, 3);
		rates[row].inclusive = sql_bool(row, 4);
		rates[row].invalid = rates[row].rate_ppm < 0 ? REASON_INVALID_TAX : REASON_OK;
	}
	loader->catalog->tariff.taxes = taxes;
	loader->catalog->tariff.tax_count = count;
}

static int32_t
family_number(Loader *loader, const char *name)
{
	for (int i = 0; i < loader->family_count; i++)
		if (strcmp(loader->families[i], name) == 0)
			return i;
	loader->families = loader->families == NULL
						   ? palloc(sizeof(char *))
						   : repalloc(loader->families, (loader->family_count + 1) * sizeof(char *));
	loader->families[loader->family_count] = pstrdup(name);
	return loader->family_count++;
}

static Product *
load_products(Loader *loader)
{
	static const char *const prorations[] = {"none", "daily", "thirty", NULL};
	Tariff *tariff = &loader->catalog->tariff;

	loader_query(loader, "SELECT product_id, currency, family, tax_code, refund_days, proration, discountable, name"
						 " FROM settle.product ORDER BY product_id");
	Product *products = loader_alloc(loader, loader->row_count * sizeof(Product));
	for (uint64 row = 0; row < loader->row_count; row++)
	{
		Product *product = &products[row];
		const char *currency = sql_text(row, 2);
		const char *tax = sql_text(row, 4);

		product->product_id = sql_int4(row, 1);
		product->currency = catalog_currency(tariff, currency, strlen(currency));
		product->family = family_number(loader, sql_text(row, 3));
		product->tax = catalog_tax(tariff, tax, tax ? strlen(tax) : 0);
		product->refund_days = sql_int4(row, 5);
		product->proration = (Proration) read_label(row, 6, prorations);
		product->discountable = sql_bool(row, 7);
		product->name = loader_text(loader, row, 8);
	}
	tariff->products = products;
	tariff->product_count = (int32_t) loader->row_count;
	return products;
}

static void
load_prices(Loader *loader, Product *products, int32_t product_count)
{
	loader_query(loader, "SELECT product_id, valid_from, unit_price FROM settle.price ORDER BY product_id, valid_from");
	Price *prices = loader_alloc(loader, loader->row_count * sizeof(Price));
	int32_t owner = 0;

	for (uint64 row = 0; row < loader->row_count; row++)
	{
		while (owner < product_count && products[owner].product_id < sql_int4(row, 1))
			owner++;
		check_parent(owner < product_count && products[owner].product_id == sql_int4(row, 1), "price", "product",
					 sql_int4(row, 1));
		if (products[owner].price_count++ == 0)
			products[owner].prices = &prices[row];
		prices[row].valid_from = read_day(row, 2, DAY_MIN);
		if (!read_amount(row, 3, &prices[row].unit_price))
			prices[row].invalid = REASON_INVALID_PRICE;
		else if (prices[row].unit_price < 0)
			prices[row].invalid = REASON_NEGATIVE_PRICE;
	}
}

/* One row of settle.charge; its tiers come later. */
static void
read_charge(Charge *charge, uint64 row)
{
	static const char *const models[] = {"per_unit", "graduated", "volume", "package", "unlimited", NULL};

	charge->charge_id = sql_int4(row, 1);
	charge->metric_id = sql_int4(row, 3);
	charge->valid_from = read_day(row, 4, DAY_MIN);
	charge->model = (ChargeModel) read_label(row, 5, models);
	charge->included = sql_int8(row, 8);
	charge->included_prorate = sql_bool(row, 9);
	charge->package_size = is_null(row, 10) ? 0 : sql_int8(row, 10);
	charge->package_round_down = strcmp(sql_text(row, 11), "down") == 0;
	charge->has_minimum = !is_null(row, 12);
	charge->minimum_prorate = sql_bool(row, 13);
	charge->has_maximum = !is_null(row, 14);
	charge->zero_flat = sql_bool(row, 15);
	if (!read_amount(row, 6, &charge->unit_amount) || !read_amount(row, 7, &charge->event_amount) ||
		!read_amount(row, 12, &charge->minimum) || !read_amount(row, 14, &charge->maximum))
		charge->invalid = REASON_INVALID_CHARGE;
}

static Charge *
load_charges(Loader *loader, Product *products, int32_t product_count)
{
	loader_query(loader, "SELECT charge_id, product_id, metric_id, valid_from, model, unit_amount, event_amount, included,"
						 " included_prorate, package_size, package_round, minimum, minimum_prorate, maximum, zero_flat"
						 " FROM settle.charge ORDER BY product_id, metric_id, valid_from");
	Charge *charges = loader_alloc(loader, loader->row_count * sizeof(Charge));
	int32_t owner = 0;

	for (uint64 row = 0; row < loader->row_count; row++)
	{
		while (owner < product_count && products[owner].product_id < sql_int4(row, 2))
			owner++;
		check_parent(owner < product_count && products[owner].product_id == sql_int4(row, 2), "charge", "product",
					 sql_int4(row, 2));
		if (products[owner].charge_count++ == 0)
			products[owner].charges = &charges[row];
		read_charge(&charges[row], row);
	}
	return charges;
}

static int
compare_charge_id(const void *a, const void *b)
{
	const Charge *left = *(Charge *const *) a;
	const Charge *right = *(Charge *const *) b;
	return (left->charge_id > right->charge_id) - (left->charge_id < right->charge_id);
}

/* Attaches the tiers, which come in charge_id order while charges are in product order, then checks every charge. */
static void
load_tiers(Loader *loader, Charge *charges, uint64 charge_count)
{
	loader_query(loader, "SELECT charge_id, up_to, unit_amount, flat_amount FROM settle.charge_tier"
						 " ORDER BY charge_id, tier_no");
	Tier *tiers = loader_alloc(loader, loader->row_count * sizeof(Tier));
	Charge **by_id = palloc(Max(charge_count, 1) * sizeof(Charge *));
	uint64 owner = 0;

	for (uint64 i = 0; i < charge_count; i++)
		by_id[i] = &charges[i];
	qsort(by_id, charge_count, sizeof(Charge *), compare_charge_id);

	for (uint64 row = 0; row < loader->row_count; row++)
	{
		while (owner < charge_count && by_id[owner]->charge_id < sql_int4(row, 1))
			owner++;
		check_parent(owner < charge_count && by_id[owner]->charge_id == sql_int4(row, 1), "charge_tier", "charge",
					 sql_int4(row, 1));
		Charge *charge = by_id[owner];
		if (charge->tier_count++ == 0)
			charge->tiers = &tiers[row];
		tiers[row].up_to = is_null(row, 2) ? INT64_MAX : sql_int8(row, 2);
		if (!read_amount(row, 3, &tiers[row].unit_amount) || !read_amount(row, 4, &tiers[row].flat_amount))
			charge->invalid = REASON_INVALID_TIERS;
	}
	for (uint64 i = 0; i < charge_count; i++)
		if (charges[i].invalid == REASON_OK)
			charges[i].invalid = rate_check_charge(&charges[i]);
}

static void
load_discounts(Loader *loader)
{
	static const char *const kinds[] = {"amount", "percent", NULL};
	static const char *const scopes[] = {"product", "family", "bill", NULL};
	static const char *const targets[] = {"recurring", "usage", "all", NULL};
	static const char *const conditions[] = {"none", "group_size", "tenure_years", NULL};
	Tariff *tariff = &loader->catalog->tariff;

	loader_query(loader, "SELECT discount_id, kind, scope, applies_to, condition, condition_minimum, currency, product_id,"
						 " stage, priority, valid_from, valid_to, value, name FROM settle.discount ORDER BY discount_id");
	Discount *discounts = loader_alloc(loader, loader->row_count * sizeof(Discount));
	for (uint64 row = 0; row < loader->row_count; row++)
	{
		Discount *discount = &discounts[row];
		const char *currency = sql_text(row, 7);

		discount->discount_id = sql_int4(row, 1);
		discount->kind = (DiscountKind) read_label(row, 2, kinds);
		discount->scope = (DiscountScope) read_label(row, 3, scopes);
		discount->target = (DiscountTarget) read_label(row, 4, targets);
		discount->condition = (DiscountCondition) read_label(row, 5, conditions);
		discount->condition_minimum = is_null(row, 6) ? 0 : sql_int4(row, 6);
		discount->currency = catalog_currency(tariff, currency, currency ? strlen(currency) : 0);
		discount->has_product = !is_null(row, 8);
		discount->product_id = discount->has_product ? sql_int4(row, 8) : 0;
		discount->stage = sql_int4(row, 9);
		discount->priority = sql_int4(row, 10);
		discount->valid_from = read_day(row, 11, DAY_MIN);
		discount->valid_to = read_day(row, 12, DAY_MAX);
		discount->name = loader_text(loader, row, 14);
		if (!read_amount(row, 13, &discount->value))
			discount->invalid = REASON_INVALID_DISCOUNT;
	}
	tariff->discounts = discounts;
	tariff->discount_count = (int32_t) loader->row_count;
}

/* Families a discount names that no product has get numbers of their own and simply match nothing. */
static void
load_discount_families(Loader *loader)
{
	Discount *discounts = (Discount *) loader->catalog->tariff.discounts;
	const int32_t count = loader->catalog->tariff.discount_count;
	int32_t owner = 0;

	loader_query(loader, "SELECT discount_id, family FROM settle.discount, unnest(families) AS family"
						 " WHERE family IS NOT NULL ORDER BY discount_id, family");
	int32_t *families = loader_alloc(loader, loader->row_count * sizeof(int32_t));
	for (uint64 row = 0; row < loader->row_count; row++)
	{
		while (owner < count && discounts[owner].discount_id < sql_int4(row, 1))
			owner++;
		check_parent(owner < count && discounts[owner].discount_id == sql_int4(row, 1), "discount", "discount",
					 sql_int4(row, 1));
		if (discounts[owner].family_count++ == 0)
			discounts[owner].families = &families[row];
		families[row] = family_number(loader, sql_text(row, 2));
	}
	for (int32_t i = 0; i < count; i++)
		if (discounts[i].invalid == REASON_OK)
			discounts[i].invalid = rate_check_discount(&discounts[i]);
}

Catalog *
catalog_load(void)
{
	Loader loader = {.context = CurrentMemoryContext};
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "settle catalogue load", ALLOCSET_DEFAULT_SIZES);

	loader.catalog = loader_alloc(&loader, sizeof(Catalog));
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	initStringInfo(&loader.seen);

	load_currencies(&loader);
	load_metrics(&loader);
	load_taxes(&loader);
	Product *products = load_products(&loader);
	const int32_t product_count = loader.catalog->tariff.product_count;
	load_prices(&loader, products, product_count);
	Charge *charges = load_charges(&loader, products, product_count);
	load_tiers(&loader, charges, loader.row_count);
	load_discounts(&loader);
	load_discount_families(&loader);

	const unsigned char *bytes = (const unsigned char *) loader.seen.data;
	snprintf(loader.catalog->fingerprint, FINGERPRINT_SIZE, "%016llx%016llx",
			 (unsigned long long) hash_bytes_extended(bytes, loader.seen.len, 0),
			 (unsigned long long) hash_bytes_extended(bytes, loader.seen.len, 1));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return loader.catalog;
}

void
catalog_check(const Catalog *catalog)
{
	const Tariff *tariff = &catalog->tariff;
	const char *empty = NULL;

	if (tariff->currency_count == 0)
		empty = "currency";
	else if (tariff->product_count == 0)
		empty = "product";
	else
	{
		empty = "price";
		for (int i = 0; i < tariff->product_count; i++)
			if (tariff->products[i].price_count > 0)
				empty = NULL;
	}
	if (empty != NULL)
		ereport(ERROR, (errcode(ERRCODE_SETTLE_CATALOG_EMPTY), errmsg("table settle.%s is empty", empty),
						errhint("Load the catalogue before settling a month.")));
}

int32
catalog_currency(const Tariff *tariff, const char *code, size_t len)
{
	if (code == NULL)
		return -1;
	for (int32 i = 0; i < tariff->currency_count; i++)
		if (strlen(tariff->currencies[i].code) == len && memcmp(tariff->currencies[i].code, code, len) == 0)
			return i;
	return -2;
}

int32
catalog_tax(const Tariff *tariff, const char *code, size_t len)
{
	if (code == NULL)
		return -1;
	for (int32 i = 0; i < tariff->tax_count; i++)
		if (strlen(tariff->taxes[i].code) == len && memcmp(tariff->taxes[i].code, code, len) == 0)
			return i;
	return -2;
}
