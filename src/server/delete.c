/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delete and deletecollection. An object goes at once, or, when something holds it (finalizers, a grace period, the
 * contents of a namespace), it gets a deletionTimestamp and goes with the update that lets go of the last hold.
 */
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "server/registry_internal.h"

#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

struct delete_options {
	int64_t grace_s; /* -1: not said */
	const char *uid, *rev;
	const char *policy;	  /* Orphan, Background, Foreground; NULL: not said */
	bool wait_for_dependents; /* orphanDependents was given as false: upstream answers 202 then */
};

static int read_options(struct write_op *op, struct delete_options *ret, struct status *err)
{
	const struct json *o = op->req.body;
	*ret = (struct delete_options){.grace_s = -1};
	if (!o)
		return 0;
	if (!json_is(o, JSON_OBJECT))
		return status_set(err, 400, "DeleteOptions must be an object");
	const struct json *grace = json_get(o, "gracePeriodSeconds"), *orphan = json_get(o, "orphanDependents");
	if (json_is(grace, JSON_NUMBER)) {
		ret->grace_s = json_int(grace, -1);
		if (ret->grace_s < 0)
			ret->grace_s = 1; /* as upstream: soon, and not at once */
	}
	ret->uid = json_path_str(o, "preconditions.uid");
	ret->rev = json_path_str(o, "preconditions.resourceVersion");
	ret->policy = json_path_str(o, "propagationPolicy");
	static const char *const policies[] = {"Orphan", "Background", "Foreground", NULL};
	if (ret->policy && !str_in(ret->policy, policies)) {
		status_cause(err, "FieldValueNotSupported", "propagationPolicy",
			     "Unsupported value: \"%s\": supported values: \"Foreground\", \"Background\", "
			     "\"Orphan\", \"nil\"",
			     ret->policy);
		return status_invalid(err, "meta.k8s.io", "DeleteOptions", "");
	}
	if (ret->policy && json_is(orphan, JSON_BOOL)) {
		status_cause(err, "FieldValueInvalid", "propagationPolicy",
			     "Invalid value: \"%s\": orphanDependents and deletionPropagation cannot be both set",
			     ret->policy);
		return status_invalid(err, "meta.k8s.io", "DeleteOptions", "");
	}
	if (json_is(orphan, JSON_BOOL)) {
		ret->policy = orphan->boolean ? "Orphan" : "Background";
		ret->wait_for_dependents = !orphan->boolean;
	}
	return 0;
}

static int check_preconditions(struct write_op *op, const struct delete_options *o, struct status *err)
{
	const struct resource *r = op->row;
	const char *rev = json_path_str(op->old_tree, "metadata.resourceVersion");
	if (o->uid && !str_eq(o->uid, op->old->uid))
		return status_conflict(
		    err, r->group, r->plural, op->name,
		    arena_printf(op->arena, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
				 o->uid, op->old->uid));
	if (o->rev && !str_eq(o->rev, rev))
		return status_conflict(
		    err, r->group, r->plural, op->name,
		    arena_printf(
			op->arena,
			"Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in object meta: %s",
			o->rev, rev));
	return 0;
}

/* The two finalizers that propagation stands for: set by what this delete asks, else by what the kind does. */
static void set_propagation(struct write_op *op, const struct delete_options *o)
{
	const char *policy = o->policy;
	if (!policy &&
	    (meta_has_finalizer(op->tree, FINALIZER_ORPHAN) || meta_has_finalizer(op->tree, FINALIZER_FOREGROUND)))
		return;
	if (!policy)
		policy = op->strategy->orphans ? "Orphan" : "Background";
	meta_remove_finalizer(op->tree, FINALIZER_ORPHAN);
	meta_remove_finalizer(op->tree, FINALIZER_FOREGROUND);
	if (str_eq(policy, "Orphan"))
		meta_add_finalizer(op->arena, op->tree, FINALIZER_ORPHAN);
	else if (str_eq(policy, "Foreground"))
		meta_add_finalizer(op->arena, op->tree, FINALIZER_FOREGROUND);
}

static void set_deletion(struct write_op *op, int64_t grace_s)
{
	struct json *meta = meta_of(op->arena, op->tree);
	char text[TIME_RFC3339_MAX];
	json_set_str(op->arena, meta, "deletionTimestamp", time_format(now_ns() + grace_s * 1000000000, text));
	json_set_int(op->arena, meta, "deletionGracePeriodSeconds", grace_s);
	int64_t generation = json_path_int(meta, "generation", 0);
	if (generation > 0)
		json_set_int(op->arena, meta, "generation", generation + 1);
}

/*
 * Marks op->tree as being deleted. A second delete can only shorten the grace period: deletionTimestamp then moves by
 * the difference.
 */
static void mark_deleting(struct write_op *op, const struct delete_options *o)
{
	int64_t grace = op->strategy->grace ? op->strategy->grace(op->tree, o->grace_s) : 0;
	struct json *meta = json_get(op->tree, "metadata");
	set_propagation(op, o);
	if (!meta_deleting(op->tree)) {
		set_deletion(op, grace);
	} else {
		int64_t before = json_path_int(meta, "deletionGracePeriodSeconds", 0);
		int64_t at = 0;
		if (grace < before && (o->grace_s >= 0 || grace == 0) &&
		    time_parse(json_path_str(meta, "deletionTimestamp"), &at) == 0) {
			char text[TIME_RFC3339_MAX];
			json_set_str(op->arena, meta, "deletionTimestamp",
				     time_format(at - (before - grace) * 1000000000, text));
			json_set_int(op->arena, meta, "deletionGracePeriodSeconds", grace);
		}
	}
	if (op->strategy->begin_delete)
		op->strategy->begin_delete(op);
}

/* Status of a deletion that is complete, as upstream answers for most kinds. */
static struct json *deleted_status(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *s = json_new(a, JSON_OBJECT), *details = json_new(a, JSON_OBJECT);
	json_set_str(a, s, "kind", "Status");
	json_set_str(a, s, "apiVersion", "v1");
	json_set(a, s, "metadata", json_new(a, JSON_OBJECT));
	json_set_str(a, s, "status", "Success");
	json_set_str(a, details, "name", op->name);
	if (*op->row->group)
		json_set_str(a, details, "group", op->row->group);
	json_set_str(a, details, "kind", op->row->plural);
	json_set_str(a, details, "uid", op->old->uid);
	json_set(a, s, "details", details);
	return s;
}

/* One attempt; STORE_CONFLICT: again. */
static enum store_error delete_once(struct write_op *op, const struct delete_options *o)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	if (op_load(op, &err) < 0 || check_preconditions(op, o, &err) < 0) {
		op_fail(op, &err);
		return STORE_OK;
	}
	op->tree = NULL;
	struct admission ad = op_admission(op, ADMIT_DELETE);
	if (admission_validate(&ad, &err) < 0) {
		op_fail(op, &err);
		return STORE_OK;
	}
	op->tree = json_clone(op->arena, op->old_tree);
	mark_deleting(op, o);
	op->removing = op_should_remove(op);
	if (!op->removing && json_equal(op->old_tree, op->tree)) {
		op_finish(op, 200, op->old);
		return STORE_OK;
	}
	if (op->removing && !op->row->returns_deleted)
		op->answer = deleted_status(op);
	if (!op->removing && o->wait_for_dependents)
		op->code = 202;
	enum store_error e = op_store(op, op->old->rev);
	if (e != STORE_OK)
		op->answer = NULL;
	if (e == STORE_CONFLICT)
		return e;
	if (e != STORE_OK)
		op_store_result(op, e);
	return STORE_OK;
}

void op_delete(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf key = BUF_INIT;
	struct delete_options o;
	if (read_options(op, &o, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	resource_key(op->row, op->row->namespaced ? op->ns : NULL, op->name, &key);
	op->key = arena_strdup(op->arena, buf_str(&key));
	for (int i = 0; i < 5; i++)
		if (delete_once(op, &o) != STORE_CONFLICT)
			return;
	op_store_result(op, STORE_CONFLICT);
}

/* ---- deletecollection ---- */

struct collection {
	struct write_op *op;
	size_t waiting;	   /* deletions under way, and one for the loop that starts them */
	struct status err; /* the first that failed */
	struct label_selector *labels;
	struct field_selector *fields;
	VEC(struct object *) found;
};

static bool collect(void *arg, struct object *o)
{
	struct collection *c = arg;
	if (label_selector_match(c->labels, o) && field_selector_match(c->fields, o))
		VEC_PUSH(&c->found, object_ref(o));
	return true;
}

static void collection_end(struct collection *c)
{
	struct write_op *op = c->op;
	if (--c->waiting)
		return;
	if (status_failed(&c->err)) {
		op_fail(op, &c->err);
	} else {
		struct arena *a = op->arena;
		_cleanup_buf_ struct buf version = BUF_INIT;
		struct json *list = json_new(a, JSON_OBJECT), *items = json_new(a, JSON_ARRAY);
		resource_api_version(op->req.resource, &version);
		json_set(a, list, "kind", json_new_strf(a, "%sList", op->req.resource->kind));
		json_set_str(a, list, "apiVersion", buf_str(&version));
		json_set(a, json_set(a, list, "metadata", json_new(a, JSON_OBJECT)), "resourceVersion",
			 json_new_strf(a, "%llu", (unsigned long long)store_revision(op->reg->store)));
		json_set(a, list, "items", items);
		VEC_EACH(o, &c->found)
			json_append(items, registry_tree(*o, op->req.resource, a));
		op_finish_tree(op, 200, list);
	}
	VEC_EACH(o, &c->found)
		object_unref(*o);
	VEC_RELEASE(&c->found);
	status_release(&c->err);
	free(c);
}

struct member {
	struct collection *collection;
	struct arena arena;
};

static void member_done(void *arg, const struct status *err, const struct write_result *result)
{
	struct member *m = arg;
	struct collection *c = m->collection;
	(void)result;
	/* Gone already is what was wanted. */
	if (err && err->code != 404 && !status_failed(&c->err))
		status_copy(&c->err, err);
	arena_release(&m->arena);
	free(m);
	collection_end(c);
}

static void delete_member(struct collection *c, const struct object *o)
{
	struct member *m = NEW(struct member);
	struct write_request w = c->op->req;
	m->collection = c;
	w.verb = WRITE_DELETE;
	w.ns = o->ns;
	w.name = o->name;
	w.arena = &m->arena;
	w.body = w.body ? json_clone(&m->arena, w.body) : NULL;
	w.done = member_done;
	w.arg = m;
	c->waiting++;
	registry_write(c->op->reg, &w);
}

void op_delete_collection(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	struct label_selector *labels = NULL;
	struct field_selector *fields = NULL;
	struct delete_options o;
	if (read_options(op, &o, &err) < 0 ||
	    label_selector_parse(op->arena, str_or(op->req.label_selector, ""), &labels, &err) < 0 ||
	    field_selector_parse(op->arena, str_or(op->req.field_selector, ""), &fields, &err) < 0 ||
	    version_select(op->arena, op->req.resource, fields, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	struct collection *c = NEW(struct collection);
	*c = (struct collection){.op = op, .waiting = 1, .labels = labels, .fields = fields};
	resource_key(op->row, *op->ns ? op->ns : NULL, NULL, &prefix);
	store_each(op->reg->store, buf_str(&prefix), NULL, collect, c);
	VEC_EACH(obj, &c->found)
		delete_member(c, *obj);
	collection_end(c);
}
