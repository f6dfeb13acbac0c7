/*
 * smtp_reply.c: what an SMTP server says, and what it means for a message (see smtp_reply.h).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "notify/smtp_reply.h"

#define LINES_MAX 100
#define LINE_BYTES_MAX 4096

/* ---- replies ---------------------------------------------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of "5.1.1" at the beginning, if its class is the reply's; 0 = it is none. */
static size_t
enhanced_length(const char *text, int code)
{
	size_t at = 2, digits;

	if (text[0] - '0' != code / 100 || text[1] != '.')
		return 0;
	for (digits = 0; is_digit(text[at]); at++)
		digits++;
	if (digits < 1 || digits > 3 || text[at++] != '.')
		return 0;
	for (digits = 0; is_digit(text[at]); at++)
		digits++;
	return digits < 1 || digits > 3 || (text[at] != ' ' && text[at] != '\0') ? 0 : at;
}

/* Words with an @ are addresses, of the recipient most often: they are nobody's business in logs and tables. */
static void
add_text(char *to, size_t size, const char *text)
{
	size_t len = strlen(to);

	while (*text != '\0')
	{
		const size_t word = strcspn(text, " ");
		const char *shown = memchr(text, '@', word) != NULL ? "(address)" : text;
		const size_t shown_len = shown == text ? word : strlen(shown);
		if (word > 0 && len + 1 + shown_len < size)
		{
			if (len > 0)
				to[len++] = ' ';
			for (size_t i = 0; i < shown_len; i++)
				to[len++] = shown[i] >= ' ' && shown[i] < 0x7F ? shown[i] : '?';
			to[len] = '\0';
		}
		text += word + (text[word] == ' ');
	}
}

/* READ_MORE = there are more lines of this reply. */
static SmtpRead
take_line(SmtpReader *reader)
{
	SmtpReply *reply = &reader->reply;
	const char *line = reader->line;
	const size_t len = strlen(line);

	if (len < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]) ||
		(len > 3 && line[3] != ' ' && line[3] != '-'))
		return SMTP_READ_BROKEN;
	const int code = atoi((char[]){line[0], line[1], line[2], '\0'});
	if (reader->lines == 0)
		*reply = (SmtpReply){.code = code};
	else if (code != reply->code)
		return SMTP_READ_BROKEN;
	const char *text = line + (len > 3 ? 4 : 3);
	const size_t enhanced = enhanced_length(text, code);
	if (enhanced > 0 && reader->lines == 0)
		snprintf(reply->enhanced, sizeof(reply->enhanced), "%.*s", (int) enhanced, text);
	text += enhanced;
	add_text(reply->text, sizeof(reply->text), text + strspn(text, " "));
	if (len > 3 && line[3] == '-')
		return ++reader->lines > LINES_MAX ? SMTP_READ_BROKEN : SMTP_READ_MORE;
	reader->lines = 0;
	return SMTP_READ_REPLY;
}

SmtpRead
smtp_reader_feed(SmtpReader *reader, const char *data, size_t len, size_t *used)
{
	for (size_t i = 0; i < len; i++)
	{
		if (data[i] != '\n')
		{
			if (reader->len < sizeof(reader->line) - 1)
				reader->line[reader->len] = data[i] == '\0' ? '?' : data[i];
			if (++reader->len > LINE_BYTES_MAX)
				return SMTP_READ_BROKEN;
			continue;
		}
		size_t kept = reader->len < sizeof(reader->line) - 1 ? reader->len : sizeof(reader->line) - 1;
		if (kept > 0 && reader->line[kept - 1] == '\r')
			kept--;
		reader->line[kept] = '\0';
		reader->len = 0;
		const SmtpRead seen = take_line(reader);
		*used = i + 1;
		if (seen != SMTP_READ_MORE)
			return seen;
	}
	*used = len;
	return SMTP_READ_MORE;
}

/* ---- meaning ---------------------------------------------------------------------------------------------------- */

static bool
says(const SmtpReply *reply, const char *words)
{
	return strcasestr(reply->text, words) != NULL;
}

static bool
is_class(const SmtpReply *reply, const char *enhanced)
{
	return strncmp(reply->enhanced, enhanced, strlen(enhanced)) == 0;
}

/* ".7.", ".3.4": what comes after the class, as far as it is given here. */
static bool
is_subject(const SmtpReply *reply, const char *subject)
{
	return *reply->enhanced != '\0' && strncmp(reply->enhanced + 1, subject, strlen(subject)) == 0;
}

static bool
is_greylisted(const SmtpReply *reply)
{
	return says(reply, "greylist") || says(reply, "graylist");
}

/*
 * We send too much for the provider's taste, and any other message would hear the same. 4.7.x is policy; but greylisting,
 * which some servers file there too, is about one recipient, and to wait for that one alone is right. Without an enhanced
 * code the words must do: SES says "454 Throttling failure: Maximum sending rate exceeded".
 */
static bool
is_throttled(const SmtpReply *reply)
{
	if (reply->code / 100 != 4 || is_greylisted(reply))
		return false;
	if (*reply->enhanced)
		return is_class(reply, "4.7.") || is_class(reply, "4.3.2") || is_class(reply, "4.4.5");
	return says(reply, "throttl") || says(reply, "rate limit") || says(reply, "rate exceeded") ||
		   says(reply, "too many") || says(reply, "sending rate") || says(reply, "message quota");
}

/*
 * x.7.x is policy: we may not send this, whatever the address is. So is a MAIL FROM that is refused (no right to the
 * sender's address, authentication required), unless it is the size that was announced there.
 */
static Fault
fault_of(SmtpStep step, const SmtpReply *reply)
{
	const bool too_large = reply->code == 552 || is_subject(reply, ".3.4") || is_subject(reply, ".2.3");

	if (step != SMTP_STEP_RCPT && too_large)
		return FAULT_MESSAGE;
	if (is_greylisted(reply))
		return FAULT_RECIPIENT;
	if (is_subject(reply, ".7.") || step == SMTP_STEP_MAIL || reply->code == 530 || reply->code == 535)
		return FAULT_SENDER;
	if (is_subject(reply, ".6."))
		return FAULT_MESSAGE;
	if (step == SMTP_STEP_RCPT)
		return FAULT_RECIPIENT;
	/* after RCPT was taken: what is not said to be about the address or mailbox is about the message */
	return is_subject(reply, ".1.") || is_subject(reply, ".2.") ? FAULT_RECIPIENT : FAULT_MESSAGE;
}

/* The provider's id of a message, as the common servers tell it; what looks like none of them is left alone. */
static void
find_reference(Result *result, const SmtpReply *reply)
{
	static const char *const marks[] = {"queued as ", "id="};
	const char *at = NULL;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && at == NULL; i++)
	{
		at = strcasestr(reply->text, marks[i]);
		at = at != NULL ? at + strlen(marks[i]) : NULL;
	}
	/* SES: "250 Ok 0100018f…" */
	if (at == NULL && strncasecmp(reply->text, "ok ", 3) == 0 && strchr(reply->text + 3, ' ') == NULL)
		at = reply->text + 3;
	if (at != NULL)
		snprintf(result->provider_ref, sizeof(result->provider_ref), "%.*s", (int) strcspn(at, " ;,)"), at);
}

void
smtp_quote(Result *result, const SmtpReply *reply)
{
	result->code = reply->code;
	memcpy(result->enhanced, reply->enhanced, sizeof(result->enhanced));
	memcpy(result->text, reply->text, sizeof(result->text));
}

void
smtp_judge(Result *result, SmtpStep step, const SmtpReply *reply)
{
	smtp_quote(result, reply);
	if (reply->code / 100 == 2)
	{
		result->outcome = OUTCOME_ACCEPTED;
		find_reference(result, reply);
		return;
	}
	result->fault = fault_of(step, reply);
	result->outcome = is_throttled(reply) ? OUTCOME_THROTTLED : reply->code / 100 == 5 ? OUTCOME_PERMANENT : OUTCOME_TEMPORARY;
	if (result->outcome == OUTCOME_THROTTLED)
		result->fault = FAULT_SENDER;
}

/* ---- EHLO ------------------------------------------------------------------------------------------------------- */

void
smtp_offer_line(SmtpOffer *offer, const char *line, size_t len, bool first)
{
	char text[256];

	if (first)
	{
		*offer = (SmtpOffer){0};
		return; /* the server's name */
	}
	snprintf(text, sizeof(text), "%.*s", (int) (len > 4 ? len - 4 : 0), line + (len > 4 ? 4 : 0));
	text[strcspn(text, "\r\n")] = '\0';
	const size_t word = strcspn(text, " =");
	const char *argument = text + word + (text[word] != '\0');
	text[word] = '\0';
	offer->pipelining |= strcasecmp(text, "PIPELINING") == 0;
	offer->eight_bit |= strcasecmp(text, "8BITMIME") == 0;
	offer->utf8 |= strcasecmp(text, "SMTPUTF8") == 0;
	offer->auth |= strcasecmp(text, "AUTH") == 0;
	if (strcasecmp(text, "SIZE") == 0 && isdigit((unsigned char) *argument))
		offer->size = strtoll(argument, NULL, 10);
}
