/*
 * position.h: how far a relay is, as the value of a record in the position topic.
 *
 * restart_lsn is the end of the last database transaction that is in Kafka as a whole: replication starts there. Of a
 * larger transaction that is in Kafka in part, (commit_lsn, ordinal) is the last row: what comes again up to there is left
 * out. The key names cluster, database and slot. The counts of events are part of it, so that they are as exact as it is.
 */
#ifndef RELAY_POSITION_H
#define RELAY_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Months it counts events of; beyond that the oldest is forgotten. */
#define POSITION_PERIODS 32

typedef struct PeriodEvents {
	int32_t period; /* first day, since 2000-01-01 */
	uint64_t events;
} PeriodEvents;

typedef struct Position {
	char system_id[24];
	uint32_t timeline;
	uint64_t restart_lsn;
	uint64_t commit_lsn;
	uint64_t next_ordinal; /* rows of commit_lsn's transaction that are in Kafka */
	size_t period_count;
	PeriodEvents periods[POSITION_PERIODS]; /* ascending */
} Position;

#define POSITION_TEXT_SIZE 1536

int position_print(const Position *position, char *text, size_t size);
bool position_parse(const char *text, size_t len, Position *position);

/* One more event of a month. */
void position_count(Position *position, int32_t period);

/* Whether a row is in Kafka already. */
static inline bool
position_covers(const Position *position, uint64_t commit_lsn, uint64_t ordinal)
{
	return commit_lsn < position->commit_lsn ||
		   (commit_lsn == position->commit_lsn && ordinal < position->next_ordinal);
}

/* "0/16B3748" */
int lsn_print(uint64_t lsn, char *text, size_t size);

#endif
