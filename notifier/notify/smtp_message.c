/*
 * smtp_message.c: the bytes about one mail: its commands, and the message with its dots doubled (see smtp.h).
 *
 * What the server would refuse, and what must not be said to any server, ends here as a result of its own before a byte
 * has gone out.
 */
#include <stdio.h>
#include <string.h>

#include "notify/mime.h"
#include "notify/smtp_internal.h"

/* ---- the message ------------------------------------------------------------------------------------------------ */

/*
 * Doubles dots at the beginning of lines and ends with the lone one. False = a line ends with something else than CRLF:
 * servers differ in what they make of that, and what one takes for text may be the next one's end of the message.
 */
static bool
stuff(Buf *out, const char *at, size_t len)
{
	const char *end = at + len;

	buf_clear(out);
	(void) buf_reserve(out, len + len / 16);
	while (at < end)
	{
		const char *stop = memchr(at, '\n', (size_t) (end - at));
		if (stop == NULL || stop == at || memchr(at, '\r', (size_t) (stop - at)) != stop - 1)
			return false;
		const size_t line = (size_t) (stop - at) + 1;
		char *to = buf_reserve(out, line + 4);
		if (*at == '.')
			*to++ = '.';
		memcpy(to, at, line);
		out->len += line + (*at == '.');
		at = stop + 1;
	}
	buf_lit(out, ".\r\n");
	return true;
}

static bool
is_ascii(const char *text, size_t len)
{
	uint64_t all = 0, eight;
	unsigned char rest = 0;

	for (; len >= 8; text += 8, len -= 8)
	{
		memcpy(&eight, text, 8);
		all |= eight;
	}
	for (size_t i = 0; i < len; i++)
		rest |= (unsigned char) text[i];
	return (all & UINT64_C(0x8080808080808080)) == 0 && rest < 0x80;
}

bool
message_prepare(Session *session, const SmtpMail *mail, Result *refused)
{
	const SmtpOffer *offer = &session->offer;
	Fault fault = FAULT_MESSAGE;
	Err err;

	session->utf8 = !is_ascii(mail->from, strlen(mail->from)) || !is_ascii(mail->to, strlen(mail->to));
	session->eight_bit = session->utf8 || !is_ascii(mail->message, mail->len);
	if (!mime_check_address("envelope sender", mail->from, &err))
		fault = FAULT_SENDER;
	else if (!mime_check_address("recipient", mail->to, &err))
		fault = FAULT_RECIPIENT;
	else if (session->utf8 && !offer->utf8)
	{
		fault = FAULT_RECIPIENT;
		(void) err_set(&err, "the address is not ASCII and the relay does not offer SMTPUTF8");
	}
	else if (session->eight_bit && !offer->eight_bit)
		(void) err_set(&err, "the message has eight-bit characters and the relay does not offer 8BITMIME");
	else if (offer->size > 0 && (long long) mail->len > offer->size)
		(void) err_set(&err, "the message has %zu bytes and the relay takes %lld", mail->len, offer->size);
	else if (!stuff(&session->body, mail->message, mail->len))
		(void) err_set(&err, "a line of the message does not end with CRLF");
	else
		return true;
	*refused = (Result){.outcome = OUTCOME_PERMANENT, .fault = fault, .bytes = (int64_t) mail->len};
	snprintf(refused->text, sizeof(refused->text), "%.*s", (int) sizeof(refused->text) - 1, err.text);
	return false;
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static void
add_mail(Session *session)
{
	Buf *out = &session->commands;
	char size[32];

	buf_lit(out, "MAIL FROM:<");
	buf_text(out, session->mail->from);
	buf_lit(out, ">");
	if (session->offer.size > 0)
	{
		snprintf(size, sizeof(size), " SIZE=%zu", session->mail->len);
		buf_text(out, size);
	}
	if (session->eight_bit)
		buf_lit(out, " BODY=8BITMIME");
	if (session->utf8)
		buf_lit(out, " SMTPUTF8");
	buf_lit(out, "\r\n");
}

void
message_command(Session *session, SessionState state)
{
	Buf *out = &session->commands;

	if (state == SESSION_RSET)
		buf_lit(out, "RSET\r\n");
	else if (state == SESSION_MAIL)
		add_mail(session);
	else if (state == SESSION_RCPT)
	{
		buf_lit(out, "RCPT TO:<");
		buf_text(out, session->mail->to);
		buf_lit(out, ">\r\n");
	}
	else
		buf_lit(out, "DATA\r\n");
}
