/*
 * rate.h: everything rating reads and writes, as plain structs.
 *
 * rate_account() is a pure function: the frozen catalogue (Tariff), the month and one account's rows go in, a bill or a
 * fault comes out. The run, the preview, settle_quote() and the unit tests call this same code. No PostgreSQL header,
 * no allocation, no SQL, no logging; same inputs, same bytes, whatever the order of the account's usage rows.
 *
 * The caller owns all memory. Arrays of an account must be sorted as their comments say; a Tariff's arrays are sorted by
 * id, versions by valid_from.
 */
#ifndef RATE_RATE_H
#define RATE_RATE_H

#include "common/money.h"
#include "common/reason.h"
#include "common/ymd.h"

/* ---- catalogue -------------------------------------------------------------------------------------------------- */

typedef enum Proration { PRORATION_NONE, PRORATION_DAILY, PRORATION_THIRTY } Proration;
typedef enum ChargeModel {
	CHARGE_PER_UNIT,
	CHARGE_GRADUATED,
	CHARGE_VOLUME,
	CHARGE_PACKAGE,
	CHARGE_UNLIMITED
} ChargeModel;
typedef enum DiscountKind { DISCOUNT_AMOUNT, DISCOUNT_PERCENT } DiscountKind;
typedef enum DiscountScope { SCOPE_PRODUCT, SCOPE_FAMILY, SCOPE_BILL } DiscountScope;
typedef enum DiscountTarget { TARGET_RECURRING, TARGET_USAGE, TARGET_ALL } DiscountTarget;
typedef enum DiscountCondition { CONDITION_NONE, CONDITION_GROUP_SIZE, CONDITION_TENURE_YEARS } DiscountCondition;
typedef enum AccountStatus { ACCOUNT_ACTIVE, ACCOUNT_SUSPENDED, ACCOUNT_CLOSED } AccountStatus;

typedef struct Currency {
	char code[4];
	int32_t exponent;
	int64_t rounding_unit;
	RoundingMode rounding_mode;
} Currency;

typedef struct Metric {
	int32_t metric_id;
	int64_t increment_first;
	int64_t increment_then;
	const char *code;
} Metric;

typedef struct Price {
	int32_t valid_from;
	Reason invalid; /* REASON_OK, or what is wrong with the row */
	Amount unit_price;
} Price;

typedef struct Tier {
	int64_t up_to; /* inclusive; INT64_MAX = no end */
	Amount unit_amount;
	Amount flat_amount;
} Tier;

typedef struct Charge {
	int32_t charge_id;
	int32_t metric_id;
	int32_t valid_from;
	Reason invalid; /* REASON_OK, REASON_INVALID_CHARGE or REASON_INVALID_TIERS */
	ChargeModel model;
	bool included_prorate;
	bool minimum_prorate;
	bool has_minimum;
	bool has_maximum;
	bool zero_flat;
	bool package_round_down;
	int32_t tier_count;
	const Tier *tiers; /* by up_to, rising */
	int64_t included;
	int64_t package_size;
	Amount unit_amount;
	Amount event_amount;
	Amount minimum;
	Amount maximum;
} Charge;

typedef struct TaxRate {
	int32_t valid_from;
	int32_t rate_ppm;
	bool inclusive;
	Reason invalid;
} TaxRate;

typedef struct Tax {
	const char *code;
	const TaxRate *rates; /* by valid_from */
	int32_t rate_count;
} Tax;

typedef struct Product {
	int32_t product_id;
	int32_t currency; /* index into Tariff.currencies */
	int32_t family;   /* small number standing for the family's name */
	int32_t tax;      /* index into Tariff.taxes; -1 = not taxed, -2 = unknown code */
	int32_t refund_days;
	Proration proration;
	bool discountable;
	int32_t price_count;
	int32_t charge_count;
	const Price *prices;   /* by valid_from */
	const Charge *charges; /* by metric_id, then valid_from */
	const char *name;
} Product;

typedef struct Discount {
	int32_t discount_id;
	Reason invalid;
	DiscountKind kind;
	DiscountScope scope;
	DiscountTarget target;
	DiscountCondition condition;
	int32_t condition_minimum;
	int32_t currency;   /* index; -1 = the account's */
	int32_t product_id; /* valid when has_product */
	bool has_product;
	int32_t stage;
	int32_t priority;
	int32_t valid_from;
	int32_t valid_to; /* DAY_MAX = no end */
	int32_t family_count;
	const int32_t *families;
	Amount value; /* major units, or per hundred */
	const char *name;
} Discount;

typedef struct Tariff {
	const Currency *currencies;
	const Metric *metrics;     /* by metric_id */
	const Product *products;   /* by product_id */
	const Discount *discounts; /* by discount_id */
	const Tax *taxes;
	int32_t currency_count, metric_count, product_count, discount_count, tax_count;
} Tariff;

/* ---- an account's month ----------------------------------------------------------------------------------------- */

typedef struct Subscription {
	int64_t subscription_id;
	int32_t product_id;
	int32_t quantity;
	int32_t started_on;
	int32_t ended_on; /* DAY_MAX = open */
	bool has_unit_price;
	Reason invalid; /* own price unreadable: REASON_INVALID_PRICE */
	Amount unit_price;
} Subscription;

/* All usage rows of one (subscription, metric), after increments. */
typedef struct Usage {
	int64_t subscription_id; /* 0 = pool */
	int32_t metric_id;
	Reason invalid; /* REASON_INVALID_QUANTITY or REASON_OVERFLOW met while adding up */
	int64_t quantity;
	int64_t rows;
} Usage;

typedef struct Grant {
	int64_t grant_id;
	int32_t discount_id;
	int32_t product_id; /* valid when has_product */
	bool has_product;
	int32_t starts_on;
	int32_t ends_on; /* DAY_MAX = open */
} Grant;

typedef struct Adjustment {
	int64_t adjustment_id;
	int64_t amount; /* minor units */
	int32_t tax;    /* index into Tariff.taxes; -1 = not taxed, -2 = unknown code */
	const char *description;
} Adjustment;

typedef struct Account {
	int64_t account_id;
	int64_t group_id;
	bool exists; /* false: only its usage, subscriptions … were found (closed), or a run was asked for it (active) */
	bool has_group;
	int32_t currency;   /* index into Tariff.currencies; -1 = none, -2 = unknown code */
	int32_t group_size; /* frozen; -1 = unknown group */
	AccountStatus status;
	int32_t subscription_count, usage_count, grant_count, adjustment_count;
	const Subscription *subscriptions; /* by started_on, subscription_id */
	const Usage *usage;                /* by subscription_id, metric_id */
	const Grant *grants;               /* any order; applied by (stage, priority, discount_id, grant_id) */
	const Adjustment *adjustments;     /* by adjustment_id */
} Account;

/* ---- result ----------------------------------------------------------------------------------------------------- */

/* Same order as the SQL enum settle.line_kind. */
typedef enum LineKind {
	LINE_RECURRING,
	LINE_USAGE,
	LINE_MINIMUM,
	LINE_MAXIMUM,
	LINE_ADJUSTMENT,
	LINE_DISCOUNT,
	LINE_TAX,
	LINE_INCLUDED_TAX,
	LINE_ROUNDING,
	LINE_CARRIED,
	LINE_ARREARS,
	LINE_CREDIT_FORWARD,
	LINE_KIND_COUNT
} LineKind;

/* Fields that do not belong to the kind are 0, indexes -1. */
typedef struct Line {
	LineKind kind;
	int32_t days;           /* recurring */
	int32_t product;        /* index into Tariff.products: recurring, usage, minimum, maximum, one-product discounts */
	int32_t metric;         /* index into Tariff.metrics: usage, minimum, maximum */
	int32_t discount;       /* index into Tariff.discounts */
	int32_t adjustment;     /* index into Account.adjustments */
	int32_t tax;            /* index into Tariff.taxes: tax, included_tax */
	int32_t rate_ppm;       /* tax, included_tax */
	int64_t subscription_id;/* recurring, usage, minimum, maximum */
	int64_t quantity;       /* recurring: units; usage: quantity, allowance included */
	int64_t amount;
	int64_t discounted;     /* recurring, usage (minimum, when it has no usage line): share of the discounts, ≤ 0 */
	int64_t base;           /* discount, tax, included_tax: computed on */
} Line;

typedef struct Bill {
	int64_t recurring, usage, one_off, discount, tax, rounding, carried, arrears, credit_forward, total;
	int64_t included_tax;
	int32_t currency; /* index into Tariff.currencies */
	int32_t line_count;
	int32_t warning_count;
	Line *lines;
	Fault *warnings;
} Bill;

typedef enum Outcome {
	OUTCOME_NOT_DUE, /* closed and without anything in the month */
	OUTCOME_EMPTY,   /* due, nothing to charge; there may be warnings */
	OUTCOME_BILL,
	OUTCOME_SKIP
} Outcome;

/*
 * Scratch of rate_account(), provided by the caller and reusable for any number of accounts. `memory` must hold
 * rate_space(tariff, account) bytes, aligned to 8; lines and warnings of the bill live in it until the next
 * call.
 */
typedef struct Workspace {
	void *memory;
	size_t size;
} Workspace;

/* Bytes rate_account() may need for this account: an upper bound, linear in its rows. */
size_t rate_space(const Tariff *tariff, const Account *account);

/* Rates one account. OUTCOME_SKIP fills *fault, OUTCOME_BILL fills *bill, OUTCOME_EMPTY only its warnings. */
Outcome rate_account(const Tariff *tariff, Period period, const Account *account, Workspace *workspace, Bill *bill,
					 Fault *fault);

/*
 * Prices one charge exactly and unrounded: quantity and rows are cumulative for the month, allowance_left is what comes
 * off first (charge->included for a full month). Minimum and maximum are not applied. False: overflow.
 */
bool rate_charge(const Charge *charge, int64_t quantity, int64_t rows, int64_t allowance, Amount *amount);

/* The same clamped by the charge's (unprorated) minimum and maximum: what settle_quote() returns. */
bool rate_quote(const Charge *charge, int64_t quantity, int64_t rows, Amount *amount);

/* Checks a charge's numbers and tiers: REASON_OK, REASON_INVALID_CHARGE or REASON_INVALID_TIERS. */
Reason rate_check_charge(const Charge *charge);
/* Checks a discount's numbers: REASON_OK or REASON_INVALID_DISCOUNT. */
Reason rate_check_discount(const Discount *discount);

/* One usage row's quantity (≥ 0) after the metric's increments: 0 stays 0. False: overflow. */
bool rate_increment(const Metric *metric, int64_t quantity, int64_t *billed);

/* Lookups by id in a Tariff; NULL when absent. */
const Product *tariff_product(const Tariff *tariff, int32_t product_id);
const Metric *tariff_metric(const Tariff *tariff, int32_t metric_id);
const Discount *tariff_discount(const Tariff *tariff, int32_t discount_id);

#endif
