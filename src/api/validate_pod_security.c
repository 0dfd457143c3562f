/* SPDX-License-Identifier: Apache-2.0 */
/* Security contexts of a pod and its containers, and what an operating system rules out. */
#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

#define APPARMOR_PROFILE_MAX 4095 /* PATH_MAX without its NUL */
#define GMSA_SPEC_MAX (64 * 1024)
#define WINDOWS_DOMAIN_MAX 256
#define WINDOWS_USER_MAX 104
#define NETBIOS_NAME_MAX 15

/* ---- profiles ---- */

static const char *const profile_types[] = {"Localhost", "RuntimeDefault", "Unconfined", NULL};

static void check_seccomp(struct check *c, const char *at, const struct json *profile)
{
	const char *type = str_or(json_path_str(profile, "type"), ""),
		   *file = json_path_str(profile, "localhostProfile");
	const char *file_at = PATH(c, "%s.localhostProfile", at);

	if (!*type)
		bad_required(c, PATH(c, "%s.type", at), "type is required when seccompProfile is set");
	else if (!str_in(type, profile_types))
		bad_unsupported(c, PATH(c, "%s.type", at), type, profile_types);
	if (!str_eq(type, "Localhost")) {
		if (file)
			bad_invalid(c, file_at, profile, "can only be set when seccomp type is Localhost");
	} else if (!file) {
		bad_required(c, file_at, "must be set when seccomp type is Localhost");
	} else {
		check_relative_path(c, file_at, file);
	}
}

static void check_apparmor(struct check *c, const char *at, const struct json *profile)
{
	const char *type = str_or(json_path_str(profile, "type"), ""),
		   *file = json_path_str(profile, "localhostProfile");
	const char *file_at = PATH(c, "%s.localhostProfile", at);

	if (!*type) {
		bad_required(c, PATH(c, "%s.type", at), "type is required when appArmorProfile is set");
	} else if (!str_in(type, profile_types)) {
		bad_unsupported(c, PATH(c, "%s.type", at), type, profile_types);
	} else if (!str_eq(type, "Localhost")) {
		if (file)
			bad_invalid_str(c, file_at, file, "can only be set when AppArmor type is Localhost");
	} else if (str_empty(file)) {
		bad_required(c, file_at, "must be set when AppArmor type is Localhost");
	} else if (isspace((unsigned char)file[0]) || isspace((unsigned char)file[strlen(file) - 1])) {
		bad_invalid_str(c, file_at, file, "must not be padded with whitespace");
	} else if (strlen(file) > APPARMOR_PROFILE_MAX) {
		bad_too_long(c, file_at, APPARMOR_PROFILE_MAX);
	}
}

/* ---- windows ---- */

/* 1 to 15 of anything but \ / : * ? " < > |, not beginning with a dot. */
static bool is_netbios(const char *s, size_t n)
{
	if (!n || n > NETBIOS_NAME_MAX || s[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (strchr("\\/:*?\"<>|", s[i]))
			return false;
	return true;
}

static const char *user_mistake(struct check *c, const char *s)
{
	const char *slash = strchr(s, '\\'), *user = slash ? slash + 1 : s;

	if (!*s)
		return "runAsUserName cannot be an empty string";
	for (const char *x = s; *x; x++)
		if (iscntrl((unsigned char)*x))
			return "runAsUserName cannot contain control characters";
	if (slash && strchr(user, '\\'))
		return "runAsUserName cannot contain more than one backslash";
	if (slash) {
		size_t n = (size_t)(slash - s);
		char *domain = arena_strndup(&c->arena, s, n);
		for (char *x = domain; *x; x++)
			*x = (char)tolower((unsigned char)*x);
		if (n >= WINDOWS_DOMAIN_MAX)
			return "runAsUserName's Domain length must be under 256 characters";
		if (!is_netbios(s, n) && name_check_dns1123_subdomain(domain))
			return "runAsUserName's Domain doesn't match the NetBios nor the DNS format";
	}
	if (!*user)
		return "runAsUserName's User cannot be empty";
	if (strlen(user) > WINDOWS_USER_MAX)
		return "runAsUserName's User length must not be longer than 104 characters";
	if (!user[strspn(user, ". ")])
		return "runAsUserName's User cannot contain only periods or spaces";
	if (strpbrk(user, "\"/\\:;|=,+*?<>@[]"))
		return "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]";
	return NULL;
}

static void check_windows_options(struct check *c, const char *at, const struct json *o)
{
	const char *spec = json_path_str(o, "gmsaCredentialSpec"), *user = json_path_str(o, "runAsUserName");
	const char *why = user ? user_mistake(c, user) : NULL;

	name_in(c, at, o, "gmsaCredentialSpecName", name_check_dns1123_subdomain);
	if (spec && !*spec)
		bad_invalid_str(c, PATH(c, "%s.gmsaCredentialSpec", at), spec,
				"gmsaCredentialSpec cannot be an empty string");
	else if (spec && strlen(spec) > GMSA_SPEC_MAX)
		bad_invalid_str(c, PATH(c, "%s.gmsaCredentialSpec", at), spec,
				"gmsaCredentialSpec size must be under 64 KiB");
	if (why)
		bad_invalid_str(c, PATH(c, "%s.runAsUserName", at), user, why);
}

static const struct json *host_process(const struct json *holder)
{
	return json_path(holder, "securityContext.windowsOptions.hostProcess");
}

struct host_processes {
	size_t containers, host;
};

static void count_host_process(struct pod_check *p, const char *at, const struct json *ctr, void *arg)
{
	const struct json *pod = host_process(p->spec), *mine = host_process(ctr);
	struct host_processes *n = arg;

	n->containers++;
	n->host += json_bool(mine ? mine : pod, false);
	if (pod && mine && json_bool(pod, false) != json_bool(mine, false))
		bad_invalid(p->c, PATH(p->c, "%s.securityContext.windowsOptions.hostProcess", at), mine,
			    PATH(p->c, "pod hostProcess value must be identical if both are specified, was %s",
				 json_bool(pod, false) ? "true" : "false"));
}

void check_host_process(struct pod_check *p)
{
	struct host_processes n = {0};

	each_container(p, count_host_process, &n);
	if (!n.host)
		return;
	if (n.host != n.containers)
		bad_invalid_str(p->c, p->path, "",
				"If pod contains any hostProcess containers then all containers must be HostProcess "
				"containers");
	if (!json_path_bool(p->spec, "hostNetwork", false))
		bad_invalid(p->c, PATH(p->c, "%s.hostNetwork", p->path), json_new_bool(&p->c->arena, false),
			    "hostNetwork must be true if pod contains any hostProcess containers");
}

/* ---- what is common to a pod's and a container's context ---- */

static void check_ids(struct check *c, const char *at, const struct json *s)
{
	static const char *const ids[] = {"fsGroup", "runAsUser", "runAsGroup"};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		range_in(c, at, s, ids[i], 0, OWNER_ID_MAX);
}

static void check_member(struct check *c, const char *at, const struct json *s, const char *key,
			 void (*fn)(struct check *c, const char *at, const struct json *v))
{
	if (json_get(s, key))
		fn(c, PATH(c, "%s.%s", at, key), json_get(s, key));
}

static void check_escalation(struct check *c, const char *at, const struct json *s)
{
	if (json_path_bool(s, "allowPrivilegeEscalation", true))
		return;
	if (json_path_bool(s, "privileged", false))
		bad_invalid(c, at, s, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
	EACH_ITEM(cap, json_path(s, "capabilities.add"))
		if (str_eq(json_str(cap), "CAP_SYS_ADMIN"))
			bad_invalid(c, at, s,
				    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
				    "CAP_SYS_ADMIN");
}

void check_container_security(struct pod_check *p, const char *at, const struct json *s)
{
	static const char *const proc_mounts[] = {"Default", "Unmasked", NULL};
	struct check *c = p->c;

	check_ids(c, at, s);
	choice_in(c, at, s, "procMount", proc_mounts);
	if (p->host_users && str_eq(json_path_str(s, "procMount"), "Unmasked"))
		bad_invalid_str(c, PATH(c, "%s.procMount", at), "Unmasked",
				"`hostUsers` must be false to use `Unmasked`");
	check_member(c, at, s, "seccompProfile", check_seccomp);
	check_escalation(c, at, s);
	check_member(c, at, s, "windowsOptions", check_windows_options);
	check_member(c, at, s, "appArmorProfile", check_apparmor);
}

/* Of a namespaced sysctl: 'n' the network's, 'i' that of IPC, else 0. */
static char sysctl_namespace(const char *name)
{
	static const char *const ipc[] = {"kernel.shm", "kernel.msg", "fs.mqueue."};
	char dotted[NAME_MAX_DNS_SUBDOMAIN + 1];
	size_t n = MIN_OF(strlen(name), sizeof(dotted) - 1);

	memcpy(dotted, name, n);
	dotted[n] = 0;
	const char *first = strpbrk(dotted, "./");
	if (first && *first == '/') /* then slashes separate, and dots belong to names */
		for (char *x = dotted; *x; x++)
			*x = *x == '/' ? '.' : *x == '.' ? '/' : *x;
	if (str_has_prefix(dotted, "net."))
		return 'n';
	for (size_t i = 0; i < ARRAY_SIZE(ipc); i++)
		if (str_has_prefix(dotted, ipc[i]))
			return 'i';
	return str_eq(dotted, "kernel.sem") ? 'i' : 0;
}

/* A pod that was stored with sysctls of the host's namespaces may keep them. */
static bool host_sysctls_allowed(const struct pod_check *p)
{
	bool net = json_path_bool(p->old_spec, "hostNetwork", false),
	     ipc = json_path_bool(p->old_spec, "hostIPC", false);

	EACH_ITEM(s, json_path(p->old_spec, "securityContext.sysctls")) {
		char ns = sysctl_namespace(str_or(json_path_str(s, "name"), ""));
		if ((ns == 'n' && net) || (ns == 'i' && ipc))
			return true;
	}
	return false;
}

static void check_sysctls(struct pod_check *p, const char *path, const struct json *list)
{
	struct check *c = p->c;
	bool net = json_path_bool(p->spec, "hostNetwork", false), ipc = json_path_bool(p->spec, "hostIPC", false);
	bool lax = host_sysctls_allowed(p);
	_cleanup_names_ struct map names = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(s, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *name = str_or(json_path_str(s, "name"), "");
		char ns = sysctl_namespace(name);
		bool seen = map_set(&names, name, c) != NULL;
		if (need_in(c, at, s, "name") && name_in(c, at, s, "name", name_check_sysctl) && seen)
			bad_duplicate(c, PATH(c, "%s.name", at), name);
		if (net && ns == 'n' && !lax)
			bad_invalid_str(c, PATH(c, "%s.name", at), name,
					"may not be specified when 'hostNetwork' is true");
		if (ipc && ns == 'i' && !lax)
			bad_invalid_str(c, PATH(c, "%s.name", at), name, "may not be specified when 'hostIPC' is true");
	}
}

void check_pod_security(struct pod_check *p)
{
	static const char *const changes[] = {"Always", "OnRootMismatch", NULL};
	static const char *const groups[] = {"Merge", "Strict", NULL};
	static const char *const relabels[] = {"MountOption", "Recursive", NULL};
	struct check *c = p->c;
	const struct json *s = json_get(p->spec, "securityContext"),
			  *share = json_get(p->spec, "shareProcessNamespace");
	const char *at = PATH(c, "%s.securityContext", p->path);
	size_t i = 0;

	check_ids(c, at, s);
	EACH_ITEM(g, json_get(s, "supplementalGroups")) {
		if (json_int(g, -1) < 0 || json_int(g, -1) > OWNER_ID_MAX)
			bad_invalid(c, PATH(c, "%s.supplementalGroups[%zu]", at, i), g,
				    "must be between 0 and 2147483647, inclusive");
		i++;
	}
	if (json_bool(share, false) && json_path_bool(p->spec, "hostPID", false))
		bad_invalid(c, PATH(c, "%s.shareProcessNamespace", at), share,
			    "ShareProcessNamespace and HostPID cannot both be enabled");
	if (json_get(s, "sysctls"))
		check_sysctls(p, PATH(c, "%s.sysctls", at), json_get(s, "sysctls"));
	choice_in(c, at, s, "fsGroupChangePolicy", changes);
	check_member(c, at, s, "seccompProfile", check_seccomp);
	check_member(c, at, s, "windowsOptions", check_windows_options);
	check_member(c, at, s, "appArmorProfile", check_apparmor);
	choice_in(c, at, s, "supplementalGroupsPolicy", groups);
	choice_in(c, at, s, "seLinuxChangePolicy", relabels);
}

/* ---- operating systems ---- */

static void no_windows_options(struct pod_check *p, const char *at, const struct json *holder, void *arg)
{
	(void)arg;
	if (json_path(holder, "securityContext.windowsOptions"))
		bad_forbidden(p->c, PATH(p->c, "%s.securityContext.windowsOptions", at),
			      "windows options cannot be set for a linux pod");
}

static const char not_for_windows[] = "cannot be set for a windows pod";

static void no_linux_options(struct pod_check *p, const char *at, const struct json *ctr, void *arg)
{
	static const char *const keys[] = {
	    "appArmorProfile", "seLinuxOptions",	   "seccompProfile", "capabilities", "readOnlyRootFilesystem",
	    "privileged",      "allowPrivilegeEscalation", "procMount",	     "runAsUser",    "runAsGroup"};
	const struct json *s = json_get(ctr, "securityContext");

	(void)arg;
	for (size_t i = 0; s && i < ARRAY_SIZE(keys); i++)
		forbid_in(p->c, PATH(p->c, "%s.securityContext", at), s, keys[i], not_for_windows);
}

static void check_windows_pod(struct pod_check *p)
{
	static const char *const of_spec[] = {"hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"};
	static const char *const of_context[] = {"appArmorProfile",	"seLinuxOptions",
						 "seccompProfile",	"fsGroup",
						 "fsGroupChangePolicy", "sysctls",
						 "runAsUser",		"runAsGroup",
						 "supplementalGroups",	"supplementalGroupsPolicy",
						 "seLinuxChangePolicy"};

	for (size_t i = 0; i < ARRAY_SIZE(of_spec); i++)
		forbid_in(p->c, p->path, p->spec, of_spec[i], not_for_windows);
	for (size_t i = 0; i < ARRAY_SIZE(of_context); i++)
		forbid_in(p->c, PATH(p->c, "%s.securityContext", p->path), json_get(p->spec, "securityContext"),
			  of_context[i], not_for_windows);
	each_container(p, no_linux_options, NULL);
}

void check_os(struct pod_check *p)
{
	static const char *const known[] = {"linux", "windows", NULL};
	const struct json *os = json_get(p->spec, "os");
	const char *name = str_or(json_path_str(os, "name"), "");

	if (!os)
		return;
	if (!*name) {
		bad_required(p->c, PATH(p->c, "%s.os.name", p->path), NULL);
	} else if (!str_in(name, known)) {
		bad_unsupported(p->c, PATH(p->c, "%s.os", p->path), name, known);
	} else if (str_eq(name, "windows")) {
		check_windows_pod(p);
	} else {
		no_windows_options(p, p->path, p->spec, NULL);
		each_container(p, no_windows_options, NULL);
	}
}
