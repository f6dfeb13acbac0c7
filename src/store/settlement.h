/*
 * settlement.h: the step that makes bills.
 */
#ifndef STORE_SETTLEMENT_H
#define STORE_SETTLEMENT_H

#include "batch/step.h"

extern const StepOps settlement_step;

/* Errors unless the month is open and settle_init() was called; the number of buckets. */
extern int settlement_check_month(Period period);

#endif
