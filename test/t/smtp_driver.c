/*
 * smtp_driver.c: sends generated mails through the notifier's SMTP client, and tells what became of them (see smtp.py).
 *
 * A line for each result, "id OUTCOME fault code enhanced reference text", and at the end one of figures, "# name=value …".
 * Settings are the e-mail channel's own (--email.url …) and those of --help that begin with driver.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "notify/mime.h"
#include "notify/smtp.h"

#define STALL_EVERY_MS 5

typedef struct Settings {
	SmtpSettings email;
	int64_t mails, bytes, window, hold, pause_ms, timeout_s, drain_ms, free_ms, drain_after;
	char *to, *file, *sender;
	bool retry, same, quiet;
} Settings;

typedef struct Item {
	SmtpMail mail;
	char to[300];
	Buf message;
} Item;

typedef struct Driver {
	Settings settings;
	uv_loop_t loop;
	uv_timer_t stall, pause, limit, end;
	SmtpPool *pool;
	Item *items;
	Item **again; /* to be sent once more */
	int64_t again_count;
	int64_t next, in_flight, done, begun;
	int64_t outcomes[6];
	int64_t began_ms, ended_ms, seen_ms, longest_ms;
	Buf whole; /* the message of --driver.same and --driver.file */
	bool ending, paused, over;
} Driver;

static const char *const outcome_names[] = {"ACCEPTED", "TEMPORARY", "PERMANENT", "AMBIGUOUS", "NOT_TRIED", "THROTTLED"};
static const char *const fault_names[] = {"-", "recipient", "message", "sender"};

#define TEXT(key, field, standard, text) {.name = key, .type = CONF_TEXT, .offset = offsetof(Settings, field), .otherwise = standard, .help = text}
#define NUMBER(key, field, standard, text) \
	{.name = key, .type = CONF_INT, .offset = offsetof(Settings, field), .otherwise = standard, .min = 0, .max = INT64_MAX, .help = text}
#define SWITCH(key, field, text) {.name = key, .type = CONF_BOOL, .offset = offsetof(Settings, field), .otherwise = "off", .help = text}

static const ConfKey keys[] = {
	SMTP_KEYS(Settings, email),
	NUMBER("driver.mails", mails, "1", "how many"),
	NUMBER("driver.bytes", bytes, "1000", "text of each"),
	NUMBER("driver.window", window, "1000000", "mails that the pool has at a time, at most"),
	NUMBER("driver.hold", hold, "0", "every so many mails are held back when they would begin"),
	NUMBER("driver.pause_ms", pause_ms, "0", "after each mail"),
	NUMBER("driver.timeout_s", timeout_s, "60", "the pool is freed after so long"),
	NUMBER("driver.drain_ms", drain_ms, "0", "the pool is drained after so long"),
	NUMBER("driver.drain_after", drain_after, "0", "the pool is drained from within the result of the so-manyth mail"),
	NUMBER("driver.free_ms", free_ms, "0", "the pool is freed after so long"),
	TEXT("driver.to", to, "to%lld@example.org", "recipients; one %lld is the number"),
	TEXT("driver.sender", sender, "", "envelope sender; empty = email.from"),
	TEXT("driver.file", file, "", "a message as it is, instead of those that are built"),
	SWITCH("driver.retry", retry, "mails that were not tried or throttled are sent again"),
	SWITCH("driver.same", same, "one message is built, and sent to all"),
	SWITCH("driver.quiet", quiet, "no lines but the last"),
	{.name = NULL},
};
static const ConfReserved reserved[] = {{NULL, NULL}};

/* ---- mails ------------------------------------------------------------------------------------------------------ */

static void
build(Driver *driver, int64_t id, const char *to, Buf *out)
{
	const Settings *settings = &driver->settings;
	char key[64], message_id[96];
	char *text = calloc(1, (size_t) settings->bytes + 2);
	Err err;

	/* lines that begin with dots, among others */
	for (int64_t i = 0; i < settings->bytes; i++)
		text[i] = i % 70 == 69 ? '\n' : i % 70 == 0 ? '.' : (char) ('a' + i % 23);
	snprintf(key, sizeof(key), "driver.%" PRId64, id);
	snprintf(message_id, sizeof(message_id), "%s@example.com", key);
	const MimeMail mail = {
		.key = key,
		.from = {settings->email.from_name, settings->email.from},
		.to = {"홍길동", to},
		.subject = "2024년 5월 요금 명세서",
		.date_s = 1716200000,
		.message_id = message_id,
		.text = {text, (size_t) settings->bytes},
		.html = {"<p>.\n</p>", 9},
	};
	if (!mime_build(&mail, out, &err))
	{
		fprintf(stderr, "smtp_driver: %s\n", err.text);
		exit(2);
	}
	free(text);
}

static void
prepare_item(Driver *driver, int64_t id)
{
	Item *item = &driver->items[id];
	const Buf *message = &driver->whole;

	const char *number = strstr(driver->settings.to, "%lld");
	if (number != NULL)
		snprintf(item->to, sizeof(item->to), "%.*s%" PRId64 "%s", (int) (number - driver->settings.to), driver->settings.to, id, number + 4);
	else
		snprintf(item->to, sizeof(item->to), "%s", driver->settings.to);
	if (!driver->settings.same && *driver->settings.file == '\0')
	{
		build(driver, id, item->to, &item->message);
		message = &item->message;
	}
	item->mail = (SmtpMail){.id = id, .from = *driver->settings.sender ? driver->settings.sender : driver->settings.email.from,
							.to = item->to, .message = message->data, .len = message->len, .user = item};
}

static void
read_file(Driver *driver)
{
	FILE *file = fopen(driver->settings.file, "r");

	if (file == NULL)
		exit(2);
	for (int c; (c = getc(file)) != EOF;)
		buf_add(&driver->whole, &(char){(char) c}, 1);
	fclose(file);
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static void
finish(Driver *driver)
{
	if (driver->ending)
		return;
	driver->ending = true;
	driver->ended_ms = clock_ms();
	uv_timer_stop(&driver->stall);
	uv_timer_stop(&driver->pause);
	uv_timer_stop(&driver->limit);
}

static void pump(Driver *driver);

static void
on_pause_over(uv_timer_t *handle)
{
	Driver *driver = handle->data;

	driver->paused = false;
	pump(driver);
}

static Item *
next_item(Driver *driver)
{
	if (driver->again_count > 0)
		return driver->again[--driver->again_count];
	if (driver->next > driver->settings.mails)
		return NULL;
	prepare_item(driver, driver->next);
	return &driver->items[driver->next++];
}

static void
pump(Driver *driver)
{
	while (!driver->ending && !driver->paused && driver->in_flight < driver->settings.window && smtp_pool_has_room(driver->pool))
	{
		Item *item = next_item(driver);
		if (item == NULL)
			break;
		driver->in_flight++;
		smtp_send(driver->pool, &item->mail);
		if (driver->settings.pause_ms > 0)
		{
			driver->paused = true;
			uv_timer_start(&driver->pause, on_pause_over, (uint64_t) driver->settings.pause_ms, 0);
		}
	}
}

static bool
on_begin(SmtpMail *mail, void *arg)
{
	Driver *driver = arg;

	driver->begun++;
	return driver->settings.hold == 0 || mail->id % driver->settings.hold != 0;
}

static void
on_result(SmtpMail *mail, const Result *result, void *arg)
{
	Driver *driver = arg;
	Item *item = mail->user;
	const bool definite = result->outcome != OUTCOME_NOT_TRIED && result->outcome != OUTCOME_THROTTLED;

	driver->in_flight--;
	driver->outcomes[result->outcome]++;
	if (!driver->settings.quiet)
		printf("%" PRId64 " %s %s %d %s %s %s\n", mail->id, outcome_names[result->outcome], fault_names[result->fault], result->code,
			   *result->enhanced ? result->enhanced : "-", *result->provider_ref ? result->provider_ref : "-", result->text);
	if (driver->settings.retry && !definite && !driver->over)
		driver->again[driver->again_count++] = item;
	else
	{
		driver->done++;
		buf_free(&item->message);
	}
	if (driver->settings.drain_after > 0 && driver->done == driver->settings.drain_after && !driver->over)
	{
		driver->over = true;
		smtp_pool_drain(driver->pool);
	}
	if (driver->done == driver->settings.mails)
		finish(driver);
	pump(driver);
}

static void
on_room(void *arg)
{
	pump(arg);
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static void
on_stall_timer(uv_timer_t *handle)
{
	Driver *driver = handle->data;
	const int64_t now = clock_ms(), late = now - driver->seen_ms - STALL_EVERY_MS;

	driver->longest_ms = driver->seen_ms != 0 && late > driver->longest_ms ? late : driver->longest_ms;
	driver->seen_ms = now;
}

static void
on_limit(uv_timer_t *handle)
{
	Driver *driver = handle->data;

	driver->over = true;
	finish(driver);
}

static void
on_end_timer(uv_timer_t *handle)
{
	Driver *driver = handle->data;

	driver->over = true;
	if (driver->settings.free_ms > 0)
		finish(driver);
	else
		smtp_pool_drain(driver->pool);
}

static void
print_figures(const Driver *driver, const SmtpStats *stats)
{
	struct rusage usage;
	const int64_t wall_ms = driver->ended_ms - driver->began_ms > 0 ? driver->ended_ms - driver->began_ms : 1;

	getrusage(RUSAGE_SELF, &usage);
	const double cpu_us = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	printf("# done=%" PRId64 " begun=%" PRId64 " opened=%" PRId64 " failures=%" PRId64 " lost=%" PRId64 " throttled=%" PRId64
		   " allowed=%d connections=%d stall_ms=%" PRId64 " wall_ms=%" PRId64 " per_s=%" PRId64 " cpu_us=%.1f",
		   driver->done, driver->begun, stats->opened, stats->connect_failures, stats->lost, stats->throttled, stats->allowed,
		   stats->connections, driver->longest_ms, wall_ms, driver->done * 1000 / wall_ms,
		   cpu_us / (double) (driver->done > 0 ? driver->done : 1));
	for (int i = 0; i < 6; i++)
		printf(" %s=%" PRId64, outcome_names[i], driver->outcomes[i]);
	putchar('\n');
}

static void
run(Driver *driver)
{
	const SmtpCallbacks callbacks = {on_begin, on_result, on_room, driver};
	uv_timer_t *timers[] = {&driver->stall, &driver->pause, &driver->limit, &driver->end};
	const Settings *settings = &driver->settings;
	SmtpStats stats;
	Err err;

	uv_loop_init(&driver->loop);
	for (int i = 0; i < 4; i++)
	{
		uv_timer_init(&driver->loop, timers[i]);
		timers[i]->data = driver;
	}
	driver->pool = smtp_pool_new(&driver->loop, &settings->email, &callbacks, &err);
	if (driver->pool == NULL)
	{
		fprintf(stderr, "smtp_driver: %s\n", err.text);
		exit(2);
	}
	uv_timer_start(&driver->stall, on_stall_timer, STALL_EVERY_MS, STALL_EVERY_MS);
	uv_timer_start(&driver->limit, on_limit, (uint64_t) settings->timeout_s * 1000, 0);
	const int64_t end_ms = settings->drain_ms + settings->free_ms;
	if (end_ms > 0)
		uv_timer_start(&driver->end, on_end_timer, (uint64_t) end_ms, 0);
	driver->began_ms = clock_ms();
	pump(driver);
	while (!driver->ending && !(driver->over && smtp_pool_is_drained(driver->pool)))
		(void) uv_run(&driver->loop, UV_RUN_ONCE);
	finish(driver);
	smtp_pool_stats(driver->pool, &stats);
	driver->over = true;
	smtp_pool_free(driver->pool, NULL, NULL);
	for (int i = 0; i < 4; i++)
		uv_close((uv_handle_t *) timers[i], NULL);
	(void) uv_run(&driver->loop, UV_RUN_DEFAULT);
	uv_loop_close(&driver->loop);
	print_figures(driver, &stats);
}

int
main(int argc, char **argv)
{
	static Driver driver;
	static const ConfSwitch switches[] = {{NULL, NULL, NULL}};
	Conf conf = {.program = "smtp_driver", .environment = "SMTP_DRIVER_", .keys = keys, .reserved = reserved, .target = &driver.settings};
	ConfAction action;
	Err err;

	signal(SIGPIPE, SIG_IGN);
	if (!conf_load(&conf, argc, argv, switches, &action, &err))
	{
		fprintf(stderr, "smtp_driver: %s\n", err.text);
		conf_free(&conf);
		return 2;
	}
	if (action == CONF_HELP)
		conf_help(&conf, switches, stdout);
	if (action != CONF_RUN)
	{
		conf_free(&conf);
		return 0;
	}
	log_setup(LOG_LEVEL_WARNING, false);
	driver.items = calloc((size_t) driver.settings.mails + 1, sizeof(Item));
	driver.again = calloc((size_t) driver.settings.mails + 1, sizeof(Item *));
	driver.next = 1;
	if (*driver.settings.file != '\0')
		read_file(&driver);
	else if (driver.settings.same)
		build(&driver, 0, "to@example.org", &driver.whole);
	run(&driver);
	for (int64_t i = 1; i <= driver.settings.mails; i++)
		buf_free(&driver.items[i].message);
	buf_free(&driver.whole);
	free(driver.items);
	free(driver.again);
	conf_free(&conf);
	return 0;
}
