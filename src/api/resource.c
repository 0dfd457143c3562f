/* SPDX-License-Identifier: Apache-2.0 */
#include "api/resource.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"

const struct resource *resource_find(const char *group, const char *version, const char *plural)
{
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];

		if (str_eq(r->plural, plural) && str_eq(r->group, group) && str_eq(r->version, version))
			return r;
	}
	return NULL;
}

/* The table holds a group's preferred version first. */
const struct resource *resource_by_plural(const char *group, const char *plural)
{
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];

		if (str_eq(r->plural, plural) && str_eq(r->group, group))
			return r;
	}
	return NULL;
}

const struct resource *resource_by_kind(const char *group, const char *version, const char *kind)
{
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];

		if (str_eq(r->kind, kind) && str_eq(r->group, group) && str_eq(r->version, version))
			return r;
	}
	return NULL;
}

const struct subresource *resource_subresource(const struct resource *r, const char *name)
{
	for (size_t i = 0; i < r->n_subresources; i++)
		if (str_eq(r->subresources[i].name, name))
			return &r->subresources[i];
	return NULL;
}

static const struct type *kind_find_exact(const char *group, const char *version, const char *kind)
{
	for (size_t i = 0; i < kind_table_len; i++) {
		const struct kind_type *k = &kind_table[i];

		if (str_eq(k->kind, kind) && str_eq(k->group, group) && str_eq(k->version, version))
			return k->type;
	}
	return NULL;
}

const struct type *kind_find(const char *group, const char *version, const char *kind)
{
	const struct type *t = kind_find_exact(group, version, kind);

	return t ? t : kind_find_exact("meta.k8s.io", "v1", kind);
}

const struct resource *resource_of_key(const char *key)
{
	const char *path = str_after(key, "/registry/");
	const struct resource *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; path && i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];
		const char *rest = r->storage_prefix && r->storage_version ? str_after(path, r->storage_prefix) : NULL;

		if (rest && *rest == '/' && (size_t)(rest - path) > longest) {
			found = r;
			longest = (size_t)(rest - path);
		}
	}
	return found;
}

void resource_key(const struct resource *r, const char *ns, const char *name, struct buf *out)
{
	buf_adds(out, "/registry/");
	buf_adds(out, r->storage_prefix);
	buf_addc(out, '/');
	if (r->namespaced && ns) {
		buf_adds(out, ns);
		buf_addc(out, '/');
	}
	if (name)
		buf_adds(out, name);
}

void resource_api_version(const struct resource *r, struct buf *out)
{
	if (*r->group) {
		buf_adds(out, r->group);
		buf_addc(out, '/');
	}
	buf_adds(out, r->version);
}
