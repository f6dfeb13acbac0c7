/*
 * due.c: when a notice may go, in the account's own time zone.
 *
 * Wall clocks are kept, never offsets: every question is asked of the zone's rules at that instant. A wall time that a zone
 * skips in spring is the first instant after the gap; one that it has twice in autumn is the first of the two that is not
 * past. Of send_day and send_time a past one means now; quiet hours then decide, may lie across midnight, and are none when
 * their ends are equal. What waits for the end of quiet hours is spread after it, always alike for one account.
 */
#include "compat.h"

#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define SECONDS_PER_DAY 86400

PG_FUNCTION_INFO_V1(settle_due_at);

typedef struct Clock {
	pg_tz *zone;
	TimestampTz at; /* never earlier than this */
} Clock;

typedef struct Wall {
	int day;    /* since 2000-01-01 */
	int second; /* of the day, as the clock on the wall shows it */
} Wall;

static Wall
wall_at(const Clock *clock, TimestampTz instant)
{
	struct pg_tm tm;
	fsec_t fraction;
	int offset;

	if (timestamp2tm(instant, &offset, &tm, &fraction, NULL, clock->zone) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	return (Wall){date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE,
				  tm.tm_hour * SECS_PER_HOUR + tm.tm_min * SECS_PER_MINUTE + tm.tm_sec};
}

static bool
shows(const Clock *clock, TimestampTz instant, Wall wall)
{
	const Wall seen = wall_at(clock, instant);

	return seen.day == wall.day && seen.second == wall.second;
}

/* The first instant, not before clock->at if the wall shows it twice, at which the wall shows this or more. */
static TimestampTz
instant_of(const Clock *clock, Wall wall)
{
	struct pg_tm tm = {0};
	int year, month, day;

	j2date(wall.day + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	tm.tm_year = year;
	tm.tm_mon = month;
	tm.tm_mday = day;
	tm.tm_hour = wall.second / SECS_PER_HOUR;
	tm.tm_min = wall.second / SECS_PER_MINUTE % MINS_PER_HOUR;
	tm.tm_sec = wall.second % SECS_PER_MINUTE;
	const int offset = DetermineTimeZoneOffset(&tm, clock->zone);
	const TimestampTz instant = ((TimestampTz) wall.day * SECONDS_PER_DAY + wall.second + offset) * USECS_PER_SEC;

	/* Zones change by half an hour to two hours; twenty minutes are the smallest step anybody has taken. */
	for (int step = -12; step <= 12; step++)
	{
		const TimestampTz other = instant + step * 10 * SECS_PER_MINUTE * USECS_PER_SEC;

		if (other >= clock->at && shows(clock, other, wall))
			return other;
	}
	if (shows(clock, instant, wall))
		return instant;
	/* Skipped: the first instant after the gap. */
	TimestampTz low = instant - 3 * USECS_PER_HOUR, high = instant + 3 * USECS_PER_HOUR;
	while (high - low > 1)
	{
		const TimestampTz middle = low + (high - low) / 2;
		const Wall seen = wall_at(clock, middle);

		if (seen.day < wall.day || (seen.day == wall.day && seen.second < wall.second))
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* The day and time of the month that comes after `period`, or now when it is past. */
static TimestampTz
reserved_instant(const Clock *clock, DateADT period, int send_day, int send_second)
{
	int year, month, day;

	j2date(period + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	month = month % 12 + 1;
	year += month == 1;
	const TimestampTz reserved = instant_of(clock, (Wall){date2j(year, month, send_day) - POSTGRES_EPOCH_JDATE, send_second});
	return Max(reserved, clock->at);
}

static TimestampTz
after_quiet_hours(const Clock *clock, TimestampTz instant, int start, int end, int spread)
{
	const Wall wall = wall_at(clock, instant);
	const bool quiet = start < end ? wall.second >= start && wall.second < end
								   : start > end && (wall.second >= start || wall.second < end);

	if (!quiet)
		return instant;
	const Clock not_before = {clock->zone, instant};
	const Wall open = {wall.second < end ? wall.day : wall.day + 1, end};
	return instant_of(&not_before, open) + spread * USECS_PER_SEC;
}

static pg_tz *
find_zone(const text *name)
{
	pg_tz *zone = name != NULL ? pg_tzset(text_to_cstring(name)) : NULL;

	return zone != NULL ? zone : session_timezone;
}

static int
second_of_day(TimeADT time)
{
	return (int) (time / USECS_PER_SEC % SECONDS_PER_DAY);
}

/* period, time_zone, send_day, send_time, quiet_start, quiet_end, spread (0 to spread_limit seconds), at */
Datum
settle_due_at(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(6) || PG_ARGISNULL(7))
		PG_RETURN_NULL();
	const Clock clock = {find_zone(PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1)), PG_GETARG_TIMESTAMPTZ(7)};
	TimestampTz due = clock.at;

	if (TIMESTAMP_NOT_FINITE(clock.at))
		PG_RETURN_TIMESTAMPTZ(clock.at);
	if (!PG_ARGISNULL(2))
		due = reserved_instant(&clock, PG_GETARG_DATEADT(0), PG_GETARG_INT32(2), PG_ARGISNULL(3) ? 0 : second_of_day(PG_GETARG_TIMEADT(3)));
	if (!PG_ARGISNULL(4) && !PG_ARGISNULL(5))
		due = after_quiet_hours(&clock, due, second_of_day(PG_GETARG_TIMEADT(4)), second_of_day(PG_GETARG_TIMEADT(5)), PG_GETARG_INT32(6));
	PG_RETURN_TIMESTAMPTZ(due);
}
