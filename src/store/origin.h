/*
 * origin.h: keeps bulk rows out of logical decoding.
 *
 * Logical decoding queues every change of the database before a plugin sees it. Rows written while this origin is set
 * are dropped by the plugin's filter_by_origin callback before they are copied. It must never be set when outbox rows or
 * a commit record are written, or events would be lost: origin_hide(false) follows each bulk write, and transaction
 * callbacks reset it on every commit and abort, and on the abort of the subtransaction that hid.
 */
#ifndef STORE_ORIGIN_H
#define STORE_ORIGIN_H

#include "postgres.h"

extern void origin_init(void); /* registers the callbacks; called by _PG_init */
extern void origin_hide(bool hide);

#endif
