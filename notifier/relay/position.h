/*
 * position.h: how far a relay is, as the value of a record in the position topic.
 *
 * restart_lsn is the end of the last database transaction that is in Kafka as a whole: replication starts there. Of a
 * larger transaction that is in Kafka in part, (commit_lsn, ordinal) is the last row: what comes again up to there is left
 * out. The key names cluster, database and slot.
 */
#ifndef RELAY_POSITION_H
#define RELAY_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Position {
	char system_id[24];
	uint32_t timeline;
	uint64_t restart_lsn;
	uint64_t commit_lsn;
	uint64_t next_ordinal; /* rows of commit_lsn's transaction that are in Kafka */
} Position;

#define POSITION_TEXT_SIZE 256

int position_print(const Position *position, char *text, size_t size);
bool position_parse(const char *text, size_t len, Position *position);

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
