/* SPDX-License-Identifier: Apache-2.0 */
#include "api/decode.h"

#include <stdint.h>
#include <string.h>

#include "api/quantity.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

struct decoder {
	struct arena *arena;
	struct decode_report *report;
	bool applied;	   /* keep presence: fill nothing in, drop nothing empty */
	struct buf path;   /* "spec.containers[0].name", for reports */
	struct buf fields; /* "spec.containers.name", for Go-like messages */
	const char *kind, *version;
	struct status *err;
};

/* ---- reports ---- */

/* Each thing is told once, however often it occurs. */
static void add_message(struct decode_report *r, const char *message)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->messages[i], message))
			return;
	if (r->n < DECODE_REPORTS_MAX)
		r->messages[r->n++] = message;
}

void decode_report_unknown(struct decode_report *r, const char *before, const char *path)
{
	add_message(r, arena_printf(r->arena, "%sunknown field \"%s\"", before, path));
}

static void add_duplicate(struct decode_report *r, const char *before, const char *path)
{
	add_message(r, arena_printf(r->arena, "%sduplicate field \"%s\"", before, path));
}

void decode_report_duplicate(void *report, const char *path)
{
	struct decode_report *r = report;
	if (r->n_repeated < DECODE_REPORTS_MAX)
		r->repeated[r->n_repeated++] = arena_strdup(r->arena, path);
}

void decode_report_yaml(struct decode_report *r, size_t line, const char *path)
{
	const char *dot = strrchr(path, '.');
	size_t n = r->n;
	add_message(r, arena_printf(r->arena, "line %zu: key \"%s\" already set in map", line, dot ? dot + 1 : path));
	r->n_yaml += r->n - n;
}

void decode_report_repeated(struct decode_report *r, const char *before)
{
	for (size_t i = 0; i < r->n_repeated; i++)
		add_duplicate(r, before, r->repeated[i]);
	r->n_repeated = 0;
}

/* The member at path is known: was its key there before? */
static void report_repeated(struct decode_report *r, const char *path)
{
	for (size_t i = 0; r && i < r->n_repeated; i++) {
		if (!str_eq(r->repeated[i], path))
			continue;
		add_duplicate(r, "", path);
		r->repeated[i] = "";
	}
}

static bool is_below(const char *path, const char *above)
{
	const char *rest = str_after(path, above);
	return rest && (!*rest || *rest == '.' || *rest == '[');
}

/* Repeated keys at path or below, where nothing is looked at any more; tell: they count, since their field is known. */
static void report_below(struct decode_report *r, const char *path, bool tell)
{
	for (size_t i = 0; r && i < r->n_repeated; i++) {
		if (!is_below(r->repeated[i], path))
			continue;
		if (tell)
			add_duplicate(r, "", r->repeated[i]);
		r->repeated[i] = "";
	}
}

const char *decode_report_text(const struct decode_report *r)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "strict decoding error: ");
	for (size_t i = 0; i < r->n; i++) {
		if (i < r->n_yaml)
			buf_addf(&b, "%s\n  %s", i ? "" : "yaml: unmarshal errors:", r->messages[i]);
		else
			buf_addf(&b, "%s%s", i ? ", " : "", r->messages[i]);
	}
	return arena_strdup(r->arena, buf_str(&b));
}

int decode_report_status(const struct decode_report *report, struct status *err)
{
	return report->n ? status_set(err, 400, "%s", decode_report_text(report)) : 0;
}

/* ---- errors ---- */

static int refuse(struct decoder *d, const char *why)
{
	return status_set(d->err, 400, "%s in version \"%s\" cannot be handled as a %s: %s", d->kind, d->version,
			  d->kind, why);
}

/* "io.k8s.api.apps.v1.DeploymentSpec" -> "DeploymentSpec", or with its package "v1.DeploymentSpec" */
static const char *short_name(const char *name, bool with_package)
{
	const char *dot = strrchr(name, '.');

	if (!dot)
		return name;
	if (with_package)
		while (dot > name && dot[-1] != '.')
			dot--;
	return with_package ? dot : dot + 1;
}

static void add_element_name(struct buf *b, const struct field *f)
{
	static const char *const names[] = {
	    [FIELD_STRING] = "string",
	    [FIELD_BYTES] = "[]uint8",
	    [FIELD_BOOL] = "bool",
	    [FIELD_INT32] = "int32",
	    [FIELD_INT64] = "int64",
	    [FIELD_UINT32] = "uint32",
	    [FIELD_UINT64] = "uint64",
	    [FIELD_FLOAT] = "float32",
	    [FIELD_DOUBLE] = "float64",
	    [FIELD_TIME] = "v1.Time",
	    [FIELD_MICRO_TIME] = "v1.MicroTime",
	    [FIELD_DURATION] = "v1.Duration",
	    [FIELD_QUANTITY] = "resource.Quantity",
	    [FIELD_INT_OR_STRING] = "intstr.IntOrString",
	    [FIELD_RAW] = "runtime.RawExtension",
	    [FIELD_FIELDS_V1] = "v1.FieldsV1",
	    [FIELD_JSON] = "v1.JSON",
	};
	if (f->kind == FIELD_STRUCT)
		buf_adds(b, f->type ? short_name(f->type->name, true) : "struct");
	else if (f->kind < ARRAY_SIZE(names))
		buf_adds(b, names[f->kind]);
}

const char *decode_type_name(const struct json *v)
{
	static const char *const names[] = {[JSON_NULL] = "null",     [JSON_BOOL] = "bool",   [JSON_NUMBER] = "number",
					    [JSON_STRING] = "string", [JSON_ARRAY] = "array", [JSON_OBJECT] = "object"};
	return names[v ? v->type : JSON_NULL];
}

/* level: how many of the field's containers (list, map) the value is already inside of. */
static int wrong_type(struct decoder *d, const struct type *in, const struct field *f, int level, const struct json *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_addf(&b, "json: cannot unmarshal %s", decode_type_name(v));
	if (v->type == JSON_NUMBER && f->kind >= FIELD_INT32 && f->kind <= FIELD_UINT64)
		buf_addf(&b, " %.*s", (int)MIN_OF(v->len, 64u), v->str);
	buf_addf(&b, " into Go struct field %s.%s of type ", short_name(in->name, false), buf_str(&d->fields));
	if (level <= 0 && f->shape == SHAPE_LIST)
		buf_adds(&b, "[]");
	if (level <= 0 && f->shape == SHAPE_MAP)
		buf_adds(&b, "map[string]");
	if (level <= 1 && f->shape == SHAPE_MAP_OF_LISTS)
		buf_adds(&b, level ? "[]" : "map[string][]");
	add_element_name(&b, f);
	return refuse(d, buf_str(&b));
}

/* ---- scalars ---- */

struct place { /* of the value at hand, for messages */
	const struct type *in;
	const struct field *field;
	int level;
};

static int decode_int(struct decoder *d, const struct place *p, struct json *v)
{
	static const struct {
		int64_t min, max;
	} range[] = {[FIELD_INT32] = {INT32_MIN, INT32_MAX},
		     [FIELD_INT64] = {INT64_MIN, INT64_MAX},
		     [FIELD_UINT32] = {0, UINT32_MAX}};
	int64_t n;
	uint64_t u;
	bool fits;

	if (v->type != JSON_NUMBER)
		return wrong_type(d, p->in, p->field, p->level, v);
	if (p->field->kind == FIELD_UINT64)
		fits = parse_u64(v->str, &u) == 0;
	else
		fits = parse_int_range(v->str, range[p->field->kind].min, range[p->field->kind].max, &n) == 0;
	if (!fits)
		return wrong_type(d, p->in, p->field, p->level, v);
	if (str_eq(v->str, "-0"))
		*v = (struct json){
		    .next = v->next, .key = v->key, .key_len = v->key_len, .type = JSON_NUMBER, .str = "0", .len = 1};
	return 0;
}

static void set_string(struct decoder *d, struct json *v, const char *s)
{
	v->type = JSON_STRING;
	v->str = arena_strdup(d->arena, s);
	v->len = (uint32_t)strlen(s);
}

/* What Go says of text that is no time of its layout. */
static const char *time_problem(struct arena *a, const char *s, bool micro)
{
	static const char *const elements[] = {"2006", "-", "01", "-", "02", "T",
					       "15",   ":", "04", ":", "05", ".000000"};
	const char *at = s, *bad = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(elements) - !micro && !bad; i++) {
		size_t n = strlen(elements[i]);
		for (size_t k = 0; k < n && !bad; k++) {
			bool digit = elements[i][k] >= '0' && elements[i][k] <= '9';
			if (digit ? at[k] < '0' || at[k] > '9' : at[k] != elements[i][k])
				bad = elements[i];
		}
		at += bad ? 0 : n;
	}
	if (!bad && !micro && *at == '.')
		at += 1 + strspn(at + 1, "0123456789");
	if (!bad && *at != 'Z' && *at != '+' && *at != '-')
		bad = "Z07:00";
	if (!bad)
		return arena_printf(a, "parsing time \"%.64s\": day out of range", s);
	return arena_printf(
	    a, "parsing time \"%.64s\" as \"2006-01-02T15:04:05%sZ07:00\": cannot parse \"%.64s\" as \"%s\"", s,
	    micro ? ".000000" : "", at, bad);
}

#define MICRO_TIME_SECONDS (sizeof("2006-01-02T15:04:05") - 1)

/* Of a MicroTime, all six digits must be there. */
static bool has_micros(const char *s)
{
	return strlen(s) > MICRO_TIME_SECONDS && s[MICRO_TIME_SECONDS] == '.' &&
	       strspn(s + MICRO_TIME_SECONDS + 1, "0123456789") == 6;
}

static int decode_time(struct decoder *d, const struct place *p, struct json *v)
{
	char text[TIME_RFC3339_MAX];
	int64_t ns;

	if (v->type != JSON_STRING)
		return wrong_type(d, p->in, p->field, p->level, v);
	bool micro = p->field->kind == FIELD_MICRO_TIME;
	if (strlen(v->str) != v->len || time_parse(v->str, &ns) < 0 || (micro && !has_micros(v->str)))
		return refuse(d, time_problem(d->arena, v->str, micro));
	set_string(d, v, p->field->kind == FIELD_TIME ? time_format(ns, text) : time_format_micro(ns, text));
	return 0;
}

static int decode_duration(struct decoder *d, const struct place *p, struct json *v)
{
	char text[DURATION_TEXT_MAX];
	long long ns;

	if (v->type != JSON_STRING)
		return wrong_type(d, p->in, p->field, p->level, v);
	if (strlen(v->str) != v->len || duration_parse(v->str, &ns) < 0) {
		_cleanup_buf_ struct buf why = BUF_INIT;
		buf_addf(&why, "time: invalid duration \"%.64s\"", v->str);
		return refuse(d, buf_str(&why));
	}
	set_string(d, v, duration_format(ns, text));
	return 0;
}

static int decode_quantity(struct decoder *d, struct json *v)
{
	struct quantity q;
	char text[QUANTITY_TEXT_MAX];

	if (quantity_from_json(v, &q) < 0)
		return refuse(d, "quantities must match the regular expression "
				 "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	set_string(d, v, quantity_format(&q, text));
	return 0;
}

static int decode_int_or_string(struct decoder *d, const struct place *p, struct json *v)
{
	int64_t n;

	if (v->type == JSON_STRING)
		return 0;
	if (v->type != JSON_NUMBER || parse_int_range(v->str, INT32_MIN, INT32_MAX, &n) < 0)
		return wrong_type(d, p->in, p->field, p->level, v);
	return 0;
}

/* Where Go's decoder gives up: at the first byte that is none of the alphabet's, or at the last group, which is not
 * whole. */
static size_t base64_bad_byte(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

	return s[n] ? n : n - n % 4;
}

static int decode_bytes(struct decoder *d, const struct place *p, struct json *v)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;

	if (v->type != JSON_STRING)
		return wrong_type(d, p->in, p->field, p->level, v);
	if (memchr(v->str, '\n', v->len) || memchr(v->str, '\r', v->len)) { /* line breaks are allowed, and not kept */
		char *packed = arena_alloc(d->arena, v->len + 1);
		uint32_t n = 0;
		for (uint32_t i = 0; i < v->len; i++)
			if (v->str[i] != '\n' && v->str[i] != '\r')
				packed[n++] = v->str[i];
		packed[n] = 0;
		v->str = packed;
		v->len = n;
	}
	if (base64_decode(&bytes, v->str, v->len) < 0)
		return refuse(d,
			      arena_printf(d->arena, "illegal base64 data at input byte %zu", base64_bad_byte(v->str)));
	return 0;
}

static int decode_struct(struct decoder *d, const struct type *t, struct json *v);

static int decode_element(struct decoder *d, const struct place *p, struct json *v)
{
	const struct field *f = p->field;

	switch ((enum field_kind)f->kind) {
	case FIELD_STRING:
		return v->type == JSON_STRING ? 0 : wrong_type(d, p->in, f, p->level, v);
	case FIELD_BOOL:
		return v->type == JSON_BOOL ? 0 : wrong_type(d, p->in, f, p->level, v);
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT32:
	case FIELD_UINT64:
		return decode_int(d, p, v);
	case FIELD_FLOAT:
	case FIELD_DOUBLE:
		return v->type == JSON_NUMBER ? 0 : wrong_type(d, p->in, f, p->level, v);
	case FIELD_BYTES:
		return decode_bytes(d, p, v);
	case FIELD_TIME:
	case FIELD_MICRO_TIME:
		return decode_time(d, p, v);
	case FIELD_DURATION:
		return decode_duration(d, p, v);
	case FIELD_QUANTITY:
		return decode_quantity(d, v);
	case FIELD_INT_OR_STRING:
		return decode_int_or_string(d, p, v);
	case FIELD_STRUCT:
		if (v->type != JSON_OBJECT)
			return wrong_type(d, p->in, f, p->level, v);
		return f->type ? decode_struct(d, f->type, v) : 0;
	case FIELD_FIELDS_V1:
		return v->type == JSON_OBJECT ? 0 : wrong_type(d, p->in, f, p->level, v);
	case FIELD_RAW:
	case FIELD_JSON:
	case FIELD_VERBS:
		return 0;
	}
	return 0;
}

/* Gives a null element its type's zero value, as Go's decoder leaves it. */
static void zero_element(const struct field *f, struct json *v)
{
	v->len = 0;
	v->last = NULL;
	if (f->kind == FIELD_STRUCT) {
		v->type = JSON_OBJECT;
	} else if (f->kind == FIELD_STRING || f->kind == FIELD_BYTES) {
		v->type = JSON_STRING;
		v->str = "";
	} else if (f->kind == FIELD_BOOL) {
		v->type = JSON_BOOL;
		v->boolean = false;
	} else if ((f->kind >= FIELD_INT32 && f->kind <= FIELD_DOUBLE) || f->kind == FIELD_INT_OR_STRING) {
		v->type = JSON_NUMBER;
		v->str = "0";
		v->len = 1;
	} else if (f->kind == FIELD_QUANTITY) {
		v->type = JSON_STRING;
		v->str = "0";
		v->len = 1;
	}
}

/* For each member of each object that is read. */
static void add_key(struct buf *path, const struct json *member)
{
	if (path->len)
		buf_addc(path, '.');
	buf_add(path, member->key, member->key_len);
}

/* v is of the field's shape from `level` on: elements of lists and maps are decoded one by one. */
static int decode_shape(struct decoder *d, const struct place *p, struct json *v)
{
	const struct field *f = p->field;
	bool map = p->level == 0 && (f->shape == SHAPE_MAP || f->shape == SHAPE_MAP_OF_LISTS);
	bool list = (p->level == 0 && f->shape == SHAPE_LIST) || (p->level == 1 && f->shape == SHAPE_MAP_OF_LISTS);
	struct place inner = {p->in, f, p->level + 1};
	size_t path_len = d->path.len, i = 0;

	if (!map && !list)
		return decode_element(d, p, v);
	if (v->type != (map ? JSON_OBJECT : JSON_ARRAY))
		return wrong_type(d, p->in, f, p->level, v);
	JSON_EACH(c, v) {
		if (map)
			add_key(&d->path, c);
		else
			buf_addf(&d->path, "[%zu]", i++);
		if (c->type == JSON_NULL && !(map && p->level == 0 && f->shape == SHAPE_MAP_OF_LISTS))
			zero_element(f, c);
		if (c->type != JSON_NULL && decode_shape(d, &inner, c) < 0)
			return -1;
		d->path.len = path_len;
	}
	return 0;
}

/* ---- structs ---- */

/*
 * Left out: what Go's JSON omits, and what Go's structs cannot tell from nothing, so that an object has one form. What
 * a pointer points to never is.
 */
static bool is_omitted(const struct field *f, const struct json *v)
{
	if (!f->omit_empty)
		return false;
	if (f->shape != SHAPE_SINGLE) /* an empty list of managedFields asks for a reset (apply.c takes it out) */
		return v->len == 0 && !str_eq(f->name, "managedFields");
	if (f->pointer)
		return false;
	switch ((enum field_kind)f->kind) {
	case FIELD_STRING:
	case FIELD_BYTES:
		return v->len == 0;
	case FIELD_BOOL:
		return !v->boolean;
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT32:
	case FIELD_UINT64:
	case FIELD_FLOAT:
	case FIELD_DOUBLE:
		return json_double(v, 1) == 0;
	case FIELD_STRUCT:
		return v->len == 0;
	case FIELD_INT_OR_STRING:
		return v->type == JSON_NUMBER && str_eq(v->str, "0");
	case FIELD_QUANTITY:
		return str_eq(v->str, "0");
	default:
		return false;
	}
}

struct filler {
	struct arena *arena;
	bool settle, nulls;
};

static void fill_struct(struct filler *fill, const struct type *t, struct json *v, int depth);

/* Go structs in Go, whatever their JSON is: omitempty never omits them. creationTimestamp is the one with omitzero. */
static bool is_go_struct(const struct field *f)
{
	return f->kind == FIELD_STRUCT || f->kind == FIELD_QUANTITY || f->kind == FIELD_INT_OR_STRING ||
	       f->kind == FIELD_RAW || f->kind == FIELD_MICRO_TIME ||
	       (f->kind == FIELD_TIME && !str_eq(f->name, "creationTimestamp"));
}

/* What Go writes for an absent field: the zero value, null for a list, map or pointer, unless it has omitempty. */
static struct json *absent_value(struct filler *fill, const struct field *f, int depth)
{
	struct arena *a = fill->arena;

	if (f->pointer || f->shape != SHAPE_SINGLE)
		return f->omit_empty || !fill->nulls ? NULL : json_new(a, JSON_NULL);
	if (f->omit_empty && !is_go_struct(f))
		return NULL;
	switch ((enum field_kind)f->kind) {
	case FIELD_STRING:
		return json_new_str(a, "");
	case FIELD_BOOL:
		return json_new_bool(a, false);
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT32:
	case FIELD_UINT64:
		return json_new_int(a, 0);
	case FIELD_QUANTITY:
		return json_new_str(a, "0");
	case FIELD_INT_OR_STRING:
		return json_new_int(a, 0);
	case FIELD_TIME:
	case FIELD_MICRO_TIME: /* an Event's eventTime */
	case FIELD_RAW:
		return json_new(a, JSON_NULL);
	case FIELD_STRUCT: {
		struct json *v = json_new(a, JSON_OBJECT);
		fill_struct(fill, f->type, v, depth - 1);
		return v;
	}
	default:
		return NULL;
	}
}

#define ZERO_DEPTH_MAX 8 /* structs within structs that are written even when empty; more than any type has */

/* Moves the members of from to to in the order of the table. */
static void order_members(struct decoder *d, const struct type *t, struct json *from, struct json *to)
{
	struct filler fill = {.arena = d->arena};

	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		if (f->embedded) {
			order_members(d, f->type, from, to);
			continue;
		}
		struct json *v = json_get(from, f->name);
		if (v) {
			json_remove_child(from, v);
			json_append(to, v);
		} else if (!d->applied && !f->omit_empty && (v = absent_value(&fill, f, ZERO_DEPTH_MAX)) &&
			   v->type != JSON_NULL) {
			v->key = f->name;
			v->key_len = (uint32_t)strlen(f->name) & 0xffffff;
			json_append(to, v);
		}
	}
}

static int decode_member(struct decoder *d, const struct type *t, struct json *v, struct json *m)
{
	const struct field *f = type_field_n(t, m->key, m->key_len);
	size_t path_len = d->path.len, fields_len = d->fields.len;

	add_key(&d->path, m);
	if (f)
		report_repeated(d->report, buf_str(&d->path));
	if (!f) {
		if (d->report)
			decode_report_unknown(d->report, "", buf_str(&d->path));
		report_below(d->report, buf_str(&d->path), false);
		json_remove_child(v, m);
	} else if (m->type == JSON_NULL && f->kind != FIELD_JSON) {
		json_remove_child(v, m);
	} else {
		struct place p = {t, f, 0};
		add_key(&d->fields, m);
		if (decode_shape(d, &p, m) < 0)
			return -1;
		if (d->report && d->report->n_repeated && f->kind != FIELD_STRUCT)
			report_below(d->report, buf_str(&d->path), true); /* of labels, of free-form values */
		if (f->off || (!d->applied && is_omitted(f, m)))
			json_remove_child(v, m);
	}
	d->path.len = path_len;
	d->fields.len = fields_len;
	return 0;
}

static int decode_struct(struct decoder *d, const struct type *t, struct json *v)
{
	for (struct json *m = json_first(v), *next; m; m = next) {
		next = json_next(v, m);
		if (decode_member(d, t, v, m) < 0)
			return -1;
	}
	struct json *ordered = json_new(d->arena, JSON_OBJECT);
	order_members(d, t, v, ordered);
	json_replace(v, ordered);
	return 0;
}

static int decode(struct decoder *d, const struct type *type, struct json *tree, struct json **ret)
{
	int result = 0;

	if (!json_is(tree, JSON_OBJECT))
		return refuse(d, "json: cannot unmarshal into Go value: an object is expected");
	if (type)
		result = decode_struct(d, type, tree);
	buf_release(&d->path);
	buf_release(&d->fields);
	if (result == 0)
		*ret = tree;
	return result;
}

int decode_object(struct arena *a, const struct type *type, const char *kind, const char *version, struct json *tree,
		  struct decode_report *report, struct json **ret, struct status *err)
{
	struct decoder d = {.arena = a, .report = report, .kind = kind, .version = version, .err = err};
	return decode(&d, type, tree, ret);
}

/* ---- what is there although nobody said it ---- */

static void fill_field(struct filler *fill, const struct field *f, struct json *in, struct json *v)
{
	bool hollow = f->shape == SHAPE_SINGLE ? f->pointer && v->type == JSON_NULL : v->type == JSON_NULL || !v->len;

	if (hollow && fill->settle && !f->omit_empty) {
		json_remove_child(in, v);
		return;
	}
	if (f->kind != FIELD_STRUCT)
		return;
	if (f->shape == SHAPE_SINGLE && v->type == JSON_OBJECT)
		fill_struct(fill, f->type, v, ZERO_DEPTH_MAX);
	else if (f->shape != SHAPE_SINGLE)
		JSON_EACH(c, v)
			if (c->type == JSON_OBJECT)
				fill_struct(fill, f->type, c, ZERO_DEPTH_MAX);
}

static void fill_struct(struct filler *fill, const struct type *t, struct json *v, int depth)
{
	for (uint32_t i = 0; t && depth && i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		struct json *member;
		if (f->embedded)
			fill_struct(fill, f->type, v, depth);
		else if ((member = json_get(v, f->name)))
			fill_field(fill, f, v, member);
		else if ((member = absent_value(fill, f, depth)))
			json_set(fill->arena, v, f->name, member);
	}
}

static void fill_tree(struct filler fill, const struct type *type, struct json *tree)
{
	if (type && json_is(tree, JSON_OBJECT))
		fill_struct(&fill, type, tree, ZERO_DEPTH_MAX);
}

void decode_fill(struct arena *a, const struct type *type, struct json *tree)
{
	fill_tree((struct filler){.arena = a}, type, tree);
}

void decode_settle(struct arena *a, const struct type *type, struct json *tree)
{
	fill_tree((struct filler){.arena = a, .settle = true}, type, tree);
}

void decode_finish(struct arena *a, const struct type *type, struct json *tree)
{
	fill_tree((struct filler){.arena = a, .nulls = true}, type, tree);
}

int decode_applied(struct arena *a, const struct type *type, const char *kind, const char *version, struct json *tree,
		   struct decode_report *report, struct json **ret, struct status *err)
{
	struct decoder d = {
	    .arena = a, .report = report, .applied = true, .kind = kind, .version = version, .err = err};
	return decode(&d, type, tree, ret);
}
