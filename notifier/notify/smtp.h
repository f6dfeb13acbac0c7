/*
 * smtp.h: the e-mail channel: a pool of connections to one mail relay, on a libuv loop.
 *
 * libcurl connects (name, TCP, greeting, EHLO, STARTTLS, AUTH), the dialogue about a message is spoken here: libcurl's own
 * would block the loop from the final dot to the server's answer. Nothing here blocks; everything runs in the loop's thread.
 *
 *   smtp_send() ─► queue ─► MAIL RCPT DATA ─► 354 ─► on_begin() ─► message and dot in one flight ─► on_result()
 *
 * Each mail gets exactly one result, never from within smtp_send(). When it can be told that the server has not taken a
 * mail is written in outcome.h; the last byte of the dot handed to the kernel is where it becomes AMBIGUOUS. A connection
 * that ends before costs its mail nothing (NOT_TRIED). One mail is open on a connection, and nothing is sent behind its
 * dot. There is no retry in here, that is the dispatcher's; after NOT_TRIED it looks at smtp_pool_has_room() before it
 * gives that mail again.
 *
 * The number of connections follows what the relay bears: it is halved when the relay asks to slow down (421, 4.7.x) and
 * grows again by a few every few seconds. Failing connections are made again after a pause that doubles, with jitter.
 */
#ifndef NOTIFY_SMTP_H
#define NOTIFY_SMTP_H

#include <uv.h>

#include "notify/outcome.h"
#include "notify/smtp_settings.h"

typedef struct SmtpPool SmtpPool;

/* The caller's, as are its texts, until its result is there. */
typedef struct SmtpMail {
	int64_t id;
	const char *from;    /* envelope: where bounces go */
	const char *to;
	const char *message; /* CRLF line ends, as mime_build() makes it; dots are doubled here */
	size_t len;
	void *user;
	struct SmtpMail *next; /* the pool's own */
} SmtpMail;

typedef struct SmtpCallbacks {
	/*
	 * The next thing that happens is that the message goes out: the place to write down that it may have been sent. False =
	 * it must not: it ends as NOT_TRIED, and so does its connection, because after 354 there is no other way to take back.
	 */
	bool (*on_begin)(SmtpMail *mail, void *arg);
	/* The mail is the caller's again. More may be sent from within. */
	void (*on_result)(SmtpMail *mail, const Result *result, void *arg);
	/* Several times a second while there is room. May be NULL. */
	void (*on_room)(void *arg);
	void *arg;
} SmtpCallbacks;

typedef struct SmtpStats {
	int connections; /* that are open */
	int connecting;
	int busy;
	int allowed;     /* what the relay bears, at most max_connections */
	int queued;
	int64_t opened;  /* since the start, as all below */
	int64_t connect_failures;
	int64_t lost;    /* ended by the relay or by a timeout */
	int64_t throttled; /* 421 and 4.7.x replies */
	char last_error[256];
} SmtpStats;

/* Settings and callbacks must stay. NULL with the reason in err: settings, password file, CA file. */
SmtpPool *smtp_pool_new(uv_loop_t *loop, const SmtpSettings *settings, const SmtpCallbacks *callbacks, Err *err) MUST_CHECK;

/* Whether another mail would soon be its turn. False also while the relay cannot be reached. */
bool smtp_pool_has_room(const SmtpPool *pool);

void smtp_send(SmtpPool *pool, SmtpMail *mail);

/* Waiting mails end as NOT_TRIED, those that are their turn are finished, then every connection says QUIT. */
void smtp_pool_drain(SmtpPool *pool);
bool smtp_pool_is_drained(const SmtpPool *pool);

/*
 * Ends everything now, mails by what is known of them; `freed` is called when the loop has let go of the last handle. Not from
 * within a callback.
 */
void smtp_pool_free(SmtpPool *pool, void (*freed)(void *arg), void *arg);

void smtp_pool_stats(const SmtpPool *pool, SmtpStats *stats);

#endif
