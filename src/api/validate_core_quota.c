/* SPDX-License-Identifier: Apache-2.0 */
/* ResourceQuotas and LimitRanges. */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "base/json_index.h"
#include "base/str.h"

/* ---- quotas ---- */

static void check_hard(struct check *c, const char *path, const struct json *list)
{
	if (!json_is(list, JSON_OBJECT))
		return;
	JSON_EACH(v, list) {
		const char *at = PATH(c, "%s[%s]", path, v->key);
		check_quota_resource_name(c, at, v->key);
		check_resource_amount(c, at, v);
	}
}

enum scope_covers { PODS = 1, COMPUTE = 2, CLAIMS = 4 };

static const struct scope {
	const char *name;
	int covers;
	bool plain; /* only operator Exists */
} scopes[] = {
    {"Terminating", PODS | COMPUTE, true},
    {"NotTerminating", PODS | COMPUTE, true},
    {"BestEffort", PODS, true},
    {"NotBestEffort", PODS | COMPUTE, true},
    {"PriorityClass", PODS | COMPUTE, false},
    {"CrossNamespacePodAffinity", PODS | COMPUTE, true},
    {"VolumeAttributesClass", CLAIMS, false},
};

static const struct scope *find_scope(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
		if (str_eq(scopes[i].name, name))
			return &scopes[i];
	return NULL;
}

static bool scope_covers(const struct scope *s, const char *resource)
{
	static const char *const compute[] = {"cpu",	      "memory",		 "limits.cpu", "limits.memory",
					      "requests.cpu", "requests.memory", NULL};
	static const char *const claims[] = {"persistentvolumeclaims", "requests.storage", NULL};

	return (s->covers & PODS && str_eq(resource, "pods")) || (s->covers & COMPUTE && str_in(resource, compute)) ||
	       (s->covers & CLAIMS && str_in(resource, claims));
}

/* A scope that says nothing about a limited resource is a mistake. */
static void check_covers(struct check *c, const char *at, const struct scope *s, const struct json *hard,
			 const struct json *shown)
{
	JSON_EACH(h, hard)
		if (s && resource_is_for_quota(h->key) && !scope_covers(s, h->key))
			bad_invalid(c, at, shown, "unsupported scope applied to resource");
}

static void check_conflicts(struct check *c, const char *at, const struct map *seen, const struct json *shown)
{
	static const char *const pairs[][2] = {{"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (map_has(seen, pairs[i][0]) && map_has(seen, pairs[i][1]))
			bad_invalid(c, at, shown, "conflicting scopes");
}

static void check_scopes(struct check *c, const struct json *spec)
{
	const struct json *list = json_get(spec, "scopes");
	_cleanup_names_ struct map seen = MAP_INIT;

	EACH_ITEM(v, list) {
		const char *name = str_or(json_str(v), "");
		const struct scope *s = find_scope(name);
		if (!s)
			bad_invalid(c, "spec.scopes", list, "unsupported scope");
		if (!map_set(&seen, name, c))
			check_covers(c, "spec.scopes", s, json_get(spec, "hard"), list);
	}
	check_conflicts(c, "spec.scopes", &seen, list);
}

#define EXPRESSIONS "spec.scopeSelector.matchExpressions"
static void check_scope_operator(struct check *c, const struct scope *s, const struct json *r)
{
	const char *op = str_or(json_path_str(r, "operator"), "");
	const struct json *values = json_get(r, "values");

	if (s && s->plain && !str_eq(op, "Exists"))
		bad_invalid_str(c, EXPRESSIONS ".operator", op,
				"must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
				"ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
				"ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
	if (str_eq(op, "In") || str_eq(op, "NotIn")) {
		if (!json_len(values))
			bad_required(
			    c, EXPRESSIONS ".values",
			    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
	} else if (str_eq(op, "Exists") || str_eq(op, "DoesNotExist")) {
		if (json_len(values))
			bad_invalid(c, EXPRESSIONS ".values", values,
				    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
	} else {
		bad_invalid_str(c, EXPRESSIONS ".operator", op, "not a valid selector operator");
	}
}

static void check_scope_selector(struct check *c, const struct json *spec)
{
	const struct json *selector = json_get(spec, "scopeSelector");
	_cleanup_names_ struct map seen = MAP_INIT;

	EACH_ITEM(r, json_get(selector, "matchExpressions")) {
		const char *name = str_or(json_path_str(r, "scopeName"), "");
		const struct scope *s = find_scope(name);
		if (!s)
			bad_invalid_str(c, EXPRESSIONS ".scopeName", name, "unsupported scope");
		if (!map_set(&seen, name, c))
			check_covers(c, EXPRESSIONS, s, json_get(spec, "hard"), selector);
		check_scope_operator(c, s, r);
	}
	check_conflicts(c, EXPRESSIONS, &seen, json_get(spec, "scopes"));
}

static bool same_set(const struct json *a, const struct json *b)
{
	_cleanup_names_ struct map in_a = MAP_INIT, in_b = MAP_INIT;
	bool same = true;

	EACH_ITEM(v, a)
		map_set(&in_a, str_or(json_str(v), ""), &in_a);
	EACH_ITEM(v, b) {
		map_set(&in_b, str_or(json_str(v), ""), &in_b);
		same &= map_has(&in_a, str_or(json_str(v), ""));
	}
	return same && in_a.n == in_b.n;
}

void check_resource_quota(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	check_hard(c, "spec.hard", json_get(spec, "hard"));
	check_scopes(c, spec);
	check_scope_selector(c, spec);
	if (c->old && !same_set(json_get(spec, "scopes"), json_path(c->old, "spec.scopes")))
		bad_invalid(c, "spec.scopes", json_get(spec, "scopes"), "field is immutable");
}

void check_resource_quota_status(struct check *c)
{
	check_hard(c, "status.hard", json_path(c->tree, "status.hard"));
	check_hard(c, "status.used", json_path(c->tree, "status.used"));
}

/* ---- limit ranges ---- */

/* One of two amounts must not exceed the other; the words are upstream's. */
static const struct order {
	const char *small, *large;
	const char *small_word, *large_word;
	bool about_large, shows_large; /* whose path and whose value are told */
} orders[] = {
    {"min", "max", "min", "max", false, false},
    {"min", "defaultRequest", "min", "default request", true, true},
    {"defaultRequest", "max", "default request", "max", false, false},
    {"defaultRequest", "default", "default request", "default limit", false, false},
    {"min", "default", "min", "default", true, false},
    {"default", "max", "default", "max", false, true},
};

static void check_order(struct check *c, const char *at, const struct json *item, const struct order *o)
{
	_cleanup_json_index_ struct json_index large = json_index_of(json_get(item, o->large));
	const struct json *list = json_get(item, o->small);
	struct quantity s, l;
	char text[QUANTITY_TEXT_MAX], other[QUANTITY_TEXT_MAX];

	if (!json_is(list, JSON_OBJECT))
		return;
	JSON_EACH(v, list) {
		const struct json *bound = json_index_get(&large, v->key, v->key_len);
		if (!bound || quantity_from_json(v, &s) < 0 || quantity_from_json(bound, &l) < 0 ||
		    quantity_compare(&s, &l) <= 0)
			continue;
		bad_invalid(c, PATH(c, "%s.%s[%s]", at, o->about_large ? o->large : o->small, v->key),
			    o->shows_large ? bound : v,
			    PATH(c, "%s value %s is greater than %s value %s", o->small_word, quantity_format(&s, text),
				 o->large_word, quantity_format(&l, other)));
	}
}

static double as_double(const struct quantity *q)
{
	return (double)q->nano / 1e9;
}

static void check_ratios(struct check *c, const char *at, const struct json *item)
{
	_cleanup_json_index_ struct json_index mins = json_index_of(json_get(item, "min")),
					       maxs = json_index_of(json_get(item, "max"));
	struct quantity ratio, min, max;

	JSON_EACH(v, json_get(item, "maxLimitRequestRatio")) {
		const struct json *low = json_index_get(&mins, v->key, v->key_len),
				  *high = json_index_get(&maxs, v->key, v->key_len);
		const char *path = PATH(c, "%s.maxLimitRequestRatio[%s]", at, v->key), *shown = str_or(json_str(v), "");
		if (quantity_from_json(v, &ratio) < 0)
			continue;
		if (as_double(&ratio) < 1)
			bad_invalid(c, path, v, PATH(c, "ratio %s is less than 1", shown));
		if (!low || !high || quantity_from_json(low, &min) < 0 || quantity_from_json(high, &max) < 0 ||
		    min.nano <= 0)
			continue;
		double bound = as_double(&max) / as_double(&min);
		if (as_double(&ratio) > bound)
			bad_invalid(c, path, v, PATH(c, "ratio %s is greater than max/min = %f", shown, bound));
	}
}

/* What can't be overcommitted is requested as it is limited. */
static void check_equal_defaults(struct check *c, const char *at, const struct json *item)
{
	_cleanup_json_index_ struct json_index limits = json_index_of(json_get(item, "default"));
	struct quantity request, limit;

	JSON_EACH(v, json_get(item, "defaultRequest")) {
		const struct json *l = json_index_get(&limits, v->key, v->key_len);
		if (!l || resource_may_overcommit(v->key) || quantity_from_json(v, &request) < 0 ||
		    quantity_from_json(l, &limit) < 0 || quantity_compare(&request, &limit) == 0)
			continue;
		bad_invalid(c, PATH(c, "%s.defaultRequest[%s]", at, v->key), v,
			    PATH(c, "default value %s must equal to defaultRequest value %s in %s",
				 str_or(json_str(l), ""), str_or(json_str(v), ""), v->key));
	}
}

static void check_limit_names(struct check *c, const char *at, const struct json *item, const char *type)
{
	static const char *const lists[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};
	bool pod = str_eq(type, "Pod"), container = str_eq(type, "Container");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct json *list = json_get(item, lists[i]);
		const char *list_at = PATH(c, "%s.%s", at, lists[i]);
		if (pod && str_has_prefix(lists[i], "default")) {
			if (json_len(list))
				bad_forbidden(c, list_at, "may not be specified when `type` is 'Pod'");
			continue;
		}
		if (!json_is(list, JSON_OBJECT))
			continue;
		JSON_EACH(v, list) {
			if (pod || container)
				check_container_resource_name(c, PATH(c, "%s[%s]", list_at, v->key), v->key);
			else
				check_resource_name(c, PATH(c, "%s[%s]", list_at, v->key), v->key);
		}
	}
}

static void check_limit_type(struct check *c, const char *at, const char *type)
{
	static const char *const standard[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};
	const char *why = name_check_qualified(type);

	if (!why && !strchr(type, '/') && !str_in(type, standard))
		why = "must be a standard limit type or fully qualified";
	if (why)
		bad_invalid_str(c, PATH(c, "%s.type", at), type, why);
}

void check_limit_range(struct check *c)
{
	_cleanup_names_ struct map types = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(item, json_path(c->tree, "spec.limits")) {
		const char *at = PATH(c, "spec.limits[%zu]", i++), *type = str_or(json_path_str(item, "type"), "");
		check_limit_type(c, at, type);
		if (map_set(&types, type, c))
			bad_duplicate(c, PATH(c, "%s.type", at), type);
		check_limit_names(c, at, item, type);
		if (str_eq(type, "PersistentVolumeClaim") && !json_path(item, "min.storage") &&
		    !json_path(item, "max.storage"))
			bad_required(c, PATH(c, "%s.limits", at),
				     "either minimum or maximum storage value is required, but neither was provided");
		for (size_t k = 0; k < ARRAY_SIZE(orders); k++)
			check_order(c, at, item, &orders[k]);
		check_ratios(c, at, item);
		check_equal_defaults(c, at, item);
	}
}
