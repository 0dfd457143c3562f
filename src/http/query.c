/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a URL: "a=1&b=x%20y+z" (WHATWG URL, application/x-www-form-urlencoded). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"

bool http_query_each(const char *query, void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	_cleanup_free_ char *copy = xstrdup(query ? query : "");

	for (char *at = copy, *next; at; at = next) {
		next = strchr(at, '&');
		if (next)
			*next++ = 0;
		if (!*at)
			continue;
		char *value = strchr(at, '=');
		if (value)
			*value++ = 0;
		if (percent_decode(at, true) < 0 || (value && percent_decode(value, true) < 0))
			return false;
		fn(arg, at, value ? value : "");
	}
	return true;
}
