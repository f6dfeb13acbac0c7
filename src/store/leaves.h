/*
 * leaves.h: where rows are: names of the leaf partitions, and whether each is in its place.
 *
 * The engine reads and writes leaves by their names. That is right only while a leaf of that name is the partition of its
 * bucket: rows of one that was detached or replaced are not what people see through the parent.
 */
#ifndef STORE_LEAVES_H
#define STORE_LEAVES_H

#include "postgres.h"

#include "storage/lockdefs.h"

/* Name of a leaf: "usage", 2024-05-01, 3 → "settle.usage_2024_05_b03"; account-owned ones have no month, the outbox no bucket. */
extern char *leaf_name(const char *table, int bucket);
extern char *leaf_name_of_month(const char *table, int32 month, int bucket);
extern char *leaf_name_of_outbox(int32 month);

/* A table by its name with schema; error 42P01 when it does not exist. */
extern Oid table_find(const char *name);
/* The same for a leaf, locked, which must still be attached: for what happened after leaves_check(). */
extern Oid leaf_find(const char *name, LOCKMODE lock);

#define ALL_BUCKETS (-1)

/*
 * Errors unless every leaf that a run of the month reads or writes (or those of one bucket) exists, is a partition of its
 * parent with the bound of its bucket, and is permanent; those written in bulk must be plain heap tables, too.
 */
extern void leaves_check(int32 month, int bucket);

#endif
