/*
 * mime.c: builds an e-mail (see mime.h).
 *
 * Why not a library. GMime 3.2 writes what is wanted (its boundary, date and line ends can be set), but takes 158 µs of CPU
 * for a mail of 5 kB of text and HTML on the machine where this takes 11, because every header, part and stream is an object of
 * GLib; a run sends a mail for every account and the whole daemon may take 100 µs for one. libcurl's MIME API encodes no
 * header and gives its bytes only to its own transfer. And neither refuses a line break in a value: it would have to be
 * checked here in any case.
 */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "notify/encode.h"
#include "notify/mime.h"

#define WORD_MAX 60 /* a longer word of a header cannot be folded into 78 columns, and is encoded */

/* ---- validation ------------------------------------------------------------------------------------------------- */

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7F;
}

/* Text of a header: UTF-8, neither a control character of ASCII nor one of Unicode's second block (U+0080 … U+009F). */
static bool
check_text(const char *field, const char *value, size_t max, Err *err)
{
	const size_t len = strlen(value);

	if (len > max)
		return err_set(err, "%s is too long: %zu bytes, at most %zu", field, len, max);
	for (size_t i = 0; i < len; i++)
	{
		const unsigned char c = (unsigned char) value[i];
		if (is_control(c) || (c == 0xC2 && (unsigned char) value[i + 1] >= 0x80 && (unsigned char) value[i + 1] < 0xA0))
			return err_set(err, "%s has a control character at byte %zu", field, i + 1);
	}
	if (!utf8_is_valid(value, len))
		return err_set(err, "%s is not UTF-8", field);
	return true;
}

/* Printable ASCII without blanks and angle brackets: ids and URLs. */
static bool
check_token(const char *field, const char *value, size_t max, Err *err)
{
	const size_t len = strlen(value);

	if (len == 0)
		return err_set(err, "%s is empty", field);
	if (len > max)
		return err_set(err, "%s is too long: %zu bytes, at most %zu", field, len, max);
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] >= 0x7F || value[i] == '<' || value[i] == '>')
			return err_set(err, "%s has a character that cannot stand there, at byte %zu", field, i + 1);
	return true;
}

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_local(unsigned char c)
{
	return is_alnum(c) || c >= 0x80 || (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
check_domain(const char *field, const char *domain, Err *err)
{
	size_t label = 0;

	for (const char *at = domain; *at != '\0'; at++)
	{
		const bool hyphen_is_inside = label > 0 && at[1] != '.' && at[1] != '\0';
		if ((unsigned char) *at >= 0x80)
			return err_set(err, "%s: the domain must be in its ASCII form (xn--…)", field);
		if (*at == '.' && label > 0 && at[1] != '\0')
			label = 0;
		else if ((is_alnum((unsigned char) *at) || (*at == '-' && hyphen_is_inside)) && label < 63)
			label++;
		else
			return err_set(err, "%s: the domain of the address is not one", field);
	}
	return label > 0 || err_set(err, "%s has no domain", field);
}

bool
mime_check_address(const char *field, const char *address, Err *err)
{
	if (address == NULL || *address == '\0')
		return err_set(err, "%s has no address", field);
	if (!check_text(field, address, MIME_ADDRESS_MAX, err))
		return false;
	const char *at = strchr(address, '@');
	if (at == NULL)
		return err_set(err, "%s: the address has no @", field);
	const size_t local = (size_t) (at - address);
	if (local == 0 || local > 64)
		return err_set(err, "%s: the local part has %zu bytes, not 1 to 64", field, local);
	for (size_t i = 0; i < local; i++)
		if (!is_local((unsigned char) address[i]))
			return err_set(err, "%s: the local part has a character that cannot stand there, at byte %zu", field, i + 1);
	return check_domain(field, at + 1, err);
}

static bool
check_mailbox(const char *field, const MimeAddress *mailbox, Err *err)
{
	return mime_check_address(field, mailbox->address, err) &&
		   (mailbox->name == NULL || check_text(field, mailbox->name, MIME_NAME_MAX, err));
}

static bool
check_unsubscribe(const MimeMail *mail, Err *err)
{
	if (mail->unsubscribe == NULL)
		return !mail->one_click || err_set(err, "List-Unsubscribe-Post needs a List-Unsubscribe");
	const bool https = strncmp(mail->unsubscribe, "https://", 8) == 0;
	if (!https && strncmp(mail->unsubscribe, "mailto:", 7) != 0)
		return err_set(err, "List-Unsubscribe must begin with https:// or mailto:");
	if (mail->one_click && !https)
		return err_set(err, "List-Unsubscribe-Post needs a List-Unsubscribe that begins with https://");
	return check_token("List-Unsubscribe", mail->unsubscribe, MIME_VALUE_MAX, err);
}

/* Those written here are the mail's own: a second one would let a template choose the recipient that is shown. */
static bool
check_extra(const MimeHeader *header, Err *err)
{
	static const char *const own[] = {
		"From", "To", "Cc", "Bcc", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
		"Content-Transfer-Encoding", "Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post", "Return-Path", "Received",
		"DKIM-Signature",
	};
	const size_t len = strlen(header->name);

	if (len == 0 || len > 64)
		return err_set(err, "the name of an extra header has %zu bytes, not 1 to 64", len);
	for (size_t i = 0; i < len; i++)
		if (!is_alnum((unsigned char) header->name[i]) && header->name[i] != '-' && header->name[i] != '_')
			return err_set(err, "the name of an extra header has a character that cannot stand there, at byte %zu", i + 1);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcasecmp(own[i], header->name) == 0)
			return err_set(err, "%s cannot be an extra header", own[i]);
	return check_text(header->name, header->value, MIME_VALUE_MAX, err);
}

static bool
check_key(const char *key, Err *err)
{
	const size_t len = strlen(key);

	if (len == 0 || len > MIME_KEY_MAX)
		return err_set(err, "the key has %zu bytes, not 1 to %d", len, MIME_KEY_MAX);
	for (size_t i = 0; i < len; i++)
		if (!is_alnum((unsigned char) key[i]) && strchr("._-", key[i]) == NULL)
			return err_set(err, "the key has a character that cannot stand there, at byte %zu", i + 1);
	return true;
}

static bool
check_part(const char *field, const MimePart *part, Err *err)
{
	return part->data == NULL || utf8_is_valid(part->data, part->len) || err_set(err, "%s is not UTF-8", field);
}

static bool
check_mail(const MimeMail *mail, Err *err)
{
	if (!check_key(mail->key, err) || !check_mailbox("From", &mail->from, err) || !check_mailbox("To", &mail->to, err) ||
		(mail->reply_to.address != NULL && !check_mailbox("Reply-To", &mail->reply_to, err)) ||
		!check_text("Subject", mail->subject, MIME_SUBJECT_MAX, err) ||
		!check_token("Message-ID", mail->message_id, 250, err) || !check_unsubscribe(mail, err))
		return false;
	if (mail->date_s < 0 || mail->date_s >= INT64_C(253402300800))
		return err_set(err, "Date is not between the years 1970 and 9999");
	if (strchr(mail->message_id, '@') == NULL)
		return err_set(err, "Message-ID has no @");
	for (size_t i = 0; i < mail->extra_count; i++)
		if (!check_extra(&mail->extra[i], err))
			return false;
	if (mail->text.data == NULL && mail->html.data == NULL)
		return err_set(err, "there is neither text nor HTML");
	return check_part("text", &mail->text, err) && check_part("HTML", &mail->html, err);
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

/* What folding and unfolding would not bring over: then the whole value is encoded. */
static bool
needs_words(const char *value)
{
	size_t word = 0;

	for (const char *at = value; *at != '\0'; at++)
	{
		if ((unsigned char) *at >= 0x80 || (at[0] == '=' && at[1] == '?'))
			return true;
		if (*at == ' ' && (word == 0 || at[1] == '\0'))
			return true; /* at either end, or more than one */
		word = *at == ' ' ? 0 : word + 1;
		if (word > WORD_MAX)
			return true;
	}
	return false;
}

/* Words of ASCII, folded at the blanks between them. */
static void
add_folded(Buf *out, const char *value, size_t column)
{
	while (*value != '\0')
	{
		const size_t word = strcspn(value, " ");
		if (column + 1 + word > FOLD_WIDTH)
		{
			buf_lit(out, "\r\n");
			column = 0;
		}
		buf_lit(out, " ");
		buf_add(out, value, word);
		column += 1 + word;
		value += word + (value[word] == ' ');
	}
}

static void
add_text_header(Buf *out, const char *name, const char *value)
{
	const size_t column = strlen(name) + 1;

	buf_text(out, name);
	buf_lit(out, ":");
	if (needs_words(value))
	{
		buf_lit(out, " ");
		encode_words(out, value, strlen(value), column + 1);
	}
	else if (*value == '\0')
		buf_lit(out, " ");
	else
		add_folded(out, value, column);
	buf_lit(out, "\r\n");
}

/* A display name as atoms, as a quoted string or, when that would not do, as encoded words. */
static size_t
add_name(Buf *out, const char *name, size_t column)
{
	const size_t before = out->len;
	bool atoms = true;

	if (needs_words(name) || strlen(name) > WORD_MAX / 2)
		return encode_words(out, name, strlen(name), column);
	for (const char *at = name; *at != '\0'; at++)
		atoms &= is_alnum((unsigned char) *at) || *at == ' ' || *at == '-' || *at == '_';
	if (!atoms)
		buf_lit(out, "\"");
	for (const char *at = name; *at != '\0'; at++)
	{
		if (*at == '"' || *at == '\\')
			buf_lit(out, "\\");
		buf_add(out, at, 1);
	}
	if (!atoms)
		buf_lit(out, "\"");
	return column + out->len - before;
}

static void
add_mailbox(Buf *out, const char *field, const MimeAddress *mailbox)
{
	size_t column = strlen(field) + 2;

	buf_text(out, field);
	buf_lit(out, ": ");
	if (mailbox->name == NULL || *mailbox->name == '\0')
		buf_text(out, mailbox->address);
	else
	{
		column = add_name(out, mailbox->name, column);
		if (column + 3 + strlen(mailbox->address) > LINE_WIDTH)
			buf_lit(out, "\r\n");
		buf_lit(out, " <");
		buf_text(out, mailbox->address);
		buf_lit(out, ">");
	}
	buf_lit(out, "\r\n");
}

/* strftime() would speak the language of the locale. */
static void
add_date(Buf *out, int64_t date_s)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const time_t time = (time_t) date_s;
	struct tm tm;
	char text[96];

	gmtime_r(&time, &tm);
	snprintf(text, sizeof(text), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + tm.tm_wday * 3, tm.tm_mday,
			 months + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	buf_text(out, text);
}

static void
add_wrapped(Buf *out, const char *head, const char *value, const char *tail)
{
	buf_text(out, head);
	buf_text(out, value);
	buf_text(out, tail);
}

static void
add_headers(Buf *out, const MimeMail *mail)
{
	add_mailbox(out, "From", &mail->from);
	add_mailbox(out, "To", &mail->to);
	if (mail->reply_to.address != NULL)
		add_mailbox(out, "Reply-To", &mail->reply_to);
	add_text_header(out, "Subject", mail->subject);
	add_date(out, mail->date_s);
	add_wrapped(out, "Message-ID: <", mail->message_id, ">\r\n");
	buf_lit(out, "Auto-Submitted: auto-generated\r\n");
	if (mail->unsubscribe != NULL)
		add_wrapped(out, "List-Unsubscribe: <", mail->unsubscribe, ">\r\n");
	if (mail->one_click)
		buf_lit(out, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
	for (size_t i = 0; i < mail->extra_count; i++)
		add_text_header(out, mail->extra[i].name, mail->extra[i].value);
	buf_lit(out, "MIME-Version: 1.0\r\n");
}

/* ---- message ---------------------------------------------------------------------------------------------------- */

static void
add_part(Buf *out, const char *type, const MimePart *part)
{
	add_wrapped(out, "Content-Type: text/", type, "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
	encode_quoted_printable(out, part->data, part->len);
}

/* "=_" cannot come about in quoted-printable, so the boundary cannot stand in a part. */
static void
add_alternatives(Buf *out, const MimeMail *mail)
{
	add_wrapped(out, "Content-Type: multipart/alternative;\r\n boundary=\"=_", mail->key, "\"\r\n\r\n");
	add_wrapped(out, "--=_", mail->key, "\r\n");
	add_part(out, "plain", &mail->text);
	add_wrapped(out, "\r\n--=_", mail->key, "\r\n");
	add_part(out, "html", &mail->html);
	add_wrapped(out, "\r\n--=_", mail->key, "--\r\n");
}

bool
mime_build(const MimeMail *mail, Buf *out, Err *err)
{
	if (!check_mail(mail, err))
		return false;
	add_headers(out, mail);
	if (mail->text.data != NULL && mail->html.data != NULL)
	{
		add_alternatives(out, mail);
		return true;
	}
	add_part(out, mail->html.data == NULL ? "plain" : "html", mail->html.data == NULL ? &mail->text : &mail->html);
	if (out->data[out->len - 1] != '\n')
		buf_lit(out, "\r\n");
	return true;
}
