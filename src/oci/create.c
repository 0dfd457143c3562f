/* SPDX-License-Identifier: Apache-2.0 */
/* create and run: a container from a bundle. On failure nothing of it is left. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/config.h"
#include "oci/delete.h"
#include "oci/error.h"
#include "oci/hooks.h"
#include "oci/maker.h"
#include "oci/notify.h"
#include "oci/pass.h"
#include "oci/terminal.h"
#include "runtime/state.h"

#define LISTEN_FDS_MAX 65536 /* far beyond what systemd passes; guards the sum with --preserve-fds */

static struct {
	const char *bundle, *config, *console_socket, *pid_file, *pidfd_socket;
	int64_t preserve_fds;
	bool no_pivot, no_new_keyring, detach, keep, no_subreaper;
} given;

#define CREATE_FLAGS                                                                                                   \
	{"bundle", 'b', FLAG_STRING, &given.bundle, "directory with config.json; the current one"},                    \
	    {"config", 'f', FLAG_STRING, &given.config, "another name for config.json"},                               \
	    {"console-socket", 0, FLAG_STRING, &given.console_socket, "where the terminal's master is sent"},          \
	    {"pid-file", 0, FLAG_STRING, &given.pid_file, "file the process id is written to"},                        \
	    {"pidfd-socket", 0, FLAG_STRING, &given.pidfd_socket, "where a pidfd of the process is sent"},             \
	    {"preserve-fds", 0, FLAG_INT, &given.preserve_fds, "descriptors after 2 that the process keeps"},          \
	    {"no-pivot", 0, FLAG_BOOL, &given.no_pivot, "move the root instead of pivot_root (a ramdisk)"},            \
	{                                                                                                              \
		"no-new-keyring", 0, FLAG_BOOL, &given.no_new_keyring, "keep the caller's session keyring"             \
	}

static const struct flag create_flags[] = {CREATE_FLAGS, {0}};
static const struct flag run_flags[] = {
    CREATE_FLAGS,
    {"detach", 'd', FLAG_BOOL, &given.detach, "return once the command runs"},
    {"keep", 0, FLAG_BOOL, &given.keep, "do not delete the container when its process ends"},
    {"no-subreaper", 0, FLAG_BOOL, &given.no_subreaper, "accepted, as runc does"},
    {0}};

/* ---- what is asked for ---- */

static int read_bundle(struct container *c)
{
	char real[PATH_MAX];
	if (!realpath(str_or(given.bundle, "."), real))
		return oci_fail(-errno, "bundle %s", given.bundle);
	c->bundle = arena_strdup(&c->arena, real);
	const char *path = given.config && given.config[0] == '/'
			       ? given.config
			       : arena_printf(&c->arena, "%s/%s", c->bundle, str_or(given.config, "config.json"));
	int r = config_read(&c->arena, path, &c->config);
	if (r == 0)
		r = config_check(c->config);
	if (r < 0)
		return r;
	const char *root = json_path_str(c->config, "root.path");
	if (str_empty(root))
		return oci_fail(0, "config: root.path is required");
	c->process = json_get(c->config, "process");
	if (!c->process)
		return oci_fail(0, "config: process is required");
	const char *full = root[0] == '/' ? root : arena_printf(&c->arena, "%s/%s", c->bundle, root);
	struct stat st;
	if (!realpath(full, real) || stat(real, &st) < 0)
		return oci_fail(-errno, "root file system %s", full);
	if (!S_ISDIR(st.st_mode))
		return oci_fail(-ENOTDIR, "root file system %s", full);
	c->rootfs = arena_strdup(&c->arena, real);
	return 0;
}

static int check_terminal(const struct container *c, bool detached)
{
	bool terminal = json_path_bool(c->process, "terminal", false);
	if (!terminal && given.console_socket)
		return oci_fail(0, "--console-socket is for containers with process.terminal");
	if (terminal && detached && !given.console_socket)
		return oci_fail(0, "process.terminal needs --console-socket when detached");
	return 0;
}

/* What `start` connects to. It can be reached by whoever may enter the state directory: its owner. */
static int listen_for_start(const struct container *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[64];
	container_socket_path(c, path);
	strcpy(a.sun_path, path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	mode_t old = umask(0177);
	int r = fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0 ? -errno : 0;
	umask(old);
	return r < 0 ? oci_fail(r, "making the start socket") : TAKE_FD(fd);
}

/* What systemd hands to a socket-activated runtime is meant for the container; it follows the preserved ones. */
static int listen_fds(void)
{
	int64_t n;
	const char *text = getenv("LISTEN_FDS");
	return text && parse_int_range(text, 1, LISTEN_FDS_MAX, &n) == 0 ? (int)n : 0;
}

/* ---- making it ---- */

/* Undoes what was done, keeping the message of what went wrong. */
static void undo(struct maker *m, bool group)
{
	char why[OCI_ERROR_MAX];
	struct container *c = m->c;
	snprintf(why, sizeof(why), "%s", oci_error());
	maker_abandon(m);
	if (m->hooked)
		hooks_run_all(c, "poststop", "stopped");
	if (group && group_destroy(&c->group, true) < 0)
		oci_warn("%s", oci_error());
	if (container_forget(c) < 0)
		oci_warn("%s", oci_error());
	oci_fail(0, "%s", why);
}

/* What delete needs to remove what is left when we are killed from here on. */
static int announce(struct container *c)
{
	static char now[TIME_RFC3339_MAX];
	c->created = time_format_nano(now_ns(), now);
	c->owner = geteuid();
	return container_announce(c);
}

static int remember(struct container *c, const struct maker *m)
{
	c->pid = m->pid;
	c->start_time = state_start_time(m->pid);
	return c->start_time < 0 ? -ESRCH : 0;
}

static int make(struct maker *m, const char *id, bool run)
{
	struct container *c = m->c;
	bool group = false, detached = !run || given.detach;
	int pair[2] = {-1, -1};
	int r = read_bundle(c);
	if (r == 0)
		r = check_terminal(c, detached);
	if (r == 0)
		r = container_reserve(c, id);
	if (r < 0)
		return r;
	c->no_pivot = given.no_pivot;
	c->creating = true;
	r = namespaces_read(c->config, &m->ns);
	if (r == 0)
		r = notify_plan(c);
	if (r == 0)
		r = container_put_config(c);
	m->process.listen_fds = listen_fds();
	if (r == 0)
		r = maker_process(m, c->process, (int)given.preserve_fds + m->process.listen_fds, !given.no_new_keyring,
				  false);
	if (r == 0 && given.console_socket) {
		r = m->console = pass_connect("console socket", given.console_socket);
	} else if (r == 0 && json_path_bool(c->process, "terminal", false)) {
		r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? oci_fail(-errno, "socketpair") : 0;
		m->console = pair[1];
	}
	if (r >= 0 && !run)
		r = m->listener = listen_for_start(c);
	if (r >= 0)
		r = group_plan(&c->group, c->config, id);
	if (r == 0)
		r = announce(c);
	if (r == 0) {
		r = group_create(&c->group, c->config, id);
		group = r == 0;
	}
	if (r == 0)
		r = mounts_prepare(&c->arena, c, &m->ns, &m->mounts);
	if (r == 0)
		r = maker_clone(m);
	if (r == 0) {
		int alive = remember(c, m), put = container_put(c); /* while the process is busy */
		r = maker_until_created(m);			    /* one that has died already said why */
		if (r == 0 && alive < 0)
			r = oci_fail(alive, "the container's process died while it was being made");
		if (r == 0 && put < 0)
			r = oci_fail(put, "writing the state of %s", c->id);
	}
	if (r == 0) {
		c->creating = false;
		/* Only now it is known where systemd has put it. */
		if (c->group.manager == GROUP_SYSTEMD && unlinkat(c->dir_fd, "state.new", 0) == 0)
			r = container_put(c);
		r = r < 0 ? oci_fail(r, "writing the state of %s", c->id) : container_publish(c);
	}
	if (r == 0)
		r = write_pid_file(given.pid_file, c->pid);
	if (r == 0 && given.pidfd_socket)
		r = pass_pidfd(given.pidfd_socket, c->pid);
	if (r < 0)
		undo(m, group);
	if (pair[1] >= 0)
		close(pair[1]);
	m->console = r == 0 && pair[0] >= 0 ? terminal_receive(pair[0]) : -1;
	if (pair[0] >= 0)
		close(pair[0]);
	return r;
}

static int start_and_attend(struct maker *m)
{
	struct container *c = m->c;
	_cleanup_close_ int notify = -1;
	int r = notify_listen(c, &notify);
	if (r == 0)
		r = maker_start(m->sync);
	if (r == 0)
		r = hooks_run(c, "poststart", "running");
	if (r < 0) {
		undo(m, true);
		return r;
	}
	container_unlock(c); /* others may ask for it and kill it */
	if (given.detach)
		return notify_wait_ready(notify, c);
	_cleanup_close_ int master = m->console;
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	if (pidfd >= 0)
		(void)terminal_attend(master, pidfd, notify);
	int status = maker_wait(m);
	if (!given.keep)
		r = delete_ended(c);
	return r < 0 ? r : status;
}

static int create(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct maker m = MAKER_INIT(&c);
	(void)argc;
	return make(&m, argv[0], false);
}

static int run(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct maker m = MAKER_INIT(&c);
	(void)argc;
	if (!given.detach)
		terminal_hold_signals();
	int r = make(&m, argv[0], true);
	return r < 0 ? r : start_and_attend(&m);
}

const struct command command_create = {
    "create", "ID", "make a container; its command waits for start", create_flags, 1, 1, false, true, create};
const struct command command_run = {
    "run", "ID", "make a container and start it; without --detach wait for its end", run_flags, 1, 1, false, true, run};
