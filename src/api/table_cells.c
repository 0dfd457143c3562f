/* SPDX-License-Identifier: Apache-2.0 */
/* Cells and helpers that serve objects of any kind. */
#include <stdlib.h>
#include <string.h>

#include "api/table_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

struct json *cell_str(const struct table_cell *c, const char *s)
{
	return json_new_str(c->arena, str_or(s, ""));
}

struct json *cell_or_none(const struct table_cell *c, const char *s)
{
	return json_new_str(c->arena, str_empty(s) ? "<none>" : s);
}

struct json *cell_buf(const struct table_cell *c, struct buf *b, const char *when_empty)
{
	struct json *v = json_new_str(c->arena, b->len ? buf_str(b) : when_empty);

	buf_release(b);
	return v;
}

void cell_join(struct buf *b, const char *sep, const char *item)
{
	if (str_empty(item))
		return;
	if (b->len)
		buf_adds(b, sep);
	buf_adds(b, item);
}

const struct json *cell_condition(const struct json *object, const char *type)
{
	JSON_EACH(cond, json_path(object, "status.conditions"))
		if (str_eq(json_path_str(cond, "type"), type))
			return cond;
	return NULL;
}

bool cell_condition_true(const struct json *object, const char *type)
{
	return str_eq(json_path_str(cell_condition(object, type), "status"), "True");
}

struct json *cell_age(const struct table_cell *c)
{
	char age[TABLE_AGE_MAX];

	return cell_str(c, table_age(json_path_str(c->object, "metadata.creationTimestamp"), c->now_ns, age));
}

struct json *cell_text(const struct table_cell *c)
{
	return cell_str(c, json_path_str(c->object, c->column->path));
}

struct json *cell_none(const struct table_cell *c)
{
	return cell_or_none(c, json_path_str(c->object, c->column->path));
}

struct json *cell_unset(const struct table_cell *c)
{
	const char *s = json_path_str(c->object, c->column->path);

	return cell_str(c, str_empty(s) ? "<unset>" : s);
}

struct json *cell_unknown(const struct table_cell *c)
{
	const char *s = json_path_str(c->object, c->column->path);

	return cell_str(c, str_empty(s) ? "<unknown>" : s);
}

struct json *cell_count(const struct table_cell *c)
{
	return json_new_int(c->arena, json_len(json_path(c->object, c->column->path)));
}

static struct json *joined(const struct table_cell *c, const char *when_empty)
{
	struct buf b = BUF_INIT;

	JSON_EACH(item, json_path(c->object, c->column->path))
		cell_join(&b, ",", json_str(item));
	return cell_buf(c, &b, when_empty);
}

struct json *cell_list(const struct table_cell *c)
{
	return joined(c, "<none>");
}

struct json *cell_words(const struct table_cell *c)
{
	return joined(c, "");
}

struct json *cell_since(const struct table_cell *c)
{
	char age[TABLE_AGE_MAX];

	return cell_str(c, table_age(json_path_str(c->object, c->column->path), c->now_ns, age));
}

struct json *cell_truth(const struct table_cell *c)
{
	return cell_str(c, json_path_bool(c->object, c->column->path, false) ? "True" : "False");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The terms "key=value" of a map of labels, by key. */
static void write_labels(const struct table_cell *c, struct buf *b, const struct json *labels)
{
	size_t n = 0, len = json_len(labels);
	const char **terms = arena_alloc(c->arena, (len ? len : 1) * sizeof(*terms));

	JSON_EACH(label, labels)
		terms[n++] = arena_printf(c->arena, "%s=%s", label->key, str_or(json_str(label), ""));
	qsort(terms, n, sizeof(*terms), by_text);
	for (size_t i = 0; i < n; i++)
		cell_join(b, ",", terms[i]);
}

static void write_expression(struct buf *b, const struct json *e)
{
	const char *key = str_or(json_path_str(e, "key"), ""), *op = json_path_str(e, "operator");
	_cleanup_buf_ struct buf values = BUF_INIT, term = BUF_INIT;

	JSON_EACH(v, json_get(e, "values"))
		cell_join(&values, ",", json_str(v));
	if (str_eq(op, "In"))
		buf_addf(&term, "%s in (%s)", key, buf_str(&values));
	else if (str_eq(op, "NotIn"))
		buf_addf(&term, "%s notin (%s)", key, buf_str(&values));
	else
		buf_addf(&term, "%s%s", str_eq(op, "DoesNotExist") ? "!" : "", key);
	cell_join(b, ",", term.data);
}

struct json *cell_selector(const struct table_cell *c)
{
	const struct json *s = json_path(c->object, c->column->path);
	const struct json *labels = json_get(s, "matchLabels"), *expressions = json_get(s, "matchExpressions");
	struct buf b = BUF_INIT;

	if (json_is(labels, JSON_OBJECT) || json_is(expressions, JSON_ARRAY)) {
		write_labels(c, &b, labels);
		JSON_EACH(e, expressions)
			write_expression(&b, e);
	} else {
		write_labels(c, &b, s);
	}
	return cell_buf(c, &b, "<none>");
}

static struct json *containers(const struct table_cell *c, const char *member)
{
	const struct json *spec = json_path(c->object, c->column->path);
	struct buf b = BUF_INIT;

	JSON_EACH(item, json_get(spec, "containers"))
		cell_join(&b, ",", json_path_str(item, member));
	return cell_buf(c, &b, "");
}

struct json *cell_container_names(const struct table_cell *c)
{
	return containers(c, "name");
}

struct json *cell_container_images(const struct table_cell *c)
{
	return containers(c, "image");
}
