/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authn_options.h"

#include <string.h>

#include "api/yaml.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "base/url.h"
#include "server/jwt.h"

#define GROUP "apiserver.config.k8s.io"

static const char no_expressions[] = "expressions are not supported, name a claim";

struct reader {
	struct arena *a;
	struct status *err;
	const char *own_issuer;
	struct authn_options *o;
};

/* ---- complaints ---- */

static char *below(struct reader *r, const char *at, const char *member)
{
	return arena_printf(r->a, "%s%s%s", at, *at ? "." : "", member);
}

static void invalid(struct reader *r, const char *at, const char *value, const char *what)
{
	status_cause(r->err, "FieldValueInvalid", at, "Invalid value: \"%s\": %s", str_or(value, ""), what);
}

static void required(struct reader *r, const char *at, const char *what)
{
	status_cause(r->err, "FieldValueRequired", at, "Required value: %s", what);
}

static void check_members(struct reader *r, const struct json *object, const char *at, const char *const *known)
{
	if (object && !json_is(object, JSON_OBJECT))
		status_cause(r->err, "FieldValueInvalid", at, "Invalid value: must be an object");
	else
		JSON_EACH(m, object)
			if (!str_in(m->key, known))
				status_cause(r->err, "FieldValueInvalid", below(r, at, m->key),
					     "Invalid value: unknown field");
}

static void refuse_expression(struct reader *r, const struct json *object, const char *at, const char *member)
{
	if (!str_empty(json_path_str(object, member)))
		invalid(r, below(r, at, member), json_path_str(object, member), no_expressions);
}

/* ---- issuers ---- */

static void check_url(struct reader *r, const char *url, const char *at)
{
	struct url u;

	if (str_empty(url)) {
		required(r, at, "URL is required");
	} else if (strchr(url, '#') || url_parse(url, &u) < 0) {
		invalid(r, at, url, "must be a URL without user information and fragment");
	} else {
		if (!u.tls)
			invalid(r, at, url, "URL scheme must be https");
		if (strchr(u.path, '?'))
			invalid(r, at, url, "URL must not contain a query");
		url_release(&u);
	}
}

static void read_audiences(struct reader *r, const struct json *from, const char *at, struct oidc_issuer *ret)
{
	const char *policy = str_or(json_path_str(from, "audienceMatchPolicy"), "");
	size_t i = 0;

	ret->audiences = json_get(from, "audiences");
	bool many = json_len(ret->audiences) > 1;
	if (!json_len(ret->audiences))
		required(r, below(r, at, "audiences"), "at least one audience is required");
	JSON_EACH(x, ret->audiences) {
		if (str_empty(json_str(x)))
			required(r, arena_printf(r->a, "%s.audiences[%zu]", at, i), "audience can't be empty");
		i++;
	}
	if ((*policy && strcmp(policy, "MatchAny") != 0) || (many && !*policy))
		invalid(r, below(r, at, "audienceMatchPolicy"), policy,
			many ? "audienceMatchPolicy must be MatchAny for multiple audiences"
			     : "audienceMatchPolicy must be empty or MatchAny for single audience");
}

static void read_issuer(struct reader *r, const struct json *from, const char *at, struct oidc_issuer *ret)
{
	static const char *const known[] = {"url",	 "discoveryURL",	"certificateAuthority",
					    "audiences", "audienceMatchPolicy", NULL};
	const char *slash;

	check_members(r, from, at, known);
	ret->url = str_or(json_path_str(from, "url"), "");
	check_url(r, ret->url, below(r, at, "url"));
	if (*ret->url && str_eq(ret->url, r->own_issuer))
		invalid(r, below(r, at, "url"), ret->url, "URL must not be the issuer of the cluster's own tokens");
	for (size_t i = 0; i < r->o->n_issuers; i++)
		if (str_eq(r->o->issuers[i].url, ret->url))
			status_cause(r->err, "FieldValueDuplicate", below(r, at, "url"), "Duplicate value: \"%s\"",
				     ret->url);
	ret->discovery_url = json_path_str(from, "discoveryURL");
	slash = str_has_suffix(ret->url, "/") ? "" : "/";
	if (str_empty(ret->discovery_url)) {
		ret->discovery_url = arena_printf(r->a, "%s%s.well-known/openid-configuration", ret->url, slash);
	} else {
		check_url(r, ret->discovery_url, below(r, at, "discoveryURL"));
		if (str_eq(ret->discovery_url, ret->url))
			invalid(r, below(r, at, "discoveryURL"), ret->url, "discoveryURL must be different from URL");
	}
	ret->ca_pem = json_path_str(from, "certificateAuthority");
	if (str_empty(ret->ca_pem))
		ret->ca_pem = NULL;
	else if (!strstr(ret->ca_pem, "-----BEGIN CERTIFICATE-----"))
		invalid(r, below(r, at, "certificateAuthority"), "<omitted>",
			"data does not contain any valid certificates");
	read_audiences(r, from, at, ret);
}

/* ---- claims ---- */

static void read_mapping(struct reader *r, const struct json *from, const char *at, bool needed,
			 struct claim_mapping *ret)
{
	static const char *const known[] = {"claim", "prefix", "expression", NULL};

	check_members(r, from, at, known);
	refuse_expression(r, from, at, "expression");
	ret->claim = json_path_str(from, "claim");
	ret->prefix = json_path_str(from, "prefix");
	if (str_empty(ret->claim))
		ret->claim = NULL;
	if (!ret->claim && needed && str_empty(json_path_str(from, "expression")))
		required(r, at, "claim or expression is required");
	if (ret->claim && !ret->prefix)
		required(r, below(r, at, "prefix"),
			 "prefix is required when claim is set. It can be set to an empty string to disable prefixing");
	if (!ret->claim && !str_empty(ret->prefix))
		invalid(r, below(r, at, "prefix"), ret->prefix, "prefix has no meaning without a claim");
	ret->prefix = str_or(ret->prefix, "");
}

static void read_mappings(struct reader *r, const struct json *from, const char *at, struct oidc_issuer *ret)
{
	static const char *const known[] = {"username", "groups", "uid", "extra", NULL}, *const uid_known[] = {
											     "claim", "expression",
											     NULL};
	const struct json *uid = json_get(from, "uid");
	size_t i = 0;

	check_members(r, from, at, known);
	read_mapping(r, json_get(from, "username"), below(r, at, "username"), true, &ret->username);
	read_mapping(r, json_get(from, "groups"), below(r, at, "groups"), false, &ret->groups);
	check_members(r, uid, below(r, at, "uid"), uid_known);
	refuse_expression(r, uid, below(r, at, "uid"), "expression");
	ret->uid_claim = json_path_str(uid, "claim");
	if (str_empty(ret->uid_claim))
		ret->uid_claim = NULL;
	JSON_EACH(x, json_get(from, "extra"))
		refuse_expression(r, x, arena_printf(r->a, "%s.extra[%zu]", at, i++), "valueExpression");
}

static void read_rules(struct reader *r, const struct json *jwt, const char *at, struct oidc_issuer *ret)
{
	static const char *const known[] = {"claim", "requiredValue", "expression", "message", NULL};
	size_t i = 0;

	ret->required = json_get(jwt, "claimValidationRules");
	JSON_EACH(x, ret->required) {
		const char *path = arena_printf(r->a, "%s.claimValidationRules[%zu]", at, i++);
		check_members(r, x, path, known);
		refuse_expression(r, x, path, "expression");
		if (str_empty(json_path_str(x, "claim")) && str_empty(json_path_str(x, "expression")))
			required(r, path, "claim or expression is required");
	}
	i = 0;
	JSON_EACH(x, json_get(jwt, "userValidationRules"))
		refuse_expression(r, x, arena_printf(r->a, "%s.userValidationRules[%zu]", at, i++), "expression");
}

static void read_jwt(struct reader *r, const struct json *jwt, const char *at, struct oidc_issuer *ret)
{
	static const char *const known[] = {"issuer", "claimValidationRules", "claimMappings", "userValidationRules",
					    NULL};

	*ret = (struct oidc_issuer){.algs = jwt_algorithms};
	check_members(r, jwt, at, known);
	read_issuer(r, json_get(jwt, "issuer"), below(r, at, "issuer"), ret);
	read_mappings(r, json_get(jwt, "claimMappings"), below(r, at, "claimMappings"), ret);
	read_rules(r, jwt, at, ret);
}

static void read_anonymous(struct reader *r, const struct json *from)
{
	static const char *const known[] = {"enabled", "conditions", NULL};
	struct json *paths = json_new(r->a, JSON_ARRAY);
	size_t i = 0;

	if (!from)
		return;
	check_members(r, from, "anonymous", known);
	r->o->anonymous = json_path_bool(from, "enabled", false);
	if (!r->o->anonymous && json_len(json_get(from, "conditions")))
		invalid(r, "anonymous.conditions", "", "enabled should be set to true when conditions are defined");
	JSON_EACH(c, json_get(from, "conditions")) {
		const char *path = json_path_str(c, "path");
		if (str_empty(path))
			required(r, arena_printf(r->a, "anonymous.conditions[%zu].path", i), "a path is required");
		else
			json_append(paths, json_new_str(r->a, path));
		i++;
	}
	r->o->anonymous_paths = paths;
}

static int read_all(struct reader *r, const struct json *doc)
{
	static const char *const known[] = {"apiVersion", "kind", "jwt", "anonymous", NULL};
	const char *version = str_after(str_or(json_path_str(doc, "apiVersion"), ""), GROUP "/");
	const struct json *jwt = json_get(doc, "jwt");

	if (!str_eq(json_path_str(doc, "kind"), "AuthenticationConfiguration") || !version ||
	    (!str_eq(version, "v1") && !str_eq(version, "v1beta1") && !str_eq(version, "v1alpha1")))
		return status_set(r->err, 422,
				  "authentication configuration: kind must be AuthenticationConfiguration of " GROUP
				  "/v1");
	check_members(r, doc, "", known);
	r->o->anonymous = true;
	if (json_len(jwt) > AUTHN_ISSUERS_MAX)
		return status_set(r->err, 422,
				  "authentication configuration: jwt: Too many: must have at most %d items",
				  AUTHN_ISSUERS_MAX);
	r->o->issuers = arena_zalloc(r->a, (json_len(jwt) + 1) * sizeof(*r->o->issuers));
	JSON_EACH(x, jwt) {
		read_jwt(r, x, arena_printf(r->a, "jwt[%zu]", r->o->n_issuers), &r->o->issuers[r->o->n_issuers]);
		r->o->n_issuers++;
	}
	read_anonymous(r, json_get(doc, "anonymous"));
	return status_invalid(r->err, GROUP, "AuthenticationConfiguration", "");
}

static int read_into(const struct json *doc, const char *own_issuer, struct authn_options *o, struct status *err)
{
	struct reader r = {.a = &o->arena, .err = err, .own_issuer = own_issuer, .o = o};

	return read_all(&r, doc);
}

int authn_options_parse(const char *text, size_t len, const char *own_issuer, struct authn_options *ret,
			struct status *err)
{
	struct authn_options o = {.anonymous = true};
	struct yaml_error bad;
	struct json *doc;
	int r;

	if (yaml_parse(&o.arena, text, len, NULL, NULL, &doc, &bad) < 0)
		r = status_set(err, 422, "authentication configuration: line %zu: %s", bad.line, bad.message);
	else
		r = read_into(doc, own_issuer, &o, err);
	if (r < 0) {
		authn_options_release(&o);
		return -1;
	}
	*ret = o;
	return 0;
}

/* ---- flags ---- */

/* "RS256,ES256"; NULL: one of them is not one of ours. */
static const char *const *read_algs(struct arena *a, const char *list)
{
	const char **algs = arena_zalloc(a, (strlen(list) / 2 + 2) * sizeof(*algs));
	size_t n = 0;

	for (const char *at = list; *at;) {
		size_t len = strcspn(at, ",");
		char *alg = arena_strndup(a, at, len);
		if (!str_in(alg, jwt_algorithms))
			return NULL;
		algs[n++] = alg;
		at += len + (at[len] == ',');
	}
	return n ? algs : NULL;
}

/* A name that could be another issuer's, or the cluster's, gets the issuer before it; "-" turns that off. */
static const char *username_prefix(struct arena *a, const struct oidc_flags *f, const char *claim)
{
	if (!str_empty(f->username_prefix))
		return strcmp(f->username_prefix, "-") == 0 ? "" : f->username_prefix;
	return strcmp(claim, "email") == 0 ? "" : arena_printf(a, "%s#", f->issuer_url);
}

static int add_required(struct arena *a, struct json *jwt, const char *const *required, struct status *err)
{
	struct json *rules = json_array_in(a, jwt, "claimValidationRules");

	for (; required && *required; required++) {
		const char *equals = strchr(*required, '=');
		if (!equals || equals == *required)
			return status_set(err, 400, "--oidc-required-claim must be a claim and its value, KEY=VALUE");
		struct json *rule = json_append(rules, json_new(a, JSON_OBJECT));
		json_set(a, rule, "claim", json_new_strn(a, *required, (size_t)(equals - *required)));
		json_set_str(a, rule, "requiredValue", equals + 1);
	}
	return 0;
}

/* The flags as the file that says the same. */
static int to_document(struct arena *a, const struct oidc_flags *f, struct json **ret, struct status *err)
{
	struct json *doc = json_new(a, JSON_OBJECT), *jwt, *issuer, *mappings, *groups;
	const char *username = str_empty(f->username_claim) ? "sub" : f->username_claim;

	json_set_str(a, doc, "apiVersion", GROUP "/v1");
	json_set_str(a, doc, "kind", "AuthenticationConfiguration");
	jwt = json_append(json_array_in(a, doc, "jwt"), json_new(a, JSON_OBJECT));
	issuer = json_object_in(a, jwt, "issuer");
	json_set_str(a, issuer, "url", f->issuer_url);
	json_append(json_array_in(a, issuer, "audiences"), json_new_str(a, f->client_id));
	if (f->ca_pem)
		json_set_str(a, issuer, "certificateAuthority", f->ca_pem);
	mappings = json_object_in(a, jwt, "claimMappings");
	json_set_str(a, json_object_in(a, mappings, "username"), "claim", username);
	json_set_str(a, json_object_in(a, mappings, "username"), "prefix", username_prefix(a, f, username));
	if (!str_empty(f->groups_claim)) {
		groups = json_object_in(a, mappings, "groups");
		json_set_str(a, groups, "claim", f->groups_claim);
		json_set_str(a, groups, "prefix", str_or(f->groups_prefix, ""));
	}
	*ret = doc;
	return add_required(a, jwt, f->required, err);
}

int authn_options_from_flags(const struct oidc_flags *f, const char *own_issuer, struct authn_options *ret,
			     struct status *err)
{
	struct authn_options o = {.anonymous = true};
	const char *const *algs = read_algs(&o.arena, str_or(f->signing_algs, "RS256"));
	struct json *doc;
	int r = 0;

	if (str_empty(f->issuer_url) != str_empty(f->client_id))
		r = status_set(err, 400, "--oidc-issuer-url and --oidc-client-id must be specified together");
	else if (!algs)
		r = status_set(err, 400,
			       "--oidc-signing-algs must be among RS256, RS384, RS512, ES256, ES384, ES512, "
			       "PS256, PS384 and PS512");
	else if (!str_empty(f->issuer_url)) {
		r = to_document(&o.arena, f, &doc, err);
		if (r == 0)
			r = read_into(doc, own_issuer, &o, err);
	}
	if (r < 0) {
		authn_options_release(&o);
		return -1;
	}
	if (o.n_issuers)
		o.issuers[0].algs = algs;
	*ret = o;
	return 0;
}

void authn_options_release(struct authn_options *o)
{
	arena_release(&o->arena);
	*o = (struct authn_options){.anonymous = true};
}
