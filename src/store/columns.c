/*
 * columns.c: compares tables with the columns settle knows (see columns.h).
 */
#include "compat.h"

#include "access/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "store/columns.h"
#include "store/leaves.h"

/* Somebody's quote_all_identifiers shall not make a type another one. */
static void
remove_quotes(char *name)
{
	char *to = name;

	for (const char *from = name; *from != '\0'; from++)
		if (*from != '"')
			*to++ = *from;
	*to = '\0';
}

/* With its modifier, which can round or cut; types of the server's own without their schema, whatever is on the path. */
static const char *
type_name(const FormData_pg_attribute *attribute)
{
	static const char server[] = "pg_catalog.";
	char *name = format_type_extended(attribute->atttypid, attribute->atttypmod,
									  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);

	if (quote_all_identifiers)
		remove_quotes(name);
	return strncmp(name, server, strlen(server)) == 0 ? name + strlen(server) : name;
}

static void
check_type(const char *table, const Column *column, const FormData_pg_attribute *attribute)
{
	const char *found = type_name(attribute);

	if (strcmp(found, column->type) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("column \"%s\" of table %s has type %s, expected %s", column->name, table, found,
							   column->type),
						errhint("Change it back with ALTER TABLE; keep own data in own tables.")));
}

pg_noreturn static void
refuse_missing(const char *table, const Column *column)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table %s has no column \"%s\"", table, column->name),
					errhint("Rename it back, or restore the table from a backup.")));
}

char *
columns_query(const Columns *columns, const char *table)
{
	StringInfoData query;

	initStringInfo(&query);
	for (int i = 0; i < columns->count; i++)
		appendStringInfo(&query, "%s%s", i == 0 ? "SELECT " : ", ", columns->list[i].name);
	appendStringInfo(&query, " FROM %s", table);
	return query.data;
}

void
columns_check_table(const Columns *columns)
{
	Relation table = table_open(table_find(columns->table), AccessShareLock);
	const TupleDesc found = RelationGetDescr(table);

	for (int i = 0; i < columns->count; i++)
	{
		const Column *column = &columns->list[i];
		int at = 0;

		while (at < found->natts && (TupleDescAttr(found, at)->attisdropped ||
									 strcmp(NameStr(TupleDescAttr(found, at)->attname), column->name) != 0))
			at++;
		if (at == found->natts)
			refuse_missing(columns->table, column);
		check_type(columns->table, column, TupleDescAttr(found, at));
	}
	table_close(table, AccessShareLock);
}

void
columns_check_query(const Columns *columns, TupleDesc found)
{
	if (found->natts != columns->count)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("a query of %s returns %d columns, expected %d",
																   columns->table, found->natts, columns->count)));
	for (int i = 0; i < columns->count; i++)
		check_type(columns->table, &columns->list[i], TupleDescAttr(found, i));
}

/* A column that was added and dropped again does no harm. */
static void
refuse_added(const char *table, TupleDesc found, int known)
{
	for (int i = known; i < found->natts; i++)
		if (!TupleDescAttr(found, i)->attisdropped)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("table %s has a column \"%s\" that settle does not know", table,
								   NameStr(TupleDescAttr(found, i)->attname)),
							errhint("Drop the added column; keep own data in own tables.")));
}

void
columns_check_target(const Columns *columns, Relation target)
{
	const TupleDesc found = RelationGetDescr(target);
	const char *table = psprintf("%s.%s", get_namespace_name(RelationGetNamespace(target)), RelationGetRelationName(target));

	for (int i = 0; i < columns->count; i++)
	{
		const Column *column = &columns->list[i];

		if (i >= found->natts || TupleDescAttr(found, i)->attisdropped || TupleDescAttr(found, i)->attgenerated != '\0' ||
			strcmp(NameStr(TupleDescAttr(found, i)->attname), column->name) != 0)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("column %d of table %s is not \"%s\"", i + 1, table, column->name),
							errdetail("Result tables are written in bulk, by the position of their columns."),
							errhint("Rename it back, or build the table anew with CREATE TABLE (LIKE %s).",
									columns->table)));
		check_type(table, column, TupleDescAttr(found, i));
	}
	refuse_added(table, found, columns->count);
}
