/*
 * writer.h: bulk insertion into one leaf partition.
 *
 * Rows are collected and go in batches through table_multi_insert(), then through the leaf's own indexes;
 * NOT NULL and CHECK constraints are tested for every row. Partition bounds are not: the caller routes by construction
 * and has checked that the leaf has the same bounds as the leaf it reads from. Triggers and foreign keys would be
 * skipped, so writer_check() refuses tables that have any.
 *
 * A writer lives in one transaction.
 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "postgres.h"

#include "store/columns.h"

typedef struct Writer Writer;

/*
 * Opens a leaf for writing the columns the caller fills; errors when it has others. With hidden, rows carry the replication
 * origin that settle's output plugin drops before they are queued (see origin.h).
 */
extern Writer *writer_open(Oid leaf, const Columns *columns, bool hidden);

/* The next row to fill, all columns NULL: values[i], nulls[i] for column i + 1. */
extern void writer_row(Writer *writer, Datum **values, bool **nulls);

/* Takes the row handed out last, by-reference values included; writes the batch when it is full. */
extern void writer_accept(Writer *writer);

/* Writes what has been accepted; writer_close() does it too. */
extern void writer_flush(Writer *writer);
extern void writer_close(Writer *writer);

/* Refuses a result table (parent or leaf) with triggers, foreign keys, rules or columns settle does not know. */
extern void writer_check(Oid table, const Columns *columns);

#endif
