/*
 * version.h: the release of the programs here, the extension's own (scripts/lint compares).
 */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#define VERSION "1.0"

#endif
