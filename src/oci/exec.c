/* SPDX-License-Identifier: Apache-2.0 */
/* One more process in a container that is there already. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/config.h"
#include "oci/error.h"
#include "oci/maker.h"
#include "oci/pass.h"
#include "oci/terminal.h"
#include "runtime/caps.h"

static struct {
	const char *console_socket, *pid_file, *process, *cwd, *user, *apparmor, *label, *pidfd_socket;
	flag_list env, caps, gids, cgroups;
	int64_t preserve_fds;
	bool tty, detach, no_new_privs, ignore_paused, no_subreaper;
} given;

static const struct flag flags[] = {
    {"process", 'p', FLAG_STRING, &given.process, "file with the specification's process, instead of other flags"},
    {"tty", 't', FLAG_BOOL, &given.tty, "give it a terminal"},
    {"cwd", 0, FLAG_STRING, &given.cwd, "its working directory"},
    {"env", 'e', FLAG_LIST, &given.env, "NAME=VALUE, added to the container's"},
    {"user", 'u', FLAG_STRING, &given.user, "UID[:GID]"},
    {"additional-gids", 'g', FLAG_LIST, &given.gids, "further groups"},
    {"cap", 'c', FLAG_LIST, &given.caps, "a capability to add"},
    {"no-new-privs", 0, FLAG_BOOL, &given.no_new_privs, "it and its children can't gain privileges"},
    {"apparmor", 0, FLAG_STRING, &given.apparmor, "its AppArmor profile"},
    {"process-label", 0, FLAG_STRING, &given.label, "its SELinux label"},
    {"detach", 'd', FLAG_BOOL, &given.detach, "return once the command runs"},
    {"pid-file", 0, FLAG_STRING, &given.pid_file, "file the process id is written to"},
    {"console-socket", 0, FLAG_STRING, &given.console_socket, "where the terminal's master is sent"},
    {"preserve-fds", 0, FLAG_INT, &given.preserve_fds, "descriptors after 2 that the process keeps"},
    {"pidfd-socket", 0, FLAG_STRING, &given.pidfd_socket, "where a pidfd of the process is sent"},
    {"cgroup", 0, FLAG_LIST, &given.cgroups, "[CONTROLLER,…:]PATH: a group below the container's own"},
    {"ignore-paused", 0, FLAG_BOOL, &given.ignore_paused, "also in a paused container: it runs when that is resumed"},
    {"no-subreaper", 0, FLAG_BOOL, &given.no_subreaper, "accepted, as runc does"},
    {0}};

/* ---- the process ---- */

static int set_user(struct arena *a, struct json *p)
{
	int64_t uid, gid;
	char text[24];
	const char *colon = strchr(given.user, ':');
	snprintf(text, sizeof(text), "%.*s", (int)(colon ? colon - given.user : (long)strlen(given.user)), given.user);
	if (strlen(given.user) >= sizeof(text) || parse_int_range(text, 0, UINT32_MAX - 1, &uid) < 0 ||
	    (colon && parse_int_range(colon + 1, 0, UINT32_MAX - 1, &gid) < 0))
		return oci_fail(0, "--user is UID[:GID], not \"%s\"", given.user);
	struct json *user = json_object_in(a, p, "user");
	json_set_int(a, user, "uid", uid);
	if (colon)
		json_set_int(a, user, "gid", gid);
	return 0;
}

static int from_flags(struct container *c, char **args, struct json **ret)
{
	struct arena *a = &c->arena;
	struct json *p = json_clone(a, c->process), *list = json_new(a, JSON_ARRAY);
	for (; *args; args++)
		json_append(list, json_new_str(a, *args));
	json_set(a, p, "args", list);
	json_set_bool(a, p, "terminal", given.tty);
	json_remove(p, "consoleSize");
	if (given.cwd)
		json_set_str(a, p, "cwd", given.cwd);
	VEC_EACH(e, &given.env)
		json_append(json_array_in(a, p, "env"), json_new_str(a, *e));
	/* No inheritable ones: what these would add is CVE-2022-27650. Who has some may have them as ambient. */
	static const char *const sets[] = {"bounding", "effective", "permitted", "ambient"};
	size_t n_sets = ARRAY_SIZE(sets) - !json_len(json_path(p, "capabilities.inheritable"));
	VEC_EACH(e, &given.caps)
		if (caps_from_name(*e) < 0)
			return oci_fail(0, "--cap: unknown capability \"%s\"", *e);
	VEC_EACH(e, &given.caps)
		for (size_t i = 0; i < n_sets; i++)
			json_append(json_array_in(a, json_object_in(a, p, "capabilities"), sets[i]),
				    json_new_str(a, *e));
	VEC_EACH(e, &given.gids) {
		int64_t gid;
		if (parse_int_range(*e, 0, UINT32_MAX - 1, &gid) < 0)
			return oci_fail(0, "--additional-gids: \"%s\" is not a group id", *e);
		json_append(json_array_in(a, json_object_in(a, p, "user"), "additionalGids"), json_new_int(a, gid));
	}
	if (given.no_new_privs)
		json_set_bool(a, p, "noNewPrivileges", true);
	if (given.apparmor)
		json_set_str(a, p, "apparmorProfile", given.apparmor);
	if (given.label)
		json_set_str(a, p, "selinuxLabel", given.label);
	*ret = p;
	return given.user ? set_user(a, p) : 0;
}

static int read_process(struct container *c, char **args, struct json **ret)
{
	if (!given.process && !*args)
		return oci_fail(0, "exec wants a command, or --process");
	if (!given.process && !c->process)
		return oci_fail(0, "the container's configuration has no process");
	int r = given.process ? config_read(&c->arena, given.process, ret) : from_flags(c, args, ret);
	if (r == 0)
		r = config_check_process(*ret);
	if (r == 0 && given.process && given.tty)
		json_set_bool(&c->arena, *ret, "terminal", true);
	return r;
}

/* ---- where it goes ---- */

static int find_target(struct maker *m)
{
	struct container *c = m->c;
	m->target = container_pidfd(c);
	if (m->target < 0)
		return oci_fail(0, "cannot exec in a stopped container: container not running");
	int r = namespaces_read_kinds(c->config, &m->ns);
	if (r == 0)
		r = group_detect(&c->group);
	if (r < 0)
		return r;
	if (c->no_pivot || !(m->ns.join & CLONE_NEWNS)) {
		const char *path = arena_printf(&c->arena, "/proc/%d/root", (int)c->pid);
		m->target_root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (m->target_root < 0)
			return oci_fail(-errno, "opening the container's root");
	}
	return group_choose_below(&c->group, &c->arena, given.cgroups.at, given.cgroups.n);
}

static int attend(struct maker *m)
{
	_cleanup_close_ int master = m->console;
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	if (pidfd >= 0)
		(void)terminal_attend(master, pidfd, -1);
	return maker_wait(m);
}

static int go(struct maker *m, char **args)
{
	struct container *c = m->c;
	struct json *p = NULL;
	int pair[2] = {-1, -1};
	int r = container_load_config(c);
	if (r == 0)
		r = find_target(m);
	if (r == 0 && !given.ignore_paused && container_phase_of(c) == PHASE_PAUSED)
		r = oci_fail(0, "cannot exec in a paused container (--ignore-paused does)");
	if (r == 0)
		r = read_process(c, args, &p);
	if (r < 0)
		return r;
	bool terminal = json_path_bool(p, "terminal", false);
	if (terminal && given.detach && !given.console_socket)
		return oci_fail(0, "a terminal needs --console-socket when detached");
	const char *initial = json_path_str(p, "execCPUAffinity.initial");
	m->affinity_final = json_path_str(p, "execCPUAffinity.final");
	if (!str_empty(initial))
		r = process_set_affinity(initial);
	if (r == 0)
		r = maker_process(m, p, (int)given.preserve_fds, true, false);
	if (r == 0 && terminal && given.console_socket) {
		r = m->console = pass_connect("console socket", given.console_socket);
	} else if (r == 0 && terminal) {
		r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? oci_fail(-errno, "socketpair") : 0;
		m->console = pair[1];
	}
	if (r >= 0)
		r = maker_clone(m);
	if (r == 0)
		r = maker_until_created(m);
	if (r == 0)
		r = write_pid_file(given.pid_file, m->pid);
	if (r == 0 && given.pidfd_socket)
		r = pass_pidfd(given.pidfd_socket, m->pid);
	if (pair[1] >= 0)
		close(pair[1]);
	m->console = r == 0 && pair[0] >= 0 ? terminal_receive(pair[0]) : -1;
	if (pair[0] >= 0)
		close(pair[0]);
	if (r == 0)
		r = maker_start(m->sync);
	if (r < 0) {
		char why[OCI_ERROR_MAX];
		snprintf(why, sizeof(why), "%s", oci_error());
		maker_abandon(m);
		return oci_fail(0, "exec failed: %s", why);
	}
	return given.detach ? 0 : attend(m);
}

static int exec(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct maker m = MAKER_INIT(&c);
	argv[argc] = NULL;
	if (!given.detach)
		terminal_hold_signals();
	int r = container_load(&c, argv[0], false);
	return r < 0 ? r : go(&m, argv + 1);
}

const struct command command_exec = {
    "exec", "ID [COMMAND [WORD…]]", "run one more process in a container", flags, 1, -1, true, true, exec};
