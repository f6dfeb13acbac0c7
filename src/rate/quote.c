/*
 * quote.c: a charge told key by key (see quote.h).
 *
 * Responsible for what each key of settle_quote()'s JSON means. The result is the same Charge that the catalogue gives
 * the run, held to the same check and priced by the same rate_quote().
 *
 * The invariant: no key is passed over. An unknown one, a value of the wrong type and a number that cannot be held
 * exactly are faults, because a misspelt key would silently price as 0.
 *
 * Called by settle_quote() and the fuzzer. Not here: JSON, and the words of the error messages.
 */
#include "rate/quote.h"

#include <string.h>

static bool
wrong(Quote *quote, const char *key, const char *expected)
{
	quote->fault = QUOTE_WRONG_VALUE;
	quote->key = key;
	quote->expected = expected;
	return false;
}

/* Anything that is written as a number, quoted or not. */
static bool
read_amount(Quote *quote, const char *key, QuoteValue value, Amount *amount)
{
	if (value.type != QUOTE_NUMBER && value.type != QUOTE_STRING)
		return wrong(quote, key, "a number or a string with a number");
	return amount_parse(value.text, value.len, amount) || wrong(quote, key, "a decimal of at most 12 places");
}

/* What strtoll() takes: blanks, a sign, digits. False as well when it does not fit. */
static bool
parse_count(const char *text, size_t len, int64_t *count)
{
	size_t at = 0;
	bool negative;

	while (at < len && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r')))
		at++;
	negative = at < len && text[at] == '-';
	at += at < len && (text[at] == '-' || text[at] == '+');
	if (at == len)
		return false;
	for (*count = 0; at < len; at++)
	{
		const unsigned digit = (unsigned) (unsigned char) text[at] - '0';

		if (digit > 9 || __builtin_mul_overflow(*count, 10, count) ||
			(negative ? __builtin_sub_overflow(*count, digit, count) : __builtin_add_overflow(*count, digit, count)))
			return false;
	}
	return true;
}

static bool
read_count(Quote *quote, const char *key, QuoteValue value, int64_t *count)
{
	if (value.type != QUOTE_NUMBER && value.type != QUOTE_STRING)
		return wrong(quote, key, "a number or a string with a number");
	return parse_count(value.text, value.len, count) || wrong(quote, key, "a whole number");
}

static bool
read_flag(Quote *quote, const char *key, QuoteValue value, bool *flag)
{
	*flag = value.flag;
	return value.type == QUOTE_FLAG || wrong(quote, key, "true or false");
}

/* The place of a word in a list; -1: it is not there, or no string. */
static int
read_word(QuoteValue value, const char *const *words, int count)
{
	for (int i = 0; i < count && value.type == QUOTE_STRING; i++)
		if (value.len == strlen(words[i]) && memcmp(value.text, words[i], value.len) == 0)
			return i;
	return -1;
}

static bool
read_model(Quote *quote, QuoteValue value)
{
	static const char *const models[] = {"per_unit", "graduated", "volume", "package", "unlimited"};
	const int model = read_word(value, models, 5);

	if (model < 0)
		return wrong(quote, "model", "per_unit, graduated, volume, package or unlimited");
	quote->charge.model = (ChargeModel) model;
	quote->has_model = true;
	return true;
}

static bool
read_package_round(Quote *quote, QuoteValue value)
{
	static const char *const ways[] = {"up", "down"};
	const int way = read_word(value, ways, 2);

	quote->charge.package_round_down = way == 1;
	return way >= 0 || wrong(quote, "package_round", "up or down");
}

bool
quote_set(Quote *quote, const char *key, QuoteValue value)
{
	Charge *charge = &quote->charge;

	if (strcmp(key, "model") == 0)
		return read_model(quote, value);
	if (strcmp(key, "unit_amount") == 0)
		return read_amount(quote, key, value, &charge->unit_amount);
	if (strcmp(key, "event_amount") == 0)
		return read_amount(quote, key, value, &charge->event_amount);
	if (strcmp(key, "included") == 0)
		return read_count(quote, key, value, &charge->included);
	if (strcmp(key, "package_size") == 0)
		return read_count(quote, key, value, &charge->package_size);
	if (strcmp(key, "package_round") == 0)
		return read_package_round(quote, value);
	if (strcmp(key, "minimum") == 0)
		return charge->has_minimum = read_amount(quote, key, value, &charge->minimum);
	if (strcmp(key, "maximum") == 0)
		return charge->has_maximum = read_amount(quote, key, value, &charge->maximum);
	if (strcmp(key, "zero_flat") == 0)
		return read_flag(quote, key, value, &charge->zero_flat);
	quote->fault = QUOTE_UNKNOWN_KEY;
	quote->key = key;
	return false;
}

bool
quote_set_tier(Quote *quote, Tier *tier, const char *key, QuoteValue value)
{
	if (strcmp(key, "up_to") == 0)
	{
		tier->up_to = INT64_MAX;
		return value.type == QUOTE_NULL || read_count(quote, "tiers.up_to", value, &tier->up_to);
	}
	if (strcmp(key, "unit_amount") == 0)
		return read_amount(quote, "tiers.unit_amount", value, &tier->unit_amount);
	if (strcmp(key, "flat_amount") == 0)
		return read_amount(quote, "tiers.flat_amount", value, &tier->flat_amount);
	quote->fault = QUOTE_UNKNOWN_TIER_KEY;
	quote->key = key;
	return false;
}

bool
quote_price(Quote *quote, int64_t quantity, int64_t rows, Amount *amount)
{
	quote->fault = QUOTE_NO_MODEL;
	if (!quote->has_model)
		return false;
	quote->fault = QUOTE_UNUSABLE;
	quote->reason = rate_check_charge(&quote->charge);
	if (quote->reason != REASON_OK)
		return false;
	quote->fault = QUOTE_NEGATIVE;
	if (quantity < 0 || rows < 0)
		return false;
	quote->fault = QUOTE_OUT_OF_RANGE;
	if (!rate_quote(&quote->charge, quantity, rows, amount))
		return false;
	quote->fault = QUOTE_FINE;
	return true;
}
