/*
 * generate.c: bench/generate fills an empty settle database with an invented telecom operator.
 *
 * Responsible for the options, for checking that the database is ready for a load (and saying what to run when it is
 * not), and for the load itself: two connections, one thread each, as the reference machine has two cores. The usage
 * thread writes settle.usage, the other the account-owned tables; no table is written by both, so the physical order of
 * rows is the same in every run as well.
 *
 * The invariant: all or nothing but the catalogue, which is written first: both connections commit only after both have
 * finished. What is written depends on --accounts, --period, --seed and the session's time zone alone.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gen.h"

#define ACCOUNTS_MAX INT64_C(200000000)

typedef struct Options {
	const char *period; /* YYYY-MM */
	bool catalog, dedup, quiet;
} Options;

/* One connection and what its thread does with it. */
typedef struct Job {
	const char *what;
	bool (*load)(PGconn *conn, const Gen *gen, Counts *counts, char *error);
	const char *analyze;
	const Gen *gen;
	PGconn *conn;
	Counts counts;
	bool done;
	char error[GEN_ERROR_SIZE];
} Job;

static const char help[] =
	"usage: bench/generate --accounts N --period YYYY-MM [--seed S] [--no-catalog] [--no-dedup] [--quiet]\n"
	"\n"
	"Fills the database named by the environment (PGHOST, PGPORT, PGDATABASE, PGUSER …) with an invented telecom\n"
	"operator of N accounts: the catalogue, about 2.5 subscriptions and 5 rows of usage an account, groups, discounts,\n"
	"adjustments and contacts. The same N, period, seed and TimeZone give the same tables.\n"
	"\n"
	"  --accounts N      accounts, with ids 1 … N (at most 200 000 000)\n"
	"  --period YYYY-MM  the month the usage belongs to; opened if it is not\n"
	"  --seed S          another operator (default 1)\n"
	"  --no-catalog      keep the catalogue that an earlier run of this program wrote\n"
	"  --no-dedup        when the month has to be opened, open it without the unique index on events\n"
	"  --quiet           print nothing but errors\n"
	"  --help            this text\n"
	"\n"
	"Before: CREATE EXTENSION settle; SELECT settle_init(); It takes about 90 bytes of memory an account.\n"
	"\n"
	"From N = 1000 on, one account of each of these kinds per million (at least one) cannot be settled: unknown product,\n"
	"no price, negative price, unknown discount, invalid discount, unknown metric, usage overflow, negative usage,\n"
	"no currency, unknown currency, unknown group, subscription ending before it starts, usage of an unknown\n"
	"subscription, unknown tax; and usage of an unknown account, whose id is above N. At most 0.5 % of the accounts are\n"
	"billed with a warning.\n"
	"\n"
	"Exit status: 0 loaded, 1 the database refused, 2 wrong options.\n";

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static void __attribute__((noreturn))
refuse(const char *what, const char *value)
{
	fprintf(stderr, "generate: %s%s%s\nTry bench/generate --help.\n", what, value == NULL ? "" : ": ",
			value == NULL ? "" : value);
	exit(2);
}

static int64_t
parse_number(const char *name, const char *text, int64_t least, int64_t most)
{
	char *end;
	long long value;
	char message[96];

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && value >= least && value <= most)
		return value;
	snprintf(message, sizeof(message), "--%s takes a number from %lld to %lld", name, (long long) least,
			 (long long) most);
	refuse(message, text);
}

static void
parse_options(int argc, char **argv, Gen *gen, Options *options)
{
	static const struct option known[] = {
		{"accounts", required_argument, NULL, 'a'}, {"period", required_argument, NULL, 'p'},
		{"seed", required_argument, NULL, 's'},     {"no-catalog", no_argument, NULL, 'c'},
		{"no-dedup", no_argument, NULL, 'd'},       {"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
	int option;

	*gen = (Gen){.seed = 1};
	*options = (Options){.catalog = true, .dedup = true};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		switch (option)
		{
			case 'a':
				gen->accounts = parse_number("accounts", optarg, 1, ACCOUNTS_MAX);
				break;
			case 'p':
				options->period = optarg;
				if (!ymd_parse_period(optarg, strlen(optarg), &gen->period) || optarg[0] == '0')
					refuse("--period takes a month from 1000-01 on, like 2024-05", optarg);
				break;
			case 's':
				gen->seed = (uint64_t) parse_number("seed", optarg, 0, INT64_MAX);
				break;
			case 'c':
				options->catalog = false;
				break;
			case 'd':
				options->dedup = false;
				break;
			case 'q':
				options->quiet = true;
				break;
			case 'h':
				fputs(help, stdout);
				exit(0);
			default:
				exit(2);
		}
	if (optind < argc)
		refuse("unexpected argument", argv[optind]);
	if (gen->accounts == 0)
		refuse("--accounts is missing", NULL);
	if (options->period == NULL)
		refuse("--period is missing", NULL);
	gen->broken = gen->accounts < 1000 ? 0 : gen->accounts < 1000000 ? 1 : gen->accounts / 1000000;
}

/* ---- the database ------------------------------------------------------------------------------------------------ */

static void __attribute__((noreturn))
stop(PGconn *conn, const char *error, const char *hint)
{
	const size_t len = strlen(error);
	const char *database = PQdb(conn);

	fprintf(stderr, "generate: database \"%s\": %s%s", database == NULL ? "" : database, error,
			len > 0 && error[len - 1] == '\n' ? "" : "\n");
	if (hint != NULL)
		fprintf(stderr, "HINT: %s\n", hint);
	exit(1);
}

static void
ignore_notice(void *unused, const char *message)
{
	(void) unused;
	(void) message;
}

static PGconn *
connect_database(void)
{
	static const char *const names[] = {"application_name", "client_encoding", NULL};
	static const char *const values[] = {"settle bench/generate", "UTF8", NULL};
	PGconn *conn = PQconnectdbParams(names, values, 0);
	char error[GEN_ERROR_SIZE];

	if (PQstatus(conn) != CONNECTION_OK)
	{
		fprintf(stderr, "generate: %sHINT: Set PGHOST, PGPORT, PGUSER and PGDATABASE.\n", PQerrorMessage(conn));
		exit(1);
	}
	PQsetNoticeProcessor(conn, ignore_notice, NULL);
	/* the load is repeatable, so its commits need not wait for the disk */
	if (!load_execute(conn, "SET DateStyle = 'ISO, YMD'; SET synchronous_commit = off", error))
		stop(conn, error, NULL);
	return conn;
}

/* The first column of the first row; it is freed with the connection's next call only. */
static const char *
ask(PGconn *conn, const char *sql)
{
	static PGresult *result;

	PQclear(result);
	result = PQexec(conn, sql);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		stop(conn, PQerrorMessage(conn), NULL);
	return PQntuples(result) == 0 || PQgetisnull(result, 0, 0) ? "" : PQgetvalue(result, 0, 0);
}

static void
check_empty(PGconn *conn, const Options *options)
{
	static const char *const owned[] = {"account", "account_group", "subscription", "discount_grant", "contact"};
	static const char *const catalog[] = {"currency", "metric", "product", "price", "charge", "tax", "discount"};
	char sql[256], error[128];

	for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
	{
		snprintf(sql, sizeof(sql), "SELECT 'x' FROM settle.%s LIMIT 1", owned[i]);
		snprintf(error, sizeof(error), "table settle.%s is not empty", owned[i]);
		if (*ask(conn, sql) != '\0')
			stop(conn, error, "Load into a new database, or TRUNCATE the accounts' tables, usage and adjustment.");
	}
	for (size_t i = 0; options->catalog && i < sizeof(catalog) / sizeof(*catalog); i++)
	{
		snprintf(sql, sizeof(sql), "SELECT 'x' FROM settle.%s LIMIT 1", catalog[i]);
		snprintf(error, sizeof(error), "table settle.%s is not empty", catalog[i]);
		if (*ask(conn, sql) != '\0')
			stop(conn, error, "Load into a new database, or use --no-catalog if this program wrote it.");
	}
	if (!options->catalog &&
		strcmp(ask(conn, "SELECT count(*) FROM settle.product WHERE code IN ('M5G-PREM', 'X-NOPRICE')"), "2") != 0)
		stop(conn, "the catalogue is not the one this program writes", "Leave out --no-catalog, in a new database.");
}

static void
open_month(PGconn *conn, const Options *options)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
			 "SELECT 'x' FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = "
			 "'settle.usage'::regclass AND pg_get_expr(c.relpartbound, c.oid) = 'FOR VALUES IN (''%s-01'')'",
			 options->period);
	if (*ask(conn, sql) == '\0')
	{
		if (*ask(conn, "SELECT 'x' FROM pg_proc WHERE proname = 'settle_open_period'") == '\0')
			stop(conn, "the month is not open and there is no settle_open_period()", "Update the extension settle.");
		snprintf(sql, sizeof(sql), "SELECT settle_open_period('%s', dedup => %s)", options->period,
				 options->dedup ? "true" : "false");
		ask(conn, sql);
	}
	snprintf(sql, sizeof(sql),
			 "SELECT 'x' WHERE EXISTS (SELECT FROM settle.usage WHERE period = '%s-01') OR EXISTS (SELECT FROM "
			 "settle.adjustment WHERE period = '%s-01')",
			 options->period, options->period);
	if (*ask(conn, sql) != '\0')
		stop(conn, "the month already has usage or adjustments", "Choose another --period.");
}

/* Refuses a database that is not ready, opens the month and finds out when it begins. */
static void
prepare(PGconn *conn, Gen *gen, const Options *options)
{
	char sql[512];
	char *end;

	if (*ask(conn, "SELECT to_regclass('settle.account')") == '\0')
		stop(conn, "extension settle is not installed", "CREATE EXTENSION settle; SELECT settle_init();");
	if (*ask(conn, "SELECT 'x' FROM pg_inherits WHERE inhparent = 'settle.account'::regclass LIMIT 1") == '\0')
		stop(conn, "settle has no buckets yet", "SELECT settle_init();");
	check_empty(conn, options);
	open_month(conn, options);
	/* microseconds of the month's first and last instant since 2000-01-01 UTC, in the zone that decides months */
	snprintf(sql, sizeof(sql),
			 "SELECT (extract(epoch FROM f - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint || ' ' || "
			 "(extract(epoch FROM t - f) * 1000)::bigint FROM (SELECT (date '%s-01')::timestamp AT TIME ZONE z AS f, "
			 "(date '%s-01' + interval '1 month') AT TIME ZONE z AS t FROM (SELECT coalesce(nullif("
			 "current_setting('settle.time_zone', true), ''), current_setting('TimeZone')) AS z) AS zone) AS month",
			 options->period, options->period);
	gen->month_at = strtoll(ask(conn, sql), &end, 10);
	gen->month_ms = strtoll(end, NULL, 10);
}

/* ---- the load ---------------------------------------------------------------------------------------------------- */

static void *
run_job(void *argument)
{
	Job *job = argument;

	job->done = load_execute(job->conn, "BEGIN", job->error) &&
				job->load(job->conn, job->gen, &job->counts, job->error);
	return NULL;
}

static void *
finish_job(void *argument)
{
	Job *job = argument;

	job->done = load_execute(job->conn, "COMMIT", job->error) && load_execute(job->conn, job->analyze, job->error);
	return NULL;
}

/* Runs both jobs side by side; the second on this thread. */
static void
run_both(Job *jobs, void *(*step)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, step, &jobs[0]) != 0)
		stop(jobs[0].conn, "cannot start a thread", NULL);
	step(&jobs[1]);
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++)
		if (!jobs[i].done)
		{
			fprintf(stderr, "generate: %s:\n", jobs[i].what);
			stop(jobs[i].conn, jobs[i].error, NULL);
		}
}

static void
progress(const Options *options, double start, const char *what)
{
	if (!options->quiet)
		fprintf(stderr, "%6.1f s  %s\n", now() - start, what);
}

int
main(int argc, char **argv)
{
	const double start = now();
	Gen gen;
	Options options;
	static Job jobs[2] = {
		{.what = "usage", .load = load_usage, .analyze = "ANALYZE settle.usage"},
		{.what = "accounts", .load = load_accounts,
			.analyze = "ANALYZE settle.account_group, settle.account, settle.subscription, settle.discount_grant, "
					   "settle.adjustment, settle.contact"}};
	Counts *counts = &jobs[1].counts;
	char error[GEN_ERROR_SIZE];

	parse_options(argc, argv, &gen, &options);
	for (int i = 0; i < 2; i++)
	{
		jobs[i].gen = &gen;
		jobs[i].conn = connect_database();
	}
	prepare(jobs[0].conn, &gen, &options);
	if (options.catalog)
	{
		progress(&options, start, "writing the catalogue");
		if (!load_execute(jobs[0].conn, "BEGIN", error) || !catalog_load(jobs[0].conn, &gen, error) ||
			!load_execute(jobs[0].conn, "COMMIT", error) ||
			!load_execute(jobs[0].conn, "ANALYZE settle.currency, settle.metric, settle.product, settle.price, "
										"settle.charge, settle.charge_tier, settle.tax, settle.discount", error))
			stop(jobs[0].conn, error, NULL);
	}
	progress(&options, start, "writing accounts and usage");
	run_both(jobs, run_job);
	progress(&options, start, "committing and analysing");
	run_both(jobs, finish_job);
	if (!options.quiet)
		printf("%lld accounts, %lld subscriptions, %lld groups, %lld grants, %lld adjustments, %lld contacts, "
			   "%lld usage rows for %s in %.1f s\n",
			   (long long) counts->accounts, (long long) counts->subscriptions, (long long) counts->groups,
			   (long long) counts->grants, (long long) counts->adjustments, (long long) counts->contacts,
			   (long long) jobs[0].counts.usage, options.period, now() - start);
	for (int i = 0; i < 2; i++)
		PQfinish(jobs[i].conn);
	return 0;
}
