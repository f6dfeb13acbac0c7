/*
 * collect.h: rows streamed in, sorted to their owners in linear time.
 *
 * The containers of the reader: a growing array of fixed-size rows with their owner (Rows), a map from account id to its
 * place (Map), and the sums of usage (UsageSums). All memory comes from the context they were initialised in and goes
 * with it.
 */
#ifndef STORE_COLLECT_H
#define STORE_COLLECT_H

#include "postgres.h"

#include "rate/rate.h"

typedef struct Rows {
	MemoryContext context;
	size_t item_size;
	uint32 count;
	uint32 room;
	void *items;
	uint32 *owners; /* NULL when rows have none */
} Rows;

extern void rows_init(Rows *rows, size_t item_size, bool owned);

/* Makes room for one more; the caller fills what rows_add() zeroed. */
extern void rows_grow(Rows *rows);

static inline void *
rows_add(Rows *rows, uint32 owner)
{
	if (rows->count == rows->room)
		rows_grow(rows);
	void *item = (char *) rows->items + (size_t) rows->count * rows->item_size;
	memset(item, 0, rows->item_size);
	if (rows->owners != NULL)
		rows->owners[rows->count] = owner;
	rows->count++;
	return item;
}

/*
 * Sorts the rows by owner (0 … owner_count − 1) and inside an owner by compare. Returns owner_count + 1 offsets: owner i
 * has the rows starts[i] … starts[i + 1] − 1.
 */
extern const uint32 *rows_group(Rows *rows, uint32 owner_count, int (*compare)(const void *, const void *));

#define MAP_NONE UINT32_MAX

typedef struct MapEntry {
	int64 key;
	uint32 place; /* MAP_NONE = free */
} MapEntry;

typedef struct Map {
	MemoryContext context;
	MapEntry *entries;
	uint32 count;
	uint32 mask;
} Map;

extern void map_init(Map *map);
extern uint32 map_find(const Map *map, int64 key);
extern void map_add(Map *map, int64 key, uint32 place); /* the key must be new */

typedef struct UsageSums {
	Rows sums;      /* of Usage, with owners */
	Rows seen;      /* of UsageSeen, by owner */
	uint32 *table;  /* places in sums by hash of (owner, subscription, metric); MAP_NONE = free */
	uint32 mask;
} UsageSums;

extern void usage_sums_init(UsageSums *usage);

/* The sum of one (owner, subscription, metric), opened at 0 when new; valid until the next call. */
extern Usage *usage_sum(UsageSums *usage, uint32 owner, int64 subscription_id, int32 metric_id);

/* Adds one row's quantity after the metric's increments; metric may be NULL (unknown). */
extern void usage_sum_add(Usage *sum, const Metric *metric, int64 quantity);

extern void usage_seen_add(UsageSums *usage, uint32 owner, uint64 digest);

/* Extends `seen` to all owners. */
extern void usage_seen_fill(UsageSums *usage, uint32 owner_count);

#endif
