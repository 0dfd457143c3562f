/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pod_security.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"

/* ---- words of findings ---- */

struct words {
	const char **at;
	size_t n, cap;
};

static void words_add(struct arena *a, struct words *w, const char *word)
{
	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 8;
		const char **at = arena_alloc(a, cap * sizeof(*at));
		if (w->n)
			memcpy(at, w->at, w->n * sizeof(*at));
		w->at = at;
		w->cap = cap;
	}
	w->at[w->n++] = word;
}

/* Sorted, each once. */
static void words_insert(struct arena *a, struct words *w, const char *word)
{
	size_t i = 0;
	while (i < w->n && strcmp(w->at[i], word) < 0)
		i++;
	if (i < w->n && str_eq(w->at[i], word))
		return;
	words_add(a, w, word);
	memmove(&w->at[i + 1], &w->at[i], (w->n - 1 - i) * sizeof(*w->at));
	w->at[i] = word;
}

static const char *join(struct arena *a, const struct words *w, const char *between, const char *quote)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	for (size_t i = 0; i < w->n; i++)
		buf_addf(&out, "%s%s%s%s", i ? between : "", quote, w->at[i], quote);
	return arena_strdup(a, buf_str(&out));
}

static const char *quoted(struct arena *a, const struct words *w)
{
	return join(a, w, ", ", "\"");
}

static const char *plural(const char *one, const char *many, size_t n)
{
	return n == 1 ? one : many;
}

/* ---- the judgement under way ---- */

struct check {
	struct arena *a;
	const struct json *metadata, *spec;
	int minor;
	/* The finding: both NULL while there is none. */
	const char *reason, *detail;
};

static const char *const container_lists[] = {"initContainers", "containers", "ephemeralContainers"};

#define EACH_CONTAINER(c, spec)                                                                                        \
	for (size_t c##_list = 0; c##_list < ARRAY_SIZE(container_lists); c##_list++)                                  \
		JSON_EACH(c, json_get(spec, container_lists[c##_list]))

static const struct json *security(const struct json *of)
{
	return json_get(of, "securityContext");
}

static const char *name_of(const struct json *v)
{
	return str_or(json_path_str(v, "name"), "");
}

/* `container "a"`, `containers "a", "b"` */
static const char *containers_text(struct arena *a, const struct words *names)
{
	return arena_printf(a, "%s %s", plural("container", "containers", names->n), quoted(a, names));
}

/* `pod and container "a"`; "" when nobody is to blame. */
static const char *setters_text(struct arena *a, bool pod, const struct words *containers)
{
	struct words all = {0};
	if (pod)
		words_add(a, &all, "pod");
	if (containers->n)
		words_add(a, &all, containers_text(a, containers));
	return join(a, &all, " and ", "");
}

/* A pod with a user namespace of its own may do what is harmless there (since v1.35). */
static bool own_users(const struct check *c)
{
	return c->minor >= 35 && !json_path_bool(c->spec, "hostUsers", true);
}

static bool windows(const struct check *c)
{
	return c->minor >= 25 && str_eq(json_path_str(c->spec, "os.name"), "windows");
}

/* ---- baseline ---- */

static bool app_armor_type_allowed(const struct json *profile)
{
	const char *type = json_path_str(profile, "type");
	return !profile || str_eq(type, "RuntimeDefault") || str_eq(type, "Localhost");
}

static void app_armor(struct check *c)
{
	static const char prefix[] = "container.apparmor.security.beta.kubernetes.io/";
	struct words setters = {0}, containers = {0}, values = {0}, annotations = {0};
	const struct json *profile = json_get(security(c->spec), "appArmorProfile");
	if (!app_armor_type_allowed(profile)) {
		words_add(c->a, &setters, "pod");
		words_insert(c->a, &values, str_or(json_path_str(profile, "type"), ""));
	}
	EACH_CONTAINER(k, c->spec)
	{
		profile = json_get(security(k), "appArmorProfile");
		if (app_armor_type_allowed(profile))
			continue;
		words_add(c->a, &containers, name_of(k));
		words_insert(c->a, &values, str_or(json_path_str(profile, "type"), ""));
	}
	if (containers.n)
		words_add(c->a, &setters, containers_text(c->a, &containers));
	JSON_EACH(v, json_get(c->metadata, "annotations")) {
		const char *text = str_or(json_str(v), "");
		if (str_has_prefix(v->key, prefix) && *text && !str_eq(text, "runtime/default") &&
		    !str_has_prefix(text, "localhost/"))
			words_insert(c->a, &annotations, arena_printf(c->a, "%s=\"%s\"", v->key, text));
	}
	if (annotations.n)
		words_add(c->a, &setters, plural("annotation", "annotations", annotations.n));
	for (size_t i = 0; i < annotations.n; i++)
		words_add(c->a, &values, annotations.at[i]);
	if (!setters.n)
		return;
	c->reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.n);
	c->detail = arena_printf(c->a, "%s must not set AppArmor profile type to %s", join(c->a, &setters, " and ", ""),
				 quoted(c->a, &values));
}

static void capabilities_baseline(struct check *c)
{
	static const char *const allowed[] = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",	   "FOWNER",  "FSETID",
					      "KILL",	     "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
					      "SETPCAP",     "SETUID", "SYS_CHROOT",	   NULL};
	struct words containers = {0}, added = {0};
	EACH_CONTAINER(k, c->spec)
	{
		bool bad = false;
		JSON_EACH(v, json_path(security(k), "capabilities.add")) {
			const char *name = str_or(json_str(v), "");
			if (str_in(name, allowed))
				continue;
			bad = true;
			words_insert(c->a, &added, name);
		}
		if (bad)
			words_add(c->a, &containers, name_of(k));
	}
	if (!containers.n)
		return;
	c->reason = "non-default capabilities";
	c->detail = arena_printf(c->a, "%s must not include %s in securityContext.capabilities.add",
				 containers_text(c->a, &containers), quoted(c->a, &added));
}

static void host_namespaces(struct check *c)
{
	static const char *const names[] = {"hostNetwork", "hostPID", "hostIPC"};
	struct words set = {0};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_path_bool(c->spec, names[i], false))
			words_add(c->a, &set, arena_printf(c->a, "%s=true", names[i]));
	if (!set.n)
		return;
	c->reason = "host namespaces";
	c->detail = join(c->a, &set, ", ", "");
}

static void host_path_volumes(struct check *c)
{
	struct words volumes = {0};
	JSON_EACH(v, json_get(c->spec, "volumes"))
		if (json_get(v, "hostPath"))
			words_add(c->a, &volumes, name_of(v));
	if (!volumes.n)
		return;
	c->reason = "hostPath volumes";
	c->detail = arena_printf(c->a, "%s %s", plural("volume", "volumes", volumes.n), quoted(c->a, &volumes));
}

static void host_ports(struct check *c)
{
	struct words containers = {0}, ports = {0};
	EACH_CONTAINER(k, c->spec)
	{
		bool bad = false;
		JSON_EACH(p, json_get(k, "ports")) {
			int64_t port = json_path_int(p, "hostPort", 0);
			if (!port)
				continue;
			bad = true;
			words_insert(c->a, &ports, arena_printf(c->a, "%lld", (long long)port));
		}
		if (bad)
			words_add(c->a, &containers, name_of(k));
	}
	if (!containers.n)
		return;
	c->reason = "hostPort";
	c->detail =
	    arena_printf(c->a, "%s %s %s %s", containers_text(c->a, &containers), plural("uses", "use", containers.n),
			 plural("hostPort", "hostPorts", ports.n), join(c->a, &ports, ", ", ""));
}

/* Probes and hooks come from the node: with a host of their own they reach what the pod may not. */
static void host_probes(struct check *c)
{
	static const char *const handlers[] = {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart",
					       "lifecycle.preStop"};
	static const char *const actions[] = {"httpGet", "tcpSocket"};
	struct words containers = {0}, hosts = {0};
	if (c->minor < 34)
		return;
	EACH_CONTAINER(k, c->spec)
	for (size_t h = 0; h < ARRAY_SIZE(handlers); h++)
		for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
			const struct json *action = json_get(json_path(k, handlers[h]), actions[i]);
			const char *host = json_path_str(action, "host");
			if (str_empty(host))
				continue;
			words_insert(c->a, &containers, name_of(k));
			words_insert(c->a, &hosts, host);
		}
	if (!containers.n)
		return;
	c->reason = "probe or lifecycle host";
	c->detail =
	    arena_printf(c->a, "%s %s %s %s", containers_text(c->a, &containers), plural("uses", "use", containers.n),
			 plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.n), quoted(c->a, &hosts));
}

static void privileged(struct check *c)
{
	struct words containers = {0};
	EACH_CONTAINER(k, c->spec)
	if (json_path_bool(security(k), "privileged", false))
		words_add(c->a, &containers, name_of(k));
	if (!containers.n)
		return;
	c->reason = "privileged";
	c->detail =
	    arena_printf(c->a, "%s must not set securityContext.privileged=true", containers_text(c->a, &containers));
}

static void default_proc_mount(struct check *c)
{
	struct words containers = {0}, types = {0};
	EACH_CONTAINER(k, c->spec)
	{
		const char *type = json_path_str(security(k), "procMount");
		if (!type || str_eq(type, "Default"))
			continue;
		words_add(c->a, &containers, name_of(k));
		words_insert(c->a, &types, type);
	}
	if (!containers.n)
		return;
	c->reason = "procMount";
	c->detail = arena_printf(c->a, "%s must not set securityContext.procMount to %s",
				 containers_text(c->a, &containers), quoted(c->a, &types));
}

static void proc_mount_baseline(struct check *c)
{
	if (!own_users(c))
		default_proc_mount(c);
}

struct selinux {
	struct words types;
	bool user, role;
};

static bool selinux_allowed(struct check *c, const struct json *options, struct selinux *s)
{
	static const char *const allowed[] = {"", "container_t", "container_init_t", "container_kvm_t", NULL};
	const char *type = str_or(json_path_str(options, "type"), "");
	bool ok = str_in(type, allowed) || (c->minor >= 31 && str_eq(type, "container_engine_t"));
	bool user = !str_empty(json_path_str(options, "user")), role = !str_empty(json_path_str(options, "role"));
	if (!ok)
		words_insert(c->a, &s->types, type);
	s->user |= user;
	s->role |= role;
	return ok && !user && !role;
}

static void selinux_options(struct check *c)
{
	struct selinux s = {0};
	struct words containers = {0}, data = {0};
	bool pod = !selinux_allowed(c, json_get(security(c->spec), "seLinuxOptions"), &s);
	EACH_CONTAINER(k, c->spec)
	if (!selinux_allowed(c, json_get(security(k), "seLinuxOptions"), &s))
		words_add(c->a, &containers, name_of(k));
	if (!pod && !containers.n)
		return;
	if (s.types.n)
		words_add(c->a, &data,
			  arena_printf(c->a, "%s %s", plural("type", "types", s.types.n), quoted(c->a, &s.types)));
	if (s.user)
		words_add(c->a, &data, "user may not be set");
	if (s.role)
		words_add(c->a, &data, "role may not be set");
	c->reason = "seLinuxOptions";
	c->detail = arena_printf(c->a, "%s set forbidden securityContext.seLinuxOptions: %s",
				 setters_text(c->a, pod, &containers), join(c->a, &data, "; ", ""));
}

static bool seccomp_type_allowed(const struct json *profile)
{
	const char *type = json_path_str(profile, "type");
	return str_eq(type, "RuntimeDefault") || str_eq(type, "Localhost");
}

/* Before v1.19 profiles were annotations. */
static void seccomp_annotation(struct check *c, const char *key, struct words *bad)
{
	const char *v = json_str(json_get(json_get(c->metadata, "annotations"), key));
	if (v && !str_eq(v, "runtime/default") && !str_eq(v, "docker/default") && !str_has_prefix(v, "localhost/"))
		words_insert(c->a, bad, arena_printf(c->a, "%s=\"%s\"", key, v));
}

static void seccomp_annotations(struct check *c)
{
	struct words bad = {0};
	seccomp_annotation(c, "seccomp.security.alpha.kubernetes.io/pod", &bad);
	EACH_CONTAINER(k, c->spec)
	seccomp_annotation(c, arena_printf(c->a, "container.seccomp.security.alpha.kubernetes.io/%s", name_of(k)),
			   &bad);
	if (!bad.n)
		return;
	c->reason = "seccompProfile";
	c->detail = arena_printf(c->a, "forbidden %s %s", plural("annotation", "annotations", bad.n),
				 join(c->a, &bad, ", ", ""));
}

/* must: somebody has to choose a profile (restricted). */
static void seccomp_fields(struct check *c, bool must)
{
	struct words containers = {0}, values = {0}, silent = {0};
	const struct json *profile = json_get(security(c->spec), "seccompProfile");
	bool pod_bad = profile && !seccomp_type_allowed(profile), pod_set = profile && !pod_bad;
	if (pod_bad)
		words_insert(c->a, &values, str_or(json_path_str(profile, "type"), ""));
	EACH_CONTAINER(k, c->spec)
	{
		profile = json_get(security(k), "seccompProfile");
		if (!profile) {
			if (!pod_set)
				words_add(c->a, &silent, name_of(k));
		} else if (!seccomp_type_allowed(profile)) {
			words_add(c->a, &containers, name_of(k));
			words_insert(c->a, &values, str_or(json_path_str(profile, "type"), ""));
		}
	}
	if (!pod_bad && !containers.n && !(must && silent.n))
		return;
	c->reason = "seccompProfile";
	if (pod_bad || containers.n)
		c->detail = arena_printf(c->a, "%s must not set securityContext.seccompProfile.type to %s",
					 setters_text(c->a, pod_bad, &containers), quoted(c->a, &values));
	else
		c->detail = arena_printf(
		    c->a,
		    "pod or %s must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
		    containers_text(c->a, &silent));
}

static void seccomp_baseline(struct check *c)
{
	if (c->minor < 19)
		seccomp_annotations(c);
	else
		seccomp_fields(c, false);
}

static void sysctls(struct check *c)
{
	static const struct {
		const char *name;
		int since;
	} allowed[] = {
	    {"kernel.shm_rmid_forced", 0},
	    {"net.ipv4.ip_local_port_range", 0},
	    {"net.ipv4.tcp_syncookies", 0},
	    {"net.ipv4.ping_group_range", 0},
	    {"net.ipv4.ip_unprivileged_port_start", 0},
	    {"net.ipv4.ip_local_reserved_ports", 27},
	    {"net.ipv4.tcp_keepalive_time", 29},
	    {"net.ipv4.tcp_fin_timeout", 29},
	    {"net.ipv4.tcp_keepalive_intvl", 29},
	    {"net.ipv4.tcp_keepalive_probes", 29},
	    {"net.ipv4.tcp_rmem", 32},
	    {"net.ipv4.tcp_wmem", 32},
	    {"net.ipv4.tcp_slow_start_after_idle", 37},
	    {"net.ipv4.tcp_notsent_lowat", 37},
	};
	struct words bad = {0};
	JSON_EACH(s, json_get(security(c->spec), "sysctls")) {
		bool ok = false;
		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			ok |= c->minor >= allowed[i].since && str_eq(name_of(s), allowed[i].name);
		if (!ok)
			words_add(c->a, &bad, name_of(s));
	}
	if (!bad.n)
		return;
	c->reason = "forbidden sysctls";
	c->detail = join(c->a, &bad, ", ", "");
}

static void windows_host_process(struct check *c)
{
	struct words containers = {0};
	bool pod = json_path_bool(security(c->spec), "windowsOptions.hostProcess", false);
	EACH_CONTAINER(k, c->spec)
	if (json_path_bool(security(k), "windowsOptions.hostProcess", false))
		words_add(c->a, &containers, name_of(k));
	if (!pod && !containers.n)
		return;
	c->reason = "hostProcess";
	c->detail = arena_printf(c->a, "%s must not set securityContext.windowsOptions.hostProcess=true",
				 setters_text(c->a, pod, &containers));
}

/* ---- restricted ---- */

static void privilege_escalation(struct check *c)
{
	struct words containers = {0};
	if (c->minor < 8 || windows(c))
		return;
	EACH_CONTAINER(k, c->spec)
	if (json_path_bool(security(k), "allowPrivilegeEscalation", true))
		words_add(c->a, &containers, name_of(k));
	if (!containers.n)
		return;
	c->reason = "allowPrivilegeEscalation != false";
	c->detail = arena_printf(c->a, "%s must set securityContext.allowPrivilegeEscalation=false",
				 containers_text(c->a, &containers));
}

static void capabilities_restricted(struct check *c)
{
	struct words keeping = {0}, adding = {0}, added = {0}, details = {0};
	if (windows(c))
		return;
	EACH_CONTAINER(k, c->spec)
	{
		bool dropped = false, bad = false;
		JSON_EACH(v, json_path(security(k), "capabilities.drop"))
			dropped |= str_eq(json_str(v), "ALL");
		if (!dropped)
			words_add(c->a, &keeping, name_of(k));
		JSON_EACH(v, json_path(security(k), "capabilities.add")) {
			if (str_eq(json_str(v), "NET_BIND_SERVICE"))
				continue;
			bad = true;
			words_insert(c->a, &added, str_or(json_str(v), ""));
		}
		if (bad)
			words_add(c->a, &adding, name_of(k));
	}
	if (keeping.n)
		words_add(c->a, &details,
			  arena_printf(c->a, "%s must set securityContext.capabilities.drop=[\"ALL\"]",
				       containers_text(c->a, &keeping)));
	if (adding.n)
		words_add(c->a, &details,
			  arena_printf(c->a, "%s must not include %s in securityContext.capabilities.add",
				       containers_text(c->a, &adding), quoted(c->a, &added)));
	if (!details.n)
		return;
	c->reason = "unrestricted capabilities";
	c->detail = join(c->a, &details, "; ", "");
}

static void restricted_volumes(struct check *c)
{
	static const char *const allowed[] = {"configMap", "csi",   "downwardAPI",	     "emptyDir",
					      "ephemeral", "image", "persistentVolumeClaim", "projected",
					      "secret",	   NULL};
	struct words volumes = {0}, types = {0};
	JSON_EACH(v, json_get(c->spec, "volumes")) {
		const char *type = NULL;
		bool ok = false;
		JSON_EACH(source, v) {
			if (str_eq(source->key, "name"))
				continue;
			ok |= str_in(source->key, allowed);
			type = source->key;
		}
		if (ok)
			continue;
		words_add(c->a, &volumes, name_of(v));
		words_insert(c->a, &types, str_or(type, "unknown"));
	}
	if (!volumes.n)
		return;
	c->reason = "restricted volume types";
	c->detail =
	    arena_printf(c->a, "%s %s %s %s %s", plural("volume", "volumes", volumes.n), quoted(c->a, &volumes),
			 plural("uses", "use", volumes.n),
			 plural("restricted volume type", "restricted volume types", types.n), quoted(c->a, &types));
}

static void run_as_non_root(struct check *c)
{
	struct words bad = {0}, silent = {0};
	const struct json *v = json_get(security(c->spec), "runAsNonRoot");
	bool pod_bad = v && !json_bool(v, false), pod_set = v && !pod_bad;
	if (own_users(c))
		return;
	EACH_CONTAINER(k, c->spec)
	{
		v = json_get(security(k), "runAsNonRoot");
		if (v && !json_bool(v, false))
			words_add(c->a, &bad, name_of(k));
		else if (!v && !pod_set)
			words_add(c->a, &silent, name_of(k));
	}
	if (!pod_bad && !bad.n && !silent.n)
		return;
	c->reason = "runAsNonRoot != true";
	if (pod_bad || bad.n)
		c->detail = arena_printf(c->a, "%s must not set securityContext.runAsNonRoot=false",
					 setters_text(c->a, pod_bad, &bad));
	else
		c->detail = arena_printf(c->a, "pod or %s must set securityContext.runAsNonRoot=true",
					 containers_text(c->a, &silent));
}

static void run_as_user(struct check *c)
{
	struct words bad = {0};
	bool pod = json_path_int(security(c->spec), "runAsUser", 1) == 0;
	if (c->minor < 23 || own_users(c))
		return;
	EACH_CONTAINER(k, c->spec)
	if (json_path_int(security(k), "runAsUser", 1) == 0)
		words_add(c->a, &bad, name_of(k));
	if (!pod && !bad.n)
		return;
	c->reason = "runAsUser=0";
	c->detail = arena_printf(c->a, "%s must not set runAsUser=0", setters_text(c->a, pod, &bad));
}

static void seccomp_restricted(struct check *c)
{
	if (!windows(c))
		seccomp_fields(c, true);
}

/* ---- all of them ---- */

/*
 * In the order in which findings are told. A restricted check takes the place of a baseline one (instead_of) from the
 * version on in which it exists.
 */
static const struct rule {
	const char *id;
	enum pod_security_level level;
	int since;
	void (*judge)(struct check *c);
	const char *instead_of;
} rules[] = {
    {"appArmorProfile", POD_SECURITY_BASELINE, 0, app_armor, NULL},
    {"capabilities_baseline", POD_SECURITY_BASELINE, 0, capabilities_baseline, NULL},
    {"hostNamespaces", POD_SECURITY_BASELINE, 0, host_namespaces, NULL},
    {"hostPathVolumes", POD_SECURITY_BASELINE, 0, host_path_volumes, NULL},
    {"hostPorts", POD_SECURITY_BASELINE, 0, host_ports, NULL},
    {"hostProbesAndHostLifecycle", POD_SECURITY_BASELINE, 34, host_probes, NULL},
    {"privileged", POD_SECURITY_BASELINE, 0, privileged, NULL},
    {"procMount", POD_SECURITY_BASELINE, 0, proc_mount_baseline, NULL},
    {"seLinuxOptions", POD_SECURITY_BASELINE, 0, selinux_options, NULL},
    {"seccompProfile_baseline", POD_SECURITY_BASELINE, 0, seccomp_baseline, NULL},
    {"sysctls", POD_SECURITY_BASELINE, 0, sysctls, NULL},
    {"windowsHostProcess", POD_SECURITY_BASELINE, 0, windows_host_process, NULL},
    {"allowPrivilegeEscalation", POD_SECURITY_RESTRICTED, 8, privilege_escalation, NULL},
    {"capabilities_restricted", POD_SECURITY_RESTRICTED, 22, capabilities_restricted, "capabilities_baseline"},
    {"procMount_restricted", POD_SECURITY_RESTRICTED, 35, default_proc_mount, "procMount"},
    {"restrictedVolumes", POD_SECURITY_RESTRICTED, 0, restricted_volumes, "hostPathVolumes"},
    {"runAsNonRoot", POD_SECURITY_RESTRICTED, 0, run_as_non_root, NULL},
    {"runAsUser", POD_SECURITY_RESTRICTED, 23, run_as_user, NULL},
    {"seccompProfile_restricted", POD_SECURITY_RESTRICTED, 19, seccomp_restricted, "seccompProfile_baseline"},
};

static bool in_force(const struct rule *r, struct pod_security_policy p)
{
	if (r->level > p.level || r->since > p.minor)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (str_eq(rules[i].instead_of, r->id) && in_force(&rules[i], p))
			return false;
	return true;
}

bool pod_security_check(struct arena *a, struct pod_security_policy p, const struct json *metadata,
			const struct json *spec, const char **ret_details, const char **ret_reasons)
{
	struct words details = {0}, reasons = {0};
	if (p.level == POD_SECURITY_PRIVILEGED)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct check c = {.a = a, .metadata = metadata, .spec = spec, .minor = p.minor};
		if (!in_force(&rules[i], p))
			continue;
		rules[i].judge(&c);
		if (!c.reason)
			continue;
		words_add(a, &reasons, c.reason);
		words_add(a, &details, arena_printf(a, "%s (%s)", c.reason, c.detail));
	}
	if (!reasons.n)
		return true;
	*ret_details = join(a, &details, ", ", "");
	*ret_reasons = join(a, &reasons, ", ", "");
	return false;
}

/* ---- names ---- */

static const char *const levels[] = {"privileged", "baseline", "restricted"};

const char *pod_security_text(struct arena *a, struct pod_security_policy p)
{
	if (p.minor == POD_SECURITY_LATEST)
		return arena_printf(a, "%s:latest", levels[p.level]);
	return arena_printf(a, "%s:v1.%d", levels[p.level], p.minor);
}

bool pod_security_parse_level(const char *text, enum pod_security_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (str_eq(text, levels[i])) {
			*ret = (enum pod_security_level)i;
			return true;
		}
	*ret = POD_SECURITY_RESTRICTED;
	return false;
}

bool pod_security_parse_version(const char *text, int *ret_minor)
{
	const char *digits = str_after(text, "v1.");
	int64_t n;
	*ret_minor = POD_SECURITY_LATEST;
	if (str_eq(text, "latest"))
		return true;
	if (!digits || (digits[0] == '0' && digits[1]) || parse_int_range(digits, 0, POD_SECURITY_LATEST - 1, &n) < 0)
		return false;
	*ret_minor = (int)n;
	return true;
}
