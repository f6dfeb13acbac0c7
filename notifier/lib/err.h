/*
 * err.h: why something failed, as a value.
 *
 * A function that can fail returns false and writes the reason into the caller's Err; whoever decides what to do about it
 * logs it, once.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Err {
	char text[512];
} Err;

#define MUST_CHECK __attribute__((warn_unused_result))

/* Formats the reason; false, so that it can be returned. */
bool err_set(Err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
