/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and their templates: labels and volumes of old, what hides or repeats something, selectors that match nothing.
 */
#include <string.h>

#include "api/meta.h"
#include "api/warnings_internal.h"
#include "base/map.h"
#include "base/str.h"

#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"
#define APPARMOR_CONTAINER "container.apparmor.security.beta.kubernetes.io/"
#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static void names_release(struct map *m)
{
	map_release(m, NULL);
}
#define _cleanup_names_ _cleanup_(names_release)

/* ---- nodes ---- */

static const char *label_since(const char *key)
{
	static const struct {
		const char *key, *text;
	} labels[] = {
	    {"beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
	    {"beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"},
	    {"beta.kubernetes.io/instance-type",
	     "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"},
	    {"failure-domain.beta.kubernetes.io/region",
	     "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
	    {"failure-domain.beta.kubernetes.io/zone",
	     "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (str_eq(labels[i].key, key))
			return labels[i].text;
	return NULL;
}

static void warn_of_node_term(struct warner *w, const char *path, const struct json *term)
{
	size_t i = 0;

	EACH_ITEM(e, json_get(term, "matchExpressions")) {
		const char *key = json_path_str(e, "key"), *since = label_since(key);
		if (since)
			tell(w, AT(w, "%s.matchExpressions[%zu].key: %s is %s", path, i, key, since));
		i++;
	}
}

void warn_of_node_terms(struct warner *w, const char *path, const struct json *terms)
{
	size_t i = 0;

	EACH_ITEM(t, terms)
		warn_of_node_term(w, AT(w, "%s[%zu]", path, i++), t);
}

static void warn_of_nodes(struct warner *w, const char *prefix, const struct json *spec)
{
	const struct json *affinity = json_path(spec, "affinity.nodeAffinity");
	size_t i = 0;

	JSON_EACH(s, json_get(spec, "nodeSelector"))
		if (label_since(s->key))
			tell(w, AT(w, "%sspec.nodeSelector[%s]: %s", prefix, s->key, label_since(s->key)));
	warn_of_node_terms(w, AT(w, "%sspec.affinity.nodeAffinity." REQUIRED ".nodeSelectorTerms", prefix),
			   json_get(json_get(affinity, REQUIRED), "nodeSelectorTerms"));
	EACH_ITEM(t, json_get(affinity, PREFERRED))
		warn_of_node_term(w, AT(w, "%sspec.affinity.nodeAffinity." PREFERRED "[%zu].preference", prefix, i++),
				  json_get(t, "preference"));
	i = 0;
	EACH_ITEM(t, json_get(spec, "topologySpreadConstraints")) {
		const char *at = AT(w, "%sspec.topologySpreadConstraints[%zu]", prefix, i++);
		const char *key = json_path_str(t, "topologyKey");
		if (label_since(key))
			tell(w, AT(w, "%s.topologyKey: %s is %s", at, key, label_since(key)));
		if (!json_get(t, "labelSelector"))
			tell(w, AT(w, "%s.labelSelector: a null labelSelector results in matching no pod", at));
	}
}

/* ---- pods beside this one ---- */

static void warn_of_pod_terms(struct warner *w, const char *path, const struct json *affinity)
{
	static const char none[] = "a null labelSelector results in matching no pod";
	size_t i = 0;

	EACH_ITEM(t, json_get(affinity, REQUIRED)) {
		if (!json_get(t, "labelSelector"))
			tell(w, AT(w, "%s." REQUIRED "[%zu].labelSelector: %s", path, i, none));
		i++;
	}
	i = 0;
	EACH_ITEM(t, json_get(affinity, PREFERRED)) {
		if (!json_path(t, "podAffinityTerm.labelSelector"))
			tell(w, AT(w, "%s." PREFERRED "[%zu].podAffinityTerm.labelSelector: %s", path, i, none));
		i++;
	}
}

/* ---- annotations ---- */

static void warn_of_annotations(struct warner *w, const char *prefix, const struct json *pod)
{
	static const struct {
		const char *key, *text;
	} gone[] = {
	    {"scheduler.alpha.kubernetes.io/critical-pod",
	     "non-functional in v1.16+; use the \"priorityClassName\" field instead"},
	    {"security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"},
	    {"security.alpha.kubernetes.io/unsafe-sysctls",
	     "non-functional in v1.11+; use the \"sysctls\" field instead"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		if (meta_annotation(pod, gone[i].key))
			tell(w, AT(w, "%smetadata.annotations[%s]: %s", prefix, gone[i].key, gone[i].text));
}

static void warn_of_seccomp(struct warner *w, const char *prefix, const struct json *pod, const struct json *holder,
			    const char *key)
{
	if (!json_path(holder, "securityContext.seccompProfile") && meta_annotation(pod, key))
		tell(
		    w,
		    AT(w,
		       "%smetadata.annotations[%s]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
		       prefix, key));
}

/* A Pod is told of it when its annotation becomes the field. */
static void warn_of_apparmor(struct warner *w, const char *prefix, const struct json *pod, const struct json *ctr)
{
	const char *key = AT(w, APPARMOR_CONTAINER "%s", str_or(json_path_str(ctr, "name"), ""));

	if (*prefix && meta_annotation(pod, key) && !json_path(ctr, "securityContext.appArmorProfile") &&
	    !json_path(pod, "spec.securityContext.appArmorProfile"))
		tell(w,
		     AT(w,
			"%smetadata.annotations[%s]: deprecated since v1.30; use the \"appArmorProfile\" field instead",
			prefix, key));
}

/* ---- what is said twice ---- */

static void warn_of_repeated(struct warner *w, const char *path, const struct json *list, const char *key)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(v, list) {
		const char *value = str_or(json_path_str(v, key), "");
		if (map_set(&seen, value, w))
			tell(w, AT(w, "%s[%zu].%s: duplicate %s \"%s\"", path, i, key, key, value));
		if (!*value && str_eq(key, "name"))
			tell(w, AT(w, "%s[%zu].name: invalid empty name \"\"", path, i));
		i++;
	}
}

/* A second definition that has nothing of the first: "$(A)" within it would be the first. */
static void warn_of_env(struct warner *w, const char *at, const struct json *env)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	if (json_len(env) < 2)
		return;
	EACH_ITEM(e, env) {
		const char *name = str_or(json_path_str(e, "name"), ""), *value = str_or(json_path_str(e, "value"), "");
		const char *ref = map_has(&seen, name) ? AT(w, "$(%s)", name) : "";
		if (map_set(&seen, name, w) && (json_get(e, "valueFrom") || str_eq(value, ref) || !strstr(value, ref)))
			tell(w, AT(w,
				   "%s.env[%zu]: hides previous definition of \"%s\", which may be dropped when using "
				   "apply",
				   at, i, name));
		i++;
	}
}

/* The first port at a key, which is remembered when there is none. */
static const char *first_at(struct map *ports, const char *key, const char *at)
{
	const char *first = map_get(ports, key);

	if (!first)
		map_set(ports, key, (void *)(uintptr_t)(const void *)at);
	return first;
}

/*
 * The same number and protocol again: with the same port of the host, or with none of it, or where the host's address
 * is said once and once not, which nobody defined.
 */
static void warn_of_port(struct warner *w, const char *at, const struct json *port, struct map *ports)
{
	const char *ip = str_or(json_path_str(port, "hostIP"), "");
	int64_t host = json_path_int(port, "hostPort", 0);
	const char *key = AT(w, "%lld/%s", (long long)json_path_int(port, "containerPort", 0),
			     str_or(json_path_str(port, "protocol"), ""));
	const char *same = first_at(ports, AT(w, "same/%s/%s/%lld", key, ip, (long long)host), at);
	const char *ambiguous = map_get(ports, AT(w, "%s/%s/%lld", *ip ? "any" : "one", key, (long long)host));
	const char *unset = map_get(ports, AT(w, "unset/%s", key)), *any = first_at(ports, key, at);

	if (host)
		first_at(ports, AT(w, "%s/%s/%lld", *ip ? "one" : "any", key, (long long)host), at);
	else
		first_at(ports, AT(w, "unset/%s", key), at);
	if (*ip && !host)
		tell(
		    w,
		    AT(w,
		       "%s: hostIP set without hostPort: {Name:%s HostPort:0 ContainerPort:%lld Protocol:%s HostIP:%s}",
		       at, str_or(json_path_str(port, "name"), ""), (long long)json_path_int(port, "containerPort", 0),
		       str_or(json_path_str(port, "protocol"), ""), ip));
	if (same)
		tell(w, AT(w, "%s: duplicate port definition with %s", at, same));
	else if (any && (!host || unset))
		tell(w, AT(w, "%s: overlapping port definition with %s", at, host ? unset : any));
	else if (host && ambiguous)
		tell(w, AT(w, "%s: dangerously ambiguous port definition with %s", at, ambiguous));
}

/* ---- containers ---- */

static void warn_of_container(struct warner *w, const char *prefix, const char *at, const struct json *pod,
			      const struct json *ctr)
{
	static const char *const lists[] = {"limits", "requests"};
	static const char *const amounts[] = {"memory", "ephemeral-storage"};

	warn_of_seccomp(w, prefix, pod, ctr, AT(w, SECCOMP_CONTAINER "%s", str_or(json_path_str(ctr, "name"), "")));
	warn_of_apparmor(w, prefix, pod, ctr);
	for (size_t k = 0; k < ARRAY_SIZE(amounts); k++)
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			warn_of_fraction(w, AT(w, "%s.resources.%s", at, lists[i]),
					 json_get(json_get(ctr, "resources"), lists[i]), amounts[k]);
	warn_of_env(w, at, json_get(ctr, "env"));
}

static void warn_of_containers(struct warner *w, const char *prefix, const struct json *pod)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	_cleanup_names_ struct map ports = MAP_INIT;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;
		EACH_ITEM(ctr, json_get(json_get(pod, "spec"), lists[k]))
			warn_of_container(w, prefix, AT(w, "%sspec.%s[%zu]", prefix, lists[k], i++), pod, ctr);
	}
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;
		EACH_ITEM(ctr, json_get(json_get(pod, "spec"), lists[k])) {
			size_t p = 0;
			EACH_ITEM(port, json_get(ctr, "ports"))
				warn_of_port(w, AT(w, "%sspec.%s[%zu].ports[%zu]", prefix, lists[k], i, p++), port,
					     &ports);
			i++;
		}
	}
}

void warn_of_pod(struct warner *w, const char *prefix, const struct json *pod)
{
	const struct json *spec = json_get(pod, "spec");
	size_t i = 0;

	warn_of_nodes(w, prefix, spec);
	warn_of_annotations(w, prefix, pod);
	EACH_ITEM(v, json_get(spec, "volumes")) {
		const char *at = AT(w, "%sspec.volumes[%zu]", prefix, i++);
		warn_of_sources(w, at, v);
		warn_of_fraction(w, AT(w, "%s.ephemeral.volumeClaimTemplate.spec.resources.requests", at),
				 json_path(v, "ephemeral.volumeClaimTemplate.spec.resources.requests"), "storage");
	}
	warn_of_repeated(w, AT(w, "%sspec.hostAliases", prefix), json_get(spec, "hostAliases"), "ip");
	warn_of_repeated(w, AT(w, "%sspec.imagePullSecrets", prefix), json_get(spec, "imagePullSecrets"), "name");
	warn_of_fraction(w, AT(w, "%sspec.overhead", prefix), json_get(spec, "overhead"), "memory");
	warn_of_fraction(w, AT(w, "%sspec.overhead", prefix), json_get(spec, "overhead"), "ephemeral-storage");
	warn_of_seccomp(w, prefix, pod, spec, SECCOMP_POD);
	warn_of_containers(w, prefix, pod);
	if (json_path_int(spec, "terminationGracePeriodSeconds", 0) < 0)
		tell(w,
		     AT(w,
			"%sspec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
			"treated as 1",
			prefix));
	warn_of_pod_terms(w, AT(w, "%sspec.affinity.podAffinity", prefix), json_path(spec, "affinity.podAffinity"));
	warn_of_pod_terms(w, AT(w, "%sspec.affinity.podAntiAffinity", prefix),
			  json_path(spec, "affinity.podAntiAffinity"));
}
