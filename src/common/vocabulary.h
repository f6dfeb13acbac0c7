/*
 * vocabulary.h: what a template of a notice can say, and of which parts a notice is made.
 *
 * The kinds are bill, rebill (a bill that replaces an earlier one) and void (a bill is taken back). The extension checks
 * templates against a vocabulary when they are saved, the notifier fills one in; the order of the names is that of the
 * enums. The names of a void are the first of those of a bill. Freestanding.
 */
#ifndef COMMON_VOCABULARY_H
#define COMMON_VOCABULARY_H

#include "common/template.h"

typedef enum NoticeName {
	NAME_COMPANY,
	NAME_CUSTOMER_NAME,
	NAME_SUPPORT,
	NAME_ACCOUNT,
	NAME_PERIOD,
	NAME_MONTH,
	NAME_REVISION,
	NAME_VOID_COUNT,

	NAME_REVISED = NAME_VOID_COUNT,
	NAME_PAY_URL,
	NAME_CURRENCY,
	NAME_TOTAL,
	NAME_TOTAL_PLAIN,
	NAME_NOTHING_DUE,
	NAME_DUE_ON,
	NAME_DUE_DAY,
	NAME_DUE_DATE,
	/* sums, in the order of the payload's keys */
	NAME_RECURRING,
	NAME_USAGE,
	NAME_ONE_OFF,
	NAME_DISCOUNT,
	NAME_TAX,
	NAME_INCLUDED_TAX,
	NAME_ROUNDING,
	NAME_CARRIED,
	NAME_ARREARS,
	NAME_CREDIT_FORWARD,
	NAME_LINE_COUNT,
	NAME_LINES,
	NAME_BILL_COUNT
} NoticeName;

typedef enum LineName {
	LINE_NAME,
	LINE_AMOUNT,
	LINE_NEGATIVE,
	LINE_QUANTITY,
	LINE_SEVERAL,
	LINE_DAYS,
	LINE_PART_MONTH,
	LINE_GROUP,
	LINE_IN_RECURRING,
	LINE_IN_USAGE,
	LINE_IN_ONE_OFF,
	LINE_IN_DISCOUNT,
	LINE_IN_TAX,
	LINE_IN_OTHER,
	LINE_IS_MINIMUM,
	LINE_IS_MAXIMUM,
	LINE_IS_INCLUDED_TAX,
	LINE_IS_ROUNDING,
	LINE_IS_CARRIED,
	LINE_IS_ARREARS,
	LINE_IS_CREDIT_FORWARD,
	LINE_NAME_COUNT
} LineName;

/* NULL: there is no such kind. */
const TemplateVocabulary *vocabulary_of(const char *kind);

#define NOTICE_PARTS_MAX 3

/* The names of a channel's parts, in their order, and NULL; NULL: there is no such channel. */
const char *const *notice_parts(const char *channel);

/* subject and title are headers, html is HTML, text and body are text. */
TemplateMode notice_part_mode(const char *part);

#endif
