/*
 * settlement.h: the step that makes bills.
 */
#ifndef STORE_SETTLEMENT_H
#define STORE_SETTLEMENT_H

#include "batch/step.h"
#include "rate/rate.h"

extern const StepOps settlement_step;

/* Reads a month as callers write it, 'YYYY-MM'; error 22023 for anything else. */
extern Period settlement_parse_month(const text *month);

/* Errors unless the month is open and settle_init() was called; the number of buckets. */
extern int settlement_check_month(Period period);

/* rate_account(), and a skip when the event of the bill cannot be written: how a run and a preview judge an account. */
extern Outcome settlement_rate(const Tariff *tariff, Period period, const Account *account, Workspace *workspace,
							   Bill *bill, Fault *fault);

#endif
