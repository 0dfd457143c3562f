/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of a Job, which controllers other than ours may write as well. A rule is applied when what it speaks of
 * changes: what an earlier state was let through with is not held against other changes.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_job_policy.h"
#include "base/map.h"
#include "base/str.h"

#define STATUS "status."

static bool has(const struct json *job, const char *type)
{
	return str_eq(meta_condition_status(job, type), "True");
}

static bool finished(const struct json *job)
{
	return has(job, "Complete") || has(job, "Failed");
}

/* Did a condition, or a member of the status, change? */
static bool turned(const struct check *c, const char *type)
{
	return has(c->tree, type) != has(c->old, type);
}

static bool changed(const struct check *c, const char *path)
{
	return !json_equal(json_path(c->tree, path), json_path(c->old, path));
}

static void bad_conditions(struct check *c, bool bad, const char *why)
{
	if (bad)
		bad_invalid_plain(c, STATUS "conditions", why);
}

/* ---- indexes: "1,3-5,7" ---- */

struct interval {
	long first, last;
};

static const char *parse_index(struct check *c, const char *s, int64_t completions, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(s, &end, 10);
	if (!*s || *end || errno || *s == ' ')
		return PATH(c, "cannot convert string to integer for index: \"%s\"", s);
	return *out >= completions ? PATH(c, "too large index: \"%s\"", s) : NULL;
}

static const char *parse_interval(struct check *c, const char *s, int64_t completions, struct interval *out)
{
	char *first = arena_strdup(&c->arena, s), *dash = strchr(first, '-');
	const char *why;

	if (dash && strchr(dash + 1, '-'))
		return PATH(c,
			    "the fragment \"%s\" violates the requirement that an index interval can have at most two "
			    "parts separated by '-'",
			    s);
	if (dash)
		*dash = 0;
	if ((why = parse_index(c, first, completions, &out->first)))
		return why;
	out->last = out->first;
	if (dash && (why = parse_index(c, dash + 1, completions, &out->last)))
		return why;
	return dash && out->first >= out->last
		   ? PATH(c, "non-increasing order, previous: %ld, current: %ld", out->first, out->last)
		   : NULL;
}

/* The next interval of a list, or NULL at its end. */
static const char *next_interval(struct check *c, const char **list)
{
	const char *s = *list;

	if (!s)
		return NULL;
	size_t n = strcspn(s, ",");
	*list = s[n] ? s + n + 1 : NULL;
	return arena_strndup(&c->arena, s, n);
}

static const char *indexes_fault(struct check *c, const char *list, int64_t completions)
{
	struct interval i, before = {0, -1};
	const char *one, *why;

	for (bool first = true; *list && (one = next_interval(c, &list)); first = false, before = i) {
		if ((why = parse_interval(c, one, completions, &i)))
			return why;
		if (!first && before.last >= i.first)
			return PATH(c, "non-increasing order, previous: %ld, current: %ld", before.last, i.first);
		if (!list)
			break;
	}
	return NULL;
}

/* The first index that is in both, or -1. */
static long common_index(struct check *c, const char *completed, const char *failed, int64_t completions)
{
	struct interval a, b;
	const char *one, *other;

	while ((one = next_interval(c, &completed))) {
		if (parse_interval(c, one, completions, &a))
			continue;
		for (const char *rest = failed; (other = next_interval(c, &rest));)
			if (!parse_interval(c, other, completions, &b) && a.first <= b.last && b.first <= a.last)
				return MAX_OF(a.first, b.first);
	}
	return -1;
}

static void check_indexes(struct check *c, const char *key, const char *path)
{
	const struct json *completions = json_path(c->tree, "spec.completions"), *v = json_path(c->tree, path);
	const char *why = v && completions ? indexes_fault(c, str_or(json_str(v), ""), json_int(completions, 0)) : NULL;

	if (why)
		bad_invalid(c, path, v, PATH(c, "error parsing %s: %s", key, why));
}

static void check_all_indexes(struct check *c)
{
	const struct json *completed = json_path(c->tree, STATUS "completedIndexes");
	const struct json *failed = json_path(c->tree, STATUS "failedIndexes");
	const struct json *completions = json_path(c->tree, "spec.completions");
	bool limited = json_path(c->tree, "spec.backoffLimitPerIndex");
	bool new_completed = changed(c, STATUS "completedIndexes"), new_failed = changed(c, STATUS "failedIndexes");

	if (new_completed)
		check_indexes(c, "completedIndexes", STATUS "completedIndexes");
	if (new_failed && limited)
		check_indexes(c, "failedIndexes", STATUS "failedIndexes");
	if (new_completed && !str_empty(json_str(completed)) &&
	    !str_eq(json_path_str(c->tree, "spec.completionMode"), "Indexed"))
		bad_invalid(c, STATUS "completedIndexes", completed,
			    "cannot set non-empty completedIndexes when non-indexed completion mode");
	if (new_failed && failed && !limited)
		bad_invalid(c, STATUS "failedIndexes", failed,
			    "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
	if ((new_completed || new_failed) && completions && !str_empty(json_str(failed)) &&
	    !str_empty(json_str(completed))) {
		long both = common_index(c, json_str(completed), json_str(failed), json_int(completions, 0));
		if (both >= 0)
			bad_invalid(c, STATUS "failedIndexes", failed,
				    PATH(c, "failedIndexes and completedIndexes overlap at index: %ld", both));
	}
}

/* ---- counts ---- */

static void check_uncounted(struct check *c)
{
	static const char *const lists[] = {"succeeded", "failed"};
	const struct json *uncounted = json_path(c->tree, STATUS "uncountedTerminatedPods");
	_cleanup_names_ struct map seen = MAP_INIT;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;
		EACH_ITEM(v, json_get(uncounted, lists[k])) {
			const char *at = PATH(c, STATUS "uncountedTerminatedPods.%s[%zu]", lists[k], i++);
			const char *uid = str_or(json_str(v), "");
			if (!*uid)
				bad_invalid(c, at, json_new_str(&c->arena, ""), "must not be empty");
			else if (map_set(&seen, uid, c))
				bad_duplicate(c, at, uid);
		}
	}
	bool some = json_len(json_get(uncounted, "succeeded")) || json_len(json_get(uncounted, "failed"));
	if (finished(c->tree) && some &&
	    (finished(c->old) != finished(c->tree) || changed(c, STATUS "uncountedTerminatedPods")))
		bad_invalid(c, STATUS "uncountedTerminatedPods", uncounted, "must be empty for finished job");
}

static void check_no_decrease(struct check *c, const char *key, const char *path)
{
	int64_t now = json_path_int(c->tree, path, 0);

	if (now < json_path_int(c->old, path, 0))
		bad_invalid(c, path, json_new_int(&c->arena, now), PATH(c, "cannot decrease the %s counter", key));
}

static void check_counts(struct check *c)
{
	static const char *const counts[] = {"active", "succeeded", "failed", "ready", "terminating"};
	const struct json *status = json_get(c->tree, "status"), *spec = json_get(c->tree, "spec");
	const struct json *ready = json_get(status, "ready"), *terminating = json_get(status, "terminating");
	int64_t active = json_path_int(status, "active", 0);
	bool done = finished(c->tree), done_now = done != finished(c->old);
	bool elastic = str_eq(json_path_str(spec, "completionMode"), "Indexed") &&
		       json_equal(json_get(spec, "completions"), json_get(spec, "parallelism"));

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		min_in(c, "status", status, counts[i], 0);
	if (done && active > 0 && (done_now || changed(c, STATUS "active")))
		bad_invalid(c, STATUS "active", json_get(status, "active"), "active>0 is invalid for finished job");
	if (done && json_int(terminating, 0) > 0 && (done_now || changed(c, STATUS "terminating")))
		bad_invalid(c, STATUS "terminating", terminating, "terminating>0 is invalid for finished job");
	if (ready && json_int(ready, 0) > active && (changed(c, STATUS "ready") || changed(c, STATUS "active")))
		bad_invalid(c, STATUS "ready", ready, "cannot set more ready pods than active");
	check_no_decrease(c, "failed", STATUS "failed");
	if (!elastic)
		check_no_decrease(c, "succeeded", STATUS "succeeded");
}

/* ---- times ---- */

static bool resumes(const struct check *c)
{
	return has(c->old, "Suspended") && str_eq(meta_condition_status(c->tree, "Suspended"), "False");
}

static void check_times(struct check *c)
{
	const struct json *start = json_path(c->tree, STATUS "startTime");
	const struct json *end = json_path(c->tree, STATUS "completionTime");
	const struct json *had_start = json_path(c->old, STATUS "startTime");
	const struct json *had_end = json_path(c->old, STATUS "completionTime");
	bool complete = has(c->tree, "Complete"), completes = turned(c, "Complete");
	bool new_start = changed(c, STATUS "startTime"), new_end = changed(c, STATUS "completionTime");
	bool suspended = json_path_bool(c->tree, "spec.suspend", false);
	bool nothing_to_do = suspended && json_path_int(c->tree, "spec.completions", 1) == 0;

	if (end && !complete && (completes || new_end))
		bad_invalid(c, STATUS "completionTime", end,
			    "cannot set completionTime when there is no Complete=True condition");
	if (!end && complete && (completes || new_end))
		bad_required(c, STATUS "completionTime", "completionTime is required for Complete jobs");
	/* Both are RFC 3339 in UTC: the order of the texts is that of the times. */
	if (json_str(start) && json_str(end) && (new_start || new_end) && strcmp(json_str(end), json_str(start)) < 0)
		bad_invalid(c, STATUS "completionTime", end, "must be equal to or after `startTime`");
	if (!start && finished(c->tree) && (new_start || finished(c->old) != finished(c->tree)) && !nothing_to_do)
		bad_required(c, STATUS "startTime", "startTime is required for finished job");
	if (end && had_end && new_end)
		bad_invalid(c, STATUS "completionTime", end, "field is immutable");
	if (had_start && new_start && !suspended && !resumes(c))
		bad_invalid(c, STATUS "startTime", start ? start : json_new(&c->arena, JSON_NULL),
			    "field is immutable for unsuspended job once set");
}

/* ---- conditions ---- */

static void check_conditions(struct check *c)
{
	static const char *const terminal[] = {"Failed", "Complete", "FailureTarget"};
	bool complete = has(c->tree, "Complete"), failed = has(c->tree, "Failed");
	bool fails = has(c->tree, "FailureTarget"), met = has(c->tree, "SuccessCriteriaMet");
	bool completes = turned(c, "Complete");

	bad_conditions(c, complete && failed && (completes || turned(c, "Failed")),
		       "cannot set Complete=True and Failed=true conditions");
	bad_conditions(c, complete && fails && (completes || turned(c, "FailureTarget")),
		       "cannot set Complete=True and FailureTarget=true conditions");
	bad_conditions(c, failed && !fails && (turned(c, "Failed") || changed(c, STATUS "failedIndexes")),
		       "cannot set Failed=True condition without the FailureTarget=true condition");
	bad_conditions(c, complete && !met && (completes || turned(c, "SuccessCriteriaMet")),
		       "cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
	bad_conditions(c, met && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
	bad_conditions(c, met && fails, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
	bad_conditions(c, json_path(c->tree, "spec.successPolicy") && !met && complete,
		       "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
	for (size_t i = 0; i < ARRAY_SIZE(terminal); i++)
		bad_conditions(c, has(c->old, terminal[i]) && !has(c->tree, terminal[i]),
			       PATH(c, "cannot disable the terminal %s=True condition", terminal[i]));
	bad_conditions(c, has(c->old, "SuccessCriteriaMet") && !met,
		       "cannot disable the SuccessCriteriaMet=True condition");
	bad_conditions(c, has(c->old, "Complete") && !has(c->old, "SuccessCriteriaMet") && met,
		       "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
}

void check_job_status(struct check *c, const char *subresource)
{
	(void)subresource;
	check_counts(c);
	check_uncounted(c);
	check_conditions(c);
	check_times(c);
	check_all_indexes(c);
}
