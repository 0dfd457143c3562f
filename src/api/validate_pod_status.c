/* SPDX-License-Identifier: Apache-2.0 */
/* What the status of a Pod may say: where its containers can't come back from, addresses, users, devices. */
#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

/* A container that ended and won't be started again doesn't run again. */
static void check_transitions(struct check *c, const char *list, const char *restart)
{
	const struct json *now = json_get(json_get(c->tree, "status"), list);
	const struct json *containers = str_eq(list, "initContainerStatuses") ? json_path(c->old, "spec.initContainers")
									      : json_path(c->old, "spec.containers");
	size_t i = 0;

	EACH_ITEM(o, json_get(json_get(c->old, "status"), list)) {
		const char *name = json_path_str(o, "name");
		const struct json *ended = json_path(o, "state.terminated");
		const char *at = PATH(c, "status.%s[%zu].state", list, i++);
		bool may = !ended || (json_path_int(ended, "exitCode", 0) != 0 && str_eq(restart, "OnFailure"));
		EACH_ITEM(ctr, containers) /* a container's own policy and rules may start it again */
			if (str_eq(json_path_str(ctr, "name"), name))
				may |= json_get(ctr, "restartPolicy") != NULL;
		if (may)
			continue;
		EACH_ITEM(s, now)
			if (str_eq(json_path_str(s, "name"), name) && !json_path(s, "state.terminated"))
				bad_forbidden(c, at, "may not be transitioned to non-terminated state");
	}
}

static void check_ips(struct check *c, const char *list)
{
	const struct json *ips = json_get(json_get(c->tree, "status"), list);
	const char *at = PATH(c, "status.%s", list);
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0, families[2] = {0, 0};

	EACH_ITEM(e, ips) {
		const char *ip = str_or(json_path_str(e, "ip"), ""), *why = rule_ip(ip);
		const char *ip_at = PATH(c, "%s[%zu]", at, i++);
		if (why)
			bad_invalid_str(c, ip_at, ip, why);
		if (map_set(&seen, ip, c))
			bad_duplicate_value(c, ip_at, e);
		families[is_ipv6(ip)]++;
	}
	if (families[0] > 1 || families[1] > 1)
		bad_invalid(c, at, ips, "may specify no more than one IP for each IP family");
}

static void check_claim_statuses(struct check *c)
{
	_cleanup_names_ struct map seen = MAP_INIT, claims = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(claim, json_path(c->tree, "spec.resourceClaims"))
		map_set(&claims, str_or(json_path_str(claim, "name"), ""), c);
	EACH_ITEM(s, json_path(c->tree, "status.resourceClaimStatuses")) {
		const char *at = PATH(c, "status.resourceClaimStatuses[%zu]", i++);
		const char *name = str_or(json_path_str(s, "name"), "");
		if (!map_has(&claims, name))
			bad_invalid_str(c, PATH(c, "%s.name", at), name,
					"must match the name of an entry in `spec.resourceClaims`");
		if (map_set(&seen, name, c))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
		name_in(c, at, s, "resourceClaimName", name_check_dns1123_subdomain);
	}
}

/* ---- who a container runs as, and what devices it was given ---- */

static void check_id(struct check *c, const char *path, const struct json *v)
{
	if (v && (json_int(v, -1) < 0 || json_int(v, -1) > OWNER_ID_MAX))
		bad_invalid(c, path, v, "must be between 0 and 2147483647, inclusive");
}

static void check_users(struct check *c, const char *list)
{
	bool windows = str_eq(json_path_str(c->tree, "spec.os.name"), "windows");
	size_t i = 0;

	EACH_ITEM(s, json_get(json_get(c->tree, "status"), list)) {
		const struct json *user = json_path(s, "user.linux");
		const char *at = PATH(c, "status.%s[%zu].linux", list, i++);
		size_t g = 0;
		if (user && windows)
			bad_forbidden(c, at, "cannot be set for a windows pod");
		if (!user || windows)
			continue;
		check_id(c, PATH(c, "%s.uid", at), json_get(user, "uid"));
		check_id(c, PATH(c, "%s.gid", at), json_get(user, "gid"));
		EACH_ITEM(group, json_get(user, "supplementalGroups"))
			check_id(c, PATH(c, "%s.supplementalGroups[%zu]", at, g++), group);
	}
}

static void check_devices(struct check *c, const char *at, const struct json *devices)
{
	static const char *const states[] = {"Healthy", "Unhealthy", "Unknown", NULL};
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(d, devices) {
		const char *device = PATH(c, "%s.resources[%zu]", at, i++);
		const char *health = str_or(json_path_str(d, "health"), ""),
			   *id = str_or(json_path_str(d, "resourceID"), "");
		if (!str_in(health, states))
			bad_unsupported(c, PATH(c, "%s.health", device), health, states);
		if (map_set(&seen, id, c))
			bad_duplicate(c, PATH(c, "%s.resourceID", device), id);
	}
}

/* What a status may tell the health of: the container's requests, and "claim:name/request" of its claims. */
static void collect_resources(struct check *c, const struct json *container, struct map *names)
{
	JSON_EACH(r, json_path(container, "resources.requests"))
		map_set(names, r->key, names);
	EACH_ITEM(claim, json_path(container, "resources.claims")) {
		const char *request = str_or(json_path_str(claim, "request"), "");
		map_set(names,
			PATH(c, "claim:%s%s%s", str_or(json_path_str(claim, "name"), ""), *request ? "/" : "", request),
			names);
	}
}

static void check_allocated(struct check *c, const char *at, const struct json *list, const struct json *container)
{
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	collect_resources(c, container, &names);
	EACH_ITEM(r, list) {
		const char *item = PATH(c, "%s[%zu]", at, i++), *name = str_or(json_path_str(r, "name"), "");
		if (container && !map_has(&names, name))
			bad_invalid_str(c, PATH(c, "%s.name", item), name,
					str_has_prefix(name, "claim:")
					    ? "must match one of the container's resource claims in a format "
					      "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
					    : "must match one of the container's resource requests");
		check_devices(c, item, json_get(r, "resources"));
	}
}

static void check_health(struct check *c, const char *list, const char *containers)
{
	_cleanup_names_ struct map by_name = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(ctr, json_get(json_get(c->tree, "spec"), containers))
		map_set(&by_name, str_or(json_path_str(ctr, "name"), ""), ctr);
	EACH_ITEM(s, json_get(json_get(c->tree, "status"), list)) {
		const struct json *allocated = json_get(s, "allocatedResourcesStatus");
		const char *at = PATH(c, "status.%s[%zu].allocatedResourcesStatus", list, i++);
		if (json_len(allocated) && str_eq(containers, "ephemeralContainers")) /* they have no resources */
			bad_forbidden(c, at, "must not be specified in container status");
		else if (allocated)
			check_allocated(c, at, allocated, map_get(&by_name, str_or(json_path_str(s, "name"), "")));
	}
}

/* ---- the whole ---- */

static void check_generation(struct check *c, const char *at, const struct json *holder)
{
	const struct json *seen = json_get(holder, "observedGeneration");

	if (json_int(seen, 0) < 0)
		bad_invalid(c, PATH(c, "%s.observedGeneration", at), seen, "must be a non-negative integer");
}

void check_pod_status(struct check *c)
{
	const struct json *status = json_get(c->tree, "status"), *old = json_get(c->old, "status");
	const char *restart = str_or(json_path_str(c->old, "spec.restartPolicy"), "Always");
	const char *nominated = str_or(json_path_str(status, "nominatedNodeName"), "");
	static const char *const lists[][2] = {{"containerStatuses", "containers"},
					       {"initContainerStatuses", "initContainers"},
					       {"ephemeralContainerStatuses", "ephemeralContainers"}};
	struct pod_check p = {
	    .c = c, .spec = json_get(c->tree, "spec"), .meta = json_get(c->tree, "metadata"), .path = "spec"};
	size_t i = 0;

	check_generation(c, "status", status);
	check_annotations_kept(c);
	check_pod_annotations(&p, "metadata.annotations");
	EACH_ITEM(condition, json_get(status, "conditions")) {
		const char *type = str_or(json_path_str(condition, "type"), ""), *why = name_check_qualified(type);
		if (why)
			bad_invalid_str(c, PATH(c, "metadata.conditions[%zu].Type", i), type, why);
		check_generation(c, PATH(c, "status.conditions[%zu]", i), condition);
		i++;
	}
	if (*nominated && !str_eq(nominated, json_path_str(old, "nominatedNodeName")))
		name_in(c, "status", status, "nominatedNodeName", name_check_dns1123_subdomain);
	check_immutable(c, "status.qosClass", "status.qosClass");
	if (!str_eq(restart, "Always")) {
		check_transitions(c, "containerStatuses", restart);
		check_transitions(c, "initContainerStatuses", restart);
	}
	check_transitions(c, "ephemeralContainerStatuses", "Never");
	check_claim_statuses(c);
	check_ips(c, "podIPs");
	const char *first = json_path_str(json_first(json_get(status, "hostIPs")), "ip");
	if (first && !str_eq(first, json_path_str(status, "hostIP")))
		bad_invalid_str(c, "status.hostIPs[0].ip", first, "must be equal to `hostIP`");
	check_ips(c, "hostIPs");
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		check_users(c, lists[i][0]);
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		check_health(c, lists[i][0], lists[i][1]);
}
