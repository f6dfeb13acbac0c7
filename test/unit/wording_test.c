/*
 * wording_test.c: months, days, amounts and quantities as people write them, and the segments of an SMS.
 *
 * Holds to DESIGN.md §7: amounts have separators and their currency, in Korean, in English and without words; an SMS is
 * counted as networks count it.
 */
#include <stdlib.h>

#include "check.h"

#include "common/ymd.h"
#include "notify/segments.h"
#include "notify/wording.h"

/* ---- wording ----------------------------------------------------------------------------------------------------- */

static void
amounts(void)
{
	static const struct {
		Wording wording;
		int64_t minor;
		const char *currency;
		int exponent;
		const char *wanted;
	} cases[] = {
		{WORDING_KOREAN, 12340, "KRW", 0, "12,340원"},
		{WORDING_KOREAN, -999, "KRW", 0, "-999원"},
		{WORDING_KOREAN, 0, "KRW", 0, "0원"},
		{WORDING_KOREAN, 999, "USD", 2, "$9.99"},
		{WORDING_ENGLISH, 12340, "KRW", 0, "₩12,340"},
		{WORDING_ENGLISH, 999, "USD", 2, "$9.99"},
		{WORDING_ENGLISH, -5, "USD", 2, "-$0.05"},
		{WORDING_ENGLISH, 100000000, "EUR", 2, "€1,000,000.00"},
		{WORDING_ENGLISH, 1234567, "CHF", 2, "CHF 12,345.67"},
		{WORDING_ENGLISH, 1234567, "BHD", 3, "BHD 1,234.567"},
		{WORDING_ENGLISH, 1234567, "CLF", 4, "CLF 123.4567"},
		{WORDING_NONE, 1234567, "EUR", 2, "EUR 12,345.67"},
		{WORDING_NONE, -1, "KRW", 0, "KRW -1"},
		{WORDING_ENGLISH, INT64_MIN, "USD", 2, "-$92,233,720,368,547,758.08"},
		{WORDING_NONE, INT64_MAX, "XTS", 0, "XTS 9,223,372,036,854,775,807"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char out[WORDING_MAX + 1] = "";

		CHECK_CASE(cases[i].wanted);
		out[wording_amount(cases[i].wording, cases[i].minor, cases[i].currency, cases[i].exponent, out)] = '\0';
		CHECK_TEXT(out, cases[i].wanted);
	}
}

static void
quantities(void)
{
	static const struct {
		Wording wording;
		int64_t quantity;
		const char *metric, *wanted;
	} cases[] = {
		{WORDING_KOREAN, 7345, "data_mb", "7,345 MB"},     {WORDING_ENGLISH, 1, "data_gb", "1 GB"},
		{WORDING_KOREAN, 7325, "voice_s", "122분 5초"},    {WORDING_ENGLISH, 7325, "voice_s", "122 min 5 s"},
		{WORDING_KOREAN, 7200, "voice_s", "120분"},        {WORDING_ENGLISH, 59, "voice_sec", "59 s"},
		{WORDING_KOREAN, 0, "voice_s", "0초"},             {WORDING_NONE, 6000000, "voice_s", "100,000 min"},
		{WORDING_KOREAN, 131, "sms", "131건"},             {WORDING_ENGLISH, 1, "sms", "1 message"},
		{WORDING_ENGLISH, 20, "intl_sms", "20 messages"},  {WORDING_NONE, 20, "sms", "20 sms"},
		{WORDING_KOREAN, 5, "voice_min", "5분"},           {WORDING_ENGLISH, 1500, "api_calls", "1,500 api_calls"},
		{WORDING_ENGLISH, 3, "s", "3 s"},                  {WORDING_ENGLISH, 3, "h", "3 h"},
		{WORDING_KOREAN, INT64_MAX, "voice_s", "153,722,867,280,912,930분 7초"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char out[WORDING_MAX + 40] = "";

		CHECK_CASE(cases[i].wanted);
		out[wording_quantity(cases[i].wording, cases[i].quantity, cases[i].metric, out)] = '\0';
		CHECK_TEXT(out, cases[i].wanted);
	}
}

static void
days(void)
{
	static const struct {
		const char *locale;
		const char *month, *date, *day;
	} cases[] = {
		{"ko", "2024년 6월", "2024년 6월 5일", "6월 5일"},
		{"ko-KR", "2024년 6월", "2024년 6월 5일", "6월 5일"},
		{"en", "June 2024", "5 June 2024", "5 June"},
		{"en-GB", "June 2024", "5 June 2024", "5 June"},
		{"de", "2024-06", "2024-06-05", "06-05"},
	};
	const int32_t day = ymd_to_day((Ymd){2024, 6, 5});

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const Wording wording = wording_of(cases[i].locale);
		char out[WORDING_MAX + 1] = "";

		CHECK_CASE(cases[i].locale);
		out[wording_month(wording, day, out)] = '\0';
		CHECK_TEXT(out, cases[i].month);
		out[wording_date(wording, day, out)] = '\0';
		CHECK_TEXT(out, cases[i].date);
		out[wording_day(wording, day, out)] = '\0';
		CHECK_TEXT(out, cases[i].day);
	}
}

/* ---- segments ---------------------------------------------------------------------------------------------------- */

/* A text of `count` times `piece` after `before`. */
static void
check_segments(const char *before, const char *piece, int count, bool gsm, size_t units, size_t segments)
{
	char text[2048] = "";

	strcpy(text, before);
	for (int i = 0; i < count; i++)
		strcat(text, piece);
	char *exact = malloc(strlen(text) + 1);
	memcpy(exact, text, strlen(text));
	const Segments seen = segments_of(exact, strlen(text));
	CHECK_CASE(text);
	CHECK_INT(seen.gsm, gsm);
	CHECK_INT(seen.units, units);
	CHECK_INT(seen.count, segments);
	free(exact);
}

static void
sms_segments(void)
{
	check_segments("", "", 0, true, 0, 1);
	check_segments("", "a", 160, true, 160, 1);
	check_segments("", "a", 161, true, 161, 2);
	check_segments("", "a", 306, true, 306, 2);
	check_segments("", "a", 307, true, 307, 3);
	check_segments("", "€", 80, true, 160, 1);
	check_segments("a", "€", 80, true, 161, 2);
	/* an escaped character does not go over the end of a segment: 76 in each, with the letter in the first */
	check_segments("a", "€", 152, true, 305, 2);
	check_segments("", "€", 152, true, 304, 2);
	check_segments("", "€", 153, true, 306, 3);
	check_segments("Δ@£¥èéùìòÇØøÅåΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n\r", "", 0, true, 42, 1);
	check_segments("^{}\\[~]|", "", 0, true, 16, 1);
	check_segments("`", "a", 3, false, 4, 1);
	check_segments("ç", "", 0, false, 1, 1);
	check_segments("₩", "1", 69, false, 70, 1);
	check_segments("", "가", 70, false, 70, 1);
	check_segments("", "가", 71, false, 71, 2);
	check_segments("", "가", 134, false, 134, 2);
	check_segments("", "가", 135, false, 135, 3);
	check_segments("", "😀", 35, false, 70, 1);
	check_segments("", "😀", 36, false, 72, 2);
	check_segments("", "😀", 66, false, 132, 2);
	check_segments("", "😀", 67, false, 134, 3);
	check_segments("", "\x80", 3, false, 3, 1);
	check_segments("\xF0\x9F\x98", "", 0, false, 3, 1);
}

int
main(void)
{
	amounts();
	quantities();
	days();
	sms_segments();
	return check_done();
}
