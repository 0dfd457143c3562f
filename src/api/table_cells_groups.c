/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of the named groups: workloads, networking, storage, policy, … */
#include <inttypes.h>
#include <string.h>

#include "api/table_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

#define ENDPOINTS_SHOWN 3 /* upstream prints three and counts the others */

/* ---- apps, batch, autoscaling ---- */

struct json *cell_workload_ready(const struct table_cell *c)
{
	return json_new_strf(c->arena, "%" PRId64 "/%" PRId64, json_path_int(c->object, "status.readyReplicas", 0),
			     json_path_int(c->object, "spec.replicas", 1));
}

struct json *cell_revision_controller(const struct table_cell *c)
{
	JSON_EACH(ref, json_path(c->object, "metadata.ownerReferences")) {
		const char *version = str_or(json_path_str(ref, "apiVersion"), ""), *slash = strchr(version, '/');
		char *kind;

		if (!json_path_bool(ref, "controller", false))
			continue;
		kind = arena_strdup(c->arena, str_or(json_path_str(ref, "kind"), ""));
		for (char *p = kind; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
		if (!slash)
			return json_new_strf(c->arena, "%s/%s", kind, str_or(json_path_str(ref, "name"), ""));
		return json_new_strf(c->arena, "%s.%.*s/%s", kind, (int)(slash - version), version,
				     str_or(json_path_str(ref, "name"), ""));
	}
	return cell_or_none(c, NULL);
}

struct json *cell_job_status(const struct table_cell *c)
{
	static const char *const states[] = {"Complete",  "Failed",	   NULL,
					     "Suspended", "FailureTarget", "SuccessCriteriaMet"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (!states[i] && json_path_str(c->object, "metadata.deletionTimestamp"))
			return cell_str(c, "Terminating");
		if (states[i] && cell_condition_true(c->object, states[i]))
			return cell_str(c, states[i]);
	}
	return cell_str(c, "Running");
}

struct json *cell_job_completions(const struct table_cell *c)
{
	int64_t done = json_path_int(c->object, "status.succeeded", 0);
	int64_t parallel = json_path_int(c->object, "spec.parallelism", 0);

	if (json_path(c->object, "spec.completions"))
		return json_new_strf(c->arena, "%" PRId64 "/%" PRId64, done,
				     json_path_int(c->object, "spec.completions", 0));
	if (parallel > 1)
		return json_new_strf(c->arena, "%" PRId64 "/1 of %" PRId64, done, parallel);
	return json_new_strf(c->arena, "%" PRId64 "/1", done);
}

struct json *cell_job_duration(const struct table_cell *c)
{
	const char *start = json_path_str(c->object, "status.startTime");
	const char *end = json_path_str(c->object, "status.completionTime");
	int64_t from, to = c->now_ns;
	char text[TABLE_AGE_MAX];

	if (!start || time_parse(start, &from) < 0 || (end && time_parse(end, &to) < 0))
		return cell_str(c, "");
	return cell_str(c, table_duration((to - from) / 1000000000, text));
}

struct json *cell_cronjob_last(const struct table_cell *c)
{
	const char *last = json_path_str(c->object, "status.lastScheduleTime");
	char text[TABLE_AGE_MAX];

	return cell_or_none(c, last ? table_age(last, c->now_ns, text) : NULL);
}

struct json *cell_hpa_reference(const struct table_cell *c)
{
	return json_new_strf(c->arena, "%s/%s", str_or(json_path_str(c->object, "spec.scaleTargetRef.kind"), ""),
			     str_or(json_path_str(c->object, "spec.scaleTargetRef.name"), ""));
}

struct json *cell_hpa_min(const struct table_cell *c)
{
	if (!json_path(c->object, "spec.minReplicas"))
		return cell_str(c, "<unset>");
	return json_new_strf(c->arena, "%" PRId64, json_path_int(c->object, "spec.minReplicas", 0));
}

/* The part of a metric's spec or status that has its values: under resource, pods, object, external, … */
static const struct json *metric_source(const struct json *metric)
{
	static const char *const kinds[] = {"resource", "containerResource", "pods", "object", "external"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (json_get(metric, kinds[i]))
			return json_get(metric, kinds[i]);
	return NULL;
}

static const char *metric_value(struct arena *a, const struct json *v)
{
	const struct json *percent = json_get(v, "averageUtilization");
	const char *average = json_path_str(v, "averageValue"), *value = json_path_str(v, "value");

	if (percent)
		return arena_printf(a, "%" PRId64 "%%", json_int(percent, 0));
	return str_or(average, str_or(value, "<unknown>"));
}

struct json *cell_hpa_targets(const struct table_cell *c)
{
	const struct json *current = json_path(c->object, "status.currentMetrics");
	int64_t target = json_path_int(c->object, "spec.targetCPUUtilizationPercentage", 0);
	struct buf b = BUF_INIT;
	size_t i = 0;

	JSON_EACH(m, json_path(c->object, "spec.metrics")) {
		const struct json *spec = metric_source(m), *now = metric_source(json_at(current, i++));
		const char *name = json_path_str(spec, "name");

		cell_join(&b, ", ",
			  arena_printf(c->arena, "%s%s%s/%s%s", name ? name : "", name ? ": " : "",
				       metric_value(c->arena, json_get(now, "current")),
				       metric_value(c->arena, json_get(spec, "target")),
				       json_path_str(spec, "target.averageValue") && !name ? " (avg)" : ""));
	}
	if (!b.len && target) { /* autoscaling/v1 */
		const struct json *now = json_path(c->object, "status.currentCPUUtilizationPercentage");

		if (now)
			buf_addf(&b, "cpu: %" PRId64 "%%/%" PRId64 "%%", json_int(now, 0), target);
		else
			buf_addf(&b, "cpu: <unknown>/%" PRId64 "%%", target);
	}
	return cell_buf(c, &b, "<none>");
}

/* ---- networking, discovery ---- */

struct json *cell_ingress_hosts(const struct table_cell *c)
{
	struct buf b = BUF_INIT;
	int n = 0;

	JSON_EACH(rule, json_path(c->object, "spec.rules")) {
		const char *host = json_path_str(rule, "host");

		if (++n <= ENDPOINTS_SHOWN)
			cell_join(&b, ",", str_empty(host) ? "*" : host);
	}
	if (n > ENDPOINTS_SHOWN)
		buf_addf(&b, " + %d more...", n - ENDPOINTS_SHOWN);
	return cell_buf(c, &b, "*");
}

struct json *cell_ingress_address(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	JSON_EACH(in, json_path(c->object, "status.loadBalancer.ingress")) {
		const char *ip = json_path_str(in, "ip");

		cell_join(&b, ",", str_empty(ip) ? json_path_str(in, "hostname") : ip);
	}
	return cell_buf(c, &b, "");
}

struct json *cell_ingress_ports(const struct table_cell *c)
{
	return cell_str(c, json_len(json_path(c->object, "spec.tls")) ? "80, 443" : "80");
}

struct json *cell_class_parameters(const struct table_cell *c)
{
	const struct json *p = json_path(c->object, "spec.parameters");
	const char *group = json_path_str(p, "apiGroup");

	if (!p)
		return cell_or_none(c, NULL);
	return json_new_strf(c->arena, "%s%s%s/%s", str_or(json_path_str(p, "kind"), ""), str_empty(group) ? "" : ".",
			     str_or(group, ""), str_or(json_path_str(p, "name"), ""));
}

struct json *cell_slice_ports(const struct table_cell *c)
{
	struct buf b = BUF_INIT;
	int n = 0;

	JSON_EACH(p, json_get(c->object, "ports")) {
		const struct json *port = json_get(p, "port");

		if (++n > ENDPOINTS_SHOWN)
			continue;
		cell_join(&b, ",", port ? arena_printf(c->arena, "%" PRId64, json_int(port, 0)) : "*");
	}
	if (n > ENDPOINTS_SHOWN)
		buf_addf(&b, " + %d more...", n - ENDPOINTS_SHOWN);
	return cell_buf(c, &b, "<unset>");
}

struct json *cell_slice_endpoints(const struct table_cell *c)
{
	struct buf b = BUF_INIT;
	int n = 0;

	JSON_EACH(e, json_get(c->object, "endpoints"))
		JSON_EACH(a, json_get(e, "addresses"))
			if (++n <= ENDPOINTS_SHOWN)
				cell_join(&b, ",", json_str(a));
	if (n > ENDPOINTS_SHOWN)
		buf_addf(&b, " + %d more...", n - ENDPOINTS_SHOWN);
	return cell_buf(c, &b, "<unset>");
}

struct json *cell_parent_ref(const struct table_cell *c)
{
	const struct json *p = json_path(c->object, "spec.parentRef");
	struct buf b = BUF_INIT;

	cell_join(&b, "/", json_path_str(p, "group"));
	cell_join(&b, "/", json_path_str(p, "resource"));
	cell_join(&b, "/", json_path_str(p, "namespace"));
	cell_join(&b, "/", json_path_str(p, "name"));
	return cell_buf(c, &b, "<none>");
}

/* ---- policy, rbac, certificates ---- */

struct json *cell_budget_value(const struct table_cell *c)
{
	const struct json *v = json_path(c->object, c->column->path);

	if (!v)
		return cell_str(c, "N/A");
	return json_str(v) ? cell_str(c, json_str(v)) : json_new_str(c->arena, json_to_string(c->arena, v));
}

struct json *cell_role_ref(const struct table_cell *c)
{
	return json_new_strf(c->arena, "%s/%s", str_or(json_path_str(c->object, "roleRef.kind"), ""),
			     str_or(json_path_str(c->object, "roleRef.name"), ""));
}

/* column->path is the kind of subject; accounts with their namespace. */
struct json *cell_subjects(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	JSON_EACH(s, json_get(c->object, "subjects")) {
		const char *ns = json_path_str(s, "namespace"), *name = str_or(json_path_str(s, "name"), "");

		if (!str_eq(json_path_str(s, "kind"), c->column->path))
			continue;
		if (str_eq(c->column->path, "ServiceAccount"))
			name = arena_printf(c->arena, "%s/%s", str_or(ns, ""), name);
		cell_join(&b, ", ", name);
	}
	return cell_buf(c, &b, "");
}

struct json *cell_csr_duration(const struct table_cell *c)
{
	const struct json *s = json_path(c->object, "spec.expirationSeconds");
	char text[TABLE_AGE_MAX];

	return cell_or_none(c, s ? table_duration(json_int(s, 0), text) : NULL);
}

struct json *cell_csr_condition(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	if (cell_condition(c->object, "Denied"))
		cell_join(&b, ",", "Denied");
	else
		cell_join(&b, ",", cell_condition(c->object, "Approved") ? "Approved" : "Pending");
	if (cell_condition(c->object, "Failed"))
		cell_join(&b, ",", "Failed");
	if (!str_empty(json_path_str(c->object, "status.certificate")))
		cell_join(&b, ",", "Issued");
	return cell_buf(c, &b, "");
}

/* ---- storage, resource ---- */

struct json *cell_driver_token_requests(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	JSON_EACH(t, json_path(c->object, "spec.tokenRequests"))
		cell_join(&b, ",", json_path_str(t, "audience"));
	return cell_buf(c, &b, "<unset>");
}

struct json *cell_driver_modes(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	JSON_EACH(m, json_path(c->object, "spec.volumeLifecycleModes"))
		cell_join(&b, ",", json_str(m));
	return cell_buf(c, &b, "<none>");
}

struct json *cell_storage_class_name(const struct table_cell *c)
{
	const char *name = str_or(json_path_str(c->object, "metadata.name"), "");
	const struct json *notes = json_path(c->object, "metadata.annotations");
	const char *ga = json_str(json_get(notes, "storageclass.kubernetes.io/is-default-class"));
	const char *beta = json_str(json_get(notes, "storageclass.beta.kubernetes.io/is-default-class"));

	if (str_eq(ga, "true") || str_eq(beta, "true"))
		return json_new_strf(c->arena, "%s (default)", name);
	return cell_str(c, name);
}

struct json *cell_claim_state(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	if (json_path_str(c->object, "metadata.deletionTimestamp"))
		cell_join(&b, ",", "deleted");
	if (!json_path(c->object, "status.allocation"))
		cell_join(&b, ",", b.len ? NULL : "pending");
	else
		cell_join(&b, ",", "allocated");
	if (json_len(json_path(c->object, "status.reservedFor")))
		cell_join(&b, ",", "reserved");
	return cell_buf(c, &b, "");
}

/* ---- admission, flow control, aggregation ---- */

struct json *cell_policy_param_kind(const struct table_cell *c)
{
	const struct json *p = json_path(c->object, "spec.paramKind");

	if (!p)
		return cell_str(c, "<unset>");
	return json_new_strf(c->arena, "%s/%s", str_or(json_path_str(p, "apiVersion"), ""),
			     str_or(json_path_str(p, "kind"), ""));
}

struct json *cell_policy_param_ref(const struct table_cell *c)
{
	const struct json *p = json_path(c->object, "spec.paramRef");
	const char *ns = json_path_str(p, "namespace"), *name = json_path_str(p, "name");

	if (!p)
		return cell_str(c, "<unset>");
	if (str_empty(name))
		name = "*";
	return str_empty(ns) ? json_new_strf(c->arena, "%s", name) : json_new_strf(c->arena, "%s/%s", ns, name);
}

struct json *cell_flow_distinguisher(const struct table_cell *c)
{
	return cell_or_none(c, json_path_str(c->object, "spec.distinguisherMethod.type"));
}

struct json *cell_flow_missing_level(const struct table_cell *c)
{
	const struct json *d = cell_condition(c->object, "Dangling");

	return cell_str(c, d ? json_path_str(d, "status") : "?");
}

struct json *cell_level_shares(const struct table_cell *c)
{
	const struct json *v = json_path(c->object, "spec.limited.nominalConcurrencyShares");

	if (!v)
		v = json_path(c->object, "spec.exempt.nominalConcurrencyShares");
	return v ? json_new_int(c->arena, json_int(v, 0)) : cell_or_none(c, NULL);
}

struct json *cell_level_queuing(const struct table_cell *c)
{
	const struct json *v = json_get(json_path(c->object, "spec.limited.limitResponse.queuing"), c->column->path);

	return v ? json_new_int(c->arena, json_int(v, 0)) : cell_or_none(c, NULL);
}

struct json *cell_apiservice_service(const struct table_cell *c)
{
	const struct json *s = json_path(c->object, "spec.service");

	if (!s)
		return cell_str(c, "Local");
	return json_new_strf(c->arena, "%s/%s", str_or(json_path_str(s, "namespace"), ""),
			     str_or(json_path_str(s, "name"), ""));
}

struct json *cell_apiservice_available(const struct table_cell *c)
{
	const struct json *cond = cell_condition(c->object, "Available");
	const char *status = str_or(json_path_str(cond, "status"), "Unknown"), *reason = json_path_str(cond, "reason");

	if (str_eq(status, "True") || str_empty(reason))
		return cell_str(c, status);
	return json_new_strf(c->arena, "%s (%s)", status, reason);
}

/* ---- definitions, migrations, taints, certificates of pods ---- */

struct json *cell_definition_versions(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	JSON_EACH(v, json_path(c->object, "spec.versions")) {
		if (!json_path_bool(v, "served", false))
			continue;
		cell_join(&b, ",", json_path_str(v, "name"));
		if (json_path_bool(v, "storage", false))
			buf_adds(&b, "(storage)");
	}
	return cell_buf(c, &b, "");
}

struct json *cell_established(const struct table_cell *c)
{
	return json_new_bool(c->arena, cell_condition_true(c->object, "Established"));
}

struct json *cell_migration_resource(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	cell_join(&b, ".", json_path_str(c->object, "spec.resource.resource"));
	cell_join(&b, ".", json_path_str(c->object, "spec.resource.group"));
	return cell_buf(c, &b, "");
}

/* The first of these conditions that is true. */
static struct json *first_true(const struct table_cell *c, const char *const *types, const char *otherwise)
{
	for (; *types; types++)
		if (cell_condition_true(c->object, *types))
			return cell_str(c, *types);
	return cell_str(c, otherwise);
}

struct json *cell_migration_status(const struct table_cell *c)
{
	static const char *const types[] = {"Succeeded", "Failed", "Running", NULL};

	return first_true(c, types, "Unknown");
}

struct json *cell_certificate_state(const struct table_cell *c)
{
	static const char *const types[] = {"Denied", "Failed", "Issued", NULL};

	return first_true(c, types, "Pending");
}
