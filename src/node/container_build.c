/* SPDX-License-Identifier: Apache-2.0 */
#include "node/container_build.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "api/quantity.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "image/image.h"
#include "node/container_build.h"
#include "node/expand.h"
#include "node/pod_status.h"
#include "node/pod_env.h"
#include "node/subpath.h"
#include "node/volume.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OWN_MOUNTS 4 /* hosts, resolv.conf, hostname, termination log */

void build_fds_release(struct build_fds *f)
{
	VEC_EACH(fd, &f->fds)
		close(*fd);
	VEC_RELEASE(&f->fds);
}

int build_signal(const char *name)
{
	int64_t n;

	if (str_empty(name))
		return 0;
	if (parse_int_range(name, 1, SIGRTMAX, &n) == 0)
		return (int)n;
	if (str_has_prefix(name, "SIG"))
		name += 3;
	if (str_has_prefix(name, "RTMIN+") && parse_int_range(name + 6, 0, SIGRTMAX - SIGRTMIN, &n) == 0)
		return SIGRTMIN + (int)n;
	if (str_has_prefix(name, "RTMAX-") && parse_int_range(name + 6, 0, SIGRTMAX - SIGRTMIN, &n) == 0)
		return SIGRTMAX - (int)n;
	for (int i = 1; i < SIGSYS + 1; i++)
		if (str_eq(sigabbrev_np(i), name))
			return i;
	return 0;
}

/* ---- command ---- */

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static size_t add_expanded(const struct build_input *in, const char **args, size_t n, const struct json *list)
{
	JSON_EACH(s, list)
		args[n++] = expand(in->arena, str_or(json_str(s), ""), env_list_get, in->env, NULL);
	return n;
}

static size_t add_plain(const char **args, size_t n, const char *const *list)
{
	for (; list && *list; list++)
		args[n++] = *list;
	return n;
}

/* command replaces the image's entrypoint and its cmd; args replaces the cmd. */
static int build_args(const struct build_input *in, struct container_spec *s, struct status *err)
{
	const struct json *command = json_get(in->container, "command"), *args = json_get(in->container, "args");
	size_t max = json_len(command) + json_len(args) + count(in->image->entrypoint) + count(in->image->cmd) + 1;
	const char **out = arena_alloc(in->arena, max * sizeof(*out));
	size_t n = 0;

	n = json_len(command) ? add_expanded(in, out, n, command) : add_plain(out, n, in->image->entrypoint);
	if (json_len(args))
		n = add_expanded(in, out, n, args);
	else if (!json_len(command))
		n = add_plain(out, n, in->image->cmd);
	out[n] = NULL;
	if (n == 0) {
		status_set_reason(err, 400, "CreateContainerError",
				  "no command specified: neither the container nor its image \"%s\" has one",
				  str_or(json_path_str(in->container, "image"), ""));
		return -EINVAL;
	}
	s->args = out;
	return 0;
}

/* The image's variables first, the container's replace and follow them. */
static void build_env(const struct build_input *in, struct container_spec *s)
{
	_cleanup_(env_list_release) struct env_list all = {0};

	env_list_set(&all, "PATH", DEFAULT_PATH);
	env_list_set(&all, "HOSTNAME", in->hostname);
	for (const char *const *e = in->image->env; *e; e++) {
		const char *eq = strchr(*e, '=');

		if (eq)
			env_list_set(&all, arena_strndup(in->arena, *e, (size_t)(eq - *e)), eq + 1);
	}
	VEC_EACH(v, &in->env->vars)
		env_list_set(&all, v->name, v->value);
	if (json_path_bool(in->container, "tty", false) && !env_list_get(&all, "TERM"))
		env_list_set(&all, "TERM", "xterm");
	s->env = env_list_strings(in->arena, &all);
}

/* ---- resources ---- */

#define SHARES_MIN 2 /* the kernel's smallest cpu.shares */
#define SHARES_MAX 262144
#define SHARES_PER_CPU 1024
#define PERIOD_US 100000
#define QUOTA_US_MIN 1000 /* the kernel's smallest cpu.cfs_quota_us */

static int64_t amount(const struct json *resources, const char *list, const char *name, bool milli)
{
	struct quantity q;

	if (quantity_from_json(json_get(json_get(resources, list), name), &q) < 0)
		return 0;
	return milli ? quantity_milli(&q) : quantity_value(&q);
}

static int64_t shares_of(int64_t milli)
{
	int64_t shares = milli * SHARES_PER_CPU / 1000;

	return MAX_OF(SHARES_MIN, MIN_OF(shares, SHARES_MAX));
}

static int64_t quota_of(int64_t milli)
{
	return milli > 0 ? MAX_OF(milli * PERIOD_US / 1000, QUOTA_US_MIN) : 0;
}

void build_resources(const struct json *resources, struct spec_resources *ret)
{
	int64_t request = amount(resources, "requests", "cpu", true), limit = amount(resources, "limits", "cpu", true);
	bool has_request = json_get(json_get(resources, "requests"), "cpu") != NULL;

	*ret = (struct spec_resources){
	    .cpu_shares = shares_of(!has_request && limit ? limit : request),
	    .cpu_period_us = PERIOD_US,
	    .cpu_quota_us = quota_of(limit),
	    .memory_limit = amount(resources, "limits", "memory", false),
	};
}

void build_pod_resources(const struct json *pod, struct spec_resources *ret)
{
	int64_t cpu = 0, cpu_limit = 0, memory_limit = 0, init_cpu = 0, init_limit = 0, init_memory = 0;
	bool all_cpu = true, all_memory = true;

	JSON_EACH(c, json_path(pod, "spec.containers")) {
		const struct json *r = json_get(c, "resources");
		int64_t l = amount(r, "limits", "cpu", true), m = amount(r, "limits", "memory", false);

		cpu += amount(r, "requests", "cpu", true);
		cpu_limit += l;
		memory_limit += m;
		all_cpu &= l > 0;
		all_memory &= m > 0;
	}
	JSON_EACH(c, json_path(pod, "spec.initContainers")) {
		const struct json *r = json_get(c, "resources");
		bool sidecar = str_eq(json_path_str(c, "restartPolicy"), "Always");
		int64_t q = amount(r, "requests", "cpu", true), l = amount(r, "limits", "cpu", true),
			m = amount(r, "limits", "memory", false);

		cpu += sidecar ? q : 0;
		cpu_limit += sidecar ? l : 0;
		memory_limit += sidecar ? m : 0;
		init_cpu = MAX_OF(init_cpu, q);
		init_limit = MAX_OF(init_limit, l);
		init_memory = MAX_OF(init_memory, m);
		all_cpu &= l > 0;
		all_memory &= m > 0;
	}
	const struct json *whole = json_path(pod, "spec.resources"); /* stands instead of the sums */
	int64_t cpu_whole = amount(whole, "requests", "cpu", true);
	int64_t limit_whole = amount(whole, "limits", "cpu", true);
	int64_t memory_whole = amount(whole, "limits", "memory", false);

	*ret = (struct spec_resources){
	    .cpu_shares = shares_of(cpu_whole ? cpu_whole : MAX_OF(cpu, init_cpu)),
	    .cpu_period_us = PERIOD_US,
	    .cpu_quota_us = quota_of(limit_whole ? limit_whole
				     : all_cpu	 ? MAX_OF(cpu_limit, init_limit)
						 : 0),
	    .memory_limit = memory_whole ? memory_whole
			    : all_memory ? MAX_OF(memory_limit, init_memory)
					 : 0,
	};
}

#define OOM_GUARANTEED (-997) /* upstream's values: below the node's own daemons (-999), above nothing else */
#define OOM_BEST_EFFORT 1000
#define PRIORITY_NODE_CRITICAL 2000000000

int64_t build_oom_score(const struct json *pod, const struct json *container, int64_t node_memory)
{
	const char *qos = pod_qos(pod);
	int64_t request = amount(json_get(container, "resources"), "requests", "memory", false), score;

	if (json_path_int(pod, "spec.priority", 0) >= PRIORITY_NODE_CRITICAL || str_eq(qos, "Guaranteed"))
		return OOM_GUARANTEED;
	if (str_eq(qos, "BestEffort") || node_memory <= 0)
		return OOM_BEST_EFFORT;
	score = 1000 - (int64_t)((__int128)1000 * request / node_memory);
	if (score < 1000 + OOM_GUARANTEED)
		return 1000 + OOM_GUARANTEED;
	return score >= OOM_BEST_EFFORT ? OOM_BEST_EFFORT - 1 : score;
}

/* ---- security ---- */

/* The container's own setting or else the pod's. */
static const struct json *security(const struct build_input *in, const char *key)
{
	const struct json *own = json_get(json_get(in->container, "securityContext"), key);

	return own ? own : json_get(json_path(in->pod, "spec.securityContext"), key);
}

static const char *const *strings(struct arena *a, const struct json *list)
{
	const char **s = arena_alloc(a, (json_len(list) + 1) * sizeof(*s));
	size_t n = 0;

	JSON_EACH(v, list)
		s[n++] = str_or(json_str(v), "");
	s[n] = NULL;
	return s;
}

static void build_user(const struct build_input *in, struct container_spec *s)
{
	const struct json *user = security(in, "runAsUser"), *group = security(in, "runAsGroup");
	const struct json *pod_security = json_path(in->pod, "spec.securityContext");
	const struct json *groups = json_get(pod_security, "supplementalGroups"),
			  *fs_group = json_get(pod_security, "fsGroup");
	int64_t *list = arena_alloc(in->arena, (json_len(groups) + 1) * sizeof(*list));

	s->user = in->image->user;
	s->has_run_as_user = user != NULL;
	s->run_as_user = json_int(user, 0);
	s->has_run_as_group = group != NULL;
	s->run_as_group = json_int(group, 0);
	s->run_as_non_root = json_bool(security(in, "runAsNonRoot"), false);
	s->strict_groups = str_eq(json_path_str(pod_security, "supplementalGroupsPolicy"), "Strict");
	JSON_EACH(g, groups)
		list[s->n_groups++] = json_int(g, 0);
	if (fs_group)
		list[s->n_groups++] = json_int(fs_group, 0);
	s->groups = list;
}

static int build_seccomp(const struct build_input *in, struct container_spec *s, struct status *err)
{
	const struct json *profile = security(in, "seccompProfile");
	const char *type = json_path_str(profile, "type");

	/* Without a word about it the default filter holds, as under upstream's --seccomp-default. */
	if (!str_eq(type, "Localhost")) {
		s->seccomp = str_or(type, "RuntimeDefault");
		return 0;
	}
	if (in->seccomp_localhost) {
		s->seccomp =
		    in->seccomp_localhost(in->arg, str_or(json_path_str(profile, "localhostProfile"), ""), err);
	} else {
		status_set_reason(err, 400, "CreateContainerConfigError",
				  "this node has no seccomp profiles of its own");
	}
	return s->seccomp ? 0 : -EINVAL;
}

static int build_security(const struct build_input *in, struct container_spec *s, struct status *err)
{
	const struct json *own = json_get(in->container, "securityContext");

	build_user(in, s);
	s->privileged = json_path_bool(own, "privileged", false);
	s->no_new_privileges = !json_path_bool(own, "allowPrivilegeEscalation", true);
	s->readonly_rootfs = json_path_bool(own, "readOnlyRootFilesystem", false);
	s->unmasked_proc = str_eq(json_path_str(own, "procMount"), "Unmasked");
	s->cap_add = strings(in->arena, json_path(own, "capabilities.add"));
	s->cap_drop = strings(in->arena, json_path(own, "capabilities.drop"));
	return build_seccomp(in, s, err);
}

/* ---- mounts ---- */

static bool mounts_at(const struct json *container, const char *path)
{
	JSON_EACH(m, json_get(container, "volumeMounts"))
		if (str_eq(json_path_str(m, "mountPath"), path))
			return true;
	return false;
}

static void own_mount(const struct build_input *in, struct container_spec *s, const char *source, const char *target)
{
	if (!source || str_empty(target) || mounts_at(in->container, target))
		return;
	s->mounts[s->n_mounts++] = (struct spec_mount){.source = source, .target = target};
}

static const struct volume *find_volume(const struct build_input *in, const char *name)
{
	for (size_t i = 0; i < in->n_volumes; i++)
		if (str_eq(in->volumes[i].name, name))
			return &in->volumes[i];
	return NULL;
}

/* subPath, or subPathExpr with its variables; "" when there is neither. NULL with err set: a variable is unknown. */
static const char *sub_path(const struct build_input *in, const struct json *m, struct status *err)
{
	const char *expression = json_path_str(m, "subPathExpr"), *missing = NULL, *path;

	if (str_empty(expression))
		return str_or(json_path_str(m, "subPath"), "");
	path = expand(in->arena, expression, env_list_get, in->env, &missing);
	if (missing) {
		status_set_reason(err, 400, "CreateContainerConfigError",
				  "failed to expand subPathExpr \"%s\": no variable %s", expression, missing);
		return NULL;
	}
	return path;
}

static int volume_mount(const struct build_input *in, const struct json *m, struct spec_mount *out,
			struct build_fds *fds, struct status *err)
{
	const char *name = str_or(json_path_str(m, "name"), ""), *target = str_or(json_path_str(m, "mountPath"), "");
	const char *propagation = json_path_str(m, "mountPropagation"), *sub = sub_path(in, m, err);
	const struct volume *v = find_volume(in, name);
	int fd, r;

	if (!sub)
		return -EINVAL;
	if (!v) {
		status_set_reason(err, 400, "CreateContainerConfigError",
				  "cannot find volume \"%s\" to mount into container \"%s\"", name,
				  str_or(json_path_str(in->container, "name"), ""));
		return -ENOENT;
	}
	*out = (struct spec_mount){
	    .source = v->path,
	    .target = target[0] == '/' ? target : arena_printf(in->arena, "/%s", target),
	    .readonly = v->readonly || json_path_bool(m, "readOnly", false),
	    .propagation = str_eq(propagation, "HostToContainer") ? SPEC_HOST_TO_CONTAINER
			   : str_eq(propagation, "Bidirectional") ? SPEC_BIDIRECTIONAL
								  : SPEC_PRIVATE,
	};
	out->recursive_readonly = out->readonly && str_in(str_or(json_path_str(m, "recursiveReadOnly"), ""),
							  (const char *const[]){"Enabled", "IfPossible", NULL});
	if (!*sub)
		return 0;
	r = subpath_open(v->path, sub, &fd, err);
	if (r < 0)
		return r;
	VEC_PUSH(&fds->fds, fd);
	out->source = NULL;
	out->source_fd_index = (int)fds->fds.n;
	return 0;
}

static int build_mounts(const struct build_input *in, struct container_spec *s, struct build_fds *fds,
			struct status *err)
{
	const struct json *mounts = json_get(in->container, "volumeMounts");
	size_t n = json_len(mounts) + OWN_MOUNTS;

	if (n > SPEC_MOUNTS_MAX) {
		status_set_reason(err, 400, "CreateContainerConfigError", "more than %d mounts", SPEC_MOUNTS_MAX);
		return -E2BIG;
	}
	s->mounts = arena_zalloc(in->arena, n * sizeof(*s->mounts));
	own_mount(in, s, in->hosts_path, "/etc/hosts");
	own_mount(in, s, in->resolv_path, "/etc/resolv.conf");
	own_mount(in, s, in->hostname_path, "/etc/hostname");
	own_mount(in, s, in->termination_path,
		  str_or(json_path_str(in->container, "terminationMessagePath"), "/dev/termination-log"));
	JSON_EACH(m, mounts) {
		int r = volume_mount(in, m, &s->mounts[s->n_mounts], fds, err);

		if (r < 0)
			return r;
		s->n_mounts++;
	}
	return 0;
}

int container_build(const struct build_input *in, struct container_spec *ret, struct build_fds *fds, struct status *err)
{
	const char *cwd = json_path_str(in->container, "workingDir");
	struct container_spec s = {
	    .id = in->id,
	    .name = json_path_str(in->container, "name"),
	    .lowerdirs = in->image->layers,
	    .upperdir = in->upperdir,
	    .workdir = in->workdir,
	    .cwd = !str_empty(cwd) ? cwd : in->image->working_dir,
	    .tty = json_path_bool(in->container, "tty", false),
	    .stdin_ = json_path_bool(in->container, "stdin", false),
	    .stdin_once = json_path_bool(in->container, "stdinOnce", false),
	    .log_path = in->log_path,
	    .has_oom_score_adj = true,
	    .oom_score_adj = build_oom_score(in->pod, in->container, in->node_memory),
	};
	int r = build_args(in, &s, err);

	if (r < 0)
		return r;
	build_env(in, &s);
	build_resources(json_get(in->container, "resources"), &s.resources);
	r = build_security(in, &s, err);
	if (r == 0)
		r = build_mounts(in, &s, fds, err);
	if (r == 0)
		*ret = s;
	return r;
}
