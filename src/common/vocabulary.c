/*
 * vocabulary.c: what a template of a notice can say (see vocabulary.h).
 */
#include <string.h>

#include "common/vocabulary.h"

#define FIRST_OF_LINE NAME_BILL_COUNT

static const TemplateName names[] = {
	[NAME_COMPANY] = {"company", TEMPLATE_VALUE, .about = "who sends the bill (setting notice.company)"},
	[NAME_CUSTOMER_NAME] = {"customer_name", TEMPLATE_OPTIONAL, .about = "name of the contact"},
	[NAME_SUPPORT] = {"support", TEMPLATE_OPTIONAL, .about = "where customers can ask (setting notice.support)"},
	[NAME_ACCOUNT] = {"account", TEMPLATE_VALUE, .about = "number of the account"},
	[NAME_PERIOD] = {"period", TEMPLATE_VALUE, .about = "the month as 2024-05"},
	[NAME_MONTH] = {"month", TEMPLATE_VALUE, .about = "the month in words: 2024년 5월, May 2024"},
	[NAME_REVISION] = {"revision", TEMPLATE_VALUE, .about = "0 for the month's first bill"},

	[NAME_REVISED] = {"revised", TEMPLATE_FLAG, .about = "it replaces an earlier bill of the month: the revision is not 0"},
	[NAME_PAY_URL] = {"pay_url", TEMPLATE_OPTIONAL, .about = "where to pay (setting notice.pay_url)"},
	[NAME_CURRENCY] = {"currency", TEMPLATE_VALUE, .about = "ISO 4217 code"},
	[NAME_TOTAL] = {"total", TEMPLATE_VALUE, .about = "what is due: 12,340원, ₩12,340, $9.99"},
	[NAME_TOTAL_PLAIN] = {"total_plain", TEMPLATE_VALUE, .about = "the same in ASCII, for SMS: KRW 12,340"},
	[NAME_NOTHING_DUE] = {"nothing_due", TEMPLATE_FLAG, .about = "the total is 0"},
	[NAME_DUE_ON] = {"due_on", TEMPLATE_VALUE, .about = "last day to pay, in words: 2024년 6월 25일, 25 June 2024"},
	[NAME_DUE_DAY] = {"due_day", TEMPLATE_VALUE, .about = "the same without year: 6월 25일, 25 June"},
	[NAME_DUE_DATE] = {"due_date", TEMPLATE_VALUE, .about = "the same as 2024-06-25"},
	[NAME_RECURRING] = {"recurring", TEMPLATE_OPTIONAL, .about = "sum of the recurring lines, when it is not 0"},
	[NAME_USAGE] = {"usage", TEMPLATE_OPTIONAL, .about = "sum of the usage, when it is not 0"},
	[NAME_ONE_OFF] = {"one_off", TEMPLATE_OPTIONAL, .about = "sum of one-off charges and credits, when it is not 0"},
	[NAME_DISCOUNT] = {"discount", TEMPLATE_OPTIONAL, .about = "sum of the discounts, when it is not 0"},
	[NAME_TAX] = {"tax", TEMPLATE_OPTIONAL, .about = "tax added to the prices, when it is not 0"},
	[NAME_INCLUDED_TAX] = {"included_tax", TEMPLATE_OPTIONAL, .about = "tax contained in the prices, when it is not 0"},
	[NAME_ROUNDING] = {"rounding", TEMPLATE_OPTIONAL, .about = "currency rounding, when it is not 0"},
	[NAME_CARRIED] = {"carried", TEMPLATE_OPTIONAL, .about = "credit of earlier months, when it is not 0"},
	[NAME_ARREARS] = {"arrears", TEMPLATE_OPTIONAL, .about = "unpaid amounts of earlier months, when they are not 0"},
	[NAME_CREDIT_FORWARD] = {"credit_forward", TEMPLATE_OPTIONAL, .about = "credit for the next month, when it is not 0"},
	[NAME_LINE_COUNT] = {"line_count", TEMPLATE_VALUE, .about = "number of lines"},
	[NAME_LINES] = {"lines", TEMPLATE_LIST, FIRST_OF_LINE, LINE_NAME_COUNT, "every line of the bill, in its order"},

	[FIRST_OF_LINE + LINE_NAME] = {"name", TEMPLATE_OPTIONAL, .about = "product, discount, adjustment or tax code"},
	[FIRST_OF_LINE + LINE_AMOUNT] = {"amount", TEMPLATE_VALUE, .about = "amount of the line"},
	[FIRST_OF_LINE + LINE_NEGATIVE] = {"negative", TEMPLATE_FLAG, .about = "the amount is below 0"},
	[FIRST_OF_LINE + LINE_QUANTITY] = {"quantity", TEMPLATE_OPTIONAL, .about = "quantity with its unit: 7,500 MB, 125분 3초"},
	[FIRST_OF_LINE + LINE_SEVERAL] = {"several", TEMPLATE_FLAG, .about = "a recurring line of more or less than one"},
	[FIRST_OF_LINE + LINE_DAYS] = {"days", TEMPLATE_OPTIONAL, .about = "recurring: days charged"},
	[FIRST_OF_LINE + LINE_PART_MONTH] = {"part_month", TEMPLATE_FLAG, .about = "recurring: fewer days than the month has"},
	[FIRST_OF_LINE + LINE_GROUP] = {"group", TEMPLATE_FLAG, .about = "the first line of its group (in_…)"},
	[FIRST_OF_LINE + LINE_IN_RECURRING] = {"in_recurring", TEMPLATE_FLAG, .about = "a recurring charge"},
	[FIRST_OF_LINE + LINE_IN_USAGE] = {"in_usage", TEMPLATE_FLAG, .about = "usage, its minimum or maximum"},
	[FIRST_OF_LINE + LINE_IN_ONE_OFF] = {"in_one_off", TEMPLATE_FLAG, .about = "a one-off charge or credit"},
	[FIRST_OF_LINE + LINE_IN_DISCOUNT] = {"in_discount", TEMPLATE_FLAG, .about = "a discount"},
	[FIRST_OF_LINE + LINE_IN_TAX] = {"in_tax", TEMPLATE_FLAG, .about = "tax, added or included"},
	[FIRST_OF_LINE + LINE_IN_OTHER] = {"in_other", TEMPLATE_FLAG, .about = "rounding, arrears, carried credit"},
	[FIRST_OF_LINE + LINE_IS_MINIMUM] = {"is_minimum", TEMPLATE_FLAG, .about = "brings usage up to its minimum"},
	[FIRST_OF_LINE + LINE_IS_MAXIMUM] = {"is_maximum", TEMPLATE_FLAG, .about = "brings usage down to its maximum"},
	[FIRST_OF_LINE + LINE_IS_INCLUDED_TAX] = {"is_included_tax", TEMPLATE_FLAG, .about = "tax contained in the prices: its amount is 0, see included_tax"},
	[FIRST_OF_LINE + LINE_IS_ROUNDING] = {"is_rounding", TEMPLATE_FLAG, .about = "currency rounding"},
	[FIRST_OF_LINE + LINE_IS_CARRIED] = {"is_carried", TEMPLATE_FLAG, .about = "credit of earlier months"},
	[FIRST_OF_LINE + LINE_IS_ARREARS] = {"is_arrears", TEMPLATE_FLAG, .about = "unpaid amounts of earlier months"},
	[FIRST_OF_LINE + LINE_IS_CREDIT_FORWARD] = {"is_credit_forward", TEMPLATE_FLAG, .about = "credit for the next month"},
};

static const TemplateVocabulary of_bill = {names, FIRST_OF_LINE + LINE_NAME_COUNT, NAME_BILL_COUNT};
static const TemplateVocabulary of_void = {names, NAME_VOID_COUNT, NAME_VOID_COUNT};

const TemplateVocabulary *
vocabulary_of(const char *kind)
{
	if (strcmp(kind, "bill") == 0 || strcmp(kind, "rebill") == 0)
		return &of_bill;
	return strcmp(kind, "void") == 0 ? &of_void : NULL;
}

const char *const *
notice_parts(const char *channel)
{
	static const char *const email[NOTICE_PARTS_MAX + 1] = {"subject", "html", "text"};
	static const char *const sms[NOTICE_PARTS_MAX + 1] = {"text"};
	static const char *const push[NOTICE_PARTS_MAX + 1] = {"title", "body"};

	if (strcmp(channel, "email") == 0)
		return email;
	if (strcmp(channel, "sms") == 0)
		return sms;
	return strcmp(channel, "push") == 0 ? push : NULL;
}

TemplateMode
notice_part_mode(const char *part)
{
	if (strcmp(part, "subject") == 0 || strcmp(part, "title") == 0)
		return TEMPLATE_HEADER;
	return strcmp(part, "html") == 0 ? TEMPLATE_HTML : TEMPLATE_TEXT;
}
