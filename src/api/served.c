/* SPDX-License-Identifier: Apache-2.0 */
#include "api/served_internal.h"

#include <stdio.h>

#include "api/resource.h"
#include "base/str.h"

static void add(struct group_versions *out, const char *group, const char *version)
{
	size_t at = out->n;

	for (size_t i = 0; i < out->n; i++) {
		if (!str_eq(out->at[i].group, group))
			continue;
		if (str_eq(out->at[i].version, version))
			return;
		at = i + 1;
	}
	VEC_PUSH(out, ((struct group_version){group, version}));
	memmove(&out->at[at + 1], &out->at[at], (out->n - 1 - at) * sizeof(out->at[0]));
	out->at[at] = (struct group_version){group, version};
}

void served_collect(const struct resource_set *set, struct group_versions *out)
{
	for (size_t i = 0; i < group_table_len; i++)
		for (const char *const *v = group_table[i].versions; *v; v++)
			add(out, group_table[i].name, *v);
	for (size_t i = 0; set && i < set->n_extra; i++)
		add(out, set->extra[i]->group, set->extra[i]->version);
}

const struct resource *served_next(struct served_iter *it)
{
	size_t n = resource_table_len + (it->set ? it->set->n_extra : 0);

	while (it->at < n) {
		size_t i = it->at++;
		const struct resource *r =
		    i < resource_table_len ? &resource_table[i] : it->set->extra[i - resource_table_len];

		if (str_eq(r->group, it->group) && str_eq(r->version, it->version))
			return r;
	}
	return NULL;
}

char *served_api_version(const char *group, const char *version, char out[API_VERSION_MAX])
{
	snprintf(out, API_VERSION_MAX, "%s%s%s", group, *group ? "/" : "", version);
	return out;
}
