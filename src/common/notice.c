/*
 * notice.c: the states of a notice, and how they may change (see notice.h).
 */
#include "common/notice.h"

#include <string.h>

static const char *const names[NOTICE_STATES] = {
	[NOTICE_HELD] = "held",
	[NOTICE_PENDING] = "pending",
	[NOTICE_DEFERRED] = "deferred",
	[NOTICE_SENDING] = "sending",
	[NOTICE_SENT] = "sent",
	[NOTICE_DELIVERED] = "delivered",
	[NOTICE_BOUNCED] = "bounced",
	[NOTICE_COMPLAINED] = "complained",
	[NOTICE_UNKNOWN] = "unknown",
	[NOTICE_FAILED] = "failed",
	[NOTICE_DEAD] = "dead",
	[NOTICE_EXPIRED] = "expired",
	[NOTICE_SUPPRESSED] = "suppressed",
	[NOTICE_CANCELLED] = "cancelled",
};

#define OK STEP_ALLOWED
#define OP STEP_OPERATOR

static const unsigned char steps[NOTICE_STATES][NOTICE_STATES] = {
	[NOTICE_HELD] = {[NOTICE_PENDING] = OK, [NOTICE_DEFERRED] = OK, [NOTICE_SUPPRESSED] = OK, [NOTICE_CANCELLED] = OK},
	[NOTICE_PENDING] = {[NOTICE_HELD] = OK, [NOTICE_DEFERRED] = OK, [NOTICE_SENDING] = OK, [NOTICE_SUPPRESSED] = OK,
						[NOTICE_EXPIRED] = OK, [NOTICE_FAILED] = OK, [NOTICE_CANCELLED] = OK},
	[NOTICE_DEFERRED] = {[NOTICE_HELD] = OK, [NOTICE_PENDING] = OK, [NOTICE_SENDING] = OK, [NOTICE_SUPPRESSED] = OK,
						 [NOTICE_EXPIRED] = OK, [NOTICE_FAILED] = OK, [NOTICE_CANCELLED] = OK},
	/* pending: it certainly was not on the wire */
	[NOTICE_SENDING] = {[NOTICE_SENT] = OK, [NOTICE_FAILED] = OK, [NOTICE_DEFERRED] = OK, [NOTICE_DEAD] = OK,
						[NOTICE_EXPIRED] = OK, [NOTICE_UNKNOWN] = OK, [NOTICE_PENDING] = OK},
	/* never cancelled: what may have been sent would look as if it had not. Evidence of a late owner, a journal or the provider; sending: again, under the same key of a provider that takes one */
	[NOTICE_UNKNOWN] = {[NOTICE_SENT] = OK, [NOTICE_FAILED] = OK, [NOTICE_DEFERRED] = OK, [NOTICE_DEAD] = OK,
						[NOTICE_PENDING] = OK, [NOTICE_SENDING] = OK},
	[NOTICE_SENT] = {[NOTICE_DELIVERED] = OK, [NOTICE_BOUNCED] = OK, [NOTICE_COMPLAINED] = OK},
	[NOTICE_DELIVERED] = {[NOTICE_BOUNCED] = OK, [NOTICE_COMPLAINED] = OK},
	[NOTICE_FAILED] = {[NOTICE_PENDING] = OP},
	[NOTICE_DEAD] = {[NOTICE_PENDING] = OP},
	[NOTICE_EXPIRED] = {[NOTICE_PENDING] = OP},
	[NOTICE_SUPPRESSED] = {[NOTICE_PENDING] = OP},
	[NOTICE_CANCELLED] = {[NOTICE_PENDING] = OP},
};

NoticeStep
notice_step(NoticeState before, NoticeState after)
{
	return (NoticeStep) steps[before][after];
}

const char *
notice_state_name(NoticeState state)
{
	return names[state];
}

bool
notice_state_parse(const char *name, NoticeState *state)
{
	for (int i = 0; i < NOTICE_STATES; i++)
		if (strcmp(names[i], name) == 0)
		{
			*state = (NoticeState) i;
			return true;
		}
	return false;
}
