/*
 * reason.h: why an account was skipped, or billed with something left out.
 *
 * A bad account is a value, not an exception. One table (reason.c) gives each code its text, class and severity; SQL
 * shows it as the view settle.reason. Codes are stable: clients and operators branch on them.
 */
#ifndef COMMON_REASON_H
#define COMMON_REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum Reason {
	REASON_OK = 0,
	/* the account's own data */
	REASON_UNKNOWN_ACCOUNT,      /* usage, subscription … of an account that does not exist */
	REASON_NO_CURRENCY,          /* account without currency */
	REASON_UNKNOWN_CURRENCY,     /* currency not in settle.currency */
	REASON_UNKNOWN_GROUP,        /* group_id not in settle.account_group */
	REASON_UNKNOWN_PRODUCT,      /* subscription of a product that does not exist */
	REASON_CURRENCY_MISMATCH,    /* product or discount priced in another currency than the account's */
	REASON_INVALID_SUBSCRIPTION, /* ends before it starts */
	REASON_INVALID_QUANTITY,     /* negative usage, or subscription quantity below 0 */
	REASON_UNKNOWN_METRIC,
	REASON_UNKNOWN_SUBSCRIPTION, /* usage of a subscription the account does not have */
	REASON_UNKNOWN_DISCOUNT,
	REASON_INVALID_GRANT,        /* ends before it starts; scope product without a product */
	REASON_INVALID_PRICE,        /* subscription's own price: negative or more than 12 decimals */
	REASON_OVERFLOW,             /* an amount or quantity exceeds 64 bits */
	/* the catalogue */
	REASON_NO_PRICE,             /* product without a price valid on the day */
	REASON_NEGATIVE_PRICE,
	REASON_INVALID_CHARGE,       /* negative amounts, no package size, more than 12 decimals … */
	REASON_INVALID_TIERS,        /* overlap, not rising, last one finite, none */
	REASON_INVALID_DISCOUNT,     /* percent not in (0, 100], amount not > 0, condition without minimum … */
	REASON_UNKNOWN_TAX,
	REASON_INVALID_TAX,          /* rate below 0 */
	/* warnings: the account is not skipped */
	REASON_CONDITION_NOT_MET,    /* discount dropped */
	REASON_UNPRICED_USAGE,       /* pool usage of an account without a subscription in the month */
	REASON_GRANT_NOT_APPLICABLE, /* grant for a product the account is not charged for */
	/* loading of usage */
	REASON_MALFORMED,            /* a value that cannot be read */
	REASON_MONTH_NOT_OPEN,
	/* the engine */
	REASON_BILL_TOO_LARGE,       /* its event would exceed PAYLOAD_MAX */
	REASON_DATABASE,             /* the database refused the account's rows (class 22 or 23) */
	REASON_COUNT
} Reason;

typedef enum ReasonClass { REASON_CLASS_DATA, REASON_CLASS_CATALOG } ReasonClass;

/* What went wrong and with which rows; a and b fill the %1 and %2 of the reason's message. */
typedef struct Fault {
	Reason reason;
	int64_t a;
	int64_t b;
} Fault;

const char *reason_code(Reason reason);       /* "UNKNOWN_PRODUCT" */
ReasonClass reason_class(Reason reason);
bool reason_is_warning(Reason reason);
const char *reason_help(Reason reason);       /* a sentence for the view settle.reason */

/* Formats the fault's message into text (size ≥ 1, always terminated); returns its length. */
int reason_message(Fault fault, char *text, size_t size);

#endif
