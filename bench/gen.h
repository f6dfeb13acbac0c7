/*
 * gen.h: what the parts of bench/generate share.
 *
 *   generate.c     options, preconditions, the two loading threads, the summary
 *   gen_random.c   the random numbers
 *   gen_catalog.c  the operator's catalogue, and writing it
 *   gen_account.c  one account from its number: group, subscriptions, grants, adjustments, how much it uses
 *   gen_load.c     account-owned tables in order of id, usage in order of time
 *   gen_copy.c     binary COPY
 *
 * The invariant: an account is a pure function of (accounts, period, seed, account_id). Each of its tables has its own
 * stream of random numbers, so any thread can make any account, or only the part it needs, and the tables come out the
 * same however the work is cut. No floating-point function of the C library is used: its last bits differ by version.
 */
#ifndef BENCH_GEN_H
#define BENCH_GEN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ymd.h"

#define GEN_SUBSCRIPTIONS_MAX 8
#define GEN_GRANTS_MAX 3
#define GEN_ADJUSTMENTS_MAX 3
#define GEN_USAGE_MAX 4000
#define GEN_ERROR_SIZE 512

/* ---- the load -------------------------------------------------------------------------------------------------- */

typedef struct Gen {
	int64_t accounts;
	uint64_t seed;
	Period period;
	int64_t month_at; /* first instant of the month in the session's time zone, microseconds since 2000-01-01 UTC */
	int64_t month_ms; /* length of the month, milliseconds */
	int64_t broken;   /* accounts broken on purpose, of each kind */
} Gen;

/* Accounts that cannot be settled, one of each kind per million. */
typedef enum Broken {
	BROKEN_PRODUCT,
	BROKEN_NO_PRICE,
	BROKEN_NEGATIVE_PRICE,
	BROKEN_DISCOUNT,
	BROKEN_INVALID_DISCOUNT,
	BROKEN_METRIC,
	BROKEN_OVERFLOW,
	BROKEN_QUANTITY,
	BROKEN_NO_CURRENCY,
	BROKEN_CURRENCY,
	BROKEN_GROUP,
	BROKEN_DATES,
	BROKEN_SUBSCRIPTION,
	BROKEN_TAX,
	BROKEN_ACCOUNT,
	BROKEN_COUNT,
	BROKEN_NOT = BROKEN_COUNT
} Broken;

/* ---- random numbers --------------------------------------------------------------------------------------------- */

typedef struct Random {
	uint64_t state;
} Random;

typedef enum Stream { STREAM_SUBSCRIPTION, STREAM_GRANT, STREAM_ADJUSTMENT, STREAM_CONTACT, STREAM_USAGE } Stream;

uint64_t random_mix(uint64_t value); /* a bijection */
Random random_stream(const Gen *gen, int64_t account_id, Stream stream);
uint64_t random_next(Random *random);
/* 0 … below − 1 */
int64_t random_below(Random *random, int64_t below);
/* true in `of` parts per 10 000 */
bool random_chance(Random *random, int of);
/* whole part of a log-normal number: median × exp(sigma × z) */
int64_t random_lognormal(Random *random, double median, double sigma);
/* an index 0 … n − 1 with probability in proportion to weights */
int random_pick(Random *random, const int *weights, int n);

/* ---- the catalogue ---------------------------------------------------------------------------------------------- */

typedef enum Family { MOBILE, INTERNET, IPTV, BUNDLE, ADDON, FAMILY_COUNT } Family;
typedef enum Target { RECURRING, USAGE, ALL } Target;
typedef enum Scope { PRODUCT, FAMILY, BILL } Scope;
typedef enum Condition { NONE, GROUP_SIZE, TENURE_YEARS } Condition;

#define METRIC_DATA 1
#define METRIC_VOICE 2
#define METRIC_INTL 3
#define METRIC_SMS 4
#define METRIC_LMS 5
#define METRIC_ROAM 6
#define METRIC_VOD 7

#define PRODUCT_LAUNCHED 113 /* on sale since LAUNCH_DAY of the month */
#define PRODUCT_NO_PRICE 901
#define PRODUCT_NEGATIVE 902
#define PRODUCT_NO_TAX 903
#define PRODUCT_MISSING 999
#define DISCOUNT_MISSING 999
#define LAUNCH_DAY 9 /* days after the first of the month */

typedef struct GenProduct {
	int id;
	Family family;
	int weight; /* popularity inside the family */
	int base;   /* usual price, for own prices of subscriptions */
	bool discountable;
	bool usage_always; /* bills a usage amount every month, used or not */
	int refund_days;
} GenProduct;

typedef struct GenDiscount {
	int id;
	int weight;
	Scope scope;
	Target target;
	Condition condition;
	int minimum;
	unsigned families; /* scope family: bits 1 << Family */
	int product_id;    /* scope product: the one product, 0 = the grant names it */
} GenDiscount;

/* index into gen_products of a product of the family, by popularity */
int catalog_pick(Random *random, Family family);
/* index by id */
int catalog_find(int product_id);
const GenProduct *catalog_product(int index);
int catalog_discount_count(void);
const GenDiscount *catalog_discount(int index);
/* Writes the whole catalogue. False: *error says why. */
bool catalog_load(PGconn *conn, const Gen *gen, char *error);

/* ---- an account ------------------------------------------------------------------------------------------------- */

typedef struct GenSubscription {
	int32_t product; /* index, -1 = PRODUCT_MISSING */
	int32_t product_id;
	int32_t quantity;
	int32_t started_on;
	int32_t ended_on;     /* DAY_MAX = open */
	int64_t price_tenths; /* own price × 10; -1 = none */
	int32_t from, to;     /* days of the month it runs in, half-open; from = to: none */
	bool charged;         /* has a recurring line */
} GenSubscription;

typedef struct GenGrant {
	int32_t discount_id;
	int32_t product_id; /* 0 = none */
	int32_t starts_on;
	int32_t ends_on; /* DAY_MAX = open */
} GenGrant;

typedef struct GenAdjustment {
	int64_t amount;
	bool taxed;
	const char *description;
	const char *source; /* NULL = own */
} GenAdjustment;

typedef struct GenAccount {
	int64_t account_id;
	int64_t group_id; /* 0 = none */
	int group_size;
	Broken broken;
	const char *status;
	const char *currency; /* NULL = none */
	bool over; /* closed or gone: no subscription runs in the month */
	int subscription_count, grant_count, adjustment_count;
	GenSubscription subscriptions[GEN_SUBSCRIPTIONS_MAX]; /* subscription_id = index + 1 */
	GenGrant grants[GEN_GRANTS_MAX];
	GenAdjustment adjustments[GEN_ADJUSTMENTS_MAX];
} GenAccount;

typedef struct GenUsage {
	uint32_t ms;    /* since the start of the month */
	uint32_t units; /* quantity */
	uint8_t metric_id;
	uint8_t subscription_id; /* 0 = pool */
} GenUsage;

/* Group of an account (0 = none) and its size; a group's first member is where gen_load writes the group. */
int64_t account_group(const Gen *gen, int64_t account_id, int *size, bool *first);
/* Which kind of broken, BROKEN_NOT for nearly all; BROKEN_ACCOUNT for ids above gen->accounts: they only have usage. */
Broken account_broken(const Gen *gen, int64_t account_id);
/* Group, status, subscriptions: what the other parts and usage build on. */
void account_make(const Gen *gen, int64_t account_id, GenAccount *account);
void account_make_grants(const Gen *gen, GenAccount *account);
void account_make_adjustments(const Gen *gen, GenAccount *account);
/* Fills rows (GEN_USAGE_MAX) and returns how many. */
int account_make_usage(const Gen *gen, const GenAccount *account, GenUsage *rows);
/* The row's quantity as stored: a broken account's does not fit GenUsage. */
int64_t account_usage_quantity(const Gen *gen, int64_t account_id, int row, uint32_t units);

/* ---- writing ---------------------------------------------------------------------------------------------------- */

typedef struct Copy {
	PGconn *conn;
	char *error; /* GEN_ERROR_SIZE bytes */
	int64_t rows;
	size_t len;
	bool failed;
	char buffer[1 << 17];
} Copy;

/* Errors stick: after the first one nothing is sent any more and copy_end() returns false with the reason in error. */
void copy_begin(Copy *copy, PGconn *conn, char *error, const char *command);
void copy_row(Copy *copy, int columns);
void copy_null(Copy *copy);
void copy_int16(Copy *copy, int16_t value);
void copy_int32(Copy *copy, int32_t value); /* dates too */
void copy_int64(Copy *copy, int64_t value); /* timestamps too */
void copy_text(Copy *copy, const char *value);
void copy_bytes(Copy *copy, const char *value, size_t len);
void copy_tenths(Copy *copy, int64_t value); /* numeric, in tenths */
bool copy_end(Copy *copy);

/* Runs SQL without result; false: *error says why. */
bool load_execute(PGconn *conn, const char *sql, char *error);

typedef struct Counts {
	int64_t accounts, groups, subscriptions, grants, adjustments, contacts, usage;
} Counts;

/* The account-owned tables. */
bool load_accounts(PGconn *conn, const Gen *gen, Counts *counts, char *error);
/* The month's usage, in order of time. */
bool load_usage(PGconn *conn, const Gen *gen, Counts *counts, char *error);

#endif
