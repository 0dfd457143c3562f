/* SPDX-License-Identifier: Apache-2.0 */
/* The pod itself: its namespaces, sysctls, cgroup, and its end. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/rootfs.h"
#include "runtime/shim_internal.h"
#include "runtime/spec_json.h"
#include "runtime/state.h"
#include "runtime/sysctl.h"

#define SHM_AT "/dev" /* in the namespace that only keeps the mount: any directory that every host has */

/* ---- namespaces ---- */

/*
 * The containers' common /dev/shm lives in a mount namespace of its own, that of a child which is gone by the time we
 * hold the namespace's descriptor: the host never sees the mount, and the kernel removes it with the shim.
 */
static int make_shm(int64_t size)
{
	char options[64], path[40];
	int ready[2], go[2], r = 0;
	snprintf(options, sizeof(options), "mode=1777,size=%lld", (long long)(size > 0 ? size : 64 << 20));
	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(go, O_CLOEXEC) < 0) {
		r = -errno;
		close(ready[0]);
		close(ready[1]);
		return r;
	}
	pid_t pid = fork();
	if (pid == 0) {
		char c = 'x';
		int at, m;
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(errno);
		m = mount_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		at = open(SHM_AT, O_PATH | O_CLOEXEC);
		if (m < 0 || at < 0 || mount_attach(m, at) < 0)
			_exit(EIO);
		if (write(ready[1], &c, 1) != 1)
			_exit(EIO); /* that ends the wait, too */
		close(go[1]);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	close(ready[1]);
	char c;
	if (pid < 0 || read(ready[0], &c, 1) != 1) {
		r = pid < 0 ? -errno : -EIO;
	} else {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
		shim.shm_ns = open(path, O_RDONLY | O_CLOEXEC);
		shim.host_mnt_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
		r = shim.shm_ns < 0 || shim.host_mnt_ns < 0 ? -errno : 0;
	}
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

int pod_shm(void)
{
	if (shim.pod.host_ipc)
		return mount_clone(AT_FDCWD, "/dev/shm", false);
	if (shim.shm_ns < 0) {
		int r = make_shm(shim.pod.shm_size);
		if (r < 0)
			return r;
	}
	if (setns(shim.shm_ns, CLONE_NEWNS) < 0)
		return -errno;
	int fd = mount_clone(AT_FDCWD, SHM_AT, false);
	if (setns(shim.host_mnt_ns, CLONE_NEWNS) < 0) {
		log_error("cannot return to the host's mount namespace error=%s", strerror(errno));
		_exit(1); /* every path would mean something else from here */
	}
	return fd;
}

/* pid 1 of a shared pid namespace: reaps, and ends by SIGKILL only. */
static _Noreturn void be_init(void)
{
	sigset_t set;
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_close_range, 0, ~0u, 0);
	prctl(PR_SET_NAME, "pause", 0, 0, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		int sig;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwait(&set, &sig);
	}
}

static int make_shared_pid_ns(void)
{
	char path[40];
	if (unshare(CLONE_NEWPID) < 0) /* for children */
		return -errno;
	shim.init = fork();
	if (shim.init == 0)
		be_init();
	int r = shim.init < 0 ? -errno : 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", shim.init);
	shim.pid_ns = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (r == 0 && (shim.pid_ns < 0 || own < 0 || setns(own, CLONE_NEWPID) < 0))
		r = -errno;
	return r;
}

static int make_namespaces(const struct pod_spec *p)
{
	int flags = (p->host_network ? 0 : CLONE_NEWNET) | (p->host_ipc ? 0 : CLONE_NEWIPC) |
		    (p->host_network ? 0 : CLONE_NEWUTS);
	if (flags && unshare(flags) < 0)
		return -errno;
	if (!p->host_network && !str_empty(p->hostname) && sethostname(p->hostname, strlen(p->hostname)) < 0)
		return -errno;
	return p->share_pid && !p->host_pid ? make_shared_pid_ns() : 0;
}

static int apply_sysctls(const struct pod_spec *p, const char **ret_bad)
{
	if (!p->n_sysctls)
		return 0;
	/* A /proc of our own: what is mounted on the host's cannot lead the writes elsewhere. */
	_cleanup_close_ int proc = mount_new("proc", NULL, 0);
	if (proc < 0)
		return proc;
	for (size_t i = 0; i < p->n_sysctls; i++) {
		*ret_bad = str_or(p->sysctls[i].name, "");
		int r = sysctl_set(proc, p->sysctls[i].name, p->sysctls[i].value, !p->host_network, !p->host_ipc);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- create ---- */

static bool valid_uid(const char *s)
{
	size_t n = s ? strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") : 0;
	return n && !s[n] && n <= 64;
}

static int join_own_group(const char *root, bool v2_done)
{
	char path[CGROUP_PATH_MAX];
	/* Beside the pods, not in one: what kills a pod must not kill who reports it; and not in the agent's service.
	 */
	snprintf(path, sizeof(path), "%s/shims", root);
	int r = cgroup_create(&shim.layout, path);
	return r < 0 ? r : cgroup_join(&shim.layout, path, v2_done);
}

static int write_state(void)
{
	struct pod_state s = {.pid = getpid(), .start_time = state_start_time(getpid())};
	snprintf(s.uid, sizeof(s.uid), "%s", shim.pod.uid);
	snprintf(s.cgroup, sizeof(s.cgroup), "%s", shim.cgroup);
	s.host_network = shim.pod.host_network;
	int r = state_boot_id(s.boot_id);
	return r < 0 ? r : state_write(shim.dir, &s);
}

static void abandon(void)
{
	if (*shim.cgroup)
		cgroup_remove(&shim.layout, shim.cgroup);
	if (shim.init > 0)
		kill(shim.init, SIGKILL);
	/* The reply was sent; the agent removes the directory. */
	_exit(1);
}

int pod_create(struct json *body, struct reply_to to)
{
	const char *root = json_path_str(body, "cgroupRoot"), *cgroup = json_path_str(body, "cgroup"), *bad = "";
	if (shim.created)
		return reply_error(to, 409, NULL, "this shim has a pod");
	if (pod_spec_from_json(&shim.arena, json_get(body, "spec"), &shim.pod) < 0 || !valid_uid(shim.pod.uid) ||
	    str_empty(root) || str_empty(cgroup) || strlen(cgroup) >= CGROUP_PATH_MAX)
		return reply_error(to, 400, NULL, "the pod's description is not valid");
	shim.log_size_max = json_path_int(body, "logSizeMax", 10 << 20);
	shim.log_files_max = (int)json_path_int(body, "logFilesMax", 5);
	const char *step = "finding cgroups";
	int r = cgroup_layout_detect(&shim.layout);
	if (r == 0) {
		step = "joining the shims' cgroup";
		r = join_own_group(root, json_path_bool(body, "cgroupJoined", false));
	}
	if (r == 0) {
		step = "making the pod's cgroup";
		snprintf(shim.cgroup, sizeof(shim.cgroup), "%s", cgroup);
		r = cgroup_create(&shim.layout, shim.cgroup);
	}
	if (r == 0) {
		const char *lacking = cgroup_unsupported(&shim.layout, &shim.pod.resources);
		step = lacking ? lacking : "setting the pod's limits";
		r = cgroup_apply(&shim.layout, shim.cgroup, &shim.pod.resources);
	}
	if (r == 0) {
		step = "making namespaces";
		r = make_namespaces(&shim.pod);
	}
	if (r == 0) {
		r = apply_sysctls(&shim.pod, &bad);
		step = *bad ? bad : "opening /proc";
	}
	if (r == 0) {
		step = "listening";
		r = shim_listen();
	}
	if (r == 0) {
		step = "writing the state file";
		r = write_state();
	}
	if (r < 0) {
		reply_error(to, *bad ? 400 : 500, *bad ? "SysctlForbidden" : NULL, "%s%s: %s", *bad ? "sysctl " : "",
			    step, strerror(-r));
		abandon();
	}
	shim.created = true;
	prctl(PR_SET_NAME, "proa-shim", 0, 0, 0);
	reply_ok(to);
	return 0;
}

void pod_update(struct json *body, struct reply_to to)
{
	struct spec_resources res;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int r = spec_resources_from_json(&a, json_get(body, "resources"), &res);
	if (r == 0)
		r = cgroup_apply(&shim.layout, shim.cgroup, &res);
	if (r < 0)
		reply_error(to, 500, NULL, "updating the pod's limits: %s", strerror(-r));
	else
		reply_ok(to);
}

/* ---- end ---- */

void pod_remove(struct reply_to to)
{
	shim.removing = true;
	shim.remover = to;
	LIST_EACH(l, &shim.containers)
		container_kill(LIST_ENTRY(l, struct container, link));
	LIST_EACH(l, &shim.execs)
		kill(LIST_ENTRY(l, struct exec, link)->pid, SIGKILL);
	if (shim.init > 0)
		kill(shim.init, SIGKILL);
	cgroup_kill(&shim.layout, shim.cgroup);
	/* What remains are our descendants; each one's end is a SIGCHLD here, since we are their subreaper. */
	pod_check_removed(waitid(P_ALL, 0, NULL, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD);
}

void pod_check_removed(bool no_children)
{
	if (!shim.removing || !no_children)
		return;
	LIST_EACH_SAFE(l, &shim.containers)
		container_free(LIST_ENTRY(l, struct container, link));
	char path[256];
	int r = cgroup_remove(&shim.layout, shim.cgroup);
	if (snprintf(path, sizeof(path), "%s/shim.sock", shim.dir) < (int)sizeof(path))
		unlink(path);
	if (r < 0)
		reply_error(shim.remover, 500, NULL, "removing cgroup %s: %s", shim.cgroup, strerror(-r));
	else
		reply_ok(shim.remover);
	_exit(0);
}
