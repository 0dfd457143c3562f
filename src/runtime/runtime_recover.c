/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over the pods that an earlier agent left running, and clearing away what cannot be taken over. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "runtime/runtime_internal.h"

/* Connects to DIR/shim.sock, and says who listens there. The path may be too long for a socket address: by descriptor.
 */
static int connect_shim(const char *dir, int *ret_pid)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (at < 0 || fd < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/shim.sock", at);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	*ret_pid = peer.pid;
	return TAKE_FD(fd);
}

/* Where the pod's group must be, when its state file does not say: ROOT/pod<uid> or ROOT/<qos>/pod<uid>. */
static void find_group(struct runtime *r, const char *uid, char out[CGROUP_PATH_MAX])
{
	static const char *const parents[] = {"", "/burstable", "/besteffort", "/guaranteed"};
	for (size_t h = 0; h < r->layout.n; h++)
		for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
			char full[CGROUP_MOUNT_MAX + CGROUP_PATH_MAX + 2];
			snprintf(out, CGROUP_PATH_MAX, "%s%s/pod%s", r->cgroup_root, parents[i], uid);
			snprintf(full, sizeof(full), "%s/%s", r->layout.h[h].mount, out);
			if (access(full, F_OK) == 0)
				return;
		}
	*out = 0;
}

/* The shim of a pod that cannot be taken over, when there is one: whoever listens in its directory, which is root's. */
static void kill_listener(const char *dir)
{
	int pid;
	_cleanup_close_ int conn = connect_shim(dir, &pid);
	_cleanup_close_ int pidfd = conn < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static void give_up(struct pod *p, const char *why)
{
	log_warn("pod cannot be taken over pod=%s reason=%s", p->uid, why);
	kill_listener(p->dir);
	if (!*p->state.cgroup)
		find_group(p->r, p->uid, p->state.cgroup);
	pod_cleanup(p, why);
}

static int take_over(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int pid;
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, p->state.pid, 0);
	if (pidfd < 0)
		return -ESRCH;
	/* After the descriptor was opened: it is the process that the file means. */
	if (!state_alive(&p->state))
		return -ESRCH;
	_cleanup_close_ int conn = connect_shim(p->dir, &pid);
	if (conn < 0)
		return conn;
	if (pid != p->state.pid)
		return -EBADMSG;
	int watched = pidfd, socket = conn;
	pidfd = conn = -1;
	int r = pod_watch(p, watched, socket);
	p->created = true;
	struct json *hello = json_new(&a, JSON_OBJECT);
	json_set_str(&a, hello, "version", PROA_VERSION);
	json_set_int(&a, hello, "protocol", FRAME_PROTOCOL);
	if (r == 0 && !pod_call(p, FRAME_HELLO, &a, hello, NULL, 0, NULL, NULL))
		r = -EPIPE;
	return r;
}

/* Below our root and named after the pod: what a state file names is killed when the pod cannot be taken over. */
static bool own_group(const struct runtime *r, const struct pod_state *s)
{
	const char *rest = str_after(s->cgroup, r->cgroup_root), *last = strrchr(s->cgroup, '/');
	return rest && *rest == '/' && str_has_prefix(last, "/pod") && !strcmp(last + 4, s->uid);
}

static void recover_pod(struct runtime *r, const char *uid)
{
	struct pod *p = pod_new(r, uid);
	int result = state_read(p->dir, &p->state);
	if (result == 0 && (strcmp(p->state.uid, uid) || !own_group(r, &p->state)))
		result = -EBADMSG;
	if (result < 0) {
		memset(&p->state, 0, sizeof(p->state));
		give_up(p, result == -ENOENT ? "its state file is missing" : "its state file is damaged");
		return;
	}
	if (!p->state.pid) {
		give_up(p, "it was not completely created");
		return;
	}
	result = take_over(p);
	if (result < 0)
		give_up(p, result == -ESRCH ? "its shim is not running" : "its shim cannot be reached");
	else
		r->recovering++;
}

void recover_answered(struct pod *p, const struct json *body)
{
	struct runtime *r = p->r;
	if (!str_eq(json_path_str(body, "uid"), p->uid)) {
		give_up(p, "its shim is another pod's");
	} else if (r->on_pod) {
		if (p->protocol != FRAME_PROTOCOL)
			log_info("pod taken over from another version pod=%s version=%s protocol=%d", p->uid,
				 str_or(json_path_str(body, "version"), ""), p->protocol);
		struct container_status *list = xcalloc(p->containers.n + 1, sizeof(*list));
		int n = 0;
		MAP_EACH(s, &p->containers)
			list[n++] = *(struct container_status *)s->value;
		r->on_pod(r->recover_arg, p->uid, list, n);
		free(list);
	}
	recover_step(r);
}

void recover_step(struct runtime *r)
{
	if (--r->recovering > 0 || !r->recovered)
		return;
	runtime_done_fn done = r->recovered;
	r->recovered = NULL;
	call_later(r, done, r->recover_arg, 0, NULL);
}

void runtime_recover(struct runtime *r, runtime_recovered_fn on_pod, runtime_done_fn done, void *arg)
{
	r->on_pod = on_pod;
	r->recovered = done;
	r->recover_arg = arg;
	r->recovering = 1;
	DIR *d = opendir(r->pods_dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (pod_uid_valid(e->d_name))
			recover_pod(r, e->d_name);
		else if (e->d_name[0] != '.')
			log_warn("what is no pod's directory is left alone path=%s/%s", r->pods_dir, e->d_name);
	if (d)
		closedir(d);
	recover_step(r);
}
