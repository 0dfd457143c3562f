/* SPDX-License-Identifier: Apache-2.0 */
/* Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob. */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/resource.h"
#include "api/selector.h"
#include "api/validate_internal.h"
#include "base/status.h"
#include "base/str.h"

static const char *const always[] = {"Always", NULL};
static const char *const until_done[] = {"OnFailure", "Never", NULL};

static void check_selects_template(struct check *c, const struct json *spec)
{
	const struct json *selector = json_get(spec, "selector"), *labels = json_path(spec, "template.metadata.labels");
	_cleanup_status_ struct status ignored = STATUS_INIT;
	struct label_selector *s;

	if (!selector) {
		bad_required(c, "spec.selector", NULL);
		return;
	}
	check_selector(c, "spec.selector", selector);
	if (!json_len(json_get(selector, "matchLabels")) && !json_len(json_get(selector, "matchExpressions"))) {
		char kind[64];
		snprintf(kind, sizeof(kind), "%s", c->resource->kind);
		kind[0] = (char)(kind[0] | 32);
		bad_invalid(c, "spec.selector", selector, PATH(c, "empty selector is invalid for %s", kind));
	} else if (label_selector_from_json(&c->arena, selector, &s, &ignored) == 0 &&
		   !label_selector_match_json(s, labels)) {
		bad_invalid(c, "spec.template.metadata.labels", labels ? labels : json_new(&c->arena, JSON_OBJECT),
			    "`selector` does not match template `labels`");
	}
}

/* A count, or a percentage when text. */
static void check_count_or_percent(struct check *c, const char *path, const struct json *v)
{
	const char *s = json_str(v);

	if (!v)
		return;
	if (!s) {
		check_min(c, path, v, 0);
		return;
	}
	size_t digits = strspn(s, "0123456789");
	if (!digits || !str_eq(s + digits, "%"))
		bad_invalid(
		    c, path, v,
		    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
		    "regex used for validation is '[0-9]+%')");
}

static bool is_zero(const struct json *v)
{
	return !v || json_int(v, 1) == 0 || str_eq(json_str(v), "0%");
}

static void check_rolling(struct check *c, const char *path, const struct json *strategy)
{
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	const struct json *unavailable = json_get(rolling, "maxUnavailable"), *surge = json_get(rolling, "maxSurge");
	const char *type = str_or(json_path_str(strategy, "type"), "");

	if (rolling && !str_eq(type, "RollingUpdate") && str_eq(type, "Recreate"))
		bad_forbidden(c, PATH(c, "%s.rollingUpdate", path),
			      "may not be specified when strategy `type` is 'Recreate'");
	check_count_or_percent(c, PATH(c, "%s.rollingUpdate.maxUnavailable", path), unavailable);
	check_count_or_percent(c, PATH(c, "%s.rollingUpdate.maxSurge", path), surge);
	if (unavailable && surge && is_zero(unavailable) && is_zero(surge))
		bad_invalid(c, PATH(c, "%s.rollingUpdate.maxUnavailable", path), unavailable,
			    "may not be 0 when `maxSurge` is 0");
}

static void check_common(struct check *c, const struct json *spec)
{
	static const char *const counts[] = {"replicas", "minReadySeconds", "revisionHistoryLimit"};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		check_min(c, PATH(c, "spec.%s", counts[i]), json_get(spec, counts[i]), 0);
	check_selects_template(c, spec);
	if (!json_get(spec, "template"))
		bad_required(c, "spec.template", NULL);
	else
		check_pod_template(c, "spec.template", json_get(spec, "template"), always);
	check_immutable(c, "spec.selector", "spec.selector");
}

static void check_deployment(struct check *c, const struct json *spec)
{
	const struct json *deadline = json_get(spec, "progressDeadlineSeconds");

	check_common(c, spec);
	check_rolling(c, "spec.strategy", json_get(spec, "strategy"));
	if (check_min(c, "spec.progressDeadlineSeconds", deadline, 0) && deadline &&
	    json_int(deadline, 0) <= json_path_int(spec, "minReadySeconds", 0))
		bad_invalid(c, "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
}

static void check_stateful_set(struct check *c, const struct json *spec)
{
	static const char *const changeable[] = {"replicas",
						 "ordinals",
						 "template",
						 "updateStrategy",
						 "revisionHistoryLimit",
						 "persistentVolumeClaimRetentionPolicy",
						 "minReadySeconds",
						 NULL};

	check_common(c, spec);
	check_min(c, "spec.updateStrategy.rollingUpdate.partition",
		  json_path(spec, "updateStrategy.rollingUpdate.partition"), 0);
	if (!json_is(spec, JSON_OBJECT) || !json_is(json_get(c->old, "spec"), JSON_OBJECT))
		return;
	struct json *mine = json_clone(&c->arena, spec), *theirs = json_clone(&c->arena, json_get(c->old, "spec"));
	for (size_t i = 0; changeable[i]; i++) {
		json_remove(mine, changeable[i]);
		json_remove(theirs, changeable[i]);
	}
	if (!json_equal(mine, theirs))
		bad_forbidden(c, "spec",
			      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
			      "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
			      "'minReadySeconds' are forbidden");
}

/* ---- batch ---- */

static void check_job_spec(struct check *c, const char *path, const struct json *spec)
{
	static const char *const counts[] = {"parallelism",
					     "completions",
					     "activeDeadlineSeconds",
					     "backoffLimit",
					     "ttlSecondsAfterFinished",
					     "backoffLimitPerIndex",
					     "maxFailedIndexes"};
	const struct json *template = json_get(spec, "template");
	const char *policy = str_or(json_path_str(template, "spec.restartPolicy"), "");

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		check_min(c, PATH(c, "%s.%s", path, counts[i]), json_get(spec, counts[i]), 0);
	if (str_eq(json_path_str(spec, "completionMode"), "Indexed") && !json_get(spec, "completions"))
		bad_required(c, PATH(c, "%s.completions", path), "when completion mode is Indexed");
	check_selector(c, PATH(c, "%s.selector", path), json_get(spec, "selector"));
	if (!template) {
		bad_required(c, PATH(c, "%s.template", path), NULL);
		return;
	}
	if (str_eq(policy, "Always")) {
		check_pod_template(c, PATH(c, "%s.template", path), template, always);
		bad_required(c, PATH(c, "%s.template.spec.restartPolicy", path),
			     "valid values: \"OnFailure\", \"Never\"");
	} else {
		check_pod_template(c, PATH(c, "%s.template", path), template, until_done);
	}
}

static void check_job(struct check *c, const struct json *spec)
{
	static const char *const fixed[] = {"spec.selector", "spec.completionMode", "spec.podFailurePolicy",
					    "spec.backoffLimitPerIndex", "spec.managedBy"};

	check_job_spec(c, "spec", spec);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		check_immutable(c, fixed[i], fixed[i]);
	if (!c->old)
		return;
	if (!str_eq(json_path_str(spec, "completionMode"), "Indexed"))
		check_immutable(c, "spec.completions", "spec.completions");
	/* While suspended and not started, the placement of its pods may still be changed (as queueing systems do). */
	bool startable = json_path_bool(c->old, "spec.suspend", false) && !json_path(c->old, "status.startTime");
	if (!startable)
		check_immutable(c, "spec.template", "spec.template");
}

/* A field of a cron schedule: comma-separated *, n, a-b, each with an optional /step; names for months and days. */
static bool cron_number(const char **s, int min, int max, const char *const *names, int *ret)
{
	for (int i = 0; names && names[i]; i++)
		if (strncasecmp(*s, names[i], 3) == 0) {
			*s += 3;
			*ret = i + min;
			return true;
		}
	int n = 0, digits = 0;
	for (; **s >= '0' && **s <= '9' && digits < 4; digits++)
		n = n * 10 + *(*s)++ - '0';
	*ret = n;
	return digits && n >= min && n <= max;
}

static bool cron_field(const char *s, int min, int max, const char *const *names)
{
	for (;;) {
		int from = min, to = max, step = 1;
		if (*s == '*' || *s == '?') {
			s++;
		} else {
			if (!cron_number(&s, min, max, names, &from))
				return false;
			to = from;
			if (*s == '-') {
				s++;
				if (!cron_number(&s, min, max, names, &to))
					return false;
			}
		}
		if (*s == '/') {
			s++;
			if (!cron_number(&s, 1, 9999, NULL, &step))
				return false;
		}
		if (from > to)
			return false;
		if (!*s)
			return true;
		if (*s++ != ',')
			return false;
	}
}

static const char *rule_cron(const char *schedule)
{
	static const char *const macros[] = {"@yearly", "@annually", "@monthly", "@weekly",
					     "@daily",	"@midnight", "@hourly",	 NULL};
	static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					     "aug", "sep", "oct", "nov", "dec", NULL};
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
	static const struct {
		int min, max;
		const char *const *names;
	} fields[] = {{0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, months}, {0, 6, days}};
	char copy[256], *rest = NULL;
	size_t n = 0;

	if (str_in(schedule, macros) || str_has_prefix(schedule, "@every "))
		return NULL;
	if (strlen(schedule) >= sizeof(copy))
		return "schedule is too long";
	strcpy(copy, schedule);
	for (char *f = strtok_r(copy, " \t", &rest); f; f = strtok_r(NULL, " \t", &rest), n++)
		if (n < ARRAY_SIZE(fields) && !cron_field(f, fields[n].min, fields[n].max, fields[n].names))
			return "failed to parse the schedule: a field has a value out of range or is malformed";
	return n == ARRAY_SIZE(fields) ? NULL : "expected exactly 5 fields";
}

static void check_cron_job(struct check *c, const struct json *spec)
{
	static const char *const counts[] = {"startingDeadlineSeconds", "successfulJobsHistoryLimit",
					     "failedJobsHistoryLimit"};
	const char *schedule = str_or(json_path_str(spec, "schedule"), "");

	if (need_str(c, "spec.schedule", json_get(spec, "schedule"))) {
		if (strstr(schedule, "TZ=")) /* TZ= and CRON_TZ= */
			bad_invalid_str(c, "spec.schedule", schedule,
					"cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
		else
			check_name(c, "spec.schedule", json_get(spec, "schedule"), rule_cron);
	}
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		check_min(c, PATH(c, "spec.%s", counts[i]), json_get(spec, counts[i]), 0);
	check_job_spec(c, "spec.jobTemplate.spec", json_path(spec, "jobTemplate.spec"));
}

static const struct {
	const char *group, *kind;
	void (*fn)(struct check *c, const struct json *spec);
} workloads[] = {
    {"apps", "Deployment", check_deployment},
    {"apps", "ReplicaSet", check_common},
    {"apps", "DaemonSet", check_common},
    {"apps", "StatefulSet", check_stateful_set},
    {"batch", "Job", check_job},
    {"batch", "CronJob", check_cron_job},
};

void check_workload(struct check *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++)
		if (str_eq(workloads[i].kind, c->resource->kind) && str_eq(workloads[i].group, c->resource->group))
			workloads[i].fn(c, json_get(c->tree, "spec"));
}
