/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's side of the clone. For a first process, in this order:
 *   groups, namespaces joined | user namespace mapped | time and cgroup namespaces | names, limits, sysctls |
 *   mounts | hooks | root entered | terminal | working directory, executable | waits to be started |
 *   privileges dropped | hooks, whose files are the container's | exec.
 * A copy of the runtime: memory is not freed, every failure is told and ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/error.h"
#include "oci/hooks.h"
#include "oci/maker.h"
#include "oci/net_devices.h"
#include "oci/self.h"
#include "oci/sync.h"
#include "oci/terminal.h"
#include "runtime/sysctl.h"

#define NEWTIME 0x80

static _Noreturn void give_up(int sync, int error)
{
	step_send_failure(sync, error);
	_exit(1);
}

/* ---- what the whole container has ---- */

static int set_names(const struct container *c)
{
	const char *host = json_path_str(c->config, "hostname"), *domain = json_path_str(c->config, "domainname");
	const struct json *sysctls = json_path(c->config, "linux.sysctl"),
			  *again = json_get(sysctls, "kernel.domainname");
	if (!again)
		again = json_get(sysctls, "kernel/domainname");
	if (!str_empty(domain) && again && !str_eq(json_str(again), domain))
		return oci_fail(0, "domainname and linux.sysctl's kernel.domainname contradict each other");
	if (!str_empty(host) && sethostname(host, strlen(host)) < 0)
		return oci_fail(-errno, "hostname");
	if (!str_empty(domain) && setdomainname(domain, strlen(domain)) < 0)
		return oci_fail(-errno, "domainname");
	return 0;
}

static int set_sysctls(const struct maker *m)
{
	unsigned own = m->ns.create | m->ns.join;
	JSON_EACH(e, json_path(m->c->config, "linux.sysctl")) {
		bool uts = own & CLONE_NEWUTS &&
			   (!strcmp(e->key, "kernel.domainname") || !strcmp(e->key, "kernel/domainname"));
		int r = uts ? sysctl_set_uts(m->process.proc, json_str(e))
			    : sysctl_set(m->process.proc, e->key, json_str(e), own & CLONE_NEWNET, own & CLONE_NEWIPC);
		if (r == -EPERM)
			return oci_fail(0, "linux.sysctl: %s is not in a namespace of the container's own", e->key);
		if (r < 0)
			return oci_fail(r, "linux.sysctl: setting %s to \"%s\"", e->key, json_str(e));
	}
	return 0;
}

static int set_personality(const struct container *c)
{
	const struct json *p = json_path(c->config, "linux.personality");
	if (!p)
		return 0;
	const char *domain = json_path_str(p, "domain");
	unsigned long value = str_eq(domain, "LINUX") ? PER_LINUX : PER_LINUX32;
	if (!str_eq(domain, "LINUX") && !str_eq(domain, "LINUX32"))
		return oci_fail(0, "linux.personality: unknown domain \"%s\"", domain);
	if (json_len(json_get(p, "flags")))
		return oci_fail(0, "linux.personality: flags are not supported");
	return personality(value) < 0 ? oci_fail(-errno, "linux.personality") : 0;
}

static int unsupported(const struct container *c)
{
	if (json_path(c->config, "linux.intelRdt") && access("/sys/fs/resctrl/schemata", F_OK) < 0)
		return oci_fail(-ENOTSUP, "linux.intelRdt: this machine has no resctrl file system mounted");
	if (json_path(c->config, "linux.intelRdt"))
		return oci_fail(-ENOTSUP, "linux.intelRdt");
	if (!str_empty(json_path_str(c->config, "linux.mountLabel")) && access("/sys/fs/selinux/enforce", F_OK) < 0)
		return oci_fail(-ENOTSUP, "linux.mountLabel: SELinux is not enabled");
	return 0;
}

/* ---- namespaces ---- */

/*
 * Until exec nobody in a container may look into this process, whose file and descriptors are the host's: before it is
 * in any of its namespaces. Who is without privileges writes its own id maps, for which it has to be dumpable longer.
 */
static int hide(const struct maker *m)
{
	if (options.rootless && m->ns.create & CLONE_NEWUSER && m->target < 0)
		return 0;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? oci_fail(-errno, "making the process undumpable") : 0;
}

static int join(struct maker *m, bool v2_joined)
{
	int r = group_join(&m->c->group, v2_joined);
	if (r < 0)
		return r;
	if (m->target < 0)
		return namespaces_join(&m->ns, m->ns.join & ~(unsigned)CLONE_NEWPID);
	unsigned flags = m->ns.join & ~(unsigned)CLONE_NEWPID;
	if (flags && setns(m->target, (int)flags) < 0)
		return oci_fail(-errno, "entering the container's namespaces");
	return 0;
}

_Noreturn void child_stage(struct maker *m, bool v2_joined)
{
	process_reset_signals();
	int r = options.rootless ? process_oom_score(m->process.spec, 0) : 0;
	if (r == 0)
		r = hide(m);
	if (r == 0)
		r = group_join(&m->c->group, v2_joined);
	if (r == 0 && m->target >= 0 && setns(m->target, (int)m->ns.join) < 0)
		r = oci_fail(-errno, "entering the container's namespaces");
	else if (r == 0 && m->target < 0)
		r = namespaces_join(&m->ns, m->ns.join);
	if (r < 0)
		give_up(m->child_sync, r);
	if (m->target >= 0)
		process_become_root(m->process.keep_groups);
	struct clone_args args = {.flags = CLONE_PARENT | (m->target < 0 ? maker_clone_flags(m) : 0)};
	int told[2];
	char c;
	if (pipe2(told, O_CLOEXEC) < 0)
		give_up(m->child_sync, oci_fail(-errno, "pipe"));
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		/* Who we are is told first, by whoever made us, and its end is the sign: only then we may speak. */
		close(told[1]);
		(void)!read(told[0], &c, 1);
		close(told[0]);
		child_run(m, v2_joined, true);
	}
	if (pid < 0)
		give_up(m->child_sync, oci_fail(-errno, "making the container's process"));
	_exit(step_send(m->child_sync, STEP_PID, pid) < 0);
}

static int enter_new_namespaces(struct maker *m)
{
	int r = 0;
	if (m->ns.create & CLONE_NEWUSER || m->c->group.manager == GROUP_SYSTEMD) {
		if (step_send(m->child_sync, STEP_MAPS, 0) < 0)
			_exit(1); /* nobody is there any more */
		r = step_wait(m->child_sync, NULL);
		if (r < 0)
			return r;
		if (m->ns.create & CLONE_NEWUSER)
			process_become_root(m->process.keep_groups);
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* see hide */
		return oci_fail(-errno, "making the process undumpable");
	if (m->ns.create & NEWTIME)
		r = time_namespace_enter(m->time_offsets, json_path(m->c->config, "linux.timeOffsets"));
	if (r == 0 && m->ns.create & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
		r = oci_fail(-errno, "making a cgroup namespace");
	return r;
}

/* ---- a container's first process ---- */

static bool any_hooks(const struct maker *m)
{
	return hooks_any(m->c, "prestart") || hooks_any(m->c, "createRuntime") || hooks_any(m->c, "createContainer") ||
	       hooks_any(m->c, "startContainer") || m->process.filter.notify;
}

static int notify_state(struct maker *m)
{
	if (!m->process.filter.notify)
		return 0;
	struct arena *a = &m->c->arena;
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "ociVersion", OCI_VERSION);
	json_append(json_array_in(a, o, "fds"), json_new_str(a, "seccompFd"));
	json_set_int(a, o, "pid", m->c->pid);
	json_set_str(a, o, "metadata", str_or(json_path_str(m->c->config, "linux.seccomp.listenerMetadata"), ""));
	json_set(a, o, "state", container_state(a, m->c, m->target < 0 ? "creating" : "running"));
	m->process.notify_state = json_to_string(a, o);
	return 0;
}

static int make_container(struct maker *m)
{
	struct container *c = m->c;
	int r = unsupported(c);
	if (r == 0)
		r = set_names(c);
	bool proc = process_needs_proc(m->process.spec) || namespaces_has(&m->ns, CLONE_NEWUSER) ||
		    json_len(json_path(c->config, "linux.sysctl"));
	if (r == 0 && proc)
		r = m->mounts.proc = m->process.proc = mounts_open_proc();
	if (r >= 0)
		r = process_limits(&m->process);
	if (r == 0)
		r = process_memory_policy(json_path(c->config, "linux.memoryPolicy"));
	if (r == 0)
		r = set_sysctls(m);
	if (r == 0 && m->ns.create & CLONE_NEWNET)
		r = net_loopback_up();
	if (r == 0 && net_devices_any(c)) {
		if (step_send(m->child_sync, STEP_NET_DEVICES, 0) < 0)
			_exit(1);
		r = step_wait(m->child_sync, NULL);
	}
	if (r == 0)
		r = mounts_make(&m->mounts, c);
	if (r == 0 && any_hooks(m)) {
		int64_t pid = 0;
		if (step_send(m->child_sync, STEP_HOOKS, 0) < 0)
			_exit(1);
		r = step_wait(m->child_sync, &pid);
		c->pid = (pid_t)pid;
		/* Its working directory is the container's root, which is not / yet. */
		if (r == 0 && fchdir(m->mounts.root) < 0)
			r = oci_fail(-errno, "entering the root file system");
		if (r == 0)
			r = hooks_run(c, "createContainer", "creating");
		if (r == 0)
			r = notify_state(m);
	}
	if (r == 0 && hooks_any(c, "startContainer"))
		r = hooks_open_output(c);
	hooks_output(m->process.hook_output);
	if (r == 0)
		r = mounts_enter(&m->mounts, c);
	if (r == 0)
		r = set_personality(c);
	return r;
}

/* The init of a pid namespace hears only what it has a handler for; exec takes that away again. */
static void end_by_signal(int signal)
{
	_exit(128 + signal);
}

static void hear_signals(void)
{
	static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		signal(ending[i], end_by_signal);
}

/* `start` connects to it; one connection is enough. */
static int wait_for_start(struct maker *m)
{
	if (m->listener < 0)
		return step_wait(m->child_sync, NULL);
	close(m->child_sync);
	m->child_sync = -1;
	do
		m->child_sync = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC);
	while (m->child_sync < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (m->child_sync < 0)
		_exit(1);
	close(m->listener);
	return step_wait(m->child_sync, NULL);
}

/* ---- one more process ---- */

static int enter_container(struct maker *m)
{
	if (m->target_root >= 0 && (fchdir(m->target_root) < 0 || chroot(".") < 0))
		return oci_fail(-errno, "entering the container's root");
	m->mounts.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->mounts.root < 0)
		return oci_fail(-errno, "opening the container's root");
	int r = 0;
	if (process_needs_proc(m->process.spec) || namespaces_has(&m->ns, CLONE_NEWUSER))
		r = m->process.proc = mounts_open_proc();
	if (r >= 0)
		r = notify_state(m);
	if (r == 0)
		r = set_personality(m->c);
	if (r == 0)
		r = process_memory_policy(json_path(m->c->config, "linux.memoryPolicy"));
	if (r == 0)
		r = process_limits(&m->process);
	if (r == 0 && !str_empty(m->affinity_final))
		r = process_set_affinity(m->affinity_final);
	return r;
}

_Noreturn void child_run(struct maker *m, bool v2_joined, bool staged)
{
	struct container *c = m->c;
	/* The lock is its maker's, not ours. */
	close(c->dir_fd);
	close(m->sync);
	if (m->target >= 0 || !m->mounts.own_mount_ns)
		self_mount_close(); /* our maker does, meanwhile */
	process_reset_signals();
	setsid();
	umask(022);
	int r = m->target < 0 &&m->ns.create &NEWTIME ? m->time_offsets = time_namespace_open() : 0;
	if (r >= 0)
		r = options.rootless && !staged ? process_oom_score(m->process.spec, 0) : 0;
	if (r == 0)
		r = hide(m);
	if (r == 0 && !staged)
		r = join(m, v2_joined);
	if (r == 0 && m->target < 0) {
		r = enter_new_namespaces(m);
		if (r == 0)
			r = make_container(m);
	} else if (r == 0) {
		r = enter_container(m);
	}
	if (r == 0 && json_path_bool(m->process.spec, "terminal", false))
		r = terminal_take(m->mounts.root, m->process.spec, m->console, m->target < 0);
	if (r == 0)
		r = process_prepare(&c->arena, &m->process, m->mounts.root);
	if (r == 0)
		r = process_close_others(&m->process, m->child_sync, m->listener);
	if (r == 0)
		r = process_rlimits(json_get(m->process.spec, "rlimits"));
	if (r < 0)
		give_up(m->child_sync, r);
	if (step_send(m->child_sync, STEP_CREATED, 0) < 0)
		_exit(1);
	if (m->listener >= 0)
		hear_signals();
	r = wait_for_start(m);
	if (r < 0)
		give_up(m->child_sync, r);
	if (step_send(m->child_sync, STEP_EXEC, 0) < 0)
		_exit(1); /* whoever started us is gone: so is what we were started for */
	r = process_drop(&m->process, m->child_sync);
	if (r == 0 && m->target < 0 && hooks_any(c, "startContainer")) {
		/* They have the environment that the process will have. */
		struct json *env = json_set(&c->arena, c->process, "env", json_new(&c->arena, JSON_ARRAY));
		for (const char **e = m->process.env; *e; e++)
			json_append(env, json_new_str(&c->arena, *e));
		r = hooks_run(c, "startContainer", "created");
	}
	if (r == 0)
		r = process_exec(&m->process);
	give_up(m->child_sync, r);
}
