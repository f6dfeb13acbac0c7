/*
 * ids.h: sorted arrays of account ids, group ids and the like.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline int
ids_compare(const void *a, const void *b)
{
	const int64_t left = *(const int64_t *) a;
	const int64_t right = *(const int64_t *) b;

	return (left > right) - (left < right);
}

static inline void
ids_sort(int64_t *ids, size_t count)
{
	if (count > 1)
		qsort(ids, count, sizeof(int64_t), ids_compare);
}

/* Whether an id is in a sorted array, which may be NULL when count is 0. */
static inline bool
ids_contain(const int64_t *ids, size_t count, int64_t id)
{
	return count > 0 && bsearch(&id, ids, count, sizeof(int64_t), ids_compare) != NULL;
}

#endif
