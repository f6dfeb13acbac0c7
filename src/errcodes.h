/*
 * errcodes.h: SQLSTATEs of class ST, the conditions a client may want to branch on.
 */
#ifndef ERRCODES_H
#define ERRCODES_H

#define ERRCODE_SETTLE_RUN_ACTIVE MAKE_SQLSTATE('S', 'T', '0', '0', '1')      /* the period is being settled */
#define ERRCODE_SETTLE_RUN_COMPLETED MAKE_SQLSTATE('S', 'T', '0', '0', '2')   /* the period is settled already */
#define ERRCODE_SETTLE_MONTH_NOT_OPEN MAKE_SQLSTATE('S', 'T', '0', '0', '3')  /* settle_open_period() is missing */
#define ERRCODE_SETTLE_CATALOG_EMPTY MAKE_SQLSTATE('S', 'T', '0', '0', '4')   /* no product, price or currency */
#define ERRCODE_SETTLE_CATALOG_CHANGED MAKE_SQLSTATE('S', 'T', '0', '0', '5') /* differs from the run's fingerprint */
#define ERRCODE_SETTLE_RUN_STOPPED MAKE_SQLSTATE('S', 'T', '0', '0', '6')     /* settle_stop() or a cancel */
#define ERRCODE_SETTLE_SKIP_LIMIT MAKE_SQLSTATE('S', 'T', '0', '0', '7')      /* more skips than skip_limit */
#define ERRCODE_SETTLE_RUN_UNKNOWN MAKE_SQLSTATE('S', 'T', '0', '0', '8')     /* no such run */
#define ERRCODE_SETTLE_RUN_STATE MAKE_SQLSTATE('S', 'T', '0', '0', '9')       /* the run's state forbids it */
#define ERRCODE_SETTLE_NOT_INITIALIZED MAKE_SQLSTATE('S', 'T', '0', '1', '0') /* settle_init() is missing */
#define ERRCODE_SETTLE_UNLOAD_BILLED MAKE_SQLSTATE('S', 'T', '0', '1', '1')   /* the load's accounts have bills */
#define ERRCODE_SETTLE_COMMAND_REUSED MAKE_SQLSTATE('S', 'T', '0', '1', '2')  /* command id with other arguments */
#define ERRCODE_SETTLE_NOTICE_STEP MAKE_SQLSTATE('S', 'T', '0', '1', '3')     /* a notice does not change like that */
#define ERRCODE_SETTLE_NOTICE_UNKNOWN MAKE_SQLSTATE('S', 'T', '0', '1', '4')  /* no such notice */

#endif
