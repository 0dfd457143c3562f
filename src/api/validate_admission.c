/* SPDX-License-Identifier: Apache-2.0 */
/* Webhook configurations, and admission policies with their bindings (all but what their expressions say). */
#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/resource.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/map.h"
#include "base/str.h"

#define MUTATING "MutatingWebhookConfiguration"
#define VALIDATING "ValidatingWebhookConfiguration"
#define VAP "ValidatingAdmissionPolicy"
#define MAP_ "MutatingAdmissionPolicy"
#define VAPB "ValidatingAdmissionPolicyBinding"
#define MAPB "MutatingAdmissionPolicyBinding"

/* Upstream's bounds. */
#define MATCH_CONDITIONS_MAX 64
#define AUDIT_ANNOTATIONS_MAX 20
#define AUDIT_VALUE_BYTES_MAX (5 * 1024)

static const char *rule_webhook_name(const char *s)
{
	const char *why = name_check_dns1123_subdomain(s);
	const char *dot = why ? NULL : strchr(s, '.');

	if (why)
		return why;
	return dot && strchr(dot + 1, '.') ? NULL : "should be a domain with at least three segments separated by dots";
}

static const char *rule_identifier(const char *s)
{
	static const char *const reserved[] = {
	    "true", "false",  "null", "in",   "as",	 "break",     "const",	"continue", "else", "for",   "function",
	    "if",   "import", "let",  "loop", "package", "namespace", "return", "var",	    "void", "while", NULL};
	const char *whole = s;
	bool fine = isalpha((unsigned char)*s) || *s == '_';

	for (; fine && *s; s++)
		fine = isalnum((unsigned char)*s) || *s == '_';
	return fine && !str_in(whole, reserved) ? NULL : "must be a valid CEL identifier";
}

static bool is_blank(const char *s)
{
	return s[strspn(s, " \t\r\n\v\f")] == 0;
}

static const char *rule_not_blank(const char *s)
{
	return is_blank(s) ? "must be non-empty if specified" : NULL;
}

static const char *rule_one_line(const char *s)
{
	return is_blank(s) ? rule_not_blank(s) : strpbrk(s, "\r\n") ? "must not contain line breaks" : NULL;
}

/* Conditions on requests, the same wherever they are. */
#define CONDITIONS(kind, at)                                                                                           \
	ITEMS(kind, at, MATCH_CONDITIONS_MAX), REQUIRED(kind, at "[].name"),                                           \
	    NAME(kind, at "[].name", name_check_qualified), UNIQUE(kind, at, "name"),                                  \
	    REQUIRED(kind, at "[].expression")

#define WEBHOOKS(kind)                                                                                                 \
	REQUIRED(kind, "webhooks[].name"), NAME(kind, "webhooks[].name", rule_webhook_name),                           \
	    UNIQUE(kind, "webhooks", "name"), SELECTOR(kind, "webhooks[].namespaceSelector"),                          \
	    SELECTOR(kind, "webhooks[].objectSelector"),                                                               \
	    RANGE(kind, "webhooks[].timeoutSeconds", 1, 30, "the timeout value must be between 1 and 30 seconds")

/* failurePolicy and its kin are enumerations that the type tables know. */
static const struct rule webhook_rules[] = {
    CONDITIONS("", "matchConditions"),
};

#define POLICY(kind)                                                                                                   \
	REQUIRED(kind, "spec.matchConstraints"), REQUIRED(kind, "spec.paramKind?.apiVersion"),                         \
	    REQUIRED(kind, "spec.paramKind?.kind"), CONDITIONS(kind, "spec.matchConditions"),                          \
	    REQUIRED_TEXT(kind, "spec.variables[].name", "name is not specified"),                                     \
	    NAME(kind, "spec.variables[].name", rule_identifier), UNIQUE(kind, "spec.variables", "name"),              \
	    REQUIRED_TEXT(kind, "spec.variables[].expression", "expression is not specified"),                         \
	    SELECTOR(kind, "spec.matchConstraints?.namespaceSelector"),                                                \
	    SELECTOR(kind, "spec.matchConstraints?.objectSelector")

#define BOUND(kind)                                                                                                    \
	REQUIRED(kind, "spec.policyName"), NAME(kind, "spec.policyName", name_check_dns1123_subdomain),                \
	    SELECTOR(kind, "spec.matchResources?.namespaceSelector"),                                                  \
	    SELECTOR(kind, "spec.matchResources?.objectSelector"), SELECTOR(kind, "spec.paramRef?.selector"),          \
	    REQUIRED(kind, "spec.paramRef?.parameterNotFoundAction"),                                                  \
	    VALUES(kind, "spec.paramRef?.parameterNotFoundAction", not_found_actions)

static const char *const refusal_reasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge", NULL};
static const char *const not_found_actions[] = {"Deny", "Allow", NULL};

static const struct rule rules[] = {
    WEBHOOKS(MUTATING),
    WEBHOOKS(VALIDATING),
    POLICY(VAP),
    REQUIRED_TEXT(VAP, "spec.validations[].expression", "expression is not specified"),
    NAME(VAP, "spec.validations[].message", rule_one_line),
    VALUES(VAP, "spec.validations[].reason", refusal_reasons),
    ITEMS(VAP, "spec.auditAnnotations", AUDIT_ANNOTATIONS_MAX),
    NAME(VAP, "spec.validations[].messageExpression", rule_not_blank),
    UNIQUE(VAP, "spec.auditAnnotations", "key"),
    REQUIRED_TEXT(VAP, "spec.auditAnnotations[].valueExpression", "valueExpression is not specified"),
    REQUIRED(VAP, "status.typeChecking?.expressionWarnings[].fieldRef"),
    REQUIRED(VAP, "status.typeChecking?.expressionWarnings[].warning"),
    POLICY(MAP_),
    REQUIRED_TEXT(MAP_, "spec.mutations", "mutations must contain at least one item"),
    REQUIRED(MAP_, "spec.mutations[].patchType"),
    REQUIRED(MAP_, "spec.reinvocationPolicy"),
    BOUND(VAPB),
    REQUIRED(VAPB, "spec.validationActions"),
    UNIQUE(VAPB, "spec.validationActions", NULL),
    BOUND(MAPB),
};

/* ---- what is matched ---- */

static bool has(const struct json *list, const char *s)
{
	EACH_ITEM(v, list) {
		if (str_eq(json_str(v), s))
			return true;
	}
	return false;
}

/* "*" alone in a list; no empty strings where that has no meaning. */
static void check_wildcard(struct check *c, const char *at, const char *key, const struct json *rule, bool empties)
{
	const struct json *list = json_get(rule, key);
	size_t i = 0;

	at = PATH(c, "%s.%s", at, key);
	if (!json_len(list))
		bad_required(c, at, NULL);
	EACH_ITEM(v, list) {
		if (!empties && v->type == JSON_STRING && !v->len)
			bad_required(c, PATH(c, "%s[%zu]", at, i), NULL);
		i++;
	}
	if (json_len(list) > 1 && has(list, "*"))
		bad_invalid(c, at, list,
			    PATH(c, "if '*' is present, must not specify other %s",
				 str_eq(key, "apiGroups")     ? "API groups"
				 : str_eq(key, "apiVersions") ? "API versions"
							      : "operations"));
}

/* A resource, a resource with a subresource, a star for either: what one of them covers must not be there again. */
static void check_resources(struct check *c, const char *at, const struct json *list)
{
	size_t i = 0;

	if (!json_len(list))
		bad_required(c, at, NULL);
	if (json_len(list) > 1 && has(list, "*/*"))
		bad_invalid(c, at, list, "if '*/*' is present, must not specify other resources");
	EACH_ITEM(v, list) {
		const char *s = str_or(json_str(v), ""), *slash = strchr(s, '/'), *one = PATH(c, "%s[%zu]", at, i++);
		if (!*s) {
			bad_required(c, one, NULL);
		} else if (slash) {
			const char *parent = arena_strndup(&c->arena, s, (size_t)(slash - s));
			if (!str_eq(slash, "/*") && has(list, PATH(c, "%s/*", parent)))
				bad_invalid_str(c, one, s,
						PATH(c, "if '%s/*' is present, must not specify %s", parent, s));
			if (!str_eq(parent, "*") && has(list, PATH(c, "*%s", slash)))
				bad_invalid_str(c, one, s,
						PATH(c, "if '*%s' is present, must not specify %s", slash, s));
		} else if (!str_eq(s, "*") && has(list, "*")) {
			bad_invalid(c, at, list,
				    "if '*' is present, must not specify other resources without subresources");
			return;
		}
	}
}

static void check_operation_rules(struct check *c, const char *at, const struct json *list)
{
	static const struct rule rules[] = {
	    NAME("", "resourceNames[]", name_check_path_segment),
	    UNIQUE("", "resourceNames", NULL),
	};
	size_t i = 0;

	EACH_ITEM(r, list) {
		const char *one = PATH(c, "%s[%zu]", at, i++);
		check_wildcard(c, one, "operations", r, true); /* what is none of them is told of already */
		check_wildcard(c, one, "apiGroups", r, true);
		check_wildcard(c, one, "apiVersions", r, false);
		check_resources(c, PATH(c, "%s.resources", one), json_get(r, "resources"));
		check_fields(c, one, r, rules, ARRAY_SIZE(rules));
	}
}

static void check_match(struct check *c, const char *at, const struct json *m, bool needed)
{
	if (needed && m && !json_len(json_get(m, "resourceRules")))
		bad_required(c, PATH(c, "%s.resourceRules", at), NULL);
	check_operation_rules(c, PATH(c, "%s.resourceRules", at), json_get(m, "resourceRules"));
	check_operation_rules(c, PATH(c, "%s.excludeResourceRules", at), json_get(m, "excludeResourceRules"));
}

/* There is nothing to mutate in what is deleted. */
static void check_mutated_operations(struct check *c, const char *at, const struct json *m)
{
	static const char *const operations[] = {"*", "CONNECT", "CREATE", "UPDATE", NULL};

	EACH_ITEM(r, json_get(m, "resourceRules")) {
		EACH_ITEM(v, json_get(r, "operations")) {
			const char *s = str_or(json_str(v), "");
			if (!str_in(s, operations))
				bad_unsupported(c, PATH(c, "%s.resourceRules.operations", at), s, operations);
		}
	}
}

/* ---- webhooks ---- */

static void check_versions(struct check *c, const char *at, const struct json *versions)
{
	bool known = false;
	size_t i = 0;

	if (!json_len(versions)) {
		bad_required(c, at, "must specify one of v1, v1beta1");
		return;
	}
	_cleanup_names_ struct map seen = MAP_INIT;
	EACH_ITEM(v, versions) {
		const char *one = PATH(c, "%s[%zu]", at, i++);
		if (map_set(&seen, str_or(json_str(v), ""), c)) {
			bad_invalid(c, one, v, "duplicate version");
			continue;
		}
		check_name(c, one, v, name_check_dns1035_label);
		known |= str_eq(json_str(v), "v1") || str_eq(json_str(v), "v1beta1");
	}
	if (!known)
		bad_invalid(c, at, versions, "must include at least one of v1, v1beta1");
}

static void check_webhook(struct check *c, const char *at, const struct json *w)
{
	static const char *const effects[] = {"None", "NoneOnDryRun", NULL};
	const char *effect = json_path_str(w, "sideEffects");

	if (!effect)
		bad_required(c, PATH(c, "%s.sideEffects", at), "must specify one of None, NoneOnDryRun");
	else if (str_eq(effect, "Some") || str_eq(effect, "Unknown")) /* others are unknown to the type as well */
		bad_unsupported(c, PATH(c, "%s.sideEffects", at), effect, effects);
	check_versions(c, PATH(c, "%s.admissionReviewVersions", at), json_get(w, "admissionReviewVersions"));
	check_operation_rules(c, PATH(c, "%s.rules", at), json_get(w, "rules"));
	check_client_config(c, PATH(c, "%s.clientConfig", at), json_get(w, "clientConfig"));
	check_fields(c, at, w, webhook_rules, ARRAY_SIZE(webhook_rules));
}

static void check_webhooks(struct check *c)
{
	size_t i = 0;

	EACH_ITEM(w, json_get(c->tree, "webhooks"))
		check_webhook(c, PATH(c, "webhooks[%zu]", i++), w);
}

/* ---- policies ---- */

/* One complaint of all that is wrong. */
static void bad_part(struct check *c, const char *at, const char *value, const char *prefix, const char *why)
{
	char *joined = why ? PATH(c, "%s%s", prefix, why) : NULL;

	for (char *nl = joined; nl && (nl = strchr(nl, '\n'));)
		*nl = ',';
	if (joined)
		bad_invalid_str(c, at, value, joined);
}

static void check_param_version(struct check *c, const char *whole)
{
	static const char at[] = "spec.paramKind.apiVersion";
	const char *slash = strchr(whole, '/'), *version = slash ? slash + 1 : whole;
	const char *group = arena_strndup(&c->arena, whole, slash ? (size_t)(slash - whole) : 0);

	if (strchr(version, '/')) {
		bad_invalid_str(c, at, whole, PATH(c, "unexpected GroupVersion string: %s", whole));
		return;
	}
	if (*group)
		bad_part(c, at, group, "", name_check_dns1123_subdomain(group));
	if (*version)
		bad_part(c, at, version, "", name_check_dns1035_label(version));
	else
		bad_invalid_str(c, at, whole, "version must be specified");
}

static void check_param_kind(struct check *c)
{
	const char *version = str_or(json_path_str(c->tree, "spec.paramKind.apiVersion"), "");
	const char *kind = str_or(json_path_str(c->tree, "spec.paramKind.kind"), "");
	char *lower = arena_strdup(&c->arena, kind);

	if (*version)
		check_param_version(c, version);
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (*kind)
		bad_part(c, "spec.paramKind.kind", kind,
			 "may have mixed case, but should otherwise match: ", name_check_dns1035_label(lower));
}

/* An annotation's key follows the policy's name. */
static void check_audit_annotations(struct check *c, const struct json *list)
{
	size_t i = 0;

	EACH_ITEM(a, list) {
		const char *at = PATH(c, "spec.auditAnnotations[%zu]", i++);
		const char *key = PATH(c, "%s/%s", meta_name(c->tree), str_or(json_path_str(a, "key"), ""));
		const char *why = name_check_qualified(key), *value = json_path_str(a, "valueExpression");
		if (why)
			bad_invalid_str(c, PATH(c, "%s.key", at), key, why);
		if (value && strlen(value) > AUDIT_VALUE_BYTES_MAX)
			bad_required(c, PATH(c, "%s.valueExpression", at),
				     PATH(c, "must not exceed %d bytes in length", AUDIT_VALUE_BYTES_MAX));
	}
}

static void check_validating_policy(struct check *c)
{
	static const char nothing[] = "validations or auditAnnotations must contain at least one item";
	const struct json *spec = json_get(c->tree, "spec");

	check_param_kind(c);
	check_match(c, "spec.matchConstraints", json_get(spec, "matchConstraints"), true);
	if (!json_len(json_get(spec, "validations")) && !json_len(json_get(spec, "auditAnnotations"))) {
		bad_required(c, "spec.validations", nothing);
		bad_required(c, "spec.auditAnnotations", nothing);
	}
	check_audit_annotations(c, json_get(spec, "auditAnnotations"));
}

static void check_validating_status(struct check *c, const char *subresource)
{
	(void)subresource;
	check_meta_conditions(c, "status.conditions", json_path(c->tree, "status.conditions"));
}

static void check_mutation(struct check *c, const char *at, const struct json *m)
{
	static const struct {
		const char *type, *member;
	} patches[] = {{"ApplyConfiguration", "applyConfiguration"}, {"JSONPatch", "jsonPatch"}};
	const char *type = str_or(json_path_str(m, "patchType"), "");

	if (!str_eq(type, patches[0].type) && !str_eq(type, patches[1].type))
		return; /* of no known type */
	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		const struct json *v = json_get(m, patches[i].member);
		const char *member = PATH(c, "%s.%s", at, patches[i].member);
		bool meant = str_eq(type, patches[i].type);
		if (meant && !v)
			bad_required(c, member, PATH(c, "must be specified when patchType is %s", type));
		else if (!meant && v)
			bad_invalid_str(c, member, PATH(c, "{%s}", patches[i].member),
					PATH(c, "must not be specified when patchType is %s", type));
		else if (v && str_empty(json_path_str(v, "expression")))
			bad_required(c, PATH(c, "%s.expression", member), NULL);
	}
}

static void check_mutating_policy(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");
	size_t i = 0;

	check_param_kind(c);
	check_match(c, "spec.matchConstraints", json_get(spec, "matchConstraints"), true);
	check_mutated_operations(c, "spec.matchConstraints", json_get(spec, "matchConstraints"));
	EACH_ITEM(m, json_get(spec, "mutations"))
		check_mutation(c, PATH(c, "spec.mutations[%zu]", i++), m);
}

static void check_binding(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *ref = json_get(spec, "paramRef");
	const struct json *actions = json_get(spec, "validationActions");
	bool name = !str_empty(json_path_str(ref, "name")), selector = json_get(ref, "selector");

	check_match(c, "spec.matchResources", json_get(spec, "matchResources"), false);
	if (str_eq(c->resource->kind, MAPB))
		check_mutated_operations(c, "spec.matchResources", json_get(spec, "matchResources"));
	if (name)
		name_in(c, "spec.paramRef", ref, "name", name_check_path_segment);
	if (ref && name && selector) {
		bad_forbidden(c, "spec.paramRef.name", "name and selector are mutually exclusive");
		bad_forbidden(c, "spec.paramRef.selector", "name and selector are mutually exclusive");
	} else if (ref && !name && !selector) {
		bad_required(c, "spec.paramRef", "one of name or selector must be specified");
	}
	if (has(actions, "Deny") && has(actions, "Warn"))
		bad_invalid(c, "spec.validationActions", actions,
			    "must not contain both Deny and Warn (repeating the same validation failure information in "
			    "the API response and headers serves no purpose)");
}

static const struct kind_check kinds[] = {
    {MUTATING, check_webhooks, NULL},
    {VALIDATING, check_webhooks, NULL},
    {VAP, check_validating_policy, check_validating_status},
    {MAP_, check_mutating_policy, NULL},
    {VAPB, check_binding, NULL},
    {MAPB, check_binding, NULL},
};

const struct group_check validate_admission = {"admissionregistration.k8s.io", rules, ARRAY_SIZE(rules), kinds,
					       ARRAY_SIZE(kinds)};
