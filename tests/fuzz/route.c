/* SPDX-License-Identifier: Apache-2.0 */
/* Path and query of a request: "METHOD PATH?QUERY". What is routed must be consistent, and nothing may crash. */
/* sources: server/route.c http/query.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/resource.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "server/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two rows instead of the generated tables: routing depends on scope, verbs and subresources only. */
static const struct subresource subresources[] = {{.name = "log", .verbs = VERB_GET},
						  {.name = "proxy", .verbs = VERB_GET | VERB_CREATE}};
static const struct resource rows[] = {
    {.group = "",
     .version = "v1",
     .plural = "pods",
     .namespaced = true,
     .verbs = VERB_GET | VERB_LIST | VERB_CREATE,
     .subresources = subresources,
     .n_subresources = ARRAY_SIZE(subresources)},
    {.group = "",
     .version = "v1",
     .plural = "nodes",
     .verbs = VERB_GET | VERB_WATCH | VERB_DELETECOLLECTION,
     .subresources = subresources,
     .n_subresources = ARRAY_SIZE(subresources)},
};

const struct resource *resource_find(const char *group, const char *version, const char *plural)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_eq(rows[i].group, group) && str_eq(rows[i].version, version) && str_eq(rows[i].plural, plural))
			return &rows[i];
	return NULL;
}

const struct subresource *resource_subresource(const struct resource *r, const char *name)
{
	for (size_t i = 0; i < r->n_subresources; i++)
		if (str_eq(r->subresources[i].name, name))
			return &r->subresources[i];
	return NULL;
}

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
