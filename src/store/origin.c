/*
 * origin.c: the replication origin of bulk rows (see origin.h).
 */
#include "compat.h"

#include "access/xact.h"
#include "replication/origin.h"

#include "store/origin.h"

/* Nesting level of the (sub)transaction that hid: 1 = the transaction itself, 0 = nothing is hidden. */
static int hiding = 0;

void
origin_hide(bool hide)
{
	/* A session that replays under an origin of its own (a subscriber) keeps it. */
	if (hide && hiding == 0 && replorigin_session_origin == InvalidRepOriginId)
	{
		replorigin_session_origin = DoNotReplicateId;
		hiding = GetCurrentTransactionNestLevel();
	}
	else if (!hide && hiding != 0)
	{
		/* unless the session set up an origin of its own meanwhile */
		if (replorigin_session_origin == DoNotReplicateId)
			replorigin_session_origin = InvalidRepOriginId;
		hiding = 0;
	}
}

/*
 * PRE_COMMIT comes before the commit record, ABORT before the abort record's callbacks return: after either, the next
 * record of this session is replicated again.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	origin_hide(false);
}

/*
 * What is undone is undone with its hiding: an abort of the subtransaction that hid, or of one around it. One that was
 * begun after it and fails says nothing about the rows to come. Who commits hands its hiding to the one around it.
 */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	const int level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB && level <= hiding)
		origin_hide(false);
	else if (event == SUBXACT_EVENT_COMMIT_SUB && level == hiding)
		hiding = level - 1;
}

void
origin_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
