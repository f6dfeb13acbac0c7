/*
 * secret.h: a secret out of a file: a password, a token.
 *
 * Secrets do not stand on the command line, where everybody can read them, and not in the settings file, which people show
 * each other.
 */
#ifndef LIB_SECRET_H
#define LIB_SECRET_H

#include "lib/err.h"

/* The first line of the file. Refuses a file that users outside of its group may read. The reason does not hold the secret. */
bool secret_read(const char *path, char *secret, size_t size, Err *err) MUST_CHECK;

#endif
