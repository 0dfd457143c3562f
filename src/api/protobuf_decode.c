/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to trees. The fields of a message may come in any order; they are collected in one slot each and then
 * written in the table's order, as Go's JSON has it. What isn't on the wire isn't in the tree.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/protobuf_internal.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#define SLOTS_MAX 64 /* more than any type has fields (a test holds it); keeps slots on the stack */

struct slot {
	bool present;
	size_t joined_cap;	/* of last.bytes, when they are ours */
	struct wire_field last; /* single values; of messages all parts joined, which merges them */
	struct json *many;	/* lists and maps */
};

static void append_member(struct json *object, const char *key, size_t len, struct json *v)
{
	v->key = key;
	v->key_len = (uint32_t)len & 0xffffff; /* bodies are far below json.h's 16 MiB */
	json_append(object, v);
}

static const struct field *find_number(const struct type *t, uint32_t number, uint32_t *at)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		uint32_t j = (*at + i) % t->n_fields; /* encoders write in order, mostly */

		if (t->fields[j].number == number) {
			*at = j;
			return &t->fields[j];
		}
	}
	return NULL;
}

static struct json *text(struct arena *a, const struct wire_field *w)
{
	if (!utf8_valid((const char *)w->bytes, w->len))
		return NULL;
	return json_new_strn(a, (const char *)w->bytes, w->len);
}

static struct json *base64(struct arena *a, const struct wire_field *w)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	base64_encode(&b, w->bytes, w->len);
	return json_new_strn(a, buf_str(&b), b.len);
}

static struct json *number_text(struct arena *a, const char *s)
{
	struct json *v = json_new(a, JSON_NUMBER);

	v->str = s;
	v->len = (uint32_t)strlen(s);
	return v;
}

static struct json *real(struct arena *a, double d)
{
	char *s = NULL;

	if (!isfinite(d))
		return NULL;
	for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
		s = arena_printf(a, "%.*g", digits, d);
		if (strtod(s, NULL) == d)
			break;
	}
	return number_text(a, s);
}

/* The one member of messages that wrap a value: Quantity's string, RawExtension's raw. */
static int wrapped(const struct wire_field *w, uint32_t number, struct wire_field *ret)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);
	struct wire_field f;
	int n;

	*ret = (struct wire_field){.wire = WIRE_BYTES};
	while ((n = wire_next(&r, &f)) > 0) {
		if (f.number != number)
			continue;
		if (f.wire != WIRE_BYTES)
			return -EINVAL;
		*ret = f;
	}
	return n;
}

static struct json *timestamp(struct arena *a, const struct wire_field *w, bool micro)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);
	int64_t seconds = 0, nanos = 0;
	char out[PROTOBUF_TIME_MAX];
	struct wire_field f;
	int n;

	while ((n = wire_next(&r, &f)) > 0) {
		if (f.number > 2)
			continue;
		if (f.wire != WIRE_VARINT)
			return NULL;
		*(f.number == 1 ? &seconds : &nanos) = (int64_t)f.value;
	}
	if (!micro)
		nanos = 0;
	if (n == 0 && !seconds && nanos / 1000 == 0) /* the zero time, which Go writes as such */
		return json_new(a, JSON_NULL);
	if (n < 0 || protobuf_time_format(seconds, nanos, micro, out) < 0)
		return NULL;
	return json_new_str(a, out);
}

static struct json *int_or_string(struct arena *a, const struct wire_field *w)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);
	struct wire_field f, s = {.bytes = (const uint8_t *)"", .wire = WIRE_BYTES};
	uint64_t type = 0, value = 0;
	int n;

	while ((n = wire_next(&r, &f)) > 0) {
		if (f.number == 3 && f.wire == WIRE_BYTES)
			s = f;
		else if (f.number == 1 && f.wire == WIRE_VARINT)
			type = f.value;
		else if (f.number == 2 && f.wire == WIRE_VARINT)
			value = f.value;
		else if (f.number <= 3)
			return NULL;
	}
	if (n < 0 || type > 1)
		return NULL;
	return type ? text(a, &s) : json_new_int(a, (int32_t)value);
}

/* Raw bytes are JSON, or an object in its envelope. */
static struct json *raw(struct arena *a, const struct wire_field *w, int depth)
{
	struct wire_field f;
	struct json_error err;
	struct json *v;
	const char *why;

	if (wrapped(w, 1, &f) < 0)
		return NULL;
	if (!f.len)
		return json_new(a, JSON_NULL);
	if (protobuf_is_envelope(f.bytes, f.len))
		return protobuf_decode_envelope_at(a, f.bytes, f.len, NULL, depth + 1, &v, &why) < 0 ? NULL : v;
	return json_parse(a, (const char *)f.bytes, f.len, &v, &err) < 0 ? NULL : v;
}

/* The strings of a wrapped list: message {repeated string items = 1}. */
static struct json *wrapped_list(struct arena *a, const struct wire_field *w)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);
	struct json *list = json_new(a, JSON_ARRAY);
	struct wire_field f;
	int n;

	while ((n = wire_next(&r, &f)) > 0) {
		struct json *item = f.number == 1 && f.wire == WIRE_BYTES ? text(a, &f) : NULL;

		if (item)
			json_append(list, item);
		else if (f.number == 1)
			return NULL;
	}
	return n < 0 ? NULL : list;
}

/*
 * JSONSchemaPropsOrArray, OrBool, OrStringArray: a schema when there is one, else the other member. In the table the
 * schema is the pointer among the two.
 */
static struct json *json_union(struct arena *a, const struct wire_field *w, const struct type *t, int depth)
{
	struct json *v, *schema;

	if (protobuf_decode_at(a, w->bytes, w->len, t, depth + 1, &v) < 0)
		return NULL;
	schema = json_get(v, "schema");
	for (uint32_t i = 0; i < t->n_fields && !schema; i++) {
		const struct field *f = &t->fields[i];

		if (f->pointer)
			continue;
		schema = json_get(v, f->name);
		if (!schema)
			return json_new(a, f->shape == SHAPE_LIST ? JSON_ARRAY : JSON_BOOL);
	}
	json_remove_child(v, schema);
	return schema;
}

static struct json *message(struct arena *a, const struct wire_field *w, const struct field *f, int depth)
{
	struct wire_field inner;
	struct json *v;

	switch (f->kind) {
	case FIELD_STRUCT:
		return protobuf_decode_at(a, w->bytes, w->len, f->type, depth + 1, &v) < 0 ? NULL : v;
	case FIELD_TIME:
		return timestamp(a, w, false);
	case FIELD_MICRO_TIME:
		return timestamp(a, w, true);
	case FIELD_INT_OR_STRING:
		return int_or_string(a, w);
	case FIELD_VERBS:
		return wrapped_list(a, w);
	case FIELD_QUANTITY:
		if (wrapped(w, 1, &inner) < 0)
			return NULL;
		return inner.len ? text(a, &inner) : json_new_str(a, "0");
	case FIELD_JSON:
		if (f->type)
			return json_union(a, w, f->type, depth);
		/* fall through */
	case FIELD_RAW:
	case FIELD_FIELDS_V1:
		return raw(a, w, depth);
	}
	return NULL;
}

static enum wire wire_of(const struct field *f)
{
	switch (f->kind) {
	case FIELD_BOOL:
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT32:
	case FIELD_UINT64:
		return WIRE_VARINT;
	case FIELD_FLOAT:
		return WIRE_FIXED32;
	case FIELD_DOUBLE:
		return WIRE_FIXED64;
	default:
		return WIRE_BYTES;
	}
}

/* One value; NULL when it doesn't fit. */
static struct json *value(struct arena *a, const struct wire_field *w, const struct field *f, int depth)
{
	double d;
	float single;
	uint32_t bits;

	if (w->wire != wire_of(f))
		return NULL;
	switch (f->kind) {
	case FIELD_STRING:
		return text(a, w);
	case FIELD_BYTES:
		return base64(a, w);
	case FIELD_BOOL:
		return json_new_bool(a, w->value != 0);
	case FIELD_INT32:
		return json_new_int(a, (int32_t)w->value);
	case FIELD_INT64:
		return json_new_int(a, (int64_t)w->value);
	case FIELD_UINT32:
		return json_new_int(a, (uint32_t)w->value);
	case FIELD_UINT64:
		return number_text(a, arena_printf(a, "%" PRIu64, w->value));
	case FIELD_DOUBLE:
		memcpy(&d, &w->value, sizeof(d));
		return real(a, d);
	case FIELD_FLOAT:
		bits = (uint32_t)w->value;
		memcpy(&single, &bits, sizeof(single));
		return real(a, single);
	default:
		return message(a, w, f, depth);
	}
}

/* An entry of a map: message {key = 1; value = 2}. */
static int add_entry(struct arena *a, struct json *map, const struct wire_field *w, const struct field *f, int depth)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);
	struct wire_field e, v = {.wire = wire_of(f), .bytes = (const uint8_t *)""};
	struct json *item;
	const char *key = "";
	size_t key_len = 0;
	int n;

	if (f->shape == SHAPE_MAP_OF_LISTS)
		v.wire = WIRE_BYTES;
	while ((n = wire_next(&r, &e)) > 0) {
		if (e.number == 2)
			v = e;
		if (e.number != 1)
			continue;
		/* A member name in our tree ends at its first NUL. */
		if (e.wire != WIRE_BYTES || memchr(e.bytes, 0, e.len) || !utf8_valid((const char *)e.bytes, e.len))
			return -EINVAL;
		key = e.len ? arena_strndup(a, (const char *)e.bytes, e.len) : "";
		key_len = e.len;
	}
	if (n < 0)
		return -EINVAL;
	item = f->shape == SHAPE_MAP ? value(a, &v, f, depth) : v.wire == WIRE_BYTES ? wrapped_list(a, &v) : NULL;
	if (!item)
		return -EINVAL;
	append_member(map, key, key_len, item);
	return 0;
}

/* Repeated numbers may be packed into one field. */
static int add_packed(struct arena *a, struct json *list, const struct wire_field *w, const struct field *f)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);

	while (r.p < r.end) {
		struct wire_field one = {.wire = WIRE_VARINT};

		if (wire_varint(&r, &one.value) < 0)
			return -EINVAL;
		json_append(list, value(a, &one, f, 0));
	}
	return 0;
}

static int add_many(struct arena *a, struct slot *s, const struct wire_field *w, const struct field *f, int depth)
{
	bool list = f->shape == SHAPE_LIST && f->kind != FIELD_VERBS;
	struct json *item;

	if (!s->many)
		s->many = json_new(a, list ? JSON_ARRAY : JSON_OBJECT);
	if (!list)
		return w->wire == WIRE_BYTES ? add_entry(a, s->many, w, f, depth) : -EINVAL;
	if (w->wire == WIRE_BYTES && wire_of(f) == WIRE_VARINT)
		return add_packed(a, s->many, w, f);
	item = value(a, w, f, depth);
	if (!item)
		return -EINVAL;
	json_append(s->many, item);
	return 0;
}

/* Of a scalar the last value counts; the bytes of a message are joined, in room that doubles. */
static void add_single(struct arena *a, struct slot *s, const struct wire_field *w, const struct field *f)
{
	bool scalar = wire_of(f) != WIRE_BYTES || f->kind == FIELD_STRING || f->kind == FIELD_BYTES;
	uint8_t *joined = (uint8_t *)s->last.bytes;

	if (!s->present || scalar || w->wire != WIRE_BYTES || s->last.wire != WIRE_BYTES) {
		s->last = *w;
		s->joined_cap = 0;
		return;
	}
	if (s->joined_cap < s->last.len + w->len || !s->joined_cap) {
		s->joined_cap = 2 * (s->last.len + w->len) + 16;
		joined = arena_alloc(a, s->joined_cap);
		if (s->last.len)
			memcpy(joined, s->last.bytes, s->last.len);
		s->last.bytes = joined;
	}
	if (w->len)
		memcpy(joined + s->last.len, w->bytes, w->len);
	s->last.len += w->len;
}

struct entry {
	struct json *v;
	size_t at;
};

static int by_key_then_place(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int cmp = strcmp(x->v->key, y->v->key);

	return cmp ? cmp : (x->at > y->at) - (x->at < y->at);
}

/* Maps come out sorted by key, as Go writes them; of entries with the same key the last counts. */
static struct json *sorted_map(struct arena *a, const struct json *map)
{
	struct json *out = json_new(a, JSON_OBJECT);
	struct entry *entries = arena_alloc(a, (json_len(map) + 1) * sizeof(*entries));
	size_t n = 0;

	JSON_EACH(e, map) {
		entries[n] = (struct entry){e, n};
		n++;
	}
	qsort(entries, n, sizeof(*entries), by_key_then_place);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || strcmp(entries[i].v->key, entries[i + 1].v->key) != 0)
			json_append(out, entries[i].v);
	return out;
}

static bool is_zero(const struct field *f, const struct json *v)
{
	if (f->kind == FIELD_INT_OR_STRING && v->type == JSON_STRING) /* "" is not 0 */
		return false;
	switch (v->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !v->boolean;
	case JSON_NUMBER:
		return str_eq(v->str, "0");
	case JSON_STRING:
		return !v->len;
	default:
		return false;
	}
}

static int emit(struct arena *a, struct json *object, const struct slot *s, const struct field *f, int depth)
{
	struct json *v = s->many;

	if (f->embedded) {
		if (s->last.wire != WIRE_BYTES)
			return -EINVAL;
		return protobuf_decode_into(a, s->last.bytes, s->last.len, f->type, depth + 1, object);
	}
	if (v && v->type == JSON_OBJECT)
		v = sorted_map(a, v);
	if (!v)
		v = value(a, &s->last, f, depth);
	if (!v)
		return -EINVAL;
	if (v->type == JSON_NULL) /* zero times and the like: the same as nothing */
		return 0;
	if (f->omit_empty && !f->pointer && f->shape == SHAPE_SINGLE && is_zero(f, v))
		return 0;
	append_member(object, f->name, strlen(f->name), v);
	return 0;
}

int protobuf_decode_into(struct arena *a, const void *p, size_t len, const struct type *t, int depth,
			 struct json *object)
{
	struct wire_reader r = wire_reader_of(p, len);
	struct slot slots[SLOTS_MAX];
	struct wire_field w;
	uint32_t at = 0;
	int n, ret;

	assert(t->n_fields <= SLOTS_MAX);
	if (depth > PROTOBUF_DEPTH_MAX)
		return -EINVAL;
	memset(slots, 0, t->n_fields * sizeof(slots[0]));
	while ((n = wire_next(&r, &w)) > 0) {
		const struct field *f = find_number(t, w.number, &at);
		struct slot *s = &slots[at];

		if (!f)
			continue;
		if (f->shape == SHAPE_SINGLE || f->kind == FIELD_VERBS)
			add_single(a, s, &w, f);
		else if ((ret = add_many(a, s, &w, f, depth)) < 0)
			return ret;
		s->present = true;
	}
	if (n < 0)
		return n;
	for (uint32_t i = 0; i < t->n_fields; i++)
		if (slots[i].present && (ret = emit(a, object, &slots[i], &t->fields[i], depth)) < 0)
			return ret;
	return 0;
}

int protobuf_decode_at(struct arena *a, const void *p, size_t len, const struct type *type, int depth,
		       struct json **ret)
{
	struct json *object = json_new(a, JSON_OBJECT);
	int r = protobuf_decode_into(a, p, len, type, depth, object);

	if (r < 0)
		return r;
	*ret = object;
	return 0;
}

int protobuf_decode_message(struct arena *a, const void *p, size_t len, const struct type *type, struct json **ret)
{
	return protobuf_decode_at(a, p, len, type, 0, ret);
}
