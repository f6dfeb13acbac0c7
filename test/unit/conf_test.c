/*
 * conf_test.c: settings of the daemons: file, environment, command line, and what reloading takes over.
 *
 * Nothing that is told is lost in silence: a line that is too long, a key that is given twice, what the command line said
 * before SIGHUP. And argv stays as it is, because settle-relay may execute itself anew with it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

#include "lib/conf.h"
#include "lib/ini_file.h"

typedef struct Settings {
	char *text;
	char *hidden;
	int64_t least, most;
	bool flag;
} Settings;

static const ConfKey keys[] = {
	{.name = "a.text", .type = CONF_TEXT, .offset = offsetof(Settings, text), .otherwise = "plain", .help = ""},
	{.name = "a.hidden", .type = CONF_TEXT, .offset = offsetof(Settings, hidden), .otherwise = "", .secret = true, .help = ""},
	{.name = "a.least", .type = CONF_INT, .offset = offsetof(Settings, least), .otherwise = "1", .max = 100, .reloads = true, .help = ""},
	{.name = "a.most", .type = CONF_INT, .offset = offsetof(Settings, most), .otherwise = "9", .max = 100, .reloads = true, .help = ""},
	{.name = "a.flag", .type = CONF_BOOL, .offset = offsetof(Settings, flag), .otherwise = "off", .help = ""},
	{.name = NULL},
};
static const ConfReserved reserved[] = {{"acks", "it is always all"}, {NULL, NULL}};

static char path[64];

static void
write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

static bool
in_order(const void *target, const Conf *conf, Err *err)
{
	const Settings *settings = target;

	(void) conf;
	return settings->least <= settings->most ? true : err_set(err, "a.least is more than a.most");
}

#define ARGUMENTS(...) ((char *[]){"test", __VA_ARGS__, NULL})

static bool
load(Conf *conf, Settings *settings, char **argv, ConfAction *action, Err *err)
{
	static const ConfSwitch switches[] = {{NULL, NULL, NULL}};
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	memset(settings, 0, sizeof(*settings));
	*err = (Err){""};
	*conf = (Conf){.program = "test", .environment = "CONF_TEST_", .keys = keys, .reserved = reserved, .check = in_order, .target = settings};
	return conf_load(conf, argc, argv, switches, action, err);
}

/* The message of a command line that is refused; "" when it is taken. */
static const char *
refusal(char **argv)
{
	static Err err;
	Settings settings;
	Conf conf;
	ConfAction action;

	if (load(&conf, &settings, argv, &action, &err))
		err.text[0] = '\0';
	conf_free(&conf);
	return err.text;
}

static void
arguments(void)
{
	char joined[] = "--a.text=x=y";
	char file[80];
	Settings settings;
	Conf conf;
	ConfAction action;
	Err err;

	snprintf(file, sizeof(file), "--config=%s", path);
	write_file("a.text = from the file\n[a]\nleast = 3\n");
	CHECK(load(&conf, &settings, ARGUMENTS(file, joined, "--a.flag", "on"), &action, &err));
	CHECK_TEXT(settings.text, "x=y");
	CHECK_INT(settings.least, 3);
	CHECK(settings.flag && action == CONF_RUN);
	CHECK_TEXT(joined, "--a.text=x=y");
	CHECK(strncmp(file, "--config=/", 10) == 0);
	conf_free(&conf);

	CHECK_TEXT(refusal(ARGUMENTS("--a.text")), "--a.text needs a value");
	CHECK_TEXT(refusal(ARGUMENTS("a.text=1")), "\"a.text=1\" is not an option; test --help lists them");
	CHECK_TEXT(refusal(ARGUMENTS("--a.txt=1")), "there is no setting \"a.txt\"; test --help lists them");
	CHECK_TEXT(refusal(ARGUMENTS("--kafka.acks=1")), "kafka.acks cannot be set: it is always all");
}

static void
order_of_sources(void)
{
	Settings settings;
	Conf conf;
	ConfAction action;
	Err err;

	write_file("[a]\ntext = file\nleast = 2\nmost = 20\n");
	setenv("CONF_TEST_A_LEAST", "3", 1);
	setenv("CONF_TEST_A_MOST", "30", 1);
	CHECK(load(&conf, &settings, ARGUMENTS("--config", path, "--a.most", "40"), &action, &err));
	CHECK_TEXT(settings.text, "file");
	CHECK_INT(settings.least, 3);
	CHECK_INT(settings.most, 40);
	conf_free(&conf);
	unsetenv("CONF_TEST_A_LEAST");
	unsetenv("CONF_TEST_A_MOST");
}

static void
reloading(void)
{
	Settings settings;
	Conf conf;
	ConfAction action;
	Err err;

	write_file("[a]\nleast = 2\nmost = 20\n");
	CHECK(load(&conf, &settings, ARGUMENTS("--config", path, "--a.most=40", "--kafka.x", "1"), &action, &err));
	write_file("[a]\ntext = other\nleast = 5\nmost = 30\nflag = on\n");
	CHECK(conf_reload(&conf, &err));
	CHECK_INT(settings.least, 5);
	CHECK_INT(settings.most, 40); /* the command line wins */
	CHECK(!settings.flag);        /* does not reload */
	CHECK_TEXT(settings.text, "plain");
	CHECK(conf_reload(&conf, &err) && settings.most == 40);

	static const char *const bad[] = {"[a]\nleast = 6\nleast = 7\n", "[a]\nleast = 101\n", "[a]\nleast = 41\n", "[a\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		CHECK_CASE(bad[i]);
		write_file(bad[i]);
		CHECK(!conf_reload(&conf, &err));
		CHECK_INT(settings.least, 5);
	}
	CHECK_CASE("");
	CHECK(unlink(path) == 0 && !conf_reload(&conf, &err) && settings.least == 5);
	conf_free(&conf);
}

static void
checking(void)
{
	Settings settings;
	Conf conf;
	ConfAction action;
	Err err;

	CHECK_TEXT(refusal(ARGUMENTS("--a.least", "10")), "a.least is more than a.most");
	CHECK_TEXT(refusal(ARGUMENTS("--check-config", "--a.least", "10")), "a.least is more than a.most");
	/* What is in force can be looked at all the same. */
	CHECK(load(&conf, &settings, ARGUMENTS("--print-config", "--a.least", "10"), &action, &err) && action == CONF_PRINT);
	conf_free(&conf);
	CHECK(load(&conf, &settings, ARGUMENTS("--help", "--a.least", "10"), &action, &err) && action == CONF_HELP);
	conf_free(&conf);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static void
continued_lines(void)
{
	static const struct {
		const char *text;
		const char *seen; /* name = value; … */
	} cases[] = {
		{"[k]\nservers = a:9092,\n  b:9092,\n\tc:9092\nother = 1\n", "k.servers=a:9092, b:9092, c:9092;k.other=1;"},
		{"[k]\nservers =\n  a:9092,\n\n  # between\n  b:9092\n", "k.servers=a:9092, b:9092;"},
		{"[p]\nconninfo = host=db\n  user=relay dbname=billing", "p.conninfo=host=db user=relay dbname=billing;"},
		/* indented as a whole: no long value */
		{"[p]\n  slot = a\n  silence = 2\n[k]\n\tx = 1\n", "p.slot=a;p.silence=2;k.x=1;"},
		{"  [p]\n    slot = a\n      b\n  silence = 2\n", "p.slot=a b;p.silence=2;"},
		{"\xEF\xBB\xBF[p]\r\n  slot = a\r\n  silence = 2\r\n", "p.slot=a;p.silence=2;"},
		{"p.slot = a ; a comment\n; another\nq: b\n", "p.slot=a;q=b;"},
		{"", ""},
	};
	IniFile file;
	Err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char seen[256] = "";

		CHECK_CASE(cases[i].text);
		write_file(cases[i].text);
		if (!CHECK(ini_file_read(path, &file, &err)))
			continue;
		for (size_t j = 0; j < file.count; j++)
			snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s;", file.entries[j].name, file.entries[j].value);
		CHECK_TEXT(seen, cases[i].seen);
		ini_file_free(&file);
	}
	CHECK_CASE("");
}

static const char *
refused_file(const char *text)
{
	static Err err;
	IniFile file;

	write_file(text);
	err.text[0] = '\0';
	if (ini_file_read(path, &file, &err))
		ini_file_free(&file);
	return strncmp(err.text, path, strlen(path)) == 0 ? err.text + strlen(path) : err.text;
}

static void
refused_files(void)
{
	CHECK_TEXT(refused_file("[p]\nslot = a\n\n[q]\nx = 1\n[p]\nslot = b\n"), ", line 7: p.slot is there already, in line 2");
	CHECK_TEXT(refused_file("p.slot = a\n[p]\nslot = a\n"), ", line 3: p.slot is there already, in line 1");
	CHECK_TEXT(refused_file("[p]\nslot\n"), ", line 2 is not \"key = value\"");
	CHECK_TEXT(refused_file("[p\nslot = 1\n"), ", line 1 is not \"key = value\"");
	CHECK_TEXT(refused_file("[p]\nslot\nx = 1\nx = 2\n"), ", line 2 is not \"key = value\"");

	Err err;
	IniFile file;
	CHECK(!ini_file_read("/", &file, &err));
	CHECK_TEXT(err.text, "cannot read /: Is a directory");
	CHECK(!ini_file_read("/nowhere/it", &file, &err));
	CHECK_TEXT(err.text, "cannot read /nowhere/it: No such file or directory");
}

/* inih takes 200 bytes at a time; what fits comes through whole, the next byte is an error. */
static void
long_lines(void)
{
	char text[600];
	IniFile file;
	Err err;
	size_t longest = 0;

	for (size_t len = 100; len < 300; len++)
	{
		snprintf(text, sizeof(text), "[p]\nq = 1\nslot = %.*s", (int) len, "");
		memset(text + strlen(text), 'x', len);
		text[strlen("[p]\nq = 1\nslot = ") + len] = '\0';
		strcat(text, "\n  y\nr = 2\n");
		write_file(text);
		if (ini_file_read(path, &file, &err))
		{
			CHECK(len == 100 || longest == len - 1);
			longest = len;
			CHECK(file.count == 3 && strlen(file.entries[1].value) == len + 2);
			ini_file_free(&file);
		}
		else
			CHECK(strstr(err.text, ", line 3 has more than 197 bytes; go on in an indented line") != NULL);
	}
	CHECK_INT((int64_t) longest, 197 - (int64_t) strlen("slot = "));

	/* a comment may be as long as it likes */
	memset(text, ' ', sizeof(text));
	text[0] = '#';
	memcpy(text + 250, "slot = commented out", 20);
	strcpy(text + 500, "\nslot = a\n");
	write_file(text);
	CHECK(ini_file_read(path, &file, &err) && file.count == 1 && file.entries[0].line == 2);
	CHECK_TEXT(file.entries[0].value, "a");
	ini_file_free(&file);
}

/* ---- secrets ---------------------------------------------------------------------------------------------------- */

/* What is logged about a command line. */
static size_t
warned(char **argv, char *text, size_t size)
{
	FILE *log = tmpfile();
	const int saved = dup(STDERR_FILENO);
	Settings settings;
	Conf conf;
	ConfAction action;
	Err err;

	CHECK(load(&conf, &settings, argv, &action, &err));
	dup2(fileno(log), STDERR_FILENO);
	conf_warn_of_secrets(&conf);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(log);
	const size_t len = fread(text, 1, size - 1, log);
	text[len] = '\0';
	fclose(log);
	conf_free(&conf);
	return len;
}

static void
secrets(void)
{
	char text[2048];

	CHECK(warned(ARGUMENTS("--a.hidden", "hush"), text, sizeof(text)) > 0);
	CHECK(strstr(text, "setting=a.hidden") != NULL && strstr(text, " warning ") != NULL && strstr(text, "hush") == NULL);
	CHECK(warned(ARGUMENTS("--kafka.sasl.password=hush"), text, sizeof(text)) > 0);
	CHECK(strstr(text, "setting=kafka.sasl.password") != NULL && strstr(text, "hush") == NULL);
	CHECK_INT((int64_t) warned(ARGUMENTS("--a.text", "x", "--a.hidden", "", "--kafka.client.id", "x"), text, sizeof(text)), 0);
	write_file("[a]\nhidden = hush\n");
	setenv("CONF_TEST_KAFKA_SASL_PASSWORD", "hush", 1);
	CHECK_INT((int64_t) warned(ARGUMENTS("--config", path), text, sizeof(text)), 0);
	unsetenv("CONF_TEST_KAFKA_SASL_PASSWORD");
}

int
main(void)
{
	const char *folder = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%.40s/conf_test.XXXXXX", folder != NULL ? folder : "/tmp");
	const int file = mkstemp(path);
	if (!CHECK(file >= 0))
		return check_done();
	close(file);
	arguments();
	order_of_sources();
	reloading();
	checking();
	continued_lines();
	refused_files();
	long_lines();
	secrets();
	unlink(path);
	return check_done();
}
