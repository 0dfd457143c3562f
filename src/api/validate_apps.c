/* SPDX-License-Identifier: Apache-2.0 */
/* Deployment, ReplicaSet, DaemonSet, StatefulSet, ControllerRevision. */
#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/resource.h"
#include "api/selector.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

static const char *const always[] = {"Always", NULL};
static const char *const retention[] = {"Retain", "Delete", NULL};

#define DEPLOY "Deployment"
#define RS "ReplicaSet"
#define DS "DaemonSet"
#define STS "StatefulSet"

static void check_revision_data(struct check *c, const char *path, const struct json *v)
{
	if (!c->old && v->type != JSON_OBJECT)
		bad_required(c, path, "data must be a valid JSON object");
}

static const struct rule rules[] = {
    MIN(DEPLOY, "spec.replicas", 0),
    MIN(DEPLOY, "spec.minReadySeconds", 0),
    MIN(DEPLOY, "spec.revisionHistoryLimit", 0),
    MIN(DEPLOY, "spec.progressDeadlineSeconds", 0),
    IMMUTABLE(DEPLOY, "spec.selector"),
    MIN(DEPLOY, "status.observedGeneration", 0),
    MIN(DEPLOY, "status.replicas", 0),
    MIN(DEPLOY, "status.updatedReplicas", 0),
    MIN(DEPLOY, "status.readyReplicas", 0),
    MIN(DEPLOY, "status.availableReplicas", 0),
    MIN(DEPLOY, "status.unavailableReplicas", 0),
    MIN(DEPLOY, "status.terminatingReplicas", 0),
    MIN(DEPLOY, "status.collisionCount", 0),
    MIN(RS, "spec.replicas", 0),
    MIN(RS, "spec.minReadySeconds", 0),
    IMMUTABLE(RS, "spec.selector"),
    MIN(RS, "status.replicas", 0),
    MIN(RS, "status.fullyLabeledReplicas", 0),
    MIN(RS, "status.readyReplicas", 0),
    MIN(RS, "status.availableReplicas", 0),
    MIN(RS, "status.terminatingReplicas", 0),
    MIN(RS, "status.observedGeneration", 0),
    MIN(DS, "spec.minReadySeconds", 0),
    MIN(DS, "spec.revisionHistoryLimit", 0),
    IMMUTABLE(DS, "spec.selector"),
    MIN(DS, "status.currentNumberScheduled", 0),
    MIN(DS, "status.numberMisscheduled", 0),
    MIN(DS, "status.desiredNumberScheduled", 0),
    MIN(DS, "status.numberReady", 0),
    MIN(DS, "status.observedGeneration", 0),
    MIN(DS, "status.updatedNumberScheduled", 0),
    MIN(DS, "status.numberAvailable", 0),
    MIN(DS, "status.numberUnavailable", 0),
    MIN(DS, "status.collisionCount", 0),
    IMMUTABLE(STS, "spec.selector"),
    IMMUTABLE(STS, "spec.serviceName"),
    IMMUTABLE(STS, "spec.podManagementPolicy"),
    IMMUTABLE(STS, "spec.volumeClaimTemplates"),
    MIN(STS, "spec.replicas", 0),
    MIN(STS, "spec.minReadySeconds", 0),
    MIN(STS, "spec.ordinals.start", 0),
    MIN(STS, "spec.updateStrategy.rollingUpdate.partition", 0),
    VALUES(STS, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", retention),
    VALUES(STS, "spec.persistentVolumeClaimRetentionPolicy.whenScaled", retention),
    MIN(STS, "status.replicas", 0),
    MIN(STS, "status.readyReplicas", 0),
    MIN(STS, "status.currentReplicas", 0),
    MIN(STS, "status.updatedReplicas", 0),
    MIN(STS, "status.availableReplicas", 0),
    MIN(STS, "status.observedGeneration", 0),
    MIN(STS, "status.collisionCount", 0),
    REQUIRED_TEXT("ControllerRevision", "data", "data is mandatory"),
    CALL("ControllerRevision", "data", check_revision_data),
    MIN("ControllerRevision", "revision", 0),
    IMMUTABLE("ControllerRevision", "data"),
};

/* ---- selector and template ---- */

/* Texts for a selector that is empty, and for one that cannot be one; malformed NULL: it was complained of enough. */
static void check_selects_template(struct check *c, const struct json *spec, const char *empty, const char *malformed)
{
	const struct json *selector = json_get(spec, "selector"), *labels = json_path(spec, "template.metadata.labels");
	_cleanup_status_ struct status ignored = STATUS_INIT;
	struct label_selector *s = NULL;

	if (selector) {
		check_selector(c, "spec.selector", selector);
		if (!json_len(json_get(selector, "matchLabels")) && !json_len(json_get(selector, "matchExpressions"))) {
			bad_invalid(c, "spec.selector", selector, empty);
			return;
		}
		if (label_selector_from_json(&c->arena, selector, &s, &ignored) < 0) {
			if (malformed)
				bad_invalid(c, "spec.selector", selector, malformed);
			return;
		}
	} else if (!str_eq(c->resource->kind, DS)) {
		bad_required(c, "spec.selector", NULL);
	}
	if (!s || !label_selector_match_json(s, labels)) /* no selector selects nothing */
		bad_invalid(c, "spec.template.metadata.labels", labels ? labels : json_new(&c->arena, JSON_NULL),
			    "`selector` does not match template `labels`");
}

/* The type of a strategy; what is shown is the strategy. */
static void check_strategy_type(struct check *c, const char *path, const struct json *strategy,
				const char *const *types)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (!strategy || str_in(str_or(json_path_str(strategy, "type"), ""), types))
		return;
	json_write(&b, strategy);
	status_cause(c->err, "FieldValueNotSupported", path, "Unsupported value: %s: supported values: \"%s\", \"%s\"",
		     buf_str(&b), types[0], types[1]);
}

/* Such a pod would end, and be made anew, for ever. */
static void check_deadline(struct check *c, const struct json *template)
{
	const char *kind = c->resource->kind;

	if (json_path(template, "spec.activeDeadlineSeconds"))
		bad_forbidden(
		    c, "spec.template.spec.activeDeadlineSeconds",
		    PATH(c, "activeDeadlineSeconds in %s is not Supported", str_eq(kind, DEPLOY) ? RS : kind));
}

static void check_template(struct check *c, const struct json *template)
{
	if (!template) {
		bad_required(c, "spec.template", NULL);
		return;
	}
	check_pod_template(c, "spec.template", template, always);
	check_deadline(c, template);
}

/* ---- Deployment and ReplicaSet ---- */

static void check_deployment(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *strategy = json_get(spec, "strategy");
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	const struct json *unavailable = json_get(rolling, "maxUnavailable"), *surge = json_get(rolling, "maxSurge");
	const struct json *deadline = json_get(spec, "progressDeadlineSeconds");

	static const char *const types[] = {"Recreate", "RollingUpdate", NULL};

	check_selects_template(c, spec, "empty selector is invalid for deployment", "invalid label selector");
	check_template(c, json_get(spec, "template"));
	check_strategy_type(c, "spec.strategy", strategy, types);
	if (rolling && str_eq(json_path_str(strategy, "type"), "Recreate")) {
		bad_forbidden(c, "spec.strategy.rollingUpdate",
			      "may not be specified when strategy `type` is 'Recreate'");
	} else if (rolling) {
		check_count_or_percent(c, "spec.strategy.rollingUpdate.maxUnavailable", unavailable);
		check_count_or_percent(c, "spec.strategy.rollingUpdate.maxSurge", surge);
		if (is_zero_count(unavailable) && is_zero_count(surge))
			bad_invalid(c, "spec.strategy.rollingUpdate.maxUnavailable", unavailable,
				    "may not be 0 when `maxSurge` is 0");
		check_percent_max(c, "spec.strategy.rollingUpdate.maxUnavailable", unavailable);
	}
	if (deadline && json_int(deadline, 0) <= json_path_int(spec, "minReadySeconds", 0))
		bad_invalid(c, "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
}

static void check_replica_set(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");

	/* Upstream says "deployment" here as well. */
	check_selects_template(c, spec, "empty selector is invalid for deployment", "invalid label selector");
	check_template(c, json_get(spec, "template"));
}

/* ---- DaemonSet ---- */

static void check_daemon_set(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec");
	const struct json *rolling = json_path(spec, "updateStrategy.rollingUpdate");
	const struct json *unavailable = json_get(rolling, "maxUnavailable"), *surge = json_get(rolling, "maxSurge");

	static const char *const types[] = {"RollingUpdate", "OnDelete", NULL};

	check_selects_template(c, spec, "empty selector is invalid for daemonset", NULL);
	check_template(c, json_get(spec, "template"));
	check_strategy_type(c, "spec.updateStrategy", json_get(spec, "updateStrategy"), types);
	if (!str_eq(json_path_str(spec, "updateStrategy.type"), "RollingUpdate") || !rolling)
		return;
	check_count_or_percent(c, "spec.updateStrategy.rollingUpdate.maxUnavailable", unavailable);
	check_count_or_percent(c, "spec.updateStrategy.rollingUpdate.maxSurge", surge);
	check_percent_max(c, "spec.updateStrategy.rollingUpdate.maxUnavailable", unavailable);
	check_percent_max(c, "spec.updateStrategy.rollingUpdate.maxSurge", surge);
	if (!is_zero_count(unavailable) && !is_zero_count(surge))
		bad_invalid(c, "spec.updateStrategy.rollingUpdate.maxSurge", surge,
			    "may not be set when maxUnavailable is non-zero");
	else if (is_zero_count(unavailable) && is_zero_count(surge))
		bad_required(c, "spec.updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0");
}

/* ---- StatefulSet ---- */

/*
 * The template as its pods are judged: they may also mount the claims made from volumeClaimTemplates, which stand in as
 * volumes; hostname and subdomain are the set's to give, whatever was said.
 */
static const struct json *as_made(struct check *c, const struct json *spec)
{
	struct arena *a = &c->arena;
	const struct json *given = json_get(spec, "template");

	if (!json_is(json_get(given, "spec"), JSON_OBJECT))
		return given;
	struct json *template = json_clone(a, given), *pod = json_get(template, "spec");
	json_remove(pod, "hostname");
	json_remove(pod, "subdomain");
	EACH_ITEM(claim, json_get(spec, "volumeClaimTemplates")) {
		const char *name = meta_name(claim);
		bool shadows = false;
		/* A claim takes the place of the template's volume of that name. */
		EACH_ITEM(v, json_get(pod, "volumes"))
			shadows |= str_eq(json_path_str(v, "name"), name);
		if (!*name || shadows)
			continue;
		struct json *v = json_append(json_array_in(a, pod, "volumes"), json_new(a, JSON_OBJECT));
		json_set_str(a, v, "name", name);
		json_set(a, v, "emptyDir", json_new(a, JSON_OBJECT));
	}
	return template;
}

static void check_stateful_set(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *strategy = json_get(spec, "updateStrategy");
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	const struct json *unavailable = json_get(rolling, "maxUnavailable");
	static const char *const policies[] = {"OrderedReady", "Parallel", NULL};
	static const char *const strategies[] = {"RollingUpdate", "OnDelete", NULL};
	size_t i = 0;

	check_selects_template(c, spec, "empty selector is invalid for statefulset", "");
	check_template(c, as_made(c, spec));
	if (json_get(spec, "podManagementPolicy") && !str_in(json_path_str(spec, "podManagementPolicy"), policies))
		bad_invalid(c, "spec.podManagementPolicy", json_get(spec, "podManagementPolicy"),
			    "must be 'OrderedReady' or 'Parallel'");
	if (!c->old && !str_empty(json_path_str(spec, "serviceName")))
		check_name(c, "spec.serviceName", json_get(spec, "serviceName"), name_check_dns1123_label);
	if (strategy && !str_in(str_or(json_path_str(strategy, "type"), ""), strategies))
		bad_invalid(c, "spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'");
	EACH_ITEM(claim, json_get(spec, "volumeClaimTemplates"))
		check_claim_spec(c, PATH(c, "spec.volumeClaimTemplates[%zu].spec", i++), json_get(claim, "spec"), NULL);
	if (rolling && str_eq(json_path_str(strategy, "type"), "OnDelete"))
		bad_invalid(c, "spec.updateStrategy.rollingUpdate", rolling,
			    "only allowed for updateStrategy 'RollingUpdate'");
	if (unavailable && check_count_or_percent(c, "spec.updateStrategy.rollingUpdate.maxUnavailable", unavailable) &&
	    is_zero_count(unavailable))
		bad_invalid(c, "spec.updateStrategy.rollingUpdate.maxUnavailable", unavailable, "cannot be 0");
	check_percent_max(c, "spec.updateStrategy.rollingUpdate.maxUnavailable", unavailable);
}

/* ---- status ---- */

struct bound {
	const char *count, *limit, *text;
};

static void check_bounds(struct check *c, const struct bound *bounds)
{
	const struct json *status = json_get(c->tree, "status");

	for (; bounds->count; bounds++)
		if (json_path_int(status, bounds->count, 0) > json_path_int(status, bounds->limit, 0))
			bad_invalid(c, PATH(c, "status.%s", bounds->count), json_get(status, bounds->count),
				    bounds->text);
	if (json_path(c->old, "status.collisionCount") &&
	    json_path_int(status, "collisionCount", 0) < json_path_int(c->old, "status.collisionCount", 0))
		bad_invalid(c, "status.collisionCount",
			    json_new_int(&c->arena, json_path_int(status, "collisionCount", 0)),
			    "cannot be decremented");
}

static void check_deployment_status(struct check *c, const char *subresource)
{
	static const struct bound bounds[] = {
	    {"updatedReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"readyReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"availableReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"},
	    {0}};
	(void)subresource;
	check_bounds(c, bounds);
}

static void check_replica_set_status(struct check *c, const char *subresource)
{
	static const struct bound bounds[] = {
	    {"fullyLabeledReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"readyReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"availableReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"},
	    {0}};
	(void)subresource;
	check_bounds(c, bounds);
}

static void check_daemon_set_status(struct check *c, const char *subresource)
{
	static const struct bound none[] = {{0}};
	(void)subresource;
	check_bounds(c, none);
}

static void check_stateful_set_status(struct check *c, const char *subresource)
{
	static const struct bound bounds[] = {
	    {"readyReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"currentReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"updatedReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"availableReplicas", "replicas", "cannot be greater than status.replicas"},
	    {"availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas"},
	    {0}};
	(void)subresource;
	check_bounds(c, bounds);
}

static const struct kind_check kinds[] = {
    {DEPLOY, check_deployment, check_deployment_status},
    {RS, check_replica_set, check_replica_set_status},
    {DS, check_daemon_set, check_daemon_set_status},
    {STS, check_stateful_set, check_stateful_set_status},
};

const struct group_check validate_apps = {"apps", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
