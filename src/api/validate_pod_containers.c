/* SPDX-License-Identifier: Apache-2.0 */
/* Containers of the three lists: what is common, and what each list forbids. */
#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

#define RESTART_RULES_MAX 20
#define RESTART_EXIT_CODES_MAX 255

bool container_is_sidecar(const struct json *init_container)
{
	return str_eq(json_path_str(init_container, "restartPolicy"), "Always");
}

void each_container(struct pod_check *p, each_container_fn *fn, void *arg)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;
		EACH_ITEM(ctr, json_get(p->spec, lists[k]))
			fn(p, PATH(p->c, "%s.%s[%zu]", p->path, lists[k], i++), ctr, arg);
	}
}

/* ---- ports ---- */

static void check_ports(struct check *c, const char *path, const struct json *ports)
{
	static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(port, ports) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *name = json_path_str(port, "name");
		if (!str_empty(name) && name_in(c, at, port, "name", name_check_port_name) && map_set(&names, name, c))
			bad_duplicate(c, PATH(c, "%s.name", at), name);
		if (json_path_int(port, "containerPort", 0) == 0)
			bad_required(c, PATH(c, "%s.containerPort", at), NULL);
		else
			range_in(c, at, port, "containerPort", 1, 65535);
		if (json_path_int(port, "hostPort", 0))
			range_in(c, at, port, "hostPort", 1, 65535);
		choice_in(c, at, port, "protocol", protocols);
	}
}

/* Init containers run one by one, and may use the same port of the host. */
static void check_host_ports(struct check *c, const char *at, const struct json *ports, struct map *taken)
{
	size_t i = 0;

	EACH_ITEM(port, ports) {
		int64_t host = json_path_int(port, "hostPort", 0);
		const char *port_at = PATH(c, "%s.ports[%zu].hostPort", at, i++);
		if (!host)
			continue;
		const char *key = PATH(c, "%s/%s/%lld", str_or(json_path_str(port, "protocol"), "TCP"),
				       str_or(json_path_str(port, "hostIP"), ""), (long long)host);
		if (map_set(taken, key, c))
			bad_duplicate(c, port_at, key);
	}
}

/* ---- restarting and resizing ---- */

static void check_restart(struct check *c, const char *at, const struct json *ctr)
{
	static const char *const policies[] = {"Always", "Never", "OnFailure", NULL};
	static const char *const actions[] = {"Restart", "RestartAllContainers", NULL};
	static const char *const operators[] = {"In", "NotIn", NULL};
	const struct json *rules = json_get(ctr, "restartPolicyRules");
	size_t i = 0;

	if (!json_get(ctr, "restartPolicy") && json_len(rules))
		bad_required(c, PATH(c, "%s.restartPolicy", at),
			     "must specify restartPolicy when restart rules are used");
	choice_in(c, at, ctr, "restartPolicy", policies);
	if (json_len(rules) > RESTART_RULES_MAX)
		bad_too_many(c, PATH(c, "%s.restartPolicyRules", at), json_len(rules), RESTART_RULES_MAX);
	EACH_ITEM(r, rules) {
		const char *rule = PATH(c, "%s.restartPolicyRules[%zu]", at, i++);
		const struct json *codes = json_get(r, "exitCodes");
		const char *action = str_or(json_path_str(r, "action"), "");
		const char *operator= str_or(json_path_str(codes, "operator"), "");
		uint32_t n = json_len(json_get(codes, "values"));
		if (!str_in(action, actions))
			bad_unsupported(c, PATH(c, "%s.action", rule), action, actions);
		if (!codes) {
			bad_required(c, PATH(c, "%s.exitCodes", rule), "must be specified");
			continue;
		}
		if (!str_in(operator, operators))
			bad_unsupported(c, PATH(c, "%s.exitCodes.operator", rule), operator, operators);
		if (n > RESTART_EXIT_CODES_MAX)
			bad_too_many(c, PATH(c, "%s.exitCodes.values", rule), n, RESTART_EXIT_CODES_MAX);
	}
}

static void check_resize_policy(struct pod_check *p, const char *at, const struct json *list)
{
	static const char *const resources[] = {"cpu", "memory", NULL};
	static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
	bool never = str_eq(json_path_str(p->spec, "restartPolicy"), "Never");
	struct check *c = p->c;
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(r, list) {
		const char *resource = str_or(json_path_str(r, "resourceName"), "");
		const char *policy = str_or(json_path_str(r, "restartPolicy"), "");
		if (map_set(&seen, resource, c))
			bad_duplicate(c, PATH(c, "%s[%zu]", at, i), resource);
		i++;
		if (!*resource)
			bad_required(c, at, NULL);
		else if (!str_in(resource, resources))
			bad_unsupported(c, at, resource, resources);
		if (!*policy)
			bad_required(c, at, NULL);
		else if (!str_in(policy, policies))
			bad_unsupported(c, at, policy, policies);
		if (never && !str_eq(policy, "NotRequired"))
			bad_invalid_str(c, at, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
	}
}

/* ---- one container ---- */

static bool is_padded(const char *s)
{
	return *s && (isspace((unsigned char)s[0]) || isspace((unsigned char)s[strlen(s) - 1]));
}

static void check_common(struct pod_check *p, const char *at, const struct json *ctr)
{
	static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
	static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};
	struct check *c = p->c;

	if (need_in(c, at, ctr, "name"))
		name_in(c, at, ctr, "name", name_check_dns1123_label);
	need_in(c, at, ctr, "image");
	choice_in(c, at, ctr, "terminationMessagePolicy", message_policies);
	if (json_get(ctr, "ports"))
		check_ports(c, PATH(c, "%s.ports", at), json_get(ctr, "ports"));
	check_env(p, at, ctr);
	check_mounts(p, at, ctr);
	choice_in(c, at, ctr, "imagePullPolicy", pull_policies);
	if (json_get(ctr, "resources"))
		check_container_resources(p, PATH(c, "%s.resources", at), json_get(ctr, "resources"));
	if (json_get(ctr, "resizePolicy"))
		check_resize_policy(p, PATH(c, "%s.resizePolicy", at), json_get(ctr, "resizePolicy"));
	if (json_get(ctr, "securityContext"))
		check_container_security(p, PATH(c, "%s.securityContext", at), json_get(ctr, "securityContext"));
}

/* p->containers tells a name's list: ephemeral containers can't be targets of others. */
static char lasting, passing;

static void check_unique_name(struct pod_check *p, const char *at, const struct json *ctr, char *list)
{
	const char *name = str_or(json_path_str(ctr, "name"), "");

	if (map_has(&p->containers, name))
		bad_duplicate(p->c, PATH(p->c, "%s.name", at), name);
	else if (*name)
		map_set(&p->containers, name, list);
}

static void check_regular(struct pod_check *p, const char *at, const struct json *ctr)
{
	check_common(p, at, ctr);
	check_unique_name(p, at, ctr, &lasting);
	check_probes(p, at, ctr);
	check_restart(p->c, at, ctr);
}

static void check_init(struct pod_check *p, const char *at, const struct json *ctr)
{
	static const char *const sidecars_only[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"};
	_cleanup_names_ struct map taken = MAP_INIT;

	check_common(p, at, ctr);
	check_restart(p->c, at, ctr);
	check_unique_name(p, at, ctr, &lasting);
	check_host_ports(p->c, at, json_get(ctr, "ports"), &taken);
	if (container_is_sidecar(ctr)) {
		check_probes(p, at, ctr);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sidecars_only); i++)
		forbid_in(p->c, at, ctr, sidecars_only[i],
			  "may not be set for init containers without restartPolicy=Always");
}

/* A guest for debugging: nothing that the pod could come to depend on. */
static void check_ephemeral(struct pod_check *p, const char *at, const struct json *ctr)
{
	static const char *const forbidden[] = {"ports",	  "resources",		"resizePolicy",
						"restartPolicy",  "restartPolicyRules", "livenessProbe",
						"readinessProbe", "startupProbe",	"lifecycle"};
	static const char why[] = "cannot be set for an Ephemeral Container";
	const char *target = json_path_str(ctr, "targetContainerName"),
		   *image = str_or(json_path_str(ctr, "image"), "");
	struct check *c = p->c;
	size_t i = 0;

	check_common(p, at, ctr);
	if (is_padded(image))
		bad_invalid_str(c, PATH(c, "%s.image", at), image, "must not have leading or trailing whitespace");
	check_unique_name(p, at, ctr, &passing);
	if (!str_empty(target) && map_get(&p->containers, target) != &lasting)
		bad_not_found(c, PATH(c, "%s.targetContainerName", at), target);
	for (size_t k = 0; k < ARRAY_SIZE(forbidden); k++) {
		const struct json *v = json_get(ctr, forbidden[k]);
		if (v && (v->type < JSON_ARRAY || json_len(v)))
			bad_forbidden(c, PATH(c, "%s.%s", at, forbidden[k]), why);
	}
	EACH_ITEM(m, json_get(ctr, "volumeMounts")) {
		const char *mount = PATH(c, "%s.volumeMounts[%zu]", at, i++);
		forbid_in(c, mount, m, "subPath", why);
		forbid_in(c, mount, m, "subPathExpr", why);
	}
}

/* ---- the lists ---- */

static void check_list(struct pod_check *p, const char *list,
		       void (*fn)(struct pod_check *, const char *, const struct json *))
{
	size_t i = 0;

	EACH_ITEM(ctr, json_get(p->spec, list))
		fn(p, PATH(p->c, "%s.%s[%zu]", p->path, list, i++), ctr);
}

static void take_host_ports(struct pod_check *p, const char *at, const struct json *ctr)
{
	check_host_ports(p->c, at, json_get(ctr, "ports"), &p->host_ports);
}

void check_containers(struct pod_check *p)
{
	if (!json_len(json_get(p->spec, "containers")))
		bad_required(p->c, PATH(p->c, "%s.containers", p->path), NULL);
	check_list(p, "containers", check_regular);
	check_list(p, "containers", take_host_ports);
	check_list(p, "initContainers", check_init);
	check_list(p, "ephemeralContainers", check_ephemeral);
}
