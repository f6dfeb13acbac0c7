/*
 * gen_catalog.c: the catalogue of the invented operator (see gen.h).
 *
 * Prices are won of a Korean operator, taxed at 10 % on top. Every family, charge model, kind × scope × target of
 * discount and condition occurs. History is relative to the month: a price that came in eight months ago, one that will
 * come in two months from now and must not apply yet, a product launched on the tenth.
 *
 * Products and discounts are C tables, because accounts are made from them; what only the server reads (prices,
 * charges, tiers, taxes) is SQL text. In those texts a version is (months, days) from the first of the month, NULL = -infinity.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gen.h"

static const char *const family_names[FAMILY_COUNT] = {"mobile", "internet", "iptv", "bundle", "addon"};

typedef struct Row {
	GenProduct product;
	const char *code, *name, *proration, *tax;
} Row;

#define VAT "VAT10"
#define VAT_INSIDE "VAT10IN"
#define SELL true
#define HOLD false /* not discountable */

/* id, family, weight, base, discountable, usage every month, refund days; code, name, proration, tax */
static const Row rows[] = {
	{{101, MOBILE, 9, 130000, SELL, false, 14}, "M5G-PREM", "5G Premium", "daily", VAT},
	{{102, MOBILE, 13, 85000, SELL, false, 14}, "M5G-SPEC", "5G Special", "daily", VAT},
	{{103, MOBILE, 16, 69000, SELL, false, 14}, "M5G-STD", "5G Standard", "daily", VAT},
	{{104, MOBILE, 15, 55000, SELL, false, 14}, "M5G-SLIM", "5G Slim", "daily", VAT},
	{{105, MOBILE, 6, 45000, SELL, false, 14}, "M5G-TEEN", "5G Teen", "daily", VAT},
	{{106, MOBILE, 3, 29000, SELL, true, 7}, "LTE-FLEX", "LTE Flex", "daily", VAT},
	{{107, MOBILE, 12, 49000, SELL, false, 7}, "LTE-STD", "LTE Standard", "daily", VAT},
	{{108, MOBILE, 9, 33000, SELL, false, 7}, "LTE-LITE", "LTE Lite", "daily", VAT},
	{{109, MOBILE, 6, 27800, SELL, false, 7}, "LTE-SENIOR", "LTE \xec\x8b\x9c\xeb\x8b\x88\xec\x96\xb4", "daily", VAT},
	{{110, MOBILE, 5, 19800, SELL, false, 7}, "LTE-KIDS", "LTE Kids", "thirty", VAT},
	{{111, MOBILE, 3, 38500, SELL, true, 0}, "M-BIZ", "Business Line", "daily", VAT},
	{{112, MOBILE, 3, 11000, SELL, false, 7}, "M-WATCH", "Watch & Tablet", "none", VAT},
	{{PRODUCT_LAUNCHED, MOBILE, 0, 61000, SELL, false, 14}, "M5G-NEW", "5G \"Launch\" Special", "daily", VAT},
	{{201, INTERNET, 20, 22000, SELL, false, 14}, "NET-100M", "Internet 100M", "daily", VAT},
	{{202, INTERNET, 35, 33000, SELL, false, 14}, "NET-500M", "Internet 500M", "daily", VAT},
	{{203, INTERNET, 30, 38500, SELL, false, 14}, "NET-1G", "Internet 1G", "daily", VAT},
	{{204, INTERNET, 10, 44000, SELL, false, 14}, "NET-2G5", "Internet 2.5G", "thirty", VAT},
	{{205, INTERNET, 5, 60500, SELL, false, 14}, "NET-10G", "Internet 10G", "daily", VAT},
	{{301, IPTV, 35, 13200, SELL, false, 7}, "TV-BASIC", "TV Basic", "daily", VAT},
	{{302, IPTV, 30, 17600, SELL, false, 7}, "TV-PLUS", "TV Plus", "daily", VAT},
	{{303, IPTV, 18, 22000, SELL, false, 7}, "TV-PREM", "TV Premium", "daily", VAT},
	{{304, IPTV, 12, 24200, SELL, false, 7}, "TV-KIDS", "TV Kids & Family", "thirty", VAT},
	{{305, IPTV, 5, 29700, SELL, false, 7}, "TV-SPORT", "TV Sports", "none", VAT},
	{{401, BUNDLE, 40, 16500, SELL, false, 7}, "B-POOL", "Family Data Pool", "daily", VAT},
	{{402, BUNDLE, 30, 49500, SELL, false, 14}, "B-TRIPLE", "Home Triple", "thirty", VAT},
	{{403, BUNDLE, 20, 44000, SELL, false, 14}, "B-DUO", "Home Duo", "daily", VAT},
	{{404, BUNDLE, 10, 66000, HOLD, true, 0}, "B-OFFICE", "Office Pack", "daily", VAT},
	{{501, ADDON, 12, 900, SELL, false, 0}, "A-RING", "Ring Tones", "none", VAT},
	{{502, ADDON, 10, 1000, SELL, false, 0}, "A-CALLER", "Caller Name", "daily", VAT},
	{{503, ADDON, 14, 6900, HOLD, false, 0}, "A-INSURE", "Phone Insurance", "daily", NULL},
	{{504, ADDON, 9, 7900, HOLD, false, 0}, "A-MUSIC", "Music Streaming", "none", VAT_INSIDE},
	{{505, ADDON, 10, 9900, HOLD, false, 0}, "A-OTT", "Video Streaming", "none", VAT},
	{{506, ADDON, 6, 5500, SELL, false, 7}, "A-CLOUD", "Cloud 200 GB", "daily", VAT},
	{{507, ADDON, 5, 9000, SELL, false, 3}, "A-ROAM", "Roaming Pass", "none", VAT},
	{{508, ADDON, 6, 3300, SELL, false, 3}, "A-GLOBAL", "Global Calls", "daily", VAT},
	{{509, ADDON, 5, 1100, SELL, false, 0}, "A-SPAM", "Spam Shield", "daily", VAT},
	{{510, ADDON, 8, 2200, SELL, false, 3}, "A-WIFI", "Giga Wi-Fi", "daily", VAT},
	{{511, ADDON, 6, 5500, SELL, false, 3}, "A-VOD", "VOD Pass", "thirty", VAT},
	{{512, ADDON, 5, 4400, SELL, false, 3}, "A-SMS", "Bulk Messages", "daily", VAT},
	{{513, ADDON, 4, 3300, SELL, false, 0}, "A-SAFE", "\xec\x95\x88\xec\x8b\xac Safe Return", "daily", VAT},
	{{PRODUCT_NO_PRICE, ADDON, 0, 0, SELL, false, 0}, "X-NOPRICE", "Not on Sale Yet", "daily", VAT},
	{{PRODUCT_NEGATIVE, ADDON, 0, 0, SELL, false, 0}, "X-NEGATIVE", "Mistyped Price", "daily", VAT},
	{{PRODUCT_NO_TAX, ADDON, 0, 5000, SELL, false, 0}, "X-TAX", "Mistyped Tax", "daily", "VTA10"},
};
#define PRODUCTS ((int) (sizeof(rows) / sizeof(*rows)))

static const char metrics[] =
	"INSERT INTO settle.metric (metric_id, code, unit, increment_first, increment_then) VALUES "
	"(1, 'data_mb', 'MB', 1, 1), (2, 'voice_s', 's', 60, 1), (3, 'voice_intl_s', 's', 30, 6), "
	"(4, 'sms', 'message', 1, 1), (5, 'lms', 'message', 1, 1), (6, 'roam_mb', 'MB', 1, 1), "
	"(7, 'vod_view', 'view', 1, 1)";

static const char taxes[] = "('" VAT "', NULL::int, 0, 80000, false), ('" VAT "', -60, 0, 100000, false), "
							"('" VAT "', 2, 0, 120000, false), ('" VAT_INSIDE "', NULL, 0, 100000, true)";

/* product, months, days, price: every product has its base price since ever, some a history */
static const char prices[] =
	"(101, -14, 0, 130000), (102, -26, 0, 82000), (102, -8, 0, 85000), (103, -8, 0, 69000), (103, 2, 0, 72000), "
	"(104, -40, 0, 53000), (104, -20, 0, 54000), (104, -3, 0, 55000), (107, -30, 0, 48500.5), (107, -9, 0, 49000), "
	"(108, 0, 14, 34000), (202, -36, 0, 31900), (202, -12, 0, 33000), (203, -12, 0, 38500), (204, 0, 0, 44000), "
	"(302, -18, 0, 17600), (303, 1, 0, 23100), (401, -6, 0, 16500), (504, -10, 0, 7900), (505, 0, 19, 10900), "
	"(510, -24, 0, 2200)";

/*
 * charge, product, metric, months, model, unit, event, included, included_prorate, package, package_round, minimum,
 * minimum_prorate, maximum, zero_flat
 */
static const char charges[] =
	"(1011, 101, 1, NULL::int, 'unlimited', 0, 0, 0, true, NULL::bigint, 'up', NULL::numeric, true, "
	"NULL::numeric, false), "
	"(1013, 101, 3, NULL, 'per_unit', 3.3, 55, 0, true, NULL, 'up', NULL, true, NULL, false), "
	"(1021, 102, 1, NULL, 'graduated', 0, 0, 100000, true, NULL, 'up', NULL, true, 25000, false), "
	"(1023, 102, 3, NULL, 'per_unit', 3.3, 55, 0, true, NULL, 'up', NULL, true, NULL, false), "
	"(1031, 103, 1, NULL, 'graduated', 0, 0, 30000, true, NULL, 'up', NULL, true, 33000, false), "
	"(1034, 103, 4, NULL, 'per_unit', 22, 0, 500, false, NULL, 'up', NULL, true, NULL, false), "
	"(1040, 104, 1, NULL, 'per_unit', 22.53, 0, 10000, true, NULL, 'up', NULL, true, 22000, false), "
	"(1041, 104, 1, -6, 'per_unit', 22.53, 0, 12000, true, NULL, 'up', NULL, true, 19800, false), "
	"(1042, 104, 2, NULL, 'per_unit', 1.98, 0, 10800, true, NULL, 'up', NULL, true, NULL, false), "
	"(1044, 104, 4, NULL, 'per_unit', 22, 0, 200, true, NULL, 'up', NULL, true, NULL, false), "
	"(1045, 104, 5, NULL, 'per_unit', 33, 0, 50, true, NULL, 'up', NULL, true, NULL, false), "
	"(1051, 105, 1, NULL, 'package', 2200, 0, 9000, true, 1000, 'up', NULL, true, 22000, false), "
	"(1061, 106, 1, NULL, 'volume', 0, 0, 0, true, NULL, 'up', NULL, true, NULL, true), "
	"(1062, 106, 2, NULL, 'graduated', 0, 10, 0, true, NULL, 'up', NULL, true, 30000, false), "
	"(1064, 106, 4, NULL, 'per_unit', 22, 0, 0, true, NULL, 'up', NULL, true, NULL, false), "
	"(1071, 107, 1, NULL, 'per_unit', 22.53, 0, 6000, true, NULL, 'up', NULL, true, 22000, false), "
	"(1072, 107, 2, NULL, 'per_unit', 1.98, 0, 6000, true, NULL, 'up', NULL, true, NULL, false), "
	"(1074, 107, 4, NULL, 'per_unit', 22, 0, 100, true, NULL, 'up', NULL, true, NULL, false), "
	"(1081, 108, 1, NULL, 'package', 1100, 0, 3000, true, 500, 'up', NULL, true, 16500, false), "
	"(1082, 108, 2, NULL, 'per_unit', 1.98, 0, 3600, true, NULL, 'up', NULL, true, NULL, false), "
	"(1084, 108, 4, NULL, 'per_unit', 22, 0, 50, true, NULL, 'up', NULL, true, NULL, false), "
	"(1091, 109, 1, NULL, 'per_unit', 11.264, 0, 2000, true, NULL, 'up', NULL, true, 11000, false), "
	"(1092, 109, 2, NULL, 'graduated', 0, 3.5, 3600, true, NULL, 'up', NULL, true, NULL, false), "
	"(1101, 110, 1, NULL, 'package', 550, 0, 500, true, 250, 'down', NULL, true, 5500, false), "
	"(1111, 111, 1, NULL, 'graduated', 0, 0, 5000, true, NULL, 'up', NULL, true, 66000, false), "
	"(1112, 111, 2, NULL, 'volume', 0, 5, 0, true, NULL, 'up', 5500, true, 110000, false), "
	"(1114, 111, 4, NULL, 'volume', 0, 0, 0, true, NULL, 'up', NULL, true, NULL, false), "
	"(1121, 112, 1, NULL, 'package', 1100, 0, 1000, false, 500, 'up', NULL, true, 8800, false), "
	"(1131, 113, 1, NULL, 'per_unit', 5.632, 0, 24000, true, NULL, 'up', NULL, true, 15000, false), "
	"(3017, 301, 7, NULL, 'per_unit', 1650, 0, 0, true, NULL, 'up', NULL, true, NULL, false), "
	"(3027, 302, 7, NULL, 'per_unit', 1430, 110, 1, true, NULL, 'up', NULL, true, NULL, false), "
	"(3037, 303, 7, NULL, 'graduated', 0, 0, 2, true, NULL, 'up', NULL, true, 11000, false), "
	"(4011, 401, 1, NULL, 'graduated', 0, 0, 50000, true, NULL, 'up', NULL, true, 30000, false), "
	"(4042, 404, 2, NULL, 'per_unit', 1.5, 0, 36000, true, NULL, 'up', 2750, false, NULL, false), "
	"(5076, 507, 6, NULL, 'package', 11000, 0, 1000, false, 500, 'up', NULL, true, 55000, false), "
	"(5083, 508, 3, NULL, 'per_unit', 1.1, 20, 3600, true, NULL, 'up', NULL, true, NULL, false), "
	"(5117, 511, 7, NULL, 'unlimited', 0, 0, 0, true, NULL, 'up', NULL, true, NULL, false), "
	"(5124, 512, 4, NULL, 'volume', 0, 0, 100, true, NULL, 'up', NULL, true, NULL, false)";

/* charge, tier, up to, unit, flat */
static const char tiers[] =
	"(1021, 1, 5000::bigint, 11.26, 0), (1021, 2, 20000, 5.63, 0), (1021, 3, NULL, 2.25, 0), "
	"(1031, 1, 3000, 11.264, 0), (1031, 2, 10000, 5.632, 0), (1031, 3, NULL, 2.816, 0), "
	"(1061, 1, 5000, 0, 1100), (1061, 2, 30000, 0.55, 0), (1061, 3, NULL, 0.33, 2200), "
	"(1062, 1, 3600, 1.8, 0), (1062, 2, NULL, 1.2, 500), "
	"(1092, 1, 3600, 1.32, 0), (1092, 2, NULL, 0.66, 0), "
	"(1111, 1, 10000, 5.5, 0), (1111, 2, NULL, 1.1, 3300), "
	"(1112, 1, 3600, 1.98, 0), (1112, 2, 18000, 1.54, 0), (1112, 3, NULL, 1.21, 1000), "
	"(1114, 1, 100, 22, 0), (1114, 2, NULL, 16.5, 0), "
	"(3037, 1, 2, 1210, 0), (3037, 2, NULL, 990, 0), "
	"(4011, 1, 20000, 3.3, 550), (4011, 2, NULL, 1.65, 0), "
	"(5124, 1, 1000, 11, 0), (5124, 2, NULL, 8.8, 1000)";

typedef struct Offer {
	GenDiscount discount;
	const char *code, *name, *kind, *value;
	int stage, priority;
	const char *valid_to; /* months; NULL = no end */
} Offer;

#define F(family) (1u << (family))
#define HOME (F(INTERNET) | F(IPTV))

/* id, weight, scope, target, condition, minimum, families, product; code, name, kind, value, stage, priority, end */
static const Offer offers[] = {
	{{1, 30, PRODUCT, RECURRING, NONE, 0, 0, 0}, "CONTRACT25", "Contract 25 %", "percent", "25", 1, 10, NULL},
	{{2, 8, PRODUCT, RECURRING, NONE, 0, 0, 203}, "NET1G", "Internet 1G Promotion", "amount", "5500", 1, 20, NULL},
	{{3, 14, FAMILY, RECURRING, GROUP_SIZE, 2, HOME, 0}, "HOME2", "Home Together", "percent", "10", 2, 10, NULL},
	{{4, 12, FAMILY, RECURRING, GROUP_SIZE, 3, F(MOBILE), 0}, "FAMILY3", "Family of Three", "amount", "4400", 2, 20,
		NULL},
	{{5, 5, BILL, RECURRING, GROUP_SIZE, 4, 0, 0}, "FAMILY4", "Big Family", "percent", "12.5", 3, 10, NULL},
	{{6, 10, PRODUCT, RECURRING, TENURE_YEARS, 3, 0, 0}, "LOYAL3", "Loyal 3 Years", "percent", "5", 2, 30, NULL},
	{{7, 8, FAMILY, RECURRING, TENURE_YEARS, 5, HOME, 0}, "LOYAL5", "Loyal 5 Years", "percent", "7", 2, 40, NULL},
	{{8, 6, PRODUCT, RECURRING, TENURE_YEARS, 7, 0, 0}, "LOYAL7", "Loyal 7 Years", "amount", "3300", 1, 30, NULL},
	{{9, 3, PRODUCT, USAGE, NONE, 0, 0, 0}, "USE50", "Half the Usage", "percent", "50", 1, 40, NULL},
	{{10, 3, FAMILY, USAGE, NONE, 0, F(MOBILE) | F(BUNDLE), 0}, "USEFAM", "Mobile Usage 20 %", "percent", "20",
		2, 50, NULL},
	{{11, 3, BILL, USAGE, NONE, 0, 0, 0}, "USEBILL", "All Usage 10 %", "percent", "10", 3, 20, NULL},
	{{12, 3, PRODUCT, USAGE, NONE, 0, 0, 0}, "USECUT", "Usage Voucher", "amount", "3000", 1, 50, NULL},
	{{13, 3, FAMILY, USAGE, NONE, 0, F(MOBILE), 0}, "USEFAMCUT", "Mobile Usage Voucher", "amount", "2000", 2, 60, NULL},
	{{14, 3, BILL, USAGE, NONE, 0, 0, 0}, "USEBILLCUT", "Usage Gift", "amount", "1500", 3, 30, NULL},
	{{15, 6, PRODUCT, ALL, NONE, 0, 0, 0}, "YOUTH15", "Youth 15 %", "percent", "15", 1, 60, NULL},
	{{16, 5, PRODUCT, ALL, NONE, 0, 0, 0}, "WELCOME", "Welcome", "amount", "7000", 1, 70, NULL},
	{{17, 6, FAMILY, ALL, NONE, 0, F(MOBILE), 0}, "MOB8", "Mobile 8 %", "percent", "8", 2, 70, NULL},
	{{18, 4, FAMILY, ALL, NONE, 0, HOME | F(ADDON), 0}, "HOMECUT", "Home Voucher", "amount", "10000", 2, 80, NULL},
	{{19, 6, BILL, ALL, NONE, 0, 0, 0}, "WELFARE", "Welfare 35 %", "percent", "35", 3, 40, NULL},
	{{20, 4, BILL, ALL, NONE, 0, 0, 0}, "STAFF", "Staff", "amount", "11000", 3, 50, NULL},
	{{21, 12, BILL, RECURRING, NONE, 0, 0, 0}, "PAPERLESS", "Paperless Bill", "amount", "200", 4, 10, NULL},
	{{22, 4, FAMILY, RECURRING, NONE, 0, F(ADDON), 0}, "PARTNER", "Partner 33.33 %", "percent", "33.33", 1, 80, NULL},
	{{23, 0, PRODUCT, RECURRING, NONE, 0, 0, 0}, "OLDPROMO", "Promotion (over)", "percent", "30", 1, 90, "-3"},
	{{24, 0, BILL, RECURRING, NONE, 0, 0, 0}, "X-PERCENT", "Mistyped Percent", "percent", "150", 3, 90, NULL},
};
#define DISCOUNTS ((int) (sizeof(offers) / sizeof(*offers)))

static const char *const scopes[] = {"product", "family", "bill"};
static const char *const targets[] = {"recurring", "usage", "all"};
static const char *const conditions[] = {"none", "group_size", "tenure_years"};

const GenProduct *
catalog_product(int index)
{
	return &rows[index].product;
}

int
catalog_discount_count(void)
{
	return DISCOUNTS;
}

const GenDiscount *
catalog_discount(int index)
{
	return &offers[index].discount;
}

int
catalog_find(int product_id)
{
	for (int i = 0; i < PRODUCTS; i++)
		if (rows[i].product.id == product_id)
			return i;
	return -1;
}

int
catalog_pick(Random *random, Family family)
{
	int weights[PRODUCTS];

	for (int i = 0; i < PRODUCTS; i++)
		weights[i] = rows[i].product.family == family ? rows[i].product.weight : 0;
	return random_pick(random, weights, PRODUCTS);
}

/* ---- writing it -------------------------------------------------------------------------------------------------- */

typedef struct Text {
	size_t len;
	char sql[1 << 15];
} Text;

static void __attribute__((format(printf, 2, 3)))
put(Text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->len += (size_t) vsnprintf(text->sql + text->len, sizeof(text->sql) - text->len, format, arguments);
	va_end(arguments);
}

/* NULL, or a quoted literal; the tables above hold no apostrophe. */
static const char *
quoted(char *buffer, size_t size, const char *value)
{
	if (value == NULL)
		return "NULL";
	snprintf(buffer, size, "'%s'", value);
	return buffer;
}

static void
put_products(Text *text)
{
	char tax[32];

	put(text, "INSERT INTO settle.product (product_id, code, name, family, currency, discountable, proration, "
			  "refund_days, tax_code) VALUES ");
	for (int i = 0; i < PRODUCTS; i++)
	{
		const Row *row = &rows[i];

		put(text, "%s(%d, '%s', '%s', '%s', 'KRW', %s, '%s', %d, %s)", i > 0 ? ", " : "", row->product.id, row->code,
			row->name, family_names[row->product.family], row->product.discountable ? "true" : "false", row->proration,
			row->product.refund_days, quoted(tax, sizeof(tax), row->tax));
	}
}

static void
put_families(Text *text, unsigned families)
{
	const char *comma = "";

	if (families == 0)
	{
		put(text, "NULL");
		return;
	}
	put(text, "'{");
	for (int i = 0; i < FAMILY_COUNT; i++)
	{
		if ((families & F(i)) == 0)
			continue;
		put(text, "%s%s", comma, family_names[i]);
		comma = ",";
	}
	put(text, "}'");
}

static void
put_discounts(Text *text, const char *month)
{
	put(text, "INSERT INTO settle.discount (discount_id, code, name, kind, value, scope, product_id, families, "
			  "applies_to, stage, priority, condition, condition_minimum, valid_to) VALUES ");
	for (int i = 0; i < DISCOUNTS; i++)
	{
		const Offer *offer = &offers[i];
		const GenDiscount *discount = &offer->discount;

		put(text, "%s(%d, '%s', '%s', '%s', %s, '%s', nullif(%d, 0), ", i > 0 ? ", " : "", discount->id, offer->code,
			offer->name, offer->kind, offer->value, scopes[discount->scope], discount->product_id);
		put_families(text, discount->families);
		put(text, ", '%s', %d, %d, '%s', nullif(%d, 0), ", targets[discount->target], offer->stage, offer->priority,
			conditions[discount->condition], discount->minimum);
		if (offer->valid_to == NULL)
			put(text, "NULL)");
		else
			put(text, "(date '%s' + interval '%s months')::date)", month, offer->valid_to);
	}
}

/* The base prices, a little below today's where there is a history. */
static void
put_base_prices(Text *text, const char *month)
{
	const char *comma = "";

	put(text, "INSERT INTO settle.price (product_id, valid_from, unit_price) VALUES ");
	for (int i = 0; i < PRODUCTS; i++)
	{
		const GenProduct *product = &rows[i].product;

		if (product->id == PRODUCT_LAUNCHED)
			put(text, "%s(%d, date '%s' + %d, %d)", comma, product->id, month, LAUNCH_DAY, product->base);
		else if (product->id == PRODUCT_NO_PRICE)
			put(text, "%s(%d, (date '%s' + interval '1 year')::date, 1000)", comma, product->id, month);
		else
			put(text, "%s(%d, '-infinity', %d)", comma, product->id,
				product->id == PRODUCT_NEGATIVE ? -1000 : product->base);
		comma = ", ";
	}
}

/* A row's first day from its (months, days). */
#define VALID_FROM "coalesce((date '%s' + make_interval(months => m, days => d))::date, '-infinity')"

static bool
execute(PGconn *conn, Text *text, char *error)
{
	const bool done = load_execute(conn, text->sql, error);

	text->len = 0;
	return done;
}

bool
catalog_load(PGconn *conn, const Gen *gen, char *error)
{
	static Text text;
	char month[16];

	ymd_print_day(gen->period.from, month);
	put(&text, "INSERT INTO settle.currency (code, exponent, rounding_unit, rounding_mode) "
			   "VALUES ('KRW', 0, 10, 'down')");
	if (!execute(conn, &text, error) || !load_execute(conn, metrics, error))
		return false;
	put(&text, "INSERT INTO settle.tax (code, valid_from, rate_ppm, inclusive) SELECT code, " VALID_FROM
			   ", ppm, inside FROM (VALUES %s) AS t (code, m, d, ppm, inside)", month, taxes);
	if (!execute(conn, &text, error))
		return false;
	put_products(&text);
	if (!execute(conn, &text, error))
		return false;
	put_base_prices(&text, month);
	if (!execute(conn, &text, error))
		return false;
	put(&text, "INSERT INTO settle.price (product_id, valid_from, unit_price) SELECT product, " VALID_FROM
			   ", price FROM (VALUES %s) AS t (product, m, d, price)", month, prices);
	if (!execute(conn, &text, error))
		return false;
	put(&text, "INSERT INTO settle.charge (charge_id, product_id, metric_id, valid_from, model, unit_amount, "
			   "event_amount, included, included_prorate, package_size, package_round, minimum, minimum_prorate, maximum, zero_flat) "
			   "SELECT c, p, metric, coalesce((date '%s' + make_interval(months => m))::date, '-infinity'), "
			   "model::settle.charge_model, unit, event, included, ip, size, round::settle.package_round, minimum, mp, "
			   "maximum, zf FROM (VALUES %s) AS t (c, p, metric, m, model, unit, event, included, ip, size, round, "
			   "minimum, mp, maximum, zf)", month, charges);
	if (!execute(conn, &text, error))
		return false;
	put(&text, "INSERT INTO settle.charge_tier (charge_id, tier_no, up_to, unit_amount, flat_amount) VALUES %s", tiers);
	if (!execute(conn, &text, error))
		return false;
	put_discounts(&text, month);
	return execute(conn, &text, error);
}
