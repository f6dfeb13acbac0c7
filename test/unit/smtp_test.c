/*
 * smtp_test.c: what an SMTP server says, however its bytes are cut, and what it means.
 *
 * Holds to DESIGN.md §7: a reply is read whole or not at all, what is none ends the connection, no address comes into a
 * result's text. The dialogue itself is in test/t/smtp.py, with servers.
 */
#include "check.h"

#include "notify/smtp_reply.h"

static SmtpReader reader;
static SmtpReply reply;

/* All of the text in pieces of so many bytes; the last thing that was seen. */
static SmtpRead
feed(const char *text, size_t piece)
{
	SmtpRead seen = SMTP_READ_MORE;

	reader = (SmtpReader){0};
	for (size_t len = strlen(text), used; len > 0 && seen == SMTP_READ_MORE; text += used, len -= used)
	{
		seen = smtp_reader_feed(&reader, text, len < piece ? len : piece, &used);
		if (seen == SMTP_READ_BROKEN)
			break;
	}
	reply = reader.reply;
	return seen;
}

static void
replies(void)
{
	for (size_t piece = 1; piece < 40; piece++)
	{
		CHECK(feed("250 2.0.0 Ok: queued as 4XyZ\r\n", piece) == SMTP_READ_REPLY && reply.code == 250);
		CHECK_TEXT(reply.enhanced, "2.0.0");
		CHECK_TEXT(reply.text, "Ok: queued as 4XyZ");
		CHECK(feed("550-5.1.1 The user <a@example.org>\r\n550-5.1.1 is \x01 unknown\n550 5.1.1\r\n", piece) == SMTP_READ_REPLY);
		CHECK_TEXT(reply.enhanced, "5.1.1");
		CHECK_TEXT(reply.text, "The user (address) is ? unknown");
	}
	CHECK(feed("354\r\n", 9) == SMTP_READ_REPLY && reply.code == 354 && *reply.text == '\0');
	CHECK(feed("250 5.1.1 of another class\r\n", 99) == SMTP_READ_REPLY && *reply.enhanced == '\0');
	CHECK(feed("250 2.1234.1 no code\r\n", 99) == SMTP_READ_REPLY && *reply.enhanced == '\0');
	CHECK(feed("250 2.1.\r\n", 99) == SMTP_READ_REPLY && *reply.enhanced == '\0');
	CHECK(feed("250-one\r\n", 99) == SMTP_READ_MORE);
	CHECK(feed("250 one", 99) == SMTP_READ_MORE);
}

static void
what_is_no_reply(void)
{
	static const char *const broken[] = {"\r\n", "25\r\n", "abc hello\r\n", "150 x\r\n", "650 x\r\n", "2500 x\r\n", "250_x\r\n", "250-a\r\n251 b\r\n", " 250 a\r\n"};
	static char many[120 * 7 + 1], longer[5000];

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
	{
		CHECK_CASE(broken[i]);
		CHECK(feed(broken[i], 1) == SMTP_READ_BROKEN && feed(broken[i], 99) == SMTP_READ_BROKEN);
	}
	CHECK_CASE("");
	for (int i = 0; i < 120; i++)
		memcpy(many + i * 7, "250-a\r\n", 7);
	CHECK(feed(many, 99) == SMTP_READ_BROKEN);
	memset(longer, '2', sizeof(longer) - 1);
	CHECK(feed(longer, 99) == SMTP_READ_BROKEN);
	memcpy(longer, "250 ", 4);
	memcpy(longer + 3000, "\r\n", 3);
	CHECK(feed(longer, 99) == SMTP_READ_REPLY && strlen(reply.text) < sizeof(reply.text));
}

static Result
judged(SmtpStep step, const char *line)
{
	Result result = {0};

	CHECK(feed(line, 99) == SMTP_READ_REPLY);
	smtp_judge(&result, step, &reply);
	return result;
}

static void
meaning(void)
{
	static const struct {
		SmtpStep step;
		const char *line;
		Outcome outcome;
		Fault fault;
	} rows[] = {
		{SMTP_STEP_DOT, "250 ok\r\n", OUTCOME_ACCEPTED, FAULT_NONE},
		{SMTP_STEP_RCPT, "550 5.1.1 no\r\n", OUTCOME_PERMANENT, FAULT_RECIPIENT},
		{SMTP_STEP_RCPT, "550 no\r\n", OUTCOME_PERMANENT, FAULT_RECIPIENT},
		{SMTP_STEP_RCPT, "552 5.2.2 full\r\n", OUTCOME_PERMANENT, FAULT_RECIPIENT},
		{SMTP_STEP_RCPT, "554 5.7.1 denied\r\n", OUTCOME_PERMANENT, FAULT_SENDER},
		{SMTP_STEP_MAIL, "553 5.1.8 sender\r\n", OUTCOME_PERMANENT, FAULT_SENDER},
		{SMTP_STEP_MAIL, "552 too large\r\n", OUTCOME_PERMANENT, FAULT_MESSAGE},
		{SMTP_STEP_DOT, "554 5.6.0 content\r\n", OUTCOME_PERMANENT, FAULT_MESSAGE},
		{SMTP_STEP_DOT, "550 5.1.1 user\r\n", OUTCOME_PERMANENT, FAULT_RECIPIENT},
		{SMTP_STEP_DOT, "550 5.7.26 DMARC\r\n", OUTCOME_PERMANENT, FAULT_SENDER},
		{SMTP_STEP_RCPT, "450 4.2.0 busy\r\n", OUTCOME_TEMPORARY, FAULT_RECIPIENT},
		{SMTP_STEP_RCPT, "451 4.7.1 Greylisted\r\n", OUTCOME_TEMPORARY, FAULT_RECIPIENT},
		{SMTP_STEP_RCPT, "451 4.7.1 slow\r\n", OUTCOME_THROTTLED, FAULT_SENDER},
		{SMTP_STEP_DATA, "454 Throttling failure: Daily message quota exceeded.\r\n", OUTCOME_THROTTLED, FAULT_SENDER},
		{SMTP_STEP_RCPT, "452 4.2.2 quota; too many\r\n", OUTCOME_TEMPORARY, FAULT_RECIPIENT},
		{SMTP_STEP_MAIL, "432 4.3.2 paused\r\n", OUTCOME_THROTTLED, FAULT_SENDER},
		{SMTP_STEP_RCPT, "550 5.7.0 throttled\r\n", OUTCOME_PERMANENT, FAULT_SENDER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		CHECK_CASE(rows[i].line);
		const Result result = judged(rows[i].step, rows[i].line);
		CHECK_INT(result.outcome, rows[i].outcome);
		CHECK_INT(result.fault, rows[i].fault);
	}
	CHECK_CASE("");
	CHECK_TEXT(judged(SMTP_STEP_DOT, "250 2.0.0 Ok: queued as 4XyZ1\r\n").provider_ref, "4XyZ1");
	CHECK_TEXT(judged(SMTP_STEP_DOT, "250 Ok 0100018f-abc\r\n").provider_ref, "0100018f-abc");
	CHECK_TEXT(judged(SMTP_STEP_DOT, "250 OK id=1abc-000\r\n").provider_ref, "1abc-000");
	CHECK_TEXT(judged(SMTP_STEP_DOT, "250 2.0.0 ok nothing to see\r\n").provider_ref, "");
}

static void
offers(void)
{
	static const char *const lines[] = {"250-relay PIPELINING", "250-pipelining\r\n", "250-SIZE 1000\r\n", "250-8bitmime\r\n", "250-AUTH PLAIN\r\n", "250 SMTPUTF8\r\n"};
	SmtpOffer offer = {.size = 5};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
	{
		smtp_offer_line(&offer, lines[i], strlen(lines[i]), i == 0);
		CHECK(i > 0 || (!offer.pipelining && offer.size == 0));
	}
	CHECK(offer.pipelining && offer.eight_bit && offer.utf8 && offer.auth && offer.size == 1000);
	smtp_offer_line(&offer, "250 relay", 9, true);
	smtp_offer_line(&offer, "250-SIZE", 8, false);
	smtp_offer_line(&offer, "250-PIPELININGS", 15, false);
	smtp_offer_line(&offer, "250", 3, false);
	CHECK(!offer.pipelining && offer.size == 0 && !offer.auth);
}

int
main(void)
{
	replies();
	what_is_no_reply();
	meaning();
	offers();
	return check_done();
}
