/*
 * bucket.h: which bucket an account is in.
 */
#ifndef STORE_BUCKET_H
#define STORE_BUCKET_H

#include "postgres.h"

#include "catalog/partition.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"

/* The remainder that PostgreSQL's hash partitioning gives a bigint. */
static inline int
account_bucket(int64 account_id, int buckets)
{
	const Datum seed = UInt64GetDatum(HASH_PARTITION_SEED);
	const uint64 hash = DatumGetUInt64(DirectFunctionCall2(hashint8extended, Int64GetDatum(account_id), seed));

	return (int) (hash_combine64(0, hash) % (uint64) buckets);
}

#endif
