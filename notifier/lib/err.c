/*
 * err.c: why something failed, as a value (see err.h).
 */
#include <stdarg.h>
#include <stdio.h>

#include "lib/err.h"

bool
err_set(Err *err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	return false;
}
