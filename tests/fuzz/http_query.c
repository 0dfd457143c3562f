/* SPDX-License-Identifier: Apache-2.0 */
/* Queries: what is decoded must come back from encoding and decoding it again. */
/* sources: http/query.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/server.h"

#include "base/str.h"

struct again {
	const char *name, *value;
	int n;
};

static void check(void *arg, const char *name, const char *value)
{
	struct again *a = arg;
	assert(str_eq(a->name, name) && str_eq(a->value, value));
	a->n++;
}

static void pair(void *arg, const char *name, const char *value)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct again a = {.name = name, .value = value};
	(void)arg;
	percent_encode(&b, name);
	buf_addc(&b, '=');
	percent_encode(&b, value);
	assert(http_query_each(buf_str(&b), check, &a) && a.n == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	http_query_each(text, pair, NULL);
	return 0;
}
