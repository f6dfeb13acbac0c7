/*
 * template.h: templates of notices: a strict subset of Mustache, compiled once and rendered often.
 *
 *   {{name}}                 the value, escaped as the mode says
 *   {{{name}}}  {{&name}}    the value as it is; refused in headers and JSON
 *   {{#name}} … {{/name}}    once for each item of a list; once when a flag is set or an optional value is there
 *   {{^name}} … {{/name}}    when the list is empty, the flag not set, the value not there
 *   {{! … }}                 a comment, also over several lines
 *
 * Sections, their ends and comments that stand alone on a line take the line with them, as the Mustache specification has
 * it. Partials, other delimiters, dotted names, lambdas and the implicit iterator are refused.
 *
 * Strict means that no text can be rendered with a hole in it: every name is in the vocabulary of the notice, an item's
 * name is used inside its list, and a value that may be missing only inside a section that asks for it. So what compiles
 * fails later for one reason only: a value that a header must not have.
 *
 * Freestanding: no allocation, no input or output. The caller gives the operations (TEMPLATE_OPS_BOUND) and the buffer.
 * Texts are UTF-8; they are not copied, so a compiled template lives no longer than its text and its vocabulary.
 */
#ifndef COMMON_TEMPLATE_H
#define COMMON_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum TemplateMode {
	TEMPLATE_TEXT,   /* values as they are */
	TEMPLATE_HTML,   /* & < > " ' become entities */
	TEMPLATE_HEADER, /* one line; a value with a control character is an error */
	TEMPLATE_JSON    /* values are escaped for the inside of a JSON string */
} TemplateMode;

typedef enum TemplateType {
	TEMPLATE_VALUE,    /* a text that is always there */
	TEMPLATE_OPTIONAL, /* a text that may be missing */
	TEMPLATE_FLAG,     /* sections only */
	TEMPLATE_LIST      /* sections only */
} TemplateType;

/*
 * The names of a vocabulary: `top` names of the notice, then those of the items of its lists. A list says where its items'
 * names begin and how many there are; items have no lists. No name stands twice where both could be meant.
 */
typedef struct TemplateName {
	const char *name;
	TemplateType type;
	uint16_t first; /* TEMPLATE_LIST: index of its items' first name */
	uint16_t count;
	const char *about; /* for people */
} TemplateName;

typedef struct TemplateVocabulary {
	const TemplateName *names;
	uint16_t count;
	uint16_t top;
} TemplateVocabulary;

typedef struct TemplateOp {
	uint16_t kind;
	uint16_t name;
	uint32_t from; /* literal: offset in the text; section and its end: index of the other */
	uint32_t len;  /* literal */
} TemplateOp;

typedef struct Template {
	const char *text;
	const TemplateVocabulary *vocabulary;
	TemplateMode mode;
	const TemplateOp *ops;
	size_t op_count;
} Template;

/* Where and why; line 0: not a place in the template. Lines and columns count from 1, columns in characters. */
typedef struct TemplateFault {
	uint32_t line;
	uint32_t column;
	char text[160];
} TemplateFault;

#define TEMPLATE_TEXT_MAX ((size_t) 1024 * 1024)
#define TEMPLATE_DEPTH_MAX 16
/* A tag has 5 bytes at least, and makes at most one literal before it and one operation. */
#define TEMPLATE_OPS_BOUND(len) ((len) / 5 * 2 + 1)

/* False: not a template; `fault` says where and why. `ops` has TEMPLATE_OPS_BOUND(len) operations. */
bool template_compile(Template *template, const char *text, size_t len, const TemplateVocabulary *vocabulary,
					  TemplateMode mode, TemplateOp *ops, TemplateFault *fault);

/*
 * One for each name of the notice, in the vocabulary's order. A list's items are `len` times its `count` values, one after
 * the other.
 */
typedef struct TemplateValue {
	const char *text; /* NULL = not there; a flag is set when it is not NULL */
	size_t len;
	const struct TemplateValue *items;
} TemplateValue;

/*
 * Renders into `out`. *len is the length of the whole text, also when it exceeds `size`: then `out` holds a useless
 * beginning, and a buffer of *len is enough. False: a value must not be rendered there, or is missing; `fault` says which.
 */
bool template_render(const Template *template, const TemplateValue *values, char *out, size_t size, size_t *len,
					 TemplateFault *fault);

#endif
