/* SPDX-License-Identifier: Apache-2.0 */
#include "api/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/json_out.h"
#include "api/object.h"
#include "api/resource.h"
#include "api/table_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

int table_include_parse(const char *text, enum table_include *ret)
{
	if (str_empty(text) || str_eq(text, "Metadata"))
		*ret = TABLE_METADATA;
	else if (str_eq(text, "Object"))
		*ret = TABLE_OBJECT;
	else if (str_eq(text, "None"))
		*ret = TABLE_NONE;
	else
		return -EINVAL;
	return 0;
}

/* Upstream's steps: finer units are dropped as the duration grows. */
char *table_duration(int64_t s, char out[TABLE_AGE_MAX])
{
	int64_t m = s / 60, h = s / 3600, d = h / 24, y = d / 365;
	int64_t big = 0, small = 0;
	const char *units = "s ";

	if (s < -1)
		return strcpy(out, "<invalid>");
	if (s < 120)
		big = s < 0 ? 0 : s;
	else if (m < 10)
		big = m, small = s % 60, units = "ms";
	else if (h < 3)
		big = m, units = "m ";
	else if (h < 8)
		big = h, small = m % 60, units = "hm";
	else if (h < 48)
		big = h, units = "h ";
	else if (d < 8)
		big = d, small = h % 24, units = "dh";
	else if (y < 2)
		big = d, units = "d ";
	else if (y < 8)
		big = y, small = d % 365, units = "yd";
	else
		big = y, units = "y ";
	if (small)
		snprintf(out, TABLE_AGE_MAX, "%" PRId64 "%c%" PRId64 "%c", big, units[0], small, units[1]);
	else
		snprintf(out, TABLE_AGE_MAX, "%" PRId64 "%c", big, units[0]);
	return out;
}

char *table_age(const char *since, int64_t now, char out[TABLE_AGE_MAX])
{
	int64_t then;

	if (str_empty(since) || time_parse(since, &then) < 0)
		return strcpy(out, "<unknown>");
	return table_duration((now - then) / 1000000000, out);
}

static void write_path_cell(struct json_out *w, const struct table_cell *c)
{
	const struct json *v = json_path(c->object, c->column->path);
	char age[TABLE_AGE_MAX];

	if (!v || v->type == JSON_NULL)
		json_out_raw(w, NULL, c->column->absent ? c->column->absent : "null");
	else if (str_eq(c->column->type, "date"))
		json_out_str(w, NULL, table_age(json_str(v), c->now_ns, age));
	else
		json_out_json(w, NULL, v);
}

static void write_cells(struct json_out *w, const struct table *t, const struct json *tree, struct arena *a,
			int64_t now)
{
	struct table_cell c = {.object = tree, .arena = a, .now_ns = now};

	json_out_array(w, "cells");
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct json *v;

		c.column = &t->columns[i];
		if (!c.column->cell) {
			write_path_cell(w, &c);
			continue;
		}
		v = c.column->cell(&c);
		if (v)
			json_out_json(w, NULL, v);
		else
			json_out_raw(w, NULL, "null");
	}
	json_out_end_array(w);
}

static void write_row_object(struct json_out *w, const struct table *t, const struct object *o, const struct json *tree)
{
	if (t->include == TABLE_NONE)
		return;
	if (t->include == TABLE_OBJECT) {
		json_out_key(w, "object");
		buf_add(w->buf, o->json->data, o->json->len);
		return;
	}
	json_out_object(w, "object");
	json_out_str(w, "kind", "PartialObjectMetadata");
	json_out_str(w, "apiVersion", "meta.k8s.io/v1");
	json_out_json(w, "metadata", json_get(tree, "metadata"));
	json_out_end_object(w);
}

/* A pod that will not run any more says so beside its cells. */
static void write_conditions(struct json_out *w, const struct table *t, const struct json *tree)
{
	const char *phase = json_path_str(tree, "status.phase");
	bool done = str_eq(phase, "Succeeded");

	if (!t->resource || !str_eq(t->resource->plural, "pods") || *t->resource->group)
		return;
	if (!done && !str_eq(phase, "Failed"))
		return;
	json_out_array(w, "conditions");
	json_out_object(w, NULL);
	json_out_str(w, "type", "Completed");
	json_out_str(w, "status", "True");
	json_out_str(w, "reason", phase);
	json_out_str(w, "message", done ? "All containers ended well." : "The pod ended in failure.");
	json_out_end_object(w);
	json_out_end_array(w);
}

void table_row(struct table *t, const struct object *o, int64_t now, struct buf *out)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = object_tree(o, &a);
	struct json_out w = {.buf = out, .comma = t->n_rows++ > 0};

	json_out_object(&w, NULL);
	write_cells(&w, t, tree, &a, now);
	write_conditions(&w, t, tree);
	write_row_object(&w, t, o, tree);
	json_out_end_object(&w);
}

static void write_meta(struct json_out *w, const struct table_meta *m)
{
	char rev[24];

	json_out_object(w, "metadata");
	if (m->rev) {
		snprintf(rev, sizeof(rev), "%" PRIu64, m->rev);
		json_out_str(w, "resourceVersion", rev);
	}
	json_out_opt(w, "continue", m->next);
	if (m->next && m->remaining >= 0)
		json_out_int(w, "remainingItemCount", m->remaining);
	json_out_end_object(w);
}

static void write_columns(struct json_out *w, const struct table *t)
{
	json_out_array(w, "columnDefinitions");
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct table_column *c = &t->columns[i];

		json_out_object(w, NULL);
		json_out_str(w, "name", c->name);
		json_out_str(w, "type", c->type);
		json_out_str(w, "format", str_or(c->format, ""));
		json_out_str(w, "description", str_or(c->description, ""));
		json_out_int(w, "priority", c->priority);
		json_out_end_object(w);
	}
	json_out_end_array(w);
}

void table_begin(struct table *t, const struct resource *r, const struct table_column *columns, size_t n_columns,
		 enum table_include include, const char *version, const struct table_meta *meta, struct buf *out)
{
	struct json_out w = {.buf = out};

	*t = (struct table){.resource = r, .columns = columns, .n_columns = n_columns, .include = include};
	if (!columns)
		t->columns = table_columns(r, &t->n_columns);
	json_out_object(&w, NULL);
	json_out_str(&w, "kind", "Table");
	json_out_str(&w, "apiVersion", str_eq(version, "v1beta1") ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1");
	write_meta(&w, meta);
	if (meta->no_columns)
		json_out_raw(&w, "columnDefinitions", "null");
	else
		write_columns(&w, t);
	json_out_array(&w, "rows");
}

void table_end(struct table *t, struct buf *out)
{
	(void)t;
	buf_adds(out, "]}");
}
