/*
 * collect.c: rows streamed in, sorted to their owners in linear time (see collect.h).
 *
 * Rows may exceed 1 GB only for absurd buckets, but an account with millions of rows must not fail: all arrays are
 * allocated huge. Hash tables are open addressing with linear probing, at most half full, grown by doubling.
 */
#include "compat.h"

#include "common/mix.h"
#include "utils/memutils.h"

#include "store/collect.h"
#include "store/reader.h"

#define FIRST_ROOM 1024

void
rows_init(Rows *rows, size_t item_size, bool owned)
{
	rows->context = CurrentMemoryContext;
	rows->item_size = item_size;
	rows->count = 0;
	rows->room = FIRST_ROOM;
	rows->items = MemoryContextAllocHuge(rows->context, FIRST_ROOM * item_size);
	rows->owners = owned ? MemoryContextAllocHuge(rows->context, FIRST_ROOM * sizeof(uint32)) : NULL;
}

void
rows_grow(Rows *rows)
{
	if (rows->room > UINT32_MAX / 4)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a bucket has more than %u rows", rows->room),
						errhint("Use more buckets.")));
	rows->room *= 2;
	rows->items = repalloc_huge(rows->items, (Size) rows->room * rows->item_size);
	if (rows->owners != NULL)
		rows->owners = repalloc_huge(rows->owners, (Size) rows->room * sizeof(uint32));
}

static bool
is_grouped(const Rows *rows)
{
	for (uint32 i = 1; i < rows->count; i++)
		if (rows->owners[i - 1] > rows->owners[i])
			return false;
	return true;
}

/* Moves every row to the place its owner's counter names: one pass, rows of an owner keep their order. */
static void
scatter(Rows *rows, uint32 *next)
{
	char *sorted = MemoryContextAllocHuge(rows->context, Max((Size) rows->count, 1) * rows->item_size);

	for (uint32 i = 0; i < rows->count; i++)
		memcpy(sorted + (Size) next[rows->owners[i]]++ * rows->item_size, (char *) rows->items + (Size) i * rows->item_size,
			   rows->item_size);
	pfree(rows->items);
	rows->items = sorted;
}

const uint32 *
rows_group(Rows *rows, uint32 owner_count, int (*compare)(const void *, const void *))
{
	uint32 *starts = MemoryContextAllocHuge(rows->context, ((Size) owner_count + 1) * sizeof(uint32));

	memset(starts, 0, ((Size) owner_count + 1) * sizeof(uint32));
	for (uint32 i = 0; i < rows->count; i++)
		starts[rows->owners[i] + 1]++;
	for (uint32 i = 0; i < owner_count; i++)
		starts[i + 1] += starts[i];

	if (!is_grouped(rows))
	{
		uint32 *next = MemoryContextAllocHuge(rows->context, ((Size) owner_count + 1) * sizeof(uint32));
		memcpy(next, starts, ((Size) owner_count + 1) * sizeof(uint32));
		scatter(rows, next);
		pfree(next);
	}
	for (uint32 i = 0; i < owner_count; i++)
		if (starts[i + 1] - starts[i] > 1)
			qsort((char *) rows->items + (Size) starts[i] * rows->item_size, starts[i + 1] - starts[i], rows->item_size,
				  compare);
	return starts;
}

static MapEntry *
map_entries(MemoryContext context, uint32 size)
{
	MapEntry *entries = MemoryContextAllocHuge(context, (Size) size * sizeof(MapEntry));

	for (uint32 i = 0; i < size; i++)
		entries[i].place = MAP_NONE;
	return entries;
}

void
map_init(Map *map)
{
	map->context = CurrentMemoryContext;
	map->count = 0;
	map->mask = 2 * FIRST_ROOM - 1;
	map->entries = map_entries(map->context, map->mask + 1);
}

uint32
map_find(const Map *map, int64 key)
{
	for (uint32 i = (uint32) mix64((uint64) key) & map->mask;; i = (i + 1) & map->mask)
		if (map->entries[i].place == MAP_NONE || map->entries[i].key == key)
			return map->entries[i].place;
}

static void
map_put(Map *map, int64 key, uint32 place)
{
	uint32 i = (uint32) mix64((uint64) key) & map->mask;

	while (map->entries[i].place != MAP_NONE)
		i = (i + 1) & map->mask;
	map->entries[i] = (MapEntry){key, place};
}

void
map_add(Map *map, int64 key, uint32 place)
{
	if (++map->count > map->mask / 2)
	{
		MapEntry *old = map->entries;
		const uint32 old_size = map->mask + 1;

		map->mask = 2 * old_size - 1;
		map->entries = map_entries(map->context, map->mask + 1);
		for (uint32 i = 0; i < old_size; i++)
			if (old[i].place != MAP_NONE)
				map_put(map, old[i].key, old[i].place);
		pfree(old);
	}
	map_put(map, key, place);
}

static uint32 *
sum_table(MemoryContext context, uint32 size)
{
	uint32 *table = MemoryContextAllocHuge(context, (Size) size * sizeof(uint32));

	memset(table, 0xff, (Size) size * sizeof(uint32));
	return table;
}

static uint32
sum_hash(uint32 owner, int64 subscription_id, int32 metric_id)
{
	return (uint32) mix64(mix64(((uint64) owner << 32) | (uint32) metric_id) ^ (uint64) subscription_id);
}

void
usage_sums_init(UsageSums *usage)
{
	rows_init(&usage->sums, sizeof(Usage), true);
	rows_init(&usage->seen, sizeof(UsageSeen), false);
	usage->mask = 2 * FIRST_ROOM - 1;
	usage->table = sum_table(CurrentMemoryContext, usage->mask + 1);
}

static void
sum_table_grow(UsageSums *usage)
{
	const Usage *sums = usage->sums.items;

	pfree(usage->table);
	usage->mask = 2 * (usage->mask + 1) - 1;
	usage->table = sum_table(usage->sums.context, usage->mask + 1);
	for (uint32 place = 0; place < usage->sums.count; place++)
	{
		uint32 i = sum_hash(usage->sums.owners[place], sums[place].subscription_id, sums[place].metric_id) & usage->mask;
		while (usage->table[i] != MAP_NONE)
			i = (i + 1) & usage->mask;
		usage->table[i] = place;
	}
}

Usage *
usage_sum(UsageSums *usage, uint32 owner, int64 subscription_id, int32 metric_id)
{
	Usage *sums = usage->sums.items;
	uint32 i = sum_hash(owner, subscription_id, metric_id) & usage->mask;

	for (; usage->table[i] != MAP_NONE; i = (i + 1) & usage->mask)
	{
		Usage *sum = &sums[usage->table[i]];

		if (sum->subscription_id == subscription_id && sum->metric_id == metric_id &&
			usage->sums.owners[usage->table[i]] == owner)
			return sum;
	}

	usage->table[i] = usage->sums.count;
	Usage *sum = rows_add(&usage->sums, owner);
	sum->subscription_id = subscription_id;
	sum->metric_id = metric_id;
	if (usage->sums.count > usage->mask / 2)
		sum_table_grow(usage);
	return sum;
}

void
usage_sum_add(Usage *sum, const Metric *metric, int64 quantity)
{
	int64_t billed = quantity;

	sum->rows++;
	if (quantity < 0)
		sum->invalid = REASON_INVALID_QUANTITY; /* outranks an overflow, whichever row came first */
	else if ((metric != NULL && !rate_increment(metric, quantity, &billed)) ||
			 !money_add(sum->quantity, billed, &sum->quantity))
	{
		/* Stay at the top, so that adding on cannot wrap back into something plausible. */
		sum->quantity = INT64_MAX;
		if (sum->invalid == REASON_OK)
			sum->invalid = REASON_OVERFLOW;
	}
}

void
usage_seen_fill(UsageSums *usage, uint32 owner_count)
{
	while (usage->seen.count < owner_count)
		(void) rows_add(&usage->seen, 0);
}

void
usage_seen_add(UsageSums *usage, uint32 owner, uint64 digest)
{
	usage_seen_fill(usage, owner + 1);
	UsageSeen *seen = (UsageSeen *) usage->seen.items + owner;
	seen->rows++;
	seen->digest += digest;
}
