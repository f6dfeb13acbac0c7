/*
 * reason.c: the one table of reason codes.
 *
 * Responsible for what each code is called, whose fault it is, whether a bill was written nevertheless, and how it reads
 * with the rows of one case filled in. The invariant: every Reason has exactly one row, at its own index (the table is
 * written with designators, so a new code without a row shows up as an empty one and fails the unit test).
 *
 * Called by rating only through the enum; by the writer of settle.run_error and the view settle.reason for the texts.
 *
 * What a and b of a Fault mean belongs to the code. Those about an account's row give that row first and what it names
 * second (subscription and product, grant and discount); those about usage give metric and subscription, as usage has no
 * id of its own. No message holds personal data: ids only.
 */
#include "common/reason.h"

typedef struct Entry {
	const char *code;
	ReasonClass class;
	bool warning;
	const char *message; /* %1 and %2 stand for the fault's a and b */
	const char *help;
} Entry;

#define DATA REASON_CLASS_DATA, false
#define CATALOG REASON_CLASS_CATALOG, false
#define WARNING REASON_CLASS_DATA, true

static const Entry entries[REASON_COUNT] = {
	[REASON_OK] = {"OK", DATA, "nothing is wrong", "Nothing is wrong."},
	[REASON_UNKNOWN_ACCOUNT] = {"UNKNOWN_ACCOUNT", DATA, "account %1 does not exist",
		"Subscriptions, usage or adjustments were found for an account that is not in settle.account."},
	[REASON_NO_CURRENCY] = {"NO_CURRENCY", DATA, "account %1 has no currency",
		"The account has no currency, so nothing can be charged to it."},
	[REASON_UNKNOWN_CURRENCY] = {"UNKNOWN_CURRENCY", DATA, "the currency of account %1 is not in settle.currency",
		"The account's currency is not in settle.currency."},
	[REASON_UNKNOWN_GROUP] = {"UNKNOWN_GROUP", DATA, "group %1 of account %2 does not exist",
		"The account's group_id is not in settle.account_group."},
	[REASON_UNKNOWN_PRODUCT] = {"UNKNOWN_PRODUCT", DATA, "subscription %1 is of product %2, which does not exist",
		"A subscription names a product that is not in settle.product."},
	[REASON_CURRENCY_MISMATCH] = {"CURRENCY_MISMATCH", DATA,
		"subscription or grant %1: product or discount %2 has another currency than the account",
		"A product or a discount is priced in another currency than the account's."},
	[REASON_INVALID_SUBSCRIPTION] = {"INVALID_SUBSCRIPTION", DATA,
		"subscription %1 of product %2 ends before it starts", "The subscription's ended_on lies before its started_on."},
	[REASON_INVALID_QUANTITY] = {"INVALID_QUANTITY", DATA,
		"negative quantity: metric %1 of subscription %2 (metric 0: the subscription's own quantity)",
		"A usage row or a subscription has a quantity below 0."},
	[REASON_UNKNOWN_METRIC] = {"UNKNOWN_METRIC", DATA, "usage of subscription %2 names metric %1, which does not exist",
		"A usage row names a metric that is not in settle.metric."},
	[REASON_UNKNOWN_SUBSCRIPTION] = {"UNKNOWN_SUBSCRIPTION", DATA,
		"usage of metric %1 names subscription %2, which the account does not have",
		"A usage row names a subscription that the account does not have."},
	[REASON_UNKNOWN_DISCOUNT] = {"UNKNOWN_DISCOUNT", DATA, "grant %1 is of discount %2, which does not exist",
		"A grant names a discount that is not in settle.discount."},
	[REASON_INVALID_GRANT] = {"INVALID_GRANT", DATA,
		"grant %1 of discount %2 ends before it starts, or neither it nor the discount names the product it needs",
		"The grant's ends_on lies before its starts_on, or its discount has scope product and neither of them names one."},
	[REASON_INVALID_PRICE] = {"INVALID_PRICE", DATA,
		"the price of subscription %1 (product %2) is negative or has more than 12 decimals",
		"A subscription's own price is negative, has more than 12 decimals or is too large."},
	[REASON_OVERFLOW] = {"OVERFLOW", DATA,
		"an amount or quantity exceeds 64 bits (metric %1, subscription %2; 0: elsewhere on the bill)",
		"An amount in minor units, a quantity or a sum of them exceeds 64 bits."},
	[REASON_NO_PRICE] = {"NO_PRICE", CATALOG, "product %2 of subscription %1 has no price yet valid in the month",
		"No row of settle.price for the product is valid on the later of the month's first day and the start of the "
		"subscription."},
	[REASON_NEGATIVE_PRICE] = {"NEGATIVE_PRICE", CATALOG, "the price of product %2 (subscription %1) is negative",
		"A row of settle.price is below 0."},
	[REASON_INVALID_CHARGE] = {"INVALID_CHARGE", CATALOG, "charge %1 of product %2 is invalid",
		"A charge has a negative amount, more than 12 decimals, no package size, or a minimum above its maximum."},
	[REASON_INVALID_TIERS] = {"INVALID_TIERS", CATALOG, "the tiers of charge %1 of product %2 are invalid",
		"A charge has no tiers, or their up_to do not rise, or the last one is not open."},
	[REASON_INVALID_DISCOUNT] = {"INVALID_DISCOUNT", CATALOG, "discount %2 of grant %1 is invalid",
		"A discount's percent is not more than 0 and at most 100, its amount is not more than 0, its condition has no "
		"minimum or its scope no families."},
	[REASON_UNKNOWN_TAX] = {"UNKNOWN_TAX", CATALOG,
		"the tax code of product %1 or adjustment %2 has no rate valid in the month (0: not that one)",
		"A product or an adjustment names a tax code that is not in settle.tax, or that has no rate yet."},
	[REASON_INVALID_TAX] = {"INVALID_TAX", CATALOG,
		"the tax rate of product %1 or adjustment %2 is negative (0: not that one)", "A row of settle.tax is below 0."},
	[REASON_CONDITION_NOT_MET] = {"CONDITION_NOT_MET", WARNING, "grant %1: the condition of discount %2 is not met",
		"The discount was left out because the group is too small or the subscription too young."},
	[REASON_UNPRICED_USAGE] = {"UNPRICED_USAGE", WARNING,
		"%2 units of metric %1 are not charged: the account has no subscription in the month",
		"Usage of the account's pool found no subscription in the month whose product could price it, so it was not "
		"charged. A subscription is missing, or the usage belongs to another account."},
	[REASON_GRANT_NOT_APPLICABLE] = {"GRANT_NOT_APPLICABLE", WARNING, "grant %1: discount %2 finds nothing to work on",
		"The discount was left out because it is not valid in the month or the account is not charged for anything it "
		"works on."},
	[REASON_MALFORMED] = {"MALFORMED", DATA, "a value cannot be read",
		"A row to be loaded has a value that cannot be read."},
	[REASON_MONTH_NOT_OPEN] = {"MONTH_NOT_OPEN", DATA, "the month of the row is not open",
		"A row to be loaded belongs to a month that was not opened with settle_open_period()."},
	[REASON_BILL_TOO_LARGE] = {"BILL_TOO_LARGE", DATA, "the event of the bill, of %1 lines, might exceed 256 MB",
		"The account has so many lines or such long descriptions that the event of its bill might exceed 256 MB, counting "
		"six bytes for each byte of a name and 200 for each line."},
	[REASON_DATABASE] = {"DATABASE", DATA, "the database refused the account's rows",
		"Writing the account's rows failed with a data or constraint error; the context has the server's message."},
};

/* A number from outside the enum reads as OK rather than as a wild pointer. */
static const Entry *
find(Reason reason)
{
	return &entries[(unsigned) reason < REASON_COUNT ? reason : REASON_OK];
}

const char *
reason_code(Reason reason)
{
	return find(reason)->code;
}

ReasonClass
reason_class(Reason reason)
{
	return find(reason)->class;
}

bool
reason_is_warning(Reason reason)
{
	return find(reason)->warning;
}

const char *
reason_help(Reason reason)
{
	return find(reason)->help;
}

/* Writes what fits of a number and returns the new length. */
static size_t
put_number(char *text, size_t at, size_t size, int64_t number)
{
	uint64_t value = number < 0 ? 0u - (uint64_t) number : (uint64_t) number;
	char reverse[21];
	int count = 0;

	do
	{
		reverse[count++] = (char) ('0' + (int) (value % 10));
		value /= 10;
	} while (value > 0);
	if (number < 0)
		reverse[count++] = '-';
	while (count > 0 && at + 1 < size)
		text[at++] = reverse[--count];
	return at;
}

int
reason_message(Fault fault, char *text, size_t size)
{
	size_t len = 0;

	for (const char *from = find(fault.reason)->message; *from != '\0' && len + 1 < size; from++)
	{
		if (*from == '%')
			len = put_number(text, len, size, *++from == '1' ? fault.a : fault.b);
		else
			text[len++] = *from;
	}
	text[len] = '\0';
	return (int) len;
}
