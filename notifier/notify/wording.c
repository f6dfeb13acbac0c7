/*
 * wording.c: months, days, amounts and quantities as people write them (see wording.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ymd.h"
#include "notify/wording.h"

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December"};

Wording
wording_of(const char *locale)
{
	if (strncmp(locale, "ko", 2) == 0)
		return WORDING_KOREAN;
	return strncmp(locale, "en", 2) == 0 ? WORDING_ENGLISH : WORDING_NONE;
}

/* What snprintf wrote; everything here fits. */
static size_t
length(int written)
{
	if (written < 0 || written >= WORDING_MAX)
		abort();
	return (size_t) written;
}

#define PRINT(out, ...) length(snprintf((out), WORDING_MAX, __VA_ARGS__))

size_t
wording_month(Wording wording, int32_t day, char *out)
{
	const Ymd ymd = ymd_from_day(day);

	switch (wording)
	{
		case WORDING_KOREAN:
			return PRINT(out, "%d년 %d월", ymd.year, ymd.month);
		case WORDING_ENGLISH:
			return PRINT(out, "%s %d", months[ymd.month - 1], ymd.year);
		default:
			return PRINT(out, "%04d-%02d", ymd.year, ymd.month);
	}
}

size_t
wording_date(Wording wording, int32_t day, char *out)
{
	const Ymd ymd = ymd_from_day(day);

	switch (wording)
	{
		case WORDING_KOREAN:
			return PRINT(out, "%d년 %d월 %d일", ymd.year, ymd.month, ymd.day);
		case WORDING_ENGLISH:
			return PRINT(out, "%d %s %d", ymd.day, months[ymd.month - 1], ymd.year);
		default:
			return PRINT(out, "%04d-%02d-%02d", ymd.year, ymd.month, ymd.day);
	}
}

size_t
wording_day(Wording wording, int32_t day, char *out)
{
	const Ymd ymd = ymd_from_day(day);

	switch (wording)
	{
		case WORDING_KOREAN:
			return PRINT(out, "%d월 %d일", ymd.month, ymd.day);
		case WORDING_ENGLISH:
			return PRINT(out, "%d %s", ymd.day, months[ymd.month - 1]);
		default:
			return PRINT(out, "%02d-%02d", ymd.month, ymd.day);
	}
}

/* Amounts and numbers are most of what is written, and printf() would be most of the time it takes. */
static size_t
join(char *out, const char *first, const char *second, const char *third)
{
	char text[WORDING_MAX];
	const size_t len = (size_t) (stpcpy(stpcpy(stpcpy(text, first), second), third) - text);

	memcpy(out, text, len);
	return len;
}

static const char *
sign(int64_t number)
{
	return number < 0 ? "-" : "";
}

/* The magnitude with separators, with a zero at its end; at most 26 digits and separators, a point and 4 decimals. */
static const char *
group(int64_t number, int exponent, char *buffer, size_t size)
{
	uint64_t rest = number < 0 ? -(uint64_t) number : (uint64_t) number;
	char *at = buffer + size;

	*--at = '\0';
	for (int i = 0; i < exponent; i++, rest /= 10)
		*--at = (char) ('0' + rest % 10);
	if (exponent > 0)
		*--at = '.';
	for (int digits = 0; digits == 0 || rest > 0; digits++, rest /= 10)
	{
		if (digits > 0 && digits % 3 == 0)
			*--at = ',';
		*--at = (char) ('0' + rest % 10);
	}
	return at;
}

size_t
wording_number(int64_t number, char *out)
{
	char digits[40];

	return join(out, sign(number), group(number, 0, digits, sizeof(digits)), "");
}

size_t
wording_plain_amount(int64_t minor, const char *currency, int exponent, char *out)
{
	char digits[40];
	const char code[] = {currency[0], currency[1], currency[2], ' ', '\0'};

	return join(out, code, sign(minor), group(minor, exponent, digits, sizeof(digits)));
}

size_t
wording_amount(Wording wording, int64_t minor, const char *currency, int exponent, char *out)
{
	static const struct {
		const char *code, *symbol;
	} symbols[] = {{"KRW", "₩"}, {"USD", "$"}, {"EUR", "€"}, {"GBP", "£"}, {"JPY", "¥"}};
	char digits[40];

	if (wording == WORDING_KOREAN && strcmp(currency, "KRW") == 0)
		return join(out, sign(minor), group(minor, exponent, digits, sizeof(digits)), "원");
	for (size_t i = 0; wording != WORDING_NONE && i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (strcmp(currency, symbols[i].code) == 0)
			return join(out, sign(minor), symbols[i].symbol, group(minor, exponent, digits, sizeof(digits)));
	return wording_plain_amount(minor, currency, exponent, out);
}

/* Minutes and seconds, because tariffs speak of minutes. */
static size_t
duration(Wording wording, int64_t seconds, char *out)
{
	const char *minute = wording == WORDING_KOREAN ? "분" : " min";
	const char *second = wording == WORDING_KOREAN ? "초" : " s";
	char digits[40];
	const char *minutes = group(seconds / 60, 0, digits, sizeof(digits));

	if (seconds < 60)
		return PRINT(out, "%d%s", (int) seconds, second);
	if (seconds % 60 == 0)
		return PRINT(out, "%s%s", minutes, minute);
	return PRINT(out, "%s%s %d%s", minutes, minute, (int) (seconds % 60), second);
}

size_t
wording_quantity(Wording wording, int64_t quantity, const char *metric, char *out)
{
	static const struct {
		const char *code, *korean, *english, *english_one;
	} units[] = {
		{"b", " B", " B", " B"}, {"kb", " KB", " KB", " KB"}, {"mb", " MB", " MB", " MB"}, {"gb", " GB", " GB", " GB"},
		{"tb", " TB", " TB", " TB"}, {"min", "분", " min", " min"}, {"h", "시간", " h", " h"},
		{"sms", "건", " messages", " message"}, {"mms", "건", " messages", " message"}, {"lms", "건", " messages", " message"},
	};
	const char *underscore = strrchr(metric, '_');
	const char *code = underscore != NULL ? underscore + 1 : metric;
	char digits[40];
	const char *number = group(quantity, 0, digits, sizeof(digits));

	if (underscore != NULL && (strcmp(code, "s") == 0 || strcmp(code, "sec") == 0))
		return duration(wording, quantity, out);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(code, units[i].code) == 0 && (underscore != NULL || strlen(code) == 3) && (wording != WORDING_NONE || i < 7))
			return join(out, number, "",
						wording == WORDING_KOREAN ? units[i].korean : quantity == 1 ? units[i].english_one : units[i].english);
	const size_t len = join(out, number, " ", "");
	memcpy(out + len, metric, strlen(metric));
	return len + strlen(metric);
}
