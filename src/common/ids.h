/*
 * ids.h: sorted arrays of account ids, group ids and the like.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include <stdbool.h>
#include <stdint.h>

/* For qsort(). */
static inline int
ids_compare(const void *a, const void *b)
{
	const int64_t left = *(const int64_t *) a;
	const int64_t right = *(const int64_t *) b;

	return (left > right) - (left < right);
}

/* The place of an id in a sorted array; -1 when it is not there. The array may be NULL when count is 0. */
static inline int32_t
ids_find(const int64_t *ids, int32_t count, int64_t id)
{
	int32_t low = 0;
	int32_t high = count;

	while (low < high)
	{
		const int32_t middle = low + (high - low) / 2;

		if (ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ids[low] == id ? low : -1;
}

static inline bool
ids_contain(const int64_t *ids, int32_t count, int64_t id)
{
	return ids_find(ids, count, id) >= 0;
}

#endif
