/*
 * smtp_session.c: the dialogue about mails on an open connection (see smtp.h).
 *
 *   IDLE ─► [RSET] MAIL RCPT DATA ─► 354 ─► BODY ─► DOT ─► IDLE
 *                │         │          └── but RCPT was refused: a lone dot ─► VOID ─► IDLE
 *                └─────────┴── refused: IDLE, and RSET first next time
 *
 * With PIPELINING (RFC 2920) the group up to DATA goes out at once, and each reply is read in its turn all the same: the
 * state is the reply that is waited for, whether its command was sent just now or before. The first refusal of a group is
 * the mail's result. The message and its dot are one write; nothing follows before the reply to the dot is read.
 *
 * Whatever ends a connection ends its mail by the state it is in (lost_result()): AMBIGUOUS in DOT, and only there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "notify/smtp_internal.h"

#define READ_SIZE 4096

static void on_poll(uv_poll_t *handle, int status, int events);

/* ---- state ------------------------------------------------------------------------------------------------------ */

/* The only writer of `state`, but for the beginning. */
static void
enter(Session *session, SessionState state)
{
	const SmtpSettings *settings = session->pool->settings;
	const int64_t timeout_s = state == SESSION_IDLE	 ? settings->idle_s
							  : state == SESSION_DOT ? settings->final_timeout_s
													 : settings->command_timeout_s;

	session->state = state;
	session->deadline_ms = clock_ms() + timeout_s * 1000;
}

static void
wait_for(Session *session, int events)
{
	if (session->events == events)
		return;
	session->events = events;
	uv_poll_start(&session->poll, events, on_poll);
}

static void
free_session(Session *session)
{
	buf_free(&session->commands);
	buf_free(&session->body);
	free(session);
}

static void
on_poll_closed(uv_handle_t *handle)
{
	Session *session = handle->data;
	SmtpPool *pool = session->pool;

	free_session(session);
	pool_handle_gone(pool);
}

/* The session is gone when the loop has let go of its handle; until then it is CLOSED and nothing happens with it. */
static void
close_session(Session *session)
{
	enter(session, SESSION_CLOSED);
	pool_forget(session->pool, session);
	const bool polled = session->polling;
	/* before libcurl closes the socket: a new one may have its number at once */
	if (polled)
		uv_close((uv_handle_t *) &session->poll, on_poll_closed);
	open_end(session);
	if (!polled)
		free_session(session);
}

/* ---- endings ---------------------------------------------------------------------------------------------------- */

static void
finish_mail(Session *session, const Result *result)
{
	SmtpMail *mail = session->mail;
	Result told = *result;

	session->mail = NULL;
	session->failed = false;
	session->pool->busy--;
	told.bytes = (int64_t) mail->len;
	pool_result(session->pool, mail, &told);
}

static Result
lost_result(const Session *session, const char *reason, const SmtpReply *reply)
{
	Result result = {.outcome = session->state == SESSION_DOT ? OUTCOME_AMBIGUOUS : OUTCOME_NOT_TRIED};

	if (session->failed)
		return session->result;
	if (reply != NULL)
		smtp_quote(&result, reply);
	if (*result.text == '\0')
		snprintf(result.text, sizeof(result.text), "%s", reason);
	return result;
}

void
session_lose(Session *session, const char *reason, const SmtpReply *reply)
{
	SmtpPool *pool = session->pool;
	const bool was_useless = session->mails == 0 && session->mail != NULL && !pool->freeing;
	const Result result = lost_result(session, reason, reply);
	SmtpMail *mail = session->mail;

	if (session->state == SESSION_CLOSED)
		return;
	pool->stats.lost++;
	snprintf(pool->stats.last_error, sizeof(pool->stats.last_error), "%s", result.text);
	if (reply != NULL && reply->code == 421)
		pool_throttled(pool);
	if (was_useless)
		pool_pause(pool, result.text);
	session->mail = NULL;
	if (mail != NULL)
		pool->busy--;
	close_session(session);
	if (mail != NULL)
	{
		Result told = result;
		told.bytes = (int64_t) mail->len;
		pool_result(pool, mail, &told);
	}
}

void
session_failed(Session *session, const char *reason)
{
	SmtpPool *pool = session->pool;
	const SmtpReply *said = &session->greeting.reply;
	char text[256];

	/* libcurl tells the code of a reply it does not like, and not the words */
	if (said->code >= 400)
		snprintf(text, sizeof(text), "%.80s: %d %s %.140s", reason, said->code, said->enhanced, said->text);
	else
		snprintf(text, sizeof(text), "%s", reason);
	if (said->code == 421 || strncmp(said->enhanced, "4.7.", 4) == 0)
		pool_throttled(pool);
	pool->stats.connect_failures++;
	snprintf(pool->stats.last_error, sizeof(pool->stats.last_error), "%s", text);
	close_session(session);
	pool_pause(pool, text);
}

static ssize_t send_some(Session *session, const char *data, size_t len);

void
session_quit(Session *session)
{
	if (session->state == SESSION_IDLE)
		(void) send_some(session, "QUIT\r\n", 6); /* if it does not go out at once, the server sees the connection end */
	close_session(session);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

/*
 * Only where no TLS can be (starttls = none) the socket is used without libcurl, which looks its connection up in a list for
 * every call. -1 = none now, -2 = broken.
 */
static ssize_t
send_some(Session *session, const char *data, size_t len)
{
	size_t sent = 0;

	if (!session->pool->plain)
	{
		const CURLcode code = curl_easy_send(session->easy, data, len, &sent);
		return code == CURLE_OK ? (ssize_t) sent : code == CURLE_AGAIN ? -1 : -2;
	}
	const ssize_t result = send(session->socket, data, len, MSG_NOSIGNAL);
	return result >= 0 ? result : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -1 : -2;
}

static ssize_t
receive_some(Session *session, char *data, size_t size)
{
	size_t received = 0;

	if (!session->pool->plain)
	{
		const CURLcode code = curl_easy_recv(session->easy, data, size, &received);
		return code == CURLE_OK ? (ssize_t) received : code == CURLE_AGAIN ? -1 : -2;
	}
	const ssize_t result = recv(session->socket, data, size, 0);
	return result >= 0 ? result : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -1 : -2;
}

static void
flush(Session *session)
{
	while (session->left > 0)
	{
		const ssize_t sent = send_some(session, session->sending, session->left);
		if (sent == -2)
		{
			/* the relay may have said why before it closed: reading finds that, and then the end */
			session->left = 0;
			return wait_for(session, UV_READABLE);
		}
		if (sent < 0)
			return wait_for(session, UV_READABLE | UV_WRITABLE);
		session->sending += sent;
		session->left -= (size_t) sent;
		if (session->state == SESSION_BODY)
			enter(session, SESSION_BODY); /* it moves: the time begins anew */
	}
	if (session->state == SESSION_BODY)
		enter(session, SESSION_DOT); /* from here on the server may have it */
	wait_for(session, UV_READABLE);
}

static void
send_out(Session *session, const Buf *buf)
{
	session->sending = buf->data;
	session->left = buf->len;
	flush(session);
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

/* The rest of the group, or its next command when the server takes one at a time. */
static void
ask_next(Session *session, SessionState state)
{
	enter(session, state);
	if (session->offer.pipelining)
		return;
	buf_clear(&session->commands);
	message_command(session, state);
	send_out(session, &session->commands);
}

bool
session_start(Session *session, SmtpMail *mail)
{
	const SessionState state = session->needs_reset ? SESSION_RSET : SESSION_MAIL;
	Result refused;

	if (!message_prepare(session, mail, &refused))
	{
		pool_result(session->pool, mail, &refused);
		return false;
	}
	session->mail = mail;
	session->pool->busy++;
	session->needs_reset = false;
	buf_clear(&session->commands);
	message_command(session, state);
	for (SessionState next = state + 1; session->offer.pipelining && next <= SESSION_DATA; next++)
		message_command(session, next);
	enter(session, state);
	send_out(session, &session->commands);
	return true;
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

static void
finish_transaction(Session *session, const Result *result)
{
	const Result told = *result;

	enter(session, SESSION_IDLE);
	session->mails++;
	session->pool->failures = 0;
	finish_mail(session, &told);
}

static void
note_refusal(Session *session, SmtpStep step, const SmtpReply *reply)
{
	if (session->failed)
		return; /* what follows a refusal in a group only echoes it */
	session->result = (Result){0};
	session->failed = true;
	smtp_judge(&session->result, step, reply);
	if (session->result.outcome == OUTCOME_THROTTLED)
		pool_throttled(session->pool);
}

/* The reply to MAIL or RCPT. */
static void
on_envelope_reply(Session *session, SmtpStep step, const SmtpReply *reply)
{
	if (reply->code / 100 != 2)
		note_refusal(session, step, reply);
	if (!session->failed || session->offer.pipelining)
		return ask_next(session, step == SMTP_STEP_MAIL ? SESSION_RCPT : SESSION_DATA);
	session->needs_reset = true;
	finish_transaction(session, &session->result);
}

static void
begin_body(Session *session)
{
	SmtpPool *pool = session->pool;

	if (!pool->callbacks.on_begin(session->mail, pool->callbacks.arg))
	{
		session->mails++; /* not the relay's fault */
		return session_lose(session, "held back before the message was sent", NULL);
	}
	enter(session, SESSION_BODY);
	send_out(session, &session->body);
}

static void
on_data_reply(Session *session, const SmtpReply *reply)
{
	if (reply->code == 354 && !session->failed)
		return begin_body(session);
	if (reply->code == 354)
	{
		buf_clear(&session->commands);
		buf_lit(&session->commands, ".\r\n");
		enter(session, SESSION_VOID);
		return send_out(session, &session->commands);
	}
	note_refusal(session, SMTP_STEP_DATA, reply);
	session->needs_reset = true;
	finish_transaction(session, &session->result);
}

static void
on_dot_reply(Session *session, const SmtpReply *reply)
{
	Result result = {0};

	smtp_judge(&result, SMTP_STEP_DOT, reply);
	if (result.outcome == OUTCOME_THROTTLED)
		pool_throttled(session->pool);
	finish_transaction(session, &result);
}

/*
 * The server answers while the message is still going out: a refusal is one, as the dot is not there yet. What a server
 * means by having accepted half a message nobody can say.
 */
static void
on_early_reply(Session *session, const SmtpReply *reply)
{
	if (reply->code / 100 == 2)
		enter(session, SESSION_DOT);
	else
		note_refusal(session, SMTP_STEP_DOT, reply);
	session->mails++;
	session_lose(session, "a reply before the end of the message", reply);
}

/*
 * 421 ends the connection whatever was asked (RFC 5321 §3.8), and may have been on its way before we asked. After the dot it
 * says nothing about the message: AMBIGUOUS.
 */
static void
on_reply(Session *session, const SmtpReply *reply)
{
	const bool is_answer = reply->code / 100 == 4 || reply->code / 100 == 5;
	const bool is_wrong = !is_answer && (session->state == SESSION_DATA ? reply->code != 354 : reply->code / 100 != 2);

	if (reply->code == 421 || (is_wrong && session->state != SESSION_VOID))
		return session_lose(session, reply->code == 421 ? "421" : "a reply that does not belong here", reply);
	switch (session->state)
	{
		case SESSION_RSET:
			if (is_answer)
				return session_lose(session, "RSET was refused", reply);
			return ask_next(session, SESSION_MAIL);
		case SESSION_MAIL:
			return on_envelope_reply(session, SMTP_STEP_MAIL, reply);
		case SESSION_RCPT:
			return on_envelope_reply(session, SMTP_STEP_RCPT, reply);
		case SESSION_DATA:
			return on_data_reply(session, reply);
		case SESSION_BODY:
			return on_early_reply(session, reply);
		case SESSION_DOT:
			return on_dot_reply(session, reply);
		case SESSION_VOID:
			return finish_transaction(session, &session->result);
		case SESSION_IDLE:
			return session_lose(session, "a reply that nobody asked for", reply);
		case SESSION_CONNECTING:
		case SESSION_CLOSED:
			break;
	}
}

static void
take_bytes(Session *session, const char *data, size_t len)
{
	while (len > 0 && session->state != SESSION_CLOSED)
	{
		size_t used;
		const SmtpRead seen = smtp_reader_feed(&session->reader, data, len, &used);
		if (seen == SMTP_READ_BROKEN)
			return session_lose(session, "a reply that is not SMTP", NULL);
		data += used;
		len -= used;
		if (seen == SMTP_READ_REPLY)
		{
			const SmtpReply reply = session->reader.reply;
			on_reply(session, &reply);
		}
	}
}

static void
read_replies(Session *session)
{
	char data[READ_SIZE];
	ssize_t received;

	const bool was_idle = session->state == SESSION_IDLE;
	do
	{
		received = receive_some(session, data, sizeof(data));
		if (received == -1)
			break;
		if (received <= 0)
			return session_lose(session, received == 0 ? "the relay closed the connection" : "the connection broke", NULL);
		take_bytes(session, data, (size_t) received);
		if (session->state == SESSION_CLOSED)
			return;
	} while (!session->pool->plain || (size_t) received == sizeof(data)); /* TLS may hold bytes that no socket tells of */
	/* Only now the next mail: what came behind the last reply would not be an answer to it. */
	if (session->state == SESSION_IDLE && !was_idle)
		pool_next(session->pool, session);
}

static void
on_poll(uv_poll_t *handle, int status, int events)
{
	Session *session = handle->data;

	if (session->state == SESSION_CLOSED)
		return;
	/* What the relay says comes first, also when the connection is reset: it may be why. */
	if (status < 0 || (events & UV_READABLE))
		read_replies(session);
	if (session->state == SESSION_CLOSED)
		return;
	if (status < 0)
		session_lose(session, "the connection broke", NULL);
	else if ((events & UV_WRITABLE) && session->left > 0)
		flush(session);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

void
session_opened(Session *session)
{
	SmtpPool *pool = session->pool;

	if (*pool->settings->user != '\0' && !session->offer.auth)
		return session_failed(session, "the relay does not offer AUTH"); /* libcurl would go on without */
	if (curl_easy_getinfo(session->easy, CURLINFO_ACTIVESOCKET, &session->socket) != CURLE_OK ||
		session->socket == CURL_SOCKET_BAD || uv_poll_init_socket(pool->loop, &session->poll, session->socket) != 0)
		return session_failed(session, "the connection was gone at once");
	session->poll.data = session;
	session->polling = true;
	pool->handles++;
	session->opened_ms = clock_ms();
	pool->connecting--;
	pool->stats.opened++;
	enter(session, SESSION_IDLE);
	wait_for(session, UV_READABLE);
	pool_next(pool, session);
}

void
session_check(Session *session, int64_t now_ms)
{
	if (now_ms < session->deadline_ms)
		return;
	if (session->state == SESSION_IDLE)
		session_quit(session);
	else if (session->state == SESSION_CONNECTING)
		session_failed(session, "no connection in time");
	else
		session_lose(session, session->state == SESSION_DOT ? "no reply to the message in time" : "no reply in time", NULL);
}
