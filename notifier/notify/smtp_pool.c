/*
 * smtp_pool.c: mails that wait, and how many connections there are (see smtp.h).
 *
 * A mail waits in the queue until a session is idle. Sessions are made while mails wait, as far as `allowed`, the rate and
 * the pause after failures admit. When the last session is gone and a new one cannot be made, what waits is given back:
 * there may be another channel for it, and it is not ours to hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "notify/smtp_internal.h"

#define TICK_MS 200
#define FIRST_PAUSE_MS 500
#define LONGEST_PAUSE_MS 60000
#define HALVE_AT_MOST_EVERY_MS 1000 /* many connections hear the same at once */
#define RAISE_EVERY_MS 5000

static void on_kick(uv_timer_t *handle);

/* ---- the queue -------------------------------------------------------------------------------------------------- */

static SmtpMail *
pop_mail(SmtpPool *pool)
{
	SmtpMail *mail = pool->first;

	if (mail == NULL)
		return NULL;
	pool->first = mail->next;
	if (pool->first == NULL)
		pool->last = NULL;
	pool->queued--;
	return mail;
}

/* Only those that wait now: who is told may send more. */
static void
give_back_queue(SmtpPool *pool, const char *reason)
{
	Result result = {.outcome = OUTCOME_NOT_TRIED};

	snprintf(result.text, sizeof(result.text), "%s", reason);
	for (int left = pool->queued; left > 0 && pool->first != NULL; left--)
	{
		SmtpMail *mail = pop_mail(pool);
		Result told = result;
		told.bytes = (int64_t) mail->len;
		pool_result(pool, mail, &told);
	}
}

void
pool_result(SmtpPool *pool, SmtpMail *mail, const Result *result)
{
	pool->callbacks.on_result(mail, result, pool->callbacks.arg);
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

static int
allowed_now(const SmtpPool *pool)
{
	const int64_t most = pool->settings->max_connections;

	return pool->allowed < most ? pool->allowed : (int) most;
}

static int64_t
jitter(int64_t pause_ms)
{
	return pause_ms / 2 + random() % (pause_ms / 2 + 1);
}

void
pool_throttled(SmtpPool *pool)
{
	const int64_t now = clock_ms();

	pool->stats.throttled++;
	if (now - pool->changed_ms < HALVE_AT_MOST_EVERY_MS)
		return;
	/* from what there is, which may be far less than what was allowed */
	const int had = pool->count < allowed_now(pool) ? pool->count : allowed_now(pool);
	pool->allowed = had / 2 > 1 ? had / 2 : 1;
	pool->changed_ms = now;
	const int64_t pause = jitter(FIRST_PAUSE_MS * 2);
	if (pool->connect_from_ms < now + pause)
		pool->connect_from_ms = now + pause;
	log_warning("the mail relay asks to slow down", F_INT("connections", pool->allowed));
}

static void
raise_allowed(SmtpPool *pool, int64_t now_ms)
{
	if (pool->allowed >= pool->settings->max_connections || now_ms - pool->changed_ms < RAISE_EVERY_MS)
		return;
	pool->allowed += 1 + (int) pool->settings->max_connections / 20;
	pool->changed_ms = now_ms;
}

void
pool_pause(SmtpPool *pool, const char *reason)
{
	const int64_t now = clock_ms();

	/* those that fail together are one failure */
	if (now >= pool->connect_from_ms || pool->failures == 0)
	{
		const int doublings = pool->failures < 10 ? pool->failures : 10;
		const int64_t longest = (int64_t) FIRST_PAUSE_MS << doublings;
		const int64_t pause = jitter(longest < LONGEST_PAUSE_MS ? longest : LONGEST_PAUSE_MS);
		pool->failures++;
		pool->connect_from_ms = now + pause;
		log_warning("no connection to the mail relay", F_TEXT("reason", reason), F_INT("retry_ms", pause));
	}
	if (pool->count == 0)
		give_back_queue(pool, reason);
}

bool
smtp_pool_has_room(const SmtpPool *pool)
{
	const bool reachable = pool->count > pool->connecting || clock_ms() >= pool->connect_from_ms;

	return !pool->draining && reachable && pool->queued < allowed_now(pool);
}

/* Looks after the queue at the next turn of the loop. */
static void
kick(SmtpPool *pool)
{
	if (!uv_is_active((uv_handle_t *) &pool->kick))
		uv_timer_start(&pool->kick, on_kick, 0, 0);
}

/* ---- sessions --------------------------------------------------------------------------------------------------- */

static void
open_session(SmtpPool *pool)
{
	Session *session = calloc(1, sizeof(Session));

	if (pool->count == pool->size)
	{
		pool->size = pool->size * 2 + 8;
		pool->sessions = realloc(pool->sessions, (size_t) pool->size * sizeof(Session *));
	}
	if (session == NULL || pool->sessions == NULL)
		abort(); /* no memory */
	session->pool = pool;
	session->place = pool->count;
	session->socket = CURL_SOCKET_BAD;
	session->deadline_ms = clock_ms() + (pool->settings->connect_timeout_s + 1) * 1000; /* libcurl's own comes first */
	pool->sessions[pool->count++] = session;
	pool->connecting++;
	pool->budget -= 1;
	open_start(session);
}

static void
leave_idle(SmtpPool *pool, Session *session)
{
	for (Session **at = &pool->idle; *at != NULL; at = &(*at)->next_idle)
		if (*at == session)
		{
			*at = session->next_idle;
			return;
		}
}

/* It was connecting if it never had a socket of its own. */
void
pool_forget(SmtpPool *pool, Session *session)
{
	leave_idle(pool, session);
	pool->connecting -= !session->polling;
	Session *last = pool->sessions[--pool->count];
	pool->sessions[session->place] = last;
	last->place = session->place;
}

void
pool_next(SmtpPool *pool, Session *session)
{
	const SmtpSettings *settings = pool->settings;
	SmtpMail *mail;

	if (pool->draining || session->mails >= settings->max_messages_per_connection || pool->count > allowed_now(pool) ||
		clock_ms() - session->opened_ms >= settings->max_connection_age_s * 1000)
	{
		session_quit(session);
		if (pool->queued > 0)
			kick(pool);
		return;
	}
	while (session->state == SESSION_IDLE && (mail = pop_mail(pool)) != NULL)
		if (session_start(session, mail))
			return;
	if (session->state != SESSION_IDLE)
		return; /* who was told of a result has drained the pool */
	session->next_idle = pool->idle;
	pool->idle = session;
}

static void
start_waiting(SmtpPool *pool)
{
	while (pool->queued > 0 && pool->idle != NULL)
	{
		Session *session = pool->idle;
		pool->idle = session->next_idle;
		session->next_idle = NULL;
		pool_next(pool, session);
	}
}

static void
open_wanted(SmtpPool *pool)
{
	const int64_t now = clock_ms();
	const double rate = (double) pool->settings->connects_per_s;

	pool->budget += (double) (now - pool->budget_ms) * rate / 1000;
	pool->budget = pool->budget < rate ? pool->budget : rate;
	pool->budget_ms = now;
	while (now >= pool->connect_from_ms && pool->queued > pool->connecting && pool->count < allowed_now(pool) && pool->budget >= 1)
		open_session(pool);
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static void
on_kick(uv_timer_t *handle)
{
	SmtpPool *pool = handle->data;

	if (pool->draining)
		return give_back_queue(pool, "the daemon is stopping");
	start_waiting(pool);
	open_wanted(pool);
}

static void
on_tick(uv_timer_t *handle)
{
	SmtpPool *pool = handle->data;
	const int64_t now = clock_ms();

	for (int i = pool->count - 1; i >= 0; i--)
		if (i < pool->count)
			session_check(pool->sessions[i], now);
	if (pool->freeing)
		return;
	raise_allowed(pool, now);
	on_kick(&pool->kick);
	if (pool->callbacks.on_room != NULL && smtp_pool_has_room(pool))
		pool->callbacks.on_room(pool->callbacks.arg);
}

void
smtp_send(SmtpPool *pool, SmtpMail *mail)
{
	mail->next = NULL;
	if (pool->last != NULL)
		pool->last->next = mail;
	else
		pool->first = mail;
	pool->last = mail;
	pool->queued++;
	if (pool->idle != NULL || pool->count < allowed_now(pool) || pool->draining)
		kick(pool);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

SmtpPool *
smtp_pool_new(uv_loop_t *loop, const SmtpSettings *settings, const SmtpCallbacks *callbacks, Err *err)
{
	SmtpPool *pool = calloc(1, sizeof(SmtpPool));

	if (pool == NULL)
		abort(); /* no memory */
	*pool = (SmtpPool){.loop = loop, .settings = settings, .callbacks = *callbacks, .budget_ms = clock_ms()};
	pool->allowed = (int) settings->max_connections;
	pool->budget = (double) settings->connects_per_s;
	pool->changed_ms = -HALVE_AT_MOST_EVERY_MS;
	if (!open_setup(pool, err))
	{
		free(pool);
		return NULL;
	}
	uv_timer_t *timers[] = {&pool->curl_timer, &pool->tick, &pool->kick};
	for (size_t i = 0; i < 3; i++)
	{
		uv_timer_init(loop, timers[i]);
		timers[i]->data = pool;
		pool->handles++;
	}
	uv_timer_start(&pool->tick, on_tick, TICK_MS, TICK_MS);
	return pool;
}

void
smtp_pool_drain(SmtpPool *pool)
{
	pool->draining = true;
	give_back_queue(pool, "the daemon is stopping");
	for (int i = pool->count - 1; i >= 0; i--)
		if (i < pool->count && pool->sessions[i]->mail == NULL && pool->sessions[i]->state <= SESSION_IDLE)
			session_quit(pool->sessions[i]);
}

bool
smtp_pool_is_drained(const SmtpPool *pool)
{
	return pool->draining && pool->count == 0 && pool->queued == 0;
}

void
pool_handle_gone(SmtpPool *pool)
{
	if (--pool->handles > 0)
		return;
	void (*freed)(void *) = pool->freed;
	void *arg = pool->freed_arg;
	free(pool->sessions);
	free(pool);
	if (freed != NULL)
		freed(arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
	pool_handle_gone(handle->data);
}

void
smtp_pool_free(SmtpPool *pool, void (*freed)(void *arg), void *arg)
{
	pool->freeing = true;
	pool->freed = freed;
	pool->freed_arg = arg;
	smtp_pool_drain(pool);
	while (pool->count > 0)
		session_lose(pool->sessions[pool->count - 1], "the daemon has ended", NULL);
	give_back_queue(pool, "the daemon has ended");
	open_cleanup(pool);
	uv_close((uv_handle_t *) &pool->curl_timer, on_timer_closed);
	uv_close((uv_handle_t *) &pool->tick, on_timer_closed);
	uv_close((uv_handle_t *) &pool->kick, on_timer_closed);
}

void
smtp_pool_stats(const SmtpPool *pool, SmtpStats *stats)
{
	*stats = pool->stats;
	stats->connections = pool->count - pool->connecting;
	stats->connecting = pool->connecting;
	stats->busy = pool->busy;
	stats->allowed = allowed_now(pool);
	stats->queued = pool->queued;
}
