/*
 * render.h: a notice's texts, out of a template and an event's payload.
 *
 * The same template, payload, locale, name and settings give the same bytes; their hash is kept with the notice, so that what
 * was sent can be shown again later and proved. Whatever goes wrong here would go wrong again: it is the notice's end.
 */
#ifndef NOTIFY_RENDER_H
#define NOTIFY_RENDER_H

#include <stdint.h>

#include "notify/segments.h"
#include "notify/values.h"

#define RENDER_HASH_SIZE 32

/* A row of settle.template, compiled; made once and used for many notices. */
typedef struct NoticeTemplate NoticeTemplate;

/*
 * texts: one for each part of the channel (notice_parts()), in that order; they are copied. NULL: a kind or channel that there
 * is not, or a part that does not compile: *err says which part, line and column.
 */
NoticeTemplate *notice_template_new(const char *kind, const char *channel, const char *const *texts, Err *err) MUST_CHECK;
void notice_template_free(NoticeTemplate *template);

typedef struct RenderedPart {
	const char *name; /* subject, html, text; text; title, body */
	const char *text; /* terminated by a zero that len does not count */
	size_t len;
} RenderedPart;

/* Lives until its renderer renders the next notice. */
typedef struct Rendered {
	RenderedPart parts[NOTICE_PARTS_MAX];
	size_t part_count;
	/* SHA-256 of, for each part: its name, a zero byte, its length as 8 bytes (the highest first), its bytes */
	uint8_t hash[RENDER_HASH_SIZE];
	Segments segments;      /* sms only; else count 0 */
	bool too_many_segments; /* more than settings->sms_segments */
} Rendered;

/* Memory that is used again for every notice; all zeros at first. One for each thread. */
typedef struct Renderer {
	Values values;
	char *texts[NOTICE_PARTS_MAX];
	size_t sizes[NOTICE_PARTS_MAX];
} Renderer;

bool render_notice(Renderer *renderer, const NoticeTemplate *template, const NoticeInput *input, const NoticeSettings *settings,
				   Rendered *rendered, Err *err) MUST_CHECK;
void renderer_free(Renderer *renderer);

#endif
