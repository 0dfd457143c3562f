/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/error.h"
#include "oci/process.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define MAPS_MAX 340 /* the kernel's limit of lines in a map */

/* In the order of joining: with a user namespace come the rights to the others. */
const struct namespace_kind namespace_kinds[NAMESPACE_KINDS] = {
    {"user", "user", CLONE_NEWUSER},  {"pid", "pid", CLONE_NEWPID},  {"ipc", "ipc", CLONE_NEWIPC},
    {"network", "net", CLONE_NEWNET}, {"uts", "uts", CLONE_NEWUTS},  {"cgroup", "cgroup", CLONE_NEWCGROUP},
    {"time", "time", CLONE_NEWTIME},  {"mount", "mnt", CLONE_NEWNS},
};

static int read_one(const struct json *e, struct namespaces *n)
{
	const char *type = json_path_str(e, "type"), *path = json_path_str(e, "path");
	size_t i = 0;
	while (i < NAMESPACE_KINDS && strcmp(type, namespace_kinds[i].name))
		i++;
	if (i == NAMESPACE_KINDS)
		return oci_fail(0, "linux.namespaces: unknown type \"%s\"", type);
	int flag = namespace_kinds[i].flag;
	if (namespaces_has(n, (unsigned)flag))
		return oci_fail(0, "linux.namespaces: duplicated %s namespace", type);
	if (str_empty(path)) {
		n->create |= (unsigned)flag;
		return 0;
	}
	if (path[0] != '/')
		return oci_fail(0, "linux.namespaces: path \"%s\" is not absolute", path);
	n->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
	if (n->fds[i] < 0)
		return oci_fail(-errno, "linux.namespaces: opening the %s namespace %s", type, path);
	if (ioctl(n->fds[i], NS_GET_NSTYPE) != flag)
		return oci_fail(0, "linux.namespaces: %s is not a %s namespace", path, type);
	n->join |= (unsigned)flag;
	return 0;
}

int namespaces_read_kinds(const struct json *config, struct namespaces *ret)
{
	JSON_EACH(e, json_path(config, "linux.namespaces"))
		for (size_t i = 0; i < NAMESPACE_KINDS; i++)
			if (!strcmp(json_path_str(e, "type"), namespace_kinds[i].name))
				ret->join |= (unsigned)namespace_kinds[i].flag;
	return 0;
}

int namespaces_read(const struct json *config, struct namespaces *ret)
{
	struct namespaces n = {0};
	for (size_t i = 0; i < NAMESPACE_KINDS; i++)
		n.fds[i] = -1;
	JSON_EACH(e, json_path(config, "linux.namespaces")) {
		int r = read_one(e, &n);
		if (r < 0)
			return r;
	}
	static const struct {
		const char *path;
		unsigned flag;
		const char *kind;
	} needs[] = {
	    {"hostname", CLONE_NEWUTS, "uts"},
	    {"domainname", CLONE_NEWUTS, "uts"},
	    {"linux.timeOffsets", CLONE_NEWTIME, "time"},
	    {"mounts", CLONE_NEWNS, "mount"},
	    {"linux.maskedPaths", CLONE_NEWNS, "mount"},
	    {"linux.readonlyPaths", CLONE_NEWNS, "mount"},
	    {"linux.netDevices", CLONE_NEWNET, "network"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		const struct json *v = json_path(config, needs[i].path);
		if (v && (json_len(v) || !str_empty(json_str(v))) && !namespaces_has(&n, needs[i].flag))
			return oci_fail(0, "%s needs a namespace of the container's own: %s", needs[i].path,
					needs[i].kind);
	}
	bool maps =
	    json_len(json_path(config, "linux.uidMappings")) || json_len(json_path(config, "linux.gidMappings"));
	if (maps && !namespaces_has(&n, CLONE_NEWUSER))
		return oci_fail(0, "linux.uidMappings and gidMappings need a user namespace");
	if (n.create & CLONE_NEWUSER && !maps)
		return oci_fail(0, "a new user namespace needs linux.uidMappings and linux.gidMappings");
	if (json_len(json_path(config, "linux.timeOffsets")) && n.join & CLONE_NEWTIME)
		return oci_fail(0, "linux.timeOffsets go with a new time namespace, not with one that is joined");
	*ret = n;
	return 0;
}

int namespaces_join(const struct namespaces *n, unsigned which)
{
	unsigned done = 0;
	/*
	 * Some may belong to the user namespace that is joined, some to ours: what can be joined before is, the rest
	 * after it.
	 */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < NAMESPACE_KINDS; i++) {
			int flag = namespace_kinds[i].flag;
			bool user = flag == CLONE_NEWUSER, first = round == 0 && which & CLONE_NEWUSER;
			if (n->fds[i] < 0 || !(which & (unsigned)flag) || done & (unsigned)flag || (user && first))
				continue;
			if (setns(n->fds[i], flag) < 0) {
				if (first && errno == EPERM)
					continue;
				return oci_fail(-errno, "joining the %s namespace", namespace_kinds[i].name);
			}
			done |= (unsigned)flag;
			/* In it we are whom it calls root, if it does. */
			if (user)
				process_become_root(false);
		}
	}
	return 0;
}

int namespace_open_own(int flag)
{
	char path[40];
	for (size_t i = 0; i < NAMESPACE_KINDS; i++)
		if (namespace_kinds[i].flag == flag) {
			snprintf(path, sizeof(path), "/proc/self/ns/%s", namespace_kinds[i].file);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			return fd < 0 ? -errno : fd;
		}
	return -EINVAL;
}

/* ---- id maps ---- */

static int map_text(const struct json *maps, const char *what, struct buf *out)
{
	if (json_len(maps) > MAPS_MAX)
		return oci_fail(0, "linux.%s: more than %d entries", what, MAPS_MAX);
	JSON_EACH(m, maps)
		buf_addf(out, "%llu %llu %llu\n", (unsigned long long)config_u64(json_get(m, "containerID"), 0),
			 (unsigned long long)config_u64(json_get(m, "hostID"), 0),
			 (unsigned long long)config_u64(json_get(m, "size"), 0));
	return 0;
}

static int write_map(pid_t pid, const char *file, const char *text)
{
	char path[48];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* The setuid helper of shadow-utils, which knows /etc/subuid. */
static int run_helper(const char *helper, pid_t pid, const struct buf *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char *words = arena_strdup(&a, buf_str(text)), *save = NULL;
	const char **args = arena_zalloc(&a, (3 * MAPS_MAX + 3) * sizeof(*args));
	size_t n = 0;
	args[n++] = helper;
	args[n++] = arena_printf(&a, "%d", (int)pid);
	for (char *w = strtok_r(words, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		args[n++] = w;
	pid_t child = fork();
	if (child == 0) {
		execvp(helper, (char *const *)args);
		_exit(127);
	}
	int status = 0;
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0)
		return oci_fail(-errno, "fork");
	return status ? oci_fail(-EPERM, "%s refused the id map", helper) : 0;
}

static int write_either(pid_t pid, const struct json *maps, const char *what, const char *file, const char *helper)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = map_text(maps, what, &text);
	if (r == 0) {
		r = write_map(pid, file, buf_str(&text));
		if (r == -EPERM && geteuid())
			return run_helper(helper, pid, &text);
		if (r < 0)
			return oci_fail(r, "writing linux.%s", what);
	}
	return r;
}

int id_maps_write(pid_t pid, const struct json *config)
{
	const struct json *gids = json_get(config, "gidMappings");
	int r = write_either(pid, json_get(config, "uidMappings"), "uidMappings", "uid_map", "newuidmap");
	/* Who maps only their own group may not let processes drop others. */
	if (r == 0 && geteuid() && json_len(gids) == 1 && config_u64(json_path(json_at(gids, 0), "size"), 0) == 1)
		(void)write_map(pid, "setgroups", "deny");
	if (r == 0)
		r = write_either(pid, gids, "gidMappings", "gid_map", "newgidmap");
	return r;
}

int id_map_to_host(const struct json *maps, uint32_t id, uint32_t *ret)
{
	JSON_EACH(m, maps) {
		uint64_t first = config_u64(json_get(m, "containerID"), 0), size = config_u64(json_get(m, "size"), 0);
		if (id < first || id - first >= size)
			continue;
		*ret = (uint32_t)(config_u64(json_get(m, "hostID"), 0) + (id - first));
		return 0;
	}
	return -ERANGE;
}

int id_maps_namespace(const struct json *uid_maps, const struct json *gid_maps)
{
	_cleanup_buf_ struct buf uids = BUF_INIT, gids = BUF_INIT;
	int r = map_text(uid_maps, "uidMappings", &uids);
	if (r == 0)
		r = map_text(gid_maps, "gidMappings", &gids);
	if (r < 0)
		return r;
	int go[2], fd = -1;
	if (pipe2(go, O_CLOEXEC) < 0)
		return oci_fail(-errno, "pipe");
	/* A process that is in it, for as long as its maps are written and it is opened. */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		char c;
		close(go[1]);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	close(go[0]);
	if (pid < 0) {
		close(go[1]);
		return oci_fail(-errno, "making a user namespace for an idmapped mount");
	}
	r = write_map(pid, "uid_map", buf_str(&uids));
	if (r == 0)
		r = write_map(pid, "gid_map", buf_str(&gids));
	if (r == 0) {
		char path[48];
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	close(go[1]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? oci_fail(r, "the id map of a mount") : fd;
}

/* ---- time ---- */

int time_namespace_open(void)
{
	int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? oci_fail(-errno, "opening the offsets of a time namespace") : fd;
}

int time_namespace_enter(int offsets_file, const struct json *offsets)
{
	if (unshare(CLONE_NEWTIME) < 0)
		return oci_fail(-errno, "making a time namespace");
	JSON_EACH(o, offsets) {
		bool boot = !strcmp(o->key, "boottime");
		if (!boot && strcmp(o->key, "monotonic"))
			return oci_fail(0, "linux.timeOffsets: unknown clock \"%s\"", o->key);
		char text[80];
		snprintf(text, sizeof(text), "%d %lld %llu", boot ? CLOCK_BOOTTIME : CLOCK_MONOTONIC,
			 (long long)json_path_int(o, "secs", 0),
			 (unsigned long long)config_u64(json_get(o, "nanosecs"), 0));
		if (write(offsets_file, text, strlen(text)) < 0)
			return oci_fail(-errno, "linux.timeOffsets.%s", o->key);
	}
	_cleanup_close_ int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return oci_fail(-errno, "entering the time namespace");
	return 0;
}
