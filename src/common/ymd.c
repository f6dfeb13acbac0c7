/*
 * ymd.c: calendar arithmetic on day numbers.
 *
 * Responsible for turning days into dates and back (proleptic Gregorian, every int32 day), for the settlement month and
 * for the three measures rating takes of a range of days: calendar days, days of a 30-day month, whole years.
 *
 * The invariant: everything is integer arithmetic on half-open ranges, so the parts of a split range always sum to the
 * whole and daylight saving cannot change an amount. Called by rating (overlaps and years, once or twice per
 * subscription) and at the edges (parsing and printing months).
 *
 * Not here: time zones. Which day an instant belongs to is decided in SQL.
 */
#include "common/ymd.h"

/* 0000-03-01 to 2000-01-01: the conversions count from a 1 March, which puts the leap day at the end of the year */
#define DAYS_TO_2000 730425
#define DAYS_IN_400_YEARS 146097

int32_t
ymd_to_day(Ymd ymd)
{
	int64_t year = (int64_t) ymd.year - (ymd.month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (ymd.month + (ymd.month > 2 ? -3 : 9)) + 2) / 5 + ymd.day - 1;

	return (int32_t) (era * DAYS_IN_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_2000);
}

Ymd
ymd_from_day(int32_t day)
{
	int64_t count = (int64_t) day + DAYS_TO_2000;
	int64_t era = (count >= 0 ? count : count - (DAYS_IN_400_YEARS - 1)) / DAYS_IN_400_YEARS;
	int64_t of_era = count - era * DAYS_IN_400_YEARS;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_IN_400_YEARS - 1)) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	Ymd ymd;

	ymd.day = (int32_t) (of_year - (153 * month + 2) / 5 + 1);
	ymd.month = (int32_t) (month < 10 ? month + 3 : month - 9);
	ymd.year = (int32_t) (year + era * 400 + (ymd.month <= 2));
	return ymd;
}

Period
ymd_period(int32_t year, int32_t month)
{
	Ymd next = {month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1};
	Period period;

	period.from = ymd_to_day((Ymd){year, month, 1});
	period.to = ymd_to_day(next);
	period.days = period.to - period.from;
	return period;
}

bool
ymd_parse_period(const char *text, size_t len, Period *period)
{
	int32_t number[2] = {0, 0};

	if (len != 7 || text[4] != '-')
		return false;
	for (int i = 0; i < 7; i++)
	{
		if (i == 4)
			continue;
		if (text[i] < '0' || text[i] > '9')
			return false;
		number[i > 4] = number[i > 4] * 10 + (text[i] - '0');
	}
	/* there is no year 0 in SQL dates */
	if (number[0] < 1 || number[1] < 1 || number[1] > 12)
		return false;
	*period = ymd_period(number[0], number[1]);
	return true;
}

/* Appends a number with at least `width` digits. */
static int
put_number(char *text, int at, int32_t number, int width)
{
	uint32_t value = number < 0 ? 0u - (uint32_t) number : (uint32_t) number;
	char reverse[10];
	int count = 0;

	if (number < 0)
		text[at++] = '-';
	while (value > 0 || count < width)
	{
		reverse[count++] = (char) ('0' + (int) (value % 10));
		value /= 10;
	}
	while (count > 0)
		text[at++] = reverse[--count];
	return at;
}

/* The two ends of time as PostgreSQL writes them; 0 for any other day. */
static int
put_infinity(char *text, int32_t day)
{
	const char *word = day == DAY_MIN ? "-infinity" : day == DAY_MAX ? "infinity" : "";
	int len = 0;

	for (; word[len] != '\0'; len++)
		text[len] = word[len];
	text[len] = '\0';
	return len;
}

int
ymd_print_month(int32_t day, char *text)
{
	int len = put_infinity(text, day);
	Ymd ymd;

	if (len > 0)
		return len;
	ymd = ymd_from_day(day);
	len = put_number(text, 0, ymd.year, 4);
	text[len++] = '-';
	len = put_number(text, len, ymd.month, 2);
	text[len] = '\0';
	return len;
}

int
ymd_print_day(int32_t day, char *text)
{
	int len = ymd_print_month(day, text);

	if (day == DAY_MIN || day == DAY_MAX)
		return len;
	text[len++] = '-';
	len = put_number(text, len, ymd_from_day(day).day, 2);
	text[len] = '\0';
	return len;
}

int32_t
ymd_overlap(Period period, int32_t from, int32_t to)
{
	int32_t first = from > period.from ? from : period.from;
	int32_t end = to < period.to ? to : period.to;

	return end > first ? end - first : 0;
}

int32_t
ymd_overlap_thirty(Period period, int32_t from, int32_t to)
{
	int32_t first = from > period.from ? from : period.from;
	int32_t end = to < period.to ? to : period.to;
	int32_t days = end > first ? end - first : 0;
	Ymd start, stop;

	if (days == 0 || days == period.days)
		return days == 0 ? 0 : 30;
	start = ymd_from_day(first);
	stop = ymd_from_day(end);
	if (start.month != stop.month)
		days -= ymd_period(start.year, start.month).days - 30;
	return days < 0 ? 0 : days > 30 ? 30 : days;
}

int32_t
ymd_years(int32_t from, int32_t to)
{
	Ymd start, stop;

	if (from >= to)
		return 0;
	if (from == DAY_MIN || to == DAY_MAX)
		return INT32_MAX;
	start = ymd_from_day(from);
	stop = ymd_from_day(to);
	return stop.year - start.year - (stop.month * 32 + stop.day < start.month * 32 + start.day);
}
