/*
 * render.c: a notice's texts, out of a template and an event's payload (see render.h).
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "notify/render.h"

typedef struct Part {
	const char *name;
	char *text;
	TemplateOp *ops;
	Template compiled;
} Part;

struct NoticeTemplate {
	char kind[8];
	bool is_sms;
	size_t part_count;
	Part parts[NOTICE_PARTS_MAX];
};

/* ---- templates ---------------------------------------------------------------------------------------------------- */

static bool
compile_part(Part *part, const TemplateVocabulary *vocabulary, const char *text, Err *err)
{
	const size_t len = strlen(text);
	const size_t bound = TEMPLATE_OPS_BOUND(len <= TEMPLATE_TEXT_MAX ? len : 0);
	TemplateFault fault;

	part->text = strdup(text);
	part->ops = malloc(bound * sizeof(TemplateOp));
	if (part->text == NULL || part->ops == NULL)
		return err_set(err, "out of memory");
	if (!template_compile(&part->compiled, part->text, len, vocabulary, notice_part_mode(part->name), part->ops, &fault))
		return fault.line == 0 ? err_set(err, "%s: %s", part->name, fault.text)
							   : err_set(err, "%s, line %u, column %u: %s", part->name, fault.line, fault.column, fault.text);
	return true;
}

NoticeTemplate *
notice_template_new(const char *kind, const char *channel, const char *const *texts, Err *err)
{
	const TemplateVocabulary *vocabulary = vocabulary_of(kind);
	const char *const *names = notice_parts(channel);

	if (vocabulary == NULL || names == NULL)
	{
		(void) err_set(err, vocabulary == NULL ? "there is no kind of notice \"%.40s\": bill, rebill or void"
											   : "there is no channel \"%.40s\": email, sms or push",
					   vocabulary == NULL ? kind : channel);
		return NULL;
	}
	NoticeTemplate *template = calloc(1, sizeof(NoticeTemplate));
	if (template == NULL)
	{
		(void) err_set(err, "out of memory");
		return NULL;
	}
	memcpy(template->kind, kind, strlen(kind) + 1);
	template->is_sms = strcmp(channel, "sms") == 0;
	for (size_t i = 0; names[i] != NULL; i++)
	{
		template->parts[i].name = names[i];
		template->part_count++;
		if (!compile_part(&template->parts[i], vocabulary, texts[i], err))
		{
			notice_template_free(template);
			return NULL;
		}
	}
	return template;
}

void
notice_template_free(NoticeTemplate *template)
{
	if (template == NULL)
		return;
	for (size_t i = 0; i < template->part_count; i++)
	{
		free(template->parts[i].text);
		free(template->parts[i].ops);
	}
	free(template);
}

/* ---- rendering ---------------------------------------------------------------------------------------------------- */

/* A second try when the buffer was too small; the next notice finds it large enough. */
static bool
render_part(Renderer *renderer, size_t i, const Part *part, size_t *len, Err *err)
{
	for (;;)
	{
		TemplateFault fault;

		if (!template_render(&part->compiled, renderer->values.top, renderer->texts[i], renderer->sizes[i], len, &fault))
			return err_set(err, "%s: %s", part->name, fault.text);
		if (*len < renderer->sizes[i])
			break;
		free(renderer->texts[i]);
		renderer->sizes[i] = *len + *len / 2 + 1;
		renderer->texts[i] = malloc(renderer->sizes[i]);
		if (renderer->texts[i] == NULL)
		{
			renderer->sizes[i] = 0;
			return err_set(err, "out of memory");
		}
	}
	renderer->texts[i][*len] = '\0';
	return true;
}

static bool
hash_parts(Rendered *rendered)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < rendered->part_count && done; i++)
	{
		const RenderedPart *part = &rendered->parts[i];
		uint8_t len[8];

		for (int b = 0; b < 8; b++)
			len[b] = (uint8_t) ((uint64_t) part->len >> (56 - 8 * b));
		done = EVP_DigestUpdate(context, part->name, strlen(part->name) + 1) == 1 &&
			   EVP_DigestUpdate(context, len, sizeof(len)) == 1 && EVP_DigestUpdate(context, part->text, part->len) == 1;
	}
	done = done && EVP_DigestFinal_ex(context, rendered->hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	return done;
}

bool
render_notice(Renderer *renderer, const NoticeTemplate *template, const NoticeInput *input, const NoticeSettings *settings,
			  Rendered *rendered, Err *err)
{
	*rendered = (Rendered){.part_count = template->part_count};
	if (!values_read(&renderer->values, template->kind, input, settings, err))
		return false;
	for (size_t i = 0; i < template->part_count; i++)
	{
		RenderedPart *part = &rendered->parts[i];

		if (!render_part(renderer, i, &template->parts[i], &part->len, err))
			return false;
		part->name = template->parts[i].name;
		part->text = renderer->texts[i];
	}
	if (template->is_sms)
	{
		rendered->segments = segments_of(rendered->parts[0].text, rendered->parts[0].len);
		rendered->too_many_segments = rendered->segments.count > settings->sms_segments;
	}
	return hash_parts(rendered) || err_set(err, "the rendered texts cannot be hashed");
}

void
renderer_free(Renderer *renderer)
{
	values_free(&renderer->values);
	for (size_t i = 0; i < NOTICE_PARTS_MAX; i++)
		free(renderer->texts[i]);
	*renderer = (Renderer){0};
}
