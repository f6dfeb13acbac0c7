/*
 * values.h: the values of a notice's template, out of the event's payload.
 *
 * The payload is the data of bill.settled.v1 or bill.voided.v1 (docs/events/). What is missing, malformed or does not add up
 * is an error and never a blank: the notice fails for good, and its customer gets nothing rather than a wrong bill.
 */
#ifndef NOTIFY_VALUES_H
#define NOTIFY_VALUES_H

#include "common/vocabulary.h"
#include "lib/err.h"

/* What is the same for all notices; texts are UTF-8, NULL = not set. */
typedef struct NoticeSettings {
	const char *company; /* needed */
	const char *support;
	const char *pay_url; /* https:// or http:// */
	size_t sms_segments; /* most that an SMS may have */
} NoticeSettings;

typedef struct NoticeInput {
	const char *payload;
	size_t payload_len;
	const char *locale;        /* of the template: how amounts and dates are written */
	const char *customer_name; /* NULL = unknown */
} NoticeInput;

/* Belongs to one notice at a time; its memory is kept for the next. All zeros at first. */
typedef struct Values {
	TemplateValue top[NAME_BILL_COUNT];
	TemplateValue *items;
	size_t items_size; /* bytes */
	char *strings; /* of the payload, without escapes */
	size_t strings_len;
	size_t strings_size;
	char *text; /* what was formatted */
	size_t text_len;
	size_t text_size;
} Values;

/* What is wrong with settings; each notice would fail of it. */
bool notice_settings_check(const NoticeSettings *settings, Err *err) MUST_CHECK;

/* Values of a notice of that kind: void takes a payload of kind void, and bill and rebill one of a bill. */
bool values_read(Values *values, const char *kind, const NoticeInput *input, const NoticeSettings *settings, Err *err) MUST_CHECK;
void values_free(Values *values);

#endif
