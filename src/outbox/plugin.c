/*
 * plugin.c: the logical decoding output plugin "settle": outbox rows, packed into frames.
 *
 * Only inserts into settle.outbox and its partitions are sent, and those into settle.outbox_republish, by which events are
 * sent again; everything else costs a look into a cache. Rows of a
 * transaction leave in frames of about 64 kB (common/frame.h), one network write each. Rows that the engine hides behind
 * a replication origin (store/origin.h) are refused before they are queued. In-progress transactions are never streamed,
 * so the reader sees committed transactions only, in commit order.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "replication/logical.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "common/frame.h"
#include "errcodes.h"

#define SKIPPED_BETWEEN_SIGNS 1000

enum { COL_KEY, COL_CREATED_AT, COL_PERIOD, COL_TYPE, COL_ID, COL_PAYLOAD, COLUMN_COUNT };

static const struct {
	const char *name;
	Oid type;
} columns[COLUMN_COUNT] = {
	[COL_KEY] = {"account_id", INT8OID},	 [COL_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
	[COL_PERIOD] = {"period", DATEOID},		 [COL_TYPE] = {"event_type", TEXTOID},
	[COL_ID] = {"event_id", TEXTOID},		 [COL_PAYLOAD] = {"payload", TEXTOID},
};

/* What is known of a relation; forgotten when PostgreSQL says that it has changed. */
typedef struct Known {
	Oid relation;
	bool is_outbox;
	int natts;
	AttrNumber places[COLUMN_COUNT];
} Known;

typedef struct Plugin {
	MemoryContext row_context;
	FrameWriter frame;
	uint64 sent;     /* rows of the transaction in earlier frames */
	uint64 skipped;  /* changes since the last sign of life */
	Datum *values;
	bool *nulls;
	int value_space;
} Plugin;

/* One for the process: relation cache callbacks cannot be taken back. */
static HTAB *known_relations;

extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

/* ---- relations -------------------------------------------------------------------------------------------------- */

static void
forget_relation(Datum arg, Oid relation)
{
	if (known_relations == NULL)
		return;
	if (OidIsValid(relation))
	{
		(void) hash_search(known_relations, &relation, HASH_REMOVE, NULL);
		return;
	}

	HASH_SEQ_STATUS scan;
	Known *known;
	hash_seq_init(&scan, known_relations);
	while ((known = hash_seq_search(&scan)) != NULL)
		(void) hash_search(known_relations, &known->relation, HASH_REMOVE, NULL);
}

static void
init_known_relations(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Known), .hcxt = CacheMemoryContext};

	if (known_relations != NULL)
		return;
	known_relations = hash_create("settle outbox relations", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
}

static bool
is_outbox(Relation relation)
{
	Oid root = RelationGetRelid(relation);

	if (relation->rd_rel->relispartition)
		root = llast_oid(get_partition_ancestors(root));
	const char *schema = get_namespace_name(get_rel_namespace(root));
	const char *name = get_rel_name(root);
	return schema != NULL && name != NULL && strcmp(schema, "settle") == 0 &&
		   (strcmp(name, "outbox") == 0 || strcmp(name, "outbox_republish") == 0);
}

static void
find_columns(Relation relation, Known *known)
{
	const TupleDesc descriptor = RelationGetDescr(relation);

	for (int column = 0; column < COLUMN_COUNT; column++)
	{
		known->places[column] = InvalidAttrNumber;
		for (int i = 0; i < descriptor->natts; i++)
		{
			const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

			if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), columns[column].name) == 0 &&
				getBaseType(attribute->atttypid) == columns[column].type)
				known->places[column] = attribute->attnum;
		}
		if (known->places[column] == InvalidAttrNumber)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("table \"%s\" has no column %s of type %s", RelationGetRelationName(relation),
								   columns[column].name, format_type_be(columns[column].type)),
							errhint("Events cannot be read without it; put the column back.")));
	}
}

static const Known *
look_up(Relation relation)
{
	const Oid oid = RelationGetRelid(relation);
	const Known *found = hash_search(known_relations, &oid, HASH_FIND, NULL);

	if (found != NULL)
		return found;
	/* Looking at the catalogue may forget relations; so the entry is made when all is known. */
	Known known = {.relation = oid, .is_outbox = is_outbox(relation), .natts = RelationGetDescr(relation)->natts};
	if (known.is_outbox)
		find_columns(relation, &known);
	Known *entry = hash_search(known_relations, &oid, HASH_ENTER, NULL);
	*entry = known;
	return entry;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void
send_frame(LogicalDecodingContext *context, ReorderBufferTXN *transaction, bool last)
{
	Plugin *plugin = context->output_plugin_private;
	const FrameHeader header = {
		.xid = transaction->xid,
		.commit_lsn = transaction->final_lsn,
		.end_lsn = transaction->end_lsn,
		.commit_time = txn_commit_time(transaction),
		.first_ordinal = plugin->sent,
		.last = last,
	};

	plugin->sent += plugin->frame.row_count;
	OutputPluginPrepareWrite(context, true);
	const size_t len = frame_finish(&plugin->frame, &header);
	appendBinaryStringInfo(context->out, (const char *) plugin->frame.data, (int) len);
	OutputPluginWrite(context, true);
	plugin->skipped = 0;
}

static void
add_row(LogicalDecodingContext *context, ReorderBufferTXN *transaction, const FrameRow *row)
{
	Plugin *plugin = context->output_plugin_private;
	FrameWriter *frame = &plugin->frame;
	const size_t row_size = frame_row_size(row);

	if (row_size == 0)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("an outbox row is too large to be sent")));
	if (frame_add(frame, row))
		return;
	if (frame->row_count > 0)
		send_frame(context, transaction, false);
	if (frame->size < FRAME_HEADER_SIZE + row_size)
	{
		frame->size = FRAME_HEADER_SIZE + row_size;
		frame->data = repalloc_huge(frame->data, frame->size);
	}
	if (!frame_add(frame, row))
		elog(ERROR, "an outbox row of %zu bytes does not fit into a frame of its own", row_size);
}

static const char *
text_value(Datum value, size_t *len)
{
	const text *detoasted = DatumGetTextPP(value);

	*len = VARSIZE_ANY_EXHDR(detoasted);
	return VARDATA_ANY(detoasted);
}

static void
read_row(Plugin *plugin, const Known *known, Relation relation, HeapTuple tuple, char *key, FrameRow *row)
{
	if (plugin->value_space < known->natts)
	{
		plugin->value_space = known->natts;
		plugin->values = repalloc(plugin->values, known->natts * sizeof(Datum));
		plugin->nulls = repalloc(plugin->nulls, known->natts * sizeof(bool));
	}
	heap_deform_tuple(tuple, RelationGetDescr(relation), plugin->values, plugin->nulls);

	Datum values[COLUMN_COUNT];
	for (int column = 0; column < COLUMN_COUNT; column++)
	{
		values[column] = plugin->values[known->places[column] - 1];
		if (plugin->nulls[known->places[column] - 1] && column != COL_KEY)
			ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
							errmsg("an outbox row has no %s", columns[column].name)));
	}
	*row = (FrameRow){
		.period = DatumGetDateADT(values[COL_PERIOD]),
		.created_at = DatumGetTimestampTz(values[COL_CREATED_AT]),
		.key = key,
	};
	if (!plugin->nulls[known->places[COL_KEY] - 1])
		row->key_len = (size_t) pg_lltoa(DatumGetInt64(values[COL_KEY]), key);
	row->type = text_value(values[COL_TYPE], &row->type_len);
	row->id = text_value(values[COL_ID], &row->id_len);
	row->payload = text_value(values[COL_PAYLOAD], &row->payload_len);
}

/* ---- callbacks -------------------------------------------------------------------------------------------------- */

static void
startup(LogicalDecodingContext *context, OutputPluginOptions *options, bool is_init)
{
	ListCell *cell;

	foreach (cell, context->output_plugin_options)
	{
		const DefElem *option = lfirst(cell);

		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("output plugin \"settle\" has no option \"%s\"", option->defname)));
	}
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
	options->receive_rewrites = false;
	init_known_relations();

	Plugin *plugin = palloc0(sizeof(Plugin));
	plugin->row_context = AllocSetContextCreate(context->context, "settle outbox row", ALLOCSET_DEFAULT_SIZES);
	plugin->frame.size = FRAME_TARGET;
	plugin->frame.data = palloc(FRAME_TARGET);
	plugin->value_space = COLUMN_COUNT;
	plugin->values = palloc(COLUMN_COUNT * sizeof(Datum));
	plugin->nulls = palloc(COLUMN_COUNT * sizeof(bool));
	context->output_plugin_private = plugin;
}

static void
begin_transaction(LogicalDecodingContext *context, ReorderBufferTXN *transaction)
{
	Plugin *plugin = context->output_plugin_private;

	plugin->frame.len = 0;
	plugin->frame.row_count = 0;
	plugin->sent = 0;
}

/* While a long transaction that is not ours goes by, the client must see that we live. */
static void
skip(LogicalDecodingContext *context)
{
	Plugin *plugin = context->output_plugin_private;

	if (++plugin->skipped < SKIPPED_BETWEEN_SIGNS)
		return;
	plugin->skipped = 0;
	output_plugin_sign_of_life(context);
}

static void
change(LogicalDecodingContext *context, ReorderBufferTXN *transaction, Relation relation, ReorderBufferChange *change)
{
	Plugin *plugin = context->output_plugin_private;
	char key[MAXINT8LEN + 1];
	FrameRow row;

	/* A copy: what is cached may be forgotten at any look into the catalogue. */
	const Known known = *look_up(relation);
	if (change->action != REORDER_BUFFER_CHANGE_INSERT || !known.is_outbox)
	{
		skip(context);
		return;
	}
	MemoryContext caller = MemoryContextSwitchTo(plugin->row_context);
	read_row(plugin, &known, relation, change_new_tuple(change), key, &row);
	MemoryContextSwitchTo(caller);
	add_row(context, transaction, &row);
	MemoryContextReset(plugin->row_context);
}

static void
commit(LogicalDecodingContext *context, ReorderBufferTXN *transaction, XLogRecPtr commit_lsn)
{
	Plugin *plugin = context->output_plugin_private;

	if (plugin->frame.row_count > 0)
		send_frame(context, transaction, true);
	else
		output_plugin_skipped_transaction(context);
}

static bool
filter_by_origin(LogicalDecodingContext *context, RepOriginId origin)
{
	return origin == DoNotReplicateId;
}

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = startup;
	callbacks->begin_cb = begin_transaction;
	callbacks->change_cb = change;
	callbacks->commit_cb = commit;
	callbacks->filter_by_origin_cb = filter_by_origin;
}
