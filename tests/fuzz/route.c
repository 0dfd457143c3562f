/* SPDX-License-Identifier: Apache-2.0 */
/* Path and query of a request: "METHOD PATH?QUERY". What is routed must be consistent, and nothing may crash. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/status.h"
#include "server/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	char *path = strchr(text, ' '), *query = path ? strchr(path, '?') : NULL;
	struct query *q = arena_zalloc(&a, sizeof(*q));
	struct route r;
	if (!path)
		return 0;
	*path++ = 0;
	if (query)
		*query++ = 0;
	if (query_parse(&a, query ? query : "", q, &err) < 0 || route_parse(&a, text, path, q, &r, &err) < 0) {
		assert(err.code >= 400);
		return 0;
	}
	if (r.resource_request && route_check(&r, &err) == 0)
		assert(r.resource && (!*r.subresource || r.sub));
	return 0;
}
