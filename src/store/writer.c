/*
 * writer.c: bulk insertion into one leaf partition (see writer.h).
 *
 * Why not COPY or INSERT … SELECT: both pay for a text or executor representation of rows that already are Datums here.
 * Why no buffer ring: COPY's ring of 16 MB makes each backend write its own dirty pages and wait for their WAL; the
 * batches here stay in shared buffers for the checkpointer, and the target page stays pinned from batch to batch.
 */
#include "compat.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "store/origin.h"
#include "store/writer.h"

#define WRITER_BATCH 500

struct Writer {
	Relation relation;
	TupleDesc columns; /* a copy: slots on the relation's own would each register a reference to it */
	Datum *values;     /* the row being filled */
	bool *nulls;
	ResultRelInfo *target;
	EState *estate;
	BulkInsertState insertion;
	MemoryContext context;       /* the writer itself and its slots */
	MemoryContext batch_context; /* what one batch allocates; reset after it */
	bool hidden;
	bool summarized; /* all its indexes are block ranges of the first column */
	bool ascending;  /* the batch, by the first column */
	int64 last;      /* first column of the row before */
	int count;
	TupleTableSlot *slots[WRITER_BATCH];
};

/* A bulk insertion that keeps its target page but uses the shared buffers at large. */
static BulkInsertState
insertion_open(void)
{
	BulkInsertState insertion = GetBulkInsertState();

	FreeAccessStrategy(insertion->strategy);
	insertion->strategy = NULL;
	return insertion;
}

static RangeTblEntry *
target_entry(Relation relation)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(relation);
	entry->relkind = relation->rd_rel->relkind;
	entry->rellockmode = RowExclusiveLock;
	return entry;
}

/* A block range index that keeps the least and the greatest of the first column, a bigint, and nothing else. */
static bool
is_summary(Relation index)
{
	if (index->rd_rel->relam != BRIN_AM_OID || index->rd_index->indnatts != 1 || index->rd_index->indkey.values[0] != 1 ||
		index->rd_opcintype[0] != INT8OID || RelationGetIndexPredicate(index) != NIL)
		return false;
	List *minmax = list_make2(makeString("pg_catalog"), makeString("integer_minmax_ops"));

	return index->rd_opfamily[0] == get_opfamily_oid(BRIN_AM_OID, minmax, false);
}

static bool
has_only_summaries(const ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
		if (!is_summary(target->ri_IndexRelationDescs[i]))
			return false;
	return true;
}

Writer *
writer_open(Oid leaf, const Columns *columns, bool hidden)
{
	Writer *writer = palloc0(sizeof(Writer));

	writer->relation = table_open(leaf, RowExclusiveLock);
	columns_check_target(columns, writer->relation);
	writer->columns = CreateTupleDescCopy(RelationGetDescr(writer->relation));
	/* columns that were added and dropped again still have their place, and stay NULL */
	writer->values = palloc0(writer->columns->natts * sizeof(Datum));
	writer->nulls = palloc(writer->columns->natts * sizeof(bool));
	writer->hidden = hidden;
	writer->estate = CreateExecutorState();
	init_range_table(writer->estate, target_entry(writer->relation));
	writer->estate->es_output_cid = GetCurrentCommandId(true);
	writer->target = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->target, writer->relation, 1, NULL, 0);
	ExecOpenIndices(writer->target, false);
	writer->summarized = has_only_summaries(writer->target);
	writer->insertion = insertion_open();
	writer->context = CurrentMemoryContext;
	writer->batch_context = AllocSetContextCreate(CurrentMemoryContext, "settle write batch", ALLOCSET_DEFAULT_SIZES);
	return writer;
}

void
writer_row(Writer *writer, Datum **values, bool **nulls)
{
	memset(writer->nulls, true, writer->columns->natts * sizeof(bool));
	*values = writer->values;
	*nulls = writer->nulls;
}

void
writer_accept(Writer *writer)
{
	TupleTableSlot **slot = &writer->slots[writer->count];

	if (*slot == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(writer->context);
		*slot = MakeSingleTupleTableSlot(writer->columns, &TTSOpsHeapTuple);
		MemoryContextSwitchTo(caller);
	}

	MemoryContext caller = MemoryContextSwitchTo(writer->batch_context);
	/* The slot owns the tuple: then nobody on the way to the page copies it again. */
	const bool should_free = true;
	ExecStoreHeapTuple(heap_form_tuple(writer->columns, writer->values, writer->nulls), *slot, should_free);
	MemoryContextSwitchTo(caller);

	const int64 first = DatumGetInt64(writer->values[0]);
	writer->ascending = writer->count == 0 || (writer->ascending && first >= writer->last);
	writer->last = first;
	if (++writer->count == WRITER_BATCH)
		writer_flush(writer);
}

static void
check_rows(Writer *writer)
{
	if (RelationGetDescr(writer->relation)->constr == NULL)
		return;
	for (int i = 0; i < writer->count; i++)
	{
		writer->slots[i]->tts_tableOid = RelationGetRelid(writer->relation);
		ResetPerTupleExprContext(writer->estate);
		ExecConstraints(writer->target, writer->slots[i], writer->estate);
	}
}

static BlockNumber
block_of(const Writer *writer, int row)
{
	return ItemPointerGetBlockNumber(&writer->slots[row]->tts_tid);
}

/* Neither the least nor the greatest of its page: a summary that knows both learns nothing from it. */
static bool
is_between(const Writer *writer, int row)
{
	return row > 0 && row < writer->count - 1 && block_of(writer, row - 1) == block_of(writer, row) &&
		   block_of(writer, row) == block_of(writer, row + 1);
}

static void
index_rows(Writer *writer)
{
	if (writer->target->ri_NumIndices == 0)
		return;
	for (int i = 0; i < writer->count; i++)
	{
		if (writer->summarized && writer->ascending && is_between(writer, i))
			continue;
		ResetPerTupleExprContext(writer->estate);
		list_free(insert_index_tuples(writer->target, writer->slots[i], writer->estate));
	}
}

void
writer_flush(Writer *writer)
{
	if (writer->count == 0)
		return;

	check_rows(writer);
	origin_hide(writer->hidden);
	MemoryContext caller = MemoryContextSwitchTo(writer->batch_context);
	table_multi_insert(writer->relation, writer->slots, writer->count, writer->estate->es_output_cid,
					   TABLE_INSERT_SKIP_FSM, writer->insertion);
	index_rows(writer);
	MemoryContextSwitchTo(caller);
	origin_hide(false);
	for (int i = 0; i < writer->count; i++)
		ExecClearTuple(writer->slots[i]);
	MemoryContextReset(writer->batch_context);
	writer->count = 0;
}

void
writer_close(Writer *writer)
{
	writer_flush(writer);
	for (int i = 0; i < WRITER_BATCH && writer->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	FreeBulkInsertState(writer->insertion);
	table_finish_bulk_insert(writer->relation, TABLE_INSERT_SKIP_FSM);
	ExecCloseIndices(writer->target);
	FreeExecutorState(writer->estate);
	MemoryContextDelete(writer->batch_context);
	table_close(writer->relation, NoLock);
	pfree(writer);
}

static void
refuse(Relation relation, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s.%s\" has %s", get_namespace_name(RelationGetNamespace(relation)),
						   RelationGetRelationName(relation), what),
					errdetail("Result tables are written in bulk, which would skip it."),
					errhint("Drop it; react to bills by reading the events instead.")));
}

static void
refuse_trigger(Relation relation, const Trigger *trigger)
{
	/* The name of a foreign key's trigger says nothing to anybody. */
	const char *constraint = trigger->tgisinternal ? get_constraint_name(trigger->tgconstraint) : NULL;

	if (constraint != NULL)
		refuse(relation, psprintf("foreign key \"%s\"", constraint));
	refuse(relation, psprintf("trigger \"%s\"", trigger->tgname));
}

void
writer_check(Oid table, const Columns *columns)
{
	Relation relation = table_open(table, AccessShareLock);

	columns_check_target(columns, relation);
	if (relation->trigdesc != NULL && relation->trigdesc->numtriggers > 0)
		refuse_trigger(relation, &relation->trigdesc->triggers[0]);
	if (relation->rd_rules != NULL && relation->rd_rules->numLocks > 0)
		refuse(relation, "a rule");
	table_close(relation, AccessShareLock);
}
