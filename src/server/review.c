/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that are questions: POST one, and the answer is its status. Nothing is stored. */
#include "api/meta.h"
#include "api/resource.h"
#include "api/validate.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/authz_node.h"
#include "server/registry_internal.h"

/* ---- access ---- */

/* One requirement as a term of a selector's text; "" for what text cannot say, which then narrows nothing. */
static void add_requirement(struct buf *out, const struct json *r, bool labels)
{
	const char *key = str_or(json_path_str(r, "key"), ""), *op = str_or(json_path_str(r, "operator"), "");
	const struct json *values = json_get(r, "values");
	bool in = str_eq(op, "In"), not_in = str_eq(op, "NotIn");
	const char *comma = out->len ? "," : "", *between = "";
	if ((in || not_in) && json_len(values) == 1)
		buf_addf(out, "%s%s%s%s", comma, key, in ? "=" : "!=", str_or(json_str(json_first(values)), ""));
	else if (labels && str_eq(op, "Exists"))
		buf_addf(out, "%s%s", comma, key);
	else if (labels && str_eq(op, "DoesNotExist"))
		buf_addf(out, "%s!%s", comma, key);
	else if (labels && (in || not_in) && json_len(values)) {
		buf_addf(out, "%s%s %s (", comma, key, in ? "in" : "notin");
		JSON_EACH(v, values) {
			buf_addf(out, "%s%s", between, str_or(json_str(v), ""));
			between = ",";
		}
		buf_addc(out, ')');
	}
}

/* fieldSelector or labelSelector of the attributes: a text, or requirements, which upstream authorizers see alike. */
static const char *selector_text(struct arena *a, const struct json *attributes, const char *member)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const struct json *s = json_get(attributes, member), *requirements = json_get(s, "requirements");
	const char *raw = str_or(json_path_str(s, "rawSelector"), "");
	if (!json_is(s, JSON_OBJECT))
		return NULL;
	if (*raw)
		return raw;
	JSON_EACH(r, requirements)
		add_requirement(&out, r, str_eq(member, "labelSelector"));
	return arena_strdup(a, buf_str(&out));
}

static struct authz_attributes attributes(struct arena *a, const struct json *spec, const struct user *user)
{
	const struct json *r = json_get(spec, "resourceAttributes"), *p = json_get(spec, "nonResourceAttributes");
	struct authz_attributes at = {.user = user, .resource_request = r != NULL};
	const struct json *from = r ? r : p;
	at.verb = str_or(json_path_str(from, "verb"), "");
	at.group = str_or(json_path_str(r, "group"), "");
	at.version = str_or(json_path_str(r, "version"), "");
	at.resource = str_or(json_path_str(r, "resource"), "");
	at.subresource = str_or(json_path_str(r, "subresource"), "");
	at.ns = str_or(json_path_str(r, "namespace"), "");
	at.name = str_or(json_path_str(r, "name"), "");
	at.path = str_or(json_path_str(p, "path"), "");
	at.field_selector = selector_text(a, r, "fieldSelector");
	at.label_selector = selector_text(a, r, "labelSelector");
	return at;
}

static void answer_access(struct write_op *op, const struct user *user)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	char reason[AUTHZ_REASON_MAX] = "";
	struct arena *a = op->arena;
	op_track_update(op);
	if (validate_review(op->row, op->tree, &err) < 0) {
		op_fail(op, &err);
		return;
	}
	struct authz_attributes at = attributes(a, json_get(op->tree, "spec"), user);
	bool allowed = auth_allowed(op->reg->auth, &at, reason);
	struct json *status = json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	json_set_bool(a, status, "allowed", allowed);
	if (*reason)
		json_set_str(a, status, "reason", reason);
	op_finish_tree(op, 201, version_convert(a, op->row, op->req.resource, op->tree));
}

static void self_subject_access(struct write_op *op)
{
	answer_access(op, op->req.user);
}

/* The user that a SubjectAccessReview asks about. */
static const struct user *spec_user(struct arena *a, const struct json *spec)
{
	struct user *u = ARENA_NEW(a, struct user);
	const struct json *groups = json_get(spec, "groups"), *extra = json_get(spec, "extra");
	const char **g = arena_alloc(a, (json_len(groups) + 1) * sizeof(*g));
	struct user_extra *e = arena_zalloc(a, (json_len(extra) + 1) * sizeof(*e));
	u->name = str_or(json_path_str(spec, "user"), "");
	u->uid = json_path_str(spec, "uid");
	JSON_EACH(s, groups)
		if (json_str(s))
			g[u->n_groups++] = json_str(s);
	JSON_EACH(x, extra) {
		const char **v = arena_alloc(a, (json_len(x) + 1) * sizeof(*v));
		struct user_extra *to = &e[u->n_extra++];
		to->key = x->key;
		to->values = v;
		JSON_EACH(s, x)
			v[to->n_values++] = str_or(json_str(s), "");
	}
	u->groups = g;
	u->extra = e;
	return u;
}

static void subject_access(struct write_op *op)
{
	answer_access(op, spec_user(op->arena, json_get(op->tree, "spec")));
}

static void local_subject_access(struct write_op *op)
{
	struct json *meta = meta_of(op->arena, op->tree);
	if (str_empty(json_path_str(meta, "namespace")))
		json_set_str(op->arena, meta, "namespace", op->ns);
	subject_access(op);
}

static struct json *strings(struct arena *a, const char *only)
{
	struct json *list = json_new(a, JSON_ARRAY);
	json_append(list, json_new_str(a, only));
	return list;
}

static void self_subject_rules(struct write_op *op)
{
	struct arena *a = op->arena;
	const struct auth *auth = op->reg->auth;
	const char *ns = json_path_str(op->tree, "spec.namespace");
	if (str_empty(ns)) {
		op_failf(op, 400, "no namespace on request");
		return;
	}
	/* The answer repeats nothing of the question. */
	json_set(a, op->tree, "metadata", json_new(a, JSON_OBJECT));
	json_set(a, op->tree, "spec", json_new(a, JSON_OBJECT));
	struct json *status = json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	struct json *resources = json_set(a, status, "resourceRules", json_new(a, JSON_ARRAY));
	struct json *paths = json_set(a, status, "nonResourceRules", json_new(a, JSON_ARRAY));
	if (auth->authz && auth->authz->rules) {
		auth->authz->rules(auth->authz_self, op->req.user, ns, a, resources, paths);
	} else if (!auth->authz) {
		struct json *rule = json_append(resources, json_new(a, JSON_OBJECT));
		json_set(a, rule, "verbs", strings(a, "*"));
		json_set(a, rule, "apiGroups", strings(a, "*"));
		json_set(a, rule, "resources", strings(a, "*"));
	}
	/* What a node may do follows from its pods, which no list of rules says. */
	bool node = op->req.user && authz_is_node(op->req.user);
	json_set_bool(a, status, "incomplete", node || (auth->authz && !auth->authz->rules));
	if (node)
		json_set_str(a, status, "evaluationError", "node authorizer does not support user rule resolution");
	op_finish_tree(op, 201, op->tree);
}

/* ---- identity ---- */

static void self_subject(struct write_op *op)
{
	struct arena *a = op->arena;
	struct json *status = json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	char text[TIME_RFC3339_MAX];
	struct json *meta = json_set(a, op->tree, "metadata", json_new(a, JSON_OBJECT));
	json_set_str(a, meta, "creationTimestamp", time_format(now_ns(), text));
	json_set(a, status, "userInfo", op->req.user ? user_to_json(a, op->req.user) : json_new(a, JSON_OBJECT));
	op_finish_tree(op, 201, op->tree);
}

static void token_review(struct write_op *op)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct arena *a = op->arena;
	const struct auth *auth = op->reg->auth;
	const char *token = json_path_str(op->tree, "spec.token");
	struct user user = {0};
	struct json *audiences = NULL;
	if (str_empty(token)) {
		op_failf(op, 400, "token is required for TokenReview in authentication");
		return;
	}
	op_track_update(op);
	if (!auth->authn || !auth->authn->review_token) {
		op_failf(op, 500, "this server does not review tokens");
		return;
	}
	int ok = auth->authn->review_token(auth->authn_self, token, json_path(op->tree, "spec.audiences"), a, &user,
					   &audiences, &err);
	struct json *status = json_set(a, op->tree, "status", json_new(a, JSON_OBJECT));
	if (ok == 0) {
		json_set_bool(a, status, "authenticated", true);
		json_set(a, status, "user", user_to_json(a, &user));
		if (json_len(audiences))
			json_set(a, status, "audiences", audiences);
	} else {
		json_set(a, status, "user", json_new(a, JSON_OBJECT));
		json_set_str(a, status, "error", str_or(err.message, "invalid bearer token"));
	}
	op_finish_tree(op, 201, op->tree);
}

#define AUTHORIZATION "authorization.k8s.io"
#define AUTHENTICATION "authentication.k8s.io"

const struct strategy strategy_self_subject_access = {
    .group = AUTHORIZATION, .plural = "selfsubjectaccessreviews", .review = self_subject_access};
const struct strategy strategy_subject_access = {
    .group = AUTHORIZATION, .plural = "subjectaccessreviews", .review = subject_access};
const struct strategy strategy_local_subject_access = {
    .group = AUTHORIZATION, .plural = "localsubjectaccessreviews", .review = local_subject_access};
const struct strategy strategy_self_subject_rules = {
    .group = AUTHORIZATION, .plural = "selfsubjectrulesreviews", .review = self_subject_rules};
const struct strategy strategy_token_reviews = {
    .group = AUTHENTICATION, .plural = "tokenreviews", .review = token_review};
const struct strategy strategy_self_subject = {
    .group = AUTHENTICATION, .plural = "selfsubjectreviews", .review = self_subject};
