/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths and operations of the rows. Upstream's rules give operation ids (readCoreV1NamespacedPod), tags (core_v1) and
 * x-kubernetes-action.
 */
#include <ctype.h>
#include <string.h>

#include "api/openapi_internal.h"
#include "api/resource.h"
#include "api/served_internal.h"
#include "api/type.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/str.h"

#define ID_MAX 512 /* group and version names are at most 253 and 63 characters */

enum scope { SCOPE_ITEM, SCOPE_COLLECTION, SCOPE_ALL_NAMESPACES };

struct op {
	uint32_t verb;
	const char *method, *id, *action;
	enum scope scope;
};

/* In the order of methods that upstream's documents have. */
static const struct op ops[] = {
    {VERB_LIST, "get", "list", "list", SCOPE_COLLECTION},
    {VERB_CREATE, "post", "create", "post", SCOPE_COLLECTION},
    {VERB_DELETECOLLECTION, "delete", "delete", "deletecollection", SCOPE_COLLECTION},
    {VERB_GET, "get", "read", "get", SCOPE_ITEM},
    {VERB_UPDATE, "put", "replace", "put", SCOPE_ITEM},
    {VERB_CREATE, "post", "create", "post", SCOPE_ITEM}, /* of subresources */
    {VERB_DELETE, "delete", "delete", "delete", SCOPE_ITEM},
    {VERB_PATCH, "patch", "patch", "patch", SCOPE_ITEM},
    {VERB_LIST, "get", "list", "list", SCOPE_ALL_NAMESPACES},
};

enum param_use { USE_WRITE = 1, USE_PATCH = 2, USE_LIST = 4, USE_DELETE = 8, USE_COLLECTION = 16 };

static const struct {
	const char *name, *type, *doc;
	int use;
} params[] = {
    {"allowWatchBookmarks", "boolean", "Whether a watch may send BOOKMARK events.", USE_LIST},
    {"continue", "string", "Where an earlier, limited list ended.", USE_LIST | USE_COLLECTION},
    {"dryRun", "string", "All: everything but storing the result.",
     USE_WRITE | USE_PATCH | USE_DELETE | USE_COLLECTION},
    {"fieldManager", "string", "Who is changing the fields.", USE_WRITE | USE_PATCH},
    {"fieldSelector", "string", "Only objects whose fields match.", USE_LIST | USE_COLLECTION},
    {"fieldValidation", "string", "What to do about unknown or duplicate fields: Ignore, Warn or Strict.",
     USE_WRITE | USE_PATCH},
    {"force", "boolean", "Take over fields that others manage (apply only).", USE_PATCH},
    {"gracePeriodSeconds", "integer", "How long the object has to end by itself.", USE_DELETE | USE_COLLECTION},
    {"labelSelector", "string", "Only objects whose labels match.", USE_LIST | USE_COLLECTION},
    {"limit", "integer", "At most this many objects.", USE_LIST | USE_COLLECTION},
    {"orphanDependents", "boolean", "Deprecated: use propagationPolicy.", USE_DELETE | USE_COLLECTION},
    {"propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground.",
     USE_DELETE | USE_COLLECTION},
    {"resourceVersion", "string", "How recent the data must be, or from where to watch.", USE_LIST | USE_COLLECTION},
    {"resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan.",
     USE_LIST | USE_COLLECTION},
    {"sendInitialEvents", "boolean", "Whether a watch begins with the objects there are.", USE_LIST | USE_COLLECTION},
    {"timeoutSeconds", "integer", "When the call ends, however active.", USE_LIST | USE_COLLECTION},
    {"watch", "boolean", "Send changes as they happen.", USE_LIST},
};

static void write_param(struct openapi *o, const char *name, const char *in, const char *type, const char *doc)
{
	struct json_out *w = &o->w;

	json_out_object(w, NULL);
	json_out_opt(w, "description", doc);
	json_out_str(w, "in", in);
	json_out_str(w, "name", name);
	if (str_eq(in, "path"))
		json_out_bool(w, "required", true);
	if (!o->v2)
		json_out_object(w, "schema");
	json_out_str(w, "type", type);
	json_out_bool(w, "uniqueItems", true);
	if (!o->v2)
		json_out_end_object(w);
	json_out_end_object(w);
}

static int uses(const struct op *op)
{
	switch (op->verb) {
	case VERB_LIST:
		return USE_LIST;
	case VERB_DELETE:
		return USE_DELETE;
	case VERB_DELETECOLLECTION:
		return USE_COLLECTION;
	case VERB_PATCH:
		return USE_PATCH;
	case VERB_CREATE:
	case VERB_UPDATE:
		return USE_WRITE;
	}
	return 0;
}

static const struct type *meta_type(const char *kind)
{
	return kind_find("meta.k8s.io", "v1", kind);
}

/* One resource or subresource, as its operations need it. */
struct target {
	const struct resource *r;
	const struct subresource *s; /* NULL: the resource itself */
	const char *group, *version, *kind;
	bool connect; /* exec, log, proxy, …: not an object's representation */
};

static void schema_of(struct openapi *o, const struct target *t, const struct op *op)
{
	_cleanup_buf_ struct buf name = BUF_INIT;
	const struct type *type = t->s ? t->s->type : t->r->type;

	if ((op->verb == VERB_DELETE && !t->r->returns_deleted) || op->verb == VERB_DELETECOLLECTION) {
		openapi_ref(o, "schema", meta_type("Status"));
	} else if (t->r->custom && (!t->s || !t->s->kind)) {
		openapi_custom_name(t->r, op->verb == VERB_LIST ? "List" : "", &name);
		openapi_ref_name(o, "schema", name.data);
	} else if (op->verb == VERB_LIST) {
		openapi_ref(o, "schema", t->r->list_type);
	} else if (type) {
		openapi_ref(o, "schema", type);
	} else {
		json_out_raw(&o->w, "schema", "{\"type\":\"object\"}");
	}
}

static void write_content(struct openapi *o, const struct target *t, const struct op *op)
{
	static const char *const media[] = {"application/json", "application/yaml",
					    "application/vnd.kubernetes.protobuf"};

	if (o->v2) {
		schema_of(o, t, op);
		return;
	}
	json_out_object(&o->w, "content");
	for (size_t i = 0; i < ARRAY_SIZE(media) - (t->r->custom ? 1 : 0); i++) {
		json_out_object(&o->w, media[i]);
		schema_of(o, t, op);
		json_out_end_object(&o->w);
	}
	json_out_end_object(&o->w);
}

static const char *const patch_types[] = {"application/apply-patch+yaml", "application/json-patch+json",
					  "application/merge-patch+json", "application/strategic-merge-patch+json"};

/* The schema of what a request carries. */
static void body_schema(struct openapi *o, const struct target *t, const struct op *op)
{
	if (op->verb == VERB_PATCH)
		json_out_raw(&o->w, "schema", "{\"type\":\"object\"}");
	else if (op->verb == VERB_DELETE || op->verb == VERB_DELETECOLLECTION)
		openapi_ref(o, "schema", meta_type("DeleteOptions"));
	else
		schema_of(o, t, op);
}

static void write_body_v2(struct openapi *o, const struct target *t, const struct op *op)
{
	json_out_object(&o->w, NULL);
	json_out_str(&o->w, "in", "body");
	json_out_str(&o->w, "name", "body");
	json_out_bool(&o->w, "required", op->verb == VERB_PATCH || op->verb == VERB_CREATE || op->verb == VERB_UPDATE);
	body_schema(o, t, op);
	json_out_end_object(&o->w);
}

static void write_body_v3(struct openapi *o, const struct target *t, const struct op *op)
{
	json_out_object(&o->w, "requestBody");
	json_out_object(&o->w, "content");
	for (size_t i = 0; op->verb == VERB_PATCH && i < ARRAY_SIZE(patch_types) - (t->r->custom ? 1 : 0); i++) {
		json_out_object(&o->w, patch_types[i]);
		body_schema(o, t, op);
		json_out_end_object(&o->w);
	}
	if (op->verb != VERB_PATCH) {
		json_out_object(&o->w, "*/*");
		body_schema(o, t, op);
		json_out_end_object(&o->w);
	}
	json_out_end_object(&o->w);
	json_out_end_object(&o->w);
}

static void write_response(struct openapi *o, const struct target *t, const struct op *op, const char *code,
			   const char *description)
{
	json_out_object(&o->w, code);
	json_out_str(&o->w, "description", description);
	write_content(o, t, op);
	json_out_end_object(&o->w);
}

static void write_responses(struct openapi *o, const struct target *t, const struct op *op)
{
	json_out_object(&o->w, "responses");
	json_out_object(&o->w, "200");
	json_out_str(&o->w, "description", "OK");
	if (!t->connect)
		write_content(o, t, op);
	else if (o->v2)
		json_out_raw(&o->w, "schema", "{\"type\":\"string\"}");
	else
		json_out_raw(&o->w, "content", "{\"*/*\":{\"schema\":{\"type\":\"string\"}}}");
	json_out_end_object(&o->w);
	if ((op->verb == VERB_CREATE || op->verb == VERB_UPDATE || op->verb == VERB_PATCH) && !t->connect)
		write_response(o, t, op, "201", "Created");
	if ((op->verb == VERB_CREATE || op->verb == VERB_DELETE) && !t->connect)
		write_response(o, t, op, "202", "Accepted");
	json_out_raw(&o->w, "401", "{\"description\":\"Unauthorized\"}");
	json_out_end_object(&o->w);
}

static void add_capitalized(struct buf *b, const char *s)
{
	buf_addc(b, (char)toupper((unsigned char)*s));
	buf_adds(b, *s ? s + 1 : s);
}

/* "CoreV1", "AppsV1", "RbacAuthorizationV1": the group without ".k8s.io", in camel case. */
static void add_group_version(struct buf *b, const char *group, const char *version)
{
	const char *end = group + strlen(group);

	if (!*group)
		buf_adds(b, "Core");
	if (str_has_suffix(group, ".k8s.io"))
		end -= strlen(".k8s.io");
	for (const char *p = group; p < end; p++) {
		if (p == group || p[-1] == '.' || p[-1] == '-')
			buf_addc(b, (char)toupper((unsigned char)*p));
		else if (*p != '.' && *p != '-')
			buf_addc(b, *p);
	}
	add_capitalized(b, version);
}

static void add_id(struct buf *b, const struct target *t, const struct op *op)
{
	buf_adds(b, t->connect ? "connect" : op->id);
	add_group_version(b, t->r->group, t->r->version);
	if (op->verb == VERB_DELETECOLLECTION)
		buf_adds(b, "Collection");
	if (t->connect)
		add_capitalized(b, op->method);
	if (t->r->namespaced && op->scope != SCOPE_ALL_NAMESPACES)
		buf_adds(b, "Namespaced");
	buf_adds(b, t->r->kind);
	if (t->s)
		add_capitalized(b, t->s->name);
	if (op->scope == SCOPE_ALL_NAMESPACES)
		buf_adds(b, "ForAllNamespaces");
}

static void write_tag(struct openapi *o, const struct target *t)
{
	_cleanup_buf_ struct buf tag = BUF_INIT;

	add_group_version(&tag, t->r->group, "");
	tag.data[0] = (char)tolower((unsigned char)tag.data[0]);
	buf_addf(&tag, "_%s", t->r->version);
	json_out_array(&o->w, "tags");
	json_out_str(&o->w, NULL, tag.data);
	json_out_end_array(&o->w);
}

static void write_media_v2(struct openapi *o, const struct op *op)
{
	json_out_array(&o->w, "consumes");
	for (size_t i = 0; op->verb == VERB_PATCH && i < ARRAY_SIZE(patch_types); i++)
		json_out_str(&o->w, NULL, patch_types[i]);
	if (op->verb != VERB_PATCH)
		json_out_str(&o->w, NULL, "*/*");
	json_out_end_array(&o->w);
	json_out_raw(&o->w, "produces",
		     "[\"application/json\",\"application/yaml\",\"application/vnd.kubernetes.protobuf\"]");
	json_out_raw(&o->w, "schemes", "[\"https\"]");
}

static void write_operation(struct openapi *o, const struct target *t, const struct op *op)
{
	_cleanup_buf_ struct buf id = BUF_INIT;
	bool body = !t->connect && op->verb != VERB_GET && op->verb != VERB_LIST;

	add_id(&id, t, op);
	json_out_object(&o->w, op->method);
	write_tag(o, t);
	if (o->v2)
		write_media_v2(o, op);
	json_out_str(&o->w, "operationId", id.data);
	json_out_array(&o->w, "parameters");
	for (size_t i = 0; !t->connect && i < ARRAY_SIZE(params); i++)
		if (params[i].use & uses(op))
			write_param(o, params[i].name, "query", params[i].type, o->v2 ? NULL : params[i].doc);
	if (body && o->v2)
		write_body_v2(o, t, op);
	json_out_end_array(&o->w);
	if (body && !o->v2)
		write_body_v3(o, t, op);
	write_responses(o, t, op);
	json_out_str(&o->w, "x-kubernetes-action", t->connect ? "connect" : op->action);
	json_out_object(&o->w, "x-kubernetes-group-version-kind");
	json_out_str(&o->w, "group", t->group);
	json_out_str(&o->w, "version", t->version);
	json_out_str(&o->w, "kind", t->kind);
	json_out_end_object(&o->w);
	json_out_end_object(&o->w);
}

static void write_path(struct openapi *o, const struct target *t, enum scope scope, uint32_t verbs)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	char version[API_VERSION_MAX];
	bool named = scope == SCOPE_ITEM, spaced = t->r->namespaced && scope != SCOPE_ALL_NAMESPACES;
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		any |= ops[i].scope == scope && verbs & ops[i].verb;
	if (!any)
		return;
	buf_addf(&path, "/%s/%s/%s%s", *t->r->group ? "apis" : "api",
		 served_api_version(t->r->group, t->r->version, version), spaced ? "namespaces/{namespace}/" : "",
		 t->r->plural);
	if (named)
		buf_adds(&path, "/{name}");
	if (t->s)
		buf_addf(&path, "/%s", t->s->name);
	json_out_object(&o->w, path.data);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].scope == scope && verbs & ops[i].verb)
			write_operation(o, t, &ops[i]);
	json_out_array(&o->w, "parameters");
	if (named)
		write_param(o, "name", "path", "string", NULL);
	if (spaced)
		write_param(o, "namespace", "path", "string", NULL);
	write_param(o, "pretty", "query", "string", NULL);
	json_out_end_array(&o->w);
	json_out_end_object(&o->w);
}

static bool is_connect(const char *name)
{
	static const char *const names[] = {"attach", "exec", "log", "portforward", "proxy", NULL};

	return str_in(name, names);
}

void openapi_write_paths(struct openapi *o, const char *group, const char *version)
{
	struct served_iter it = {.set = o->set, .group = group, .version = version};
	const struct resource *r;

	while ((r = served_next(&it))) {
		struct target t = {.r = r, .group = r->group, .version = r->version, .kind = r->kind};

		write_path(o, &t, SCOPE_COLLECTION, r->verbs);
		write_path(o, &t, SCOPE_ITEM, r->verbs & ~(uint32_t)VERB_CREATE);
		if (r->namespaced)
			write_path(o, &t, SCOPE_ALL_NAMESPACES, r->verbs);
		for (size_t i = 0; i < r->n_subresources; i++) {
			t.s = &r->subresources[i];
			t.group = t.s->kind ? t.s->group : r->group;
			t.version = t.s->kind ? t.s->version : r->version;
			t.kind = t.s->kind ? t.s->kind : r->kind;
			t.connect = is_connect(t.s->name);
			write_path(o, &t, SCOPE_ITEM, t.s->verbs);
		}
	}
}
