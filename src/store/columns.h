/*
 * columns.h: the columns settle knows, by name and type.
 *
 * Rows are read and written in bulk as values of fixed types. A table whose columns were changed would be misread or
 * crash the server, so each reading and writing compares what it finds with such a list, under the lock it holds.
 */
#ifndef STORE_COLUMNS_H
#define STORE_COLUMNS_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/relcache.h"

typedef struct Column {
	const char *name;
	const char *type; /* as SQL writes it; types of settle with their schema */
} Column;

typedef struct Columns {
	const char *table; /* with its schema, as messages call it */
	int count;
	const Column *list;
} Columns;

/* The query of all of them from a table, in the current context. */
extern char *columns_query(const Columns *columns, const char *table);

/* A parent of partitions by its name with schema: has these columns, wherever they are in the row. */
extern void columns_check_table(const Columns *columns);

/* What a query returns: these types, in this order. */
extern void columns_check_query(const Columns *columns, TupleDesc found);

/* What is written: these columns, in this order, and nothing after them but what was dropped. */
extern void columns_check_target(const Columns *columns, Relation target);

#endif
