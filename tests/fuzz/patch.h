/* SPDX-License-Identifier: Apache-2.0 */
/* For targets whose input is two JSON documents: the first line, and the rest. */
#ifndef PROA_FUZZ_PATCH_H
#define PROA_FUZZ_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"

static inline bool two_documents(struct arena *a, const uint8_t *data, size_t size, struct json **first,
				 struct json **second)
{
	const char *text = (const char *)data, *end = size ? memchr(data, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - text) : 0;

	return end && json_parse(a, text, len, first, NULL) == 0 &&
	       json_parse(a, end + 1, size - len - 1, second, NULL) == 0;
}

#endif
