/* SPDX-License-Identifier: Apache-2.0 */
/* Job and CronJob; the policies of failure and success of Jobs are in validate_job_policy.c. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/cron.h"
#include "api/meta.h"
#include "api/resource.h"
#include "api/selector.h"
#include "api/validate_internal.h"
#include "api/validate_job_policy.h"
#include "api/validate_rules.h"
#include "base/status.h"
#include "base/str.h"

#define JOB "Job"
#define CRON "CronJob"
#define IN_CRON(path) "spec.jobTemplate.spec." path

#define MANAGED_BY_BYTES_MAX 63
#define INDEXED_PARALLELISM_MAX 100000 /* the indexes that ran are kept in status; upstream's bound of their text */

/* What a Job and the template of a CronJob's Jobs have in common. */
#define JOB_SPEC(kind, at)                                                                                             \
	MIN(kind, at "parallelism", 0), MIN(kind, at "completions", 0), MIN(kind, at "activeDeadlineSeconds", 0),      \
	    MIN(kind, at "backoffLimit", 0), MIN(kind, at "ttlSecondsAfterFinished", 0),                               \
	    MIN(kind, at "backoffLimitPerIndex", 0), MIN(kind, at "maxFailedIndexes", 0),                              \
	    NAME(kind, at "managedBy", rule_domain_path), BYTES(kind, at "managedBy", MANAGED_BY_BYTES_MAX)

static const struct rule rules[] = {
    JOB_SPEC(JOB, "spec."),
    SELECTOR(JOB, "spec.selector"),
    IMMUTABLE(JOB, "spec.selector"),
    IMMUTABLE(JOB, "spec.completionMode"),
    IMMUTABLE(JOB, "spec.podFailurePolicy"),
    IMMUTABLE(JOB, "spec.successPolicy"),
    IMMUTABLE(JOB, "spec.backoffLimitPerIndex"),
    IMMUTABLE(JOB, "spec.managedBy"),
    JOB_SPEC(CRON, IN_CRON("")),
    REQUIRED(CRON, "spec.schedule"),
    MIN(CRON, "spec.startingDeadlineSeconds", 0),
    MIN(CRON, "spec.successfulJobsHistoryLimit", 0),
    MIN(CRON, "spec.failedJobsHistoryLimit", 0),
};

static bool is_true(const struct json *spec, const char *key)
{
	return json_path_bool(spec, key, false);
}

static bool is_indexed(const struct json *spec)
{
	return str_eq(json_path_str(spec, "completionMode"), "Indexed");
}

/* ---- what Jobs and templates of Jobs share ---- */

static void check_template(struct check *c, const char *path, const struct json *spec)
{
	static const char *const any[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const until_done[] = {"OnFailure", "Never", NULL};
	const struct json *template = json_get(spec, "template");
	const char *policy = str_or(json_path_str(template, "spec.restartPolicy"), "");
	const char *at = PATH(c, "%s.template", path);

	if (!template) {
		bad_required(c, at, NULL);
		return;
	}
	bool endless = str_eq(policy, "Always") || !*policy;
	check_pod_template(c, at, template, endless ? any : until_done);
	if (endless)
		bad_required(c, PATH(c, "%s.spec.restartPolicy", at), "valid values: \"OnFailure\", \"Never\"");
}

static void check_indexed(struct check *c, const char *path, const struct json *spec)
{
	const struct json *parallelism = json_get(spec, "parallelism");

	if (!json_get(spec, "completions"))
		bad_required(c, PATH(c, "%s.completions", path), "when completion mode is Indexed");
	if (json_int(parallelism, 0) > INDEXED_PARALLELISM_MAX)
		bad_invalid(c, PATH(c, "%s.parallelism", path), parallelism,
			    "must be less than or equal to 100000 when completion mode is Indexed");
}

static void check_job_spec(struct check *c, const char *path, const struct json *spec)
{
	if (is_indexed(spec))
		check_indexed(c, path, spec);
	check_job_limits(c, path, spec);
	check_pod_failure_policy(c, path, spec);
	check_success_policy(c, path, spec);
	check_template(c, path, spec);
}

/* ---- Job ---- */

/* Unless told otherwise a Job chooses its pods by its own uid: the labels must be the ones made for it. */
static void check_generated_selector(struct check *c, const struct json *spec)
{
	static const char *const keys[] = {"batch.kubernetes.io/controller-uid", "controller-uid",
					   "batch.kubernetes.io/job-name", "job-name"};
	const struct json *labels = json_path(spec, "template.metadata.labels"), *selector = json_get(spec, "selector");
	_cleanup_status_ struct status ignored = STATUS_INIT;
	struct label_selector *s;

	if (is_true(spec, "manualSelector") || !selector)
		return;
	struct json *expected = json_new(&c->arena, JSON_OBJECT);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *want = i < 2 ? meta_uid(c->tree) : meta_name(c->tree);
		const char *at = PATH(c, "spec.template.metadata.labels[%s]", keys[i]);
		const struct json *have = json_get(labels, keys[i]);
		json_set_str(&c->arena, expected, keys[i], want);
		/* A name too long for a label is told about by the name itself. */
		if (!have)
			bad_required(c, at, PATH(c, "must be '%s'", want));
		else if (!str_eq(json_str(have), want))
			bad_invalid(c, at, have, PATH(c, "must be '%s'", want));
	}
	if (label_selector_from_json(&c->arena, selector, &s, &ignored) == 0 && !label_selector_match_json(s, expected))
		bad_invalid(c, "spec.selector", selector, "`selector` not auto-generated");
}

static void check_selects_template(struct check *c, const struct json *spec)
{
	const struct json *selector = json_get(spec, "selector"), *labels = json_path(spec, "template.metadata.labels");
	_cleanup_status_ struct status ignored = STATUS_INIT;
	struct label_selector *s;

	/* Without an uid it comes from a test or a dry look at a template: there is nothing to generate from. */
	if (!selector && !c->old && !is_true(spec, "manualSelector"))
		return;
	if (!selector)
		bad_required(c, "spec.selector", NULL);
	if (!selector ||
	    (label_selector_from_json(&c->arena, selector, &s, &ignored) == 0 && !label_selector_match_json(s, labels)))
		bad_invalid(c, "spec.template.metadata.labels", labels ? labels : json_new(&c->arena, JSON_NULL),
			    "`selector` does not match template `labels`");
}

/* The pods of an Indexed Job are called JOB-INDEX, which is their host name too. */
static void check_pod_host_names(struct check *c, const struct json *spec)
{
	int64_t completions = json_path_int(spec, "completions", 0);
	const char *name = meta_name(c->tree);

	if (!is_indexed(spec) || completions < 1)
		return;
	const char *host = PATH(c, "%s-%lld", name, (long long)completions - 1), *why = name_check_dns1123_label(host);
	if (why)
		bad_invalid_str(c, "metadata.name", name,
				PATH(c, "will not able to create pod with invalid DNS label %s: %s", host, why));
}

static void check_completions(struct check *c, const struct json *spec)
{
	const struct json *now = json_get(spec, "completions"), *before = json_path(c->old, "spec.completions");

	if (json_equal(now, before))
		return;
	if (!is_indexed(spec))
		check_immutable(c, "spec.completions", "spec.completions");
	/* An elastic Indexed Job: as many at once as altogether, before and after. */
	else if (now && (!json_equal(now, json_get(spec, "parallelism")) ||
			 !json_equal(before, json_path(c->old, "spec.parallelism"))))
		bad_invalid(c, "spec.completions", now, "can only be modified in tandem with spec.parallelism");
}

static void take_over(struct arena *a, struct json *to, const struct json *from, const char *path)
{
	const struct json *v = json_path(from, path);
	const char *dot = strrchr(path, '.');
	struct json *parent = dot ? json_path(to, arena_strndup(a, path, (size_t)(dot - path))) : to;

	if (v)
		json_set_path(a, to, path, json_clone(a, v));
	else
		json_remove(parent, dot ? dot + 1 : path);
}

/* While suspended, its pods may still be placed and sized otherwise, as queueing systems do before they start it. */
static void check_template_update(struct check *c, const struct json *spec)
{
	static const char *const placement[] = {"metadata.annotations", "metadata.labels",
						"spec.nodeSelector",	"spec.affinity.nodeAffinity",
						"spec.tolerations",	"spec.schedulingGates"};
	const struct json *now = json_get(spec, "template"), *before = json_path(c->old, "spec.template");
	const struct json *suspended = meta_condition(c->old, "Suspended");
	bool waits = is_true(spec, "suspend") || !json_path(c->old, "status.startTime");

	if (json_equal(now, before))
		return;
	waits &= json_path_bool(c->old, "spec.suspend", false);
	waits &= !json_path(c->old, "status.startTime") || str_eq(json_path_str(suspended, "status"), "True");
	if (waits) {
		struct json *rest =
		    json_is(now, JSON_OBJECT) ? json_clone(&c->arena, now) : json_new(&c->arena, JSON_OBJECT);
		json_object_in(&c->arena, rest, "spec");
		json_object_in(&c->arena, rest, "metadata");
		for (size_t i = 0; i < ARRAY_SIZE(placement); i++)
			take_over(&c->arena, rest, before, placement[i]);
		if (!json_len(json_path(rest, "spec.affinity")) && !json_path(before, "spec.affinity"))
			json_remove(json_get(rest, "spec"), "affinity");
		const struct json *old_container = json_first(json_path(before, "spec.containers"));
		EACH_ITEM(ctr, json_path(rest, "spec.containers")) {
			if (!old_container || !json_is(ctr, JSON_OBJECT))
				break;
			take_over(&c->arena, ctr, old_container, "resources");
			old_container = json_next(json_path(before, "spec.containers"), old_container);
		}
		if (!json_equal(json_get(rest, "spec"), json_get(before, "spec")))
			bad_invalid(c, "spec.template.spec", json_get(now, "spec"), "field is immutable");
		return;
	}
	bad_invalid(c, "spec.template", now, "field is immutable");
}

static void check_job(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	if (!c->old)
		check_generated_selector(c, spec);
	check_selects_template(c, spec);
	check_job_spec(c, "spec", spec);
	if (!c->old) {
		check_pod_host_names(c, spec);
		return;
	}
	check_completions(c, spec);
	check_template_update(c, spec);
}

/* ---- CronJob ---- */

static void check_schedule(struct check *c)
{
	const char *schedule = str_or(json_path_str(c->tree, "spec.schedule"), "");
	const char *before = json_path_str(c->old, "spec.schedule");
	struct cron_schedule parsed;
	char why[CRON_ERROR_MAX];
	/* "TZ=UTC * * * * *": never documented, kept for those who have it. */
	bool zoned = strstr(schedule, "TZ");

	if (!*schedule || (zoned && str_eq(schedule, before)))
		return;
	if (zoned)
		bad_invalid_str(c, "spec.schedule", schedule,
				"cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
	else if (cron_parse(schedule, &parsed, why) < 0)
		bad_invalid_str(c, "spec.schedule", schedule, why);
}

#define ZONES "/usr/share/zoneinfo"

static const char *zone_fault(struct check *c, const char *zone)
{
	if (!*zone)
		return "timeZone must be nil or non-empty string";
	if (strcasecmp(zone, "Local") == 0)
		return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
	bool known =
	    strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == strlen(zone) &&
	    *zone != '/' && strlen(zone) < 64;
	/* Without a zone database nothing can be said against a name that looks like one. */
	if (known && access(ZONES, F_OK) == 0)
		known = access(PATH(c, ZONES "/%s", zone), F_OK) == 0;
	return known ? NULL : PATH(c, "unknown time zone %s", zone);
}

#define CRON_NAME_MAX 52 /* its jobs' names add 11 characters and must fit a label */

static void check_cron_job(struct check *c)
{
	static const char *const not_true[] = {"nil", "false", NULL};
	const struct json *spec = json_path(c->tree, "spec.jobTemplate.spec");
	const struct json *zone = json_path(c->tree, "spec.timeZone");

	if (!c->old && strlen(meta_name(c->tree)) > CRON_NAME_MAX)
		bad_invalid_str(c, "metadata.name", meta_name(c->tree), "must be no more than 52 characters");
	check_schedule(c);
	if (zone && !(c->old && json_equal(zone, json_path(c->old, "spec.timeZone")))) {
		const char *why = zone_fault(c, str_or(json_str(zone), ""));
		if (why)
			bad_invalid(c, "spec.timeZone", zone, why);
	}
	if (json_get(spec, "selector"))
		bad_invalid(c, IN_CRON("selector"), json_get(spec, "selector"), "`selector` will be auto-generated");
	if (is_true(spec, "manualSelector"))
		bad_unsupported(c, IN_CRON("manualSelector"), "true", not_true);
	check_job_spec(c, "spec.jobTemplate.spec", spec);
}

static const struct kind_check kinds[] = {
    {JOB, check_job, check_job_status},
    {CRON, check_cron_job, NULL},
};

const struct group_check validate_batch = {"batch", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
