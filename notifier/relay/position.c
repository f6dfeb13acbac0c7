/*
 * position.c: how far a relay is, as text (see position.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
	return snprintf(text, size,
					"{\"version\":%d,\"system_id\":\"%s\",\"timeline\":%" PRIu32 ",\"restart_lsn\":\"%X/%X\","
					"\"commit_lsn\":\"%X/%X\",\"next_ordinal\":%" PRIu64 "}",
					FORMAT_VERSION, position->system_id, position->timeline, (uint32_t) (position->restart_lsn >> 32),
					(uint32_t) position->restart_lsn, (uint32_t) (position->commit_lsn >> 32),
					(uint32_t) position->commit_lsn, position->next_ordinal);
}

/* Only what position_print() writes: anything else is somebody else's record, and guessing would lose events. */
bool
position_parse(const char *text, size_t len, Position *position)
{
	char copy[POSITION_TEXT_SIZE];
	char again[POSITION_TEXT_SIZE];
	unsigned version, restart_high, restart_low, commit_high, commit_low;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*position = (Position){0};
	if (sscanf(copy,
			   "{\"version\":%u,\"system_id\":\"%20[0-9]\",\"timeline\":%" SCNu32 ",\"restart_lsn\":\"%X/%X\","
			   "\"commit_lsn\":\"%X/%X\",\"next_ordinal\":%" SCNu64 "}",
			   &version, position->system_id, &position->timeline, &restart_high, &restart_low, &commit_high, &commit_low,
			   &position->next_ordinal) != 8 ||
		version != FORMAT_VERSION)
		return false;
	position->restart_lsn = (uint64_t) restart_high << 32 | restart_low;
	position->commit_lsn = (uint64_t) commit_high << 32 | commit_low;
	return position_print(position, again, sizeof(again)) == (int) len && memcmp(again, copy, len) == 0;
}
