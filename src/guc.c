/*
 * guc.c: settings of settle, each with its unit and range; README has the same table.
 *
 * They are read once, by settle_run() in the caller's session, and frozen in the run's row: a worker never looks here.
 */
#include "compat.h"

#include <limits.h>

#include "pgtime.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "guc.h"

int guc_workers;
int guc_chunk_size;
int guc_skip_limit;
int guc_retry_limit;
bool guc_auto_resume;
char *guc_databases;
int guc_due_days;
char *guc_time_zone;
char *guc_keyring_file;
int guc_notice_writer;

static const struct config_enum_entry notice_writers[] = {
	{"none", NOTICE_WRITER_NONE, false},
	{"notifier", NOTICE_WRITER_NOTIFIER, false},
	{"operator", NOTICE_WRITER_OPERATOR, false},
	{NULL, 0, false},
};

static bool
check_time_zone(char **value, void **extra, GucSource source)
{
	if (**value == '\0' || pg_tzset(*value) != NULL)
		return true;
	GUC_check_errdetail("Unrecognized time zone name: \"%s\".", *value);
	return false;
}

static bool
check_databases(char **value, void **extra, GucSource source)
{
	char *names = pstrdup(*value);
	List *list;
	const bool valid = SplitGUCList(names, ',', &list);

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(list);
	pfree(names);
	return valid;
}

/* Whether it is there is looked at when it is needed: a server must start without it. */
static bool
check_keyring_file(char **value, void **extra, GucSource source)
{
	if (**value == '\0' || **value == '/')
		return true;
	GUC_check_errdetail("The path must be absolute.");
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
	DefineCustomIntVariable("settle.retry_limit", "How often a transaction of a run is tried again",
							"After serialization failures, deadlocks and lock timeouts.", &guc_retry_limit, 10, 0, 1000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("settle.due_days", "Days from the end of a month to the due date of its bills", NULL,
							&guc_due_days, 14, 0, 366, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("settle.time_zone", "Time zone that decides which month usage belongs to",
							   "Empty means the server's TimeZone.", &guc_time_zone, "", PGC_USERSET, 0, check_time_zone,
							   NULL, NULL);
	DefineCustomBoolVariable("settle.auto_resume", "Whether runs that crashed are resumed when the server starts",
							 "Needs settle in shared_preload_libraries.", &guc_auto_resume, true, PGC_SIGHUP, 0, NULL,
							 NULL, NULL);
	DefineCustomStringVariable("settle.databases", "Databases in which crashed runs are resumed when the server starts",
							   "Names as they are written, with commas between them; * means all that accept connections.",
							   &guc_databases, "*", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, NULL, NULL);
	DefineCustomStringVariable("settle.keyring_file", "File of the keys that contact data is sealed with",
							   "An absolute path; readable by the server's user only.", &guc_keyring_file, "", PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY, check_keyring_file, NULL, NULL);
	DefineCustomEnumVariable("settle.notice_writer", "Who changes the state of notices in this session",
							 "settle-notifier and the functions for operators set it; by hand nobody should.", &guc_notice_writer,
							 NOTICE_WRITER_NONE, notice_writers, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("settle");
}
