/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/fieldset.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#define COMPLETE_DEPTH_MAX 16 /* absent structs within absent structs; more than any type has without a pointer */

static void complete_struct(struct arena *a, const struct type *t, struct json *v, int depth);

/* NULL when the field may really be absent. */
static struct json *implied(struct arena *a, const struct field *f, int depth)
{
	if (f->pointer || f->shape != SHAPE_SINGLE)
		return f->omit_empty ? NULL : json_new(a, JSON_NULL);
	switch ((enum field_kind)f->kind) {
	case FIELD_STRUCT: {
		struct json *v = json_new(a, JSON_OBJECT);
		complete_struct(a, f->type, v, depth - 1);
		return v;
	}
	case FIELD_RAW:
		return json_new(a, JSON_NULL);
	case FIELD_TIME:
	case FIELD_MICRO_TIME: /* creationTimestamp is the one with omitzero */
		return str_eq(f->name, "creationTimestamp") ? NULL : json_new(a, JSON_NULL);
	case FIELD_INT_OR_STRING:
		return json_new_int(a, 0);
	case FIELD_QUANTITY:
		return json_new_str(a, "0");
	case FIELD_STRING:
		return f->omit_empty ? NULL : json_new_str(a, "");
	case FIELD_BOOL:
		return f->omit_empty ? NULL : json_new_bool(a, false);
	case FIELD_INT32:
	case FIELD_INT64:
	case FIELD_UINT32:
	case FIELD_UINT64:
	case FIELD_FLOAT:
	case FIELD_DOUBLE:
		return f->omit_empty ? NULL : json_new_int(a, 0);
	case FIELD_BYTES:
		return f->omit_empty ? NULL : json_new(a, JSON_NULL);
	default:
		return NULL;
	}
}

static void complete_present(struct arena *a, const struct field *f, struct json *v, int depth)
{
	if (f->kind != FIELD_STRUCT || !f->type)
		return;
	if (f->shape == SHAPE_SINGLE && v->type == JSON_OBJECT)
		complete_struct(a, f->type, v, depth);
	else if (f->shape != SHAPE_SINGLE)
		JSON_EACH(c, v)
			if (c->type == JSON_OBJECT)
				complete_struct(a, f->type, c, depth);
}

static void complete_struct(struct arena *a, const struct type *t, struct json *v, int depth)
{
	for (uint32_t i = 0; t && depth > 0 && i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		if (f->embedded) {
			complete_struct(a, f->type, v, depth);
			continue;
		}
		struct json *member = json_get(v, f->name);
		if (member)
			complete_present(a, f, member, COMPLETE_DEPTH_MAX);
		else if ((member = implied(a, f, depth)))
			json_add(a, v, f->name, strlen(f->name), member);
	}
}

struct json *fieldset_complete(struct arena *a, const struct type *t, const struct json *value)
{
	struct json *v = value ? json_clone(a, value) : json_new(a, JSON_OBJECT);

	complete_struct(a, t, v, COMPLETE_DEPTH_MAX);
	return v;
}
