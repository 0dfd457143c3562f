/* SPDX-License-Identifier: Apache-2.0 */
#include "api/amounts.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

struct quantity *amounts_get(const struct amounts *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->at[i].name, name))
			return &m->at[i].value;
	return NULL;
}

/* An arena aligns to 8 bytes; a quantity's 128-bit number wants 16. */
static struct amount *room_for(struct arena *a, size_t n)
{
	uintptr_t p = (uintptr_t)arena_alloc(a, n * sizeof(struct amount) + _Alignof(struct amount));
	return (struct amount *)((p + _Alignof(struct amount) - 1) & ~(_Alignof(struct amount) - 1));
}

void amounts_set(struct arena *a, struct amounts *m, const char *name, struct quantity value)
{
	struct quantity *have = amounts_get(m, name);
	if (have) {
		*have = value;
		return;
	}
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 8;
		struct amount *at = room_for(a, cap);
		if (m->n)
			memcpy(at, m->at, m->n * sizeof(*at));
		m->at = at;
		m->cap = cap;
	}
	m->at[m->n++] = (struct amount){name, value};
}

void amounts_set_int(struct arena *a, struct amounts *m, const char *name, int64_t value)
{
	amounts_set(a, m, name, quantity_of_int(value, QUANTITY_DECIMAL_SI));
}

struct amounts amounts_read(struct arena *a, const struct json *list)
{
	struct amounts m = {0};
	JSON_EACH(v, list) {
		struct quantity q;
		if (quantity_from_json(v, &q) == 0)
			amounts_set(a, &m, v->key, q);
	}
	return m;
}

void amounts_add(struct arena *a, struct amounts *into, const struct amounts *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct quantity *have = amounts_get(into, from->at[i].name);
		if (have)
			quantity_add(have, &from->at[i].value);
		else
			amounts_set(a, into, from->at[i].name, from->at[i].value);
	}
}

void amounts_sub(struct arena *a, struct amounts *into, const struct amounts *from)
{
	for (size_t i = 0; i < from->n; i++) {
		if (!amounts_get(into, from->at[i].name))
			amounts_set(a, into, from->at[i].name, QUANTITY_ZERO);
		quantity_sub(amounts_get(into, from->at[i].name), &from->at[i].value);
	}
}

void amounts_max(struct arena *a, struct amounts *into, const struct amounts *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct quantity *have = amounts_get(into, from->at[i].name);
		if (!have || quantity_compare(have, &from->at[i].value) < 0)
			amounts_set(a, into, from->at[i].name, from->at[i].value);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct amount *)a)->name, ((const struct amount *)b)->name);
}

void amounts_sort(struct amounts *m)
{
	if (m->n > 1)
		qsort(m->at, m->n, sizeof(*m->at), by_name);
}

struct json *amounts_json(struct arena *a, const struct amounts *m)
{
	struct json *list = json_new(a, JSON_OBJECT);
	for (size_t i = 0; i < m->n; i++)
		json_set(a, list, m->at[i].name, quantity_to_json(a, &m->at[i].value));
	return list;
}
