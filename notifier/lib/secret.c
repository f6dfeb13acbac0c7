/*
 * secret.c: a secret out of a file (see secret.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/secret.h"

static bool
read_line(FILE *file, const char *path, char *secret, size_t size, Err *err)
{
	struct stat about;

	if (fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode))
		return err_set(err, "%s is not a file", path);
	if (about.st_mode & (S_IROTH | S_IWOTH))
		return err_set(err, "%s can be read or written by every user; chmod 600 it", path);
	if (fgets(secret, (int) size, file) == NULL)
		return err_set(err, "%s is empty", path);
	const size_t len = strcspn(secret, "\r\n");
	if (secret[len] == '\0' && len == size - 1)
		return err_set(err, "the first line of %s is too long", path);
	secret[len] = '\0';
	return len > 0 || err_set(err, "the first line of %s is empty", path);
}

bool
secret_read(const char *path, char *secret, size_t size, Err *err)
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return err_set(err, "cannot read %s: %s", path, strerror(errno));
	const bool ok = read_line(file, path, secret, size, err);
	fclose(file);
	if (!ok)
		explicit_bzero(secret, size);
	return ok;
}
