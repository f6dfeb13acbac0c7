/*
 * ini_file.h: an INI file as a list of names and values, with the line each began in.
 *
 * [postgres] slot = x is postgres.slot. A line that is indented further than its key goes on with the key's value, after a
 * blank. What INI libraries do in silence is an error here: a key that is given twice, a line that is cut.
 */
#ifndef LIB_INI_FILE_H
#define LIB_INI_FILE_H

#include "lib/err.h"

typedef struct IniEntry {
	char *name;
	char *value;
	int line;
} IniEntry;

typedef struct IniFile {
	IniEntry *entries;
	size_t count;
} IniFile;

/* On error, which names file and line, there is nothing to free. */
bool ini_file_read(const char *path, IniFile *file, Err *err) MUST_CHECK;
void ini_file_free(IniFile *file);

#endif
