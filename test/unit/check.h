/*
 * check.h: the unit tests' harness.
 *
 * CHECK(expression) counts it as passed or failed and prints a failing one with its place; CHECK_INT and CHECK_TEXT also
 * print both values. CHECK_CASE(name) sets the name of the row of a table that a failure is reported with. A test's main
 * ends with `return check_done();`, which prints the line `N passed, N failed` that `make check` sums up.
 */
#ifndef UNIT_CHECK_H
#define UNIT_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check_passed, check_failed;
static const char *check_case = "";

#define CHECK_CASE(name) (check_case = (name))
#define CHECK(expression) check_report((expression), __FILE__, __LINE__, #expression)
#define CHECK_INT(actual, expected) check_int((actual), (expected), __FILE__, __LINE__, #actual)
#define CHECK_TEXT(actual, expected) check_text((actual), (expected), __FILE__, __LINE__, #actual)

static inline bool
check_report(bool holds, const char *file, int line, const char *expression)
{
	check_passed += holds;
	check_failed += !holds;
	if (!holds)
		printf("%s:%d: %s%s%s\n", file, line, check_case, *check_case ? ": " : "", expression);
	return holds;
}

static inline bool
check_int(int64_t actual, int64_t expected, const char *file, int line, const char *expression)
{
	if (!check_report(actual == expected, file, line, expression))
		printf("    is %lld, should be %lld\n", (long long) actual, (long long) expected);
	return actual == expected;
}

static inline bool
check_text(const char *actual, const char *expected, const char *file, int line, const char *expression)
{
	bool same = strcmp(actual, expected) == 0;

	if (!check_report(same, file, line, expression))
		printf("    is %s, should be %s\n", actual, expected);
	return same;
}

static inline int
check_done(void)
{
	printf("%d passed, %d failed\n", check_passed, check_failed);
	return check_failed > 0;
}

#endif
