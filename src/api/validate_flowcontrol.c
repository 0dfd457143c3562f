/* SPDX-License-Identifier: Apache-2.0 */
/* FlowSchema and PriorityLevelConfiguration, and the two of each that every cluster must have as they are. */
#include <math.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

#define SCHEMA "FlowSchema"
#define LEVEL "PriorityLevelConfiguration"

/* Upstream's bounds. */
#define PRECEDENCE_MAX 10000
#define QUEUES_MAX 10000000
#define HAND_BITS_MAX 60 /* a hand is dealt from one 64-bit hash */

static const char *const distinguishers[] = {"ByNamespace", "ByUser", NULL};
static const char *const level_types[] = {"Exempt", "Limited", NULL};
static const char *const response_types[] = {"Queue", "Reject", NULL};

static const struct rule rules[] = {
    VALUES(SCHEMA, "spec.distinguisherMethod?.type", distinguishers),
    REQUIRED(SCHEMA, "spec.distinguisherMethod?.type"),
    REQUIRED(SCHEMA, "spec.priorityLevelConfiguration.name"),
    NAME(SCHEMA, "spec.priorityLevelConfiguration.name", name_check_dns1123_subdomain),
    REQUIRED_TEXT(SCHEMA, "spec.rules[].subjects", "subjects must contain at least one value"),
    REQUIRED(SCHEMA, "status.conditions[].type"),
    REQUIRED(LEVEL, "spec.type"),
    VALUES(LEVEL, "spec.type", level_types),
    RANGE(LEVEL, "spec.limited?.nominalConcurrencyShares", 0, INT64_MAX, "must be a non-negative integer"),
    RANGE(LEVEL, "spec.limited?.lendablePercent", 0, 100, "must be between 0 and 100, inclusive"),
    RANGE(LEVEL, "spec.limited?.borrowingLimitPercent", 0, INT64_MAX, "if specified, must be a non-negative integer"),
    REQUIRED(LEVEL, "spec.limited?.limitResponse.type"),
    VALUES(LEVEL, "spec.limited?.limitResponse.type", response_types),
    RANGE(LEVEL, "spec.exempt?.nominalConcurrencyShares", 0, INT64_MAX, "must be a non-negative integer"),
    RANGE(LEVEL, "spec.exempt?.lendablePercent", 0, 100, "must be between 0 and 100, inclusive"),
    REQUIRED(LEVEL, "status.conditions[].type"),
};

/* ---- FlowSchema ---- */

static bool has_star(const struct json *list)
{
	EACH_ITEM(v, list) {
		if (str_eq(json_str(v), "*"))
			return true;
	}
	return false;
}

/* A list of strings in which "*" stands alone. */
static void check_wildcard(struct check *c, const char *at, const char *key, const struct json *r, const char *missing)
{
	const struct json *list = json_get(r, key);

	at = PATH(c, "%s.%s", at, key);
	if (!json_len(list))
		bad_required(c, at, missing);
	else if (has_star(list) && json_len(list) > 1)
		bad_invalid(c, at, list, PATH(c, "if '*' is present, must not specify other %s", key));
}

static void check_subject(struct check *c, const char *at, const struct json *s)
{
	static const char *const kinds[] = {"Group", "ServiceAccount", "User", NULL};
	static const char *const members[] = {"group", "serviceAccount", "user"};
	const char *kind = str_or(json_path_str(s, "kind"), "");

	if (!*kind)
		bad_required(c, PATH(c, "%s.kind", at), NULL);
	else if (!str_in(kind, kinds))
		bad_unsupported(c, PATH(c, "%s.kind", at), kind, kinds);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *member = PATH(c, "%s.%s", at, members[i]);
		const struct json *v = json_get(s, members[i]);
		bool meant = str_eq(kind, kinds[i]);
		if (meant && !v)
			bad_required(c, member,
				     PATH(c, "%s is required when subject kind is '%s'", members[i], kinds[i]));
		else if (!meant && v)
			bad_forbidden(c, member,
				      PATH(c, "%s is forbidden when subject kind is not '%s'", members[i], kinds[i]));
		else if (v)
			need_str(c, PATH(c, "%s.name", member), json_get(v, "name"));
	}
	const struct json *account = json_get(s, "serviceAccount");
	if (!account || !str_eq(kind, "ServiceAccount"))
		return;
	if (!str_eq(json_path_str(account, "name"), "*"))
		check_name(c, PATH(c, "%s.serviceAccount.name", at), json_get(account, "name"),
			   name_check_dns1123_subdomain);
	if (need_str(c, PATH(c, "%s.serviceAccount.namespace", at), json_get(account, "namespace")))
		check_name(c, PATH(c, "%s.serviceAccount.namespace", at), json_get(account, "namespace"),
			   name_check_dns1123_label);
}

static void check_resource_rule(struct check *c, const char *at, const struct json *r)
{
	const struct json *namespaces = json_get(r, "namespaces");
	const char *ns_at = PATH(c, "%s.namespaces", at);
	size_t i = 0;

	check_wildcard(c, at, "verbs", r, NULL);
	check_wildcard(c, at, "apiGroups", r, "resource rules must supply at least one api group");
	check_wildcard(c, at, "resources", r, "resource rules must supply at least one resource");
	if (!json_len(namespaces) && !json_path_bool(r, "clusterScope", false))
		bad_required(c, ns_at, "resource rules that are not cluster scoped must supply at least one namespace");
	else if (has_star(namespaces) && json_len(namespaces) > 1)
		bad_invalid(c, ns_at, namespaces, "if '*' is present, must not specify other namespaces");
	EACH_ITEM(ns, namespaces) {
		if (!str_eq(json_str(ns), "*"))
			check_name(c, PATH(c, "%s[%zu]", ns_at, i), ns, name_check_dns1123_label);
		i++;
	}
}

static const char *rule_url_path(const char *s)
{
	const char *star = strchr(s, '*');

	if (str_eq(s, "*"))
		return NULL;
	if (*s != '/')
		return "must start with '/'";
	if (strchr(s, ' '))
		return "must not contain white-space";
	if (strstr(s, "//"))
		return "must not contain double slash";
	return star && star[1] ? "wildcard can only do suffix matching" : NULL;
}

static void check_url_rule(struct check *c, const char *at, const struct json *r)
{
	size_t i = 0;

	check_wildcard(c, at, "verbs", r, NULL);
	check_wildcard(c, at, "nonResourceURLs", r, NULL);
	EACH_ITEM(u, json_get(r, "nonResourceURLs"))
		check_name(c, PATH(c, "%s.nonResourceURLs[%zu]", at, i++), u, rule_url_path);
}

static void check_flow_rule(struct check *c, const char *at, const struct json *r)
{
	size_t i = 0;

	EACH_ITEM(s, json_get(r, "subjects"))
		check_subject(c, PATH(c, "%s.subjects[%zu]", at, i++), s);
	if (!json_len(json_get(r, "resourceRules")) && !json_len(json_get(r, "nonResourceRules")))
		bad_required(c, at, "at least one of resourceRules and nonResourceRules has to be non-empty");
	i = 0;
	EACH_ITEM(rule, json_get(r, "resourceRules"))
		check_resource_rule(c, PATH(c, "%s.resourceRules[%zu]", at, i++), rule);
	i = 0;
	EACH_ITEM(rule, json_get(r, "nonResourceRules"))
		check_url_rule(c, PATH(c, "%s.nonResourceRules[%zu]", at, i++), rule);
}

/* The mandatory objects, as upstream has them: what their spec must be, whatever happens. */
static const char *const mandatory_schemas[][2] = {
    {"exempt",
     "{\"priorityLevelConfiguration\":{\"name\":\"exempt\"},\"matchingPrecedence\":1,\"rules\":[{\"subjects\":[{"
     "\"kind\":\"Group\",\"group\":{\"name\":\"system:masters\"}}],\"resourceRules\":[{\"verbs\":[\"*\"],\"apiGroups\":"
     "[\"*\"],\"resources\":[\"*\"],\"clusterScope\":true,\"namespaces\":[\"*\"]}],\"nonResourceRules\":[{\"verbs\":["
     "\"*\"],\"nonResourceURLs\":[\"*\"]}]}]}"},
    {"catch-all",
     "{\"priorityLevelConfiguration\":{\"name\":\"catch-all\"},\"matchingPrecedence\":10000,\"distinguisherMethod\":{"
     "\"type\":\"ByUser\"},\"rules\":[{\"subjects\":[{\"kind\":\"Group\",\"group\":{\"name\":\"system:unauthenticated\""
     "}},{\"kind\":\"Group\",\"group\":{\"name\":\"system:authenticated\"}}],\"resourceRules\":[{\"verbs\":[\"*\"],"
     "\"apiGroups\":[\"*\"],\"resources\":[\"*\"],\"clusterScope\":true,\"namespaces\":[\"*\"]}],\"nonResourceRules\":"
     "[{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]}]}"},
};

static const char *const mandatory_levels[][2] = {
    {"catch-all",
     "{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":5,\"lendablePercent\":0,\"limitResponse\":{"
     "\"type\":\"Reject\"}}}"},
};

static void check_mandatory(struct check *c, const struct json *spec, const char *const (*fixed)[2], size_t n)
{
	struct json *want;

	for (size_t i = 0; i < n; i++)
		if (str_eq(fixed[i][0], meta_name(c->tree)) &&
		    json_parse(&c->arena, fixed[i][1], strlen(fixed[i][1]), &want, NULL) == 0 &&
		    !json_equal(spec, want))
			bad_invalid(c, "spec", spec,
				    PATH(c, "spec of '%s' must equal the fixed value", meta_name(c->tree)));
}

static void check_flow_schema(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *precedence = json_get(spec, "matchingPrecedence");
	const char *name = meta_name(c->tree);
	size_t i = 0;

	check_mandatory(c, spec, mandatory_schemas, ARRAY_SIZE(mandatory_schemas));
	if (json_int(precedence, 1) <= 0)
		bad_invalid(c, "spec.matchingPrecedence", precedence, "must be a positive value");
	else if (json_int(precedence, 1) > PRECEDENCE_MAX)
		bad_invalid(c, "spec.matchingPrecedence", precedence, "must not be greater than 10000");
	else if (json_int(precedence, 0) == 1 && !str_eq(name, "exempt"))
		bad_invalid(c, "spec.matchingPrecedence", precedence,
			    "only the schema named 'exempt' may have matchingPrecedence 1");
	EACH_ITEM(r, json_get(spec, "rules"))
		check_flow_rule(c, PATH(c, "spec.rules[%zu]", i++), r);
}

/* ---- PriorityLevelConfiguration ---- */

/* Bits of a hash that dealing hand cards out of a deck of queues uses up: log2 of the number of ordered hands. */
static double hand_bits(int64_t queues, int64_t hand)
{
	double bits = 0;

	for (int64_t i = 0; i < hand && bits <= HAND_BITS_MAX; i++)
		bits += log2((double)(queues - i));
	return bits;
}

static void check_queuing(struct check *c, const char *at, const struct json *q)
{
	int64_t queues = json_path_int(q, "queues", 0), hand = json_path_int(q, "handSize", 0);
	static const char *const positive[] = {"queueLengthLimit", "queues", "handSize"};

	for (size_t i = 0; i < ARRAY_SIZE(positive); i++)
		if (json_path_int(q, positive[i], 0) <= 0)
			bad_invalid(c, PATH(c, "%s.%s", at, positive[i]), json_get(q, positive[i]), "must be positive");
	if (queues > QUEUES_MAX)
		bad_invalid(c, PATH(c, "%s.queues", at), json_get(q, "queues"), "must not be greater than 10000000");
	if (queues <= 0 || hand <= 0)
		return;
	if (hand > queues)
		bad_invalid(c, PATH(c, "%s.handSize", at), json_get(q, "handSize"),
			    PATH(c, "should not be greater than queues (%lld)", (long long)queues));
	else if (hand_bits(queues, hand) > HAND_BITS_MAX)
		bad_invalid(
		    c, PATH(c, "%s.handSize", at), json_get(q, "handSize"),
		    PATH(c, "required entropy bits of deckSize %lld and handSize %lld should not be greater than 60",
			 (long long)queues, (long long)hand));
}

static void check_priority_level(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *limited = json_get(spec, "limited");
	const struct json *response = json_get(limited, "limitResponse"), *queuing = json_get(response, "queuing");
	const char *type = json_path_str(spec, "type"), *answer = json_path_str(response, "type");
	bool exempt = str_eq(meta_name(c->tree), "exempt");

	check_mandatory(c, spec, mandatory_levels, ARRAY_SIZE(mandatory_levels));
	if (exempt && !str_eq(type, "Exempt"))
		bad_invalid_str(c, "spec.type", str_or(type, ""), "must be 'Exempt' for the mandatory 'exempt'");
	else if (!exempt && str_eq(type, "Exempt"))
		bad_invalid_str(c, "spec.type", type, "only the priority level named 'exempt' may be of type Exempt");
	if (str_eq(type, "Exempt") && limited)
		bad_forbidden(c, "spec.limited", "must be nil if the type is not Limited");
	if (str_eq(type, "Limited") && !limited)
		bad_required(c, "spec.limited", "must not be empty when type is Limited");
	if (str_eq(type, "Limited") && json_get(spec, "exempt"))
		bad_forbidden(c, "spec.exempt", "must be nil if the type is Limited");
	if (str_eq(answer, "Reject") && queuing)
		bad_forbidden(c, "spec.limited.limitResponse.queuing",
			      "must be nil if limited.limitResponse.type is not Limited");
	if (str_eq(answer, "Queue") && !queuing)
		bad_required(c, "spec.limited.limitResponse.queuing",
			     "must not be empty if limited.limitResponse.type is Limited");
	if (str_eq(answer, "Queue") && queuing)
		check_queuing(c, "spec.limited.limitResponse.queuing", queuing);
}

static const struct kind_check kinds[] = {
    {SCHEMA, check_flow_schema, NULL},
    {LEVEL, check_priority_level, NULL},
};

const struct group_check validate_flowcontrol = {"flowcontrol.apiserver.k8s.io", rules, ARRAY_SIZE(rules), kinds,
						 ARRAY_SIZE(kinds)};
