/*
 * wording.h: months, days, amounts and quantities as people write them.
 *
 * Korean and English have words; every other language gets forms that need none (2024-05, EUR 1,234.56), so that a template
 * in any language can be written. Nothing depends on the process's locale or clock: the same values give the same bytes on
 * every machine. Each function writes at most WORDING_MAX bytes, without a terminating zero, and returns how many.
 */
#ifndef NOTIFY_WORDING_H
#define NOTIFY_WORDING_H

#include <stddef.h>
#include <stdint.h>

#define WORDING_MAX 80

typedef enum Wording { WORDING_KOREAN, WORDING_ENGLISH, WORDING_NONE } Wording;

/* Of a locale like ko, en-GB or de. */
Wording wording_of(const char *locale);

/* Days as ymd.h counts them. 2024년 5월, May 2024, 2024-05 */
size_t wording_month(Wording wording, int32_t day, char *out);
/* 2024년 6월 25일, 25 June 2024, 2024-06-25 */
size_t wording_date(Wording wording, int32_t day, char *out);
/* 6월 25일, 25 June, 06-25 */
size_t wording_day(Wording wording, int32_t day, char *out);

/* Minor units of a currency of three letters and 0 to 4 decimals. 12,340원, ₩12,340, -$9.99, CHF 9.99, KRW 12,340 */
size_t wording_amount(Wording wording, int64_t minor, const char *currency, int exponent, char *out);
/* As without words, in any language: KRW 12,340 */
size_t wording_plain_amount(int64_t minor, const char *currency, int exponent, char *out);

size_t wording_number(int64_t number, char *out);

/*
 * A quantity with the unit that the end of its metric's code says: data_mb → 7,500 MB, voice_s → 125분 3초, sms → 20건; another
 * metric gives its code. Writes the metric's bytes too: at most WORDING_MAX and its length.
 */
size_t wording_quantity(Wording wording, int64_t quantity, const char *metric, char *out);

#endif
