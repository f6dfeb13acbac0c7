/*
 * smtp_settings.h: what the e-mail channel can be told.
 *
 * The daemon has an SmtpSettings somewhere in its settings and puts SMTP_KEYS(Settings, email) into its table of keys. Only
 * numbers change by SIGHUP; a pool looks at them whenever it needs them.
 */
#ifndef NOTIFY_SMTP_SETTINGS_H
#define NOTIFY_SMTP_SETTINGS_H

#include "lib/conf.h"

typedef enum StartTls { STARTTLS_REQUIRED, STARTTLS_OPPORTUNISTIC, STARTTLS_NONE } StartTls;

typedef struct SmtpSettings {
	char *url;
	int starttls; /* StartTls */
	char *ca_file;
	char *user;
	char *password_file;
	char *helo;
	char *from;
	char *from_name;
	char *return_path;
	char *message_id_domain;
	char *idempotency_header;
	int64_t max_connections;
	int64_t connects_per_s;
	int64_t max_messages_per_connection;
	int64_t max_connection_age_s;
	int64_t idle_s;
	int64_t connect_timeout_s;
	int64_t command_timeout_s;
	int64_t final_timeout_s;
} SmtpSettings;

extern const char *const smtp_starttls_choices[];

#define SMTP_TEXT(owner, place, field, standard, text) \
	{.name = "email." #field, .type = CONF_TEXT, .offset = offsetof(owner, place.field), .otherwise = standard, .help = text}
#define SMTP_NUMBER(owner, place, field, standard, low, high, text) \
	{.name = "email." #field, .type = CONF_INT, .offset = offsetof(owner, place.field), .otherwise = standard, .min = low, .max = high, \
	 .reloads = true, .help = text}

#define SMTP_KEYS(owner, place) \
	SMTP_TEXT(owner, place, url, "", "mail relay: smtp://host:587, or smtps://host:465 with TLS from the first byte; empty = no e-mail"), \
	{.name = "email.starttls", .type = CONF_CHOICE, .offset = offsetof(owner, place.starttls), .otherwise = "required", \
	 .choices = smtp_starttls_choices, .help = "required, opportunistic or none; for smtp://"}, \
	SMTP_TEXT(owner, place, ca_file, "", "certificates that the relay's is verified against; empty = the system's"), \
	SMTP_TEXT(owner, place, user, "", "user of AUTH PLAIN or LOGIN; empty = no authentication"), \
	SMTP_TEXT(owner, place, password_file, "", "file with the password in its first line"), \
	SMTP_TEXT(owner, place, helo, "", "name said in EHLO; empty = the host's"), \
	SMTP_TEXT(owner, place, from, "", "address that mails come from"), \
	SMTP_TEXT(owner, place, from_name, "", "name shown with it"), \
	SMTP_TEXT(owner, place, return_path, "", "address that bounces go to; empty = email.from"), \
	SMTP_TEXT(owner, place, message_id_domain, "", "domain of Message-ID; empty = that of email.from"), \
	SMTP_TEXT(owner, place, idempotency_header, "", "header with the notice's key, for providers that take one"), \
	SMTP_NUMBER(owner, place, max_connections, "20", 1, 2000, "connections to the relay at a time"), \
	SMTP_NUMBER(owner, place, connects_per_s, "50", 1, 10000, "new connections in a second"), \
	SMTP_NUMBER(owner, place, max_messages_per_connection, "500", 1, INT64_MAX, "a connection ends after so many mails"), \
	SMTP_NUMBER(owner, place, max_connection_age_s, "300", 1, 86400, "… or at this age"), \
	SMTP_NUMBER(owner, place, idle_s, "20", 1, 3600, "… or after so long without a mail"), \
	SMTP_NUMBER(owner, place, connect_timeout_s, "30", 1, 600, "for connecting, TLS and authentication"), \
	SMTP_NUMBER(owner, place, command_timeout_s, "120", 1, 600, "for the reply to each command"), \
	SMTP_NUMBER(owner, place, final_timeout_s, "300", 1, 3600, "for the reply after the message; without one nobody knows whether it was taken")

/* What no single key can tell: addresses, and that a password goes over TLS only. email.url must be set. */
bool smtp_settings_check(const SmtpSettings *settings, Err *err) MUST_CHECK;

#endif
