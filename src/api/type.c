/* SPDX-License-Identifier: Apache-2.0 */
#include "api/type.h"

#include <string.h>

const struct field *type_field_n(const struct type *t, const char *name, size_t len)
{
	if (!t || !len)
		return NULL;
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (f->name[0] == name[0] && strncmp(f->name, name, len) == 0 && !f->name[len])
			return f;
		if (f->embedded) {
			const struct field *inner = type_field_n(f->type, name, len);

			if (inner)
				return inner;
		}
	}
	return NULL;
}

const struct field *type_field(const struct type *t, const char *name)
{
	return type_field_n(t, name, strlen(name));
}

const struct type *type_find(const char *name)
{
	size_t from = 0, to = type_table_len;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int cmp = strcmp(name, type_table[mid]->name);

		if (cmp == 0)
			return type_table[mid];
		if (cmp < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}
