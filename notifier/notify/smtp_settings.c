/*
 * smtp_settings.c: what the e-mail channel can be told (see smtp_settings.h).
 */
#include <ctype.h>
#include <string.h>

#include "notify/mime.h"
#include "notify/smtp_settings.h"

const char *const smtp_starttls_choices[] = {"required", "opportunistic", "none", NULL};

static bool
is_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char) text[i]) && strchr(".-:[]", text[i]) == NULL)
			return false;
	return len > 0;
}

/* Host and port and nothing else: no user or password, which everybody could read, and no path. */
static bool
check_url(const char *url, Err *err)
{
	const char *host = strncmp(url, "smtp://", 7) == 0 ? url + 7 : strncmp(url, "smtps://", 8) == 0 ? url + 8 : NULL;

	if (host == NULL)
		return err_set(err, "email.url must begin with smtp:// or smtps://");
	if (strchr(host, '@') != NULL)
		return err_set(err, "email.url cannot hold a user; set email.user and email.password_file");
	return is_host(host, strlen(host)) || err_set(err, "email.url must be smtp://host:port or smtps://host:port");
}

static bool
check_authentication(const SmtpSettings *settings, Err *err)
{
	const bool tls = strncmp(settings->url, "smtps:", 6) == 0 || settings->starttls == STARTTLS_REQUIRED;

	if ((*settings->user != '\0') != (*settings->password_file != '\0'))
		return err_set(err, "email.user and email.password_file go together");
	if (*settings->user != '\0' && !tls)
		return err_set(err, "email.user needs email.starttls = required or a url with smtps://: the password must not go over a "
							"connection that anybody can read");
	return true;
}

bool
smtp_settings_check(const SmtpSettings *settings, Err *err)
{
	if (!check_url(settings->url, err) || !check_authentication(settings, err) ||
		!mime_check_address("email.from", settings->from, err) ||
		(*settings->return_path != '\0' && !mime_check_address("email.return_path", settings->return_path, err)))
		return false;
	if (*settings->helo != '\0' && !is_host(settings->helo, strlen(settings->helo)))
		return err_set(err, "email.helo is not the name of a host");
	if (*settings->message_id_domain != '\0' && !is_host(settings->message_id_domain, strlen(settings->message_id_domain)))
		return err_set(err, "email.message_id_domain is not a domain");
	return true;
}
