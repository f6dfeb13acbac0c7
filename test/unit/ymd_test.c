/*
 * ymd_test.c: days, months and years of the calendar.
 *
 * Holds to DESIGN.md §3: proration by half-open local days over the days of the month, the 30-day month as an option
 * (D21, D22 of the vectors), tenure in whole calendar years. Every day of 800 years is converted both ways against a
 * calendar that is counted day by day.
 */
#include "rig.h"

static bool
is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t
days_of(int32_t year, int32_t month)
{
	static const int32_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

static void
conversion(void)
{
	int32_t number = ymd_to_day((Ymd){1600, 1, 1});
	int wrong = 0, wrong_months = 0;

	CHECK_INT(day(20000101), 0);
	CHECK_INT(day(19991231), -1);
	CHECK_INT(day(20000301), 60);
	CHECK_INT(day(20240229), 8825);
	CHECK_INT(number, -146097);
	for (int32_t year = 1600; year < 2400; year++)
		for (int32_t month = 1; month <= 12; month++)
		{
			Period period = ymd_period(year, month);

			wrong_months += period.from != number || period.days != days_of(year, month) ||
							period.to != period.from + period.days;
			for (int32_t of_month = 1; of_month <= days_of(year, month); of_month++, number++)
			{
				Ymd ymd = ymd_from_day(number);

				wrong += ymd.year != year || ymd.month != month || ymd.day != of_month || ymd_to_day(ymd) != number;
			}
		}
	CHECK_INT(wrong, 0);
	CHECK_INT(wrong_months, 0);
	CHECK_INT(ymd_to_day(ymd_from_day(DAY_MIN)), DAY_MIN);
	CHECK_INT(ymd_to_day(ymd_from_day(DAY_MAX)), DAY_MAX);
	CHECK_INT(ymd_to_day((Ymd){-4712, 1, 1}), -2451507);
}

static void
text(void)
{
	static const char *const refused[] = {"2024-5", "2024-00", "2024-13", "202405", "2024/05", "24-05", "2024-05-",
		"2024-0a", "-024-05", "0000-01", "", "2024-05-01", " 2024-5"};
	char out[16];
	Period period;

	CHECK(ymd_parse_period("2024-02", 7, &period));
	CHECK_INT(period.from, day(20240201));
	CHECK_INT(period.to, day(20240301));
	CHECK_INT(period.days, 29);
	CHECK(ymd_parse_period("2023-12", 7, &period));
	CHECK_INT(period.to, day(20240101));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
	{
		CHECK_CASE(refused[i]);
		CHECK(!ymd_parse_period(refused[i], strlen(refused[i]), &period));
	}
	CHECK_CASE("");
	CHECK_INT(ymd_print_month(day(20240501), out), 7);
	CHECK_TEXT(out, "2024-05");
	CHECK_INT(ymd_print_day(day(20240509), out), 10);
	CHECK_TEXT(out, "2024-05-09");
	ymd_print_day(ymd_to_day((Ymd){7, 3, 4}), out);
	CHECK_TEXT(out, "0007-03-04");
	ymd_print_day(DAY_MAX, out);
	CHECK_TEXT(out, "infinity");
	ymd_print_month(DAY_MIN, out);
	CHECK_TEXT(out, "-infinity");
	CHECK(ymd_print_day(DAY_MIN + 1, out) < 16);
	CHECK(ymd_print_day(DAY_MAX - 1, out) < 16);
}

static void
overlaps(void)
{
	static const struct {
		const char *name;
		int32_t month, from, to, days, thirty;
	} rows[] = {
		{"whole month", 202405, DAY_MIN, DAY_MAX, 31, 30},
		{"exactly the month", 202405, 20240501, 20240601, 31, 30},
		{"whole February", 202302, DAY_MIN, DAY_MAX, 28, 30},
		{"leap February", 202402, 20240101, DAY_MAX, 29, 30},
		{"first day", 202405, 20240401, 20240502, 1, 1},
		{"last day of 31", 202405, 20240531, DAY_MAX, 1, 0},
		{"last day of 30", 202404, 20240430, DAY_MAX, 1, 1},
		{"last day of February", 202302, 20230228, DAY_MAX, 1, 3},
		{"until the last day", 202405, DAY_MIN, 20240531, 30, 30},
		{"from the second", 202405, 20240502, DAY_MAX, 30, 29},
		{"inside", 202405, 20240510, 20240520, 10, 10},
		{"from the 15th", 202203, 20220315, DAY_MAX, 17, 16},
		{"ends on the first", 202405, 20240401, 20240501, 0, 0},
		{"begins after", 202405, 20240601, DAY_MAX, 0, 0},
		{"empty", 202405, 20240510, 20240510, 0, 0},
		{"backwards", 202405, 20240520, 20240510, 0, 0},
		{"February to its 28th", 202402, 20240201, 20240229, 28, 28},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		Period period = ymd_period(rows[i].month / 100, rows[i].month % 100);

		CHECK_CASE(rows[i].name);
		CHECK_INT(ymd_overlap(period, day(rows[i].from), day(rows[i].to)), rows[i].days);
		CHECK_INT(ymd_overlap_thirty(period, day(rows[i].from), day(rows[i].to)), rows[i].thirty);
	}
	CHECK_CASE("");
	/* a month split on any day: its parts sum to the whole, by both measures */
	for (int32_t month = 1; month <= 12; month++)
	{
		Period period = ymd_period(2023, month);

		for (int32_t split = period.from; split <= period.to; split++)
		{
			int32_t left = ymd_overlap_thirty(period, DAY_MIN, split), right = ymd_overlap_thirty(period, split, DAY_MAX);

			if (ymd_overlap(period, DAY_MIN, split) + ymd_overlap(period, split, DAY_MAX) != period.days ||
				left + right != 30 || left < 0 || right < 0)
				CHECK_INT(split, -1);
		}
	}
	check_passed++;
}

static void
years(void)
{
	static const struct {
		int32_t from, to, years;
	} rows[] = {
		{20240101, 20250101, 1}, {20240101, 20241231, 0}, {20240102, 20260101, 1}, {20231231, 20260101, 2},
		{20200229, 20210228, 0}, {20200229, 20210301, 1}, {20200229, 20240229, 4}, {20200301, 20210301, 1},
		{20240515, 20240515, 0}, {20240515, 20230515, 0}, {19000101, 20240601, 124}, {20240531, 20250601, 1},
		{DAY_MIN, 20240101, INT32_MAX}, {20240101, DAY_MAX, INT32_MAX}, {DAY_MIN, DAY_MAX, INT32_MAX},
		{DAY_MAX, 20240101, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!CHECK_INT(ymd_years(day(rows[i].from), day(rows[i].to)), rows[i].years))
			printf("    from %d to %d\n", rows[i].from, rows[i].to);
}

int
main(void)
{
	conversion();
	text();
	overlaps();
	years();
	return check_done();
}
