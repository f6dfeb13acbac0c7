/*
 * outcome.h: what became of a notice on the wire.
 *
 * Every channel sorts what its provider answers into these, once; the dispatcher knows nothing of SMTP or HTTP. What counts
 * is when the provider may have the message: before its last byte was handed over it certainly has not, after a clear answer
 * it is known, and in between nobody can say (research/notify.md §3.5).
 */
#ifndef NOTIFY_OUTCOME_H
#define NOTIFY_OUTCOME_H

#include <stdint.h>

typedef enum Outcome {
	OUTCOME_ACCEPTED,   /* the provider has it and says so */
	OUTCOME_TEMPORARY,  /* it certainly has not; worth another attempt, which is counted */
	OUTCOME_PERMANENT,  /* it certainly has not, and another attempt would end alike */
	OUTCOME_AMBIGUOUS,  /* it may have it: never sent again by itself, unless the provider takes a key */
	OUTCOME_NOT_TRIED,  /* the connection or the provider failed before the message was its turn; not counted */
	OUTCOME_THROTTLED   /* the provider asks to wait; not counted, and all of its messages wait `retry_after_ms` */
} Outcome;

/*
 * Whose doing a refusal is, as far as the provider tells. A recipient that does not exist may be put on the suppression
 * list and be reached on another channel; when it is our configuration, reputation or right to send that is refused, every
 * other message would be too: that is for an operator to see, and no reason to write off a customer's address.
 */
typedef enum Fault { FAULT_NONE, FAULT_RECIPIENT, FAULT_MESSAGE, FAULT_SENDER } Fault;

typedef struct Result {
	Outcome outcome;
	Fault fault;           /* of TEMPORARY, PERMANENT and THROTTLED */
	int code;              /* SMTP reply or HTTP status; 0 = none came */
	char enhanced[12];     /* RFC 3463, "5.1.1"; empty = none */
	char text[256];        /* what the provider said, one line, without addresses */
	char provider_ref[128]; /* the provider's id of the message; empty = none */
	int64_t retry_after_ms; /* THROTTLED: 0 = as the dispatcher likes */
	int64_t bytes;         /* of the message */
} Result;

#endif
