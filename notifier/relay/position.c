/*
 * position.c: how far a relay is, as text (see position.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/ymd.h"
#include "relay/position.h"

#define FORMAT_VERSION 1

int
lsn_print(uint64_t lsn, char *text, size_t size)
{
	return snprintf(text, size, "%X/%X", (uint32_t) (lsn >> 32), (uint32_t) lsn);
}

int
position_print(const Position *position, char *text, size_t size)
{
	int len = snprintf(text, size,
					   "{\"version\":%d,\"system_id\":\"%s\",\"timeline\":%" PRIu32 ",\"restart_lsn\":\"%X/%X\","
					   "\"commit_lsn\":\"%X/%X\",\"next_ordinal\":%" PRIu64 ",\"events\":{",
					   FORMAT_VERSION, position->system_id, position->timeline, (uint32_t) (position->restart_lsn >> 32),
					   (uint32_t) position->restart_lsn, (uint32_t) (position->commit_lsn >> 32),
					   (uint32_t) position->commit_lsn, position->next_ordinal);

	for (size_t i = 0; i < position->period_count; i++)
	{
		char month[16];

		(void) ymd_print_month(position->periods[i].period, month);
		len += snprintf(text + len, size - (size_t) len, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", month,
						position->periods[i].events);
	}
	len += snprintf(text + len, size - (size_t) len, "}}");
	return len;
}

static bool
parse_events(const char *text, Position *position)
{
	while (position->period_count < POSITION_PERIODS)
	{
		PeriodEvents *next = &position->periods[position->period_count];
		int year, month, len = 0;

		if (sscanf(text, "%*[,]%n", &len) == 0 && len > 0)
			text += len;
		if (sscanf(text, "\"%4d-%2d\":%" SCNu64 "%n", &year, &month, &next->events, &len) != 3)
			break;
		if (month < 1 || month > 12 || year < 1)
			return false;
		next->period = ymd_period(year, month).from;
		position->period_count++;
		text += len;
	}
	return strcmp(text, "}}") == 0;
}

/* Only what position_print() writes: anything else is somebody else's record, and guessing would lose events. */
bool
position_parse(const char *text, size_t len, Position *position)
{
	char copy[POSITION_TEXT_SIZE];
	char again[POSITION_TEXT_SIZE];
	unsigned version, restart_high, restart_low, commit_high, commit_low;
	int head = 0;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*position = (Position){0};
	if (sscanf(copy,
			   "{\"version\":%u,\"system_id\":\"%20[0-9]\",\"timeline\":%" SCNu32 ",\"restart_lsn\":\"%X/%X\","
			   "\"commit_lsn\":\"%X/%X\",\"next_ordinal\":%" SCNu64 ",\"events\":{%n",
			   &version, position->system_id, &position->timeline, &restart_high, &restart_low, &commit_high, &commit_low,
			   &position->next_ordinal, &head) != 8 ||
		head == 0 || version != FORMAT_VERSION || !parse_events(copy + head, position))
		return false;
	position->restart_lsn = (uint64_t) restart_high << 32 | restart_low;
	position->commit_lsn = (uint64_t) commit_high << 32 | commit_low;
	return position_print(position, again, sizeof(again)) == (int) len && memcmp(again, copy, len) == 0;
}

void
position_count(Position *position, int32_t period)
{
	PeriodEvents *periods = position->periods;
	size_t place = position->period_count;

	/* Events come month by month, so it is nearly always the last one, or one of a few. */
	while (place > 0 && periods[place - 1].period > period)
		place--;
	if (place > 0 && periods[place - 1].period == period)
	{
		periods[place - 1].events++;
		return;
	}
	if (position->period_count == POSITION_PERIODS)
	{
		if (place == 0)
			return; /* older than all it counts */
		memmove(&periods[0], &periods[1], (place - 1) * sizeof(PeriodEvents));
		place--;
	}
	else
	{
		memmove(&periods[place + 1], &periods[place], (position->period_count - place) * sizeof(PeriodEvents));
		position->period_count++;
	}
	periods[place] = (PeriodEvents){period, 1};
}
