/*
 * quote_fuzz.c: settle_quote()'s charge under a fuzzer (libFuzzer, address and undefined-behaviour sanitizers).
 *
 * Design §3: settle_quote() prices exactly, and a charge that it does not understand is an error, never a price of 0. An
 * input is a charge as src/quote.c would tell it, one pair a line, so that the corpus can be read:
 *
 *     quantity 7500             (and rows: the other arguments)
 *     model graduated
 *     included "5000            a string: after a quote, or whatever is nothing else
 *     +                         opens a tier; lines with a blank in front belong to it
 *      up_to 2000
 *      unit_amount 0.01
 *
 * Numbers are decimals as numeric_out() writes them; true, false, null, {} and [] are what they are in JSON.
 *
 * Held to: counts are read as strtoll() reads them, amounts exactly and if and only if they are decimals that fit, and
 * a charge is refused if and only if it cannot be used; its price is that of the rules written down a second time
 * (slow.h). What is refused is said why.
 */
#include <errno.h>

#include "slow.h"
#include "rate/quote.h"

enum { MOST_TIERS = 64, MOST_LINE = 512 };

/* The largest amount there is. */
static const char largest[] = "170141183460469231731687303.715884105727";

typedef struct Told {
	Quote quote;
	int64_t quantity;
	int64_t rows;
	Tier tiers[MOST_TIERS];
	int32_t tier_count;
} Told;

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* Digits, a point and digits, after a minus perhaps. */
static bool
is_decimal(const char *text)
{
	const char *at = text + (*text == '-');
	size_t digits = strspn(at, "0123456789");

	at += digits;
	if (digits == 0 || *at == '\0')
		return digits > 0;
	digits = strspn(at + 1, "0123456789");
	return *at == '.' && digits > 0 && at[1 + digits] == '\0';
}

/* The shortest way to write a decimal: no zeros at either end. */
static void
shorten(const char *text, char *shortest)
{
	const bool negative = *text == '-';
	char *end;

	text += negative;
	while (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
		text++;
	sprintf(shortest, "%s%s", negative ? "-" : "", text);
	end = shortest + strlen(shortest);
	if (strchr(shortest, '.') != NULL)
	{
		while (end[-1] == '0')
			*--end = '\0';
		if (end[-1] == '.')
			*--end = '\0';
	}
	if (strcmp(shortest, "-0") == 0)
		strcpy(shortest, "0");
}

static bool
fits(const char *shortest)
{
	const char *whole = shortest + (*shortest == '-'), *point = strchr(whole, '.');
	const size_t digits = strcspn(whole, "."), most = strcspn(largest, ".");

	if (point != NULL && strlen(point + 1) > AMOUNT_DECIMALS)
		return false;
	return digits < most || (digits == most && strcmp(whole, largest) <= 0);
}

static void
check_amount(const char *text, bool accepted, Amount amount)
{
	char shortest[MOST_LINE + 2], printed[AMOUNT_TEXT_SIZE];

	if (!is_decimal(text))
	{
		HOLD(!accepted);
		return;
	}
	shorten(text, shortest);
	HOLD(accepted == fits(shortest));
	if (accepted)
	{
		HOLD(amount_print(amount, printed) == (int) strlen(printed));
		HOLD(strcmp(printed, shortest) == 0);
	}
}

static void
check_count(const char *text, bool accepted, int64_t count)
{
	char *end;
	long long expected;

	errno = 0;
	expected = strtoll(text, &end, 10);
	HOLD(accepted == (errno == 0 && end != text && *end == '\0'));
	HOLD(!accepted || count == expected);
}

/* ---- a charge, line by line -------------------------------------------------------------------------------------- */

/* The value of a pair: its text is copied to a place of exactly its size. */
static QuoteValue
value_of(const char *text)
{
	QuoteValue value = {.type = QUOTE_STRING};
	char *copy;

	if (strcmp(text, "null") == 0)
		return (QuoteValue){.type = QUOTE_NULL};
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return (QuoteValue){.type = QUOTE_FLAG, .flag = *text == 't'};
	if (strcmp(text, "{}") == 0 || strcmp(text, "[]") == 0)
		return (QuoteValue){.type = QUOTE_NESTED};
	if (is_decimal(text))
		value.type = QUOTE_NUMBER;
	text += *text == '"';
	value.len = strlen(text);
	copy = malloc(value.len);
	if (copy == NULL)
		abort();
	memcpy(copy, text, value.len);
	value.text = copy;
	return value;
}

static bool
is_one_of(const char *key, const char *const *keys, int32_t count)
{
	for (int32_t i = 0; i < count; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static bool
is_written(QuoteValue value)
{
	return value.type == QUOTE_NUMBER || value.type == QUOTE_STRING;
}

static void
check_fault(const Quote *quote)
{
	switch (quote->fault)
	{
		case QUOTE_WRONG_VALUE:
			HOLD(quote->key != NULL && quote->expected != NULL);
			return;
		case QUOTE_UNKNOWN_KEY:
		case QUOTE_UNKNOWN_TIER_KEY:
			HOLD(quote->key != NULL);
			return;
		case QUOTE_UNUSABLE:
			HOLD(quote->reason == REASON_INVALID_CHARGE || quote->reason == REASON_INVALID_TIERS);
			return;
		default:
			HOLD(quote->fault == QUOTE_NO_MODEL || quote->fault == QUOTE_NEGATIVE || quote->fault == QUOTE_OUT_OF_RANGE);
	}
}

static bool
tell_charge(Quote *quote, const char *key, const char *text, QuoteValue value)
{
	static const char *const amounts[] = {"unit_amount", "event_amount", "minimum", "maximum"};
	static const char *const counts[] = {"included", "package_size"};
	static const char *const others[] = {"model", "package_round", "zero_flat"};
	const Charge *charge = &quote->charge;
	const bool set = quote_set(quote, key, value);

	if (!is_one_of(key, amounts, COUNT(amounts)) && !is_one_of(key, counts, COUNT(counts)) &&
		!is_one_of(key, others, COUNT(others)))
		HOLD(!set && quote->fault == QUOTE_UNKNOWN_KEY);
	else if (is_one_of(key, others, COUNT(others)))
		HOLD(!set || (value.type == QUOTE_FLAG) == (*key == 'z'));
	else if (!is_written(value))
		HOLD(!set);
	else if (is_one_of(key, counts, COUNT(counts)))
		check_count(text, set, *key == 'i' ? charge->included : charge->package_size);
	else
		check_amount(text, set,
					 *key == 'u'   ? charge->unit_amount
					 : *key == 'e' ? charge->event_amount
					 : key[1] == 'i' ? charge->minimum
									 : charge->maximum);
	HOLD(!set || *key != 'm' || key[2] != 'n' || charge->has_minimum);
	HOLD(!set || *key != 'm' || key[2] != 'x' || charge->has_maximum);
	return set;
}

static bool
tell_tier(Quote *quote, Tier *tier, const char *key, const char *text, QuoteValue value)
{
	const bool set = quote_set_tier(quote, tier, key, value);

	if (strcmp(key, "up_to") == 0 && value.type == QUOTE_NULL)
		HOLD(set && tier->up_to == INT64_MAX);
	else if (strcmp(key, "up_to") == 0 && is_written(value))
		check_count(text, set, tier->up_to);
	else if (strcmp(key, "unit_amount") == 0 && is_written(value))
		check_amount(text, set, tier->unit_amount);
	else if (strcmp(key, "flat_amount") == 0 && is_written(value))
		check_amount(text, set, tier->flat_amount);
	else
		HOLD(!set);
	return set;
}

/* False: the line was refused, and so the charge is. */
static bool
tell_line(Told *told, char *line)
{
	const bool of_tier = *line == ' ';
	char *key = line + of_tier, *text = strchr(key, ' ');
	QuoteValue value;
	bool set;

	if (strcmp(line, "+") == 0 && told->tier_count < MOST_TIERS)
		told->tiers[told->tier_count++] = QUOTE_TIER;
	if (text == NULL || (of_tier && told->tier_count == 0))
		return true;
	*text++ = '\0';
	if (strcmp(key, "quantity") == 0 || strcmp(key, "rows") == 0)
	{
		*(*key == 'q' ? &told->quantity : &told->rows) = strtoll(text, NULL, 10);
		return true;
	}
	value = value_of(text);
	text += *text == '"' && value.type == QUOTE_STRING;
	set = of_tier ? tell_tier(&told->quote, &told->tiers[told->tier_count - 1], key, text, value)
				  : tell_charge(&told->quote, key, text, value);
	free((char *) value.text);
	if (!set)
		check_fault(&told->quote);
	return set;
}

/* Whether the charge can be used: no number below 0, tiers that rise from 0 to no end, packages of some size. */
static bool
is_usable(const Charge *charge)
{
	const bool tiered = charge->model == CHARGE_GRADUATED || charge->model == CHARGE_VOLUME;
	bool usable = charge->unit_amount >= 0 && charge->event_amount >= 0 && charge->included >= 0;
	int64_t end = 0;

	usable &= !charge->has_minimum || charge->minimum >= 0;
	usable &= !charge->has_maximum || charge->maximum >= (charge->has_minimum ? charge->minimum : 0);
	usable &= charge->model != CHARGE_PACKAGE || charge->package_size > 0;
	for (int32_t i = 0; tiered && i < charge->tier_count; end = charge->tiers[i++].up_to)
		usable &= charge->tiers[i].up_to > end && charge->tiers[i].unit_amount >= 0 && charge->tiers[i].flat_amount >= 0;
	return usable && (!tiered || end == INT64_MAX);
}

/* What the rules of slow.h come to; false: too large. */
static bool
expect_price(const Told *told, Amount *sum)
{
	const Charge *charge = &told->quote.charge;
	const int64_t units = told->quantity > charge->included ? told->quantity - charge->included : 0;

	if (!slow_price(charge, units, told->rows, charge->zero_flat, sum))
		return false;
	if (charge->has_maximum && *sum > charge->maximum)
		*sum = charge->maximum;
	if (charge->has_minimum && *sum < charge->minimum)
		*sum = charge->minimum;
	return true;
}

static void
check_price(Told *told)
{
	char printed[AMOUNT_TEXT_SIZE];
	Amount amount, expected;
	const bool priced = quote_price(&told->quote, told->quantity, told->rows, &amount);

	if (!priced && told->quote.fault != QUOTE_OUT_OF_RANGE)
	{
		check_fault(&told->quote);
		HOLD(told->quote.fault != QUOTE_UNUSABLE || !is_usable(&told->quote.charge));
		return;
	}
	HOLD(is_usable(&told->quote.charge) && told->quote.has_model && told->quantity >= 0 && told->rows >= 0);
	HOLD(priced == expect_price(told, &expected));
	if (!priced)
		return;
	HOLD(amount == expected && amount >= 0);
	amount_print(amount, printed);
	check_amount(printed, true, amount);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	Told told = {.rows = 1};
	Tier *tiers;

	while (data < end)
	{
		const uint8_t *newline = memchr(data, '\n', (size_t) (end - data));
		const size_t len = (size_t) ((newline == NULL ? end : newline) - data);
		char line[MOST_LINE];

		/* a string of jsonb holds no 0 either */
		if (len < sizeof(line) && memchr(data, '\0', len) == NULL)
		{
			memcpy(line, data, len);
			line[len] = '\0';
			if (!tell_line(&told, line))
				return 0;
		}
		data += len + 1;
	}
	tiers = malloc((size_t) told.tier_count * sizeof(Tier));
	if (tiers == NULL)
		abort();
	memcpy(tiers, told.tiers, (size_t) told.tier_count * sizeof(Tier));
	told.quote.charge.tiers = tiers;
	told.quote.charge.tier_count = told.tier_count;
	check_price(&told);
	free(tiers);
	return 0;
}
