/*
 * quote.c: settle_quote(), the price of a quantity under a charge written as JSON.
 *
 * Here the JSON is walked and what is wrong is put into words; rate/quote.c says what each pair means and prices the
 * charge. Every key reaches it, since one that is passed over would silently price as 0.
 */
#include "compat.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "rate/quote.h"

PG_FUNCTION_INFO_V1(settle_quote);

/* Raises the error that a Quote tells of. */
static void
refuse(const Quote *quote)
{
	const int invalid = ERRCODE_INVALID_PARAMETER_VALUE;

	switch (quote->fault)
	{
		case QUOTE_FINE:
			break;
		case QUOTE_WRONG_VALUE:
			ereport(ERROR, (errcode(invalid), errmsg("key \"%s\" of the charge must be %s", quote->key, quote->expected)));
			break;
		case QUOTE_UNKNOWN_KEY:
			ereport(ERROR, (errcode(invalid), errmsg("unknown key \"%s\" in the charge", quote->key),
							errhint("Keys are model, unit_amount, event_amount, included, package_size, package_round,"
									" tiers, minimum, maximum and zero_flat.")));
			break;
		case QUOTE_UNKNOWN_TIER_KEY:
			ereport(ERROR, (errcode(invalid), errmsg("unknown key \"%s\" in a tier", quote->key),
							errhint("Keys are up_to, unit_amount and flat_amount.")));
			break;
		case QUOTE_NO_MODEL:
			ereport(ERROR, (errcode(invalid), errmsg("the charge has no model")));
			break;
		case QUOTE_UNUSABLE:
			ereport(ERROR, (errcode(invalid), errmsg("the charge cannot be used: %s", reason_code(quote->reason)),
							errdetail("%s", reason_help(quote->reason))));
			break;
		case QUOTE_NEGATIVE:
			ereport(ERROR, (errcode(invalid), errmsg("quantity and rows must not be negative")));
			break;
		case QUOTE_OUT_OF_RANGE:
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("the amount is out of range")));
			break;
	}
}

static void
refuse_tiers(void)
{
	refuse(&(Quote){.fault = QUOTE_WRONG_VALUE, .key = "tiers", .expected = "an array of objects"});
}

/* A value without its JSON: nested ones are only named as such. */
static QuoteValue
plain(const JsonbValue *value)
{
	char *number;

	switch (value->type)
	{
		case jbvNull:
			return (QuoteValue){.type = QUOTE_NULL};
		case jbvBool:
			return (QuoteValue){.type = QUOTE_FLAG, .flag = value->val.boolean};
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			return (QuoteValue){.type = QUOTE_NUMBER, .text = number, .len = strlen(number)};
		case jbvString:
			return (QuoteValue){
				.type = QUOTE_STRING, .text = value->val.string.val, .len = (size_t) value->val.string.len};
		default:
			return (QuoteValue){.type = QUOTE_NESTED};
	}
}

/* Opens an object; next_pair() then gives its pairs, without descending into them. */
static JsonbIterator *
open_object(JsonbContainer *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue itself;

	(void) JsonbIteratorNext(&iterator, &itself, true);
	return iterator;
}

static bool
next_pair(JsonbIterator **iterator, char **key, JsonbValue *value)
{
	if (JsonbIteratorNext(iterator, value, true) != WJB_KEY)
		return false;
	*key = pnstrdup(value->val.string.val, value->val.string.len);
	return JsonbIteratorNext(iterator, value, true) == WJB_VALUE;
}

static void
read_tier(Quote *quote, Tier *tier, JsonbContainer *object)
{
	JsonbIterator *iterator = open_object(object);
	JsonbValue value;
	char *key;

	*tier = QUOTE_TIER;
	while (next_pair(&iterator, &key, &value))
		if (!quote_set_tier(quote, tier, key, plain(&value)))
			refuse(quote);
}

static void
read_tiers(Quote *quote, const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse_tiers();

	JsonbContainer *array = value->val.binary.data;
	const uint32 count = JsonContainerSize(array);
	Tier *tiers = palloc(Max(count, 1) * sizeof(Tier));

	for (uint32 i = 0; i < count; i++)
	{
		const JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			refuse_tiers();
		read_tier(quote, &tiers[i], element->val.binary.data);
	}
	quote->charge.tiers = tiers;
	quote->charge.tier_count = (int32) count;
}

static void
read_charge(Quote *quote, Jsonb *json)
{
	JsonbIterator *iterator;
	JsonbValue value;
	char *key;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the charge must be a JSON object")));
	iterator = open_object(&json->root);
	while (next_pair(&iterator, &key, &value))
		if (strcmp(key, "tiers") == 0)
			read_tiers(quote, &value);
		else if (!quote_set(quote, key, plain(&value)))
			refuse(quote);
}

Datum
settle_quote(PG_FUNCTION_ARGS)
{
	char result[AMOUNT_TEXT_SIZE];
	Quote quote = {0};
	Amount amount;

	read_charge(&quote, PG_GETARG_JSONB_P(0));
	if (!quote_price(&quote, PG_GETARG_INT64(1), PG_GETARG_INT64(2), &amount))
		refuse(&quote);

	amount_print(amount, result);
	PG_RETURN_DATUM(DirectFunctionCall3(numeric_in, CStringGetDatum(result), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}
