/*
 * leaves.c: names and places of the leaf partitions (see leaves.h).
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "common/ymd.h"
#include "store/leaves.h"
#include "store/settlement.h"
#include "store/sql.h"

char *
leaf_name(const char *table, int bucket)
{
	return psprintf("settle.%s_b%02d", table, bucket);
}

char *
leaf_name_of_month(const char *table, int32 month, int bucket)
{
	const Ymd ymd = ymd_from_day(month);

	return psprintf("settle.%s_%04d_%02d_b%02d", table, ymd.year, ymd.month, bucket);
}

char *
leaf_name_of_outbox(int32 month)
{
	const Ymd ymd = ymd_from_day(month);

	return psprintf("settle.outbox_%04d_%02d", ymd.year, ymd.month);
}

Oid
table_find(const char *name)
{
	const char *table = strchr(name, '.') + 1;
	const Oid oid = get_relname_relid(table, get_namespace_oid("settle", false));

	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table %s does not exist", name)));
	return oid;
}

Oid
leaf_find(const char *name, LOCKMODE lock)
{
	const Oid oid = table_find(name);

	LockRelationOid(oid, lock);
	if (!get_rel_relispartition(oid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table %s is not a partition any more", name),
						errhint("Call settle_run again; it says how to attach it.")));
	return oid;
}

void
leaves_check(int32 month, int bucket)
{
	SqlParams params = {0};

	sql_add_date(&params, month);
	if (bucket == ALL_BUCKETS)
		sql_add_null(&params, INT4OID);
	else
		sql_add_int4(&params, bucket);
	if (sql_execute("SELECT fault, hint FROM settle.leaf_faults($1, $2) ORDER BY leaf LIMIT 1", &params) == 0)
		return;

	const char *fault = pstrdup(sql_text(0, 1));
	const char *hint = pstrdup(sql_text(0, 2));
	/* It may have been dropped while we waited for its locks. */
	const Ymd ymd = ymd_from_day(month);
	(void) settlement_check_month(ymd_period(ymd.year, ymd.month));
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", fault),
					errdetail("Partitions are read and written by name, so each must be in its place."), errhint("%s", hint)));
}
