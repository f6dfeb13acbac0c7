/*
 * settlement.h: the step that makes bills.
 */
#ifndef STORE_SETTLEMENT_H
#define STORE_SETTLEMENT_H

#include "batch/step.h"

extern const StepOps settlement_step;

/* Reads a month as callers write it, 'YYYY-MM'; error 22023 for anything else. */
extern Period settlement_parse_month(const text *month);

/* Errors unless the month is open and settle_init() was called; the number of buckets. */
extern int settlement_check_month(Period period);

#endif
