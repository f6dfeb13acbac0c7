/*
 * notice.h: the states of a notice, and how they may change.
 *
 * The one table of them: the trigger on settle.notice holds everybody to it, settle.notice_steps() shows it.
 */
#ifndef COMMON_NOTICE_H
#define COMMON_NOTICE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum NoticeState {
	NOTICE_HELD,       /* its run is not released */
	NOTICE_PENDING,    /* may go now */
	NOTICE_DEFERRED,   /* waits for its time */
	NOTICE_SENDING,    /* claimed: may be on the wire */
	NOTICE_SENT,       /* accepted by the provider */
	NOTICE_DELIVERED,  /* the provider says so */
	NOTICE_BOUNCED,    /* came back */
	NOTICE_COMPLAINED, /* the customer does not want it */
	NOTICE_UNKNOWN,    /* nobody can say whether it was accepted */
	NOTICE_FAILED,     /* refused for good */
	NOTICE_DEAD,       /* attempts are used up */
	NOTICE_EXPIRED,    /* too late */
	NOTICE_SUPPRESSED, /* no address, or one that is not to be used */
	NOTICE_CANCELLED,  /* by an operator, or a newer bill replaces it */
	NOTICE_STATES
} NoticeState;

typedef enum NoticeStep {
	STEP_FORBIDDEN,
	STEP_OPERATOR, /* through the functions of operators only */
	STEP_ALLOWED
} NoticeStep;

NoticeStep notice_step(NoticeState before, NoticeState after);
const char *notice_state_name(NoticeState state);
/* False when there is no such state. */
bool notice_state_parse(const char *name, NoticeState *state);

#endif
