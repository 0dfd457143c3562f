/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/maker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/error.h"
#include "oci/hooks.h"
#include "oci/net_devices.h"
#include "oci/pass.h"
#include "oci/self.h"
#include "oci/sync.h"
#include "oci/terminal.h"
#include "runtime/state.h"

#define KEEP_GROUPS "run.oci.keep_original_groups" /* what podman asks for --group-add=keep-groups by */

int maker_process(struct maker *m, const struct json *process, int preserve_fds, bool new_keyring, bool no_filter)
{
	struct container *c = m->c;
	const struct json *seccomp = json_path(c->config, "linux.seccomp");
	struct process *p = &m->process;
	p->spec = process;
	p->preserve_fds = preserve_fds;
	p->keyring = new_keyring ? arena_printf(&c->arena, "_ses.%s", c->id) : NULL;
	p->keep_groups = str_eq(json_str(json_get(json_get(c->config, "annotations"), KEEP_GROUPS)), "1");
	int r = no_filter ? 0 : filter_prepare(&c->arena, seccomp, &p->filter);
	if (r == 0 && p->filter.notify) {
		p->notify_socket = pass_connect("linux.seccomp.listenerPath", json_path_str(seccomp, "listenerPath"));
		r = p->notify_socket < 0 ? p->notify_socket : 0;
	}
	return r;
}

/* ---- clone ---- */

unsigned maker_clone_flags(const struct maker *m)
{
	/* cgroup and time namespaces the child makes itself, once it is in its group. */
	return m->ns.create & ~(unsigned)(CLONE_NEWCGROUP | 0x80);
}

/* Groups of v1, and namespaces of others, are joined with our rights: before the child enters a user namespace. */
static bool needs_stage(const struct maker *m)
{
	const struct cgroup_layout *l = &m->c->group.layout;
	/* In a user namespace we could not come back to a pid namespace that was there before it. */
	if (options.rootless && m->ns.join & CLONE_NEWPID)
		return true;
	if (!namespaces_has(&m->ns, CLONE_NEWUSER))
		return false;
	bool v1 = m->c->group.manager == GROUP_CGROUPFS && l->n > (cgroup_layout_v2(l) ? 1 : 0);
	return m->ns.join || m->target >= 0 || v1;
}

int maker_clone(struct maker *m)
{
	int pair[2], r = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return oci_fail(-errno, "socketpair");
	m->sync = pair[0];
	m->child_sync = pair[1];
	bool stage = needs_stage(m);
	_cleanup_close_ int group = group_clone_target(&m->c->group), own = -1;
	if (group < 0 && group != -ENOENT && group != -1)
		return oci_fail(group, "opening cgroup %s", m->c->group.path);
	struct clone_args args = {.exit_signal = SIGCHLD};
	if (!stage && m->target < 0)
		args.flags = maker_clone_flags(m);
	if (group >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)group;
	}
	/* A pid namespace is joined by children only: done here, undone after the clone. */
	if (!stage && m->ns.join & CLONE_NEWPID) {
		own = namespace_open_own(CLONE_NEWPID);
		if (own < 0)
			return oci_fail(own, "opening the own pid namespace");
		r = m->target >= 0
			? (setns(m->target, CLONE_NEWPID) < 0 ? oci_fail(-errno, "joining the pid namespace") : 0)
			: namespaces_join(&m->ns, CLONE_NEWPID);
		if (r < 0)
			return r;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		if (stage)
			child_stage(m, group >= 0);
		child_run(m, group >= 0, false);
	}
	if (pid < 0)
		r = oci_fail(-errno, "making the container's process");
	if (own >= 0 && setns(own, CLONE_NEWPID) < 0 && r == 0)
		r = oci_fail(-errno, "returning to the own pid namespace");
	if (pid > 0 && stage) {
		struct step s = {0};
		int got = step_receive(m->sync, &s);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		if (got > 0 && s.kind == STEP_PID)
			m->pid = (pid_t)s.value;
		else if (r == 0)
			r = oci_fail(0, "%s",
				     got > 0 && s.kind == STEP_FAILED ? s.text : "the stage of the container died");
	} else if (pid > 0) {
		m->pid = pid;
	}
	close(m->child_sync);
	m->child_sync = -1;
	if (r == 0 && !options.rootless)
		r = process_oom_score(m->process.spec, m->pid);
	return r;
}

/* ---- steps ---- */

static int write_maps(struct maker *m)
{
	int r = 0;
	if (m->target < 0 && m->ns.create & CLONE_NEWUSER)
		r = id_maps_write(m->pid, json_get(m->c->config, "linux"));
	if (r == 0 && m->target < 0)
		r = group_adopt(&m->c->group, m->c->config, m->c->id, m->pid);
	return r;
}

static int run_hooks(struct maker *m)
{
	m->hooked = true;
	int r = container_save(m->c); /* a hook may ask for it */
	if (r == 0)
		r = hooks_run(m->c, "prestart", "creating");
	if (r == 0)
		r = hooks_run(m->c, "createRuntime", "creating");
	return r;
}

static int died(void)
{
	return oci_fail(0, "the container's process died while it was being made");
}

/* One that is gone may have said why: that is heard next. */
static int go(int sync, int64_t value)
{
	int r = step_send(sync, STEP_GO, value);
	return r < 0 && r != -EPIPE && r != -ECONNRESET ? oci_fail(r, "telling the container's process to go on") : 0;
}

int maker_until_created(struct maker *m)
{
	for (;;) {
		struct step s;
		int r = step_receive(m->sync, &s);
		if (r <= 0)
			return r < 0 ? oci_fail(r, "hearing from the container's process") : died();
		switch (s.kind) {
		case STEP_MAPS:
			r = write_maps(m);
			break;
		case STEP_NET_DEVICES:
			r = net_devices_move(m->c, m->pid);
			break;
		case STEP_HOOKS:
			r = run_hooks(m);
			break;
		case STEP_CREATED:
			return 0;
		case STEP_FAILED:
			oci_fail(0, "%s", s.text);
			return s.error;
		default:
			r = oci_fail(-EPROTO, "unexpected step %d", s.kind);
		}
		if (r < 0)
			return r;
		r = go(m->sync, m->pid);
		if (r < 0)
			return r;
	}
}

int maker_start(int sync)
{
	bool exec = false;
	int sent = go(sync, 0);
	if (sent < 0)
		return sent;
	self_mount_close();
	/* All it has to say is there when it closes its end, by exec or by dying: one awakening instead of two. */
	struct pollfd end = {.fd = sync};
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	for (;;) {
		struct step s;
		int r = step_receive(sync, &s);
		if (r < 0)
			return oci_fail(r, "hearing from the container's process");
		if (r == 0)
			return exec ? 0 : oci_fail(0, "the container's process died before its command was run");
		if (s.kind == STEP_FAILED) {
			oci_fail(0, "%s", s.text);
			return s.error < 0 ? s.error : -EINVAL;
		}
		exec |= s.kind == STEP_EXEC;
	}
}

void maker_abandon(struct maker *m)
{
	if (m->pid <= 0)
		return;
	kill(m->pid, SIGKILL);
	while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
		;
	m->pid = 0;
}

int maker_wait(struct maker *m)
{
	int status = 0;
	while (waitpid(m->pid, &status, 0) < 0)
		if (errno != EINTR)
			return oci_fail(-errno, "waiting for the process");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
