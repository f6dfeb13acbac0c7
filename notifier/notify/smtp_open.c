/*
 * smtp_open.c: libcurl opens a connection to the mail relay (see smtp.h).
 *
 * CURLOPT_CONNECT_ONLY lets it resolve the name, connect, read the greeting, say EHLO, STARTTLS and EHLO again, and
 * authenticate, all without blocking; then the socket is ours. What EHLO offers is seen in the header callback. libcurl's
 * certificates, name checks and cache of CA files are worth having; its transfer of a mail is not (see smtp.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/secret.h"
#include "notify/smtp_internal.h"

/* A socket of libcurl while it connects. */
typedef struct Watch {
	uv_poll_t poll;
	SmtpPool *pool;
	curl_socket_t socket;
} Watch;

/* ---- libcurl on the loop ---------------------------------------------------------------------------------------- */

static void
take_finished(SmtpPool *pool)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(pool->multi, &left)) != NULL)
	{
		Session *session = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		const CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &session);
		if (code == CURLE_OK)
			session_opened(session);
		else
			session_failed(session, *session->curl_error ? session->curl_error : curl_easy_strerror(code));
	}
}

static void
on_socket_event(uv_poll_t *handle, int status, int events)
{
	Watch *watch = handle->data;
	SmtpPool *pool = watch->pool;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;

	flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
	flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(pool->multi, watch->socket, flags, &running); /* the watch may be gone after it */
	take_finished(pool);
}

static void
free_watch(uv_handle_t *handle)
{
	Watch *watch = handle->data;
	SmtpPool *pool = watch->pool;

	free(watch);
	pool_handle_gone(pool);
}

static int
on_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *assigned)
{
	SmtpPool *pool = user;
	Watch *watch = assigned;

	(void) easy;
	if (what == CURL_POLL_REMOVE)
	{
		if (watch != NULL)
		{
			curl_multi_assign(pool->multi, socket, NULL);
			uv_close((uv_handle_t *) &watch->poll, free_watch);
		}
		return 0;
	}
	if (watch == NULL)
	{
		watch = calloc(1, sizeof(Watch));
		*watch = (Watch){.pool = pool, .socket = socket};
		if (uv_poll_init_socket(pool->loop, &watch->poll, socket) != 0)
		{
			free(watch);
			return -1;
		}
		watch->poll.data = watch;
		pool->handles++;
		curl_multi_assign(pool->multi, socket, watch);
	}
	uv_poll_start(&watch->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0), on_socket_event);
	return 0;
}

static void
on_curl_timer(uv_timer_t *handle)
{
	SmtpPool *pool = handle->data;
	int running;

	curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(pool);
}

static int
on_timer_wanted(CURLM *multi, long timeout_ms, void *user)
{
	SmtpPool *pool = user;

	(void) multi;
	if (pool->freeing)
		return 0;
	if (timeout_ms < 0)
		uv_timer_stop(&pool->curl_timer);
	else
		uv_timer_start(&pool->curl_timer, on_curl_timer, (uint64_t) timeout_ms, 0);
	return 0;
}

/* ---- setup ------------------------------------------------------------------------------------------------------ */

static bool
check_ca_file(const char *path, Err *err)
{
	return *path == '\0' || access(path, R_OK) == 0 || err_set(err, "cannot read email.ca_file %s", path);
}

bool
open_setup(SmtpPool *pool, Err *err)
{
	const SmtpSettings *settings = pool->settings;
	char host[256] = "localhost";

	if (!smtp_settings_check(settings, err) || !check_ca_file(settings->ca_file, err) ||
		(*settings->password_file != '\0' && !secret_read(settings->password_file, pool->password, sizeof(pool->password), err)))
		return false;
	(void) gethostname(host, sizeof(host) - 1);
	snprintf(pool->url, sizeof(pool->url), "%s/%s", settings->url, *settings->helo ? settings->helo : host);
	pool->plain = strncmp(settings->url, "smtp:", 5) == 0 && settings->starttls == STARTTLS_NONE;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (pool->multi = curl_multi_init()) == NULL)
		return err_set(err, "libcurl does not start");
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, 10000L); /* it must close none of ours */
	return true;
}

void
open_cleanup(SmtpPool *pool)
{
	if (pool->multi != NULL)
		curl_multi_cleanup(pool->multi);
	pool->multi = NULL;
	explicit_bzero(pool->password, sizeof(pool->password));
	curl_global_cleanup();
}

/* ---- one connection --------------------------------------------------------------------------------------------- */

/* A line at a time of all that the server says. */
static size_t
on_line(char *line, size_t size, size_t count, void *user)
{
	Session *session = user;
	const size_t len = size * count;
	size_t used;

	if (len < 4)
		return len;
	const int code = atoi((char[]){line[0], line[1], line[2], '\0'});
	if (code == 250)
		smtp_offer_line(&session->offer, line, len, session->last_code != 250);
	session->last_code = line[3] == '-' ? code : 0;
	if (smtp_reader_feed(&session->greeting, line, len, &used) == SMTP_READ_BROKEN)
		session->greeting = (SmtpReader){0};
	return len;
}

static size_t
ignore_body(char *data, size_t size, size_t count, void *user)
{
	(void) data;
	(void) user;
	return size * count;
}

static void
set_security(Session *session)
{
	static const long levels[] = {CURLUSESSL_ALL, CURLUSESSL_TRY, CURLUSESSL_NONE};
	const SmtpPool *pool = session->pool;
	CURL *easy = session->easy;

	/* TRY goes on without TLS when it is not offered, but not when it fails */
	curl_easy_setopt(easy, CURLOPT_USE_SSL, levels[pool->settings->starttls]);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (*pool->settings->ca_file != '\0')
		curl_easy_setopt(easy, CURLOPT_CAINFO, pool->settings->ca_file);
	if (*pool->settings->user == '\0')
		return;
	curl_easy_setopt(easy, CURLOPT_USERNAME, pool->settings->user);
	curl_easy_setopt(easy, CURLOPT_PASSWORD, pool->password);
	curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN");
}

void
open_start(Session *session)
{
	SmtpPool *pool = session->pool;
	CURL *easy = session->easy = curl_easy_init();

	if (easy == NULL)
		abort(); /* no memory */
	curl_easy_setopt(easy, CURLOPT_URL, pool->url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, session);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, session->curl_error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, session);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore_body);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) pool->settings->connect_timeout_s * 1000);
	curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long) pool->settings->connect_timeout_s);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* or a slow name server would hold up the loop when we give up */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	set_security(session);
	curl_multi_add_handle(pool->multi, easy);
}

void
open_end(Session *session)
{
	if (session->easy == NULL)
		return;
	curl_multi_remove_handle(session->pool->multi, session->easy);
	curl_easy_cleanup(session->easy);
	session->easy = NULL;
}
