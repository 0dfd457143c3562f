/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees to messages, in the table's order of fields. Members that the type doesn't have, or that have no number
 * (apiVersion and kind are in the envelope), are left out; so is null.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/protobuf_internal.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

static int put_value(struct buf *out, uint32_t number, const struct json *v, const struct field *f, int depth);

static int put_int(struct buf *out, uint32_t number, const struct json *v, int64_t min, int64_t max)
{
	int64_t n;

	if (!json_is_int(v))
		return -EINVAL;
	n = json_int(v, 0);
	if (n < min || n > max)
		return -EINVAL;
	wire_put_uint(out, number, (uint64_t)n);
	return 0;
}

static int put_uint64(struct buf *out, uint32_t number, const struct json *v)
{
	uint64_t n;

	if (!json_is(v, JSON_NUMBER) || parse_u64(v->str, &n) < 0)
		return -EINVAL;
	wire_put_uint(out, number, n);
	return 0;
}

static int put_real(struct buf *out, uint32_t number, const struct json *v, bool single)
{
	double d = json_double(v, 0);
	float f = (float)d;
	uint8_t bytes[8];
	uint64_t bits = 0;
	size_t n = single ? 4 : 8;

	if (!json_is(v, JSON_NUMBER))
		return -EINVAL;
	if (single)
		memcpy(&bits, &f, sizeof(f));
	else
		memcpy(&bits, &d, sizeof(d));
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(bits >> (8 * i));
	wire_put_tag(out, number, single ? WIRE_FIXED32 : WIRE_FIXED64);
	buf_add(out, bytes, n);
	return 0;
}

static int put_base64(struct buf *out, uint32_t number, const struct json *v)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;

	if (!json_is(v, JSON_STRING) || base64_decode(&bytes, v->str, v->len) < 0)
		return -EINVAL;
	wire_put_bytes(out, number, bytes.data, bytes.len);
	return 0;
}

static int put_time(struct buf *out, uint32_t number, const struct json *v, bool micro)
{
	const char *s = json_str(v);
	int64_t seconds, rest;
	size_t begin;

	if (!s || protobuf_time_parse(s, &seconds, &rest) < 0)
		return -EINVAL;
	begin = wire_begin(out, number);
	wire_put_uint(out, 1, (uint64_t)seconds);
	wire_put_uint(out, 2, micro ? (uint64_t)(rest / 1000 * 1000) : 0); /* Time has whole seconds */
	wire_end(out, begin);
	return 0;
}

static int put_quantity(struct buf *out, uint32_t number, const struct json *v)
{
	size_t begin;

	if (!json_is(v, JSON_STRING) && !json_is(v, JSON_NUMBER))
		return -EINVAL;
	begin = wire_begin(out, number);
	wire_put_bytes(out, 1, v->str, v->len);
	wire_end(out, begin);
	return 0;
}

static int put_int_or_string(struct buf *out, uint32_t number, const struct json *v)
{
	bool string = json_is(v, JSON_STRING);
	size_t begin;
	int r = 0;

	if (!string && !json_is_int(v))
		return -EINVAL;
	begin = wire_begin(out, number);
	wire_put_uint(out, 1, string);
	if (string)
		wire_put_uint(out, 2, 0);
	else
		r = put_int(out, 2, v, INT32_MIN, INT32_MAX);
	wire_put_bytes(out, 3, string ? v->str : "", string ? v->len : 0);
	wire_end(out, begin);
	return r;
}

static int put_raw(struct buf *out, uint32_t number, const struct json *v)
{
	size_t begin = wire_begin(out, number);
	_cleanup_buf_ struct buf text = BUF_INIT;

	json_write(&text, v);
	wire_put_bytes(out, 1, text.data, text.len);
	wire_end(out, begin);
	return 0;
}

static int put_strings(struct buf *out, uint32_t number, const struct json *list)
{
	size_t begin;

	if (list->type != JSON_ARRAY && list->type != JSON_NULL)
		return -EINVAL;
	begin = wire_begin(out, number);
	JSON_EACH(s, list) {
		if (s->type != JSON_STRING)
			return -EINVAL;
		wire_put_bytes(out, 1, s->str, s->len);
	}
	wire_end(out, begin);
	return 0;
}

/* JSONSchemaPropsOrX: an object goes into schema, what else there is into the other member. */
static int put_union(struct buf *out, uint32_t number, const struct json *v, const struct type *t, int depth)
{
	size_t begin = wire_begin(out, number);
	int r = 0;

	for (uint32_t i = 0; i < t->n_fields && r == 0; i++) {
		const struct field *f = &t->fields[i];

		if (f->pointer != (v->type == JSON_OBJECT)) {
			if (f->kind == FIELD_BOOL) /* a schema is allowed */
				wire_put_uint(out, f->number, 1);
			continue;
		}
		if (f->shape != SHAPE_LIST)
			r = put_value(out, f->number, v, f, depth);
		else if (v->type != JSON_ARRAY)
			r = -EINVAL;
		else
			JSON_EACH(item, v)
				if (r == 0)
					r = put_value(out, f->number, item, f, depth);
	}
	wire_end(out, begin);
	return r;
}

static int put_value(struct buf *out, uint32_t number, const struct json *v, const struct field *f, int depth)
{
	size_t begin;
	int r;

	switch (f->kind) {
	case FIELD_STRING:
		if (v->type != JSON_STRING)
			return -EINVAL;
		wire_put_bytes(out, number, v->str, v->len);
		return 0;
	case FIELD_BOOL:
		if (v->type != JSON_BOOL)
			return -EINVAL;
		wire_put_uint(out, number, v->boolean);
		return 0;
	case FIELD_BYTES:
		return put_base64(out, number, v);
	case FIELD_INT32:
		return put_int(out, number, v, INT32_MIN, INT32_MAX);
	case FIELD_INT64:
		return put_int(out, number, v, INT64_MIN, INT64_MAX);
	case FIELD_UINT32:
		return put_int(out, number, v, 0, UINT32_MAX);
	case FIELD_UINT64:
		return put_uint64(out, number, v);
	case FIELD_FLOAT:
		return put_real(out, number, v, true);
	case FIELD_DOUBLE:
		return put_real(out, number, v, false);
	case FIELD_TIME:
		return put_time(out, number, v, false);
	case FIELD_MICRO_TIME:
		return put_time(out, number, v, true);
	case FIELD_QUANTITY:
		return put_quantity(out, number, v);
	case FIELD_INT_OR_STRING:
		return put_int_or_string(out, number, v);
	case FIELD_VERBS:
		return put_strings(out, number, v);
	case FIELD_JSON:
		if (f->type)
			return put_union(out, number, v, f->type, depth);
		/* fall through */
	case FIELD_RAW:
	case FIELD_FIELDS_V1:
		return put_raw(out, number, v);
	case FIELD_STRUCT:
		begin = wire_begin(out, number);
		r = protobuf_encode_at(v, f->type, depth + 1, out);
		wire_end(out, begin);
		return r;
	}
	return -EINVAL; /* no message of the published types has another kind */
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

/* In order of keys, so that the same map gives the same bytes. */
static int put_map(struct buf *out, const struct json *map, const struct field *f, int depth)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json **entries = arena_alloc(&a, (json_len(map) + 1) * sizeof(*entries));
	size_t n = 0;
	int r = 0;

	JSON_EACH(e, map)
		entries[n++] = e;
	qsort(entries, n, sizeof(*entries), by_key);
	for (size_t i = 0; i < n && r == 0; i++) {
		size_t begin = wire_begin(out, f->number);

		wire_put_bytes(out, 1, entries[i]->key, entries[i]->key_len);
		if (f->shape == SHAPE_MAP_OF_LISTS)
			r = put_strings(out, 2, entries[i]);
		else if (entries[i]->type != JSON_NULL)
			r = put_value(out, 2, entries[i], f, depth);
		wire_end(out, begin);
	}
	return r;
}

static int put_field(struct buf *out, const struct json *v, const struct field *f, int depth)
{
	int r = 0;

	switch (f->kind == FIELD_VERBS ? SHAPE_SINGLE : f->shape) {
	case SHAPE_SINGLE:
		return put_value(out, f->number, v, f, depth);
	case SHAPE_LIST:
		if (v->type != JSON_ARRAY)
			return -EINVAL;
		JSON_EACH(item, v) {
			if (item->type == JSON_NULL && f->kind != FIELD_JSON && f->kind != FIELD_RAW)
				return -EINVAL;
			if (r == 0)
				r = put_value(out, f->number, item, f, depth);
		}
		return r;
	default:
		return v->type == JSON_OBJECT ? put_map(out, v, f, depth) : -EINVAL;
	}
}

int protobuf_encode_at(const struct json *tree, const struct type *type, int depth, struct buf *out)
{
	if (!json_is(tree, JSON_OBJECT) || depth > PROTOBUF_DEPTH_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < type->n_fields; i++) {
		const struct field *f = &type->fields[i];
		const struct json *v;
		int r;

		if (!f->number)
			continue;
		if (f->embedded) { /* its members are the object's own */
			size_t begin = wire_begin(out, f->number);

			r = protobuf_encode_at(tree, f->type, depth + 1, out);
			wire_end(out, begin);
		} else {
			v = json_get(tree, f->name);
			r = !v || v->type == JSON_NULL ? 0 : put_field(out, v, f, depth);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int protobuf_encode_message(const struct json *tree, const struct type *type, struct buf *out)
{
	size_t begin = out->len;
	int r = protobuf_encode_at(tree, type, 0, out);

	if (r < 0 && !buf_failed(out))
		out->len = begin;
	return r;
}
