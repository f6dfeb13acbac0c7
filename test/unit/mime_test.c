/*
 * mime_test.c: the bytes of an e-mail.
 *
 * Holds to DESIGN.md §7: equal input gives equal bytes, lines stay within their widths and end with CRLF, and what could
 * add a header or a recipient is refused with the name of its field. What a reader sees is in test/t/mime.py.
 */
#include "check.h"

#include "lib/buf.h"
#include "notify/encode.h"
#include "notify/mime.h"

static Buf out;
static Err err;

static MimeMail
sample(void)
{
	return (MimeMail){
		.key = "2024-05.1.bill.e.0",
		.from = {"Settle", "bill@example.com"},
		.to = {"Hong", "hong@example.org"},
		.subject = "Your bill",
		.date_s = 1716200000,
		.message_id = "2024-05.1.bill.e.0@example.com",
		.text = {"Hello\n", 6},
		.html = {"<p>Hello</p>\n", 13},
	};
}

static const char *
built(const MimeMail *mail)
{
	buf_clear(&out);
	if (!mime_build(mail, &out, &err))
		return err.text;
	buf_add(&out, "", 1);
	return out.data;
}

static void
whole_message(void)
{
	MimeMail mail = sample();

	mail.unsubscribe = "https://example.com/u/1";
	mail.one_click = true;
	mail.extra = &(MimeHeader){"Resend-Idempotency-Key", "2024-05-1"};
	mail.extra_count = 1;
	CHECK_TEXT(built(&mail),
			   "From: Settle <bill@example.com>\r\n"
			   "To: Hong <hong@example.org>\r\n"
			   "Subject: Your bill\r\n"
			   "Date: Mon, 20 May 2024 10:13:20 +0000\r\n"
			   "Message-ID: <2024-05.1.bill.e.0@example.com>\r\n"
			   "Auto-Submitted: auto-generated\r\n"
			   "List-Unsubscribe: <https://example.com/u/1>\r\n"
			   "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
			   "Resend-Idempotency-Key: 2024-05-1\r\n"
			   "MIME-Version: 1.0\r\n"
			   "Content-Type: multipart/alternative;\r\n"
			   " boundary=\"=_2024-05.1.bill.e.0\"\r\n"
			   "\r\n"
			   "--=_2024-05.1.bill.e.0\r\n"
			   "Content-Type: text/plain; charset=utf-8\r\n"
			   "Content-Transfer-Encoding: quoted-printable\r\n"
			   "\r\n"
			   "Hello\r\n"
			   "\r\n"
			   "--=_2024-05.1.bill.e.0\r\n"
			   "Content-Type: text/html; charset=utf-8\r\n"
			   "Content-Transfer-Encoding: quoted-printable\r\n"
			   "\r\n"
			   "<p>Hello</p>\r\n"
			   "\r\n"
			   "--=_2024-05.1.bill.e.0--\r\n");
	mail.html.data = NULL;
	mail.text = (MimePart){"no end", 6};
	CHECK(strstr(built(&mail), "\r\nContent-Type: text/plain; charset=utf-8\r\n") != NULL);
	CHECK(strstr(built(&mail), "\r\n\r\nno end\r\n") != NULL && strstr(out.data, "multipart") == NULL);
}

/* ---- what is refused -------------------------------------------------------------------------------------------- */

static void
refuses(const MimeMail *mail, const char *reason)
{
	buf_clear(&out);
	buf_lit(&out, "as it was");
	if (CHECK(!mime_build(mail, &out, &err)))
		CHECK_TEXT(err.text, reason);
	CHECK(out.len == 9);
}

static void
headers_that_are_refused(void)
{
	char longest[MIME_SUBJECT_MAX + 2];
	MimeMail mail;
	MimeHeader extra;

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
#define REFUSES(change, reason) (mail = sample(), (change), refuses(&mail, reason))
	REFUSES(mail.subject = "a\r\nBcc: all@example.com", "Subject has a control character at byte 2");
	REFUSES(mail.subject = "a\n", "Subject has a control character at byte 2");
	REFUSES(mail.subject = "a\rb", "Subject has a control character at byte 2");
	REFUSES(mail.subject = "a\tb", "Subject has a control character at byte 2");
	REFUSES(mail.subject = "a\177", "Subject has a control character at byte 2");
	REFUSES(mail.subject = "a\xC2\x85", "Subject has a control character at byte 2");
	REFUSES(mail.subject = "a\xC0\x8A", "Subject is not UTF-8");
	REFUSES(mail.subject = "\xED\xA0\x80", "Subject is not UTF-8");
	REFUSES(mail.subject = "\xEC\x9A", "Subject is not UTF-8");
	REFUSES(mail.subject = longest, "Subject is too long: 1001 bytes, at most 1000");
	REFUSES(mail.to.name = "a\nBcc: b@example.com", "To has a control character at byte 2");
	REFUSES(mail.to.name = longest, "To is too long: 1001 bytes, at most 256");
	REFUSES(mail.from.name = "\x1B[0m", "From has a control character at byte 1");
	REFUSES(mail.to.address = "a@example.org\r\nDATA", "To has a control character at byte 14");
	REFUSES(mail.reply_to.address = "nobody", "Reply-To: the address has no @");
	REFUSES(mail.message_id = "a@b>\n", "Message-ID has a character that cannot stand there, at byte 4");
	REFUSES(mail.message_id = "a", "Message-ID has no @");
	REFUSES(mail.unsubscribe = "https://a/ b", "List-Unsubscribe has a character that cannot stand there, at byte 11");
	REFUSES(mail.unsubscribe = "javascript:x", "List-Unsubscribe must begin with https:// or mailto:");
	REFUSES(mail.one_click = true, "List-Unsubscribe-Post needs a List-Unsubscribe");
	REFUSES((mail.one_click = true, mail.unsubscribe = "mailto:a@b"),
			"List-Unsubscribe-Post needs a List-Unsubscribe that begins with https://");
	REFUSES(mail.key = "a\"b", "the key has a character that cannot stand there, at byte 2");
	REFUSES(mail.key = "", "the key has 0 bytes, not 1 to 60");
	REFUSES(mail.date_s = -1, "Date is not between the years 1970 and 9999");
	REFUSES((mail.text.data = NULL, mail.html.data = NULL), "there is neither text nor HTML");
	REFUSES(mail.text = ((MimePart){"\xFF", 1}), "text is not UTF-8");
	REFUSES(mail.html = ((MimePart){"\xE2\x82", 2}), "HTML is not UTF-8");
#define REFUSES_EXTRA(name, value, reason) \
	REFUSES((extra = (MimeHeader){name, value}, mail.extra = &extra, mail.extra_count = 1), reason)
	REFUSES_EXTRA("bcc", "a@b", "Bcc cannot be an extra header");
	REFUSES_EXTRA("X-A:", "b", "the name of an extra header has a character that cannot stand there, at byte 4");
	REFUSES_EXTRA("", "b", "the name of an extra header has 0 bytes, not 1 to 64");
	REFUSES_EXTRA("X-A", "b\r\n\r\nbody", "X-A has a control character at byte 2");
	REFUSES_EXTRA("X-A", longest, "X-A is too long: 1001 bytes, at most 900");
}

static void
addresses(void)
{
	static const char *const good[] = {"a@b", "a.b+c@example.com", "a..b@docomo.example", "o'neil@x-y.example", "홍@xn--hq1bm8jm9l.example",
									   "_%|{}~@1.example"};
	static const char *const bad[] = {
		"", "@b", "a@", "a b@c", "a@b c", "<a@b>", "a@b>", "a@b@c", "\"a b\"@c", "a,b@c", "a;b@c", "a(b)@c", "a\\b@c", "a[@c", "a@[127.0.0.1]",
		"a@b..c", "a@.b", "a@b.", "a@-b", "a@b-", "a@b-.c", "a@한국.example", "a\xFF@b", "a@b\x01", "a@b_c", "a:b@c", "a@b:25", "a\x7F@b",
		"x234567890123456789012345678901234567890123456789012345678901234x@b",
		"a@x23456789012345678901234567890123456789012345678901234567890123x.b",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		CHECK_CASE(good[i]);
		CHECK(mime_check_address("To", good[i], &err));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		CHECK_CASE(bad[i]);
		CHECK(!mime_check_address("To", bad[i], &err) && strncmp(err.text, "To", 2) == 0);
	}
	CHECK_CASE("");
	CHECK(!mime_check_address("To", NULL, &err));
}

/* ---- encodings -------------------------------------------------------------------------------------------------- */

static const char *
printable(const char *text)
{
	buf_clear(&out);
	encode_quoted_printable(&out, text, strlen(text));
	buf_add(&out, "", 1);
	return out.data;
}

static void
quoted_printable(void)
{
	char line[10001], expected[256];

	CHECK_TEXT(printable(""), "");
	CHECK_TEXT(printable("a=b"), "a=3Db");
	CHECK_TEXT(printable("a\nb\r\nc"), "a\r\nb\r\nc");
	CHECK_TEXT(printable("a \nb\t\r\n "), "a=20\r\nb=09\r\n=20");
	CHECK_TEXT(printable("a\rb"), "a=0Db");
	CHECK_TEXT(printable("\x01\x7F"), "=01=7F");
	CHECK_TEXT(printable(".\n..a"), ".\r\n..a");
	CHECK_TEXT(printable("From x\nFromage"), "=46rom x\r\nFromage");
	CHECK_TEXT(printable("요"), "=EC=9A=94");
	memset(line, 'x', 76);
	line[76] = '\0';
	snprintf(expected, sizeof(expected), "%.75s=\r\nx", line);
	CHECK_TEXT(printable(line), expected);
	memset(line, 'x', 73);
	strcpy(line + 73, "=");
	snprintf(expected, sizeof(expected), "%.73s=\r\n=3D", line);
	CHECK_TEXT(printable(line), expected);
	for (int kind = 0; kind < 3; kind++)
	{
		memset(line, kind == 0 ? 'x' : kind == 1 ? '=' : ' ', sizeof(line) - 1);
		line[sizeof(line) - 1] = '\0';
		const char *at = printable(line);
		bool fits = true;
		for (const char *end; (end = strstr(at, "\r\n")) != NULL; at = end + 2)
			fits &= end - at <= LINE_WIDTH && end > at && end[-1] == '=';
		CHECK(fits && strlen(at) <= LINE_WIDTH);
	}
}

static const char *
subject(const char *text)
{
	MimeMail mail = sample();

	mail.subject = text;
	const char *at = strstr(built(&mail), "Subject:");
	static char line[4096];
	const char *end = at;
	do
		end = strstr(end, "\r\n") + 2;
	while (*end == ' ');
	snprintf(line, sizeof(line), "%.*s", (int) (end - at), at);
	return line;
}

static void
subjects(void)
{
	CHECK_TEXT(subject(""), "Subject: \r\n");
	CHECK_TEXT(subject("=?utf-8?Q?a?="), "Subject: =?utf-8?B?PT91dGYtOD9RP2E/PQ==?=\r\n");
	CHECK_TEXT(subject(" a"), "Subject: =?utf-8?Q?_a?=\r\n");
	CHECK_TEXT(subject("a  b"), "Subject: =?utf-8?Q?a__b?=\r\n");
	CHECK_TEXT(subject("café au lait"), "Subject: =?utf-8?Q?caf=C3=A9_au_lait?=\r\n");
	CHECK_TEXT(subject("요금"), "Subject: =?utf-8?B?7JqU6riI?=\r\n");
	CHECK_TEXT(subject("요금 안내가 나왔습니다 고객님의 요금을 확인해 주세요"),
			   "Subject: =?utf-8?B?7JqU6riIIOyViOuCtOqwgCDrgpjsmZTsirXri4jri6Qg6rOg6rCd?=\r\n"
			   " =?utf-8?B?64uY7J2YIOyalOq4iOydhCDtmZXsnbjtlbQg7KO87IS47JqU?=\r\n");
	CHECK_TEXT(subject("one two three four five six seven eight nine ten eleven twelve thirteen fourteen"),
			   "Subject: one two three four five six seven eight nine ten eleven twelve\r\n thirteen fourteen\r\n");
}

int
main(void)
{
	whole_message();
	headers_that_are_refused();
	addresses();
	quoted_printable();
	subjects();
	buf_free(&out);
	return check_done();
}
