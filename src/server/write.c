/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create, update, patch and apply. The order of steps is upstream's: decode, default, identity and metadata, mutating
 * admission, defaults for what admission added, field ownership, validation, validating admission, allocation, store.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/apply.h"
#include "api/decode.h"
#include "api/default.h"
#include "api/json_patch.h"
#include "api/merge_patch.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "api/strategic_patch.h"
#include "api/type.h"
#include "api/validate.h"
#include "api/warnings.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/event_ttl.h"
#include "server/registry_internal.h"

#define GENERATE_NAME_TRIES 8 /* 27^5 names: a second try is rare, an eighth means the prefix is exhausted */
#define WRITE_TRIES_MAX 5     /* as upstream's patch handler */

static const char *api_version(struct arena *a, const struct resource *r)
{
	return *r->group ? arena_printf(a, "%s/%s", r->group, r->version) : r->version;
}

static bool is_apply(const struct write_op *op)
{
	return op->req.verb == WRITE_PATCH && op->req.patch == PATCH_APPLY;
}

/* ---- decoding ---- */

static void warn_reports(struct write_op *op, const struct decode_report *report)
{
	struct admission ad = op_admission(op, 0);
	for (size_t i = 0; i < report->n; i++)
		admission_warn(&ad, report->messages[i]);
}

/* Decodes what a client sent (or a patch made), with the consequences of fieldValidation. */
static int decode(struct write_op *op, const struct type *type, const char *kind, const char *version, struct json *in,
		  struct json **ret, struct status *err)
{
	struct decode_report *report = op->req.report;
	if (!report) {
		report = ARENA_NEW(op->arena, struct decode_report);
		report->arena = op->arena;
	}
	op->req.report = NULL; /* its complaints are told once */
	if (op->req.verb == WRITE_PATCH)
		decode_report_repeated(report, op->req.patch == PATCH_JSON ? "json patch " : "");
	if (decode_object(op->arena, type, kind, version, in, report, ret, err) < 0)
		return -1;
	if (!report->n || op->req.validation == FIELD_VALIDATION_IGNORE)
		return 0;
	if (op->req.validation != FIELD_VALIDATION_STRICT) {
		warn_reports(op, report);
		return 0;
	}
	if (op->req.verb == WRITE_PATCH)
		return decode_report_status(report, err);
	return status_set(err, 400, "%s in version \"%s\" cannot be handled as a %s: %s", kind, version, kind,
			  decode_report_text(report));
}

/* The version and kind that the body of this request must have. */
struct body_kind {
	const char *api_version, *kind, *version;
	const struct type *type;
};

static struct body_kind body_kind(struct write_op *op)
{
	const struct resource *r = op->req.resource;
	const struct subresource *sub = op->sub;
	if (sub && sub->kind) {
		const char *group = str_or(sub->group, ""), *version = str_or(sub->version, "v1");
		return (struct body_kind){*group ? arena_printf(op->arena, "%s/%s", group, version) : version,
					  sub->kind, version, sub->type};
	}
	return (struct body_kind){api_version(op->arena, r), r->kind, r->version, r->type};
}

static int check_kind(struct write_op *op, const struct body_kind *k, struct json *body, struct status *err)
{
	if (!json_is(body, JSON_OBJECT))
		return status_set(err, 400, "couldn't get version/kind; json parse error: the body is not an object");
	static const char *const named[] = {"apiVersion", "kind"};
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		const struct json *v = json_get(body, named[i]);
		if (v && !json_is(v, JSON_STRING) && !json_is(v, JSON_NULL))
			return status_set(err, 400, "couldn't get version/kind; json parse error: %s is not a string",
					  named[i]);
	}
	const char *got_version = json_path_str(body, "apiVersion"), *got_kind = json_path_str(body, "kind");
	if (str_empty(got_kind))
		json_set_str(op->arena, body, "kind", k->kind);
	else if (!str_eq(got_kind, k->kind))
		return status_set(err, 400,
				  "%s in version \"%s\" cannot be handled as a %s: the kind in the data does not match",
				  got_kind, k->version, k->kind);
	if (str_empty(got_version))
		json_set_str(op->arena, body, "apiVersion", k->api_version);
	else if (!str_eq(got_version, k->api_version))
		return status_set(err, 400,
				  "the API version in the data (%s) does not match the expected API version (%s)",
				  got_version, k->api_version);
	return 0;
}

/* ---- identity ---- */

static int check_namespace(struct write_op *op, struct json *tree, struct status *err)
{
	struct json *meta = meta_of(op->arena, tree);
	const char *ns = meta_ns(tree);
	if (!op->row->namespaced) {
		if (*ns)
			json_remove(meta, "namespace");
		return 0;
	}
	if (!*ns)
		json_set_str(op->arena, meta, "namespace", op->ns);
	else if (!str_eq(ns, op->ns))
		return status_set(
		    err, 400, "the namespace of the provided object does not match the namespace sent on the request");
	return 0;
}

static void make_key(struct write_op *op)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	resource_key(op->row, op->row->namespaced ? op->ns : NULL, op->name, &key);
	op->key = arena_strdup(op->arena, buf_str(&key));
}

static const char *now_text(struct arena *a)
{
	char text[TIME_RFC3339_MAX];
	return arena_strdup(a, time_format(now_ns(), text));
}

static void new_metadata(struct write_op *op)
{
	struct json *meta = meta_of(op->arena, op->tree);
	char uid[UUID_LEN + 1];
	uuid_make(uid);
	json_remove(meta, "selfLink");
	json_remove(meta, "deletionTimestamp");
	json_remove(meta, "deletionGracePeriodSeconds");
	json_remove(meta, "resourceVersion");
	json_remove(meta, "generation");
	json_set_str(op->arena, meta, "uid", uid);
	json_set_str(op->arena, meta, "creationTimestamp", now_text(op->arena));
	if (op->row->has_generation)
		json_set_int(op->arena, meta, "generation", 1);
}

/* Decides about the name of a create. The generated one is tried again by op_create when it is taken. */
static int set_name(struct write_op *op, struct status *err)
{
	struct json *meta = meta_of(op->arena, op->tree);
	const char *base = json_path_str(meta, "generateName");
	const char *name = meta_name(op->tree);
	if (!*name && !str_empty(base)) {
		op->name = name_generate(op->arena, base);
		op->generated = true;
		json_set_str(op->arena, meta, "name", op->name);
		return 0;
	}
	if (*op->name && *name && !str_eq(op->name, name))
		return status_set(err, 400, "the name of the object (%s) does not match the name on the URL (%s)", name,
				  op->name);
	char uuid[UUID_LEN + 1];
	if (!*name && !*op->name && op->strategy->names_nameless) {
		uuid_make(uuid);
		json_set_str(op->arena, meta, "name", uuid);
	} else if (!*name && *op->name) {
		json_set_str(op->arena, meta, "name", op->name);
	}
	op->name = meta_name(op->tree);
	if (!*op->name) {
		status_cause(err, "FieldValueRequired", "metadata.name",
			     "Required value: name or generateName is required");
		return status_invalid(err, op->row->group, op->row->kind, "");
	}
	return 0;
}

/* Events: of use for minutes (architecture.md, decision 5). */
static bool is_lazy(const struct write_op *op)
{
	return str_eq(op->row->plural, "events") && !*op->row->group;
}

/* ---- the store ---- */

static void stored(void *arg, enum store_error result, struct object *obj)
{
	struct write_op *op = arg;
	if (result != STORE_OK) {
		op_store_result(op, result);
		return;
	}
	if (str_eq(op->row->plural, "events") && op->removing)
		event_ttl_removed(op->reg->events, op->key);
	else if (str_eq(op->row->plural, "events"))
		event_ttl_written(op->reg->events, obj);
	if (op->strategy->settled)
		op->strategy->settled(op, true);
	/* The answer may go out in this turn: the store calls back only after registry_write returned. */
	op_finish(op, op->created ? 201 : op->code ? op->code : 200, obj);
}

/* The name is another object's, which may be about to go. */
static void tell_taken(struct write_op *op)
{
	const struct object *o = store_get_latest(op->reg->store, op->key);
	bool generated = op->created && !str_empty(json_path_str(op->tree, "metadata.generateName"));

	status_already_exists(&op->err, op->row->group, op->row->plural, op->name);
	if (generated)
		op->err.retry_after_s = 1;
	if (!generated && !(o && o->deleting))
		return;
	char *plain = op->err.message;
	op->err.message =
	    xasprintf("%s%s%s", o && o->deleting ? "object is being deleted: " : "", plain,
		      generated ? ", the server was not able to generate a unique name for the object" : "");
	free(plain);
}

void op_store_result(struct write_op *op, enum store_error e)
{
	const struct resource *r = op->row;
	switch (e) {
	case STORE_CONFLICT:
		status_conflict(
		    &op->err, r->group, r->plural, op->name,
		    "the object has been modified; please apply your changes to the latest version and try again");
		break;
	case STORE_EXISTS:
		tell_taken(op);
		break;
	case STORE_MISSING:
		status_not_found(&op->err, r->group, r->plural, op->name);
		break;
	case STORE_FULL:
		status_set(&op->err, 507, "no space is left to store the object");
		break;
	case STORE_TOO_LARGE:
		status_set(&op->err, 413, "Request entity too large: limit is %u", STORE_VALUE_BYTES_MAX);
		break;
	default:
		status_set(&op->err, 500, "the store failed");
		break;
	}
	op_fail(op, &op->err);
}

/* What a write that is not to happen would have answered with. */
static struct json *dry_answer(struct write_op *op)
{
	const struct subresource_ops *ops =
	    op->req.subresource ? strategy_subresource(op->strategy, op->row, op->req.subresource) : NULL;

	if (ops && ops->view)
		return ops->view(op->arena, op->row, op->tree);
	return version_convert(op->arena, op->row, op->req.resource, op->tree);
}

enum store_error op_store(struct write_op *op, uint64_t expect_rev)
{
	if (op->tree && !op->removing)
		decode_finish(op->arena, op->row->type, op->tree);
	if (op->req.dry_run) {
		/* An answer of its own (a binding's Status) is the same as when the write happens. */
		if (op->removing)
			op_finish(op, 200, op->old);
		else if (op->answer)
			op_finish_tree(op, op->code ? op->code : 200, op->answer);
		else
			op_finish_tree(op, op->created ? 201 : 200, dry_answer(op));
		if (op->strategy->settled)
			op->strategy->settled(op, false);
		return STORE_OK;
	}
	struct store_write w = {.key = op->key,
				.resource = op->row,
				.tree = op->removing ? NULL : op->tree,
				.create = op->created,
				.expect_rev = expect_rev,
				.lazy = op->lazy,
				.renewal = op->renewal,
				.done = stored,
				.arg = op};
	enum store_error e = store_write(op->reg->store, &w);
	if (e == STORE_OK)
		quota_charge(op);
	return e;
}

bool op_should_remove(struct write_op *op)
{
	const struct json *meta = json_get(op->tree, "metadata");
	if (!meta_deleting(op->tree) || json_len(json_get(meta, "finalizers")))
		return false;
	if (json_path_int(meta, "deletionGracePeriodSeconds", 0) > 0)
		return false;
	return !op->strategy->may_remove || op->strategy->may_remove(op, op->tree);
}

int op_load(struct write_op *op, struct status *err)
{
	struct object *o = store_get_latest(op->reg->store, op->key);
	if (!o)
		return status_not_found(err, op->row->group, op->row->plural, op->name);
	object_unref(op->old);
	op->old = object_ref(o);
	op->old_tree = object_tree(o, op->arena);
	decode_settle(op->arena, op->row->type, op->old_tree); /* what earlier versions stored may lack it */
	return 0;
}

/* ---- create ---- */

static void add_warning(void *arg, const char *text)
{
	admission_warn(arg, text);
}

/*
 * What a version asks of its objects is judged in their storage version. Only Events have a second group, which asks
 * more than the one that they are stored in: it judges its own form of them.
 */
static int validate_other_group(struct write_op *op, struct status *err)
{
	const struct resource *r = op->req.resource;
	if (str_eq(r->group, op->row->group))
		return 0;
	struct json *tree = version_convert(op->arena, op->row, r, json_clone(op->arena, op->tree));
	if (!op->old_tree)
		return validate_create(r, tree, err);
	struct json *old = version_convert(op->arena, op->row, r, json_clone(op->arena, op->old_tree));
	return validate_update(r, tree, old, str_or(op->req.subresource, ""), err);
}

#define OWNERS_WARNING                                                                                                 \
	".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "  \
	"reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %s"

struct named_owner {
	const struct json *o;
	size_t at;
};

/* -1: it isn't said. */
static int flag_of(const struct json *o, const char *name)
{
	const struct json *v = json_get(o, name);
	return v ? v->boolean : -1;
}

static int by_words(const struct json *a, const struct json *b)
{
	static const char *const words[] = {"uid", "apiVersion", "kind", "name"}, *const flags[] = {
										      "controller",
										      "blockOwnerDeletion"};
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
		r = strcmp(str_or(json_path_str(a, words[i]), ""), str_or(json_path_str(b, words[i]), ""));
	for (size_t i = 0; i < ARRAY_SIZE(flags) && r == 0; i++)
		r = flag_of(a, flags[i]) - flag_of(b, flags[i]);
	return r;
}

static int by_owner(const void *a, const void *b)
{
	const struct named_owner *x = a, *y = b;
	int r = by_words(x->o, y->o);
	return r ? r : x->at < y->at ? -1 : 1;
}

/* An owner that is named twice in the same words is one. There may be very many of them. */
static void unite_owners(struct write_op *op)
{
	struct json *owners = json_path(op->tree, "metadata.ownerReferences");
	size_t n = json_is(owners, JSON_ARRAY) ? json_len(owners) : 0, i = 0;
	if (n < 2)
		return;
	struct named_owner *all = arena_zalloc(op->arena, n * sizeof(*all));
	bool *again = arena_zalloc(op->arena, n * sizeof(*again)), any = false;
	JSON_EACH(o, owners) {
		all[i] = (struct named_owner){o, i};
		i++;
	}
	qsort(all, n, sizeof(*all), by_owner);
	for (i = 1; i < n; i++)
		any |= again[all[i].at] = by_words(all[i].o, all[i - 1].o) == 0;
	if (!any)
		return;
	_cleanup_buf_ struct buf told = BUF_INIT;
	struct json *kept = json_new(op->arena, JSON_ARRAY);
	i = 0;
	JSON_EACH(o, owners) {
		if (again[i++])
			buf_addf(&told, "%s%s", told.len ? ", " : "", str_or(json_path_str(o, "uid"), ""));
		else
			json_append(kept, json_clone(op->arena, o));
	}
	json_set_path(op->arena, op->tree, "metadata.ownerReferences", kept);
	struct admission ad = op_admission(op, 0);
	admission_warn(&ad, arena_printf(op->arena, OWNERS_WARNING, buf_str(&told)));
}

/* With its defaults, and the structs that Go writes though they are empty. */
static void complete(struct write_op *op)
{
	default_object(op->arena, op->row, op->tree);
	decode_fill(op->arena, op->row->type, op->tree);
}

/* The same once it is known who owns which fields. */
static void settle(struct write_op *op)
{
	default_object(op->arena, op->row, op->tree);
	decode_settle(op->arena, op->row->type, op->tree);
}

/* From a decoded, converted tree in op->tree to what is stored. */
static int prepare_create(struct write_op *op, struct status *err)
{
	struct arena *a = op->arena;
	if (check_namespace(op, op->tree, err) < 0)
		return -1;
	const char *rev = json_path_str(op->tree, "metadata.resourceVersion");
	uint64_t revision;
	if (!str_empty(rev) && parse_u64(rev, &revision) == 0 && revision)
		return status_set(err, 400, "resourceVersion should not be set on objects to be created");
	if (set_name(op, err) < 0)
		return -1;
	if (op->row->has_status && !op->strategy->keeps_status)
		json_remove(op->tree, "status");
	new_metadata(op);
	unite_owners(op);
	complete(op);
	/* As upstream, nobody owns what strategies and admission add. */
	if (op->strategy->fold)
		op->strategy->fold(op);
	if (!is_apply(op))
		op_track_update(op);
	if (op->strategy->prepare_create)
		op->strategy->prepare_create(op);
	struct admission ad = op_admission(op, ADMIT_CREATE);
	if (admission_mutate(&ad, err) < 0)
		return -1;
	settle(op);
	if (validate_create(op->row, op->tree, err) < 0 || validate_other_group(op, err) < 0)
		return -1;
	object_warnings(a, op->row, op->tree, NULL, add_warning, &ad);
	if (admission_validate(&ad, err) < 0)
		return -1;
	if (op->strategy->allocate && op->strategy->allocate(op, err) < 0)
		return -1;
	return 0;
}

static void create_tree(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	op->created = true;
	if (prepare_create(op, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	op->lazy = is_lazy(op);
	struct json *meta = json_get(op->tree, "metadata");
	for (int i = 0;; i++) {
		make_key(op);
		enum store_error e =
		    op->req.dry_run && store_get_latest(op->reg->store, op->key) ? STORE_EXISTS : op_store(op, 0);
		if (e == STORE_OK)
			return;
		if (e != STORE_EXISTS || !op->generated || i == GENERATE_NAME_TRIES) {
			op_store_result(op, e);
			return;
		}
		op->name = name_generate(op->arena, json_path_str(meta, "generateName"));
		json_set_str(op->arena, meta, "name", op->name);
	}
}

static int admit_subresource(struct write_op *op, struct status *err)
{
	struct admission ad = op_admission(op, ADMIT_CREATE);
	return admission_mutate(&ad, err) < 0 ? -1 : admission_validate(&ad, err);
}

static void create_subresource(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct subresource_ops *ops = strategy_subresource(op->strategy, op->row, op->req.subresource);
	struct body_kind kind = body_kind(op);
	struct json *in = op->req.body ? op->req.body : json_new(op->arena, JSON_OBJECT);
	if (!ops || !ops->create) {
		op_failf(op, 405, "the server does not allow this method on the requested resource");
		return;
	}
	make_key(op);
	if (check_kind(op, &kind, in, &err) < 0 ||
	    decode(op, kind.type, kind.kind, kind.version, in, &op->tree, &err) < 0)
		op_fail(op, &err);
	else if (admit_subresource(op, &err) < 0)
		op_fail(op, &err);
	else
		ops->create(op);
}

void op_create(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	if (op->req.subresource) {
		create_subresource(op);
		return;
	}
	struct body_kind kind = body_kind(op);
	struct json *tree = NULL;
	if (!op->req.body)
		status_set(&err, 400, "the body of the request is empty");
	else if (check_kind(op, &kind, op->req.body, &err) == 0)
		decode(op, kind.type, kind.kind, kind.version, op->req.body, &tree, &err);
	if (status_failed(&err)) {
		op_fail(op, &err);
		return;
	}
	op->tree = version_convert(op->arena, op->req.resource, op->row, tree);
	if (op->strategy->review)
		op->strategy->review(op);
	else
		create_tree(op);
}

/* ---- update, patch, apply ---- */

/* As Go prints the maps, lists and scalars of a tree. */
static void go_print(struct buf *b, const struct json *v)
{
	const char *between = "";
	if (v->type == JSON_NULL)
		buf_adds(b, "<nil>");
	else if (v->type == JSON_STRING)
		buf_add(b, v->str, v->len);
	else if (v->type < JSON_ARRAY)
		json_write(b, v);
	if (v->type < JSON_ARRAY)
		return;
	buf_adds(b, v->type == JSON_OBJECT ? "map[" : "[");
	JSON_EACH(c, v) {
		buf_addf(b, "%s%s%s", between, c->key ? c->key : "", c->key ? ":" : "");
		go_print(b, c);
		between = " ";
	}
	buf_addc(b, ']');
}

#define SHOWN_PATCH_BYTES_MAX 4096 /* of what a patch made, in the message that refuses it */

static int patch_tree(struct write_op *op, const struct body_kind *kind, const struct json *view, struct json **ret,
		      struct status *err)
{
	struct json *doc = json_clone(op->arena, view);
	if (op->req.patch == PATCH_JSON)
		return json_patch_apply(op->arena, doc, op->req.body, ret, err);
	if (!json_is(op->req.body, JSON_OBJECT))
		return status_set(err, 400, "%sjson: cannot unmarshal %s into Go value of type map[string]interface {}",
				  op->req.patch == PATCH_MERGE ? "error decoding patch: " : "",
				  decode_type_name(op->req.body));
	if (op->req.patch == PATCH_STRATEGIC && op->req.resource->custom)
		return status_set(err, 415,
				  "the body of the request was in an unknown format - accepted media types include: "
				  "application/json-patch+json, application/merge-patch+json, "
				  "application/apply-patch+yaml");
	if (op->req.patch == PATCH_STRATEGIC)
		return strategic_patch_apply(op->arena, kind->type, doc, op->req.body, ret, err);
	*ret = merge_patch_apply(op->arena, doc, op->req.body);
	return 0;
}

/*
 * What a patch made does not fit its kind: 422 of the field "patch", as upstream, with a strategic patch itself, of
 * others what they made of the object (made again: decoding has used it up).
 */
static int bad_patch(struct write_op *op, const struct body_kind *kind, const struct json *view, struct status *err)
{
	_cleanup_buf_ struct buf shown = BUF_INIT, value = BUF_INIT;
	const char *why = arena_strdup(op->arena, str_or(err->message, ""));
	struct json *made = NULL;
	status_release(err);
	*err = (struct status)STATUS_INIT;
	if (op->req.patch == PATCH_STRATEGIC)
		go_print(&shown, op->req.body);
	else if (patch_tree(op, kind, view, &made, err) == 0)
		json_write(&shown, made);
	json_write_string(&value, buf_str(&shown), MIN_OF(shown.len, (size_t)SHOWN_PATCH_BYTES_MAX));
	status_cause(err, "FieldValueInvalid", "patch", "Invalid value: %s: %s", buf_str(&value), why);
	return status_invalid(err, "", "", "");
}

/* Members of a JSON patch's operations that mean nothing. */
static void report_operations(struct write_op *op)
{
	static const char *const known[] = {"op", "path", "from", "value", NULL};
	size_t i = 0;
	JSON_EACH(o, op->req.body) {
		JSON_EACH(m, o)
			if (!str_in(m->key, known))
				decode_report_unknown(op->req.report, "json patch ",
						      arena_printf(op->arena, "[%zu].%s", i, m->key));
		i++;
	}
}

/* What the client wants the view (the object in the requested version, or a Scale) to be. */
static int patched(struct write_op *op, const struct body_kind *kind, struct json *view, struct json **ret,
		   struct status *err)
{
	struct json *out = NULL;
	if (patch_tree(op, kind, view, &out, err) < 0)
		return -1;
	if (op->req.patch == PATCH_STRATEGIC) { /* one of the object as its type has it, which has no kind */
		json_set_str(op->arena, out, "apiVersion", kind->api_version);
		json_set_str(op->arena, out, "kind", kind->kind);
	}
	if (check_kind(op, kind, out, err) < 0)
		return bad_patch(op, kind, view, err);
	if (op->req.patch == PATCH_JSON && op->req.report)
		report_operations(op);
	if (decode(op, kind->type, kind->kind, kind->version, out, ret, err) == 0)
		return 0;
	return bad_patch(op, kind, view, err);
}

/* What was sent, in the storage version or as the view of a subresource that has one. */
static int sent_tree(struct write_op *op, const struct subresource_ops *ops, const struct body_kind *kind,
		     struct json **ret, struct status *err)
{
	bool has_view = ops && ops->view;
	struct json *view =
	    has_view ? ops->view(op->arena, op->row, op->old_tree)
		     : version_convert(op->arena, op->row, op->req.resource, json_clone(op->arena, op->old_tree));
	struct json *out = NULL;
	if (op->req.verb == WRITE_UPDATE) {
		struct json *in = json_clone(op->arena, op->req.body);
		if (check_kind(op, kind, in, err) < 0 ||
		    decode(op, kind->type, kind->kind, kind->version, in, &out, err) < 0)
			return -1;
	} else if (patched(op, kind, view, &out, err) < 0) {
		return -1;
	}
	*ret = has_view ? out : version_convert(op->arena, op->req.resource, op->row, out);
	return 0;
}

/* Apply: complaints about the configuration itself are told as upstream does, after it was applied. */
static int applied(struct write_op *op, const struct subresource_ops *ops, struct json **ret, struct status *err)
{
	struct decode_report *report = op->req.report;
	if ((ops && ops->view ? op_applied_view(op, ops, ret, err) : op_applied_tree(op, ret, err)) < 0)
		return -1;
	op->req.report = NULL;
	if (!report || !report->n || op->req.validation == FIELD_VALIDATION_IGNORE)
		return 0;
	if (op->req.validation == FIELD_VALIDATION_STRICT)
		return status_set(err, 400, "error strict decoding YAML: error converting YAML to JSON: %s",
				  str_after(decode_report_text(report), "strict decoding error: "));
	warn_reports(op, report);
	return 0;
}

/* The sent object against the stored one: same name, uid and, when given, revision. *ret_expect: it was given. */
static int check_preconditions(struct write_op *op, const struct json *sent, bool *ret_expect, struct status *err)
{
	const char *name = meta_name(sent), *uid = meta_uid(sent);
	const char *rev = json_path_str(sent, "metadata.resourceVersion");
	const struct resource *r = op->row;
	if (*name && !str_eq(name, op->name))
		return status_set(err, 400, "the name of the object (%s) does not match the name on the URL (%s)", name,
				  op->name);
	if (*uid && !str_eq(uid, op->old->uid) && (op->req.verb != WRITE_PATCH || is_apply(op)))
		return status_conflict(
		    err, r->group, r->plural, op->name,
		    arena_printf(op->arena, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
				 op->old->uid));
	*ret_expect = !str_empty(rev) && !str_eq(rev, "0");
	if (!*ret_expect) {
		if ((op->row->custom || op->row->needs_revision) && op->req.verb == WRITE_UPDATE) {
			status_cause(err, "FieldValueInvalid", "metadata.resourceVersion",
				     "Invalid value: 0: must be specified for an update");
			return status_invalid(err, r->group, r->plural, op->name); /* so named by upstream, too */
		}
		return 0;
	}
	uint64_t n;
	if (parse_u64(rev, &n) < 0)
		return status_set(err, 400, "invalid resource version \"%s\"", rev);
	if (n != op->old->rev)
		return status_conflict(
		    err, r->group, r->plural, op->name,
		    "the object has been modified; please apply your changes to the latest version and try again");
	return 0;
}

/* Does anything but metadata and status differ? */
static bool spec_differs(const struct json *a, const struct json *b)
{
	JSON_EACH(c, a)
		if (!str_eq(c->key, "metadata") && !str_eq(c->key, "status") && !json_equal(c, json_get(b, c->key)))
			return true;
	JSON_EACH(c, b)
		if (!str_eq(c->key, "metadata") && !str_eq(c->key, "status") && !json_get(a, c->key))
			return true;
	return false;
}

static void set_generation(struct write_op *op)
{
	if (!op->row->has_generation)
		return;
	int64_t generation = json_path_int(op->old_tree, "metadata.generation", 0);
	if (spec_differs(op->old_tree, op->tree))
		generation++;
	json_set_int(op->arena, meta_of(op->arena, op->tree), "generation", generation);
}

static void keep_from_old(struct write_op *op, const char *member)
{
	struct json *old = json_get(op->old_tree, member);
	if (old)
		json_set(op->arena, op->tree, member, json_clone(op->arena, old));
	else
		json_remove(op->tree, member);
}

/*
 * A lease that is only renewed, a node that reports although nothing changed: only a time differs, and it is worth
 * nothing after less than a minute. A lease that changes hands must be durable: somebody acts on it.
 */
static bool only_renewal(struct write_op *op)
{
	bool lease = str_eq(op->row->plural, "leases") && str_empty(op->req.subresource);
	bool node = str_eq(op->row->plural, "nodes") && str_eq(op->req.subresource, "status");
	if (!lease && !node)
		return false;
	struct json *trees[] = {json_clone(op->arena, op->old_tree), json_clone(op->arena, op->tree)};
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		if (lease)
			json_remove(json_get(trees[i], "spec"), "renewTime");
		else
			JSON_EACH(c, json_path(trees[i], "status.conditions"))
				json_remove(c, "lastHeartbeatTime");
		json_remove(json_get(trees[i], "metadata"), "managedFields");
	}
	return json_equal(trees[0], trees[1]);
}

/* The new object into op->tree, complete and checked. */
static int prepare_update(struct write_op *op, const struct subresource_ops *ops, struct json *sent, struct status *err)
{
	struct arena *a = op->arena;
	if (ops) {
		op->tree = ops->merge(op, op->old_tree, sent, err);
		if (!op->tree)
			return -1;
	} else {
		op->tree = sent;
	}
	validate_inherit_metadata(a, op->tree, op->old_tree);
	if (check_namespace(op, op->tree, err) < 0)
		return -1;
	json_set_str(a, meta_of(a, op->tree), "name", op->name);
	if (!ops && op->row->has_status)
		keep_from_old(op, "status");
	unite_owners(op);
	complete(op);
	if (is_apply(op))
		op_settle_view(op);
	if (!ops && op->strategy->fold)
		op->strategy->fold(op);
	if (!is_apply(op))
		op_track_update(op);
	if (!ops && op->strategy->prepare_update)
		op->strategy->prepare_update(op);
	struct admission ad = op_admission(op, ADMIT_UPDATE);
	if (admission_mutate(&ad, err) < 0)
		return -1;
	settle(op);
	set_generation(op);
	apply_ignore_times(a, op->old_tree, op->tree);
	if (validate_update(op->row, op->tree, op->old_tree, op->req.subresource, err) < 0 ||
	    validate_other_group(op, err) < 0)
		return -1;
	if (!ops)
		object_warnings(a, op->row, op->tree, op->old_tree, add_warning, &ad);
	if (admission_validate(&ad, err) < 0)
		return -1;
	if (!ops && op->strategy->allocate && op->strategy->allocate(op, err) < 0)
		return -1;
	return 0;
}

static bool unchanged(struct write_op *op)
{
	/* The store sets the revision; it is no part of the comparison. */
	const char *rev = json_path_str(op->old_tree, "metadata.resourceVersion");
	json_set_str(op->arena, meta_of(op->arena, op->tree), "resourceVersion", rev);
	return json_equal(op->old_tree, op->tree);
}

/*
 * Is what it was compared with still on its way to the disk? Then "nothing to do" would acknowledge a state that may be
 * taken back; the update is written, and answered with its own commit.
 */
static bool ahead_of_commit(const struct write_op *op)
{
	return !op->req.dry_run && op->old->rev > store_revision(op->reg->store);
}

/* One attempt against the latest state. STORE_OK: on its way; STORE_CONFLICT: try again; else the operation has ended.
 */
static enum store_error modify_once(struct write_op *op, const struct subresource_ops *ops,
				    const struct body_kind *kind)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *sent = NULL;
	bool expect = false;
	if ((is_apply(op) ? applied(op, ops, &sent, &err) : sent_tree(op, ops, kind, &sent, &err)) < 0 ||
	    check_preconditions(op, sent, &expect, &err) < 0 || prepare_update(op, ops, sent, &err) < 0) {
		op_fail(op, &err);
		return STORE_OK;
	}
	if (op_should_remove(op)) {
		/* The answer is what this update made of it, though that is never stored. */
		op->removing = true;
		op->answer = version_convert(op->arena, op->row, op->req.resource, json_clone(op->arena, op->tree));
	} else if (unchanged(op) && !op->old->stale && !ahead_of_commit(op)) {
		if (op->strategy->settled)
			op->strategy->settled(op, false);
		op_finish(op, 200, op->old);
		return STORE_OK;
	}
	op->lazy = !op->removing && is_lazy(op);
	op->renewal = !op->removing && only_renewal(op);
	enum store_error e = op_store(op, op->old->rev);
	if (e != STORE_OK)
		op->answer = NULL;
	if (e == STORE_CONFLICT && !expect) {
		op->removing = false;
		if (op->strategy->settled)
			op->strategy->settled(op, false);
		return e;
	}
	if (e != STORE_OK)
		op_store_result(op, e);
	return STORE_OK;
}

/* The right to patch or update what is there is not the right to create it. */
static int may_create(struct write_op *op, struct status *err)
{
	const struct resource *r = op->req.resource;
	char reason[AUTHZ_REASON_MAX];
	struct authz_attributes at = {.user = op->req.user,
				      .verb = "create",
				      .group = r->group,
				      .version = r->version,
				      .resource = r->plural,
				      .subresource = "",
				      .ns = op->ns,
				      .name = op->name,
				      .path = "",
				      .resource_request = true};
	if (!op->req.user || auth_allowed(op->reg->auth, &at, reason))
		return 0;
	status_set(err, 403, "%s", auth_forbidden_message(op->arena, &at, reason));
	return status_details(err, r->group, r->plural, op->name), -1;
}

/* apply, and update of the few kinds that allow it, create what isn't there. */
static void create_instead(struct write_op *op, const struct body_kind *kind)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *tree = NULL;
	if (may_create(op, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	if (op->req.verb == WRITE_PATCH) {
		if (!str_empty(json_path_str(op->req.body, "metadata.uid")))
			status_conflict(
			    &err, op->row->group, op->row->plural, op->name,
			    "uid mismatch: the provided object specified uid, and no existing object was found");
		else
			applied(op, NULL, &tree, &err);
	} else {
		json_remove(json_get(op->req.body, "metadata"), "resourceVersion");
		if (check_kind(op, kind, op->req.body, &err) == 0 &&
		    decode(op, kind->type, kind->kind, kind->version, op->req.body, &tree, &err) == 0)
			tree = version_convert(op->arena, op->req.resource, op->row, tree);
	}
	if (status_failed(&err)) {
		op_fail(op, &err);
		return;
	}
	op->tree = tree;
	create_tree(op);
}

static int check_modify(struct write_op *op, const struct subresource_ops **ret_ops, struct status *err)
{
	*ret_ops = NULL;
	if (op->req.subresource) {
		*ret_ops = strategy_subresource(op->strategy, op->row, op->req.subresource);
		if (!*ret_ops || !(*ret_ops)->merge)
			return status_set(err, 405, "the server does not allow this method on the requested resource");
	}
	if (!op->req.body)
		return status_set(err, 400, "the body of the request is empty");
	return 0;
}

void op_modify(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct subresource_ops *ops;
	struct body_kind kind = body_kind(op);
	make_key(op);
	if (check_modify(op, &ops, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	for (int i = 0; i < WRITE_TRIES_MAX; i++) {
		if (op_load(op, &err) < 0) {
			bool may = !ops && (is_apply(op) || (op->req.verb == WRITE_UPDATE && op->row->put_creates));
			if (may)
				create_instead(op, &kind);
			else
				op_fail(op, &err);
			return;
		}
		if (modify_once(op, ops, &kind) != STORE_CONFLICT)
			return;
	}
	op_store_result(op, STORE_CONFLICT);
}
