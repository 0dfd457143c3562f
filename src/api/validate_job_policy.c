/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate_job_policy.h"

#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

/* Upstream's bounds. */
#define POLICY_RULES_MAX 20
#define EXIT_CODES_MAX 255
#define CONDITIONS_MAX 20
#define INDEXES_BYTES_MAX (64 * 1024)
#define HIGH_COMPLETIONS 100000 /* above that, failed indexes must be bounded: they are listed in the status */
#define HIGH_COMPLETIONS_LIMIT 10000

static bool is_indexed(const struct json *spec)
{
	return str_eq(json_path_str(spec, "completionMode"), "Indexed");
}

/* ---- limits per index ---- */

static void check_high_completions(struct check *c, const char *path, const struct json *spec)
{
	static const char *const bounded[] = {"parallelism", "maxFailedIndexes"};

	if (!json_get(spec, "maxFailedIndexes"))
		bad_required(c, PATH(c, "%s.maxFailedIndexes", path),
			     "must be specified when completions is above 100000");
	for (size_t i = 0; i < ARRAY_SIZE(bounded); i++)
		if (json_path_int(spec, bounded[i], 0) > HIGH_COMPLETIONS_LIMIT)
			bad_invalid(c, PATH(c, "%s.%s", path, bounded[i]), json_get(spec, bounded[i]),
				    "must be less than or equal to 10000 when completions are above 100000 and used "
				    "with backoff limit per index");
}

void check_job_limits(struct check *c, const char *path, const struct json *spec)
{
	const struct json *limit = json_get(spec, "backoffLimitPerIndex"), *failed = json_get(spec, "maxFailedIndexes");
	const struct json *completions = json_get(spec, "completions");

	if (failed && !limit)
		bad_required(c, PATH(c, "%s.backoffLimitPerIndex", path), "when maxFailedIndexes is specified");
	if (!is_indexed(spec)) {
		if (limit)
			bad_invalid(c, PATH(c, "%s.backoffLimitPerIndex", path), limit,
				    "requires indexed completion mode");
		if (failed)
			bad_invalid(c, PATH(c, "%s.maxFailedIndexes", path), failed,
				    "requires indexed completion mode");
		return;
	}
	if (failed && completions && json_int(failed, 0) > json_int(completions, 0))
		bad_invalid(c, PATH(c, "%s.maxFailedIndexes", path), failed,
			    "must be less than or equal to completions");
	if (limit && json_int(completions, 0) > HIGH_COMPLETIONS)
		check_high_completions(c, path, spec);
}

/* ---- podFailurePolicy ---- */

static bool has_container(const struct json *pod, const char *name)
{
	static const char *const lists[] = {"containers", "initContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		EACH_ITEM(ctr, json_get(pod, lists[i])) {
			if (str_eq(json_path_str(ctr, "name"), name))
				return true;
		}
	return false;
}

static void check_exit_codes(struct check *c, const char *at, const struct json *codes, const struct json *pod)
{
	const char *container = json_path_str(codes, "containerName");
	const struct json *values = json_get(codes, "values");
	bool in = str_eq(json_path_str(codes, "operator"), "In"), ordered = true;
	int64_t last = INT64_MIN;
	size_t i = 0;

	if (container && !has_container(pod, container))
		bad_invalid_str(c, PATH(c, "%s.containerName", at), container,
				"must be one of the container or initContainer names in the pod template");
	if (str_empty(json_path_str(codes, "operator")))
		bad_required(c, PATH(c, "%s.operator", at), "valid values: [\"In\" \"NotIn\"]");
	if (!json_len(values))
		bad_invalid(c, PATH(c, "%s.values", at), values ? values : json_new(&c->arena, JSON_NULL),
			    "at least one value is required");
	else if (json_len(values) > EXIT_CODES_MAX)
		bad_too_many(c, PATH(c, "%s.values", at), json_len(values), EXIT_CODES_MAX);
	EACH_ITEM(v, values) {
		int64_t n = json_int(v, 0);
		const char *value_at = PATH(c, "%s.values[%zu]", at, i);
		if (in && n == 0)
			bad_invalid(c, value_at, v, "must not be 0 for the In operator");
		if (i && n == last)
			bad_duplicate_value(c, value_at, v);
		ordered &= n >= last;
		last = n;
		i++;
	}
	if (!ordered)
		bad_invalid(c, PATH(c, "%s.values", at), values, "must be ordered");
}

static void check_conditions(struct check *c, const char *at, const struct json *conditions)
{
	static const char *const states[] = {"False", "True", "Unknown", NULL};
	static const struct rule rules[] = {
	    ITEMS("", "onPodConditions", CONDITIONS_MAX),
	    REQUIRED("", "onPodConditions[].status"),
	    VALUES("", "onPodConditions[].status", states),
	};
	size_t i = 0;

	check_fields(c, at, conditions, rules, ARRAY_SIZE(rules));
	EACH_ITEM(v, json_get(conditions, "onPodConditions")) {
		const char *type = str_or(json_path_str(v, "type"), ""), *why = name_check_qualified(type);
		if (why)
			bad_invalid_str(c, PATH(c, "%s.onPodConditions[%zu].type", at, i), type, why);
		i++;
	}
}

static void check_failure_rule(struct check *c, const char *at, const struct json *rule, const struct json *spec)
{
	const struct json *codes = json_get(rule, "onExitCodes"), *conditions = json_get(rule, "onPodConditions");
	const char *action = json_path_str(rule, "action");

	if (str_empty(action))
		bad_required(c, PATH(c, "%s.action", at),
			     "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
	else if (str_eq(action, "FailIndex") && !json_get(spec, "backoffLimitPerIndex"))
		bad_invalid_str(c, PATH(c, "%s.action", at), action, "requires the backoffLimitPerIndex to be set");
	if (codes && json_len(conditions))
		bad_invalid_plain(c, at, "specifying both OnExitCodes and OnPodConditions is not supported");
	else if (!codes && !json_len(conditions))
		bad_invalid_plain(c, at, "specifying one of OnExitCodes and OnPodConditions is required");
	if (codes)
		check_exit_codes(c, PATH(c, "%s.onExitCodes", at), codes, json_path(spec, "template.spec"));
	if (json_len(conditions))
		check_conditions(c, at, rule);
}

void check_pod_failure_policy(struct check *c, const char *path, const struct json *spec)
{
	static const char *const failed[] = {"Failed", NULL};
	const struct json *policy = json_get(spec, "podFailurePolicy"), *rules = json_get(policy, "rules");
	const char *restart = json_path_str(spec, "template.spec.restartPolicy");
	const char *replacement = json_path_str(spec, "podReplacementPolicy");
	size_t i = 0;

	if (!policy)
		return;
	if (!str_eq(restart, "Never"))
		bad_invalid_str(c, PATH(c, "%s.template.spec.restartPolicy", path), str_or(restart, ""),
				"only \"Never\" is supported when podFailurePolicy is specified");
	if (!str_empty(replacement) && !str_eq(replacement, "Failed"))
		bad_unsupported(c, PATH(c, "%s.podReplacementPolicy", path), replacement, failed);
	const char *at = PATH(c, "%s.podFailurePolicy.rules", path);
	if (json_len(rules) > POLICY_RULES_MAX) {
		bad_too_many(c, at, json_len(rules), POLICY_RULES_MAX);
		return;
	}
	EACH_ITEM(r, rules)
		check_failure_rule(c, PATH(c, "%s[%zu]", at, i++), r, spec);
}

/* ---- successPolicy ---- */

/* "1,3-5": how many, or -1 with what is wrong. Numbers ascend and stay below completions. */
static int64_t count_indexes(struct check *c, const char *text, int64_t completions, const char **ret_why)
{
	int64_t total = 0, last = -1;

	for (const char *s = text;;) {
		char *end;
		size_t digits = strspn(s, "0123456789");
		int64_t from = digits && digits < 12 ? strtoll(s, &end, 10) : -1, to = from;
		*ret_why =
		    PATH(c, "error parsing succeededIndexes: cannot convert string to integer for index: \"%.40s\"", s);
		if (from < 0)
			return -1;
		if (*end == '-') {
			digits = strspn(end + 1, "0123456789");
			if (!digits || digits >= 12)
				return -1;
			to = strtoll(end + 1, &end, 10);
		}
		if (*end && *end != ',')
			return -1;
		*ret_why =
		    PATH(c, "error parsing succeededIndexes: non-increasing order, previous: %lld, current: %lld",
			 (long long)last, (long long)from);
		if (from <= last || to < from)
			return -1;
		*ret_why = PATH(c, "error parsing succeededIndexes: too large index: \"%lld\"", (long long)to);
		if (to >= completions)
			return -1;
		total += to - from + 1;
		last = to;
		if (!*end)
			return total;
		s = end + 1;
	}
}

static void check_success_rule(struct check *c, const char *at, const struct json *rule, int64_t completions)
{
	const struct json *count = json_get(rule, "succeededCount"), *indexes = json_get(rule, "succeededIndexes");
	const char *why;
	int64_t total = -1;

	if (!count && !indexes)
		bad_required(c, at, "at least one of succeededCount or succeededIndexes must be specified");
	if (indexes) {
		if (indexes->type == JSON_STRING && indexes->len > INDEXES_BYTES_MAX)
			bad_too_long(c, PATH(c, "%s.succeededIndexes", at), INDEXES_BYTES_MAX);
		else if ((total = count_indexes(c, str_or(json_str(indexes), ""), completions, &why)) < 0)
			bad_invalid(c, PATH(c, "%s.succeededIndexes", at), indexes, why);
	}
	if (!count)
		return;
	const char *count_at = PATH(c, "%s.succeededCount", at);
	check_min(c, count_at, count, 0);
	if (json_int(count, 0) > completions)
		bad_invalid(c, count_at, count,
			    PATH(c, "must be less than or equal to %lld (the number of specified completions)",
				 (long long)completions));
	if (total >= 0 && json_int(count, 0) > total)
		bad_invalid(c, count_at, count,
			    PATH(c,
				 "must be less than or equal to %lld (the number of indexes in the specified "
				 "succeededIndexes field)",
				 (long long)total));
}

void check_success_policy(struct check *c, const char *path, const struct json *spec)
{
	const struct json *policy = json_get(spec, "successPolicy"), *rules = json_get(policy, "rules");
	const char *at = PATH(c, "%s.successPolicy.rules", path);
	size_t i = 0;

	if (!policy)
		return;
	if (!is_indexed(spec)) {
		bad_invalid(c, PATH(c, "%s.successPolicy", path), policy, "requires indexed completion mode");
		return;
	}
	if (!json_len(rules))
		bad_required(c, at, "at least one rules must be specified when the successPolicy is specified");
	if (json_len(rules) > POLICY_RULES_MAX)
		bad_too_many(c, at, json_len(rules), POLICY_RULES_MAX);
	EACH_ITEM(r, rules)
		check_success_rule(c, PATH(c, "%s[%zu]", at, i++), r, json_path_int(spec, "completions", 0));
}
