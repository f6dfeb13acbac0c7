/*
 * groups.c: the members of each group, frozen for a run (see groups.h).
 *
 * Kept as one compact value of the run's row rather than a row per group: a run of a million accounts has hundreds of
 * thousands of groups, and writing them as rows would cost a tenth of the run. settle.run_group_size() reads it.
 */
#include "compat.h"

#include "utils/builtins.h"

#include "common/ids.h"
#include "store/groups.h"
#include "store/sql.h"

typedef struct Counting {
	GroupSizes *groups;
	int32 room;
	int32 last; /* the group of the account before: members mostly lie together */
} Counting;

static const Column group_list[] = {{"group_id", "bigint"}};
static const Columns group_columns = {"settle.account_group", lengthof(group_list), group_list};
static const Columns member_columns = {"settle.account", lengthof(group_list), group_list};

static void
group_row(TupleTableSlot *slot, void *arg)
{
	Counting *counting = arg;
	GroupSizes *groups = counting->groups;

	if (groups->count == counting->room)
	{
		counting->room *= 2;
		groups->group_ids = repalloc_huge(groups->group_ids, counting->room * sizeof(int64));
	}
	groups->group_ids[groups->count++] = DatumGetInt64(slot->tts_values[0]);
}

static void
member_row(TupleTableSlot *slot, void *arg)
{
	Counting *counting = arg;
	GroupSizes *groups = counting->groups;
	const int64 group_id = DatumGetInt64(slot->tts_values[0]);

	if (counting->last < 0 || groups->group_ids[counting->last] != group_id)
		counting->last = ids_find(groups->group_ids, groups->count, group_id);
	if (counting->last >= 0)
		groups->sizes[counting->last]++;
}

/* Counted here, not by GROUP BY: 12 bytes a group, where a hash aggregate takes ten times that. */
GroupSizes *
groups_count(void)
{
	GroupSizes *groups = palloc0(sizeof(GroupSizes));
	Counting counting = {.groups = groups, .room = 1024, .last = -1};

	groups->group_ids = palloc(counting.room * sizeof(int64));
	sql_read("SELECT group_id FROM settle.account_group", NULL, &group_columns, group_row, &counting);
	qsort(groups->group_ids, groups->count, sizeof(int64), ids_compare);
	groups->sizes = MemoryContextAllocExtended(CurrentMemoryContext, Max((Size) groups->count, 1) * sizeof(int32),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	sql_read("SELECT group_id FROM settle.account WHERE group_id IS NOT NULL AND status <> 'closed'", NULL,
			 &member_columns, member_row, &counting);
	return groups;
}

static uint8 *
put_varint(uint8 *at, uint64 value)
{
	while (value >= 0x80)
	{
		*at++ = (uint8) (value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8) value;
	return at;
}

static const uint8 *
get_varint(const uint8 *at, const uint8 *end, uint64 *value)
{
	*value = 0;
	for (int shift = 0; at < end && shift < 64; shift += 7)
	{
		*value |= (uint64) (*at & 0x7f) << shift;
		if ((*at++ & 0x80) == 0)
			return at;
	}
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("group_sizes of the run cannot be read")));
}

bytea *
groups_encode(const GroupSizes *groups)
{
	/* a varint of 64 bits takes at most 10 bytes, of 32 bits 5 */
	bytea *encoded = palloc(VARHDRSZ + (Size) groups->count * 15);
	uint8 *at = (uint8 *) VARDATA(encoded);
	int64 previous = 0;

	for (int32 i = 0; i < groups->count; i++)
	{
		const int64 id = groups->group_ids[i];
		/* the first id may be negative: zigzag it; the differences cannot */
		const uint64 step = i == 0 ? ((uint64) id << 1) ^ (uint64) (id >> 63) : (uint64) id - (uint64) previous;

		at = put_varint(at, step);
		at = put_varint(at, (uint64) groups->sizes[i]);
		previous = id;
	}
	SET_VARSIZE(encoded, (char *) at - (char *) encoded);
	return encoded;
}

GroupSizes *
groups_decode(const bytea *encoded)
{
	const uint8 *at = (const uint8 *) VARDATA_ANY(encoded);
	const uint8 *end = at + VARSIZE_ANY_EXHDR(encoded);
	const Size most = VARSIZE_ANY_EXHDR(encoded) / 2; /* two bytes a group at least */
	GroupSizes *groups = palloc0(sizeof(GroupSizes));
	int64 previous = 0;

	groups->group_ids = MemoryContextAllocHuge(CurrentMemoryContext, Max(most, 1) * sizeof(int64));
	groups->sizes = MemoryContextAllocHuge(CurrentMemoryContext, Max(most, 1) * sizeof(int32));
	while (at < end)
	{
		uint64 step;
		uint64 size;

		at = get_varint(at, end, &step);
		at = get_varint(at, end, &size);
		if (groups->count == 0)
			previous = (int64) (step >> 1) ^ -(int64) (step & 1);
		else
			previous = (int64) ((uint64) previous + step);
		groups->group_ids[groups->count] = previous;
		groups->sizes[groups->count++] = (int32) size;
	}
	return groups;
}

int32
groups_size(const GroupSizes *groups, int64 group_id)
{
	const int32 place = ids_find(groups->group_ids, groups->count, group_id);

	return place >= 0 ? groups->sizes[place] : -1;
}
