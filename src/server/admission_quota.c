/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResourceQuota: nothing that would take a namespace beyond what its quotas allow. status.used is the ledger. An object
 * that passes is charged to it in the same turn and the same commit as the object itself, against the latest state,
 * uncommitted writes included: two creates can't both take the last place, and a failed commit takes both back.
 * The controller (controllers/resourcequota.c) counts again what was given back.
 */
#include "api/meta.h"
#include "api/object.h"
#include "api/quota.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "server/admission_plugins.h"
#include "server/registry_internal.h"

struct quota_list {
	const struct admission *a;
	const char *keys[QUOTAS_PER_NAMESPACE_MAX];
	size_t n;
};

static bool collect(void *arg, struct object *o)
{
	struct quota_list *l = arg;
	if (l->n < QUOTAS_PER_NAMESPACE_MAX)
		l->keys[l->n++] = arena_strdup(l->a->arena, o->key);
	return l->n < QUOTAS_PER_NAMESPACE_MAX;
}

/* "limits.cpu=2,pods=1": those of the names that are in `of`. */
static const char *amounts_text(struct arena *a, const struct amounts *m, const struct amounts *of)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	char text[QUANTITY_TEXT_MAX];
	for (size_t i = 0; i < of->n; i++) {
		const struct quantity *q = amounts_get(m, of->at[i].name), zero = QUANTITY_ZERO;
		buf_addf(&out, "%s%s=%s", out.len ? "," : "", of->at[i].name, quantity_format(q ? q : &zero, text));
	}
	return arena_strdup(a, buf_str(&out));
}

static const char *amounts_names(struct arena *a, const struct amounts *m)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	for (size_t i = 0; i < m->n; i++)
		buf_addf(&out, "%s%s", i ? "," : "", m->at[i].name);
	return arena_strdup(a, buf_str(&out));
}

/* What the write adds: the new object's usage less the old one's, of the names this quota limits. */
static struct amounts added(const struct admission *a, const struct json *quota, const struct amounts *hard)
{
	struct amounts delta = {0}, all = quota_usage(a->arena, a->resource, a->object, now_ns());
	if (a->old) {
		struct json *was = object_tree(a->old, a->arena);
		if (quota_scopes_match(quota, a->resource, was)) {
			struct amounts old = quota_usage(a->arena, a->resource, was, now_ns());
			amounts_sub(a->arena, &all, &old);
		}
	}
	for (size_t i = 0; i < all.n; i++)
		if (amounts_get(hard, all.at[i].name))
			amounts_set(a->arena, &delta, all.at[i].name, all.at[i].value);
	return delta;
}

static bool any_more(const struct amounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (quantity_compare(&m->at[i].value, &QUANTITY_ZERO) > 0)
			return true;
	return false;
}

/* The names in the quota that are about this resource. */
static struct amounts concerned(const struct admission *a, const struct json *quota)
{
	struct amounts hard = amounts_read(a->arena, json_path(quota, "status.hard")), mine = {0};
	for (size_t i = 0; i < hard.n; i++)
		if (quota_names(a->resource, hard.at[i].name))
			amounts_set(a->arena, &mine, hard.at[i].name, hard.at[i].value);
	amounts_sort(&mine);
	return mine;
}

static int check_quota(const struct admission *a, struct object *o, struct status *err)
{
	struct arena *mem = a->arena;
	struct json *quota = object_tree(o, mem);
	struct amounts hard = concerned(a, quota);
	if (!hard.n || !quota_scopes_match(quota, a->resource, a->object))
		return 0;
	const char *open = str_eq(a->resource->plural, "pods") && !*a->resource->group
			       ? quota_unspecified(mem, &hard, a->object)
			       : NULL;
	if (open)
		return admission_forbid(a, err, "failed quota: %s: %s", o->name, open);
	struct amounts used = amounts_read(mem, json_path(quota, "status.used")), unknown = {0}, over = {0};
	for (size_t i = 0; i < hard.n; i++)
		if (!amounts_get(&used, hard.at[i].name))
			amounts_set(mem, &unknown, hard.at[i].name, QUANTITY_ZERO);
	if (unknown.n)
		return admission_forbid(a, err, "status unknown for quota: %s, resources: %s", o->name,
					amounts_names(mem, &unknown));
	struct amounts delta = added(a, quota, &hard);
	if (!any_more(&delta))
		return 0; /* what is given back is counted by the controller, when it is really gone */
	for (size_t i = 0; i < delta.n; i++) {
		struct quantity sum = *amounts_get(&used, delta.at[i].name);
		quantity_add(&sum, &delta.at[i].value);
		if (quantity_compare(&delta.at[i].value, &QUANTITY_ZERO) > 0 &&
		    quantity_compare(&sum, amounts_get(&hard, delta.at[i].name)) > 0)
			amounts_set(mem, &over, delta.at[i].name, sum);
	}
	amounts_sort(&over);
	if (over.n)
		return admission_forbid(a, err, "exceeded quota: %s, requested: %s, used: %s, limited: %s", o->name,
					amounts_text(mem, &delta, &over), amounts_text(mem, &used, &over),
					amounts_text(mem, &hard, &over));
	if (a->charges)
		a->charges->at[a->charges->n++] = (struct quota_charge){o->key, delta};
	return 0;
}

/* Raising usage by an update is for the kinds whose objects have sizes; pods change theirs by resize only. */
static bool concerns(const struct admission *a)
{
	if (!a->resource->namespaced || !a->resource->storage_prefix)
		return false;
	bool resize = str_eq(a->subresource, "resize");
	if (*a->subresource && !resize)
		return false;
	if (a->operation == ADMIT_CREATE)
		return true;
	return quota_needs_object(a->resource) && (resize || !str_eq(a->resource->plural, "pods"));
}

static int validate(const struct admission *a, struct status *err)
{
	const struct resource *quotas = resource_by_plural("", "resourcequotas");
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	struct quota_list l = {.a = a};
	if (a->charges)
		a->charges->n = 0;
	if (!concerns(a))
		return 0;
	resource_key(registry_storage_row(quotas), a->ns, NULL, &prefix);
	store_each(registry_store(a->registry), buf_str(&prefix), NULL, collect, &l);
	for (size_t i = 0; i < l.n; i++) {
		struct object *o = store_get_latest(registry_store(a->registry), l.keys[i]);
		if (o && check_quota(a, o, err) < 0)
			return -1;
	}
	return 0;
}

const struct admission_plugin admission_resource_quota = {
    .name = "ResourceQuota",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .validate = validate,
};

/* ---- charging ---- */

static void ignore_done(void *arg, enum store_error result, struct object *obj)
{
	(void)arg, (void)result, (void)obj; /* it shares the fate of the write that it was charged for */
}

void quota_charge(struct write_op *op)
{
	for (size_t i = 0; i < op->charges.n; i++) {
		struct quota_charge *c = &op->charges.at[i];
		struct object *o = store_get_latest(op->reg->store, c->key);
		if (!o)
			continue;
		struct json *quota = object_tree(o, op->arena);
		struct amounts used = amounts_read(op->arena, json_path(quota, "status.used"));
		amounts_add(op->arena, &used, &c->delta);
		json_set_path(op->arena, quota, "status.used", amounts_json(op->arena, &used));
		struct store_write w = {
		    .key = o->key, .resource = o->resource, .tree = quota, .expect_rev = o->rev, .done = ignore_done};
		store_write(op->reg->store, &w);
	}
	op->charges.n = 0;
}
