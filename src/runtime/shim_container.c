/* SPDX-License-Identifier: Apache-2.0 */
/* A container's life: made, started, stopped, gone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/shim_internal.h"
#include "runtime/spec_json.h"

static bool valid_id(const char *s)
{
	size_t n = s ? strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-") : 0;
	return n && !s[n] && n < sizeof(((struct container_status *)0)->id) && s[0] != '.';
}

struct container *container_find(const char *id)
{
	LIST_EACH(l, &shim.containers) {
		struct container *c = LIST_ENTRY(l, struct container, link);
		if (c->settled && !strcmp(c->status.id, id))
			return c;
	}
	return NULL;
}

static bool id_taken(const char *id)
{
	LIST_EACH(l, &shim.containers)
		if (!strcmp(LIST_ENTRY(l, struct container, link)->status.id, id))
			return true;
	return false;
}

void container_free(struct container *c)
{
	list_remove(&c->link);
	shim.n_containers--;
	source_close(&c->sync);
	io_release(c);
	if (c->has_cgroup) {
		int r = cgroup_remove(&shim.layout, c->cgroup);
		if (r < 0)
			log_debug("cgroup not removed group=%s error=%s", c->cgroup, strerror(-r));
	}
	arena_release(&c->arena);
	free(c);
}

/* ---- start ---- */

/* With the status, so that the agent knows it when it hears that the request succeeded. */
static void reply_status(struct reply_to to, const struct container *c)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set(&a, o, "status", container_status_to_json(&a, &c->status));
	reply_json(to, json_to_string(&a, o), NULL, 0);
}

static void settle_running(struct container *c)
{
	source_close(&c->sync);
	c->settled = true;
	c->status.state = CONTAINER_RUNNING;
	c->status.pid = c->pid;
	c->status.started_at_ns = now_ns();
	reply_status(c->gate ? c->starter : c->creator, c);
	broadcast_status(&c->status);
}

static void read_sync(struct container *c)
{
	struct sync_message m;
	int fd, r = 1;
	while (c->sync.fd >= 0 && (r = sync_read(c->sync.fd, &m, &fd)) > 0) {
		if (m.kind == SYNC_FAILED) {
			c->failed = m;
		} else if (m.kind == SYNC_READY) {
			c->settled = true;
			c->status.pid = c->pid;
			reply_status(c->creator, c);
		} else if (m.kind == SYNC_TTY && c->spec.tty && c->out[0].fd < 0) {
			io_take_tty(c, fd);
			fd = -1;
		}
		if (fd >= 0)
			close(fd);
	}
	/* The end without an error: exec closed it. Or the child died; container_exited finds that out. */
	if (r == 0 && c->sync.fd >= 0) {
		if (c->failed.kind || (c->gate && !c->gate_open))
			source_close(&c->sync);
		else
			settle_running(c);
	}
}

static void on_sync(struct source *s, uint32_t events)
{
	(void)events;
	read_sync(container_of(s, struct container, sync));
}

static int make_group(struct container *c)
{
	if ((size_t)snprintf(c->cgroup, sizeof(c->cgroup), "%s/%s", shim.cgroup, c->status.id) >= sizeof(c->cgroup))
		return -ENAMETOOLONG;
	int r = cgroup_create(&shim.layout, c->cgroup);
	if (r < 0)
		return r;
	c->has_cgroup = true;
	c->spec.resources.oom_group = true;
	r = cgroup_apply(&shim.layout, c->cgroup, &c->spec.resources);
	if (r < 0)
		return r;
	struct cgroup_device *extra = xcalloc(c->spec.n_devices + 1, sizeof(*extra));
	size_t n = 0;
	for (size_t i = 0; i < c->spec.n_devices; i++) {
		struct stat st;
		if (stat(str_or(c->spec.devices[i].host_path, ""), &st) < 0)
			continue; /* said so when the node is made */
		extra[n++] =
		    (struct cgroup_device){S_ISBLK(st.st_mode) ? 'b' : 'c', (int64_t)(st.st_rdev >> 8 & 0xfff),
					   (int64_t)(st.st_rdev & 0xff) | (int64_t)(st.st_rdev >> 12 & 0xfff00),
					   str_or(c->spec.devices[i].permissions, "rwm")};
	}
	r = cgroup_apply_devices(&shim.layout, c->cgroup, c->spec.privileged, extra, n);
	free(extra);
	return r;
}

static int begin(struct container *c, const int *fds, int n_fds, const char **step)
{
	struct launch l = {.spec = &c->spec,
			   .container = &c->spec,
			   .layout = &shim.layout,
			   .cgroup = c->cgroup,
			   .gate = c->gate,
			   .stdio = {-1, -1, -1},
			   .fds = fds,
			   .n_fds = n_fds,
			   .pid_ns = shim.pid_ns,
			   .new_pid_ns = c->own_pid_ns,
			   .host_ipc = shim.pod.host_ipc,
			   .host_network = shim.pod.host_network,
			   .mountpoint = shim.dir,
			   .target = -1};
	_cleanup_close_ int shm = -1, filter = -1;
	int sync;
	const char *lacking = cgroup_unsupported(&shim.layout, &c->spec.resources);
	*step = lacking ? lacking : "making its cgroup";
	int r = make_group(c);
	if (r == 0) {
		*step = "opening its log";
		r = log_open(&c->log, c->spec.log_path, shim.log_size_max, shim.log_files_max);
	}
	if (r == 0) {
		*step = "opening the seccomp filter";
		r = open_seccomp(&c->spec, &filter);
	}
	if (r == 0) {
		*step = "opening the pod's shared memory";
		shm = pod_shm();
		r = shm < 0 ? shm : 0;
	}
	if (r == 0) {
		*step = "making its standard streams";
		r = io_prepare(c, l.stdio);
	}
	if (r == 0) {
		*step = "starting its process";
		l.shm = shm;
		l.seccomp = filter;
		r = launch(&l, &c->pid, &sync);
	}
	for (int i = 0; i < 3; i++)
		if (l.stdio[i] >= 0)
			close(l.stdio[i]);
	return r < 0 ? r : source_add(&c->sync, sync, EPOLLIN, on_sync);
}

void container_create(struct json *body, const int *fds, int n_fds, struct reply_to to)
{
	struct container *c = NEW(struct container);
	const char *step = "";
	list_init(&c->link);
	list_init(&c->attaches);
	list_add_tail(&shim.containers, &c->link);
	shim.n_containers++;
	c->sync.fd = c->out[0].fd = c->out[1].fd = c->in.fd = c->log.fd = -1;
	c->creator = to;
	c->gate = !json_path_bool(body, "start", true);
	c->own_pid_ns = !shim.pod.host_pid && shim.pid_ns < 0;
	int r = container_spec_from_json(&c->arena, json_get(body, "spec"), &c->spec);
	if (r == -EOPNOTSUPP) {
		reply_error(to, 501, NULL, "the pod's shim, version %s, does not know \"%s\"", PROA_VERSION,
			    str_or(container_spec_unknown(json_get(body, "spec")), ""));
	} else if (r < 0 || !valid_id(c->spec.id) || !c->spec.args || !c->spec.args[0] ||
		   c->spec.n_mounts > SPEC_MOUNTS_MAX || c->spec.n_groups > SPEC_GROUPS_MAX) {
		reply_error(to, 400, NULL, "the container's description is not valid");
	} else if (id_taken(c->spec.id)) {
		reply_error(to, 409, NULL, "container \"%s\" exists", c->spec.id);
	} else if (shim.n_containers > SHIM_CONTAINERS_MAX) {
		reply_error(to, 429, NULL, "the pod has %d containers already", SHIM_CONTAINERS_MAX);
	} else {
		strcpy(c->status.id, c->spec.id);
		c->status.created_at_ns = now_ns();
		r = begin(c, fds, n_fds, &step);
		if (r == 0)
			return; /* answered when the process says how it went */
		if (c->pid) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0);
		}
		container_free(c);
		reply_error(to, 500, NULL, "%s: %s", step, strerror(-r));
		return;
	}
	container_free(c);
}

void container_start(struct container *c, struct reply_to to)
{
	if (!c->gate || c->gate_open || c->sync.fd < 0) {
		reply_error(to, 409, NULL, "container was started already");
		return;
	}
	c->starter = to;
	c->gate_open = true;
	if (send(c->sync.fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		reply_error(to, 500, NULL, "the container's process is gone");
}

/* ---- stop ---- */

void container_kill(struct container *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL);
	/* Its first process takes its own pid namespace along; otherwise the cgroup says who belongs to it. */
	if (c->has_cgroup && !c->own_pid_ns)
		cgroup_kill(&shim.layout, c->cgroup);
}

int container_stop(struct container *c, int signum, int64_t grace_ms)
{
	if (!c->pid)
		return -ESRCH;
	if (grace_ms <= 0 || c->status.state == CONTAINER_CREATED) {
		container_kill(c);
		return 0;
	}
	kill(c->pid, signum ? signum : SIGTERM);
	int64_t at = monotonic_ms() + grace_ms;
	if (!c->kill_at_ms || at < c->kill_at_ms)
		c->kill_at_ms = at;
	deadline(c->kill_at_ms);
	return 0;
}

void container_timers(int64_t now_ms)
{
	LIST_EACH(l, &shim.containers) {
		struct container *c = LIST_ENTRY(l, struct container, link);
		if (c->pid && c->kill_at_ms) {
			if (now_ms >= c->kill_at_ms) {
				c->kill_at_ms = 0;
				container_kill(c);
			} else {
				deadline(c->kill_at_ms);
			}
		}
		attach_timers(c, now_ms);
	}
}

/* ---- end ---- */

/* It never ran its command: forget it, and when nothing of it is left say why. */
static void failed_to_start(struct container *c)
{
	struct reply_to to = c->gate && c->gate_open ? c->starter : c->creator;
	struct sync_message m = c->failed;
	container_free(c);
	if (m.kind)
		reply_error(to, m.code, m.exit_code == 126 || m.exit_code == 127 ? "StartError" : NULL, "%s", m.text);
	else
		reply_error(to, 500, NULL, "the container's process was killed before its command was started");
}

void container_exited(struct container *c, int status)
{
	read_sync(c);
	c->pid = 0;
	c->status.pid = 0;
	c->kill_at_ms = 0;
	bool waiting = c->gate && !c->gate_open;
	/* What it left running in a shared pid namespace is gone before anybody hears of its end: some milliseconds. */
	if (!c->own_pid_ns && c->has_cgroup && cgroup_kill(&shim.layout, c->cgroup) > 0)
		cgroup_wait_empty(&shim.layout, c->cgroup);
	if (c->status.state != CONTAINER_RUNNING && !(waiting && c->settled)) {
		failed_to_start(c);
		return;
	}
	io_drain(c);
	c->status.oom_killed = cgroup_oom_kills(&shim.layout, c->cgroup) > 0;
	c->status.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	c->status.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	c->status.finished_at_ns = now_ns();
	c->status.state = CONTAINER_EXITED;
	source_close(&c->sync);
	io_end(c);
	if (cgroup_remove(&shim.layout, c->cgroup) == 0)
		c->has_cgroup = false; /* else once its last processes are gone, with the container */
	broadcast_status(&c->status);
}
