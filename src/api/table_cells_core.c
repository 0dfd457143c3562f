/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of the core group, besides pods. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/table_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#define ROLE_PREFIX "node-role.kubernetes.io/"
#define ENDPOINTS_SHOWN 3 /* upstream prints three and counts the others */

/* ---- nodes ---- */

struct json *cell_node_status(const struct table_cell *c)
{
	const struct json *ready = cell_condition(c->object, "Ready");
	struct buf b = BUF_INIT;

	if (ready)
		cell_join(&b, ",", cell_condition_true(c->object, "Ready") ? "Ready" : "NotReady");
	else
		cell_join(&b, ",", "Unknown");
	if (json_path_bool(c->object, "spec.unschedulable", false))
		cell_join(&b, ",", "SchedulingDisabled");
	return cell_buf(c, &b, "");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct json *cell_node_roles(const struct table_cell *c)
{
	const struct json *labels = json_path(c->object, "metadata.labels");
	const char **roles = arena_alloc(c->arena, (json_len(labels) + 1) * sizeof(*roles));
	struct buf b = BUF_INIT;
	size_t n = 0;

	JSON_EACH(label, labels) {
		const char *role = str_after(label->key, ROLE_PREFIX);

		if (!role && str_eq(label->key, "kubernetes.io/role"))
			role = json_str(label);
		if (!str_empty(role))
			roles[n++] = role;
	}
	qsort(roles, n, sizeof(*roles), by_text);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !str_eq(roles[i], roles[i - 1]))
			cell_join(&b, ",", roles[i]);
	return cell_buf(c, &b, "<none>");
}

static struct json *node_address(const struct table_cell *c, const char *type)
{
	JSON_EACH(a, json_path(c->object, "status.addresses"))
		if (str_eq(json_path_str(a, "type"), type))
			return cell_or_none(c, json_path_str(a, "address"));
	return cell_or_none(c, NULL);
}

struct json *cell_node_internal_ip(const struct table_cell *c)
{
	return node_address(c, "InternalIP");
}

struct json *cell_node_external_ip(const struct table_cell *c)
{
	return node_address(c, "ExternalIP");
}

/* ---- services and endpoints ---- */

struct json *cell_service_external_ip(const struct table_cell *c)
{
	const char *type = json_path_str(c->object, "spec.type");
	struct buf b = BUF_INIT;

	if (str_eq(type, "ExternalName"))
		return cell_or_none(c, json_path_str(c->object, "spec.externalName"));
	if (str_eq(type, "LoadBalancer"))
		JSON_EACH(in, json_path(c->object, "status.loadBalancer.ingress")) {
			const char *ip = json_path_str(in, "ip");

			cell_join(&b, ",", str_empty(ip) ? json_path_str(in, "hostname") : ip);
		}
	JSON_EACH(ip, json_path(c->object, "spec.externalIPs"))
		cell_join(&b, ",", json_str(ip));
	return cell_buf(c, &b, str_eq(type, "LoadBalancer") ? "<pending>" : "<none>");
}

struct json *cell_service_ports(const struct table_cell *c)
{
	struct buf b = BUF_INIT;

	JSON_EACH(p, json_path(c->object, "spec.ports")) {
		int64_t node = json_path_int(p, "nodePort", 0);

		buf_addf(&b, "%s%" PRId64, b.len ? "," : "", json_path_int(p, "port", 0));
		if (node)
			buf_addf(&b, ":%" PRId64, node);
		buf_addf(&b, "/%s", str_or(json_path_str(p, "protocol"), "TCP"));
	}
	return cell_buf(c, &b, "<none>");
}

struct json *cell_endpoints(const struct table_cell *c)
{
	struct buf b = BUF_INIT;
	int n = 0;

	JSON_EACH(subset, json_get(c->object, "subsets")) {
		const struct json *ports = json_get(subset, "ports");

		JSON_EACH(a, json_get(subset, "addresses")) {
			const char *ip = str_or(json_path_str(a, "ip"), "");
			const char *open = strchr(ip, ':') ? "[" : "", *close = *open ? "]" : "";

			if (!json_len(ports) && ++n <= ENDPOINTS_SHOWN)
				cell_join(&b, ",", ip);
			JSON_EACH(p, ports)
				if (++n <= ENDPOINTS_SHOWN)
					cell_join(&b, ",",
						  arena_printf(c->arena, "%s%s%s:%" PRId64, open, ip, close,
							       json_path_int(p, "port", 0)));
		}
	}
	if (n > ENDPOINTS_SHOWN)
		buf_addf(&b, " + %d more...", n - ENDPOINTS_SHOWN);
	return cell_buf(c, &b, "<none>");
}

/* ---- events: core/v1 and events.k8s.io/v1 name the same things differently ---- */

static const char *either(const struct json *o, const char *a, const char *b)
{
	const char *s = json_path_str(o, a);

	return str_empty(s) ? json_path_str(o, b) : s;
}

static const char *event_first(const struct json *o)
{
	const char *t = either(o, "firstTimestamp", "deprecatedFirstTimestamp");

	return str_empty(t) ? json_path_str(o, "eventTime") : t;
}

struct json *cell_event_first_seen(const struct table_cell *c)
{
	char age[TABLE_AGE_MAX];

	return cell_str(c, table_age(event_first(c->object), c->now_ns, age));
}

struct json *cell_event_last_seen(const struct table_cell *c)
{
	const char *t = json_path_str(c->object, "series.lastObservedTime");
	char age[TABLE_AGE_MAX];

	if (str_empty(t))
		t = either(c->object, "lastTimestamp", "deprecatedLastTimestamp");
	if (str_empty(t))
		t = event_first(c->object);
	return cell_str(c, table_age(t, c->now_ns, age));
}

struct json *cell_event_count(const struct table_cell *c)
{
	int64_t n = json_path_int(c->object, "count", json_path_int(c->object, "deprecatedCount", 0));

	n = json_path_int(c->object, "series.count", n);
	return json_new_int(c->arena, n ? n : 1);
}

static const struct json *event_target(const struct table_cell *c)
{
	const struct json *o = json_get(c->object, "involvedObject");

	return o ? o : json_get(c->object, "regarding");
}

struct json *cell_event_object(const struct table_cell *c)
{
	const struct json *o = event_target(c);
	const char *name = json_path_str(o, "name");
	char *kind = arena_strdup(c->arena, str_or(json_path_str(o, "kind"), ""));

	for (char *p = kind; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (str_empty(name))
		return cell_str(c, kind);
	return json_new_strf(c->arena, "%s/%s", kind, name);
}

struct json *cell_event_subobject(const struct table_cell *c)
{
	return cell_str(c, json_path_str(event_target(c), "fieldPath"));
}

struct json *cell_event_source(const struct table_cell *c)
{
	const char *component = either(c->object, "source.component", "deprecatedSource.component");
	const char *host = either(c->object, "source.host", "deprecatedSource.host");
	struct buf b = BUF_INIT;

	if (str_empty(component))
		component = either(c->object, "reportingComponent", "reportingController");
	if (str_empty(host))
		host = json_path_str(c->object, "reportingInstance");
	cell_join(&b, ", ", component);
	cell_join(&b, ", ", host);
	return cell_buf(c, &b, "");
}

struct json *cell_event_message(const struct table_cell *c)
{
	const char *s = str_or(either(c->object, "message", "note"), "");
	size_t len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		len--;
	return json_new_strn(c->arena, s, len);
}

/* ---- volumes ---- */

struct json *cell_claim_status(const struct table_cell *c)
{
	if (json_path_str(c->object, "metadata.deletionTimestamp"))
		return cell_str(c, "Terminating");
	return cell_str(c, json_path_str(c->object, "status.phase"));
}

struct json *cell_access_modes(const struct table_cell *c)
{
	/* The short names, in this order whatever the order of the object. */
	static const char *const modes[][2] = {
	    {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		JSON_EACH(m, json_path(c->object, c->column->path))
			if (str_eq(json_str(m), modes[i][0])) {
				cell_join(&b, ",", modes[i][1]);
				break;
			}
	return cell_buf(c, &b, "");
}

struct json *cell_claim_ref(const struct table_cell *c)
{
	const struct json *ref = json_path(c->object, "spec.claimRef");

	if (!ref)
		return cell_str(c, "");
	return json_new_strf(c->arena, "%s/%s", str_or(json_path_str(ref, "namespace"), ""),
			     str_or(json_path_str(ref, "name"), ""));
}

/* ---- the others ---- */

struct json *cell_config_data(const struct table_cell *c)
{
	return json_new_int(c->arena,
			    json_len(json_get(c->object, "data")) + json_len(json_get(c->object, "binaryData")));
}

struct json *cell_template_labels(const struct table_cell *c)
{
	return cell_selector(c);
}

static const char *quantity_text(struct arena *a, const struct json *v)
{
	return v ? (json_str(v) ? json_str(v) : json_to_string(a, v)) : "0";
}

/* "cpu: 100m/2, …" of those resources whose name begins with "limits." or doesn't. */
static struct json *quota(const struct table_cell *c, bool limits)
{
	const struct json *hard = json_path(c->object, "status.hard"), *used = json_path(c->object, "status.used");
	const char **names = arena_alloc(c->arena, (json_len(hard) + 1) * sizeof(*names));
	struct buf b = BUF_INIT;
	size_t n = 0;

	JSON_EACH(h, hard)
		if (str_has_prefix(h->key, "limits.") == limits)
			names[n++] = h->key;
	qsort(names, n, sizeof(*names), by_text);
	for (size_t i = 0; i < n; i++)
		cell_join(&b, ", ",
			  arena_printf(c->arena, "%s: %s/%s", names[i],
				       quantity_text(c->arena, json_get(used, names[i])),
				       quantity_text(c->arena, json_get(hard, names[i]))));
	return cell_buf(c, &b, "");
}

struct json *cell_quota_request(const struct table_cell *c)
{
	return quota(c, false);
}

struct json *cell_quota_limit(const struct table_cell *c)
{
	return quota(c, true);
}

struct json *cell_component_status(const struct table_cell *c)
{
	JSON_EACH(cond, json_get(c->object, "conditions"))
		if (str_eq(json_path_str(cond, "type"), "Healthy")) {
			if (str_eq(c->column->path, "status"))
				return cell_str(c, str_eq(json_path_str(cond, "status"), "True")    ? "Healthy"
						   : str_eq(json_path_str(cond, "status"), "False") ? "Unhealthy"
												    : "Unknown");
			return cell_str(c, json_path_str(cond, c->column->path));
		}
	return cell_str(c, str_eq(c->column->path, "status") ? "Unknown" : "");
}
