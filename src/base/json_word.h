/* SPDX-License-Identifier: Apache-2.0 */
/* Eight bytes of a string at a time, for json_parse.c and json_write.c: the first in the text is the lowest. */
#ifndef PROA_BASE_JSON_WORD_H
#define PROA_BASE_JSON_WORD_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define JSON_EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))
#define JSON_HIGH_BITS JSON_EACH_BYTE(0x80)

static inline uint64_t json_word(const char *s)
{
	uint64_t w;

	memcpy(&w, s, sizeof(w));
	return le64toh(w);
}

/* The high bits of the bytes of w that are less than n (at most 0x80); right up to the lowest, beyond it maybe not. */
static inline uint64_t json_word_below(uint64_t w, uint64_t n)
{
	return (w - JSON_EACH_BYTE(n)) & ~w & JSON_HIGH_BITS;
}

/* The same for those that don't stand for themselves in a string: control characters, quotes, backslashes. */
static inline uint64_t json_word_ends(uint64_t w)
{
	return json_word_below(w, 0x20) | json_word_below(w ^ JSON_EACH_BYTE('"'), 1) |
	       json_word_below(w ^ JSON_EACH_BYTE('\\'), 1);
}

static inline unsigned json_word_first(uint64_t ends)
{
	return (unsigned)__builtin_ctzll(ends) / 8;
}

#endif
