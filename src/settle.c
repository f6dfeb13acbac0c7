/*
 * settle.c: the module's entry point. It wires the parts together and has no logic of its own.
 *
 * Reading order from here: api.c (what SQL calls), launcher.c (what the server starts), batch/ (the engine: runs, slices, chunks), store/settlement.c (the
 * step the engine drives), rate/ (the rules), outbox/ (the events).
 */
#include "compat.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "batch/worker.h"
#include "guc.h"
#include "launcher.h"
#include "store/origin.h"
#include "store/settlement.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	guc_init();
	origin_init();
	batch_step = &settlement_step;
	/* pg_upgrade starts the old server after it has read the next transaction id: nothing may be written there. */
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		launcher_register();
}
