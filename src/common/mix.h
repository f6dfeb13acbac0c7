/*
 * mix.h: a 64-bit finaliser (Stafford's variant 13 of the murmur3 mix) for hash tables and digests.
 *
 * Digests made with it are stored on bills, so it must never change.
 */
#ifndef COMMON_MIX_H
#define COMMON_MIX_H

#include <stdint.h>

static inline uint64_t
mix64(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

#endif
