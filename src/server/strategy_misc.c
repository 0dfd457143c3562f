/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds with one or two particularities each. */
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/authn.h"
#include "server/admission_plugins.h"
#include "server/registry_internal.h"

/* ---- nodes register with their status ---- */

/* Configuration of kubelets through the API is gone; what is stored may stay. */
static void drop_config(struct json *tree, const struct json *old, const char *part, const char *member)
{
	if (!json_get(json_get(old, part), member))
		json_remove(json_get(tree, part), member);
}

static void drop_config_source(struct write_op *op)
{
	drop_config(op->tree, op->old_tree, "spec", "configSource");
	drop_config(op->tree, op->old_tree, "status", "config");
}

static struct json *merge_node_status(struct write_op *op, const struct json *old, struct json *sent,
				      struct status *err)
{
	struct json *tree = status_merge(op, old, sent, err);
	drop_config(tree, old, "status", "config");
	return tree;
}

static const struct subresource_ops node_subresources[] = {{.name = "status", .merge = merge_node_status}, {0}};

const struct strategy strategy_nodes = {.group = "",
					.plural = "nodes",
					.subresources = node_subresources,
					.prepare_create = drop_config_source,
					.prepare_update = drop_config_source,
					.keeps_status = true};

/* ---- secrets: stringData is a way to write data, never read back ---- */

static void fold_string_data(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *strings = json_get(op->tree, "stringData");
	JSON_EACH(v, strings) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		if (!json_is(v, JSON_STRING))
			continue;
		base64_encode(&text, v->str, v->len);
		json_set_str(a, json_object_in(a, op->tree, "data"), v->key, buf_str(&text));
	}
	json_remove(op->tree, "stringData");
}

const struct strategy strategy_secrets = {.group = "", .plural = "secrets", .fold = fold_string_data};

/* ---- v1 kinds whose dependents stay when the delete doesn't say (upstream keeps that for old clients) ---- */

const struct strategy strategy_replicationcontrollers = {
    .group = "", .plural = "replicationcontrollers", .orphans = true};

/* ---- endpoints have fields of their own for what once was their topology: only an old object has it still ---- */

static void drop_topology(struct write_op *op)
{
	if (op->old_tree && json_equal(json_get(op->tree, "endpoints"), json_get(op->old_tree, "endpoints")))
		return;
	JSON_EACH(e, json_get(op->tree, "endpoints"))
		if (json_is(e, JSON_OBJECT))
			json_remove(e, "deprecatedTopology");
}

const struct strategy strategy_endpoint_slices = {.group = "discovery.k8s.io",
						  .plural = "endpointslices",
						  .prepare_create = drop_topology,
						  .prepare_update = drop_topology};

const struct strategy strategy_limit_ranges = {.group = "", .plural = "limitranges", .names_nameless = true};

/* ---- a taint's time is that of its effect: another effect counts anew, unless the client says since when ---- */

static void restart_taint(struct write_op *op)
{
	struct json *taint = json_path(op->tree, "spec.taint");
	const struct json *old = json_path(op->old_tree, "spec.taint");
	char text[TIME_RFC3339_MAX];
	if (json_equal(json_get(taint, "effect"), json_get(old, "effect")) ||
	    !str_eq(json_path_str(taint, "timeAdded"), json_path_str(old, "timeAdded")))
		return;
	json_set_str(op->arena, taint, "timeAdded", time_format(now_ns(), text));
}

static void begin_taint(struct write_op *op)
{
	struct json *taint = json_path(op->tree, "spec.taint");
	char text[TIME_RFC3339_MAX];
	if (!op->old_tree && json_is(taint, JSON_OBJECT) && !json_get(taint, "timeAdded"))
		json_set_str(op->arena, taint, "timeAdded", time_format(now_ns(), text));
}

const struct strategy strategy_device_taint_rules = {
    .group = "resource.k8s.io", .plural = "devicetaintrules", .fold = begin_taint, .prepare_update = restart_taint};

/* ---- DaemonSets count their templates in an annotation: older than metadata.generation, and still there ---- */

#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"

static void count_templates(struct write_op *op)
{
	int64_t n = 1;
	if (op->old_tree) {
		parse_i64(str_or(meta_annotation(op->old_tree, TEMPLATE_GENERATION), "0"), &n);
		n += !json_equal(json_path(op->old_tree, "spec.template"), json_path(op->tree, "spec.template"));
	}
	struct json *meta = json_object_in(op->arena, op->tree, "metadata");
	json_set(op->arena, json_object_in(op->arena, meta, "annotations"), TEMPLATE_GENERATION,
		 json_new_strf(op->arena, "%lld", (long long)n));
}

const struct strategy strategy_daemon_sets = {.group = "apps", .plural = "daemonsets", .fold = count_templates};

/* ---- Jobs choose their pods by their own uid, unless told otherwise ---- */

static void label_job(struct write_op *op)
{
	static const char *const keys[] = {"batch.kubernetes.io/controller-uid", "controller-uid",
					   "batch.kubernetes.io/job-name", "job-name"};
	struct arena *a = op->arena;
	struct json *spec = json_object_in(a, op->tree, "spec");
	const char *uid = meta_uid(op->tree);
	if (json_path_bool(spec, "manualSelector", false))
		return;
	struct json *template = json_object_in(a, spec, "template");
	struct json *labels = json_object_in(a, json_object_in(a, template, "metadata"), "labels");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!json_get(labels, keys[i]))
			json_set_str(a, labels, keys[i], i < 2 ? uid : op->name);
	struct json *selector = json_object_in(a, spec, "selector");
	if (!json_len(selector))
		json_set_str(a, json_object_in(a, selector, "matchLabels"), keys[0], uid);
}

const struct strategy strategy_jobs = {
    .group = "batch", .plural = "jobs", .prepare_create = label_job, .orphans = true};

/* ---- certificate requests carry who asked; approval is apart from signing ---- */

static void record_requester(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *spec = json_object_in(a, op->tree, "spec");
	struct json *info = op->req.user ? user_to_json(a, op->req.user) : NULL;
	static const char *const members[] = {"username", "uid", "groups", "extra"};
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct json *v = json_get(info, members[i]);
		if (v)
			json_set(a, spec, members[i], json_clone(a, v));
		else
			json_remove(spec, members[i]);
	}
}

static void keep_spec(struct write_op *op)
{
	struct json *spec = json_get(op->old_tree, "spec");
	if (spec)
		json_set(op->arena, op->tree, "spec", json_clone(op->arena, spec));
}

static void set_times(struct arena *a, struct json *tree)
{
	char text[TIME_RFC3339_MAX];
	time_format(now_ns(), text);
	JSON_EACH(c, json_path(tree, "status.conditions")) {
		if (json_path_str(c, "lastUpdateTime") == NULL)
			json_set_str(a, c, "lastUpdateTime", text);
		if (json_path_str(c, "lastTransitionTime") == NULL)
			json_set_str(a, c, "lastTransitionTime", text);
	}
}

/* What was decided stays: a condition of a decision is never taken back, nor decided the other way. */
static int check_decisions(const struct json *old, const struct json *tree, const char *name, struct status *err)
{
	static const char *const types[] = {"Approved", "Denied", "Failed"};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (meta_condition(old, types[i]) && !meta_condition(tree, types[i]))
			status_cause(err, "FieldValueForbidden", "status.conditions",
				     "Forbidden: updates may not remove a condition of type \"%s\"", types[i]);
	if (meta_condition(tree, "Approved") && meta_condition(tree, "Denied"))
		status_cause(err, "FieldValueInvalid", "status.conditions",
			     "Invalid value: Approved and Denied conditions are mutually exclusive");
	return status_invalid(err, "certificates.k8s.io", "CertificateSigningRequest", name);
}

static struct json *merge_approval(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct arena *a = op->arena;
	struct json *tree = metadata_merge(op, old, sent), *conditions = json_path(sent, "status.conditions");
	json_remove(json_get(tree, "status"), "conditions");
	if (conditions)
		json_set_path(a, tree, "status.conditions", json_clone(a, conditions));
	set_times(a, tree);
	return check_decisions(old, tree, op->name, err) < 0 ? NULL : tree;
}

/* The signer's part of the status: everything but who approved or denied it. */
static struct json *merge_signing(struct write_op *op, const struct json *old, struct json *sent, struct status *err)
{
	struct arena *a = op->arena;
	struct json *tree = metadata_merge(op, old, sent), *status = json_get(sent, "status");
	struct json *conditions = json_new(a, JSON_ARRAY);
	JSON_EACH(c, json_path(old, "status.conditions"))
		if (str_eq(json_path_str(c, "type"), "Approved") || str_eq(json_path_str(c, "type"), "Denied"))
			json_append(conditions, json_clone(a, c));
	JSON_EACH(c, json_get(status, "conditions"))
		if (!str_eq(json_path_str(c, "type"), "Approved") && !str_eq(json_path_str(c, "type"), "Denied"))
			json_append(conditions, json_clone(a, c));
	json_set(a, tree, "status", status ? json_clone(a, status) : json_new(a, JSON_OBJECT));
	json_remove(json_get(tree, "status"), "conditions");
	if (json_len(conditions))
		json_set_path(a, tree, "status.conditions", conditions);
	set_times(a, tree);
	return check_decisions(old, tree, op->name, err) < 0 ? NULL : tree;
}

static const struct subresource_ops csr_subresources[] = {
    {.name = "approval", .merge = merge_approval}, {.name = "status", .merge = merge_signing}, {0}};

const struct strategy strategy_csrs = {
    .group = "certificates.k8s.io",
    .plural = "certificatesigningrequests",
    .prepare_create = record_requester,
    .prepare_update = keep_spec,
    .subresources = csr_subresources,
};

/* ---- service account tokens ---- */

static const char *const *string_list(struct arena *a, const struct json *list, size_t *ret_n)
{
	const char **out = arena_alloc(a, (json_len(list) + 1) * sizeof(*out));
	size_t n = 0;
	JSON_EACH(s, list)
		if (json_str(s))
			out[n++] = json_str(s);
	*ret_n = n;
	return out;
}

/* A token for a pod says on which node it runs, so that it is worth nothing elsewhere. */
static int bind_token(struct write_op *op, const struct json *ref, struct token_spec *spec, struct status *err)
{
	spec->bound_kind = json_path_str(ref, "kind");
	spec->bound_name = json_path_str(ref, "name");
	spec->bound_uid = json_path_str(ref, "uid");
	static const struct {
		const char *kind, *plural;
	} kinds[] = {{"Pod", "pods"}, {"Secret", "secrets"}, {"Node", "nodes"}};
	struct admission ad = op_admission(op, ADMIT_CREATE);
	struct json *bound = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(spec->bound_kind, kinds[i].kind)) {
			bound = admission_lookup(&ad, "", kinds[i].plural, op->ns, spec->bound_name);
			if (!bound)
				return status_not_found(err, "", kinds[i].plural, str_or(spec->bound_name, ""));
		}
	if (!bound) {
		status_set(err, 400, "cannot bind token for serviceaccount \"%s\" to object kind \"%s\"", op->name,
			   str_or(spec->bound_kind, ""));
		return -1;
	}
	if (str_empty(spec->bound_uid))
		spec->bound_uid = meta_uid(bound);
	else if (!str_eq(spec->bound_uid, meta_uid(bound)))
		return status_conflict(
		    err, "", "serviceaccounts/token", op->name,
		    arena_printf(op->arena,
				 "the UID in the bound object reference (%s) does not match the UID in "
				 "record. The object might have been deleted and then recreated",
				 spec->bound_uid));
	if (str_eq(spec->bound_kind, "Node")) {
		spec->node_name = spec->bound_name;
		spec->node_uid = spec->bound_uid;
	} else if (str_eq(spec->bound_kind, "Pod")) {
		spec->node_name = json_path_str(bound, "spec.nodeName");
		struct json *node = admission_lookup(&ad, "", "nodes", "", spec->node_name);
		spec->node_uid = node ? meta_uid(node) : NULL;
		if (!str_eq(json_path_str(bound, "spec.serviceAccountName"), op->name))
			return status_set(err, 400,
					  "cannot bind token for serviceaccount \"%s\" to pod running with different "
					  "serviceaccount name.",
					  op->name);
	}
	return 0;
}

/* Upstream's bounds; the default is filled in, so that the answer says what was granted. */
static int token_life(struct write_op *op, int64_t *ret, struct status *err)
{
	struct json *request = op->tree;
	if (!json_path(request, "spec.expirationSeconds"))
		json_set_path(op->arena, request, "spec.expirationSeconds",
			      json_new_int(op->arena, TOKEN_SECONDS_DEFAULT));
	*ret = json_path_int(request, "spec.expirationSeconds", 0);
	const char *why = *ret < TOKEN_SECONDS_MIN   ? "may not specify a duration less than 10 minutes"
			  : *ret > TOKEN_SECONDS_MAX ? "may not specify a duration larger than 2^32 seconds"
						     : NULL;
	if (!why)
		return 0;
	status_cause(err, "FieldValueInvalid", "spec.expirationSeconds", "Invalid value: %lld: %s", (long long)*ret,
		     why);
	return status_invalid(err, "authentication.k8s.io", "TokenRequest", "");
}

/* Tokens that the ServiceAccount plugin put into pods, for the server itself: their readers may be old. */
static bool lasts_longer(struct write_op *op, const struct token_spec *spec)
{
	const struct auth *auth = op->reg->auth;
	bool own = !spec->n_audiences || (spec->n_audiences == 1 && auth->authn->issuer &&
					  str_eq(spec->audiences[0], auth->authn->issuer(auth->authn_self)));
	return own && str_eq(json_path_str(op->tree, "spec.boundObjectRef.kind"), "Pod") &&
	       json_path_int(op->tree, "spec.expirationSeconds", 0) == TOKEN_SECONDS_POD;
}

static void create_token(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct auth *auth = op->reg->auth;
	struct json *request = op->tree, *ref = json_path(request, "spec.boundObjectRef");
	struct token_spec spec = {.ns = op->ns, .name = op->name};
	char *token = NULL;
	int64_t expires_s = 0;
	char text[TIME_RFC3339_MAX];
	if (!auth->authn || !auth->authn->issue_token) {
		op_failf(op, 500, "this server does not issue tokens");
		return;
	}
	if (op_load(op, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	spec.uid = op->old->uid;
	spec.audiences = string_list(op->arena, json_path(request, "spec.audiences"), &spec.n_audiences);
	spec.extended = lasts_longer(op, &spec);
	if (token_life(op, &spec.expiration_seconds, &err) < 0 ||
	    (json_len(ref) && bind_token(op, ref, &spec, &err) < 0) ||
	    auth->authn->issue_token(auth->authn_self, &spec, op->arena, &token, &expires_s, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	struct arena *a = op->arena;
	struct json *meta = meta_of(a, request);
	if (!spec.n_audiences && auth->authn->issuer)
		json_append(json_array_in(a, json_object_in(a, request, "spec"), "audiences"),
			    json_new_str(a, auth->authn->issuer(auth->authn_self)));
	json_set_str(a, meta, "name", op->name);
	json_set_str(a, meta, "namespace", op->ns);
	json_set_path(a, request, "status.token", json_new_str(a, token));
	json_set_path(a, request, "status.expirationTimestamp",
		      json_new_str(a, time_format(expires_s * 1000000000, text)));
	op_finish_tree(op, 201, request);
}

static const struct subresource_ops sa_subresources[] = {{.name = "token", .create = create_token}, {0}};

/* Its secrets are of its own namespace: only their names say something. */
static void keep_secret_names(struct write_op *op)
{
	JSON_EACH(s, json_get(op->tree, "secrets")) {
		const char *name = json_path_str(s, "name");
		struct json *only = json_new(op->arena, JSON_OBJECT);
		if (name)
			json_set_str(op->arena, only, "name", name);
		json_replace(s, only);
	}
}

const struct strategy strategy_serviceaccounts = {.group = "",
						  .plural = "serviceaccounts",
						  .prepare_create = keep_secret_names,
						  .prepare_update = keep_secret_names,
						  .subresources = sa_subresources};

/* ---- custom resource definitions ---- */

/* The version that is stored from now on is one that objects may be stored in. */
static void record_stored_version(struct write_op *op)
{
	struct json *stored = json_path(op->tree, "status.storedVersions");
	const char *storage = NULL;

	JSON_EACH(v, json_path(op->tree, "spec.versions"))
		if (!storage && json_path_bool(v, "storage", false))
			storage = json_path_str(v, "name");
	if (!storage)
		return;
	JSON_EACH(s, stored)
		if (str_eq(json_str(s), storage))
			return;
	if (!stored)
		stored = json_set_path(op->arena, op->tree, "status.storedVersions", json_new(op->arena, JSON_ARRAY));
	json_append(stored, json_new_str(op->arena, storage));
}

const struct strategy strategy_definitions = {.group = "apiextensions.k8s.io",
					      .plural = "customresourcedefinitions",
					      .prepare_create = record_stored_version,
					      .prepare_update = record_stored_version};
