/*
 * render_command.c: `settle-notifier render` (see render_command.h).
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "notify/render_command.h"

#define PAYLOAD_SIZE_MAX ((size_t) 64 * 1024 * 1024)

typedef struct Options {
	const char *kind, *channel, *locale;
	const char *const *parts; /* of the channel */
	const char *files[NOTICE_PARTS_MAX];
	const char *only; /* NULL = all parts */
	const char *payload;
	const char *name;
} Options;

void
render_command_usage(FILE *out)
{
	fputs("usage: settle-notifier render KIND CHANNEL LOCALE [--template PART=FILE]… [--part PART] [--name NAME]\n"
		  "                              [--payload FILE]\n\n"
		  "Shows what a notice would say: KIND is bill, rebill or void, CHANNEL email, sms or push. Reads the payload of an\n"
		  "event from standard input: SELECT payload FROM settle.outbox WHERE event_id = 'bill/2024-05/42/0'\n\n"
		  "  --template PART=FILE   the template of a part (subject, html, text; text; title, body) from a file; the last\n"
		  "                         end of line of the file is not part of it\n"
		  "  --part PART            prints this part only, as it is\n"
		  "  --name NAME            name of the customer\n"
		  "  --payload FILE         the payload from a file\n",
		  out);
}

/* ---- options ------------------------------------------------------------------------------------------------------ */

static size_t
find_part(const Options *options, const char *name, size_t len)
{
	size_t i = 0;

	while (options->parts[i] != NULL && (strncmp(options->parts[i], name, len) != 0 || options->parts[i][len] != '\0'))
		i++;
	return i;
}

static bool
take_template(Options *options, const char *argument, Err *err)
{
	const char *equals = strchr(argument, '=');

	if (equals == NULL || equals[1] == '\0')
		return err_set(err, "--template needs PART=FILE, not \"%.200s\"", argument);
	const size_t part = find_part(options, argument, (size_t) (equals - argument));
	if (options->parts[part] == NULL)
		return err_set(err, "%s has no part \"%.*s\"", options->channel, (int) (equals - argument) % 100, argument);
	options->files[part] = equals + 1;
	return true;
}

static bool
take_option(Options *options, int option, const char *argument, Err *err)
{
	switch (option)
	{
		case 't':
			return take_template(options, optarg, err);
		case 'o':
			options->only = optarg;
			return options->parts[find_part(options, optarg, strlen(optarg))] != NULL ||
				   err_set(err, "%s has no part \"%.100s\"", options->channel, optarg);
		case 'n':
			options->name = optarg;
			return true;
		case 'p':
			options->payload = optarg;
			return true;
		case ':':
			return err_set(err, "%.100s needs a value", argument);
		default:
			return err_set(err, "\"%.100s\" is not an option", argument);
	}
}

static bool
is_locale(const char *text)
{
	const size_t small = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return small == 2 && (text[2] == '\0' || (text[2] == '-' && strspn(text + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 2 && text[5] == '\0'));
}

static bool
read_options(int argc, char **argv, Options *options, Err *err)
{
	static const struct option table[] = {
		{"template", required_argument, NULL, 't'}, {"part", required_argument, NULL, 'o'},
		{"name", required_argument, NULL, 'n'}, {"payload", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0},
	};

	*options = (Options){0};
	if (argc < 4)
		return err_set(err, "KIND, CHANNEL and LOCALE are needed");
	options->kind = argv[1];
	options->channel = argv[2];
	options->locale = argv[3];
	options->parts = notice_parts(options->channel);
	if (vocabulary_of(options->kind) == NULL)
		return err_set(err, "there is no kind of notice \"%.100s\": bill, rebill or void", options->kind);
	if (options->parts == NULL)
		return err_set(err, "there is no channel \"%.100s\": email, sms or push", options->channel);
	if (!is_locale(options->locale))
		return err_set(err, "\"%.100s\" is not a locale: like ko, en or en-GB", options->locale);
	/* glibc begins anew at 0; it looks from 1 on, which is the locale's place */
	argc -= 3;
	argv += 3;
	optind = 0;
	for (;;)
	{
		const char *argument = argv[optind > 0 ? optind : 1];
		const int option = getopt_long(argc, argv, "+:", table, NULL);

		if (option == -1)
			break;
		if (!take_option(options, option, argument, err))
			return false;
	}
	return optind == argc || err_set(err, "\"%.100s\" is not an option", argv[optind]);
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

/* All of it, with a zero at its end; NULL: *err says why. */
static char *
read_stream(FILE *file, const char *name, size_t most, size_t *len, Err *err)
{
	size_t size = 65536;
	char *text = malloc(size + 1);

	*len = 0;
	while (text != NULL && !feof(file) && !ferror(file) && *len <= most)
	{
		*len += fread(text + *len, 1, size - *len, file);
		if (*len == size)
		{
			char *larger = realloc(text, 2 * size + 1);

			if (larger == NULL)
				free(text);
			text = larger;
			size *= 2;
		}
	}
	if (text != NULL && !ferror(file) && *len <= most)
	{
		text[*len] = '\0';
		return text;
	}
	(void) err_set(err, text == NULL ? "%.200s: out of memory" : *len > most ? "%.200s is too large" : "cannot read %.200s", name);
	free(text);
	return NULL;
}

static char *
read_file(const char *name, size_t most, size_t *len, Err *err)
{
	FILE *file = fopen(name, "r");

	if (file == NULL)
	{
		(void) err_set(err, "cannot open %.200s: %m", name);
		return NULL;
	}
	char *text = read_stream(file, name, most, len, err);
	fclose(file);
	return text;
}

static char *
read_template(const char *name, Err *err)
{
	size_t len;
	char *text = read_file(name, TEMPLATE_TEXT_MAX + 1, &len, err);

	if (text == NULL)
		return NULL;
	if (strlen(text) < len)
	{
		(void) err_set(err, "%.200s has a zero byte", name);
		free(text);
		return NULL;
	}
	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	return text;
}

/* ---- the command -------------------------------------------------------------------------------------------------- */

/* Texts of all parts: those of files, the others from the source. */
static bool
get_texts(const Options *options, const TemplateSource *source, char **texts, char locale[8], Err *err)
{
	bool complete = true;

	snprintf(locale, 8, "%s", options->locale);
	for (size_t i = 0; options->parts[i] != NULL; i++)
		complete = complete && options->files[i] != NULL;
	if (!complete && source != NULL && !source->fetch(source->data, options->kind, options->channel, options->locale, texts, locale, err))
		return false;
	for (size_t i = 0; options->parts[i] != NULL; i++)
	{
		if (options->files[i] != NULL)
		{
			free(texts[i]);
			texts[i] = read_template(options->files[i], err);
			if (texts[i] == NULL)
				return false;
		}
		else if (texts[i] == NULL)
			return err_set(err, "there is no template of the %s: give it by --template %s=FILE", options->parts[i], options->parts[i]);
	}
	return true;
}

static void
print(const Options *options, const Rendered *rendered, FILE *out)
{
	for (size_t i = 0; i < rendered->part_count; i++)
	{
		const RenderedPart *part = &rendered->parts[i];

		if (options->only != NULL && strcmp(options->only, part->name) != 0)
			continue;
		if (options->only == NULL)
			fprintf(out, "---- %s\n", part->name);
		fwrite(part->text, 1, part->len, out);
		if (options->only == NULL)
			fputc('\n', out);
	}
	if (options->only != NULL)
		return;
	fputs("----\n", out);
	if (rendered->segments.count > 0)
		fprintf(out, "segments %zu (%zu %s)%s\n", rendered->segments.count, rendered->segments.units,
				rendered->segments.gsm ? "septets" : "UTF-16 units", rendered->too_many_segments ? ", which is too many" : "");
	fputs("sha256 ", out);
	for (size_t i = 0; i < RENDER_HASH_SIZE; i++)
		fprintf(out, "%02x", rendered->hash[i]);
	fputc('\n', out);
}

static bool
render(const Options *options, const NoticeSettings *settings, const TemplateSource *source, FILE *in, FILE *out, Err *err)
{
	char *texts[NOTICE_PARTS_MAX] = {NULL};
	char locale[8];
	NoticeTemplate *template = NULL;
	char *payload = NULL;
	Renderer renderer = {0};
	Rendered rendered;
	NoticeInput input = {.customer_name = options->name, .locale = locale};
	bool done = false;

	if (!get_texts(options, source, texts, locale, err))
		goto cleanup;
	template = notice_template_new(options->kind, options->channel, (const char *const *) texts, err);
	if (template == NULL)
		goto cleanup;
	payload = options->payload != NULL ? read_file(options->payload, PAYLOAD_SIZE_MAX, &input.payload_len, err)
									   : read_stream(in, "standard input", PAYLOAD_SIZE_MAX, &input.payload_len, err);
	if (payload == NULL)
		goto cleanup;
	input.payload = payload;
	if (!render_notice(&renderer, template, &input, settings, &rendered, err))
		goto cleanup;
	print(options, &rendered, out);
	done = true;
cleanup:
	for (size_t i = 0; i < NOTICE_PARTS_MAX; i++)
		free(texts[i]);
	notice_template_free(template);
	free(payload);
	renderer_free(&renderer);
	return done;
}

int
render_command(int argc, char **argv, const NoticeSettings *settings, const TemplateSource *source, FILE *in, FILE *out, FILE *errors)
{
	Options options;
	Err err;

	if (!read_options(argc, argv, &options, &err))
	{
		fprintf(errors, "settle-notifier render: %s\n", err.text);
		render_command_usage(errors);
		return 2;
	}
	if (!render(&options, settings, source, in, out, &err) || (fflush(out) != 0 && !err_set(&err, "cannot write: %m")))
	{
		fprintf(errors, "settle-notifier render: %s\n", err.text);
		return 1;
	}
	return 0;
}
