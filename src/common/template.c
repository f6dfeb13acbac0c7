/*
 * template.c: compiles and renders templates of notices (see template.h).
 *
 * The compiler walks over the text once and writes operations in its order; a section and its end know each other's index.
 * The renderer follows them with a program counter: it needs no recursion, because sections of a list do not nest in one
 * another (items have no lists), and so at most one list is being gone through at a time.
 */
#include <string.h>

#include "common/template.h"

enum { OP_LITERAL, OP_VALUE, OP_RAW, OP_SECTION, OP_INVERTED, OP_END };

#define NO_NAME UINT16_MAX

/* ---- faults ------------------------------------------------------------------------------------------------------- */

/* Up to three texts in a row; a name that is too long is cut at the end of a character. */
static bool
fail(TemplateFault *fault, const char *before, const char *quoted, size_t quoted_len, const char *after)
{
	const size_t room = sizeof(fault->text) - 1;
	const size_t after_len = strlen(after);
	size_t at = strlen(before);

	memcpy(fault->text, before, at);
	if (quoted_len > room - at - after_len)
		for (quoted_len = room - at - after_len; quoted_len > 0 && ((unsigned char) quoted[quoted_len] & 0xC0) == 0x80;)
			quoted_len--;
	if (quoted_len > 0)
		memcpy(fault->text + at, quoted, quoted_len);
	at += quoted_len;
	memcpy(fault->text + at, after, after_len + 1);
	return false;
}

static void
place(TemplateFault *fault, const char *text, const char *at)
{
	fault->line = 1;
	fault->column = 1;
	for (const char *c = text; c < at; c++)
	{
		if (*c == '\n')
		{
			fault->line++;
			fault->column = 1;
		}
		else if (((unsigned char) *c & 0xC0) != 0x80)
			fault->column++;
	}
}

/* ---- compiling ---------------------------------------------------------------------------------------------------- */

typedef struct Compiler {
	const char *text;
	const char *end;
	const char *at;      /* read so far */
	const char *literal; /* begin of text that is not an operation yet */
	const char *tag;     /* begin of the tag that is being read */
	const TemplateVocabulary *vocabulary;
	TemplateMode mode;
	TemplateOp *ops;
	uint32_t op_count;
	uint32_t open[TEMPLATE_DEPTH_MAX]; /* sections that have not ended, and where they begin */
	const char *open_at[TEMPLATE_DEPTH_MAX];
	int depth;
	TemplateFault *fault;
} Compiler;

static bool
fail_here(Compiler *compiler, const char *before, const char *quoted, size_t quoted_len, const char *after)
{
	place(compiler->fault, compiler->text, compiler->tag);
	return fail(compiler->fault, before, quoted, quoted_len, after);
}

static bool
fail_name(Compiler *compiler, const char *before, uint16_t name, const char *after)
{
	const char *text = compiler->vocabulary->names[name].name;

	return fail_here(compiler, before, text, strlen(text), after);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void
add(Compiler *compiler, uint16_t kind, uint16_t name, uint32_t from, uint32_t len)
{
	compiler->ops[compiler->op_count++] = (TemplateOp){kind, name, from, len};
}

/* The text before the tag, up to `end`. */
static void
add_literal(Compiler *compiler, const char *end)
{
	if (end > compiler->literal)
		add(compiler, OP_LITERAL, NO_NAME, (uint32_t) (compiler->literal - compiler->text),
			(uint32_t) (end - compiler->literal));
}

/* Adds the text before a tag that prints nothing; when the tag has a line of its own the line goes with it. */
static void
add_before_silent(Compiler *compiler)
{
	const char *begin = compiler->tag;
	const char *end = compiler->at;

	while (begin > compiler->text && is_blank(begin[-1]))
		begin--;
	while (end < compiler->end && is_blank(*end))
		end++;
	if (end < compiler->end && *end == '\r' && end + 1 < compiler->end && end[1] == '\n')
		end++;
	if ((begin == compiler->text || begin[-1] == '\n') && (end == compiler->end || *end == '\n'))
	{
		add_literal(compiler, begin);
		compiler->literal = compiler->at = end < compiler->end ? end + 1 : end;
		return;
	}
	add_literal(compiler, compiler->tag);
	compiler->literal = compiler->at;
}

static bool
name_is(const TemplateName *name, const char *text, size_t len)
{
	return strncmp(name->name, text, len) == 0 && name->name[len] == '\0';
}

/* The section of a list around the tag, or NO_NAME. */
static uint16_t
list_around(const Compiler *compiler)
{
	for (int i = compiler->depth - 1; i >= 0; i--)
	{
		const TemplateOp *op = &compiler->ops[compiler->open[i]];

		if (op->kind == OP_SECTION && compiler->vocabulary->names[op->name].type == TEMPLATE_LIST)
			return op->name;
	}
	return NO_NAME;
}

static bool
find_name(Compiler *compiler, const char *text, size_t len, uint16_t *found)
{
	const TemplateVocabulary *vocabulary = compiler->vocabulary;
	const uint16_t list = list_around(compiler);
	uint16_t elsewhere = NO_NAME;

	for (uint16_t i = 0; i < vocabulary->count; i++)
	{
		if (!name_is(&vocabulary->names[i], text, len))
			continue;
		*found = i;
		if (i < vocabulary->top ||
			(list != NO_NAME && i >= vocabulary->names[list].first &&
			 i < vocabulary->names[list].first + vocabulary->names[list].count))
			return true;
		elsewhere = i;
	}
	if (elsewhere == NO_NAME)
		return fail_here(compiler, "unknown name \"", text, len, "\"");
	for (uint16_t i = 0; i < vocabulary->top; i++)
		if (vocabulary->names[i].type == TEMPLATE_LIST && elsewhere >= vocabulary->names[i].first &&
			elsewhere < vocabulary->names[i].first + vocabulary->names[i].count)
			return fail_here(compiler, "this name is known inside {{#", vocabulary->names[i].name,
							 strlen(vocabulary->names[i].name), "}} only");
	return fail_here(compiler, "unknown name \"", text, len, "\"");
}

static bool
is_asked_for(const Compiler *compiler, uint16_t name)
{
	for (int i = 0; i < compiler->depth; i++)
		if (compiler->ops[compiler->open[i]].kind == OP_SECTION && compiler->ops[compiler->open[i]].name == name)
			return true;
	return false;
}

static bool
compile_value(Compiler *compiler, uint16_t name, bool raw)
{
	switch (compiler->vocabulary->names[name].type)
	{
		case TEMPLATE_LIST:
			return fail_name(compiler, "\"", name, "\" is a list; it needs a section");
		case TEMPLATE_FLAG:
			return fail_name(compiler, "\"", name, "\" is a flag; it needs a section");
		case TEMPLATE_OPTIONAL:
			if (!is_asked_for(compiler, name))
				return fail_name(compiler, "this value may be missing: it is allowed inside {{#", name, "}} only");
			break;
		case TEMPLATE_VALUE:
			break;
	}
	if (raw && (compiler->mode == TEMPLATE_HEADER || compiler->mode == TEMPLATE_JSON))
		return fail_name(compiler, "\"", name,
						 compiler->mode == TEMPLATE_HEADER ? "\" cannot be put into a header as it is; write {{name}}"
														   : "\" cannot be put into JSON as it is; write {{name}}");
	add_literal(compiler, compiler->tag);
	compiler->literal = compiler->at;
	add(compiler, raw ? OP_RAW : OP_VALUE, name, 0, 0);
	return true;
}

static bool
compile_section(Compiler *compiler, uint16_t name, bool inverted)
{
	const TemplateType type = compiler->vocabulary->names[name].type;

	if (type == TEMPLATE_VALUE)
		return fail_name(compiler, "\"", name, "\" is always there, so it has no section");
	if (type == TEMPLATE_LIST && !inverted && list_around(compiler) != NO_NAME)
		return fail_name(compiler, "list \"", name, "\" inside a list");
	if (compiler->depth == TEMPLATE_DEPTH_MAX)
		return fail_here(compiler, "sections are nested too deeply", "", 0, "");
	compiler->open_at[compiler->depth] = compiler->tag;
	add_before_silent(compiler);
	compiler->open[compiler->depth++] = compiler->op_count;
	add(compiler, inverted ? OP_INVERTED : OP_SECTION, name, 0, 0);
	return true;
}

static bool
compile_end(Compiler *compiler, const char *text, size_t len)
{
	if (compiler->depth == 0)
		return fail_here(compiler, "no section is open that {{/", text, len, "}} could end");
	const uint32_t begin = compiler->open[compiler->depth - 1];
	TemplateOp *section = &compiler->ops[begin];
	const TemplateName *name = &compiler->vocabulary->names[section->name];
	if (!name_is(name, text, len))
		return fail_here(compiler, "the section to be ended here is {{/", name->name, strlen(name->name), "}}");
	add_before_silent(compiler);
	compiler->depth--;
	section->from = compiler->op_count;
	add(compiler, OP_END, section->name, begin, 0);
	return true;
}

/* The end of a tag, behind its braces; NULL when there is none. Only comments may go over the end of a line. */
static const char *
find_close(const Compiler *compiler, const char *from, const char *close, size_t len, bool over_lines)
{
	for (const char *at = from; (size_t) (compiler->end - at) >= len; at++)
	{
		if (memcmp(at, close, len) == 0)
			return at + len;
		if (*at == '\n' && !over_lines)
			return NULL;
	}
	return NULL;
}

static bool
is_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_' ||
			  (i > 0 && text[i] >= '0' && text[i] <= '9')))
			return false;
	return len > 0;
}

static bool
refuse_sign(Compiler *compiler, char sign)
{
	switch (sign)
	{
		case '>':
			return fail_here(compiler, "partials ({{>) are not supported", "", 0, "");
		case '=':
			return fail_here(compiler, "delimiters cannot be changed ({{=)", "", 0, "");
		case '<':
		case '$':
			return fail_here(compiler, "inheritance ({{< and {{$) is not supported", "", 0, "");
		default:
			return true;
	}
}

/* Of what stands between the braces; at is behind them. */
static bool
compile_tag(Compiler *compiler, char sign, const char *begin, const char *end)
{
	uint16_t name = NO_NAME;

	while (begin < end && is_blank(*begin))
		begin++;
	while (end > begin && is_blank(end[-1]))
		end--;
	const size_t len = (size_t) (end - begin);
	if (len == 0)
		return fail_here(compiler, "a tag without a name", "", 0, "");
	if (!is_name(begin, len))
		return fail_here(compiler, "\"", begin, len, "\" is not a name: letters, digits and _");
	if (sign == '/')
		return compile_end(compiler, begin, len);
	if (!find_name(compiler, begin, len, &name))
		return false;
	if (sign == '#' || sign == '^')
		return compile_section(compiler, name, sign == '^');
	return compile_value(compiler, name, sign == '&' || sign == '{');
}

/* compiler->tag is at "{{". */
static bool
read_tag(Compiler *compiler)
{
	const char *at = compiler->tag + 2;
	const bool triple = at < compiler->end && *at == '{';
	char sign = '\0';

	if (!triple)
		while (at < compiler->end && is_blank(*at))
			at++;
	if (at < compiler->end && strchr("{#^/&!>=<$", *at) != NULL && *at != '\0')
		sign = *at++;
	if (sign == '{' && !triple)
		return fail_here(compiler, "a blank inside \"{{{\"", "", 0, "");
	if (!refuse_sign(compiler, sign))
		return false;
	const size_t closing = triple ? 3 : 2;
	compiler->at = find_close(compiler, at, "}}}", closing, sign == '!');
	if (compiler->at == NULL)
		return fail_here(compiler, sign == '!' ? "a comment is not closed" : "a tag is not closed on its line: \"", "}}}",
						 sign == '!' ? 0 : closing, sign == '!' ? "" : "\" is missing");
	if (sign == '!')
	{
		add_before_silent(compiler);
		return true;
	}
	return compile_tag(compiler, sign, at, compiler->at - closing);
}

static const char *
find_open(const char *from, const char *end)
{
	for (const char *at = from; end - at >= 2; at++)
	{
		at = memchr(at, '{', (size_t) (end - at - 1));
		if (at == NULL)
			return NULL;
		if (at[1] == '{')
			return at;
	}
	return NULL;
}

/* Bytes of the control character that begins here (C0, DEL, and C1, which is two bytes of UTF-8), or 0. */
static size_t
control(const char *text, const char *end)
{
	const unsigned char c = (unsigned char) *text;

	if (c < 0x20 || c == 0x7F)
		return 1;
	return c == 0xC2 && end - text > 1 && (unsigned char) text[1] >= 0x80 && (unsigned char) text[1] < 0xA0 ? 2 : 0;
}

static bool
check_text(Compiler *compiler)
{
	for (compiler->tag = compiler->text; compiler->tag < compiler->end; compiler->tag++)
	{
		if (*compiler->tag == '\0')
			return fail_here(compiler, "a zero byte", "", 0, "");
		if (compiler->mode != TEMPLATE_HEADER || control(compiler->tag, compiler->end) == 0)
			continue;
		if (*compiler->tag == '\n' || *compiler->tag == '\r')
			return fail_here(compiler, "a header has one line", "", 0, "");
		return fail_here(compiler, "a control character in a header", "", 0, "");
	}
	return true;
}

bool
template_compile(Template *template, const char *text, size_t len, const TemplateVocabulary *vocabulary, TemplateMode mode,
				 TemplateOp *ops, TemplateFault *fault)
{
	Compiler compiler = {.text = text, .end = text + len, .at = text, .literal = text, .tag = text, .mode = mode,
		.vocabulary = vocabulary, .ops = ops, .fault = fault};

	if (len > TEMPLATE_TEXT_MAX)
	{
		fault->line = fault->column = 0;
		return fail(fault, "it is longer than 1 MB", "", 0, "");
	}
	if (!check_text(&compiler))
		return false;
	while ((compiler.tag = find_open(compiler.at, compiler.end)) != NULL)
		if (!read_tag(&compiler))
			return false;
	add_literal(&compiler, compiler.end);
	if (compiler.depth > 0)
	{
		compiler.tag = compiler.open_at[compiler.depth - 1];
		return fail_name(&compiler, "section {{#", ops[compiler.open[compiler.depth - 1]].name, "}} is not ended");
	}
	*template = (Template){text, vocabulary, mode, ops, compiler.op_count};
	return true;
}

/* ---- rendering ---------------------------------------------------------------------------------------------------- */

typedef struct Output {
	char *text;
	size_t size;
	size_t len; /* of the whole; what exceeds size is not written */
} Output;

static void
put(Output *output, const char *text, size_t len)
{
	if (len > 0 && output->len <= output->size && len <= output->size - output->len)
		memcpy(output->text + output->len, text, len);
	output->len += len;
}

static const char *
html_entity(char c)
{
	switch (c)
	{
		case '&':
			return "&amp;";
		case '<':
			return "&lt;";
		case '>':
			return "&gt;";
		case '"':
			return "&quot;";
		case '\'':
			return "&#39;";
		default:
			return NULL;
	}
}

static const char *
json_escape(char c, char *buffer)
{
	static const char hex[] = "0123456789abcdef";

	if (c == '"')
		return "\\\"";
	if (c == '\\')
		return "\\\\";
	if (c == '\n')
		return "\\n";
	if ((unsigned char) c >= 0x20)
		return NULL;
	memcpy(buffer, "\\u00", 4);
	buffer[4] = hex[(unsigned char) c >> 4];
	buffer[5] = hex[c & 15];
	buffer[6] = '\0';
	return buffer;
}

static void
put_escaped(Output *output, const TemplateValue *value, TemplateMode mode)
{
	size_t plain = 0; /* begin of what needs no escaping */
	char buffer[7];

	for (size_t i = 0; i < value->len; i++)
	{
		const char *escape = mode == TEMPLATE_HTML ? html_entity(value->text[i]) : json_escape(value->text[i], buffer);

		if (escape == NULL)
			continue;
		put(output, value->text + plain, i - plain);
		put(output, escape, strlen(escape));
		plain = i + 1;
	}
	put(output, value->text + plain, value->len - plain);
}

static bool
fail_value(TemplateFault *fault, const TemplateName *name, const char *after)
{
	fault->line = fault->column = 0;
	return fail(fault, "\"", name->name, strlen(name->name), after);
}

static bool
put_value(Output *output, const TemplateName *name, const TemplateValue *value, TemplateMode mode, TemplateFault *fault)
{
	if (value->text == NULL)
		return fail_value(fault, name, "\" is missing");
	switch (mode)
	{
		case TEMPLATE_HEADER:
			for (size_t i = 0; i < value->len; i++)
				if (control(value->text + i, value->text + value->len) > 0)
					return fail_value(fault, name, "\" has a control character, which a header must not have");
			/* fall through */
		case TEMPLATE_TEXT:
			put(output, value->text, value->len);
			return true;
		default:
			put_escaped(output, value, mode);
			return true;
	}
}

typedef struct Renderer {
	const TemplateValue *values;
	const TemplateVocabulary *vocabulary;
	const TemplateName *list; /* that is being gone through, or NULL */
	const TemplateValue *item;
	size_t items_left; /* after this one */
} Renderer;

static const TemplateValue *
look_up(const Renderer *renderer, uint16_t name)
{
	return name < renderer->vocabulary->top ? &renderer->values[name] : &renderer->item[name - renderer->list->first];
}

/* The next operation after the begin of a section. */
static uint32_t
enter(Renderer *renderer, const TemplateOp *op, uint32_t at)
{
	const TemplateName *name = &renderer->vocabulary->names[op->name];
	const TemplateValue *value = look_up(renderer, op->name);
	const bool there = name->type == TEMPLATE_LIST ? value->len > 0 : value->text != NULL;

	if (there != (op->kind == OP_SECTION))
		return op->from + 1;
	if (name->type == TEMPLATE_LIST && op->kind == OP_SECTION)
	{
		renderer->list = name;
		renderer->item = value->items;
		renderer->items_left = value->len - 1;
	}
	return at + 1;
}

/* The next operation after the end of a section: its begin again for the next item of a list. */
static uint32_t
leave(Renderer *renderer, const Template *template, const TemplateOp *op, uint32_t at)
{
	const TemplateName *name = &renderer->vocabulary->names[op->name];

	if (name->type != TEMPLATE_LIST || template->ops[op->from].kind != OP_SECTION)
		return at + 1;
	if (renderer->items_left == 0)
	{
		renderer->list = NULL;
		return at + 1;
	}
	renderer->items_left--;
	renderer->item += name->count;
	return op->from + 1;
}

bool
template_render(const Template *template, const TemplateValue *values, char *out, size_t size, size_t *len,
				TemplateFault *fault)
{
	Renderer renderer = {.values = values, .vocabulary = template->vocabulary};
	Output output = {.text = out, .size = size};
	const TemplateName *names = template->vocabulary->names;

	for (uint32_t at = 0; at < template->op_count;)
	{
		const TemplateOp *op = &template->ops[at];

		switch (op->kind)
		{
			case OP_LITERAL:
				put(&output, template->text + op->from, op->len);
				at++;
				break;
			case OP_VALUE:
			case OP_RAW:
				if (!put_value(&output, &names[op->name], look_up(&renderer, op->name),
							   op->kind == OP_RAW ? TEMPLATE_TEXT : template->mode, fault))
					return false;
				at++;
				break;
			case OP_END:
				at = leave(&renderer, template, op, at);
				break;
			default:
				at = enter(&renderer, op, at);
		}
	}
	*len = output.len;
	return true;
}
