/*
 * quote.c: settle_quote(), the price of a quantity under a charge written as JSON.
 *
 * The JSON becomes the same Charge struct that the catalogue gives the run, and the same rate_quote() prices it. Every
 * key is checked: an unknown one or a wrong type is an error, because a misspelt key would silently price as 0.
 */
#include "compat.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "rate/rate.h"

PG_FUNCTION_INFO_V1(settle_quote);

pg_noreturn static void
refuse(const char *key, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("key \"%s\" of the charge must be %s", key, expected)));
}

/* A JSON number, or a string that holds one, as text. */
static char *
read_numeral(const char *key, const JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	refuse(key, "a number or a string with a number");
}

static Amount
read_amount(const char *key, const JsonbValue *value)
{
	const char *numeral = read_numeral(key, value);
	Amount amount;

	if (!amount_parse(numeral, strlen(numeral), &amount))
		refuse(key, "a decimal of at most 12 places");
	return amount;
}

static int64
read_count(const char *key, const JsonbValue *value)
{
	const char *numeral = read_numeral(key, value);
	char *end;

	errno = 0;
	const long long count = strtoll(numeral, &end, 10);
	if (errno != 0 || end == numeral || *end != '\0')
		refuse(key, "a whole number");
	return count;
}

static bool
read_flag(const char *key, const JsonbValue *value)
{
	if (value->type != jbvBool)
		refuse(key, "true or false");
	return value->val.boolean;
}

/* Calls set() for every pair of an object. */
typedef void (*SetKey)(void *target, const char *key, const JsonbValue *value);

static void
read_object(JsonbContainer *object, SetKey set, void *target)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	const bool skip_nested = true;
	JsonbIteratorToken token;
	JsonbValue value;
	char *key = NULL;

	(void) JsonbIteratorNext(&iterator, &value, skip_nested); /* the object itself */
	while ((token = JsonbIteratorNext(&iterator, &value, skip_nested)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			set(target, key, &value);
	}
}

static void
set_tier_key(void *target, const char *key, const JsonbValue *value)
{
	Tier *tier = target;

	if (strcmp(key, "up_to") == 0)
		tier->up_to = value->type == jbvNull ? INT64_MAX : read_count("tiers.up_to", value);
	else if (strcmp(key, "unit_amount") == 0)
		tier->unit_amount = read_amount("tiers.unit_amount", value);
	else if (strcmp(key, "flat_amount") == 0)
		tier->flat_amount = read_amount("tiers.flat_amount", value);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown key \"%s\" in a tier", key),
						errhint("Keys are up_to, unit_amount and flat_amount.")));
}

static void
read_tiers(Charge *charge, const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse("tiers", "an array of objects");

	JsonbContainer *array = value->val.binary.data;
	const uint32 count = JsonContainerSize(array);
	Tier *tiers = palloc0(Max(count, 1) * sizeof(Tier));

	for (uint32 i = 0; i < count; i++)
	{
		const JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			refuse("tiers", "an array of objects");
		tiers[i].up_to = INT64_MAX;
		read_object(element->val.binary.data, set_tier_key, &tiers[i]);
	}
	charge->tiers = tiers;
	charge->tier_count = (int32) count;
}

static ChargeModel
read_model(const JsonbValue *value)
{
	static const char *const models[] = {"per_unit", "graduated", "volume", "package", "unlimited"};

	if (value->type == jbvString)
		for (int i = 0; i < lengthof(models); i++)
			if (value->val.string.len == (int) strlen(models[i]) &&
				memcmp(value->val.string.val, models[i], value->val.string.len) == 0)
				return (ChargeModel) i;
	refuse("model", "per_unit, graduated, volume, package or unlimited");
}

static bool
read_round_down(const JsonbValue *value)
{
	if (value->type == jbvString && value->val.string.len == 2 && memcmp(value->val.string.val, "up", 2) == 0)
		return false;
	if (value->type == jbvString && value->val.string.len == 4 && memcmp(value->val.string.val, "down", 4) == 0)
		return true;
	refuse("package_round", "up or down");
}

typedef struct ChargeTarget {
	Charge charge;
	bool has_model;
} ChargeTarget;

static void
set_charge_key(void *arg, const char *key, const JsonbValue *value)
{
	ChargeTarget *target = arg;
	Charge *charge = &target->charge;

	if (strcmp(key, "model") == 0)
	{
		charge->model = read_model(value);
		target->has_model = true;
	}
	else if (strcmp(key, "unit_amount") == 0)
		charge->unit_amount = read_amount(key, value);
	else if (strcmp(key, "event_amount") == 0)
		charge->event_amount = read_amount(key, value);
	else if (strcmp(key, "included") == 0)
		charge->included = read_count(key, value);
	else if (strcmp(key, "package_size") == 0)
		charge->package_size = read_count(key, value);
	else if (strcmp(key, "package_round") == 0)
		charge->package_round_down = read_round_down(value);
	else if (strcmp(key, "tiers") == 0)
		read_tiers(charge, value);
	else if (strcmp(key, "minimum") == 0)
	{
		charge->minimum = read_amount(key, value);
		charge->has_minimum = true;
	}
	else if (strcmp(key, "maximum") == 0)
	{
		charge->maximum = read_amount(key, value);
		charge->has_maximum = true;
	}
	else if (strcmp(key, "zero_flat") == 0)
		charge->zero_flat = read_flag(key, value);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown key \"%s\" in the charge", key),
						errhint("Keys are model, unit_amount, event_amount, included, package_size, package_round, tiers,"
								" minimum, maximum and zero_flat.")));
}

static void
read_charge(Jsonb *json, Charge *charge)
{
	ChargeTarget target = {0};

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the charge must be a JSON object")));
	read_object(&json->root, set_charge_key, &target);
	if (!target.has_model)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the charge has no model")));

	const Reason reason = rate_check_charge(&target.charge);
	if (reason != REASON_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the charge cannot be used: %s", reason_code(reason)),
						errdetail("%s", reason_help(reason))));
	*charge = target.charge;
}

Datum
settle_quote(PG_FUNCTION_ARGS)
{
	const int64 quantity = PG_GETARG_INT64(1);
	const int64 rows = PG_GETARG_INT64(2);
	char result[AMOUNT_TEXT_SIZE];
	Charge charge;
	Amount amount;

	read_charge(PG_GETARG_JSONB_P(0), &charge);
	if (quantity < 0 || rows < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("quantity and rows must not be negative")));
	if (!rate_quote(&charge, quantity, rows, &amount))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("the amount is out of range")));

	amount_print(amount, result);
	PG_RETURN_DATUM(DirectFunctionCall3(numeric_in, CStringGetDatum(result), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}
