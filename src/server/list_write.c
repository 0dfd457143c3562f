/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list in JSON is a frame around the stored bytes of its objects: nothing is encoded again. Tables, metadata alone
 * and protobuf are made object by object, of large lists in a worker thread; YAML and indented JSON, which people ask
 * for, of one tree.
 */
#include "server/list_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "api/table.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "server/audit.h"
#include "server/encode.h"
#include "server/offload.h"
#include "server/registry.h"
#include "server/server_internal.h"

#define PART_BYTES (256 * 1024) /* what is encoded is kept in pieces of about this size */

static bool is_partial(const struct output *o)
{
	return o->as == AS_PARTIAL_LIST || o->as == AS_PARTIAL;
}

/* ---- the frame ---- */

static void write_list_meta(struct buf *out, const struct table_meta *m)
{
	buf_addf(out, "{\"resourceVersion\":\"%" PRIu64 "\"", m->rev);
	if (m->next)
		buf_addf(out, ",\"continue\":\"%s\"", m->next);
	if (m->next && m->remaining > 0)
		buf_addf(out, ",\"remainingItemCount\":%" PRId64, m->remaining);
	buf_addc(out, '}');
}

/* Up to the items. */
static void write_list_head(const struct resource *row, const struct output *form, const struct table_meta *m,
			    struct buf *out)
{
	_cleanup_buf_ struct buf version = BUF_INIT;
	if (is_partial(form)) {
		buf_addf(out, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":",
			 str_or(form->as_version, "v1"));
	} else {
		resource_api_version(row, &version);
		buf_addf(out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":", row->kind, buf_str(&version));
	}
	write_list_meta(out, m);
	buf_adds(out, ",\"items\":[");
}

static struct json *head_tree(struct arena *a, const struct resource *row, const struct output *form,
			      const struct table_meta *m)
{
	_cleanup_buf_ struct buf head = BUF_INIT;
	struct json *list = NULL;
	write_list_head(row, form, m, &head);
	buf_adds(&head, "]}");
	json_parse(a, buf_str(&head), head.len, &list, NULL);
	return list;
}

/* ---- stored bytes ---- */

/* Head, objects with commas between, tail. */
static void reply_shared(struct request *r, struct object *const *found, size_t n_found, const struct table_meta *m)
{
	static const struct output json = {0};
	_cleanup_buf_ struct buf head = BUF_INIT;
	_cleanup_bytes_ struct bytes *comma = bytes_new(",", 1), *tail = bytes_new("]}\n", 3);
	struct bytes **parts = xcalloc(n_found * 2 + 2, sizeof(*parts));
	size_t n = 0;
	write_list_head(r->route.resource, &json, m, &head);
	parts[n++] = bytes_from_buf(&head);
	for (size_t i = 0; i < n_found; i++) {
		if (n > 1)
			parts[n++] = bytes_ref(comma);
		parts[n++] = registry_bytes(found[i], r->route.resource);
	}
	parts[n++] = bytes_ref(tail);
	reply_parts(r, 200, "application/json", parts, n);
	for (size_t i = 0; i < n; i++)
		bytes_unref(parts[i]);
	free(parts);
}

/* ---- one tree ---- */

static void reply_list_tree(struct request *r, struct object *const *found, size_t n, const struct table_meta *m)
{
	bool partial = is_partial(&r->out);
	struct json *list = head_tree(&r->arena, r->route.resource, &r->out, m), *items = json_get(list, "items");
	for (size_t i = 0; i < n; i++) {
		struct json *tree = registry_tree(found[i], r->route.resource, &r->arena);
		json_append(items, partial ? partial_metadata(&r->arena, tree, str_or(r->out.as_version, "v1")) : tree);
	}
	r->out.as = AS_OBJECT;
	reply_tree(r, 200, list);
}

/* ---- object by object ---- */

struct encoding;

/* One after the other, in whatever thread. */
struct form {
	void (*begin)(struct encoding *e);
	int (*item)(struct encoding *e, const struct object *o, struct arena *a);
	void (*end)(struct encoding *e);
};

/* Everything that the thread needs; nothing of the request's. */
struct encoding {
	struct arena arena;
	const struct form *form;
	const struct resource *row;
	struct output out;
	struct table_meta meta;
	VEC(struct object *) objects;
	size_t n; /* that are encoded */
	int result;
	struct buf making;
	VEC(struct bytes *) parts;
	size_t bytes; /* of parts */

	struct table table;
	enum table_include include;
	int64_t now_ns;
	const struct type *item_type; /* of protobuf */
};

static void keep_part(struct encoding *e)
{
	e->bytes += e->making.len;
	if (e->making.len)
		VEC_PUSH(&e->parts, bytes_from_buf(&e->making));
}

static void table_form_begin(struct encoding *e)
{
	table_begin(&e->table, e->row, NULL, 0, e->include, str_or(e->out.as_version, "v1"), &e->meta, &e->making);
}

static int table_form_item(struct encoding *e, const struct object *o, struct arena *a)
{
	(void)a;
	table_row(&e->table, o, e->now_ns, &e->making);
	return 0;
}

static void table_form_end(struct encoding *e)
{
	table_end(&e->table, &e->making);
}

static void partial_begin(struct encoding *e)
{
	write_list_head(e->row, &e->out, &e->meta, &e->making);
}

static int partial_item(struct encoding *e, const struct object *o, struct arena *a)
{
	if (e->n)
		buf_addc(&e->making, ',');
	json_write(&e->making, partial_metadata(a, object_tree(o, a), str_or(e->out.as_version, "v1")));
	return 0;
}

static void partial_end(struct encoding *e)
{
	buf_adds(&e->making, "]}\n");
}

/* The first part is the envelope's beginning, which says how long everything is: its place is kept until that is known.
 */
static void protobuf_begin(struct encoding *e)
{
	VEC_PUSH(&e->parts, NULL);
}

static int protobuf_item(struct encoding *e, const struct object *o, struct arena *a)
{
	struct json *tree = registry_tree(o, e->row, a);
	if (is_partial(&e->out))
		tree = partial_metadata(a, tree, str_or(e->out.as_version, "v1"));
	return protobuf_list_item(tree, e->item_type, &e->making);
}

static void protobuf_end(struct encoding *e)
{
	_cleanup_buf_ struct buf head = BUF_INIT;
	keep_part(e);
	if (e->result == 0)
		e->result = protobuf_list_head(head_tree(&e->arena, e->row, &e->out, &e->meta), e->bytes, &head);
	protobuf_list_tail(&e->making);
	e->parts.at[0] = bytes_from_buf(&head);
}

static const struct form table_form = {table_form_begin, table_form_item, table_form_end},
			 partial_form = {partial_begin, partial_item, partial_end},
			 protobuf_form = {protobuf_begin, protobuf_item, protobuf_end};

static void encode(void *arg)
{
	struct encoding *e = arg;
	e->form->begin(e);
	for (; e->n < e->objects.n && e->result == 0; e->n++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		e->result = e->form->item(e, e->objects.at[e->n], &a);
		if (e->making.len >= PART_BYTES)
			keep_part(e);
	}
	e->form->end(e);
	keep_part(e);
}

/* In the loop again. r NULL: nobody waits for it any more. */
static void encoded(void *arg, struct request *r)
{
	struct encoding *e = arg;
	if (r &&
	    e->result < 0) { /* a value doesn't fit its message: JSON, which whoever asks for protobuf takes, too */
		r->out.format = OUTPUT_JSON;
		list_reply(r, e->objects.at, e->objects.n, &e->meta);
	} else if (r) {
		enum output_format format = e->form == &protobuf_form ? OUTPUT_PROTOBUF : OUTPUT_JSON;
		reply_parts(r, 200, output_content_type(format), e->parts.at, e->parts.n);
	}
	VEC_EACH(o, &e->objects)
		object_unref(*o);
	VEC_EACH(b, &e->parts)
		bytes_unref(*b);
	VEC_RELEASE(&e->objects);
	VEC_RELEASE(&e->parts);
	buf_release(&e->making);
	arena_release(&e->arena);
	free(e);
}

static void reply_encoded(struct request *r, const struct form *form, struct object *const *found, size_t n,
			  const struct table_meta *m)
{
	struct encoding *e = NEW(struct encoding);
	size_t bytes = 0;
	e->form = form;
	e->row = r->route.resource;
	e->out = r->out;
	e->meta = *m;
	e->meta.next = arena_strdup(&e->arena, m->next);
	e->now_ns = now_ns();
	e->include = TABLE_METADATA;
	table_include_parse(query_get(&r->query, "includeObject"), &e->include);
	e->item_type = is_partial(&r->out)
			   ? kind_find("meta.k8s.io", str_or(r->out.as_version, "v1"), "PartialObjectMetadata")
			   : e->row->type;
	for (size_t i = 0; i < n; i++) {
		bytes += found[i]->json->len;
		VEC_PUSH(&e->objects, object_ref(found[i]));
	}
	if (bytes >= OFFLOAD_BYTES_MIN) {
		offload(r, encode, encoded, e);
	} else {
		encode(e);
		encoded(e, r);
	}
}

/* Whether there are messages for the list and its items. */
static bool has_messages(const struct request *r)
{
	return is_partial(&r->out)
		   ? kind_find("meta.k8s.io", str_or(r->out.as_version, "v1"), "PartialObjectMetadataList") != NULL
		   : r->route.resource->type && r->route.resource->list_type;
}

void list_reply(struct request *r, struct object *const *found, size_t n, const struct table_meta *m)
{
	bool json = r->out.format == OUTPUT_JSON;
	if (r->gone)
		return;
	if (r->out.as == AS_TABLE)
		reply_encoded(r, &table_form, found, n, m);
	else if (r->out.format == OUTPUT_PROTOBUF && has_messages(r) && !audit_wants_response(r))
		reply_encoded(r, &protobuf_form, found, n, m);
	else if (!json || r->out.pretty)
		reply_list_tree(r, found, n, m);
	else if (is_partial(&r->out))
		reply_encoded(r, &partial_form, found, n, m);
	else
		reply_shared(r, found, n, m);
}
