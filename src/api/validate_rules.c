/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate_rules.h"

#include <string.h>

#include "api/resource.h"
#include "api/validate_internal.h"
#include "base/map.h"
#include "base/str.h"

static bool is_empty(const struct json *v, bool map)
{
	return !v || v->type == JSON_NULL ||
	       ((v->type == JSON_STRING || v->type == JSON_ARRAY || (map && v->type == JSON_OBJECT)) && !v->len);
}

static void apply_unique(struct check *c, const struct rule *r, const char *at, const struct json *list)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(e, list) {
		const char *key = r->text ? json_path_str(e, r->text) : json_str(e);
		if (!key || !map_set(&seen, key, c)) {
			i++;
			continue;
		}
		if (r->op == RULE_SET)
			bad_duplicate_value(c, PATH(c, "%s[%zu]", at, i), e);
		else
			bad_duplicate(c, r->text ? PATH(c, "%s[%zu].%s", at, i, r->text) : PATH(c, "%s[%zu]", at, i),
				      key);
		i++;
	}
}

static void apply_range(struct check *c, const struct rule *r, const char *at, const struct json *v)
{
	int64_t n = json_int(v, r->min);

	if (n >= r->min && n <= r->max)
		return;
	const char *text = r->text;
	if (!text && r->max == INT64_MAX)
		text = PATH(c, "must be greater than or equal to %lld", (long long)r->min);
	else if (!text)
		text = PATH(c, "must be between %lld and %lld, inclusive", (long long)r->min, (long long)r->max);
	bad_invalid(c, at, v, text);
}

static void apply_present(struct check *c, const struct rule *r, const char *at, const struct json *v)
{
	switch (r->op) {
	case RULE_RANGE:
		apply_range(c, r, at, v);
		break;
	case RULE_NAME:
		check_name(c, at, v, r->name);
		break;
	case RULE_VALUES:
		if (json_str(v) && !str_in(json_str(v), r->values))
			bad_unsupported(c, at, json_str(v), r->values);
		break;
	case RULE_BYTES:
		if (json_str(v) && v->len > r->max)
			bad_too_long(c, at, (size_t)r->max);
		break;
	case RULE_CHARACTERS:
		if (json_str(v) && v->len > r->max)
			bad_too_many_characters(c, at, (size_t)r->max);
		break;
	case RULE_ITEMS:
		if (json_len(v) > r->max)
			bad_too_many(c, at, json_len(v), (size_t)r->max);
		break;
	case RULE_UNIQUE:
	case RULE_SET:
		apply_unique(c, r, at, v);
		break;
	case RULE_LABELS:
		check_labels(c, at, v);
		break;
	case RULE_SELECTOR:
		check_selector(c, at, v);
		break;
	case RULE_QUANTITIES:
		check_quantities(c, at, v);
		break;
	case RULE_CALL:
		r->call(c, at, v);
		break;
	default:
		break;
	}
}

/* A rule among those that it stands with. */
struct setting {
	const struct rule *rule, *rules;
	size_t n;
};

/* Is an empty string complained of by another rule? One that is there, and needn't be, was meant. */
static bool is_required(const struct setting *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->rules[i].op == RULE_REQUIRED && str_eq(s->rules[i].path, s->rule->path) &&
		    str_eq(s->rules[i].kind, s->rule->kind))
			return true;
	return false;
}

static bool bears_empty(const struct setting *s)
{
	return (s->rule->op != RULE_NAME && s->rule->op != RULE_VALUES) || s->rule->or_empty || is_required(s);
}

static void apply(struct check *c, const struct setting *s, const char *at, const struct json *v)
{
	const struct rule *r = s->rule;

	if (r->op == RULE_REQUIRED || r->op == RULE_FILLED) {
		if (is_empty(v, r->op == RULE_FILLED))
			bad_required(c, at, r->text);
	} else if (v && v->type != JSON_NULL && !(v->type == JSON_STRING && !v->len && bears_empty(s))) {
		apply_present(c, r, at, v);
	}
}

/* v: what `at` names; path: what is still to be followed below it. */
static void walk(struct check *c, const struct setting *s, const char *at, const struct json *v, const char *path)
{
	if (!*path) {
		apply(c, s, at, v);
		return;
	}
	size_t n = strcspn(path, ".[{?");
	const char *rest = path + n;
	const struct json *member = json_get_n(v, path, n);
	const char *below = *at ? PATH(c, "%s.%.*s", at, (int)n, path) : PATH(c, "%.*s", (int)n, path);
	size_t i = 0;

	if (*rest == '?') {
		if (!member || member->type == JSON_NULL)
			return;
		rest++;
	}
	bool list = *rest == '[', map = *rest == '{';
	if (list || map)
		rest += 2;
	if (*rest == '.')
		rest++;
	if (!list && !map) {
		walk(c, s, below, member, rest);
	} else if (list && json_is(member, JSON_ARRAY)) {
		JSON_EACH(e, member)
			walk(c, s, PATH(c, "%s[%zu]", below, i++), e, rest);
	} else if (map && json_is(member, JSON_OBJECT)) {
		JSON_EACH(e, member)
			walk(c, s, PATH(c, "%s[%s]", below, e->key), e, rest);
	}
}

void check_fields(struct check *c, const char *at, const struct json *v, const struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++)
		walk(c, &(struct setting){&rules[i], rules, n}, at, v, rules[i].path);
}

static void check_rule(struct check *c, const struct setting *s)
{
	const struct rule *r = s->rule;

	if (r->op == RULE_IMMUTABLE)
		check_immutable(c, r->path, r->path);
	else if (r->op != RULE_FIXED && r->op != RULE_CONSTANT)
		walk(c, s, "", c->tree, r->path);
	else if (!c->old || json_equal(json_path(c->tree, r->path), json_path(c->old, r->path)))
		return;
	else if (r->op == RULE_FIXED)
		bad_forbidden(c, r->path, r->text);
	else
		bad_invalid(c, r->path, json_new(&c->arena, JSON_NULL), "field is immutable");
}

static const struct group_check *const groups[] = {
    &validate_apps,
    &validate_batch,
    &validate_autoscaling,
    &validate_policy,
    &validate_networking,
    &validate_discovery,
    &validate_storage,
    &validate_rbac,
    &validate_scheduling,
    &validate_node,
    &validate_coordination,
    &validate_certificates,
    &validate_events,
    &validate_flowcontrol,
    &validate_admission,
    &validate_definitions,
    &validate_apiregistration,
    &validate_resource,
    &validate_migration,
};

void check_group(struct check *c, const char *subresource)
{
	bool status = str_eq(subresource, "status") || str_eq(subresource, "approval");
	const char *kind = c->resource->kind;

	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		if (!str_eq(groups[g]->group, c->resource->group))
			continue;
		for (size_t i = 0; i < groups[g]->n_rules; i++) {
			const struct rule *r = &groups[g]->rules[i];
			if (str_has_prefix(r->path, "status.") == status && str_eq(r->kind, kind))
				check_rule(c, &(struct setting){r, groups[g]->rules, groups[g]->n_rules});
		}
		for (size_t i = 0; i < groups[g]->n_kinds; i++) {
			const struct kind_check *k = &groups[g]->kinds[i];
			if (!str_eq(k->kind, kind))
				continue;
			if (status && k->status)
				k->status(c, subresource);
			else if (!status && k->object)
				k->object(c);
		}
	}
}
