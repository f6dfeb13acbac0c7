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

/* 16 added permission infos, 18 the set of unpruned relations, to ExecInitRangeTable. */
#if PG_VERSION_NUM >= 180000
#define init_range_table(estate, rtable) ExecInitRangeTable(estate, rtable, NIL, bms_make_singleton(1))
#elif PG_VERSION_NUM >= 160000
#define init_range_table(estate, rtable) ExecInitRangeTable(estate, rtable, NIL)
#else
#define init_range_table(estate, rtable) ExecInitRangeTable(estate, rtable)
#endif

/* 17 lets extensions name their waits. */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define wait_event_of(name) WaitEventExtensionNew(name)
#else
#define wait_event_of(name) PG_WAIT_EXTENSION
#endif

/* A worker may act for a table owner that cannot log in: it connects as the bootstrap superuser, then switches. */

#endif
