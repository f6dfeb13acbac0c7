/*
 * groups.h: the members of each group, frozen for a run.
 *
 * Group members live in any bucket, so no worker can count them; the leader counts once when it creates the run and
 * stores the result in settle.run.group_sizes. Encoding: the groups by rising id, each as two varints (LEB128): the
 * difference to the previous id (the first: zigzag of the id itself) and the number of members.
 */
#ifndef STORE_GROUPS_H
#define STORE_GROUPS_H

#include "postgres.h"

typedef struct GroupSizes {
	int32 count;
	int64 *group_ids; /* rising */
	int32 *sizes;
} GroupSizes;

/* Counts the members of all groups that exist, 0 included; inside a transaction with SPI connected. */
extern GroupSizes *groups_count(void);

extern bytea *groups_encode(const GroupSizes *groups);
extern GroupSizes *groups_decode(const bytea *encoded);

/* Members of a group; -1 when it does not exist. */
extern int32 groups_size(const GroupSizes *groups, int64 group_id);

#endif
