/*
 * guc.h: settings of settle.
 */
#ifndef SETTLE_GUC_H
#define SETTLE_GUC_H

#include "postgres.h"

extern int guc_workers;
extern int guc_chunk_size;
extern int guc_skip_limit;
extern int guc_retry_limit;
extern int guc_due_days;
extern bool guc_auto_resume;
extern char *guc_databases;
extern char *guc_time_zone;
extern char *guc_keyring_file;
extern int guc_notice_writer; /* NoticeWriter */

typedef enum NoticeWriter { NOTICE_WRITER_NONE, NOTICE_WRITER_NOTIFIER, NOTICE_WRITER_OPERATOR } NoticeWriter;

extern void guc_init(void);

/* settle.time_zone, or the session's TimeZone when it is empty. */
extern const char *guc_effective_time_zone(void);

#endif
