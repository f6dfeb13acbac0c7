/*
 * values.c: the values of a notice's template, out of the event's payload (see values.h).
 *
 * The payload is read once from front to back: its own keys into fields, its lines only counted and checked. Then memory is
 * reserved for every text there can be, and the lines are read in a second pass, when the currency is known. Errors name the
 * key and never its value.
 */
#include <stdlib.h>
#include <string.h>

#include "common/jsonread.h"
#include "common/ymd.h"
#include "notify/values.h"
#include "notify/wording.h"

#define TOP_TEXTS (NAME_BILL_COUNT * WORDING_MAX)
#define LINE_TEXTS (3 * WORDING_MAX)

/* ---- keys --------------------------------------------------------------------------------------------------------- */

typedef enum FieldType { FIELD_INT, FIELD_TEXT, FIELD_ARRAY } FieldType;

typedef struct Key {
	const char *name;
	FieldType type;
} Key;

typedef struct Field {
	bool there;
	int64_t number;
	const char *text;   /* ended by a zero */
	JsonReader array;   /* at its begin */
	size_t count;       /* its items */
} Field;

enum {
	KEY_KIND, KEY_PERIOD, KEY_ACCOUNT_ID, KEY_REVISION, KEY_CURRENCY, KEY_EXPONENT, KEY_RECURRING, KEY_USAGE, KEY_ONE_OFF,
	KEY_DISCOUNT, KEY_TAX, KEY_INCLUDED_TAX, KEY_ROUNDING, KEY_CARRIED, KEY_ARREARS, KEY_CREDIT_FORWARD, KEY_TOTAL, KEY_DUE_ON,
	KEY_LINES, KEY_COUNT
};
static const Key keys[KEY_COUNT] = {
	[KEY_KIND] = {"kind", FIELD_TEXT},
	[KEY_PERIOD] = {"period", FIELD_TEXT},
	[KEY_ACCOUNT_ID] = {"account_id", FIELD_INT},
	[KEY_REVISION] = {"revision", FIELD_INT},
	[KEY_CURRENCY] = {"currency", FIELD_TEXT},
	[KEY_EXPONENT] = {"exponent", FIELD_INT},
	[KEY_RECURRING] = {"recurring", FIELD_INT},
	[KEY_USAGE] = {"usage", FIELD_INT},
	[KEY_ONE_OFF] = {"one_off", FIELD_INT},
	[KEY_DISCOUNT] = {"discount", FIELD_INT},
	[KEY_TAX] = {"tax", FIELD_INT},
	[KEY_INCLUDED_TAX] = {"included_tax", FIELD_INT},
	[KEY_ROUNDING] = {"rounding", FIELD_INT},
	[KEY_CARRIED] = {"carried", FIELD_INT},
	[KEY_ARREARS] = {"arrears", FIELD_INT},
	[KEY_CREDIT_FORWARD] = {"credit_forward", FIELD_INT},
	[KEY_TOTAL] = {"total", FIELD_INT},
	[KEY_DUE_ON] = {"due_on", FIELD_TEXT},
	[KEY_LINES] = {"lines", FIELD_ARRAY},
};

enum { LINE_KEY_KIND, LINE_KEY_NAME, LINE_KEY_METRIC, LINE_KEY_QUANTITY, LINE_KEY_DAYS, LINE_KEY_AMOUNT, LINE_KEY_COUNT };
static const Key line_keys[LINE_KEY_COUNT] = {
	[LINE_KEY_KIND] = {"kind", FIELD_TEXT},
	[LINE_KEY_NAME] = {"name", FIELD_TEXT},
	[LINE_KEY_METRIC] = {"metric", FIELD_TEXT},
	[LINE_KEY_QUANTITY] = {"quantity", FIELD_INT},
	[LINE_KEY_DAYS] = {"days", FIELD_INT},
	[LINE_KEY_AMOUNT] = {"amount", FIELD_INT},
};

typedef struct Reader {
	Values *values;
	const NoticeInput *input;
	JsonReader json;
	Field fields[KEY_COUNT];
	Wording wording;
	Period month;
	const char *currency;
	int exponent;
	Err *err;
} Reader;

static bool
fail_json(const Reader *reader, const JsonReader *json)
{
	return err_set(reader->err, "the payload is not JSON: byte %td: %s", json->at - reader->input->payload, json->fault);
}

static bool
fail_type(const Reader *reader, JsonReader *json, const Key *key)
{
	static const char *const types[] = {"a whole number", "a text", "an array"};

	/* another value, or none at all */
	return !json_skip(json) ? fail_json(reader, json)
							: err_set(reader->err, "the payload's \"%s\" is not %s", key->name, types[key->type]);
}

static bool
read_field(Reader *reader, JsonReader *json, const Key *key, Field *field)
{
	char *text;
	size_t len;

	if (field->there)
		return err_set(reader->err, "the payload has \"%s\" twice", key->name);
	field->there = true;
	switch (key->type)
	{
		case FIELD_INT:
			return json_read_int(json, &field->number) || fail_type(reader, json, key);
		case FIELD_TEXT:
			/* the quotes, which are not copied, leave room for the zero */
			text = reader->values->strings + reader->values->strings_len;
			if (!json_read_string(json, text, &len))
				return fail_type(reader, json, key);
			text[len] = '\0';
			field->text = text;
			reader->values->strings_len += len + 1;
			return len > 0 || err_set(reader->err, "the payload's \"%s\" is empty", key->name);
		default:
			if (json_peek(json) != '[')
				return fail_type(reader, json, key);
			field->array = *json;
			for ((void) json_open(json, '['); json_next_item(json) && json_skip(json);)
				field->count++;
			return json->fault == NULL || fail_json(reader, json);
	}
}

/* An object's fields; keys that are not in the table are passed over. Settle writes keys in the order of its tables. */
static bool
read_object(Reader *reader, JsonReader *json, const Key *table, size_t count, Field *fields)
{
	const char *key;
	size_t len;

	(void) json_open(json, '{');
	while (json_next_key(json, &key, &len))
	{
		size_t k = 0;

		while (k < count && (strncmp(table[k].name, key, len) != 0 || table[k].name[len] != '\0'))
			k++;
		if (k == count ? !json_skip(json) : !read_field(reader, json, &table[k], &fields[k]))
			return k < count ? false : fail_json(reader, json);
	}
	return json->fault == NULL || fail_json(reader, json);
}

static bool
need(const Reader *reader, const Key *key, const Field *field)
{
	return field->there || err_set(reader->err, "the payload's \"%s\" is missing", key->name);
}

static bool
need_int(const Reader *reader, const Key *key, const Field *field, int64_t least, int64_t most)
{
	if (!need(reader, key, field))
		return false;
	return (field->number >= least && field->number <= most) || err_set(reader->err, "the payload's \"%s\" is out of range", key->name);
}

/* YYYY-MM-DD */
static bool
parse_date(const char *text, int32_t *day)
{
	Period period;

	if (strlen(text) != 10 || !ymd_parse_period(text, 7, &period) || text[7] != '-' || strspn(text + 8, "0123456789") != 2)
		return false;
	const int of_month = (text[8] - '0') * 10 + text[9] - '0';
	*day = period.from + of_month - 1;
	return of_month >= 1 && of_month <= period.days;
}

/* ---- values ------------------------------------------------------------------------------------------------------- */

static TemplateValue
of_text(const char *text)
{
	return (TemplateValue){.text = text, .len = text != NULL ? strlen(text) : 0};
}

static TemplateValue
of_flag(bool set)
{
	return (TemplateValue){.text = set ? "" : NULL};
}

/* Where the next formatted text goes; there is room for every one. */
static char *
next_text(const Reader *reader)
{
	return reader->values->text + reader->values->text_len;
}

static TemplateValue
keep(const Reader *reader, size_t len)
{
	const TemplateValue value = {.text = next_text(reader), .len = len};

	reader->values->text_len += len;
	return value;
}

static TemplateValue
of_amount(const Reader *reader, int64_t minor)
{
	return keep(reader, wording_amount(reader->wording, minor, reader->currency, reader->exponent, next_text(reader)));
}

static TemplateValue
of_number(const Reader *reader, int64_t number)
{
	return keep(reader, wording_number(number, next_text(reader)));
}

/* An id: without separators. */
static TemplateValue
of_id(const Reader *reader, int64_t id)
{
	char *to = next_text(reader);
	const size_t len = wording_number(id, to);
	size_t kept = 0;

	for (size_t i = 0; i < len; i++)
		if (to[i] != ',')
			to[kept++] = to[i];
	return keep(reader, kept);
}

/* ---- lines -------------------------------------------------------------------------------------------------------- */

enum { NEEDS_NAME = 1, NEEDS_METRIC = 2, NEEDS_QUANTITY = 4 };

static const struct {
	const char *kind;
	int needs;
	LineName group;
	LineName flag; /* LINE_NAME_COUNT: none of its own */
} line_kinds[] = {
	{"recurring", NEEDS_NAME | NEEDS_QUANTITY, LINE_IN_RECURRING, LINE_NAME_COUNT},
	{"usage", NEEDS_NAME | NEEDS_METRIC | NEEDS_QUANTITY, LINE_IN_USAGE, LINE_NAME_COUNT},
	{"minimum", NEEDS_NAME | NEEDS_METRIC, LINE_IN_USAGE, LINE_IS_MINIMUM},
	{"maximum", NEEDS_NAME | NEEDS_METRIC, LINE_IN_USAGE, LINE_IS_MAXIMUM},
	{"adjustment", NEEDS_NAME, LINE_IN_ONE_OFF, LINE_NAME_COUNT},
	{"discount", NEEDS_NAME, LINE_IN_DISCOUNT, LINE_NAME_COUNT},
	{"tax", NEEDS_NAME, LINE_IN_TAX, LINE_NAME_COUNT},
	{"included_tax", NEEDS_NAME, LINE_IN_TAX, LINE_IS_INCLUDED_TAX},
	{"rounding", 0, LINE_IN_OTHER, LINE_IS_ROUNDING},
	{"carried", 0, LINE_IN_OTHER, LINE_IS_CARRIED},
	{"arrears", 0, LINE_IN_OTHER, LINE_IS_ARREARS},
	{"credit_forward", 0, LINE_IN_OTHER, LINE_IS_CREDIT_FORWARD},
};
#define LINE_KINDS (sizeof(line_kinds) / sizeof(line_kinds[0]))

static bool
read_quantity(const Reader *reader, const Field *fields, int needs, TemplateValue *item)
{
	const char *metric = (needs & NEEDS_METRIC) != 0 ? fields[LINE_KEY_METRIC].text : NULL;
	const Field *quantity = &fields[LINE_KEY_QUANTITY];

	if ((needs & NEEDS_METRIC) != 0 && !need(reader, &line_keys[LINE_KEY_METRIC], &fields[LINE_KEY_METRIC]))
		return false;
	if ((needs & NEEDS_QUANTITY) == 0)
		return true;
	if (!need_int(reader, &line_keys[LINE_KEY_QUANTITY], quantity, 0, INT64_MAX))
		return false;
	item[LINE_QUANTITY] = metric == NULL ? of_number(reader, quantity->number)
										 : keep(reader, wording_quantity(reader->wording, quantity->number, metric, next_text(reader)));
	item[LINE_SEVERAL] = of_flag(metric == NULL && quantity->number != 1);
	return true;
}

/* *group is that of the line before, and then of this one. */
static bool
fill_line(const Reader *reader, const Field *fields, TemplateValue *item, LineName *group)
{
	const int64_t amount = fields[LINE_KEY_AMOUNT].number;
	size_t k = 0;

	if (!need(reader, &line_keys[LINE_KEY_KIND], &fields[LINE_KEY_KIND]) || !need(reader, &line_keys[LINE_KEY_AMOUNT], &fields[LINE_KEY_AMOUNT]))
		return false;
	while (k < LINE_KINDS && strcmp(line_kinds[k].kind, fields[LINE_KEY_KIND].text) != 0)
		k++;
	if (k == LINE_KINDS)
		return err_set(reader->err, "the payload has a line of an unknown kind");
	if ((line_kinds[k].needs & NEEDS_NAME) != 0 && !need(reader, &line_keys[LINE_KEY_NAME], &fields[LINE_KEY_NAME]))
		return false;
	if (!read_quantity(reader, fields, line_kinds[k].needs, item))
		return false;
	if (fields[LINE_KEY_DAYS].there)
	{
		if (!need_int(reader, &line_keys[LINE_KEY_DAYS], &fields[LINE_KEY_DAYS], 1, 31))
			return false;
		item[LINE_DAYS] = of_number(reader, fields[LINE_KEY_DAYS].number);
		item[LINE_PART_MONTH] = of_flag(fields[LINE_KEY_DAYS].number < reader->month.days);
	}
	item[LINE_NAME] = of_text(fields[LINE_KEY_NAME].text);
	item[LINE_AMOUNT] = of_amount(reader, amount);
	item[LINE_NEGATIVE] = of_flag(amount < 0);
	item[LINE_GROUP] = of_flag(*group != line_kinds[k].group);
	item[line_kinds[k].group] = of_flag(true);
	if (line_kinds[k].flag != LINE_NAME_COUNT)
		item[line_kinds[k].flag] = of_flag(true);
	*group = line_kinds[k].group;
	return true;
}

/* Memory of at least so many bytes, without what was in it; NULL: there is none. */
static void *
reserve(void *memory, size_t *size, size_t needed)
{
	if (needed <= *size)
		return memory;
	free(memory);
	memory = malloc(needed);
	*size = memory != NULL ? needed : 0;
	return memory;
}

/* For what is formatted: the notice's texts and those of its lines. A metric can be written again with its quantity. */
static bool
reserve_texts(Values *values, const NoticeInput *input, size_t lines)
{
	const size_t items = lines * LINE_NAME_COUNT * sizeof(TemplateValue);

	values->text = reserve(values->text, &values->text_size, TOP_TEXTS + input->payload_len + lines * LINE_TEXTS);
	values->items = reserve(values->items, &values->items_size, items + 1);
	if (values->text == NULL || values->items == NULL)
		return false;
	memset(values->items, 0, items);
	return true;
}

static bool
read_lines(Reader *reader, const Field *lines, int64_t total)
{
	TemplateValue *item = reader->values->items;
	JsonReader json = lines->array;
	LineName group = LINE_NAME_COUNT;
	int64_t sum = 0;
	bool fits = true;

	(void) json_open(&json, '[');
	for (; json_next_item(&json); item += LINE_NAME_COUNT)
	{
		Field fields[LINE_KEY_COUNT] = {{0}};

		if (json_peek(&json) != '{')
			return err_set(reader->err, "a line of the payload is not an object");
		if (!read_object(reader, &json, line_keys, LINE_KEY_COUNT, fields) || !fill_line(reader, fields, item, &group))
			return false;
		fits = fits && !__builtin_add_overflow(sum, fields[LINE_KEY_AMOUNT].number, &sum);
	}
	if (!fits || sum != total)
		return err_set(reader->err, "the payload's lines do not add up to its total");
	reader->values->top[NAME_LINES] = (TemplateValue){.items = reader->values->items, .len = lines->count};
	reader->values->top[NAME_LINE_COUNT] = of_number(reader, (int64_t) lines->count);
	return true;
}

/* ---- the bill ----------------------------------------------------------------------------------------------------- */

static bool
read_sums(const Reader *reader, int64_t total)
{
	static const struct {
		int key;
		NoticeName name;
	} sums[] = {
		{KEY_RECURRING, NAME_RECURRING}, {KEY_USAGE, NAME_USAGE}, {KEY_ONE_OFF, NAME_ONE_OFF}, {KEY_DISCOUNT, NAME_DISCOUNT},
		{KEY_TAX, NAME_TAX}, {KEY_INCLUDED_TAX, NAME_INCLUDED_TAX}, {KEY_ROUNDING, NAME_ROUNDING}, {KEY_CARRIED, NAME_CARRIED},
		{KEY_ARREARS, NAME_ARREARS}, {KEY_CREDIT_FORWARD, NAME_CREDIT_FORWARD},
	};
	int64_t sum = 0;
	bool fits = true;

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
	{
		const int64_t amount = reader->fields[sums[i].key].number;

		if (!need(reader, &keys[sums[i].key], &reader->fields[sums[i].key]))
			return false;
		/* what the prices contain is no part of the sum */
		if (sums[i].key != KEY_INCLUDED_TAX)
			fits = fits && !__builtin_add_overflow(sum, amount, &sum);
		reader->values->top[sums[i].name] = amount != 0 ? of_amount(reader, amount) : of_flag(false);
	}
	return (fits && sum == total) || err_set(reader->err, "the payload's sums do not add up to its total");
}

static bool
read_currency(Reader *reader)
{
	const Field *exponent = &reader->fields[KEY_EXPONENT];

	if (!need(reader, &keys[KEY_CURRENCY], &reader->fields[KEY_CURRENCY]) || !need_int(reader, &keys[KEY_EXPONENT], exponent, 0, 4))
		return false;
	reader->currency = reader->fields[KEY_CURRENCY].text;
	reader->exponent = (int) exponent->number;
	if (strlen(reader->currency) != 3 || strspn(reader->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return err_set(reader->err, "the payload's \"currency\" is not a code of three letters");
	return true;
}

static bool
read_bill(Reader *reader)
{
	TemplateValue *top = reader->values->top;
	const Field *lines = &reader->fields[KEY_LINES];
	const int64_t total = reader->fields[KEY_TOTAL].number;
	int32_t due_on = 0;

	if (!need(reader, &keys[KEY_LINES], lines) || !read_currency(reader) ||
		!need_int(reader, &keys[KEY_TOTAL], &reader->fields[KEY_TOTAL], 0, INT64_MAX) || !need(reader, &keys[KEY_DUE_ON], &reader->fields[KEY_DUE_ON]))
		return false;
	if (lines->count == 0)
		return err_set(reader->err, "the payload has no lines");
	if (!parse_date(reader->fields[KEY_DUE_ON].text, &due_on))
		return err_set(reader->err, "the payload's \"due_on\" is not a date");
	top[NAME_CURRENCY] = of_text(reader->currency);
	top[NAME_TOTAL] = of_amount(reader, total);
	top[NAME_TOTAL_PLAIN] = keep(reader, wording_plain_amount(total, reader->currency, reader->exponent, next_text(reader)));
	top[NAME_NOTHING_DUE] = of_flag(total == 0);
	top[NAME_DUE_ON] = keep(reader, wording_date(reader->wording, due_on, next_text(reader)));
	top[NAME_DUE_DAY] = keep(reader, wording_day(reader->wording, due_on, next_text(reader)));
	top[NAME_DUE_DATE] = keep(reader, wording_date(WORDING_NONE, due_on, next_text(reader)));
	return read_sums(reader, total) && read_lines(reader, lines, total);
}

/* What a bill and a void have in common. */
static bool
read_head(Reader *reader, const char *notice_kind)
{
	TemplateValue *top = reader->values->top;
	const Field *fields = reader->fields;

	for (int i = KEY_KIND; i <= KEY_ACCOUNT_ID; i++)
		if (!need(reader, &keys[i], &fields[i]))
			return false;
	if (!need_int(reader, &keys[KEY_REVISION], &fields[KEY_REVISION], 0, INT32_MAX))
		return false;
	const char *kind = fields[KEY_KIND].text;
	if (strcmp(kind, "bill") != 0 && strcmp(kind, "rebill") != 0 && strcmp(kind, "void") != 0)
		return err_set(reader->err, "the payload is of an unknown kind");
	if ((strcmp(notice_kind, "void") == 0) != (strcmp(kind, "void") == 0))
		return err_set(reader->err, "the payload is of kind %s, the template of kind %s", kind, notice_kind);
	if (!ymd_parse_period(fields[KEY_PERIOD].text, strlen(fields[KEY_PERIOD].text), &reader->month))
		return err_set(reader->err, "the payload's \"period\" is not a month");
	top[NAME_PERIOD] = of_text(fields[KEY_PERIOD].text);
	top[NAME_MONTH] = keep(reader, wording_month(reader->wording, reader->month.from, next_text(reader)));
	top[NAME_ACCOUNT] = of_id(reader, fields[KEY_ACCOUNT_ID].number);
	top[NAME_REVISION] = of_id(reader, fields[KEY_REVISION].number);
	top[NAME_REVISED] = of_flag(fields[KEY_REVISION].number > 0);
	return true;
}

static bool
read_payload(Reader *reader, const char *notice_kind)
{
	if (json_peek(&reader->json) != '{')
		return err_set(reader->err, "the payload is not a JSON object");
	if (!read_object(reader, &reader->json, keys, KEY_COUNT, reader->fields))
		return false;
	if (!json_done(&reader->json))
		return fail_json(reader, &reader->json);
	if (!reserve_texts(reader->values, reader->input, reader->fields[KEY_LINES].count))
		return err_set(reader->err, "out of memory");
	return read_head(reader, notice_kind) && (strcmp(notice_kind, "void") == 0 || read_bill(reader));
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

static const char *
if_any(const char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

bool
notice_settings_check(const NoticeSettings *settings, Err *err)
{
	const char *url = if_any(settings->pay_url);

	if (if_any(settings->company) == NULL)
		return err_set(err, "the company that notices come from is not set");
	if (url != NULL && strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return err_set(err, "the address to pay at must begin with https:// or http://");
	return true;
}

bool
values_read(Values *values, const char *kind, const NoticeInput *input, const NoticeSettings *settings, Err *err)
{
	Reader reader = {.values = values, .input = input, .json = json_reader(input->payload, input->payload_len),
		.wording = wording_of(input->locale), .err = err};

	values->text_len = values->strings_len = 0;
	memset(values->top, 0, sizeof(values->top));
	values->strings = reserve(values->strings, &values->strings_size, input->payload_len + 1);
	if (values->strings == NULL)
		return err_set(err, "out of memory");
	values->top[NAME_COMPANY] = of_text(if_any(settings->company));
	values->top[NAME_SUPPORT] = of_text(if_any(settings->support));
	values->top[NAME_PAY_URL] = of_text(if_any(settings->pay_url));
	values->top[NAME_CUSTOMER_NAME] = of_text(if_any(input->customer_name));
	return notice_settings_check(settings, err) && read_payload(&reader, kind);
}

void
values_free(Values *values)
{
	free(values->strings);
	free(values->items);
	free(values->text);
	*values = (Values){0};
}
