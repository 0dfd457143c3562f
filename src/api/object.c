/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One heap block holds the struct, its arrays and their strings; the bytes are the only other allocation. Building the
 * index parses into an arena that is dropped at once.
 */
#include "api/object.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/resource.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

/* Selectable names that are not the path of the field they show (upstream's ToSelectableFields of these kinds). */
static const struct {
	const char *plural, *name, *path, *otherwise;
} aliases[] = {
    {"jobs", "status.successful", "status.succeeded", NULL},
    {"events", "source", "source.component", "reportingComponent"},
    {"events", "reportingComponent", "reportingComponent", "reportingController"},
    {"events", "involvedObject.kind", "involvedObject.kind", "regarding.kind"},
    {"events", "involvedObject.namespace", "involvedObject.namespace", "regarding.namespace"},
    {"events", "involvedObject.name", "involvedObject.name", "regarding.name"},
    {"events", "involvedObject.uid", "involvedObject.uid", "regarding.uid"},
    {"events", "involvedObject.apiVersion", "involvedObject.apiVersion", "regarding.apiVersion"},
    {"events", "involvedObject.resourceVersion", "involvedObject.resourceVersion", "regarding.resourceVersion"},
    {"events", "involvedObject.fieldPath", "involvedObject.fieldPath", "regarding.fieldPath"},
};

/* What an absent field shows: Go prints the zero value of its type. */
static const char *zero_of(const struct type *t, const char *path)
{
	const struct field *f = NULL;

	while (t) {
		const char *dot = strchrnul(path, '.');
		f = type_field_n(t, path, (size_t)(dot - path));
		if (!f || !*dot)
			break;
		t = f->type;
		path = dot + 1;
	}
	if (!f)
		return "";
	if (f->kind == FIELD_BOOL)
		return "false";
	return f->kind >= FIELD_INT32 && f->kind <= FIELD_DOUBLE ? "0" : "";
}

static const char *render(const struct json *v)
{
	if (json_is(v, JSON_STRING) || json_is(v, JSON_NUMBER))
		return v->str;
	if (json_is(v, JSON_BOOL))
		return v->boolean ? "true" : "false";
	return NULL;
}

static const char *field_value(const struct resource *r, const struct json *tree, const char *name)
{
	const char *path = name, *otherwise = NULL, *value;

	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (str_eq(aliases[i].name, name) && str_eq(aliases[i].plural, r->plural)) {
			path = aliases[i].path;
			otherwise = aliases[i].otherwise;
		}
	value = render(json_path(tree, path));
	if (str_empty(value) && otherwise)
		value = render(json_path(tree, otherwise));
	return value ? value : zero_of(r->type, path);
}

static size_t count_fields(const struct resource *r)
{
	size_t n = 0;

	if (r && r->selectable_fields)
		while (r->selectable_fields[n])
			n++;
	return n;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct object_pair *)a)->key, ((const struct object_pair *)b)->key);
}

/* Where strings go: first counted, then placed. */
struct pool {
	char *at;
	size_t size;
};

static void measure(struct pool *p, const char *s)
{
	p->size += s && *s ? strlen(s) + 1 : 0;
}

static const char *place(struct pool *p, const char *s)
{
	if (!s || !*s)
		return "";
	size_t n = strlen(s) + 1;
	char *to = memcpy(p->at, s, n);
	p->at += n;
	return to;
}

/* The values that an index keeps, borrowed from the tree. */
struct parts {
	const char *name, *ns, *uid, *controller;
	struct json *labels, *owners;
	size_t n_fields;
};

static bool name_is_in_key(const char *key, const char *name)
{
	size_t k = strlen(key), n = strlen(name);
	return n && k > n && key[k - n - 1] == '/' && memcmp(key + k - n, name, n) == 0;
}

static size_t strings_size(const struct parts *p, const struct resource *r, const struct json *tree, const char *key)
{
	struct pool pool = {0};

	measure(&pool, key);
	if (!name_is_in_key(key, p->name))
		measure(&pool, p->name);
	measure(&pool, p->ns);
	measure(&pool, p->uid);
	JSON_EACH(l, p->labels) {
		measure(&pool, l->key);
		measure(&pool, json_str(l));
	}
	JSON_EACH(o, p->owners)
		measure(&pool, json_path_str(o, "uid"));
	for (size_t i = 0; i < p->n_fields; i++)
		measure(&pool, field_value(r, tree, r->selectable_fields[i]));
	return pool.size;
}

static struct object *index_tree(const struct resource *r, const char *key, uint64_t rev, const struct json *tree)
{
	struct json *meta = json_get(tree, "metadata");
	if (!json_is(meta, JSON_OBJECT))
		return NULL;
	key = str_or(key, "");
	struct parts p = {.name = str_or(json_path_str(meta, "name"), ""),
			  .ns = str_or(json_path_str(meta, "namespace"), ""),
			  .uid = json_path_str(meta, "uid"),
			  .labels = json_get(meta, "labels"),
			  .owners = json_get(meta, "ownerReferences"),
			  .n_fields = count_fields(r)};
	if (!json_is(p.labels, JSON_OBJECT))
		p.labels = NULL;
	if (!json_is(p.owners, JSON_ARRAY))
		p.owners = NULL;
	size_t n_pairs = json_len(p.labels) + p.n_fields, n_owners = json_len(p.owners);
	size_t arrays = n_pairs * sizeof(struct object_pair) + n_owners * sizeof(char *);

	struct object *o = xcalloc(1, sizeof(*o) + arrays + strings_size(&p, r, tree, key));
	struct object_pair *pairs = (struct object_pair *)(o + 1);
	const char **owners = (const char **)(pairs + n_pairs);
	struct pool pool = {.at = (char *)(owners + n_owners)};

	o->refs = 1;
	o->rev = rev;
	o->resource = r;
	o->key = place(&pool, key);
	o->name = name_is_in_key(key, p.name) ? o->key + strlen(key) - strlen(p.name) : place(&pool, p.name);
	o->ns = place(&pool, p.ns);
	o->uid = place(&pool, p.uid);
	o->deleting = json_str(json_get(meta, "deletionTimestamp")) != NULL;
	o->labels = pairs;
	JSON_EACH(l, p.labels)
		pairs[o->n_labels++] = (struct object_pair){place(&pool, l->key), place(&pool, json_str(l))};
	qsort(pairs, o->n_labels, sizeof(*pairs), by_key);
	pairs += o->n_labels;
	o->fields = pairs;
	for (size_t i = 0; i < p.n_fields; i++) {
		const char *path = r->selectable_fields[i]; /* from the table: outlives objects */
		pairs[o->n_fields++] = (struct object_pair){path, place(&pool, field_value(r, tree, path))};
	}
	o->owners = owners;
	JSON_EACH(ref, p.owners) {
		owners[o->n_owners] = place(&pool, json_path_str(ref, "uid"));
		if (json_path_bool(ref, "controller", false))
			o->controller = owners[o->n_owners];
		o->n_owners++;
	}
	return o;
}

struct object *object_new(const struct resource *r, const char *key, uint64_t rev, struct bytes *json)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree;

	if (json_parse(&a, json->data, json->len, &tree, NULL) < 0)
		return NULL;
	struct object *o = index_tree(r, key, rev, tree);
	if (o)
		o->json = bytes_ref(json);
	return o;
}

struct object *object_from_tree(const struct resource *r, const char *key, uint64_t rev, struct json *tree)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *meta = json_get(tree, "metadata");

	if (!json_is(meta, JSON_OBJECT))
		return NULL;
	if (!rev) {
		json_write(&b, tree);
	} else { /* the tree is lent: what is set here lives in this function's arena and is taken out again */
		struct json *member = json_get(meta, "resourceVersion");
		struct json *text = json_new_strf(&a, "%llu", (unsigned long long)rev);
		if (member) {
			struct json saved = *member;
			json_replace(member, text);
			json_write(&b, tree);
			json_replace(member, &saved);
		} else {
			json_set(&a, meta, "resourceVersion", text);
			json_write(&b, tree);
			json_remove_child(meta, text);
		}
	}
	struct object *o = index_tree(r, key, rev, tree);
	if (o)
		o->json = bytes_from_buf(&b);
	return o;
}

struct object *object_ref(const struct object *o)
{
	struct object *mine = (struct object *)o;
	if (mine)
		atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
	return mine;
}

void object_unref(const struct object *o)
{
	struct object *mine = (struct object *)o;
	if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) > 1)
		return;
	bytes_unref(mine->json);
	free(mine);
}

struct json *object_tree(const struct object *o, struct arena *a)
{
	struct json *tree;
	if (json_parse(a, o->json->data, o->json->len, &tree, NULL) < 0)
		abort(); /* object_new parsed these very bytes, or json_write made them */
	return tree;
}

const char *object_label(const struct object *o, const char *key)
{
	size_t low = 0, high = o->n_labels;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strcmp(key, o->labels[mid].key);
		if (c == 0)
			return o->labels[mid].value;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const char *object_field(const struct object *o, const char *path)
{
	if (str_eq(path, "metadata.name"))
		return o->name;
	if (str_eq(path, "metadata.namespace"))
		return o->ns;
	for (uint32_t i = 0; i < o->n_fields; i++)
		if (str_eq(o->fields[i].key, path))
			return o->fields[i].value;
	return NULL;
}
