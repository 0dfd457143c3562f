/* SPDX-License-Identifier: Apache-2.0 */
/* Where pods may go: node selectors, affinity, spreading, tolerations and the taints they are for. */
#include <string.h>

#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "base/status.h"
#include "base/str.h"

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

/* ---- nodes ---- */

static void check_label_requirement(struct check *c, const char *at, const struct json *r, bool bad_values)
{
	static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", NULL};
	const char *op = str_or(json_path_str(r, "operator"), ""), *key = str_or(json_path_str(r, "key"), "");
	const char *why = name_check_qualified(key);
	uint32_t n = json_len(json_get(r, "values"));

	if (!str_in(op, ops))
		bad_invalid_str(c, PATH(c, "%s.operator", at), op, "not a valid selector operator");
	else if (str_has_suffix(op, "In") && !n)
		bad_required(c, PATH(c, "%s.values", at), "must be specified when `operator` is 'In' or 'NotIn'");
	else if (str_has_suffix(op, "Exist") || str_eq(op, "Exists"))
		forbid_in(c, at, n ? r : NULL, "values",
			  "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
	else if (str_has_suffix(op, "t") && n != 1)
		bad_required(c, PATH(c, "%s.values", at),
			     "must be specified single value when `operator` is 'Lt' or 'Gt'");
	if (why)
		bad_invalid_str(c, PATH(c, "%s.key", at), key, why);
	if (!bad_values)
		names_in(c, at, r, "values", name_check_label_value);
}

static void check_field_requirement(struct check *c, const char *at, const struct json *r)
{
	const char *op = str_or(json_path_str(r, "operator"), ""), *key = str_or(json_path_str(r, "key"), "");

	if (!str_eq(op, "In") && !str_eq(op, "NotIn"))
		bad_invalid_str(c, PATH(c, "%s.operator", at), op, "not a valid selector operator");
	else if (json_len(json_get(r, "values")) != 1)
		bad_required(c, PATH(c, "%s.values", at),
			     "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
	if (!str_eq(key, "metadata.name"))
		bad_invalid_str(c, PATH(c, "%s.key", at), key, "not a valid field selector key");
	else
		names_in(c, at, r, "values", name_check_dns1123_subdomain);
}

static void check_node_term(struct check *c, const char *at, const struct json *term, bool bad_values)
{
	size_t i = 0;

	EACH_ITEM(r, json_get(term, "matchExpressions"))
		check_label_requirement(c, PATH(c, "%s.matchExpressions[%zu]", at, i++), r, bad_values);
	i = 0;
	EACH_ITEM(r, json_get(term, "matchFields"))
		check_field_requirement(c, PATH(c, "%s.matchFields[%zu]", at, i++), r);
}

void check_node_selector(struct check *c, const char *path, const struct json *selector, bool bad_values)
{
	const struct json *terms = json_get(selector, "nodeSelectorTerms");
	size_t i = 0;

	if (!json_len(terms))
		bad_required(c, PATH(c, "%s.nodeSelectorTerms", path), "must have at least one node selector term");
	EACH_ITEM(t, terms)
		check_node_term(c, PATH(c, "%s.nodeSelectorTerms[%zu]", path, i++), t, bad_values);
}

/* A weight of 1 to 100. */
static void check_weight(struct check *c, const char *at, const struct json *term)
{
	int64_t weight = json_path_int(term, "weight", 0);

	if (weight < 1 || weight > 100)
		bad_invalid(c, PATH(c, "%s.weight", at), json_new_int(&c->arena, weight), "must be in the range 1-100");
}

static bool node_terms_are_bad(const struct json *selector)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct check c = {.err = &err};
	bool bad = false;

	EACH_ITEM(t, json_get(selector, "nodeSelectorTerms"))
		EACH_ITEM(r, json_get(t, "matchExpressions"))
			names_in(&c, "", r, "values", name_check_label_value);
	bad = err.n_causes > 0;
	arena_release(&c.arena);
	return bad;
}

static void check_node_affinity(struct pod_check *p, const char *at, const struct json *affinity)
{
	struct check *c = p->c;
	const struct json *required = json_get(affinity, REQUIRED);
	size_t i = 0;

	if (required)
		check_node_selector(c, PATH(c, "%s." REQUIRED, at), required,
				    p->old_spec &&
					node_terms_are_bad(json_path(p->old_spec, "affinity.nodeAffinity." REQUIRED)));
	EACH_ITEM(t, json_get(affinity, PREFERRED)) {
		const char *term = PATH(c, "%s." PREFERRED "[%zu]", at, i++);
		check_weight(c, term, t);
		check_node_term(c, PATH(c, "%s.preference", term), json_get(t, "preference"), true);
	}
}

/* ---- pods ---- */

/* Keys that a selector asks for; once: those asked for a first time, twice: again. */
static void selected_keys(const struct json *selector, struct map *once, struct map *twice)
{
	const struct json *labels = json_get(selector, "matchLabels");

	if (json_is(labels, JSON_OBJECT))
		JSON_EACH(l, labels)
			map_set(once, l->key, once);
	EACH_ITEM(e, json_get(selector, "matchExpressions")) {
		const char *key = str_or(json_path_str(e, "key"), "");
		if (map_set(once, key, once))
			map_set(twice, key, twice);
	}
}

static void check_label_keys(struct check *c, const char *at, const struct json *term, const char *member)
{
	const struct json *keys = json_get(term, member);

	if (!json_len(keys))
		return;
	if (!json_get(term, "labelSelector"))
		bad_forbidden(c, PATH(c, "%s.%s", at, member), "must not be specified when labelSelector is not set");
	else
		names_in(c, at, term, member, name_check_qualified);
}

/* The server itself adds a requirement for each matchLabelKey; a second one is the user's. */
static void check_match_keys(struct check *c, const char *at, const struct json *term)
{
	const struct json *keys = json_get(term, "matchLabelKeys"), *selector = json_get(term, "labelSelector");
	_cleanup_names_ struct map once = MAP_INIT, twice = MAP_INIT, mismatch = MAP_INIT;
	size_t i = 0;

	if (!json_len(keys))
		return;
	selected_keys(selector, &once, &twice);
	EACH_ITEM(k, json_get(term, "mismatchLabelKeys"))
		map_set(&mismatch, str_or(json_str(k), ""), c);
	EACH_ITEM(k, keys) {
		const char *key = str_or(json_str(k), "");
		if (map_has(&twice, key))
			bad_invalid_str(c, PATH(c, "%s[%zu]", at, i), key,
					"exists in both matchLabelKeys and labelSelector");
		i++;
	}
	i = 0;
	EACH_ITEM(k, keys) {
		if (map_has(&mismatch, str_or(json_str(k), "")))
			bad_invalid(c, PATH(c, "%s.matchLabelKeys[%zu]", at, i), k,
				    "exists in both matchLabelKeys and mismatchLabelKeys");
		i++;
	}
}

static void check_pod_term(struct check *c, const char *at, const struct json *term, bool bad_selectors)
{
	static const char *const selectors[] = {"labelSelector", "namespaceSelector"};
	const char *key = str_or(json_path_str(term, "topologyKey"), ""), *why = name_check_qualified(key);

	for (size_t i = 0; !bad_selectors && i < ARRAY_SIZE(selectors); i++)
		if (json_get(term, selectors[i]))
			check_selector(c, PATH(c, "%s.%s", at, selectors[i]), json_get(term, selectors[i]));
	EACH_ITEM(ns, json_get(term, "namespaces"))
		check_name(c, PATH(c, "%s.namespace", at), ns, name_check_dns1123_label);
	check_label_keys(c, at, term, "matchLabelKeys");
	check_label_keys(c, at, term, "mismatchLabelKeys");
	check_match_keys(c, at, term);
	if (!*key)
		bad_required(c, PATH(c, "%s.topologyKey", at), "can not be empty");
	if (why)
		bad_invalid_str(c, PATH(c, "%s.topologyKey", at), key, why);
}

static void check_pod_affinity(struct check *c, const char *at, const struct json *affinity, bool bad_selectors)
{
	size_t i = 0;

	EACH_ITEM(t, json_get(affinity, REQUIRED))
		check_pod_term(c, PATH(c, "%s." REQUIRED "[%zu]", at, i++), t, bad_selectors);
	i = 0;
	EACH_ITEM(t, json_get(affinity, PREFERRED)) {
		const char *term = PATH(c, "%s." PREFERRED "[%zu]", at, i++);
		check_weight(c, term, t);
		check_pod_term(c, PATH(c, "%s.podAffinityTerm", term), json_get(t, "podAffinityTerm"), bad_selectors);
	}
}

/* Whether a term that is stored has a selector that wouldn't be accepted today. */
static bool old_terms_are_bad(const struct json *affinity)
{
	EACH_ITEM(t, json_get(affinity, REQUIRED))
		if (selector_is_bad(json_get(t, "labelSelector")) || selector_is_bad(json_get(t, "namespaceSelector")))
			return true;
	EACH_ITEM(t, json_get(affinity, PREFERRED))
		if (selector_is_bad(json_path(t, "podAffinityTerm.labelSelector")) ||
		    selector_is_bad(json_path(t, "podAffinityTerm.namespaceSelector")))
			return true;
	return false;
}

void check_affinity(struct pod_check *p)
{
	struct check *c = p->c;
	const struct json *affinity = json_get(p->spec, "affinity"), *old = json_get(p->old_spec, "affinity");
	const char *at = PATH(c, "%s.affinity", p->path);

	if (!affinity)
		return;
	bool lax = old && (old_terms_are_bad(json_get(old, "podAffinity")) ||
			   old_terms_are_bad(json_get(old, "podAntiAffinity")));
	if (json_get(affinity, "nodeAffinity"))
		check_node_affinity(p, PATH(c, "%s.nodeAffinity", at), json_get(affinity, "nodeAffinity"));
	check_pod_affinity(c, PATH(c, "%s.podAffinity", at), json_get(affinity, "podAffinity"), lax);
	check_pod_affinity(c, PATH(c, "%s.podAntiAffinity", at), json_get(affinity, "podAntiAffinity"), lax);
}

/* ---- spreading ---- */

/* In a Pod the server has merged each key into the selector; in a template it must not be there at all. */
static void check_spread_keys(struct check *c, const char *at, const struct json *t, bool merged)
{
	const struct json *keys = json_get(t, "matchLabelKeys"), *selector = json_get(t, "labelSelector");
	_cleanup_names_ struct map once = MAP_INIT, twice = MAP_INIT;
	size_t i = 0;

	if (!json_len(keys))
		return;
	selected_keys(selector, &once, &twice);
	if (!selector)
		bad_forbidden(c, PATH(c, "%s.matchLabelKeys", at),
			      "must not be specified when labelSelector is not set");
	names_in(c, at, t, "matchLabelKeys", name_check_qualified);
	EACH_ITEM(k, keys) {
		if (map_has(merged ? &twice : &once, str_or(json_str(k), "")))
			bad_invalid(c, PATH(c, "%s.matchLabelKeys[%zu]", at, i), k,
				    "exists in both matchLabelKeys and labelSelector");
		i++;
	}
}

/* Constraints of one topology and action, by how many are to come: the first of two is told. */
static const char *spread_pair(struct check *c, const struct json *t)
{
	return PATH(c, "{%s, %s}", str_or(json_path_str(t, "topologyKey"), ""),
		    str_or(json_path_str(t, "whenUnsatisfiable"), ""));
}

static void check_repeated(struct check *c, const char *at, const struct json *t, struct map *left)
{
	const char *pair = spread_pair(c, t);
	uintptr_t n = (uintptr_t)map_get(left, pair) - 1;

	map_set(left, pair, (void *)n);
	if (n)
		bad_duplicate(c, PATH(c, "%s.{topologyKey, whenUnsatisfiable}", at), pair);
}

static void check_constraint(struct check *c, const char *at, const struct json *t, struct map *left, bool is_pod)
{
	static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
	static const char *const policies[] = {"Honor", "Ignore", NULL};
	const char *action = str_or(json_path_str(t, "whenUnsatisfiable"), "");
	const struct json *domains = json_get(t, "minDomains");

	if (json_path_int(t, "maxSkew", 0) < 1)
		bad_invalid(c, PATH(c, "%s.maxSkew", at), json_new_int(&c->arena, json_path_int(t, "maxSkew", 0)),
			    "must be greater than zero");
	if (str_empty(json_path_str(t, "topologyKey")))
		bad_required(c, PATH(c, "%s.topologyKey", at), "can not be empty");
	if (!str_in(action, actions))
		bad_unsupported(c, PATH(c, "%s.whenUnsatisfiable", at), action, actions);
	check_repeated(c, at, t, left);
	if (domains && json_int(domains, 0) <= 0)
		bad_invalid(c, PATH(c, "%s.minDomains", at), domains, "must be greater than zero");
	if (domains && !str_eq(action, "DoNotSchedule"))
		bad_invalid(c, PATH(c, "%s.minDomains", at), domains,
			    PATH(c, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", action));
	choice_in(c, at, t, "nodeAffinityPolicy", policies);
	choice_in(c, at, t, "nodeTaintsPolicy", policies);
	check_spread_keys(c, at, t, is_pod);
}

void check_spread(struct pod_check *p)
{
	struct check *c = p->c;
	_cleanup_names_ struct map left = MAP_INIT;
	bool lax = false;
	size_t i = 0;

	EACH_ITEM(t, json_get(p->old_spec, "topologySpreadConstraints"))
		lax |= selector_is_bad(json_get(t, "labelSelector"));
	EACH_ITEM(t, json_get(p->spec, "topologySpreadConstraints")) {
		const char *pair = spread_pair(c, t);
		map_set(&left, pair, (void *)((uintptr_t)map_get(&left, pair) + 1));
	}
	EACH_ITEM(t, json_get(p->spec, "topologySpreadConstraints")) {
		const char *at = PATH(c, "%s.topologySpreadConstraints[%zu]", p->path, i++);
		check_constraint(c, at, t, &left, p->is_pod);
		if (!lax && json_get(t, "labelSelector"))
			check_selector(c, PATH(c, "%s.labelSelector", at), json_get(t, "labelSelector"));
	}
}

/* ---- taints and tolerations ---- */

static void check_toleration_value(struct check *c, const char *at, const struct json *t, const char *op)
{
	static const char *const ops[] = {"Equal", "Exists", NULL}; /* Gt and Lt are behind a gate that is off */
	const char *value = str_or(json_path_str(t, "value"), ""), *why = name_check_label_value(value);
	int64_t n;

	if (!*op || str_eq(op, "Equal")) {
		if (why)
			bad_invalid_str(c, PATH(c, "%s.operator", at), value, why);
	} else if (str_eq(op, "Exists")) {
		if (*value)
			bad_invalid_str(c, PATH(c, "%s.operator", at), value,
					"value must be empty when `operator` is 'Exists'");
	} else if (str_eq(op, "Gt") || str_eq(op, "Lt")) {
		if (parse_i64(value, &n) < 0)
			bad_invalid_str(c, PATH(c, "%s.value", at), value,
					PATH(c, "value must be an integer when `operator` is '%s'", op));
	} else {
		bad_unsupported(c, PATH(c, "%s.operator", at), op, ops);
	}
}

void check_tolerations(struct check *c, const char *path, const struct json *list)
{
	size_t i = 0;

	EACH_ITEM(t, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *op = str_or(json_path_str(t, "operator"), "");
		const char *effect = str_or(json_path_str(t, "effect"), "");
		if (!str_empty(json_path_str(t, "key")))
			name_in(c, at, t, "key", name_check_qualified);
		else if (!str_eq(op, "Exists"))
			bad_invalid_str(c, PATH(c, "%s.operator", at), op,
					"operator must be Exists when `key` is empty, which means \"match all values "
					"and all keys\"");
		if (json_get(t, "tolerationSeconds") && !str_eq(effect, "NoExecute"))
			bad_invalid_str(c, PATH(c, "%s.effect", at), effect,
					"effect must be 'NoExecute' when `tolerationSeconds` is set");
		check_toleration_value(c, at, t, op);
		if (*effect && !str_in(effect, effects))
			bad_unsupported(c, PATH(c, "%s.effect", at), effect, effects);
	}
}

void check_taints(struct check *c, const char *path, const struct json *list)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(t, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *key = str_or(json_path_str(t, "key"), "");
		const char *effect = str_or(json_path_str(t, "effect"), ""), *why = name_check_qualified(key);
		if (why)
			bad_invalid_str(c, PATH(c, "%s.key", at), key, why);
		name_in(c, at, t, "value", name_check_label_value);
		if (need_in(c, at, t, "effect") && !str_in(effect, effects))
			bad_unsupported(c, PATH(c, "%s.effect", at), effect, effects);
		if (map_set(&seen, PATH(c, "%s:%s", effect, key), c)) {
			status_cause(
			    c->err, "FieldValueDuplicate", at,
			    "Duplicate value: {\"key\":\"%.256s\",\"effect\":\"%.64s\"}: taints must be unique "
			    "by key and effect pair",
			    key, effect);
		}
	}
}
