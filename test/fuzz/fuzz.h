/*
 * fuzz.h: what the fuzz harnesses share.
 *
 * HOLD(expression) ends the process when it is false, after its text and place, so that libFuzzer keeps the input.
 *
 * An Input is the fuzzer's bytes, taken from the front: each call takes what it needs, and an input that has come to its
 * end gives zeros. One byte mostly is one choice or one small number, so that a change of a byte changes one thing; the
 * high values of a byte lead on to the edges of 64 bits and to numbers of 2 to 8 bytes.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/money.h"

#define COUNT(table) ((int32_t) (sizeof(table) / sizeof((table)[0])))
#define HOLD(expression) ((expression) ? (void) 0 : fuzz_fail(#expression, __FILE__, __LINE__))

_Noreturn static inline void
fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* What libFuzzer calls for each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
	const uint8_t *at;
	const uint8_t *end;
	bool large; /* some number so far is beyond INPUT_SMALL: an overflow is no surprise */
} Input;

#define INPUT_SMALL 65536
#define AMOUNT_MAX ((Amount) (~(unsigned __int128) 0 >> 1))
#define MAJOR ((Amount) 1000000000000)

static inline uint8_t
take_byte(Input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

/* 0 … bound − 1; bound ≤ 256 */
static inline int32_t
take_choice(Input *input, int32_t bound)
{
	return take_byte(input) % bound;
}

static inline bool
take_flag(Input *input)
{
	return (take_byte(input) & 1) != 0;
}

/* True for one value in 16: what is legal but rare. */
static inline bool
take_rarely(Input *input)
{
	return take_byte(input) >= 240;
}

static inline uint64_t
take_bytes(Input *input, int count)
{
	uint64_t value = 0;

	while (count-- > 0)
		value = value << 8 | take_byte(input);
	return value;
}

static inline int64_t
take_number(Input *input)
{
	static const int64_t edges[] = {-1, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, INT64_MAX / 2, INT32_MAX,
		INT32_MIN, (int64_t) INT32_MAX + 1, (int64_t) UINT32_MAX, 1000000, 999999, 10000000, 9223372, 922337203685,
		1000000000000};
	const uint8_t first = take_byte(input);
	int64_t value;

	if (first < 192)
		return first;
	if (first < 224)
		value = edges[first % COUNT(edges)];
	else if (first < 240)
		value = (int64_t) take_bytes(input, 2);
	else if (first < 248)
		value = (int32_t) (uint32_t) take_bytes(input, 4);
	else
		value = (int64_t) take_bytes(input, 8);
	input->large |= value > INPUT_SMALL || value < -INPUT_SMALL;
	return value;
}

static inline int32_t
take_number32(Input *input)
{
	return (int32_t) (uint32_t) (uint64_t) take_number(input);
}

/* At least `least`, which is 0 or 1: other numbers lose their sign. */
static inline int64_t
take_positive(Input *input, int64_t least)
{
	const int64_t number = take_number(input);

	return number >= least ? number : number < 0 && number > INT64_MIN ? -number : least;
}

/* An amount that a numeric of at most 12 decimals can be: of either sign, up to 127 bits. */
static inline Amount
take_amount(Input *input)
{
	static const Amount units[] = {MAJOR, MAJOR / 100, MAJOR / 10000, 1};
	const uint8_t shape = take_byte(input);
	const int64_t number = take_number(input);

	if (shape < 240)
		return number * units[shape % COUNT(units)];
	input->large = true;
	if (shape < 244)
		return shape % 2 == 0 ? AMOUNT_MAX : -AMOUNT_MAX;
	return (Amount) number * ((Amount) 1 << (shape % 4 * 21));
}

#endif
