/*
 * render_command.h: `settle-notifier render`, which shows what a notice would say.
 */
#ifndef NOTIFY_RENDER_COMMAND_H
#define NOTIFY_RENDER_COMMAND_H

#include <stdio.h>

#include "notify/render.h"

/*
 * Where templates come from that no file was given for. `fetch` fills in the texts of all parts of the template that a new
 * notice of this kind, channel and locale would use (settle.template_for()), to be freed by the caller, and the locale that
 * the template is of.
 */
typedef struct TemplateSource {
	bool (*fetch)(void *data, const char *kind, const char *channel, const char *locale, char **texts, char template_locale[8], Err *err);
	void *data;
} TemplateSource;

/*
 *   render KIND CHANNEL LOCALE [--template PART=FILE]… [--part PART] [--name NAME] [--payload FILE]
 *
 * argv[0] is "render". Reads the payload of FILE or of `in`, and prints all parts, their hash and, of an SMS, its segments; or
 * just one part as it is. source NULL: every part needs a file. Returns the exit status: 0, 1 = an error, 2 = wrong usage;
 * messages go to `errors`.
 */
int render_command(int argc, char **argv, const NoticeSettings *settings, const TemplateSource *source, FILE *in, FILE *out, FILE *errors);

void render_command_usage(FILE *out);

#endif
