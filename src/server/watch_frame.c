/* SPDX-License-Identifier: Apache-2.0 */
#include "server/watch_frame.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "api/table.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/encode.h"
#include "server/registry.h"
#include "server/server_internal.h"

#define FRAME_CACHE_SLOTS 64 /* changes of one commit that several watches are told of in turn */

static const char *const type_names[] = {
    [FRAME_ADDED] = "ADDED",	   [FRAME_MODIFIED] = "MODIFIED", [FRAME_DELETED] = "DELETED",
    [FRAME_BOOKMARK] = "BOOKMARK", [FRAME_ERROR] = "ERROR",
};

/* ---- the cache ---- */

struct frame_slot {
	struct object *obj;
	const struct resource *row;
	enum frame_type type;
	enum output_format format;
	enum output_as as;
	const char *as_version;
	struct bytes *frame;
};

struct frame_cache {
	struct frame_slot slots[FRAME_CACHE_SLOTS];
	struct loop_defer *clear; /* frames are for one turn: an idle server keeps none */
};

static void frame_cache_clear(void *arg)
{
	struct frame_cache *c = arg;
	for (size_t i = 0; i < FRAME_CACHE_SLOTS; i++) {
		struct frame_slot *s = &c->slots[i];
		object_unref(s->obj);
		bytes_unref(s->frame);
		*s = (struct frame_slot){0};
	}
}

struct frame_cache *frame_cache_new(struct loop *l)
{
	struct frame_cache *c = NEW(struct frame_cache);
	c->clear = loop_defer_new(l, frame_cache_clear, c);
	return c;
}

void frame_cache_free(struct frame_cache *c)
{
	if (!c)
		return;
	frame_cache_clear(c);
	loop_defer_free(c->clear);
	free(c);
}

/* ---- making ---- */

static struct bytes *json_frame(enum frame_type type, const char *object, size_t len)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	buf_addf(&out, "{\"type\":\"%s\",\"object\":", type_names[type]);
	buf_add(&out, object, len);
	buf_adds(&out, "}\n");
	return bytes_from_buf(&out);
}

static struct bytes *tree_frame(const struct frame_form *f, enum frame_type type, const struct json *tree)
{
	_cleanup_buf_ struct buf object = BUF_INIT, out = BUF_INIT;
	if (f->request->out.format != OUTPUT_PROTOBUF) {
		json_write(&object, tree);
		return json_frame(type, object.data, object.len);
	}
	if (protobuf_encode(tree, NULL, &object) < 0)
		return NULL;
	protobuf_watch_frame(type_names[type], buf_str(&object), object.len, &out);
	return bytes_from_buf(&out);
}

static struct bytes *table_frame(struct frame_form *f, enum frame_type type, struct object *o)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct table_meta m = {.rev = o->rev, .remaining = -1, .no_columns = f->columns_sent};
	encode_table_object(f->request, o, &m, &out);
	f->columns_sent = true;
	return json_frame(type, out.data, out.len);
}

static struct bytes *make_frame(const struct frame_form *f, enum frame_type type, struct object *o)
{
	const struct output *form = &f->request->out;
	if (form->as == AS_OBJECT && form->format == OUTPUT_JSON) {
		_cleanup_bytes_ struct bytes *json = registry_bytes(o, f->row);
		return json_frame(type, json->data, json->len);
	}
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = registry_tree(o, f->row, &a);
	if (form->as != AS_OBJECT)
		tree = partial_metadata(&a, tree, str_or(form->as_version, "v1"));
	return tree_frame(f, type, tree);
}

struct bytes *frame_object(struct frame_form *f, enum frame_type type, struct object *o)
{
	const struct output *form = &f->request->out;
	if (form->as == AS_TABLE)
		return table_frame(f, type, o);
	struct frame_cache *c = f->request->server->frames;
	struct frame_slot *s = &c->slots[o->rev % FRAME_CACHE_SLOTS];
	if (s->obj == o && s->row == f->row && s->type == type && s->format == form->format && s->as == form->as &&
	    str_eq(s->as_version, form->as_version))
		return bytes_ref(s->frame);
	struct bytes *frame = make_frame(f, type, o);
	if (!frame)
		return NULL;
	object_unref(s->obj);
	bytes_unref(s->frame);
	/* as_version is one of negotiate's constants. */
	*s = (struct frame_slot){object_ref(o),	   f->row,	    type, form->format, form->as,
				 form->as_version, bytes_ref(frame)};
	loop_defer_schedule(c->clear);
	return frame;
}

struct bytes *frame_bookmark(struct frame_form *f, uint64_t rev, bool initial_end)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf version = BUF_INIT;
	enum output_as as = f->request->out.as;
	struct json *o = json_new(&a, JSON_OBJECT), *meta;
	bool partial = as == AS_PARTIAL || as == AS_PARTIAL_LIST;
	resource_api_version(f->row, &version);
	json_set_str(&a, o, "kind", partial ? "PartialObjectMetadata" : f->row->kind);
	json_set(&a, o, "apiVersion",
		 partial ? json_new_strf(&a, "meta.k8s.io/%s", str_or(f->request->out.as_version, "v1"))
			 : json_new_str(&a, buf_str(&version)));
	meta = json_set(&a, o, "metadata", json_new(&a, JSON_OBJECT));
	json_set(&a, meta, "resourceVersion", json_new_strf(&a, "%" PRIu64, rev));
	if (initial_end)
		json_set_str(&a, json_object_in(&a, meta, "annotations"), "k8s.io/initial-events-end", "true");
	if (as != AS_TABLE)
		return tree_frame(f, FRAME_BOOKMARK, o);
	struct object *obj = object_from_tree(f->row, "", rev, o);
	struct bytes *frame = table_frame(f, FRAME_BOOKMARK, obj);
	object_unref(obj);
	return frame;
}

struct bytes *frame_error(struct frame_form *f, const struct status *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *tree;
	status_write_json(err, &text);
	if (json_parse(&a, buf_str(&text), text.len, &tree, NULL) < 0)
		return NULL;
	return tree_frame(f, FRAME_ERROR, tree);
}
