/*
 * template_fuzz.c: templates of notices under a fuzzer (libFuzzer, address and undefined-behaviour sanitizers).
 *
 * Design §7: a template compiles or says where it is wrong, and what compiles renders without a hole. The first byte of an
 * input chooses the mode, the second which values are there and how many items the lists have; the rest is one or two
 * templates, divided by a zero byte.
 *
 * Held to: a fault has a place inside the text; every size of the buffer gives the same length, and the same bytes as far as
 * it goes; what values bring in is escaped; two templates one under the other give their two texts, and one inside a section
 * that is rendered gives its own.
 */
#include "fuzz.h"

#include "common/template.h"

enum { VALUE, MAYBE, FLAG, SET, LIST, OTHER, TOP, ITEM = TOP, ITEM_MAYBE, ITEM_FLAG, OTHER_ITEM, ALL };
enum { MOST_ITEMS = 3 };

static const TemplateName names[] = {
	[VALUE] = {"v", TEMPLATE_VALUE},
	[MAYBE] = {"m", TEMPLATE_OPTIONAL},
	[FLAG] = {"f", TEMPLATE_FLAG},
	[SET] = {"s", TEMPLATE_FLAG},
	[LIST] = {"l", TEMPLATE_LIST, ITEM, 3},
	[OTHER] = {"o", TEMPLATE_LIST, OTHER_ITEM, 1},
	[ITEM] = {"i", TEMPLATE_VALUE},
	[ITEM_MAYBE] = {"im", TEMPLATE_OPTIONAL},
	[ITEM_FLAG] = {"if", TEMPLATE_FLAG},
	[OTHER_ITEM] = {"oi", TEMPLATE_VALUE},
};
static const TemplateVocabulary vocabulary = {names, ALL, TOP};

#define TEXT(literal) {.text = literal, .len = sizeof(literal) - 1}
static const TemplateValue items[MOST_ITEMS * 3] = {
	TEXT("1<"), TEXT("한\""), {0}, TEXT("2>"), {0}, TEXT(""), TEXT("3\\"), TEXT(""), TEXT("")};
static const TemplateValue others[MOST_ITEMS] = {TEXT("a'"), TEXT("b&"), TEXT("")};

static void
take_values(uint8_t choice, TemplateValue *values)
{
	const TemplateValue there = TEXT("m<>\"'&\\");

	values[VALUE] = (TemplateValue) TEXT("v<>\"'&\\");
	values[MAYBE] = (choice & 1) != 0 ? there : (TemplateValue){0};
	values[FLAG] = (choice & 2) != 0 ? there : (TemplateValue){0};
	values[SET] = there;
	values[LIST] = (TemplateValue){.items = items, .len = (choice >> 2) % (MOST_ITEMS + 1)};
	values[OTHER] = (TemplateValue){.items = others, .len = (choice >> 4) % (MOST_ITEMS + 1)};
	if ((choice & 0x80) != 0)
		values[VALUE] = (TemplateValue) TEXT("\r\n");
}

typedef struct Text {
	char *text;
	size_t len;
} Text;

static Text
join(const char *before, Text middle, const char *after)
{
	const size_t before_len = strlen(before);
	const size_t after_len = strlen(after);
	Text text = {malloc(before_len + middle.len + after_len + 1), before_len + middle.len + after_len};

	memcpy(text.text, before, before_len);
	memcpy(text.text + before_len, middle.text, middle.len);
	memcpy(text.text + before_len + middle.len, after, after_len + 1);
	return text;
}

static void
hold_fault(const TemplateFault *fault, const char *text, size_t len)
{
	uint32_t lines = 1;

	HOLD(fault->text[0] != '\0' && memchr(fault->text, '\0', sizeof(fault->text)) != NULL);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	HOLD(fault->line >= 1 && fault->line <= lines && fault->column >= 1 && fault->column <= len + 1);
}

static bool
has(const char *text, size_t len, const char *any)
{
	for (size_t i = 0; i < len; i++)
		if (strchr(any, text[i]) != NULL)
			return true;
	return false;
}

/* Whether it may have {{{ or {{&. */
static bool
has_raw(Text text)
{
	for (size_t i = 0; i + 2 < text.len; i++)
	{
		size_t at = i + 2;

		if (text.text[i] != '{' || text.text[i + 1] != '{')
			continue;
		while (at < text.len && (text.text[at] == ' ' || text.text[at] == '\t'))
			at++;
		if (at < text.len && (text.text[at] == '{' || text.text[at] == '&'))
			return true;
	}
	return false;
}

static void
hold_escaped(Text text, TemplateMode mode, Text seen)
{
	bool escaped = false;

	if (mode == TEMPLATE_HEADER)
		for (size_t i = 0; i < seen.len; i++)
			HOLD((unsigned char) seen.text[i] >= 0x20 && seen.text[i] != 0x7F);
	if (mode == TEMPLATE_HTML && !has(text.text, text.len, "<>\"'") && memchr(text.text, '&', text.len) == NULL)
		HOLD(has_raw(text) || !has(seen.text, seen.len, "<>\"'"));
	if (mode == TEMPLATE_JSON && !has(text.text, text.len, "\"\\"))
		for (size_t i = 0; i < seen.len; i++)
		{
			HOLD(escaped || seen.text[i] != '"');
			escaped = !escaped && seen.text[i] == '\\';
		}
	HOLD(!escaped);
}

/* False when it does not compile or a header refuses a value; else the text, which the caller frees. */
static bool
render(Text source, TemplateMode mode, const TemplateValue *values, Text *seen)
{
	/* copies of exactly their size: one byte too far is seen */
	char *text = malloc(source.len + (source.len == 0));
	TemplateOp *ops = malloc(TEMPLATE_OPS_BOUND(source.len) * sizeof(TemplateOp));
	Template template;
	TemplateFault fault;
	size_t len, again;
	bool rendered = false;

	memcpy(text, source.text, source.len);
	if (!template_compile(&template, text, source.len, &vocabulary, mode, ops, &fault))
		hold_fault(&fault, text, source.len);
	else if (!template_render(&template, values, NULL, 0, &len, &fault))
		HOLD(mode == TEMPLATE_HEADER && fault.line == 0 && fault.text[0] != '\0');
	else
	{
		const size_t less = len / 2;
		char *half = malloc(less + (less == 0));

		*seen = (Text){malloc(len + 1), len};
		HOLD(template_render(&template, values, seen->text, len, &again, &fault) && again == len);
		HOLD(template_render(&template, values, half, less, &again, &fault) && again == len);
		free(half);
		hold_escaped(source, mode, *seen);
		rendered = true;
	}
	free(text);
	free(ops);
	return rendered;
}

/* `whole` renders to before + a + b + after. */
static void
hold_parts(Text whole, TemplateMode mode, const TemplateValue *values, Text a, Text b)
{
	Text seen;

	HOLD(render(whole, mode, values, &seen));
	HOLD(seen.len == a.len + b.len);
	HOLD(memcmp(seen.text, a.text, a.len) == 0 && memcmp(seen.text + a.len, b.text, b.len) == 0);
	free(seen.text);
}

static void
hold_joined(Text a, Text b, TemplateMode mode, const TemplateValue *values)
{
	Text first = join("", a, "\n");
	Text second = join("", b, "");
	Text both = join(first.text, b, "");
	Text seen_first, seen_second;

	if (render(first, mode, values, &seen_first))
	{
		if (render(second, mode, values, &seen_second))
		{
			hold_parts(both, mode, values, seen_first, seen_second);
			free(seen_second.text);
		}
		free(seen_first.text);
	}
	free(first.text);
	free(second.text);
	free(both.text);
}

static void
hold_inside(Text a, TemplateMode mode, const TemplateValue *values)
{
	const Text nothing = {(char[]){""}, 0};
	Text plain = join("x", a, "x");
	Text inside = join("{{#s}}x", a, "x{{/s}}");
	Text seen;

	if (render(plain, mode, values, &seen))
	{
		Text in_section;

		/* one section more may be one too many */
		if (render(inside, mode, values, &in_section))
		{
			hold_parts(inside, mode, values, seen, nothing);
			free(in_section.text);
		}
		free(seen.text);
	}
	free(plain.text);
	free(inside.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {.at = data, .end = data + size};
	const TemplateMode mode = (TemplateMode) take_choice(&input, 4);
	TemplateValue values[TOP];
	Text seen;

	take_values(take_byte(&input), values);
	Text all = {(char *) (uintptr_t) input.at, (size_t) (input.end - input.at)};
	const char *zero = all.len > 0 ? memchr(all.text, '\0', all.len) : NULL;
	if (zero == NULL)
	{
		if (render(all, mode, values, &seen))
			free(seen.text);
		hold_inside(all, mode, values);
	}
	else if (mode != TEMPLATE_HEADER && memchr(zero + 1, '\0', (size_t) (all.text + all.len - zero - 1)) == NULL)
		hold_joined((Text){all.text, (size_t) (zero - all.text)}, (Text){(char *) (uintptr_t) zero + 1, (size_t) (all.text + all.len - zero - 1)},
					mode, values);
	else if (render(all, mode, values, &seen))
		abort(); /* a zero byte is no text */
	return 0;
}
