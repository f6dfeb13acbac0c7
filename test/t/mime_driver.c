/*
 * mime_driver.c: builds the mails that a test describes, so that another program can read them (see mime.py).
 *
 * Reads fields, "name length\n" and so many bytes; "build 0\n" ends a mail. Writes for each "ok length\n" and the message,
 * or "error length\n" and the reason. With a number as argument it builds the first mail so many times, and says what one
 * took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "notify/mime.h"

#define EXTRA_MAX 8

typedef struct Fields {
	MimeMail mail;
	MimeHeader extra[EXTRA_MAX];
} Fields;

/* What was read lives until the program ends. */
typedef struct Kept {
	struct Kept *next;
	char data[];
} Kept;

static Kept *all_kept;
static Buf out;

static char *
keep(size_t size)
{
	Kept *kept = calloc(1, sizeof(Kept) + size);

	kept->next = all_kept;
	all_kept = kept;
	return kept->data;
}

static void
set_field(Fields *fields, const char *name, char *value, size_t len)
{
	MimeMail *mail = &fields->mail;
	const struct {
		const char *name;
		const char **place;
	} texts[] = {
		{"key", &mail->key}, {"from", &mail->from.address}, {"from_name", &mail->from.name}, {"to", &mail->to.address},
		{"to_name", &mail->to.name}, {"reply_to", &mail->reply_to.address}, {"subject", &mail->subject},
		{"message_id", &mail->message_id}, {"unsubscribe", &mail->unsubscribe},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, name) == 0)
		{
			*texts[i].place = value;
			return;
		}
	if (strcmp(name, "text") == 0)
		mail->text = (MimePart){value, len};
	else if (strcmp(name, "html") == 0)
		mail->html = (MimePart){value, len};
	else if (strcmp(name, "date") == 0)
		mail->date_s = strtoll(value, NULL, 10);
	else if (strcmp(name, "one_click") == 0)
		mail->one_click = true;
	else if (strncmp(name, "extra:", 6) == 0 && mail->extra_count < EXTRA_MAX)
		fields->extra[mail->extra_count++] = (MimeHeader){strcpy(keep(strlen(name)), name + 6), value};
	else
	{
		fprintf(stderr, "there is no field %s\n", name);
		exit(2);
	}
}

static void
measure(const MimeMail *mail, int count)
{
	struct timespec cpu;
	Err err;

	for (int i = 0; i < count; i++)
	{
		buf_clear(&out);
		if (!mime_build(mail, &out, &err))
			exit(1);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("%zu bytes, %.2f us of CPU\n", out.len, ((double) cpu.tv_sec * 1e9 + (double) cpu.tv_nsec) / 1e3 / count);
}

int
main(int argc, char **argv)
{
	Fields fields = {.mail.subject = ""};
	char name[128];
	size_t len;

	fields.mail.extra = fields.extra;
	while (scanf("%127s %zu", name, &len) == 2)
	{
		char *value = keep(len + 1);
		(void) getchar();
		if (fread(value, 1, len, stdin) != len)
			return 2;
		if (strcmp(name, "build") != 0)
		{
			set_field(&fields, name, value, len);
			continue;
		}
		if (argc > 1)
		{
			measure(&fields.mail, atoi(argv[1]));
			return 0;
		}
		Err err;
		buf_clear(&out);
		const bool ok = mime_build(&fields.mail, &out, &err);
		printf("%s %zu\n", ok ? "ok" : "error", ok ? out.len : strlen(err.text));
		fwrite(ok ? out.data : err.text, 1, ok ? out.len : strlen(err.text), stdout);
		fields = (Fields){.mail.subject = "", .mail.extra = NULL};
		fields.mail.extra = fields.extra;
	}
	return 0;
}
