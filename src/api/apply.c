/* SPDX-License-Identifier: Apache-2.0 */
#include "api/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/fieldset.h"
#include "api/meta.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define ANCIENT "ancient-changes"
#define MANAGERS_MAX 4096 /* entries a client may send; each costs a walk over its set */

struct entry {
	const char *manager, *version, *subresource, *time; /* "" when unset */
	bool apply;
	struct json *set; /* NULL: empty */
};

struct managers {
	struct entry *at;
	size_t n, cap;
	struct arena *arena;
};

/* ---- metadata.managedFields ---- */

static struct entry *add_entry(struct managers *m, const struct entry *e)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 8;
		struct entry *at = arena_alloc(m->arena, cap * sizeof(*at));
		if (m->n)
			memcpy(at, m->at, m->n * sizeof(*at));
		m->at = at;
		m->cap = cap;
	}
	m->at[m->n] = *e;
	return &m->at[m->n++];
}

static void load(struct managers *m, struct arena *a, const struct json *obj)
{
	struct json *list = json_path(obj, "metadata.managedFields");

	*m = (struct managers){.arena = a};
	if (!json_is(list, JSON_ARRAY))
		return;
	JSON_EACH(e, list) {
		struct json *set = json_get(e, "fieldsV1");
		struct entry entry = {str_or(json_path_str(e, "manager"), ""),
				      str_or(json_path_str(e, "apiVersion"), ""),
				      str_or(json_path_str(e, "subresource"), ""),
				      str_or(json_path_str(e, "time"), ""),
				      str_eq(json_path_str(e, "operation"), "Apply"),
				      json_len(set) && fieldset_valid(set) ? json_clone(a, set) : NULL};
		if (m->n < MANAGERS_MAX && json_is(e, JSON_OBJECT) && e->len)
			add_entry(m, &entry);
	}
}

static int by_age(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int c = (int)b->apply - (int)a->apply; /* applied ones first, as upstream lists them */

	if (!c)
		c = strcmp(a->time, b->time);
	if (!c)
		c = strcmp(a->manager, b->manager);
	if (!c)
		c = strcmp(a->version, b->version);
	return c ? c : strcmp(a->subresource, b->subresource);
}

static void save(struct managers *m, struct json *obj)
{
	struct arena *a = m->arena;
	struct json *list = json_new(a, JSON_ARRAY), *meta = json_object_in(a, obj, "metadata");

	if (m->n)
		qsort(m->at, m->n, sizeof(*m->at), by_age);
	for (size_t i = 0; i < m->n; i++) {
		const struct entry *e = &m->at[i];
		if (!e->set)
			continue;
		struct json *o = json_append(list, json_new(a, JSON_OBJECT));
		json_set_str(a, o, "manager", e->manager);
		json_set_str(a, o, "operation", e->apply ? "Apply" : "Update");
		json_set_str(a, o, "apiVersion", e->version);
		if (*e->time)
			json_set_str(a, o, "time", e->time);
		json_set_str(a, o, "fieldsType", "FieldsV1");
		json_set(a, o, "fieldsV1", json_clone(a, e->set));
		if (*e->subresource)
			json_set_str(a, o, "subresource", e->subresource);
	}
	if (list->len)
		json_set(a, meta, "managedFields", list);
	else
		json_remove(meta, "managedFields");
}

static const char *subresource_of(const struct apply_request *r)
{
	return str_or(r->subresource, "");
}

static const char *manager_of(const struct apply_request *r)
{
	return str_empty(r->manager) ? "unknown" : r->manager;
}

static bool is_own(const struct entry *e, const struct apply_request *r, bool apply)
{
	/* One applier has one entry whatever version it used last; updates are kept apart by version. */
	return e->apply == apply && str_eq(e->manager, manager_of(r)) && str_eq(e->subresource, subresource_of(r)) &&
	       (apply || str_eq(e->version, r->api_version));
}

static struct entry *own_entry(struct managers *m, const struct apply_request *r, bool apply)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_own(&m->at[i], r, apply))
			return &m->at[i];
	struct entry e = {manager_of(r), str_or(r->api_version, ""), subresource_of(r), "", apply, NULL};
	return add_entry(m, &e);
}

static void touch(struct managers *m, struct entry *e, int64_t now_ns)
{
	char now[TIME_RFC3339_MAX];
	e->time = arena_strdup(m->arena, time_format(now_ns, now));
}

/* What nobody owns: identity, and what the server sets. */
static struct json *without_identity(struct json *set)
{
	static const char *const in_meta[] = {
	    "f:name",	       "f:namespace",	    "f:creationTimestamp", "f:uid", "f:generation",
	    "f:managedFields", "f:resourceVersion", "f:selfLink",	   "."};
	struct json *meta = json_get(set, "f:metadata");

	if (!set)
		return NULL;
	json_remove(set, "f:apiVersion");
	json_remove(set, "f:kind");
	if (meta) {
		for (size_t i = 0; i < ARRAY_SIZE(in_meta); i++)
			json_remove(meta, in_meta[i]);
		if (!meta->len)
			json_remove_child(set, meta);
	}
	return set->len ? set : NULL;
}

static struct json *comparable(struct arena *a, const struct json *obj)
{
	struct json *copy = obj ? json_clone(a, obj) : json_new(a, JSON_OBJECT), *meta = json_get(copy, "metadata");

	json_remove(meta, "managedFields");
	return copy;
}

static void compare(struct arena *a, const struct apply_request *r, const struct json *old, const struct json *new,
		    struct json **ret_changed, struct json **ret_removed)
{
	fieldset_compare(a, r->resource->type, comparable(a, old), comparable(a, new), ret_changed, ret_removed);
	*ret_changed = without_identity(*ret_changed);
	*ret_removed = without_identity(*ret_removed);
}

static void take_from_others(struct managers *m, const struct entry *own, const struct json *changed,
			     const struct json *removed)
{
	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = &m->at[i];
		if (e != own)
			e->set = fieldset_minus(m->arena, e->set, changed);
		e->set = fieldset_minus(m->arena, e->set, removed);
	}
}

/* ---- other writes ---- */

/* The oldest update entries become one, so that the list stays bounded. */
static void cap_updates(struct managers *m)
{
	for (;;) {
		size_t n = 0, oldest = m->n;
		for (size_t i = 0; i < m->n; i++) {
			const struct entry *e = &m->at[i];
			if (e->apply || !e->set || str_eq(e->manager, ANCIENT))
				continue;
			n++;
			if (oldest == m->n || strcmp(e->time, m->at[oldest].time) < 0)
				oldest = i;
		}
		if (n <= APPLY_UPDATE_MANAGERS_MAX)
			return;
		struct entry old = m->at[oldest], *ancient = NULL;
		m->at[oldest].set = NULL;
		for (size_t i = 0; i < m->n; i++)
			if (!m->at[i].apply && str_eq(m->at[i].manager, ANCIENT) &&
			    str_eq(m->at[i].version, old.version))
				ancient = &m->at[i];
		if (!ancient) {
			struct entry e = {ANCIENT, old.version, "", "", false, NULL};
			ancient = add_entry(m, &e);
		}
		ancient->set = fieldset_union(m->arena, ancient->set, old.set);
		ancient->time = old.time;
	}
}

static bool is_reset(const struct json *list)
{
	return json_is(list, JSON_ARRAY) && (list->len == 0 || (list->len == 1 && !json_len(json_first(list))));
}

void apply_track_update(struct arena *a, const struct apply_request *r, const struct json *old, struct json *tree)
{
	struct json *sent = json_path(tree, "metadata.managedFields"), *changed, *removed;
	const struct json *before = json_path(old, "metadata.managedFields");
	struct managers m;

	load(&m, a, is_reset(sent) || sent ? tree : old);
	compare(a, r, old, tree, &changed, &removed);
	if (!changed && !removed) {
		if (is_reset(sent))
			json_remove(json_get(tree, "metadata"), "managedFields");
		else if (!sent && before)
			json_set(a, json_object_in(a, tree, "metadata"), "managedFields", json_clone(a, before));
		return;
	}
	struct entry *own = own_entry(&m, r, false);
	take_from_others(&m, own, changed, removed);
	own->set = fieldset_union(a, own->set, changed);
	touch(&m, own, r->now_ns);
	cap_updates(&m);
	save(&m, tree);
}

/* ---- apply ---- */

/* An applier may only say what its endpoint writes: no status on the object, nothing else on the status subresource. */
static struct json *applied_part(struct arena *a, const struct apply_request *r, const struct json *applied)
{
	struct json *copy = json_clone(a, applied);

	if (r->resource->has_status && str_eq(subresource_of(r), "status")) {
		static const char *const kept[] = {"apiVersion", "kind", "metadata", "status", NULL};
		for (struct json *c = json_first(copy), *next; c; c = next) {
			next = json_next(copy, c);
			if (!str_in(c->key, kept))
				json_remove_child(copy, c);
		}
	} else if (r->resource->has_status && str_empty(r->subresource)) {
		json_remove(copy, "status");
	}
	return copy;
}

struct conflict {
	const struct entry *with;
	struct json *set;
};

static void describe(struct buf *b, const struct entry *e)
{
	buf_addf(b, "\"%s\"", e->manager);
	if (*e->subresource)
		buf_addf(b, " with subresource \"%s\"", e->subresource);
	if (!e->apply) {
		buf_addf(b, " using %s", e->version);
		if (*e->time)
			buf_addf(b, " at %s", e->time);
	}
}

struct teller {
	struct status *err;
	struct buf list;
	const char *with;
	size_t n;
};

static void tell_path(void *arg, const char *path)
{
	struct teller *t = arg;
	t->n++;
	if (t->list.len < 64 * 1024) /* the message; each is a cause too */
		buf_addf(&t->list, "\n- %s", path);
	status_cause(t->err, "FieldManagerConflict", path, "conflict with %s", t->with);
}

static int conflict_status(const struct conflict *conflicts, size_t n, struct status *err)
{
	struct status causes = STATUS_INIT;
	struct buf text = BUF_INIT;
	size_t total = 0;

	for (size_t i = 0; i < n; i++) {
		struct buf who = BUF_INIT;
		describe(&who, conflicts[i].with);
		struct teller t = {.err = &causes, .with = buf_str(&who)};
		fieldset_each(conflicts[i].set, tell_path, &t);
		total += t.n;
		if (n == 1 && t.n == 1)
			buf_addf(&text, "conflict with %s: %s", buf_str(&who), buf_str(&t.list) + sizeof("\n- ") - 1);
		else
			buf_addf(&text, "%sconflicts with %s:%s", i ? "\n" : "", buf_str(&who), buf_str(&t.list));
		buf_release(&t.list);
		buf_release(&who);
	}
	status_set(err, 409, "Apply failed with %zu conflict%s: %s", total, total == 1 ? "" : "s", buf_str(&text));
	err->causes = causes.causes;
	err->n_causes = causes.n_causes;
	buf_release(&text);
	return -1;
}

/*
 * kubectl moving from client-side to server-side apply: what the last-applied annotation says, and the live object
 * still has so, is kubectl's own and no conflict.
 */
static struct json *forgiven(struct arena *a, const struct apply_request *r, const struct json *live)
{
	const char *text = meta_annotation(live, LAST_APPLIED), *problem;
	struct json *last, *changed, *removed;

	if (!str_eq(r->manager, "kubectl") || !text || json_parse(a, text, strlen(text), &last, NULL) < 0 ||
	    !json_is(last, JSON_OBJECT))
		return NULL;
	struct json *set = fieldset_of(a, r->resource->type, last, &problem);
	fieldset_compare(a, r->resource->type, last, live, &changed, &removed);
	return fieldset_minus(a, set, changed);
}

/* The conflicts of changing `changed`, in conflicts[] (room for all managers). */
static size_t find_conflicts(struct managers *m, const struct entry *own, const struct json *changed,
			     const struct json *allowed, struct conflict *conflicts)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (&m->at[i] == own)
			continue;
		struct json *set = fieldset_minus(m->arena, fieldset_both(m->arena, m->at[i].set, changed), allowed);
		if (set)
			conflicts[n++] = (struct conflict){&m->at[i], set};
	}
	return n;
}

static struct json *all_owned(struct managers *m)
{
	struct json *owned = NULL;
	for (size_t i = 0; i < m->n; i++)
		owned = fieldset_union(m->arena, owned, m->at[i].set);
	return owned;
}

/* The annotation that client-side apply reads stays true when kubectl applies on the server. */
static void refresh_last_applied(struct arena *a, const struct apply_request *r, const struct json *applied,
				 struct json *merged)
{
	if (!str_eq(r->manager, "kubectl") || !meta_annotation(merged, LAST_APPLIED))
		return;
	struct json *copy = comparable(a, applied);
	meta_set_annotation(a, copy, LAST_APPLIED, NULL);
	_cleanup_buf_ struct buf text = BUF_INIT;
	json_write(&text, copy);
	buf_addc(&text, '\n');
	meta_set_annotation(a, merged, LAST_APPLIED, buf_str(&text));
}

int apply_patch(struct arena *a, const struct apply_request *r, const struct json *live, const struct json *applied,
		struct json **ret, struct status *err)
{
	const char *problem;
	struct json *changed, *removed;
	struct managers m;

	if (!json_is(applied, JSON_OBJECT))
		return status_set(err, 400, "error decoding apply patch: an object is expected");
	if (json_len(json_path(applied, "metadata.managedFields")))
		return status_set(err, 400, "metadata.managedFields must be nil");
	struct json *config = applied_part(a, r, applied);
	json_remove(json_get(config, "metadata"), "managedFields");
	struct json *set = fieldset_of(a, r->resource->type, config, &problem);
	if (problem)
		return status_set(err, 400, "failed to create typed patch object (%s/%s; %s, Kind=%s): %s",
				  meta_ns(applied), meta_name(applied), str_or(r->api_version, ""), r->resource->kind,
				  problem);
	set = without_identity(set);

	const struct json *base = live ? live : json_new(a, JSON_OBJECT);
	struct json *merged = fieldset_merge(a, r->resource->type, base, config);
	load(&m, a, base);
	struct entry *own = own_entry(&m, r, true);
	struct json *last = own->set;
	bool same_set = fieldset_equal(last, set) && str_eq(own->version, r->api_version);
	own->set = set;
	own->version = str_or(r->api_version, "");
	if (last)
		fieldset_prune(a, r->resource->type, merged, fieldset_minus(a, last, set), all_owned(&m));

	compare(a, r, base, merged, &changed, &removed);
	struct conflict *conflicts = arena_alloc(a, m.n * sizeof(*conflicts));
	size_t n = r->force ? 0 : find_conflicts(&m, own, changed, forgiven(a, r, base), conflicts);
	if (n)
		return conflict_status(conflicts, n, err);
	*ret = merged;
	if (same_set && !changed && !removed)
		return 0; /* managedFields came over from live as they are */
	take_from_others(&m, own, changed, removed);
	own->set = set;
	touch(&m, own, r->now_ns);
	refresh_last_applied(a, r, config, merged); /* last: it is nobody's conflict */
	save(&m, merged);
	return 0;
}

/* ---- what clients send ---- */

int apply_check_managed_fields(const struct json *managed_fields, struct status *err)
{
	size_t i = 0, before = err->n_causes;
	char field[64];

	if (!json_is(managed_fields, JSON_ARRAY) || is_reset(managed_fields))
		return 0;
	if (managed_fields->len > MANAGERS_MAX)
		status_cause(err, "FieldValueTooMany", "metadata.managedFields",
			     "Too many: %u: must have at most %d items", managed_fields->len, MANAGERS_MAX);
	JSON_EACH(e, managed_fields) {
		const char *op = str_or(json_path_str(e, "operation"), ""), *type = json_path_str(e, "fieldsType");
		const char *manager = str_or(json_path_str(e, "manager"), "");
		struct json *set = json_get(e, "fieldsV1");
		snprintf(field, sizeof(field), "metadata.managedFields[%zu]", i++);
		if (!str_eq(op, "Apply") && !str_eq(op, "Update"))
			status_cause(err, "FieldValueInvalid", field,
				     "Invalid value: \"%.64s\": must be `Apply` or `Update`", op);
		if (type && !str_eq(type, "FieldsV1"))
			status_cause(err, "FieldValueInvalid", field, "Invalid value: \"%.64s\": must be `FieldsV1`",
				     type);
		if (strlen(manager) > APPLY_MANAGER_BYTES_MAX)
			status_cause(err, "FieldValueTooLong", field, "Too long: may not be more than %d bytes",
				     APPLY_MANAGER_BYTES_MAX);
		if (set && !fieldset_valid(set))
			status_cause(err, "FieldValueInvalid", field,
				     "Invalid value: fieldsV1 is not a set of field paths");
	}
	return err->n_causes > before ? -1 : 0;
}
