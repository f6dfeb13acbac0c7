/*
 * compat.h: every difference between PostgreSQL 14 and 18 that settle meets.
 *
 * Old servers are given the newest name and signature. This is the only file that tests PG_VERSION_NUM.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 140000
#error "settle needs PostgreSQL 14 or later"
#endif

/* 16 moved the varlena macros out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 15 renamed EmitWarningsOnPlaceholders. */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 16 added onlySummarizing to ExecInsertIndexTuples. */
#if PG_VERSION_NUM >= 160000
#define insert_index_tuples(rri, slot, estate) ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL, false)
#else
#define insert_index_tuples(rri, slot, estate) ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL)
#endif

/*
 * A range table of one entry, the target of a bulk insertion. 16 added permission infos: without one, a failing
 * constraint cannot say which row it was and ends in an internal error. 18 added the set of unpruned relations.
 */
#if PG_VERSION_NUM >= 160000
#include "executor/executor.h"
#include "parser/parse_relation.h"
static inline void
init_range_table(EState *estate, RangeTblEntry *target)
{
	List *permissions = NIL;

	(void) addRTEPermissionInfo(&permissions, target);
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(target), permissions, bms_make_singleton(1));
#else
	ExecInitRangeTable(estate, list_make1(target), permissions);
#endif
}
#else
#define init_range_table(estate, target) ExecInitRangeTable(estate, list_make1(target))
#endif

/* 17 can end transactions by their age: an entry for the settings that workers pin. */
#if PG_VERSION_NUM >= 170000
#define PIN_TRANSACTION_TIMEOUT {"transaction_timeout", "0"},
#else
#define PIN_TRANSACTION_TIMEOUT
#endif

/* 18 renamed pg_attribute_noreturn(). */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 17 lets extensions name their waits. */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define wait_event_of(name) WaitEventExtensionNew(name)
#else
#define wait_event_of(name) PG_WAIT_EXTENSION
#endif

/* 15 gave set-returning functions one call for their tuplestore. */
#include "funcapi.h"
#if PG_VERSION_NUM >= 160000
#define init_materialized_srf(fcinfo) InitMaterializedSRF(fcinfo, 0)
#elif PG_VERSION_NUM >= 150000
#define init_materialized_srf(fcinfo) SetSingleFuncCall(fcinfo, 0)
#else
#include "miscadmin.h"
#include "utils/tuplestore.h"
static inline void
init_materialized_srf(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);

	if (get_call_result_type(fcinfo, NULL, &result->setDesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(caller);
}
#endif

/* 16 made date parsing report details for soft errors. */
#include "utils/datetime.h"
#if PG_VERSION_NUM >= 160000
static inline int
decode_date_time(char **field, int *ftype, int nf, int *dtype, struct pg_tm *tm, fsec_t *fsec, int *tzp)
{
	DateTimeErrorExtra extra;

	return DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tzp, &extra);
}
#else
#define decode_date_time(field, ftype, nf, dtype, tm, fsec, tzp) DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tzp)
#endif

/* ---- logical decoding (outbox/plugin.c) ---- */

/* 15 put commit and prepare time into a union and tells skipped transactions; 17 took the wrapper off tuples. */
#if PG_VERSION_NUM >= 150000
#define txn_commit_time(txn) ((txn)->xact_time.commit_time)
#else
#define txn_commit_time(txn) ((txn)->commit_time)
#endif
#if PG_VERSION_NUM >= 170000
#define change_new_tuple(change) ((change)->data.tp.newtuple)
#else
#define change_new_tuple(change) (&(change)->data.tp.newtuple->tuple)
#endif
#if PG_VERSION_NUM >= 150000
#define output_plugin_sign_of_life(context) OutputPluginUpdateProgress(context, false)
#define output_plugin_skipped_transaction(context) OutputPluginUpdateProgress(context, true)
#else
#define output_plugin_sign_of_life(context) OutputPluginUpdateProgress(context)
#define output_plugin_skipped_transaction(context) OutputPluginUpdateProgress(context)
#endif

#endif
