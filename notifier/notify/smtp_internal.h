/*
 * smtp_internal.h: what the files of the SMTP client share, and nobody else.
 *
 *   smtp_pool.c     mails waiting, connections wanted, pauses, limits
 *   smtp_open.c     libcurl opens a connection
 *   smtp_session.c  the dialogue on an open one
 *   smtp_message.c  the bytes that go out about a mail
 */
#ifndef NOTIFY_SMTP_INTERNAL_H
#define NOTIFY_SMTP_INTERNAL_H

#include <curl/curl.h>

#include "lib/buf.h"
#include "notify/smtp.h"
#include "notify/smtp_reply.h"

/* Named by the reply that is waited for. */
typedef enum SessionState {
	SESSION_CONNECTING,
	SESSION_IDLE,
	SESSION_RSET,
	SESSION_MAIL,
	SESSION_RCPT,
	SESSION_DATA,
	SESSION_BODY, /* the message goes out; its dot is not wholly the kernel's yet */
	SESSION_DOT,
	SESSION_VOID, /* the lone dot of a message that has no recipient */
	SESSION_CLOSED
} SessionState;

typedef struct Session {
	SmtpPool *pool;
	struct Session *next_idle;
	int place; /* in the pool's list */
	CURL *easy;
	char curl_error[CURL_ERROR_SIZE];
	curl_socket_t socket;
	uv_poll_t poll;
	bool polling; /* the handle is in use */
	int events;   /* that it waits for */
	SmtpOffer offer;
	int last_code;       /* while connecting: of the line before, 0 = a new reply begins */
	SmtpReader greeting; /* what the server said last while connecting */

	SessionState state;
	int64_t deadline_ms; /* for what is waited for */
	int64_t opened_ms;
	int64_t mails;       /* that had an answer here */
	SmtpMail *mail;      /* NULL when idle */
	Result result;       /* of the mail, once `failed` */
	bool failed;         /* refused; the rest of a pipelined group is still to be read */
	bool eight_bit, utf8; /* of the mail */
	bool needs_reset;    /* the server may think that a transaction is open */
	SmtpReader reader;
	Buf commands, body;
	const char *sending; /* into one of them */
	size_t left;
} Session;

struct SmtpPool {
	uv_loop_t *loop;
	const SmtpSettings *settings;
	SmtpCallbacks callbacks;
	CURLM *multi;
	char url[600];
	char password[1024];
	bool plain; /* no connection has TLS */
	uv_timer_t curl_timer, tick, kick;
	int handles; /* that the loop has not let go */

	Session **sessions;
	int count, size;
	int connecting, busy;
	Session *idle;
	SmtpMail *first, *last;
	int queued;

	int allowed;
	int64_t changed_ms;      /* when `allowed` was */
	int64_t connect_from_ms; /* no new connection before */
	int failures;            /* in a row */
	double budget;           /* connections that may be made now */
	int64_t budget_ms;
	bool draining, freeing;
	void (*freed)(void *arg);
	void *freed_arg;
	SmtpStats stats;
};

/* ---- smtp_open.c ---- */

bool open_setup(SmtpPool *pool, Err *err) MUST_CHECK;
void open_cleanup(SmtpPool *pool);
/* Begins to connect; what comes of it is told by session_opened() or session_failed(). */
void open_start(Session *session);
/* Gives the socket back to libcurl, which closes it. */
void open_end(Session *session);

/* ---- smtp_session.c ---- */

void session_opened(Session *session);
void session_failed(Session *session, const char *reason);
/* False = the mail has its result already, and the session is idle still. */
bool session_start(Session *session, SmtpMail *mail) MUST_CHECK;
/* Says QUIT and ends, without waiting. */
void session_quit(Session *session);
/* Ends here and now; a mail ends by what is known of it. */
void session_lose(Session *session, const char *reason, const SmtpReply *reply);
/* Timeouts and idleness; age is looked at before the next mail. */
void session_check(Session *session, int64_t now_ms);

/* ---- smtp_message.c ---- */

/* Doubles the dots into session->body. False = it cannot be sent here, and why. */
bool message_prepare(Session *session, const SmtpMail *mail, Result *refused) MUST_CHECK;
/* Adds the command whose reply this state waits for. */
void message_command(Session *session, SessionState state);

/* ---- smtp_pool.c ---- */

/* The session is idle: its next mail, or its end. */
void pool_next(SmtpPool *pool, Session *session);
void pool_forget(SmtpPool *pool, Session *session);
void pool_result(SmtpPool *pool, SmtpMail *mail, const Result *result);
/* The relay asked to slow down. */
void pool_throttled(SmtpPool *pool);
/* A connection could not be made, or ended before it had been of any use. */
void pool_pause(SmtpPool *pool, const char *reason);
void pool_handle_gone(SmtpPool *pool);

#endif
