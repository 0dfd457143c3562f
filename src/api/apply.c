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
#define BEFORE_FIRST "before-first-apply"
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

static bool is_reset(const struct json *list)
{
	return json_is(list, JSON_ARRAY) && (list->len == 0 || (list->len == 1 && !json_len(json_first(list))));
}

/* Nothing is taken from a list with an entry that makes no sense, as upstream; nor what is beyond MANAGERS_MAX. */
static void load(struct managers *m, struct arena *a, const struct json *list)
{
	*m = (struct managers){.arena = a};
	if (!json_is(list, JSON_ARRAY) || is_reset(list))
		return;
	JSON_EACH(e, list) {
		struct json *set = json_get(e, "fieldsV1");
		const char *operation = json_path_str(e, "operation");
		struct entry entry = {str_or(json_path_str(e, "manager"), ""),
				      str_or(json_path_str(e, "apiVersion"), ""),
				      str_or(json_path_str(e, "subresource"), ""),
				      str_or(json_path_str(e, "time"), ""),
				      str_eq(operation, "Apply"),
				      json_len(set) ? json_clone(a, set) : NULL};
		bool sound = (entry.apply || str_eq(operation, "Update")) && *entry.version &&
			     str_eq(json_path_str(e, "fieldsType"), "FieldsV1") && (!set || fieldset_valid(set));
		if (!sound || m->n == MANAGERS_MAX) {
			m->n = 0;
			return;
		}
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
		fieldset_sort(json_set(a, o, "fieldsV1", json_clone(a, e->set)));
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

static void compare(struct arena *a, const struct apply_request *r, const struct json *old, const struct json *new,
		    struct json **ret_changed, struct json **ret_removed)
{
	fieldset_compare(a, r->resource->type, old, new, ret_changed, ret_removed);
	/* Its status is not written with an object, but beside it. */
	if (*ret_changed && r->resource->has_status && str_empty(r->subresource))
		json_remove(*ret_changed, "f:status");
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

static int oldest_first(const void *x, const void *y)
{
	const struct entry *a = *(struct entry *const *)x, *b = *(struct entry *const *)y;
	int c = strcmp(a->time, b->time);

	if (!c)
		c = strcmp(a->manager, b->manager);
	if (!c)
		c = strcmp(a->version, b->version);
	return c ? c : strcmp(a->subresource, b->subresource);
}

/* Of the first i, the oldest of that version; the entry of ancient changes, when there is one. */
static struct entry *older_of_version(struct entry **updates, size_t i, const char *version)
{
	struct entry *first = NULL;
	for (size_t k = 0; k < i; k++) {
		struct entry *e = updates[k];
		if (!e->set || !str_eq(e->version, version))
			continue;
		if (str_eq(e->manager, ANCIENT))
			return e;
		if (!first)
			first = e;
	}
	return first;
}

/* The oldest update entries of a version become one, as upstream, so that the list stays bounded. */
static void cap_updates(struct managers *m)
{
	struct entry **updates = arena_alloc(m->arena, (m->n + 1) * sizeof(struct entry *));
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (!m->at[i].apply && m->at[i].set)
			updates[n++] = &m->at[i];
	qsort(updates, n, sizeof(struct entry *), oldest_first);
	size_t left = n;
	for (size_t i = 0; i < n && left > APPLY_UPDATE_MANAGERS_MAX; i++) {
		struct entry *e = updates[i], *bucket = older_of_version(updates, i, e->version);
		if (!bucket)
			continue;
		bucket->manager = ANCIENT;
		bucket->subresource = "";
		bucket->set = fieldset_union(m->arena, bucket->set, e->set);
		bucket->time = e->time;
		e->set = NULL;
		left--;
	}
}

/* The writer gets what it changed, everybody else loses it. */
static void track(struct managers *m, const struct apply_request *r, const struct json *old, const struct json *new)
{
	struct json *changed, *removed;

	compare(m->arena, r, fieldset_complete(m->arena, r->resource->type, old),
		fieldset_complete(m->arena, r->resource->type, new), &changed, &removed);
	if (!changed && !removed)
		return;
	/* What only others owned and is gone makes nobody an owner. */
	struct entry *own = own_entry(m, r, false);
	take_from_others(m, own, changed, removed);
	own->set = fieldset_union(m->arena, own->set, changed);
	if (changed)
		touch(m, own, r->now_ns);
	cap_updates(m);
}

void apply_track_update(struct arena *a, const struct apply_request *r, const struct json *old, struct json *tree)
{
	const struct json *sent = json_path(tree, "metadata.managedFields"),
			  *before = json_path(old, "metadata.managedFields");
	struct managers m;

	load(&m, a, str_empty(r->subresource) ? sent : before);
	if (str_empty(r->subresource) && !m.n && !is_reset(sent))
		load(&m, a, before);
	/* An object that nobody owns anything of (a client reset it) is not tracked until somebody applies. */
	if (m.n || !old)
		track(&m, r, old, tree);
	save(&m, tree);
}

static bool same_but_times(const struct json *x, const struct json *y)
{
	if (json_len(x) != json_len(y))
		return false;
	for (struct json *cx = json_first(x), *cy = json_first(y); cx && cy;
	     cx = json_next(x, cx), cy = json_next(y, cy)) {
		if (json_len(cx) != json_len(cy))
			return false;
		JSON_EACH(m, cx)
			if (!str_eq(m->key, "time") && !json_equal(m, json_get(cy, m->key)))
				return false;
	}
	return true;
}

static struct json *without_managers(struct arena *a, const struct json *obj)
{
	struct json *copy = json_clone(a, obj);

	json_remove(json_get(copy, "metadata"), "managedFields");
	return copy;
}

void apply_ignore_times(struct arena *a, const struct json *old, struct json *tree)
{
	struct json *was = json_path(old, "metadata.managedFields"), *is = json_path(tree, "metadata.managedFields");

	if (!was || !is || json_equal(was, is) || !same_but_times(was, is))
		return;
	struct json *x = without_managers(a, old), *y = without_managers(a, tree);
	json_remove(json_get(x, "metadata"), "resourceVersion");
	json_remove(json_get(y, "metadata"), "resourceVersion");
	if (json_equal(x, y))
		json_set(a, json_get(tree, "metadata"), "managedFields", json_clone(a, was));
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
	if (!e->apply)
		buf_addf(b, " using %s", e->version);
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

static int by_manager(const void *x, const void *y)
{
	const struct entry *a = ((const struct conflict *)x)->with, *b = ((const struct conflict *)y)->with;
	int c = strcmp(a->manager, b->manager);

	if (!c)
		c = (int)b->apply - (int)a->apply;
	if (!c && !a->apply)
		c = strcmp(a->version, b->version);
	return c ? c : strcmp(a->subresource, b->subresource);
}

static int conflict_status(struct conflict *conflicts, size_t n, struct status *err)
{
	qsort(conflicts, n, sizeof(*conflicts), by_manager);
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
	const char *text = meta_annotation(live, LAST_APPLIED);
	const struct type *type = r->resource->type;
	struct json *last, *changed, *removed;

	if (!str_eq(r->manager, "kubectl") || !text || json_parse(a, text, strlen(text), &last, NULL) < 0 ||
	    !json_is(last, JSON_OBJECT) || !str_eq(json_path_str(last, "apiVersion"), r->api_version) ||
	    fieldset_problems(a, type, last))
		return NULL;
	fieldset_compare(a, type, last, fieldset_complete(a, type, live), &changed, &removed);
	return fieldset_minus(a, fieldset_minus(a, fieldset_of(a, type, last), changed), removed);
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
		if (set) {
			fieldset_sort(set);
			conflicts[n++] = (struct conflict){&m->at[i], set};
		}
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
	struct json *copy = without_managers(a, applied);
	meta_set_annotation(a, copy, LAST_APPLIED, NULL);
	_cleanup_buf_ struct buf text = BUF_INIT;
	json_write(&text, copy);
	buf_addc(&text, '\n');
	meta_set_annotation(a, merged, LAST_APPLIED, buf_str(&text));
}

static int check_applied(struct arena *a, const struct apply_request *r, const struct json *applied, struct status *err)
{
	const char *version = str_or(json_path_str(applied, "apiVersion"), ""), *slash = strchr(r->api_version, '/');

	if (!json_is(applied, JSON_OBJECT))
		return status_set(err, 400, "error decoding apply patch: an object is expected");
	const struct json *fields = json_get(json_get(applied, "metadata"), "managedFields");
	if (fields && fields->type != JSON_NULL)
		return status_set(err, 400, "metadata.managedFields must be nil");
	if (*version && !str_eq(version, r->api_version))
		return status_set(
		    err, 400, "Incorrect version specified in apply patch. Specified patch version: %s, expected: %s",
		    version, r->api_version);
	const char *problems = fieldset_problems(a, r->resource->type, applied);
	if (problems) /* as upstream, which takes it for its own failure */
		return status_set(err, 500, "failed to create typed patch object (%s/%s; %s%s, Kind=%s): %s",
				  meta_ns(applied), meta_name(applied), slash ? "" : "/", r->api_version,
				  r->resource->kind, problems);
	return 0;
}

/* Of an object that nobody applied yet, what it has belongs to whoever made it what it is. */
static void load_live(struct managers *m, struct arena *a, const struct apply_request *r, const struct json *live)
{
	load(m, a, json_path(live, "metadata.managedFields"));
	if (m->n || !live)
		return;
	struct apply_request before = *r;
	before.manager = BEFORE_FIRST;
	track(m, &before, NULL, live);
}

int apply_patch(struct arena *a, const struct apply_request *r, const struct json *live, const struct json *applied,
		struct json **ret, struct status *err)
{
	struct json *changed, *removed;
	struct managers m;

	if (check_applied(a, r, applied, err) < 0)
		return -1;
	struct json *config = applied_part(a, r, applied);
	struct json *set = fieldset_of(a, r->resource->type, config);
	const struct json *base = fieldset_complete(a, r->resource->type, live);
	struct json *merged = fieldset_merge(a, r->resource->type, base, config);
	load_live(&m, a, r, live);
	struct entry *own = own_entry(&m, r, true);
	struct json *last = own->set;
	own->set = set;
	own->version = str_or(r->api_version, "");
	if (last)
		merged = fieldset_prune(a, r->resource->type, merged, last, all_owned(&m));

	compare(a, r, base, merged, &changed, &removed);
	struct conflict *conflicts = arena_alloc(a, m.n * sizeof(*conflicts));
	size_t n = r->force ? 0 : find_conflicts(&m, own, changed, forgiven(a, r, base), conflicts);
	if (n)
		return conflict_status(conflicts, n, err);
	*ret = merged;
	take_from_others(&m, own, changed, removed);
	own->set = without_identity(set);
	if (!live || !json_equal(base, merged))
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
