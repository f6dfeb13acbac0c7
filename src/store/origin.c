/*
 * origin.c: the replication origin of bulk rows (see origin.h).
 */
#include "compat.h"

#include "access/xact.h"
#include "replication/origin.h"

#include "store/origin.h"

/* A session that replays under an origin of its own (a subscriber) keeps it. */
static bool hiding = false;

void
origin_hide(bool hide)
{
	if (hide && !hiding && replorigin_session_origin == InvalidRepOriginId)
	{
		replorigin_session_origin = DoNotReplicateId;
		hiding = true;
	}
	else if (!hide && hiding)
	{
		/* unless the session set up an origin of its own meanwhile */
		if (replorigin_session_origin == DoNotReplicateId)
			replorigin_session_origin = InvalidRepOriginId;
		hiding = false;
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

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		origin_hide(false);
}

void
origin_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
