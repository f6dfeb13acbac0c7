/*
 * template_test.c: templates of notices compile or say where they are wrong, and render without a hole.
 *
 * Holds to DESIGN.md §7 ("strict Mustache subset"). Cases marked "spec" are those of the Mustache specification for the
 * subset, with its names exchanged for those of this vocabulary.
 */
#include <stdlib.h>

#include "check.h"

#include "common/template.h"
#include "common/vocabulary.h"

enum { SUBJECT, MAYBE, FLAG, UNSET, LIST, EMPTY, TOP, ITEM = TOP, ITEM_MAYBE, ITEM_FLAG, EMPTY_ITEM, ALL };

static const TemplateName names[] = {
	[SUBJECT] = {"subject", TEMPLATE_VALUE},
	[MAYBE] = {"maybe", TEMPLATE_OPTIONAL},
	[FLAG] = {"boolean", TEMPLATE_FLAG},
	[UNSET] = {"unset", TEMPLATE_FLAG},
	[LIST] = {"list", TEMPLATE_LIST, ITEM, 3},
	[EMPTY] = {"empty", TEMPLATE_LIST, EMPTY_ITEM, 1},
	[ITEM] = {"item", TEMPLATE_VALUE},
	[ITEM_MAYBE] = {"more", TEMPLATE_OPTIONAL},
	[ITEM_FLAG] = {"last", TEMPLATE_FLAG},
	[EMPTY_ITEM] = {"nothing", TEMPLATE_VALUE},
};
static const TemplateVocabulary vocabulary = {names, ALL, TOP};

#define TEXT(literal) {.text = literal, .len = sizeof(literal) - 1}
static const TemplateValue items[] = {
	TEXT("1"), TEXT("one"), {0},
	TEXT("2"), {0}, {0},
	TEXT("3"), TEXT(""), TEXT("set"),
};
static const TemplateValue values[TOP] = {
	[SUBJECT] = TEXT("& \" < > ' 한글"),
	[MAYBE] = TEXT("there"),
	[FLAG] = TEXT(""),
	[LIST] = {.len = 3, .items = items},
};

/* Copies of exactly their size, so that a sanitizer sees a byte too much. */
typedef struct Compiled {
	char *text;
	TemplateOp *ops;
	Template template;
	TemplateFault fault;
	bool ok;
} Compiled;

static Compiled
compile(const char *text, TemplateMode mode)
{
	const size_t len = strlen(text);
	Compiled compiled = {.text = malloc(len + (len == 0)), .ops = calloc(TEMPLATE_OPS_BOUND(len), sizeof(TemplateOp))};

	memcpy(compiled.text, text, len);
	compiled.ok = template_compile(&compiled.template, compiled.text, len, &vocabulary, mode, compiled.ops, &compiled.fault);
	return compiled;
}

static void
discard(Compiled *compiled)
{
	free(compiled->text);
	free(compiled->ops);
}

static void
check_rendered(const Template *template, const char *wanted)
{
	const size_t wanted_len = strlen(wanted);
	TemplateFault fault = {0};
	size_t len = 0;

	/* every size that is too small says the same length and writes nothing outside */
	for (size_t size = 0; size <= wanted_len; size++)
	{
		char *out = malloc(size + (size == 0));

		CHECK(template_render(template, values, out, size, &len, &fault));
		CHECK_INT(len, wanted_len);
		if (size == wanted_len)
			CHECK(memcmp(out, wanted, wanted_len) == 0);
		free(out);
	}
	char *shown = calloc(1, len + wanted_len + 1);
	CHECK(template_render(template, values, shown, len, &len, &fault));
	CHECK_TEXT(shown, wanted);
	free(shown);
}

static void
renders(void)
{
	static const struct {
		TemplateMode mode;
		const char *text, *wanted;
	} cases[] = {
		{TEMPLATE_TEXT, "", ""},
		{TEMPLATE_TEXT, "Hello from {Mustache}!", "Hello from {Mustache}!"}, /* spec: No Interpolation */
		{TEMPLATE_TEXT, "{{subject}}{{subject}}", "& \" < > ' 한글& \" < > ' 한글"},
		{TEMPLATE_TEXT, "a } b }} c { d", "a } b }} c { d"},
		{TEMPLATE_TEXT, "{", "{"},
		/* spec: HTML Escaping, Triple Mustache, Ampersand */
		{TEMPLATE_HTML, "a {{subject}} b", "a &amp; &quot; &lt; &gt; &#39; 한글 b"},
		{TEMPLATE_HTML, "{{{subject}}}", "& \" < > ' 한글"},
		{TEMPLATE_HTML, "{{&subject}}", "& \" < > ' 한글"},
		{TEMPLATE_HTML, "{{subject}}}", "&amp; &quot; &lt; &gt; &#39; 한글}"},
		{TEMPLATE_HEADER, "a {{subject}} b", "a & \" < > ' 한글 b"},
		{TEMPLATE_JSON, "\"{{subject}}\"", "\"& \\\" < > ' 한글\""},
		/* spec: Interpolation With Padding; surrounding whitespace stays, standalone variables too */
		{TEMPLATE_TEXT, "|{{ subject }}|", "|& \" < > ' 한글|"},
		{TEMPLATE_TEXT, "|{{{ subject }}}|{{& subject }}|", "|& \" < > ' 한글|& \" < > ' 한글|"},
		{TEMPLATE_TEXT, "  {{maybe}}\n", NULL},
		{TEMPLATE_TEXT, "  {{subject}}\n", "  & \" < > ' 한글\n"},
		/* spec: sections */
		{TEMPLATE_TEXT, "\"{{#boolean}}This should be rendered.{{/boolean}}\"", "\"This should be rendered.\""},
		{TEMPLATE_TEXT, "\"{{#unset}}This should not be rendered.{{/unset}}\"", "\"\""},
		{TEMPLATE_TEXT, "\"{{#list}}{{item}}{{/list}}\"", "\"123\""},
		{TEMPLATE_TEXT, "\"{{#empty}}Yay lists!{{/empty}}\"", "\"\""},
		{TEMPLATE_TEXT, "{{#boolean}}\n* first\n{{/boolean}}\n* {{subject}}\n{{#boolean}}\n* third\n{{/boolean}}\n",
			"* first\n* & \" < > ' 한글\n* third\n"}, /* Doubled */
		{TEMPLATE_TEXT, "| A {{#boolean}}B {{#boolean}}C{{/boolean}} D{{/boolean}} E |", "| A B C D E |"},
		{TEMPLATE_TEXT, "| A {{#unset}}B {{#unset}}C{{/unset}} D{{/unset}} E |", "| A  E |"},
		{TEMPLATE_TEXT, " | {{#boolean}}\t|\t{{/boolean}} | \n", " | \t|\t | \n"}, /* Surrounding Whitespace */
		{TEMPLATE_TEXT, " | {{#boolean}} {{! Important Whitespace }}\n {{/boolean}} | \n", " |  \n  | \n"},
		{TEMPLATE_TEXT, " {{#boolean}}YES{{/boolean}}\n {{#boolean}}GOOD{{/boolean}}\n", " YES\n GOOD\n"},
		{TEMPLATE_TEXT, "| This Is\n{{#boolean}}\n|\n{{/boolean}}\n| A Line\n", "| This Is\n|\n| A Line\n"},
		{TEMPLATE_TEXT, "| This Is\n  {{#boolean}}\n|\n  {{/boolean}}\n| A Line\n", "| This Is\n|\n| A Line\n"},
		{TEMPLATE_TEXT, "|\r\n{{#boolean}}\r\n{{/boolean}}\r\n|", "|\r\n|"},
		{TEMPLATE_TEXT, "  {{#boolean}}\n#{{/boolean}}\n/", "#\n/"}, /* Standalone Without Previous Line */
		{TEMPLATE_TEXT, "#{{#boolean}}\n/\n  {{/boolean}}", "#\n/\n"}, /* Standalone Without Newline */
		{TEMPLATE_TEXT, "|{{# boolean }}={{/ boolean }}|", "|=|"}, /* Padding */
		/* spec: inverted */
		{TEMPLATE_TEXT, "\"{{^unset}}This should be rendered.{{/unset}}\"", "\"This should be rendered.\""},
		{TEMPLATE_TEXT, "\"{{^boolean}}no{{/boolean}}{{^list}}no{{/list}}{{^maybe}}no{{/maybe}}\"", "\"\""},
		{TEMPLATE_TEXT, "\"{{^empty}}Yay lists!{{/empty}}\"", "\"Yay lists!\""},
		{TEMPLATE_TEXT, "| A {{^unset}}B {{^unset}}C{{/unset}} D{{/unset}} E |", "| A B C D E |"},
		{TEMPLATE_TEXT, "| This Is\n{{^unset}}\n|\n{{/unset}}\n| A Line\n", "| This Is\n|\n| A Line\n"},
		/* spec: comments */
		{TEMPLATE_TEXT, "12345{{! Comment Block! }}67890", "1234567890"},
		{TEMPLATE_TEXT, "12345{{!\n  This is a\n  multi-line comment...\n}}67890\n", "1234567890\n"},
		{TEMPLATE_TEXT, "Begin.\n{{! Comment Block! }}\nEnd.\n", "Begin.\nEnd.\n"},
		{TEMPLATE_TEXT, "Begin.\n  {{! Indented Comment Block! }}\nEnd.\n", "Begin.\nEnd.\n"},
		{TEMPLATE_TEXT, "|\r\n{{! Standalone Comment }}\r\n|", "|\r\n|"},
		{TEMPLATE_TEXT, "  {{! I'm Still Standalone }}\n!", "!"},
		{TEMPLATE_TEXT, "!\n  {{! I'm Still Standalone }}", "!\n"},
		{TEMPLATE_TEXT, "Begin.\n{{!\nSomething's going on here...\n}}\nEnd.\n", "Begin.\nEnd.\n"},
		{TEMPLATE_TEXT, "  12 {{! 34 }}\n", "  12 \n"},
		{TEMPLATE_TEXT, "12345 {{! Comment Block! }} 67890", "12345  67890"},
		/* items, and the notice's names among them */
		{TEMPLATE_TEXT, "{{#list}}{{item}}{{#more}}={{more}}{{/more}}{{^last}},{{/last}}{{/list}}.", "1=one,2,3=."},
		{TEMPLATE_TEXT, "{{#maybe}}{{#list}}{{maybe}}{{item}}{{/list}}{{/maybe}}", "there1there2there3"},
		{TEMPLATE_TEXT, "{{#list}}{{#boolean}}{{item}}{{/boolean}}{{^empty}};{{/empty}}{{/list}}", "1;2;3;"},
		{TEMPLATE_TEXT, "{{#list}}{{item}}{{/list}}{{#list}}{{#last}}{{item}}{{/last}}{{/list}}", "1233"},
		{TEMPLATE_TEXT, "Lines:\n{{#list}}\n - {{item}}\n{{/list}}\n", "Lines:\n - 1\n - 2\n - 3\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Compiled compiled = compile(cases[i].text, cases[i].mode);

		CHECK_CASE(cases[i].text);
		CHECK_INT(compiled.ok, cases[i].wanted != NULL);
		if (compiled.ok && cases[i].wanted != NULL)
			check_rendered(&compiled.template, cases[i].wanted);
		else if (cases[i].wanted != NULL)
			CHECK_TEXT(compiled.fault.text, "");
		discard(&compiled);
	}
}

static void
refuses(void)
{
	static const struct {
		TemplateMode mode;
		const char *text;
		int line, column;
		const char *why;
	} cases[] = {
		{TEMPLATE_TEXT, "{{unknown}}", 1, 1, "unknown name \"unknown\""},
		{TEMPLATE_TEXT, "a\n한글 {{ Subject }}", 2, 4, "unknown name \"Subject\""},
		{TEMPLATE_TEXT, "{{#unknown}}{{/unknown}}", 1, 1, "unknown name \"unknown\""},
		{TEMPLATE_TEXT, "{{item}}", 1, 1, "this name is known inside {{#list}} only"},
		{TEMPLATE_TEXT, "{{#list}}{{/list}}{{#last}}{{/last}}", 1, 19, "this name is known inside {{#list}} only"},
		{TEMPLATE_TEXT, "{{^list}}{{item}}{{/list}}", 1, 10, "this name is known inside {{#list}} only"},
		{TEMPLATE_TEXT, "{{#empty}}{{item}}{{/empty}}", 1, 11, "this name is known inside {{#list}} only"},
		{TEMPLATE_TEXT, "{{list}}", 1, 1, "\"list\" is a list; it needs a section"},
		{TEMPLATE_TEXT, "{{boolean}}", 1, 1, "\"boolean\" is a flag; it needs a section"},
		{TEMPLATE_TEXT, "{{maybe}}", 1, 1, "this value may be missing: it is allowed inside {{#maybe}} only"},
		{TEMPLATE_TEXT, "{{^maybe}}{{maybe}}{{/maybe}}", 1, 11, "this value may be missing: it is allowed inside {{#maybe}} only"},
		{TEMPLATE_TEXT, "{{#maybe}}{{/maybe}}{{maybe}}", 1, 21, "this value may be missing: it is allowed inside {{#maybe}} only"},
		{TEMPLATE_TEXT, "{{#subject}}{{/subject}}", 1, 1, "\"subject\" is always there, so it has no section"},
		{TEMPLATE_TEXT, "{{#list}}{{#empty}}{{/empty}}{{/list}}", 1, 10, "list \"empty\" inside a list"},
		{TEMPLATE_TEXT, "{{#boolean}}", 1, 1, "section {{#boolean}} is not ended"},
		{TEMPLATE_TEXT, "\n  {{#boolean}}\n{{#unset}}{{/unset}}", 2, 3, "section {{#boolean}} is not ended"},
		{TEMPLATE_TEXT, "x{{/boolean}}", 1, 2, "no section is open that {{/boolean}} could end"},
		{TEMPLATE_TEXT, "{{#boolean}}{{#unset}}{{/boolean}}{{/unset}}", 1, 23, "the section to be ended here is {{/unset}}"},
		{TEMPLATE_TEXT, "{{#boolean}}{{/booleans}}", 1, 13, "the section to be ended here is {{/boolean}}"},
		{TEMPLATE_TEXT, "{{#boolean}}{{/boo}}", 1, 13, "the section to be ended here is {{/boolean}}"},
		{TEMPLATE_TEXT, "{{subject", 1, 1, "a tag is not closed on its line: \"}}\" is missing"},
		{TEMPLATE_TEXT, "{{subject}", 1, 1, "a tag is not closed on its line: \"}}\" is missing"},
		{TEMPLATE_TEXT, "{{subject\n}}", 1, 1, "a tag is not closed on its line: \"}}\" is missing"},
		{TEMPLATE_TEXT, "{{{subject}}", 1, 1, "a tag is not closed on its line: \"}}}\" is missing"},
		{TEMPLATE_TEXT, "{{", 1, 1, "a tag is not closed on its line: \"}}\" is missing"},
		{TEMPLATE_TEXT, "a\n\n{{! comment }", 3, 1, "a comment is not closed"},
		{TEMPLATE_TEXT, "{{}}", 1, 1, "a tag without a name"},
		{TEMPLATE_TEXT, "{{# }}", 1, 1, "a tag without a name"},
		{TEMPLATE_TEXT, "{{a b}}", 1, 1, "\"a b\" is not a name: letters, digits and _"},
		{TEMPLATE_TEXT, "{{.}}", 1, 1, "\".\" is not a name: letters, digits and _"},
		{TEMPLATE_TEXT, "{{list.item}}", 1, 1, "\"list.item\" is not a name: letters, digits and _"},
		{TEMPLATE_TEXT, "{{{{subject}}}}", 1, 1, "\"{subject\" is not a name: letters, digits and _"},
		{TEMPLATE_TEXT, "{{ {subject} }}", 1, 1, "a blank inside \"{{{\""},
		{TEMPLATE_TEXT, "{{> header }}", 1, 1, "partials ({{>) are not supported"},
		{TEMPLATE_TEXT, "{{=<% %>=}}", 1, 1, "delimiters cannot be changed ({{=)"},
		{TEMPLATE_TEXT, "{{<parent}}{{/parent}}", 1, 1, "inheritance ({{< and {{$) is not supported"},
		{TEMPLATE_TEXT, "{{$block}}{{/block}}", 1, 1, "inheritance ({{< and {{$) is not supported"},
		{TEMPLATE_HEADER, "{{{subject}}}", 1, 1, "\"subject\" cannot be put into a header as it is; write {{name}}"},
		{TEMPLATE_HEADER, "a {{&subject}}", 1, 3, "\"subject\" cannot be put into a header as it is; write {{name}}"},
		{TEMPLATE_HEADER, "Bill\n", 1, 5, "a header has one line"},
		{TEMPLATE_HEADER, "{{!\n}}", 1, 4, "a header has one line"},
		{TEMPLATE_HEADER, "Bill\r\nBcc: x", 1, 5, "a header has one line"},
		{TEMPLATE_HEADER, "a\tb", 1, 2, "a control character in a header"},
		{TEMPLATE_HEADER, "a\xC2\x85 b", 1, 2, "a control character in a header"},
		{TEMPLATE_HEADER, "\x7F", 1, 1, "a control character in a header"},
		{TEMPLATE_JSON, "\"{{{subject}}}\"", 1, 2, "\"subject\" cannot be put into JSON as it is; write {{name}}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Compiled compiled = compile(cases[i].text, cases[i].mode);

		CHECK_CASE(cases[i].text);
		CHECK(!compiled.ok);
		CHECK_TEXT(compiled.fault.text, cases[i].why);
		CHECK_INT(compiled.fault.line, cases[i].line);
		CHECK_INT(compiled.fault.column, cases[i].column);
		discard(&compiled);
	}
}

static void
limits(void)
{
	char deep[TEMPLATE_DEPTH_MAX * 24 + 64] = "";
	char longer[600] = "{{";

	CHECK_CASE("as deep as allowed");
	for (int i = 0; i < TEMPLATE_DEPTH_MAX; i++)
		strcat(deep, "{{#boolean}}");
	for (int i = 0; i < TEMPLATE_DEPTH_MAX; i++)
		strcat(deep, "{{/boolean}}");
	Compiled compiled = compile(deep, TEMPLATE_TEXT);
	CHECK(compiled.ok);
	discard(&compiled);
	CHECK_CASE("deeper");
	memmove(deep + 12, deep, strlen(deep) + 1);
	compiled = compile(deep, TEMPLATE_TEXT);
	CHECK_TEXT(compiled.fault.text, "sections are nested too deeply");
	CHECK_INT(compiled.fault.column, 12 * TEMPLATE_DEPTH_MAX + 1);
	discard(&compiled);

	CHECK_CASE("a name that does not fit into the message is cut between characters");
	for (int i = 0; i < 100; i++)
		strcat(longer, "글");
	strcat(longer, "}}");
	compiled = compile(longer, TEMPLATE_TEXT);
	CHECK(!compiled.ok && strlen(compiled.fault.text) < sizeof(compiled.fault.text));
	CHECK(strstr(compiled.fault.text, "글\" is not a name: letters, digits and _") != NULL);
	discard(&compiled);

	CHECK_CASE("a zero byte, a text that is too long");
	Template template;
	TemplateFault fault;
	TemplateOp ops[4];
	CHECK(!template_compile(&template, "a\0b", 3, &vocabulary, TEMPLATE_TEXT, ops, &fault));
	CHECK_INT(fault.column, 2);
	CHECK(!template_compile(&template, "a", TEMPLATE_TEXT_MAX + 1, &vocabulary, TEMPLATE_TEXT, ops, &fault));
	CHECK_INT(fault.line, 0);
}

/* Values are never stripped: what a header must not have is an error, and so is a value that is missing. */
static void
bad_values(void)
{
	static const char *const controls[] = {"a\r\nBcc: b", "\n", "a\x01", "\x7F", "\t", "a\xC2\x80", "a\xC2\x9F"};
	TemplateFault fault;
	char out[64];
	size_t len;

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
	{
		const TemplateValue bad[TOP] = {[SUBJECT] = {.text = controls[i], .len = strlen(controls[i])}};
		Compiled header = compile("{{subject}}", TEMPLATE_HEADER);
		Compiled text = compile("{{subject}}", TEMPLATE_TEXT);

		CHECK_CASE("a control character in a header");
		CHECK(!template_render(&header.template, bad, out, sizeof(out), &len, &fault));
		CHECK_TEXT(fault.text, "\"subject\" has a control character, which a header must not have");
		CHECK_INT(fault.line, 0);
		CHECK(template_render(&text.template, bad, out, sizeof(out), &len, &fault));
		CHECK_INT(len, strlen(controls[i]));
		discard(&header);
		discard(&text);
	}
	CHECK_CASE("JSON");
	const TemplateValue odd[TOP] = {[SUBJECT] = TEXT("\"\\\n\x01\x7F/")};
	Compiled json = compile("{{subject}}", TEMPLATE_JSON);
	memset(out, 0, sizeof(out));
	CHECK(template_render(&json.template, odd, out, sizeof(out), &len, &fault));
	CHECK_TEXT(out, "\\\"\\\\\\n\\u0001\x7F/");
	discard(&json);

	CHECK_CASE("a missing value");
	const TemplateValue none[TOP] = {{0}};
	Compiled value = compile("{{subject}}", TEMPLATE_HTML);
	CHECK(!template_render(&value.template, none, out, sizeof(out), &len, &fault));
	CHECK_TEXT(fault.text, "\"subject\" is missing");
	discard(&value);
}

/* The vocabularies of notices obey template.h's rules. */
static void
vocabularies(void)
{
	static const char *const kinds[] = {"bill", "rebill", "void"};

	CHECK(vocabulary_of("letter") == NULL && notice_parts("fax") == NULL);
	for (size_t k = 0; k < 3; k++)
	{
		const TemplateVocabulary *of = vocabulary_of(kinds[k]);

		for (int i = 0; i < of->count; i++)
		{
			const TemplateName *name = &of->names[i];

			CHECK_CASE(name->name);
			CHECK(name->name != NULL && name->about != NULL);
			for (int j = 0; j < i; j++)
				CHECK(strcmp(name->name, of->names[j].name) != 0);
			CHECK(name->type != TEMPLATE_LIST || (i < of->top && name->first >= of->top && name->first + name->count <= of->count));
		}
	}
}

int
main(void)
{
	renders();
	refuses();
	limits();
	bad_values();
	vocabularies();
	return check_done();
}
