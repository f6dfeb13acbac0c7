/*
 * ymd.h: calendar days without time zones.
 *
 * A day is an int32 counted from 2000-01-01 = 0, PostgreSQL's own DateADT, so no conversion happens at the server's
 * edge. DAY_MIN and DAY_MAX stand for -infinity and infinity ("no start", "no end"). Ranges are half-open.
 */
#ifndef COMMON_YMD_H
#define COMMON_YMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAY_MIN INT32_MIN
#define DAY_MAX INT32_MAX

typedef struct Ymd {
	int32_t year;
	int32_t month; /* 1–12 */
	int32_t day;   /* 1–31 */
} Ymd;

/* A settlement month: [from, to) and its length. */
typedef struct Period {
	int32_t from;
	int32_t to;
	int32_t days;
} Period;

int32_t ymd_to_day(Ymd ymd);
Ymd ymd_from_day(int32_t day);

/* The month that begins on year-month-01; month 1–12. */
Period ymd_period(int32_t year, int32_t month);

/* Reads exactly 'YYYY-MM' (month 01–12). */
bool ymd_parse_period(const char *text, size_t len, Period *period);

/* Writes 'YYYY-MM' / 'YYYY-MM-DD' and the final 0; text has 16 bytes. Returns the length. */
int ymd_print_month(int32_t day, char *text);
int ymd_print_day(int32_t day, char *text);

/* Days of [from, to) that fall into the period. */
int32_t ymd_overlap(Period period, int32_t from, int32_t to);

/*
 * The same range measured in a month of 30 days, 0–30: the days of the range, less what the month of its first day is
 * longer than 30 when the range reaches that month's end (Kill Bill's fixed proration). So the 31st alone is 0 days.
 */
int32_t ymd_overlap_thirty(Period period, int32_t from, int32_t to);

/* Whole calendar years of [from, to); 0 when empty. An infinite from counts as very long. */
int32_t ymd_years(int32_t from, int32_t to);

#endif
