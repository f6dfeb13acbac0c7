/*
 * guc.c: settings of settle, each with its unit and range; README has the same table.
 *
 * They are read once, by settle_run() in the caller's session, and frozen in the run's row: a worker never looks here.
 */
#include "compat.h"

#include <limits.h>

#include "pgtime.h"
#include "utils/guc.h"

#include "guc.h"

int guc_workers;
int guc_chunk_size;
int guc_skip_limit;
int guc_due_days;
char *guc_time_zone;

static bool
check_time_zone(char **value, void **extra, GucSource source)
{
	if (**value == '\0' || pg_tzset(*value) != NULL)
		return true;
	GUC_check_errdetail("Unrecognized time zone name: \"%s\".", *value);
	return false;
}

const char *
guc_effective_time_zone(void)
{
	return guc_time_zone != NULL && *guc_time_zone != '\0' ? guc_time_zone : pg_get_timezone_name(session_timezone);
}

void
guc_init(void)
{
	DefineCustomIntVariable("settle.workers", "Processes that settle a month, the leader included",
							"0 means one for each processor.", &guc_workers, 0, 0, 64, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("settle.chunk_size", "Accounts settled in one transaction", NULL, &guc_chunk_size, 5000, 1,
							1000000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("settle.skip_limit", "Skipped accounts a run tolerates before it fails", NULL, &guc_skip_limit,
							1000, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("settle.due_days", "Days from the end of a month to the due date of its bills", NULL,
							&guc_due_days, 14, 0, 366, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("settle.time_zone", "Time zone that decides which month usage belongs to",
							   "Empty means the server's TimeZone.", &guc_time_zone, "", PGC_USERSET, 0, check_time_zone,
							   NULL, NULL);
	MarkGUCPrefixReserved("settle");
}
