/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods and pod templates: the order of checks, which is that of upstream's messages, and what is said of the spec as a
 * whole. Its parts are judged in validate_pod_*.c.
 */
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_pod_internal.h"
#include "api/validate_volume_sources.h"
#include "base/str.h"

#define NAMESERVERS_MAX 3 /* what resolv.conf(5) takes */
#define SEARCH_PATHS_MAX 32
#define SEARCH_CHARS_MAX 2048
#define HOSTNAME_MAX 64 /* of sethostname(2) */

/* ---- volumes ---- */

void check_volumes(struct pod_check *p)
{
	struct check *c = p->c;
	const struct json *volumes = json_get(p->spec, "volumes");
	const char *pod = p->is_pod ? str_or(json_path_str(p->meta, "name"), "") : "";
	_cleanup_names_ struct map created = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(v, volumes)
		if (*pod && json_get(v, "ephemeral"))
			map_set(&created, PATH(c, "%s-%s", pod, str_or(json_path_str(v, "name"), "")), p);
	EACH_ITEM(v, volumes) {
		const char *at = PATH(c, "%s.volumes[%zu]", p->path, i++), *name = str_or(json_path_str(v, "name"), "");
		const char *claim = json_path_str(v, "persistentVolumeClaim.claimName");
		size_t before = check_count(c);
		check_volume_sources(&(struct volume_context){.c = c, .pod = p, .name = name}, at, v);
		if (need_in(c, at, v, "name"))
			name_in(c, at, v, "name", name_check_dns1123_label);
		if (map_has(&p->volumes, name))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
		else if (check_count(c) == before)
			map_set(&p->volumes, name, (void *)(uintptr_t)(const void *)v);
		if (claim && map_has(&created, claim))
			bad_invalid_str(c, PATH(c, "%s.persistentVolumeClaim.claimName", at), claim,
					"must not reference a PVC that gets created for an ephemeral volume");
	}
}

/* ---- network ---- */

static void check_host_network_ports(struct pod_check *p)
{
	struct check *c = p->c;
	size_t i = 0, k;

	if (!json_path_bool(p->spec, "hostNetwork", false))
		return;
	EACH_ITEM(ctr, json_get(p->spec, "containers")) {
		k = 0;
		EACH_ITEM(port, json_get(ctr, "ports")) {
			int64_t host = json_path_int(port, "hostPort", 0);
			if ((p->is_pod || host) && host != json_path_int(port, "containerPort", 0))
				bad_invalid(c, PATH(c, "%s.containers[%zu].ports[%zu].hostPort", p->path, i, k),
					    json_new_int(&c->arena, host),
					    "must match `containerPort` when `hostNetwork` is true");
			k++;
		}
		i++;
	}
}

static void check_searches(struct check *c, const char *at, const struct json *searches)
{
	size_t chars = 0, i = 0;

	EACH_ITEM(s, searches)
		chars += strlen(str_or(json_str(s), "")) + 1;
	if (json_len(searches) > SEARCH_PATHS_MAX)
		bad_invalid(c, at, searches, "must not have more than 32 search paths");
	if (chars > SEARCH_CHARS_MAX + 1)
		bad_invalid(c, at, searches,
			    "must not have more than 2048 characters (including spaces) in the search list");
	EACH_ITEM(s, searches) {
		const char *domain = str_or(json_str(s), "");
		size_t n = strlen(domain);
		const char *bare = n && domain[n - 1] == '.' ? arena_strndup(&c->arena, domain, n - 1) : domain;
		const char *why = str_eq(domain, ".") ? NULL : name_check_search_domain(bare);
		if (why)
			bad_invalid_str(c, PATH(c, "%s[%zu]", at, i), bare, why);
		i++;
	}
}

static void check_dns(struct pod_check *p)
{
	struct check *c = p->c;
	const struct json *config = json_get(p->spec, "dnsConfig"), *servers = json_get(config, "nameservers");
	const char *at = PATH(c, "%s.dnsConfig", p->path);
	size_t i = 0;

	if (str_eq(json_path_str(p->spec, "dnsPolicy"), "None")) {
		if (!config) {
			bad_required(c, at, "must provide `dnsConfig` when `dnsPolicy` is None");
			return;
		}
		if (!json_len(servers)) {
			bad_required(c, PATH(c, "%s.nameservers", at),
				     "must provide at least one DNS nameserver when `dnsPolicy` is None");
			return;
		}
	}
	if (json_len(servers) > NAMESERVERS_MAX)
		bad_invalid(c, PATH(c, "%s.nameservers", at), servers, "must not have more than 3 nameservers");
	names_in(c, at, config, "nameservers", rule_ip);
	if (json_get(config, "searches"))
		check_searches(c, PATH(c, "%s.searches", at), json_get(config, "searches"));
	EACH_ITEM(o, json_get(config, "options")) {
		if (str_empty(json_path_str(o, "name")))
			bad_required(c, PATH(c, "%s.options[%zu]", at, i), "must not be empty");
		i++;
	}
}

static void check_host_names(struct pod_check *p)
{
	struct check *c = p->c;
	const char *override = json_path_str(p->spec, "hostnameOverride");
	const char *at = PATH(c, "%s.hostnameOverride", p->path);

	if (!str_empty(json_path_str(p->spec, "hostname")))
		name_in(c, p->path, p->spec, "hostname", name_check_dns1123_label);
	if (!str_empty(json_path_str(p->spec, "subdomain")))
		name_in(c, p->path, p->spec, "subdomain", name_check_dns1123_label);
	if (!override)
		return;
	if (json_path_bool(p->spec, "setHostnameAsFQDN", false))
		bad_forbidden(c, at, "may not be set when `setHostnameAsFQDN` is true");
	if (json_path_bool(p->spec, "hostNetwork", false))
		bad_forbidden(c, at, "may not be set when `hostNetwork` is true");
	name_in(c, p->path, p->spec, "hostnameOverride", name_check_dns1123_subdomain);
	if (strlen(override) > HOSTNAME_MAX)
		bad_too_long(c, at, HOSTNAME_MAX);
}

static void check_host_aliases(struct pod_check *p)
{
	size_t i = 0;

	EACH_ITEM(a, json_get(p->spec, "hostAliases")) {
		const char *at = PATH(p->c, "%s.hostAliases[%zu]", p->path, i++);
		const char *ip = str_or(json_path_str(a, "ip"), ""), *why = rule_ip(ip);
		if (why)
			bad_invalid_str(p->c, PATH(p->c, "%s.ip", at), ip, why);
		names_in(p->c, at, a, "hostnames", name_check_dns1123_subdomain);
	}
}

#define HOST_USERS_FALSE "when `pod.Spec.HostUsers` is false"

static void note_devices(struct pod_check *p, const char *at, const struct json *ctr, void *arg)
{
	(void)p;
	(void)at;
	*(bool *)arg |= json_len(json_get(ctr, "volumeDevices")) > 0;
}

static void forbid_devices(struct pod_check *p, const char *at, const struct json *ctr, void *arg)
{
	(void)arg;
	if (json_len(json_get(ctr, "volumeDevices")))
		bad_forbidden(p->c, PATH(p->c, "%s.volumeDevices", at), HOST_USERS_FALSE);
}

/* Users of its own go with no namespace of the host, and with no device: its ids can't be mapped. */
static void check_host_users(struct pod_check *p)
{
	static const char *const shared[][2] = {
	    {"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};
	struct pod_check old = {.c = p->c, .spec = p->old_spec, .path = p->path};
	bool had_devices = false;

	if (p->host_users)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (json_path_bool(p->spec, shared[i][0], false))
			bad_forbidden(p->c, PATH(p->c, "%s.%s", p->path, shared[i][1]), HOST_USERS_FALSE);
	if (p->old_spec && !json_path_bool(p->old_spec, "hostUsers", true))
		each_container(&old, note_devices, &had_devices);
	if (!had_devices) /* what was stored may stay */
		each_container(p, forbid_devices, NULL);
}

/* ---- readiness and scheduling gates ---- */

static void check_gates(struct pod_check *p)
{
	struct check *c = p->c;
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(g, json_get(p->spec, "readinessGates")) {
		const char *type = str_or(json_path_str(g, "conditionType"), ""), *why = name_check_qualified(type);
		if (why)
			bad_invalid_str(c, PATH(c, "%s.readinessGates[%zu].conditionType", p->path, i), type, why);
		i++;
	}
	i = 0;
	EACH_ITEM(g, json_get(p->spec, "schedulingGates")) {
		const char *at = PATH(c, "%s.schedulingGates[%zu]", p->path, i++);
		const char *name = str_or(json_path_str(g, "name"), ""), *why = name_check_qualified(name);
		if (why)
			bad_invalid_str(c, at, name, why);
		if (map_set(&seen, name, p))
			bad_duplicate(c, at, name);
	}
}

/* ---- the spec ---- */

/* Members that must be one of a few values, or a name. */
static void check_plain_members(struct pod_check *p)
{
	static const char *const optional_names[] = {"serviceAccountName", "nodeName"};
	struct check *c = p->c;

	for (size_t i = 0; i < ARRAY_SIZE(optional_names); i++)
		if (!str_empty(json_path_str(p->spec, optional_names[i])))
			name_in(c, p->path, p->spec, optional_names[i], name_check_dns1123_subdomain);
	range_in(c, p->path, p->spec, "activeDeadlineSeconds", 1, INT32_MAX);
	check_host_names(p);
	if (json_get(p->spec, "tolerations"))
		check_tolerations(c, PATH(c, "%s.tolerations", p->path), json_get(p->spec, "tolerations"));
	check_host_aliases(p);
}

static void check_class_members(struct pod_check *p)
{
	static const char *const preemption[] = {"PreemptLowerPriority", "Never", NULL};
	struct check *c = p->c;
	const struct json *overhead = json_get(p->spec, "overhead");

	if (!str_empty(json_path_str(p->spec, "priorityClassName")))
		name_in(c, p->path, p->spec, "priorityClassName", name_check_dns1123_subdomain);
	name_in(c, p->path, p->spec, "runtimeClassName", name_check_dns1123_subdomain);
	if (json_get(p->spec, "preemptionPolicy") && str_empty(json_path_str(p->spec, "preemptionPolicy")))
		bad_required(c, PATH(c, "%s.preemptionPolicy", p->path), NULL);
	else
		choice_in(c, p->path, p->spec, "preemptionPolicy", preemption);
	if (overhead) {
		struct json *limits = json_new(&c->arena, JSON_OBJECT);
		json_set(&c->arena, limits, "limits", json_clone(&c->arena, overhead));
		check_container_resources(p, PATH(c, "%s.overhead", p->path), limits);
	}
	const struct json *group = json_get(p->spec, "schedulingGroup");
	if (group)
		name_in(c, PATH(c, "%s.schedulingGroup", p->path), group, "podGroupName", name_check_dns1123_subdomain);
}

static void check_spec(struct pod_check *p)
{
	static const char *const restart[] = {"Always", "OnFailure", "Never", NULL};
	static const char *const dns[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL};
	struct check *c = p->c;

	p->host_users = json_path_bool(p->spec, "hostUsers", true);
	check_volumes(p);
	check_resource_claims(p);
	check_containers(p);
	check_pod_resources(p);
	check_host_network_ports(p);
	choice_in(c, p->path, p->spec, "restartPolicy", restart);
	choice_in(c, p->path, p->spec, "dnsPolicy", dns);
	if (json_get(p->spec, "nodeSelector"))
		check_labels(c, PATH(c, "%s.nodeSelector", p->path), json_get(p->spec, "nodeSelector"));
	check_pod_security(p);
	check_affinity(p);
	check_dns(p);
	check_gates(p);
	check_spread(p);
	check_host_process(p);
	check_host_users(p);
	check_plain_members(p);
	check_class_members(p);
	check_os(p);
}

static void pod_check_release(struct pod_check *p)
{
	map_release(&p->volumes, NULL);
	map_release(&p->claims, NULL);
	map_release(&p->containers, NULL);
	map_release(&p->host_ports, NULL);
}
#define _cleanup_pod_check_ _cleanup_(pod_check_release)

/* ---- a Pod ---- */

/* More than templates need: those are judged again when they make pods. */
static void check_pod_only(struct pod_check *p)
{
	static const char *const lists[] = {"containers", "initContainers"};
	struct check *c = p->c;
	size_t i = 0, k;

	EACH_ITEM(v, str_empty(json_path_str(p->spec, "serviceAccountName")) ? json_get(p->spec, "volumes") : NULL) {
		k = 0;
		EACH_ITEM(s, json_path(v, "projected.sources")) {
			if (json_get(s, "serviceAccountToken"))
				bad_forbidden(c,
					      PATH(c, "%s.volumes[%zu].projected.sources[%zu].serviceAccountToken",
						   p->path, i, k),
					      "must not be specified when serviceAccountName is not set");
			k++;
		}
		i++;
	}
	for (k = 0; k < ARRAY_SIZE(lists); k++) {
		i = 0;
		EACH_ITEM(ctr, json_get(p->spec, lists[k])) {
			const char *image = str_or(json_path_str(ctr, "image"), "");
			if (*image && (strchr(" \t\r\n", image[0]) || strchr(" \t\r\n", image[strlen(image) - 1])))
				bad_invalid_str(c, PATH(c, "%s.%s[%zu].image", p->path, lists[k], i), image,
						"must not have leading or trailing whitespace");
			i++;
		}
	}
}

void check_pod(struct check *c, const char *subresource)
{
	const struct json *spec = json_get(c->tree, "spec");
	_cleanup_pod_check_ struct pod_check p = {.c = c,
						  .spec = spec,
						  .meta = json_get(c->tree, "metadata"),
						  .old_spec = json_get(c->old, "spec"),
						  .path = "spec",
						  .is_pod = true};

	if (!spec) {
		bad_required(c, "spec", NULL);
		return;
	}
	check_pod_annotations(&p, "metadata.annotations");
	if (!c->old || !json_equal(spec, p.old_spec)) { /* what is stored was judged before */
		check_spec(&p);
		check_pod_only(&p);
	}
	if (c->old) {
		check_pod_update(c, subresource);
		return;
	}
	if (json_len(json_get(spec, "ephemeralContainers")))
		bad_forbidden(c, "spec.ephemeralContainers", "cannot be set on create");
	if (!str_empty(json_path_str(spec, "nodeName")) && json_len(json_get(spec, "schedulingGates")))
		bad_forbidden(c, "spec.nodeName", "cannot be set until all schedulingGates have been cleared");
	check_profile_annotations(&p);
}

/* ---- templates ---- */

void check_pod_template(struct check *c, const char *path, const struct json *template, const char *const *restart)
{
	const struct json *spec = json_get(template, "spec"), *policy = json_get(spec, "restartPolicy");
	_cleanup_pod_check_ struct pod_check p = {.c = c,
						  .spec = spec,
						  .meta = json_get(template, "metadata"),
						  .old_spec = json_get(json_path(c->old, path), "spec"),
						  .path = PATH(c, "%s.spec", path)};

	check_labels(c, PATH(c, "%s.labels", path), json_get(p.meta, "labels"));
	check_annotations(c, PATH(c, "%s.annotations", path), json_get(p.meta, "annotations"));
	check_pod_annotations(&p, PATH(c, "%s.annotations", path));
	check_spec(&p);
	check_profile_annotations(&p);
	if (json_len(json_get(spec, "ephemeralContainers")))
		bad_forbidden(c, PATH(c, "%s.spec.ephemeralContainers", path),
			      "ephemeral containers not allowed in pod template");
	if (json_str(policy) && !str_in(json_str(policy), restart))
		bad_unsupported(c, PATH(c, "%s.spec.restartPolicy", path), json_str(policy), restart);
}
