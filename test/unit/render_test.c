/*
 * render_test.c: what notices say, out of payloads of real bills and the templates that come with settle.
 *
 * Holds to DESIGN.md §7: every line of a bill is in its e-mail, amounts have separators and their currency, an SMS has one
 * segment; a payload with anything missing or wrong is an error and never a blank; the same notice has the same bytes and
 * hash. The payloads in fixtures/ were written by settle_run() and settle_abandon(); the times of the runs were put in after.
 */
#include <jansson.h>
#include <stdlib.h>

#include "check.h"

#include "notify/render_command.h"
#include "notify/wording.h"

static const NoticeSettings settings = {.company = "한빛텔레콤", .support = "114 & help@example.com",
	.pay_url = "https://pay.example.com/?a=1&b=2", .sms_segments = 1};
static const NoticeSettings english_settings = {.company = "Hanbit Telecom", .sms_segments = 1};

/* ---- files ------------------------------------------------------------------------------------------------------- */

static char *
read_all(const char *name)
{
	FILE *file = fopen(name, "r");
	char *text = calloc(1, 256 * 1024);

	if (file == NULL || fread(text, 1, 256 * 1024 - 1, file) == 0)
	{
		printf("cannot read %s\n", name);
		exit(1);
	}
	fclose(file);
	return text;
}

/* The text between $tag$ and $tag$ of the installation script. */
static char *
shipped(const char *sql, const char *kind, const char *part)
{
	char tag[40];

	snprintf(tag, sizeof(tag), "$%s_%s$", strcmp(kind, "void") == 0 ? "void" : "bill", part);
	const char *from = strstr(sql, tag);
	const char *to = from != NULL ? strstr(from + strlen(tag), tag) : NULL;
	CHECK_CASE(tag);
	if (!CHECK(to != NULL))
		exit(1);
	return strndup(from + strlen(tag), (size_t) (to - from) - strlen(tag));
}

static NoticeTemplate *
shipped_template(const char *locale, const char *kind, const char *channel)
{
	char name[64];
	char *texts[NOTICE_PARTS_MAX] = {NULL};
	Err err = {""};

	snprintf(name, sizeof(name), "../../src/sql/17_templates_%s.sql", locale);
	char *sql = read_all(name);
	for (size_t i = 0; notice_parts(channel)[i] != NULL; i++)
		texts[i] = shipped(sql, kind, strcmp(channel, "sms") == 0 ? "sms" : notice_parts(channel)[i]);
	NoticeTemplate *template = notice_template_new(kind, channel, (const char *const *) texts, &err);
	CHECK_TEXT(err.text, "");
	for (size_t i = 0; i < NOTICE_PARTS_MAX; i++)
		free(texts[i]);
	free(sql);
	return template;
}

static char *
fixture(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "fixtures/%s.json", name);
	return read_all(path);
}

static NoticeInput
input_of(const char *payload, const char *locale)
{
	return (NoticeInput){.payload = payload, .payload_len = strlen(payload), .locale = locale};
}

/* ---- templates that come with settle ----------------------------------------------------------------------------- */

static size_t
count_of(const char *text, const char *piece)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, piece)) != NULL; at += strlen(piece))
		count++;
	return count;
}

static char *
escape_html(const char *text)
{
	char *out = calloc(6, strlen(text) + 1);

	for (; *text != '\0'; text++)
	{
		const char c[2] = {*text, '\0'};

		strcat(out, *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '"' ? "&quot;" : c);
	}
	return out;
}

/* Each name with its amount, in the order of the bill. */
static void
check_every_line(const char *payload, const char *locale, const char *html, const char *text)
{
	json_t *bill = json_loads(payload, 0, NULL);
	const char *currency = json_string_value(json_object_get(bill, "currency"));
	const int exponent = (int) json_integer_value(json_object_get(bill, "exponent"));
	const char *in_html = strstr(html, "border-collapse"), *in_text = text;
	size_t i;
	json_t *line;

	json_array_foreach(json_object_get(bill, "lines"), i, line)
	{
		const char *name = json_string_value(json_object_get(line, "name"));
		char *escaped = escape_html(name != NULL ? name : "");
		char amount[WORDING_MAX + 1];

		CHECK_CASE(name);
		amount[wording_amount(wording_of(locale), json_integer_value(json_object_get(line, "amount")), currency, exponent, amount)] = '\0';
		in_html = in_html != NULL ? strstr(in_html, escaped) : NULL;
		in_text = in_text != NULL ? strstr(in_text, name != NULL ? name : "") : NULL;
		if (strcmp(json_string_value(json_object_get(line, "kind")), "included_tax") != 0)
		{
			in_html = in_html != NULL ? strstr(in_html, amount) : NULL;
			in_text = in_text != NULL ? strstr(in_text, amount) : NULL;
		}
		CHECK(in_html != NULL);
		CHECK(in_text != NULL);
		free(escaped);
	}
	CHECK(i > 0);
	json_decref(bill);
}

static void
check_shipped(const char *locale, const char *kind, const char *payload_name, const NoticeSettings *with, const char *name)
{
	static const char *const channels[] = {"email", "sms", "push"};
	char *payload = fixture(payload_name);
	Renderer renderer = {0};

	for (size_t c = 0; c < 3; c++)
	{
		NoticeTemplate *template = shipped_template(locale, kind, channels[c]);
		NoticeInput input = input_of(payload, locale);
		Rendered rendered;
		Err err = {""};

		input.customer_name = name;
		CHECK_CASE(channels[c]);
		CHECK(render_notice(&renderer, template, &input, with, &rendered, &err));
		CHECK_TEXT(err.text, "");
		for (size_t i = 0; i < rendered.part_count; i++)
		{
			CHECK(rendered.parts[i].len > 0 && rendered.parts[i].len == strlen(rendered.parts[i].text));
			CHECK(strstr(rendered.parts[i].text, "{{") == NULL && strstr(rendered.parts[i].text, "}}") == NULL);
		}
		if (c == 0 && strcmp(kind, "void") != 0)
			check_every_line(payload, locale, rendered.parts[1].text, rendered.parts[2].text);
		if (c == 0)
			CHECK_INT(count_of(rendered.parts[1].text, "<table"), count_of(rendered.parts[1].text, "</table>"));
		CHECK_CASE(rendered.parts[0].text);
		CHECK_INT(rendered.segments.count, strcmp(channels[c], "sms") == 0);
		CHECK(!rendered.too_many_segments);
		notice_template_free(template);
	}
	renderer_free(&renderer);
	free(payload);
}

/* Word for word, because nobody reads a hash. */
static void
exact_texts(void)
{
	static const struct {
		const char *locale, *kind, *channel, *payload;
		size_t part;
		const char *wanted;
	} cases[] = {
		{"ko", "bill", "email", "bill_krw", 0, "[한빛텔레콤] 2024년 5월 요금 청구서"},
		{"ko", "rebill", "email", "rebill_usd", 0, "[한빛텔레콤] (정정) 2024년 5월 요금 청구서"},
		{"ko", "bill", "sms", "bill_krw", 0, "[한빛텔레콤] 2024년 5월 요금 181,350원, 납부기한 6월 15일"},
		{"ko", "bill", "sms", "credit_krw", 0, "[한빛텔레콤] 2024년 5월 요금 0원"},
		{"ko", "void", "sms", "void_krw", 0, "[한빛텔레콤] 2024년 5월 요금 청구가 취소되었습니다."},
		{"ko", "bill", "push", "bill_krw", 1, "181,350원 · 납부기한 6월 15일"},
		{"en", "rebill", "email", "rebill_usd", 0, "한빛텔레콤: corrected bill for May 2024"},
		{"en", "bill", "sms", "bill_krw", 0, "한빛텔레콤: your bill for May 2024 is KRW 181,350, due 15 June."},
		{"en", "rebill", "push", "rebill_usd", 0, "Your corrected bill for May 2024"},
		{"en", "bill", "push", "credit_krw", 1, "There is nothing to pay."},
		{"ko", "bill", "email", "bill_krw", 2,
			"한빛텔레콤\n"
			"2024년 5월 요금 청구서\n"
			"\n"
			"납부하실 금액: 181,350원\n"
			"납부기한 2024년 6월 15일\n"
			"요금 납부하기: https://pay.example.com/?a=1&b=2\n"
			"\n"
			"월정액\n"
			"- 기가 인터넷 1G: 38,500원\n"
			"- 5G 프리미엄 에센셜: 85,000원\n"
			"- 부가서비스: 통화 연결음 & 필링, 수량 2: 1,980원\n"
			"- LTE 데이터 33 (자녀 회선): 33,000원\n"
			"- IPTV 베이직 + 영화 <월정액>, 22일 이용: 13,271원\n"
			"\n"
			"이용료\n"
			"- LTE 데이터 33 (자녀 회선), 7,345 MB: 25,795원\n"
			"- LTE 데이터 33 (자녀 회선), 122분 5초: 2,624원\n"
			"- LTE 데이터 33 (자녀 회선), 131건: 682원\n"
			"\n"
			"일회성 요금\n"
			"- 콘텐츠 결제: 한빛게임즈: 12,900원\n"
			"- 서비스 장애 보상: -3,300원\n"
			"\n"
			"할인\n"
			"- 가족 결합 할인: -23,600원\n"
			"- 장기 고객 할인: -5,500원\n"
			"\n"
			"세금\n"
			"- 부가세: 포함\n"
			"\n"
			"기타\n"
			"- 끝수 조정: -2원\n"
			"\n"
			"합계: 181,350원\n"
			"위 요금에는 세금 15,614원이 포함되어 있습니다.\n"
			"\n"
			"고객번호 1042\n"
			"문의: 114 & help@example.com\n"},
		{"ko", "bill", "email", "credit_krw", 2,
			"한빛텔레콤\n2024년 5월 요금 청구서\n\n납부하실 금액: 0원\n납부하실 금액이 없습니다.\n\n월정액\n"
			"- 부가서비스: 통화 연결음 & 필링: 990원\n\n일회성 요금\n- 보상: -5,000원\n\n세금\n- 부가세: 포함\n\n기타\n"
			"- 다음 달로 이월되는 크레딧: 4,010원\n\n합계: 0원\n위 요금에는 세금 90원이 포함되어 있습니다.\n\n고객번호 3001\n"
			"문의: 114 & help@example.com\n"},
	};
	Renderer renderer = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		NoticeTemplate *template = shipped_template(cases[i].locale, cases[i].kind, cases[i].channel);
		char *payload = fixture(cases[i].payload);
		const NoticeInput input = input_of(payload, cases[i].locale);
		Rendered rendered;
		Err err = {""};

		CHECK_CASE(cases[i].wanted);
		CHECK(render_notice(&renderer, template, &input, &settings, &rendered, &err));
		CHECK_TEXT(rendered.parts[cases[i].part].text, cases[i].wanted);
		notice_template_free(template);
		free(payload);
	}
	renderer_free(&renderer);
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static const char *const everything[] = {"{{#lines}}{{#name}}{{name}}{{/name}}{{amount}}{{/lines}}"};

static void
check_fault(const char *kind, const json_t *payload, const char *why)
{
	NoticeTemplate *template = notice_template_new(kind, "sms", strcmp(kind, "void") == 0 ? (const char *const[]){"{{month}}"} : everything, &(Err){""});
	char *text = json_dumps(payload, JSON_COMPACT);
	const NoticeInput input = input_of(text, "en");
	Renderer renderer = {0};
	Rendered rendered;
	Err err = {""};

	CHECK_CASE(why);
	CHECK(!render_notice(&renderer, template, &input, &settings, &rendered, &err));
	CHECK_TEXT(err.text, why);
	renderer_free(&renderer);
	notice_template_free(template);
	free(text);
}

static json_t *
bill(void)
{
	char *text = fixture("bill_krw");
	json_t *payload = json_loads(text, 0, NULL);

	free(text);
	return payload;
}

/* Every key that is needed, one after the other, of the bill and of each of its lines. */
static void
missing_keys(void)
{
	static const char *const keys[] = {"period", "account_id", "revision", "kind", "currency", "exponent", "recurring", "usage",
		"one_off", "discount", "tax", "included_tax", "rounding", "carried", "arrears", "credit_forward", "total", "due_on", "lines"};
	json_t *whole = bill();
	char why[80];
	size_t i;
	json_t *line, *value;
	const char *key;

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
	{
		json_t *payload = json_deep_copy(whole);

		json_object_del(payload, keys[k]);
		snprintf(why, sizeof(why), "the payload's \"%s\" is missing", keys[k]);
		check_fault("bill", payload, why);
		json_object_set_new(payload, keys[k], json_object());
		snprintf(why, sizeof(why), "the payload's \"%s\" is not a%s", keys[k], json_is_string(json_object_get(whole, keys[k])) ? " text"
			: json_is_array(json_object_get(whole, keys[k])) ? "n array" : " whole number");
		check_fault("bill", payload, why);
		json_decref(payload);
	}
	json_array_foreach(json_object_get(whole, "lines"), i, line)
		json_object_foreach(line, key, value)
		{
			json_t *payload = json_deep_copy(whole);

			if (strcmp(key, "product_id") == 0 || strcmp(key, "days") == 0)
			{
				json_decref(payload);
				continue;
			}
			json_object_del(json_array_get(json_object_get(payload, "lines"), i), key);
			snprintf(why, sizeof(why), "the payload's \"%s\" is missing", key);
			check_fault("bill", payload, why);
			json_decref(payload);
		}
	json_decref(whole);
}

static void
wrong_values(void)
{
	static const struct {
		const char *key, *value, *why;
	} cases[] = {
		{"period", "\"2024-13\"", "the payload's \"period\" is not a month"},
		{"period", "\"\"", "the payload's \"period\" is empty"},
		{"kind", "\"letter\"", "the payload is of an unknown kind"},
		{"kind", "\"void\"", "the payload is of kind void, the template of kind bill"},
		{"revision", "-1", "the payload's \"revision\" is out of range"},
		{"exponent", "5", "the payload's \"exponent\" is out of range"},
		{"currency", "\"krw\"", "the payload's \"currency\" is not a code of three letters"},
		{"currency", "\"KRWW\"", "the payload's \"currency\" is not a code of three letters"},
		{"due_on", "\"2024-06-31\"", "the payload's \"due_on\" is not a date"},
		{"due_on", "\"2024-06-00\"", "the payload's \"due_on\" is not a date"},
		{"due_on", "\"2024-06-1\"", "the payload's \"due_on\" is not a date"},
		{"due_on", "\"2024/06/15\"", "the payload's \"due_on\" is not a date"},
		{"total", "-1", "the payload's \"total\" is out of range"},
		{"total", "1.5", "the payload's \"total\" is not a whole number"},
		{"total", "181351", "the payload's sums do not add up to its total"},
		{"recurring", "171752", "the payload's sums do not add up to its total"},
		{"recurring", "9223372036854775807", "the payload's sums do not add up to its total"},
		{"lines", "[]", "the payload has no lines"},
		{"lines", "[1]", "a line of the payload is not an object"},
		{"lines", "[{\"kind\":\"gift\",\"amount\":181350}]", "the payload has a line of an unknown kind"},
		{"lines", "[{\"kind\":\"rounding\",\"amount\":181351}]", "the payload's lines do not add up to its total"},
		{"lines", "[{\"kind\":\"rounding\",\"amount\":9223372036854775807},{\"kind\":\"rounding\",\"amount\":9223372036854775807}]",
			"the payload's lines do not add up to its total"},
		{"lines", "[{\"kind\":\"tax\",\"name\":\"\",\"amount\":181350}]", "the payload's \"name\" is empty"},
		{"lines", "[{\"kind\":\"recurring\",\"name\":\"a\",\"quantity\":-1,\"amount\":181350}]", "the payload's \"quantity\" is out of range"},
		{"lines", "[{\"kind\":\"recurring\",\"name\":\"a\",\"quantity\":1,\"days\":32,\"amount\":181350}]", "the payload's \"days\" is out of range"},
	};
	json_t *payload = bill();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		json_t *changed = json_deep_copy(payload);

		json_object_set_new(changed, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		check_fault("bill", changed, cases[i].why);
		json_decref(changed);
	}
	check_fault("void", payload, "the payload is of kind bill, the template of kind void");
	json_decref(payload);
	payload = json_array();
	check_fault("bill", payload, "the payload is not a JSON object");
	json_decref(payload);
}

static void
check_text_fault(const char *text, const NoticeSettings *with, const char *name, const char *why)
{
	NoticeTemplate *template = notice_template_new("bill", "push", (const char *const[]){"{{#customer_name}}{{customer_name}}{{/customer_name}}", "b"}, &(Err){""});
	NoticeInput input = input_of(text, "en");
	Renderer renderer = {0};
	Rendered rendered;
	Err err = {""};

	input.customer_name = name;
	CHECK_CASE(why);
	CHECK_INT(render_notice(&renderer, template, &input, with, &rendered, &err), *why == '\0');
	CHECK_TEXT(err.text, why);
	renderer_free(&renderer);
	notice_template_free(template);
}

static void
other_faults(void)
{
	char *text = fixture("bill_krw");
	Err err = {""};

	check_text_fault(text, &settings, "홍길동", "");
	check_text_fault("{\"period\":", &settings, NULL, "the payload is not JSON: byte 10: a value is missing");
	check_text_fault("", &settings, NULL, "the payload is not a JSON object");
	check_text_fault("{\"revision\":1e", &settings, NULL, "the payload is not JSON: byte 14: a number is malformed");
	check_text_fault("{\"other\":[1,}", &settings, NULL, "the payload is not JSON: byte 12: a value is missing");
	check_text_fault("{\"kind\":\"\x80\"}", &settings, NULL, "the payload is not JSON: byte 9: a string is not UTF-8");
	check_text_fault("{} {}", &settings, NULL, "the payload is not JSON: byte 3: something follows the end");
	check_text_fault("{\"total\":1,\"total\":2}", &settings, NULL, "the payload has \"total\" twice");
	check_text_fault(text, &(NoticeSettings){.company = ""}, NULL, "the company that notices come from is not set");
	check_text_fault(text, &(NoticeSettings){.company = "a", .pay_url = "javascript:alert(1)"}, NULL, "the address to pay at must begin with https:// or http://");
	check_text_fault(text, &settings, "a\r\nBcc: b", "title: \"customer_name\" has a control character, which a header must not have");
	CHECK(notice_template_new("letter", "sms", everything, &err) == NULL);
	CHECK_TEXT(err.text, "there is no kind of notice \"letter\": bill, rebill or void");
	CHECK(notice_template_new("bill", "fax", everything, &err) == NULL);
	CHECK_TEXT(err.text, "there is no channel \"fax\": email, sms or push");
	CHECK(notice_template_new("void", "sms", everything, &err) == NULL);
	CHECK_TEXT(err.text, "text, line 1, column 1: unknown name \"lines\"");
	CHECK(notice_template_new("bill", "email", (const char *const[]){"a", "b", "\n{{"}, &err) == NULL);
	CHECK_TEXT(err.text, "text, line 2, column 1: a tag is not closed on its line: \"}}\" is missing");
	free(text);
}

/* ---- the same again ---------------------------------------------------------------------------------------------- */

static void
hashes(void)
{
	/* printf 'text\0\0\0\0\0\0\0\0\x08May 2024' | sha256sum */
	static const uint8_t wanted[4] = {0x76, 0x32, 0x5e, 0x53};
	NoticeTemplate *email = shipped_template("ko", "bill", "email");
	NoticeTemplate *sms = notice_template_new("void", "sms", (const char *const[]){"{{month}}"}, &(Err){""});
	char *krw = fixture("bill_krw"), *usd = fixture("rebill_usd"), *taken_back = fixture("void_krw");
	const NoticeInput inputs[] = {input_of(krw, "ko"), input_of(usd, "ko"), input_of(taken_back, "en")};
	Renderer renderer = {0}, fresh = {0};
	Rendered first, again, other, small;
	Err err;

	CHECK_CASE("hashes");
	CHECK(render_notice(&renderer, email, &inputs[0], &settings, &first, &err));
	char *html = strdup(first.parts[1].text);
	CHECK(render_notice(&renderer, email, &inputs[1], &settings, &other, &err));
	CHECK(render_notice(&renderer, email, &inputs[0], &settings, &again, &err));
	CHECK(memcmp(first.hash, again.hash, RENDER_HASH_SIZE) == 0 && memcmp(first.hash, other.hash, RENDER_HASH_SIZE) != 0);
	CHECK_TEXT(again.parts[1].text, html);
	CHECK(render_notice(&fresh, email, &inputs[0], &settings, &again, &err));
	CHECK(memcmp(first.hash, again.hash, RENDER_HASH_SIZE) == 0);
	CHECK_TEXT(again.parts[1].text, html);
	CHECK(render_notice(&fresh, sms, &inputs[2], &settings, &small, &err));
	CHECK_TEXT(small.parts[0].text, "May 2024");
	CHECK(memcmp(small.hash, wanted, sizeof(wanted)) == 0);
	/* a buffer that the text just fills has no room for its end */
	free(fresh.texts[0]);
	fresh.texts[0] = malloc(small.parts[0].len);
	fresh.sizes[0] = small.parts[0].len;
	CHECK(render_notice(&fresh, sms, &inputs[2], &settings, &small, &err));
	CHECK_TEXT(small.parts[0].text, "May 2024");
	CHECK(render_notice(&fresh, sms, &inputs[2], &(NoticeSettings){.company = "a", .sms_segments = 0}, &small, &err) && small.too_many_segments);
	renderer_free(&renderer);
	renderer_free(&fresh);
	notice_template_free(email);
	notice_template_free(sms);
	free(html);
	free(krw);
	free(usd);
	free(taken_back);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool
fetch(void *data, const char *kind, const char *channel, const char *locale, char **texts, char template_locale[8], Err *err)
{
	(void) data;
	if (strcmp(kind, "void") == 0)
		return err_set(err, "no database");
	for (size_t i = 0; notice_parts(channel)[i] != NULL; i++)
		texts[i] = strdup("{{month}} {{total}}");
	snprintf(template_locale, 8, "%.2s", locale);
	return true;
}

static void
check_command(const char *const *arguments, int status, const char *wanted_out, const char *wanted_error)
{
	static const TemplateSource source = {.fetch = fetch};
	char *argv[12] = {(char[]){"render"}};
	int argc = 1;
	char *out, *error;
	size_t out_len, error_len;
	FILE *in = fopen("fixtures/bill_krw.json", "r");
	FILE *to = open_memstream(&out, &out_len);
	FILE *errors = open_memstream(&error, &error_len);

	for (; arguments[argc - 1] != NULL; argc++)
		argv[argc] = strdup(arguments[argc - 1]);
	CHECK_CASE(*wanted_error != '\0' ? wanted_error : wanted_out);
	CHECK_INT(render_command(argc, argv, &settings, &source, in, to, errors), status);
	fclose(in);
	fclose(to);
	fclose(errors);
	CHECK(strncmp(out, wanted_out, strlen(wanted_out)) == 0);
	CHECK(strncmp(error, wanted_error, strlen(wanted_error)) == 0 && (*wanted_error != '\0') == (*error != '\0'));
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	free(out);
	free(error);
}

#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
commands(void)
{
	FILE *draft = fopen("build/draft.txt", "w");

	fputs("{{month}}: {{#customer_name}}{{customer_name}}{{/customer_name}}\n", draft);
	fclose(draft);
	check_command(COMMAND("bill", "sms", "ko"), 0, "---- text\n2024년 5월 181,350원\n----\nsegments 1 (17 UTF-16 units)\nsha256 ", "");
	check_command(COMMAND("bill", "push", "en-GB", "--part", "body"), 0, "May 2024 ₩181,350", "");
	check_command(COMMAND("bill", "push", "en", "--template", "body=build/draft.txt", "--name", "Kim"), 0,
		"---- title\nMay 2024 ₩181,350\n---- body\nMay 2024: Kim\n----\nsha256 ", "");
	check_command(COMMAND("bill", "sms", "en", "--payload", "fixtures/rebill_usd.json"), 0, "---- text\nMay 2024 $", "");
	check_command(COMMAND("void", "sms", "en"), 1, "", "settle-notifier render: no database\n");
	check_command(COMMAND("bill", "sms", "en", "--payload", "fixtures/none.json"), 1, "", "settle-notifier render: cannot open fixtures/none.json: ");
	check_command(COMMAND("bill", "sms", "en", "--payload", "fixtures/void_krw.json"), 1, "", "settle-notifier render: the payload is of kind void");
	check_command(COMMAND("bill", "sms"), 2, "", "settle-notifier render: KIND, CHANNEL and LOCALE are needed\nusage: ");
	check_command(COMMAND("letter", "sms", "en"), 2, "", "settle-notifier render: there is no kind of notice \"letter\"");
	check_command(COMMAND("bill", "fax", "en"), 2, "", "settle-notifier render: there is no channel \"fax\"");
	check_command(COMMAND("bill", "sms", "English"), 2, "", "settle-notifier render: \"English\" is not a locale");
	check_command(COMMAND("bill", "sms", "en", "--template", "html=x"), 2, "", "settle-notifier render: sms has no part \"html\"");
	check_command(COMMAND("bill", "sms", "en", "--template", "text"), 2, "", "settle-notifier render: --template needs PART=FILE");
	check_command(COMMAND("bill", "sms", "en", "--part", "html"), 2, "", "settle-notifier render: sms has no part \"html\"");
	check_command(COMMAND("bill", "sms", "en", "--name"), 2, "", "settle-notifier render: --name needs a value");
	check_command(COMMAND("bill", "sms", "en", "--colour"), 2, "", "settle-notifier render: \"--colour\" is not an option");
	check_command(COMMAND("bill", "sms", "en", "more"), 2, "", "settle-notifier render: \"more\" is not an option");
}

int
main(void)
{
	check_shipped("ko", "bill", "bill_krw", &settings, "홍길동");
	check_shipped("ko", "bill", "credit_krw", &settings, NULL);
	check_shipped("ko", "rebill", "rebill_usd", &settings, "<b>\"Kim\" & 'Co'</b>");
	check_shipped("ko", "void", "void_krw", &settings, "홍길동");
	check_shipped("en", "bill", "bill_krw", &english_settings, "Hong Gildong");
	check_shipped("en", "bill", "credit_krw", &english_settings, NULL);
	check_shipped("en", "rebill", "rebill_usd", &english_settings, "Kim");
	check_shipped("en", "void", "void_krw", &english_settings, NULL);
	exact_texts();
	missing_keys();
	wrong_values();
	other_faults();
	hashes();
	commands();
	return check_done();
}
