/*
 * values.c: the values of a notice's template, out of the event's payload (see values.h).
 *
 * Errors name the key and never its value. Formatted texts are written into one buffer whose size is known before; names of
 * lines stay where the JSON library has them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/ymd.h"
#include "notify/values.h"
#include "notify/wording.h"

#define TOP_TEXTS (NAME_BILL_COUNT * WORDING_MAX)
#define LINE_TEXTS (3 * WORDING_MAX)

typedef struct Reader {
	Values *values;
	const NoticeInput *input;
	Wording wording;
	Period month;
	const char *currency;
	int exponent;
	Err *err;
} Reader;

/* ---- one key ------------------------------------------------------------------------------------------------------ */

static bool
read_int(const Reader *reader, const json_t *object, const char *key, int64_t least, int64_t most, int64_t *value)
{
	const json_t *found = json_object_get(object, key);

	if (!json_is_integer(found))
		return err_set(reader->err, "the payload's \"%s\" is %s", key, found == NULL ? "missing" : "not a whole number");
	*value = json_integer_value(found);
	return (*value >= least && *value <= most) || err_set(reader->err, "the payload's \"%s\" is out of range", key);
}

static bool
read_text(const Reader *reader, const json_t *object, const char *key, const char **text)
{
	const json_t *found = json_object_get(object, key);

	*text = json_string_value(found);
	if (*text == NULL)
		return err_set(reader->err, "the payload's \"%s\" is %s", key, found == NULL ? "missing" : "not a text");
	return **text != '\0' || err_set(reader->err, "the payload's \"%s\" is empty", key);
}

/* YYYY-MM-DD */
static bool
read_date(const Reader *reader, const json_t *object, const char *key, int32_t *day)
{
	const char *text;
	Period period;

	if (!read_text(reader, object, key, &text))
		return false;
	if (strlen(text) == 10 && ymd_parse_period(text, 7, &period) && text[7] == '-' && strspn(text + 8, "0123456789") == 2)
	{
		const int of_month = (text[8] - '0') * 10 + text[9] - '0';

		*day = period.from + of_month - 1;
		if (of_month >= 1 && of_month <= period.days)
			return true;
	}
	return err_set(reader->err, "the payload's \"%s\" is not a date", key);
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
read_quantity(const Reader *reader, const json_t *line, int needs, TemplateValue *item)
{
	const char *metric = NULL;
	int64_t quantity;

	if ((needs & NEEDS_METRIC) != 0 && !read_text(reader, line, "metric", &metric))
		return false;
	if ((needs & NEEDS_QUANTITY) == 0)
		return true;
	if (!read_int(reader, line, "quantity", 0, INT64_MAX, &quantity))
		return false;
	item[LINE_QUANTITY] = metric == NULL ? of_number(reader, quantity)
										 : keep(reader, wording_quantity(reader->wording, quantity, metric, next_text(reader)));
	item[LINE_SEVERAL] = of_flag(metric == NULL && quantity != 1);
	return true;
}

/* *group is that of the line before, and then of this one. */
static bool
read_line(const Reader *reader, const json_t *line, TemplateValue *item, LineName *group, int64_t *amount)
{
	const char *kind, *name = NULL;
	int64_t days;
	size_t k = 0;

	if (!json_is_object(line))
		return err_set(reader->err, "a line of the payload is not an object");
	if (!read_text(reader, line, "kind", &kind))
		return false;
	while (k < LINE_KINDS && strcmp(line_kinds[k].kind, kind) != 0)
		k++;
	if (k == LINE_KINDS)
		return err_set(reader->err, "the payload has a line of an unknown kind");
	if ((line_kinds[k].needs & NEEDS_NAME) != 0 && !read_text(reader, line, "name", &name))
		return false;
	if (!read_quantity(reader, line, line_kinds[k].needs, item) || !read_int(reader, line, "amount", INT64_MIN, INT64_MAX, amount))
		return false;
	if (json_object_get(line, "days") != NULL)
	{
		if (!read_int(reader, line, "days", 1, 31, &days))
			return false;
		item[LINE_DAYS] = of_number(reader, days);
		item[LINE_PART_MONTH] = of_flag(days < reader->month.days);
	}
	item[LINE_NAME] = of_text(name);
	item[LINE_AMOUNT] = of_amount(reader, *amount);
	item[LINE_NEGATIVE] = of_flag(*amount < 0);
	item[LINE_GROUP] = of_flag(*group != line_kinds[k].group);
	item[line_kinds[k].group] = of_flag(true);
	if (line_kinds[k].flag != LINE_NAME_COUNT)
		item[line_kinds[k].flag] = of_flag(true);
	*group = line_kinds[k].group;
	return true;
}

/* Bytes that the metrics of the lines can add to their quantities. */
static size_t
metric_bytes(const json_t *lines)
{
	size_t bytes = 0;
	size_t i;
	json_t *line;

	json_array_foreach(lines, i, line)
		bytes += json_string_length(json_object_get(line, "metric"));
	return bytes;
}

static bool
reserve(Values *values, const json_t *lines)
{
	const size_t count = json_array_size(lines);
	const size_t items_size = count * LINE_NAME_COUNT;
	const size_t text_size = TOP_TEXTS + count * LINE_TEXTS + metric_bytes(lines);

	if (items_size > values->items_size)
	{
		free(values->items);
		values->items = malloc(items_size * sizeof(TemplateValue));
		values->items_size = values->items != NULL ? items_size : 0;
	}
	if (text_size > values->text_size)
	{
		free(values->text);
		values->text = malloc(text_size);
		values->text_size = values->text != NULL ? text_size : 0;
	}
	if (values->items_size < items_size || values->text_size < text_size)
		return false;
	if (items_size > 0)
		memset(values->items, 0, items_size * sizeof(TemplateValue));
	return true;
}

static bool
read_lines(const Reader *reader, const json_t *lines, int64_t total)
{
	TemplateValue *items = reader->values->items;
	LineName group = LINE_NAME_COUNT;
	int64_t sum = 0, amount;
	bool fits = true;
	size_t i;
	json_t *line;

	json_array_foreach(lines, i, line)
	{
		if (!read_line(reader, line, items + i * LINE_NAME_COUNT, &group, &amount))
			return false;
		fits = fits && !__builtin_add_overflow(sum, amount, &sum);
	}
	if (!fits || sum != total)
		return err_set(reader->err, "the payload's lines do not add up to its total");
	reader->values->top[NAME_LINES] = (TemplateValue){.items = items, .len = i};
	reader->values->top[NAME_LINE_COUNT] = of_number(reader, (int64_t) i);
	return true;
}

/* ---- the bill ----------------------------------------------------------------------------------------------------- */

static bool
read_currency(Reader *reader, const json_t *payload)
{
	int64_t exponent;

	if (!read_text(reader, payload, "currency", &reader->currency) || !read_int(reader, payload, "exponent", 0, 4, &exponent))
		return false;
	reader->exponent = (int) exponent;
	if (strlen(reader->currency) != 3 || strspn(reader->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return err_set(reader->err, "the payload's \"currency\" is not a code of three letters");
	return true;
}

static bool
read_sums(const Reader *reader, const json_t *payload, int64_t total)
{
	static const struct {
		const char *key;
		NoticeName name;
		bool part;
	} keys[] = {
		{"recurring", NAME_RECURRING, true}, {"usage", NAME_USAGE, true}, {"one_off", NAME_ONE_OFF, true},
		{"discount", NAME_DISCOUNT, true}, {"tax", NAME_TAX, true}, {"included_tax", NAME_INCLUDED_TAX, false},
		{"rounding", NAME_ROUNDING, true}, {"carried", NAME_CARRIED, true}, {"arrears", NAME_ARREARS, true},
		{"credit_forward", NAME_CREDIT_FORWARD, true},
	};
	int64_t sum = 0, amount;
	bool fits = true;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		if (!read_int(reader, payload, keys[i].key, INT64_MIN, INT64_MAX, &amount))
			return false;
		if (keys[i].part)
			fits = fits && !__builtin_add_overflow(sum, amount, &sum);
		reader->values->top[keys[i].name] = amount != 0 ? of_amount(reader, amount) : of_flag(false);
	}
	return (fits && sum == total) || err_set(reader->err, "the payload's sums do not add up to its total");
}

static bool
read_bill(Reader *reader, const json_t *payload, const json_t *lines)
{
	TemplateValue *top = reader->values->top;
	int64_t total;
	int32_t due_on = 0;

	if (json_array_size(lines) == 0)
		return err_set(reader->err, "the payload has no lines");
	if (!read_currency(reader, payload) || !read_int(reader, payload, "total", 0, INT64_MAX, &total) ||
		!read_date(reader, payload, "due_on", &due_on))
		return false;
	top[NAME_CURRENCY] = of_text(reader->currency);
	top[NAME_TOTAL] = of_amount(reader, total);
	top[NAME_TOTAL_PLAIN] = keep(reader, wording_plain_amount(total, reader->currency, reader->exponent, next_text(reader)));
	top[NAME_NOTHING_DUE] = of_flag(total == 0);
	top[NAME_DUE_ON] = keep(reader, wording_date(reader->wording, due_on, next_text(reader)));
	top[NAME_DUE_DAY] = keep(reader, wording_day(reader->wording, due_on, next_text(reader)));
	top[NAME_DUE_DATE] = keep(reader, wording_date(WORDING_NONE, due_on, next_text(reader)));
	return read_sums(reader, payload, total) && read_lines(reader, lines, total);
}

static bool
read_payload(Reader *reader, const char *notice_kind, const json_t *payload)
{
	TemplateValue *top = reader->values->top;
	const json_t *lines = json_object_get(payload, "lines");
	const bool is_void = strcmp(notice_kind, "void") == 0;
	const char *kind, *period;
	int64_t account_id, revision;

	if (!json_is_object(payload))
		return err_set(reader->err, "the payload is not a JSON object");
	if (!json_is_array(lines))
		return err_set(reader->err, "the payload's \"lines\" is %s", lines == NULL ? "missing" : "not an array");
	if (!reserve(reader->values, lines))
		return err_set(reader->err, "out of memory");
	if (!read_text(reader, payload, "kind", &kind) || !read_text(reader, payload, "period", &period) ||
		!read_int(reader, payload, "account_id", INT64_MIN, INT64_MAX, &account_id) ||
		!read_int(reader, payload, "revision", 0, INT32_MAX, &revision))
		return false;
	if (strcmp(kind, "bill") != 0 && strcmp(kind, "rebill") != 0 && strcmp(kind, "void") != 0)
		return err_set(reader->err, "the payload is of an unknown kind");
	if (is_void != (strcmp(kind, "void") == 0))
		return err_set(reader->err, "the payload is of kind %s, the template of kind %s", kind, notice_kind);
	if (!ymd_parse_period(period, strlen(period), &reader->month))
		return err_set(reader->err, "the payload's \"period\" is not a month");
	top[NAME_PERIOD] = of_text(period);
	top[NAME_MONTH] = keep(reader, wording_month(reader->wording, reader->month.from, next_text(reader)));
	top[NAME_ACCOUNT] = of_id(reader, account_id);
	top[NAME_REVISION] = of_id(reader, revision);
	top[NAME_REVISED] = of_flag(revision > 0);
	return is_void || read_bill(reader, payload, lines);
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
	Reader reader = {.values = values, .input = input, .wording = wording_of(input->locale), .err = err};
	json_error_t error;

	json_decref(values->payload);
	values->text_len = 0;
	memset(values->top, 0, sizeof(values->top));
	values->payload = json_loadb(input->payload, input->payload_len, JSON_REJECT_DUPLICATES, &error);
	if (values->payload == NULL)
		return err_set(err, "the payload is not JSON, at byte %d", error.position);
	values->top[NAME_COMPANY] = of_text(if_any(settings->company));
	values->top[NAME_SUPPORT] = of_text(if_any(settings->support));
	values->top[NAME_PAY_URL] = of_text(if_any(settings->pay_url));
	values->top[NAME_CUSTOMER_NAME] = of_text(if_any(input->customer_name));
	return notice_settings_check(settings, err) && read_payload(&reader, kind, values->payload);
}

void
values_free(Values *values)
{
	json_decref(values->payload);
	free(values->items);
	free(values->text);
	*values = (Values){0};
}
