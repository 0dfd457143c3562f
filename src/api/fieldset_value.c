/* SPDX-License-Identifier: Apache-2.0 */
/* The set of the paths that a value has, and whether it fits its type: what an applied configuration says. */
#include <string.h>

#include "api/fieldset.h"
#include "api/fieldset_internal.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

/* ---- does it fit ---- */

#define PROBLEMS_MAX 32 /* of one configuration, in its message; whoever has more mends the first ones first */

struct checker {
	struct arena *arena;
	struct buf path, problems;
	size_t n;
};

static void problem(struct checker *c, const char *fmt, const char *what)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (++c->n > PROBLEMS_MAX)
		return;
	if (c->path.len)
		buf_addf(&c->problems, "%s  %s: ", c->n > 1 ? "\n" : "", buf_str(&c->path));
	else
		buf_adds(&c->problems, c->n > 1 ? "\n  " : "  ");
	buf_addf(&text, fmt, what);
	buf_add(&c->problems, text.data, text.len);
}

/* As Go prints a value that is of another kind than it should be. */
static const char *shown(struct checker *c, const struct json *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write(&b, v);
	if (b.len > 128) /* enough to recognise it */
		b.len = 128;
	return arena_strndup(c->arena, buf_str(&b), b.len);
}

static void check_scalar(struct checker *c, const struct field *f, const struct json *v)
{
	static const char *const go[] = {[JSON_BOOL] = "bool",
					 [JSON_STRING] = "string",
					 [JSON_ARRAY] = "[]interface {}",
					 [JSON_OBJECT] = "map[string]interface {}"};

	if (v->type == JSON_NULL)
		return;
	switch ((enum field_kind)f->kind) {
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT32:
	case FIELD_UINT64:
	case FIELD_FLOAT:
	case FIELD_DOUBLE:
		if (v->type != JSON_NUMBER)
			problem(c, "expected numeric (int or float), got %s", go[v->type]);
		break;
	case FIELD_BOOL:
		if (v->type != JSON_BOOL)
			problem(c, "expected boolean, got &{%s}", shown(c, v));
		break;
	case FIELD_STRING:
	case FIELD_BYTES:
	case FIELD_DURATION:
		if (v->type != JSON_STRING)
			problem(c, "expected string, got &value.valueUnstructured{Value:%s}", shown(c, v));
		break;
	case FIELD_TIME:
	case FIELD_MICRO_TIME:
	case FIELD_QUANTITY:
	case FIELD_INT_OR_STRING:
		if (v->type >= JSON_ARRAY)
			problem(c, "expected any scalar, got &{%s}", shown(c, v));
		break;
	default:
		break;
	}
}

static void check_struct(struct checker *c, const struct type *t, const struct json *v);

static void check_single(struct checker *c, const struct field *f, const struct json *v)
{
	if (f->kind != FIELD_STRUCT)
		check_scalar(c, f, v);
	else if (json_is(v, JSON_OBJECT))
		check_struct(c, f->type, v);
	else if (v->type != JSON_NULL)
		problem(c, "expected map, got &{%s}", shown(c, v));
}

static void check_list(struct checker *c, const struct field *f, const struct shape *s, const struct json *v)
{
	_cleanup_shape_index_ struct shape_index seen = SHAPE_INDEX_INIT;
	size_t len = c->path.len, i = 0;

	JSON_EACH(item, v) {
		if (shape_is_list(s)) {
			const char *why;
			char *element = shape_item_element(c->arena, s, item, &why);
			if (!element) {
				problem(c, "element %s",
					arena_printf(c->arena, "%zu: %s", i, why)); /* nothing further can be said */
				return;
			}
			_cleanup_buf_ struct buf shown_element = BUF_INIT;
			fieldset_element_text(&shown_element, element);
			if (map_set(&seen.items, element, item))
				problem(c, "duplicate entries for key %s", buf_str(&shown_element));
			buf_adds(&c->path, buf_str(&shown_element));
		} else {
			buf_addf(&c->path, "[%zu]", i);
		}
		check_single(c, f, item);
		c->path.len = len;
		i++;
	}
}

/* For each member of each object that is written: formatting would be a tenth of the whole work. */
static void add_key(struct buf *path, const struct json *member)
{
	buf_addc(path, '.');
	buf_add(path, member->key, member->key_len);
}

static void check_map(struct checker *c, const struct field *f, const struct json *v)
{
	size_t len = c->path.len;

	JSON_EACH(m, v) {
		add_key(&c->path, m);
		if (f->shape == SHAPE_MAP)
			check_single(c, f, m);
		else if (m->type != JSON_ARRAY && m->type != JSON_NULL)
			problem(c, "expected list, got &{%s}", shown(c, m));
		c->path.len = len;
	}
}

static void check_field(struct checker *c, const struct field *f, const struct json *v)
{
	struct shape s = shape_of_field(f);
	bool list = f->shape == SHAPE_LIST;

	if (f->shape == SHAPE_SINGLE) {
		check_single(c, f, v);
	} else if (!json_is(v, list ? JSON_ARRAY : JSON_OBJECT)) {
		if (v->type != JSON_NULL)
			problem(c, list ? "expected list, got &{%s}" : "expected map, got &{%s}", shown(c, v));
	} else if (list) {
		check_list(c, f, &s, v);
	} else {
		check_map(c, f, v);
	}
}

static void check_struct(struct checker *c, const struct type *t, const struct json *v)
{
	size_t len = c->path.len;

	if (!t)
		return;
	JSON_EACH(m, v) {
		const struct field *f = type_field_n(t, m->key, m->key_len);
		add_key(&c->path, m);
		if (f)
			check_field(c, f, m);
		else
			problem(c, "%s", "field not declared in schema");
		c->path.len = len;
	}
}

const char *fieldset_problems(struct arena *a, const struct type *t, const struct json *value)
{
	struct checker c = {.arena = a};
	const char *text = NULL;

	check_struct(&c, t, value);
	if (c.n == 1)
		text = arena_strdup(a, buf_str(&c.problems) + 2); /* without the indent of lists */
	else if (c.n)
		text = arena_printf(a, "errors:\n%s", buf_str(&c.problems));
	buf_release(&c.path);
	buf_release(&c.problems);
	return text;
}

/* ---- the set ---- */

static void add_paths(struct arena *a, const struct shape *s, const struct json *v, struct json *set)
{
	_cleanup_shape_index_ struct shape_index index;
	size_t i = 0;

	shape_index_init(&index, a, s, v);
	JSON_EACH(c, v) {
		char *element = shape_element(a, s, c, i++);
		struct shape inner = shape_of_child(s, c);
		struct json *below = json_new(a, JSON_OBJECT);
		if (map_has(&index.twice, element)) { /* live lists may have an item twice: only the item is named */
			if (shape_index_find(&index, element) == c)
				fieldset_put(set, element, below);
			continue;
		}
		if (shape_descends(&inner, c)) {
			bool named = s->kind == S_STRUCT && inner.field; /* implied by what is below */
			add_paths(a, &inner, c, below);
			if (!below->len && named && (shape_is_list(&inner) || c->len))
				continue; /* an empty list names nothing, nor does what has only such */
			if (!named)
				fieldset_set_dot(a, below);
		}
		fieldset_put(set, element, below);
	}
}

struct json *fieldset_of(struct arena *a, const struct type *t, const struct json *value)
{
	struct shape root = shape_of_type(t);
	struct json *set = json_new(a, JSON_OBJECT);

	if (json_is(value, JSON_OBJECT))
		add_paths(a, &root, value, set);
	return set->len ? set : NULL;
}
