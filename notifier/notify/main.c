/*
 * main.c: settle-notifier: bills that were settled become notices, and notices become messages.
 *
 * The threads do the work (state.h); this one waits for signals. The database is the truth about every notice, Kafka's
 * offsets are a hint where to go on.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <uv.h>

#include "lib/clock.h"
#include "lib/http.h"
#include "lib/log.h"
#include "lib/version.h"
#include "notify/ingest.h"
#include "notify/metrics.h"
#include "notify/sweep.h"

typedef struct Notifier {
	Settings settings;
	Conf conf;
	State state;
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
} Notifier;

static void
on_terminate(uv_signal_t *handle, int number)
{
	Notifier *notifier = handle->data;

	if (atomic_exchange(&notifier->state.stopping, true))
		_exit(128 + number); /* asked twice */
	log_info("ending", F_TEXT("reason", number == SIGINT ? "SIGINT" : "SIGTERM"));
	uv_stop(&notifier->loop);
}

static void
on_hangup(uv_signal_t *handle, int number)
{
	Notifier *notifier = handle->data;
	Err err;

	(void) number;
	if (conf_reload(&notifier->conf, &err))
	{
		log_setup((LogLevel) notifier->settings.log_level, notifier->settings.log_format == 1);
		log_info("settings read again");
	}
	else
		log_error("settings were not taken over", F_TEXT("reason", err.text));
}

static void
watch(Notifier *notifier, uv_signal_t *handle, uv_signal_cb callback, int number)
{
	uv_signal_init(&notifier->loop, handle);
	handle->data = notifier;
	uv_signal_start(handle, callback, number);
}

static void
close_loop(Notifier *notifier)
{
	uv_close((uv_handle_t *) &notifier->term, NULL);
	uv_close((uv_handle_t *) &notifier->interrupt, NULL);
	uv_close((uv_handle_t *) &notifier->hangup, NULL);
	(void) uv_run(&notifier->loop, UV_RUN_DEFAULT);
	uv_loop_close(&notifier->loop);
}

static Ending
run(Notifier *notifier)
{
	State *state = &notifier->state;
	const HttpOps ops = {metrics_write, metrics_healthy, metrics_ready, state};
	Http *http = NULL;
	Err err;

	state->settings = &notifier->settings;
	state->conf = &notifier->conf;
	atomic_store(&state->last_poll_ms, clock_ms());
	atomic_store(&state->ingesting, true);
	if (*notifier->settings.listen && (http = http_start(notifier->settings.listen, &ops, &err)) == NULL)
	{
		log_error("cannot start", F_TEXT("reason", err.text));
		return END_CONFIG;
	}
	Ingest *ingest = ingest_start(state, &err);
	if (ingest == NULL)
	{
		log_error("cannot start", F_TEXT("reason", err.text));
		http_stop(http);
		return END_CONFIG;
	}
	Sweep *sweep = sweep_start(state);
	log_info("settle-notifier starts", F_TEXT("version", VERSION), F_TEXT("group", notifier->settings.group));
	uv_loop_init(&notifier->loop);
	watch(notifier, &notifier->term, on_terminate, SIGTERM);
	watch(notifier, &notifier->interrupt, on_terminate, SIGINT);
	watch(notifier, &notifier->hangup, on_hangup, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	(void) uv_run(&notifier->loop, UV_RUN_DEFAULT);
	ingest_stop(ingest);
	sweep_stop(sweep);
	http_stop(http);
	close_loop(notifier);
	log_info("settle-notifier ends", F_INT("notices", (int64_t) atomic_load(&state->stored)));
	return END_OK;
}

int
main(int argc, char **argv)
{
	static Notifier notifier;
	const ConfSwitch switches[] = {{NULL, NULL, NULL}};
	ConfAction action;
	Err err;

	notifier.conf = (Conf){.program = "settle-notifier",
						   .environment = "SETTLE_NOTIFIER_",
						   .keys = settings_keys,
						   .reserved = settings_reserved,
						   .check = settings_check,
						   .target = &notifier.settings};
	if (!conf_load(&notifier.conf, argc, argv, switches, &action, &err))
	{
		fprintf(stderr, "settle-notifier: %s\n", err.text);
		conf_free(&notifier.conf);
		return END_CONFIG;
	}
	Ending status = END_OK;
	log_setup((LogLevel) notifier.settings.log_level, notifier.settings.log_format == 1);
	conf_warn_of_secrets(&notifier.conf);
	switch (action)
	{
		case CONF_HELP:
			conf_help(&notifier.conf, switches, stdout);
			break;
		case CONF_VERSION:
			puts("settle-notifier " VERSION);
			break;
		case CONF_PRINT:
			conf_print(&notifier.conf, stdout);
			break;
		case CONF_CHECK:
			puts("settings are in order");
			break;
		case CONF_RUN:
			status = run(&notifier);
			break;
	}
	conf_free(&notifier.conf);
	return (int) status;
}
