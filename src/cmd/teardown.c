/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/teardown.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "cmd/cluster.h"
#include "cmd/process.h"
#include "io/loop.h"
#include "network/network.h"
#include "runtime/runtime.h"

#define END_MS 10000

/* ---- pods ---- */

struct removal {
	struct loop *loop;
	struct runtime *runtime;
	VEC(char *) pods;
	size_t pending;
};

static void on_removed(void *arg, const struct status *err)
{
	struct removal *r = arg;

	if (err)
		log_warn("a pod could not be removed error=\"%s\"", err->message);
	if (--r->pending == 0)
		loop_stop(r->loop);
}

static void on_pod(void *arg, const char *pod_uid, const struct container_status *containers, int n)
{
	struct removal *r = arg;

	(void)containers;
	(void)n;
	VEC_PUSH(&r->pods, xstrdup(pod_uid));
}

static void on_recovered(void *arg, const struct status *err)
{
	struct removal *r = arg;

	if (err)
		log_warn("pods could not be taken over error=\"%s\"", err->message);
	r->pending = r->pods.n + 1;
	VEC_EACH(uid, &r->pods)
		runtime_pod_remove(r->runtime, *uid, on_removed, r);
	on_removed(r, NULL);
}

static void ignore_container(void *arg, const char *pod_uid, const struct container_status *st)
{
	(void)arg;
	(void)pod_uid;
	(void)st;
}

static void ignore_lost(void *arg, const char *pod_uid, const char *why)
{
	(void)arg;
	(void)pod_uid;
	(void)why;
}

static void remove_pods(struct cluster *c)
{
	static const struct runtime_events events = {ignore_container, ignore_lost};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct removal r = {0};
	const char *root = arena_printf(&c->arena, "proa-%s", c->id);
	char self[PATH_MAX] = "";

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || loop_new(&r.loop) < 0)
		return;
	*strrchr(self, '/') = 0;
	struct runtime_config rc = {
	    .run_dir = c->run_dir, .cgroup_root = root, .shim = arena_printf(&c->arena, "%s/proa-shim", self)};
	if (runtime_new(r.loop, &rc, &events, &r, &r.runtime, &err) < 0) {
		log_warn("pods cannot be looked for error=\"%s\"", err.message);
	} else {
		runtime_recover(r.runtime, on_pod, on_recovered, &r);
		loop_run(r.loop);
		runtime_free(r.runtime);
	}
	loop_free(r.loop);
	VEC_EACH(uid, &r.pods)
		free(*uid);
	VEC_RELEASE(&r.pods);
}

/* ---- mounts ---- */

/* Mount points contain \040 and its like for blanks (proc(5)). */
static void unescape_octal(char *s)
{
	char *out = s;

	for (; *s; s++)
		if (*s == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	*out = 0;
}

static bool below(const char *path, const char *dir)
{
	const char *rest = str_after(path, dir);
	return rest && (*rest == '/' || !*rest);
}

/* Later mounts first, since they may lie on earlier ones. */
static void unmount_below(const char *const dirs[2])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	VEC(char *) points = {0};
	char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		char point[PATH_MAX];
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		unescape_octal(point);
		if (below(point, dirs[0]) || below(point, dirs[1]))
			VEC_PUSH(&points, xstrdup(point));
	}
	free(line);
	if (f)
		fclose(f);
	while (points.n) {
		char *point = VEC_POP(&points);
		if (umount2(point, MNT_DETACH) < 0)
			log_warn("cannot unmount path=%s error=%s", point, strerror(errno));
		free(point);
	}
	VEC_RELEASE(&points);
}

/* ---- cgroups ---- */

static bool remove_cgroup_tree(const char *path)
{
	DIR *d = opendir(path);

	if (!d)
		return errno == ENOENT;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_free_ char *sub = xasprintf("%s/%s", path, e->d_name);
		remove_cgroup_tree(sub);
	}
	closedir(d);
	return rmdir(path) == 0;
}

/* In every hierarchy: /sys/fs/cgroup itself (pure v2) and each directory of it (v1, hybrid). */
static bool remove_cgroups(const char *id)
{
	DIR *d = opendir("/sys/fs/cgroup");
	_cleanup_free_ char *unified = xasprintf("/sys/fs/cgroup/proa-%s", id);
	bool all = remove_cgroup_tree(unified);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		_cleanup_free_ char *path = xasprintf("/sys/fs/cgroup/%s/proa-%s", e->d_name, id);
		struct stat st;
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			all &= remove_cgroup_tree(path);
	}
	if (d)
		closedir(d);
	return all;
}

/* ---- all of it ---- */

int teardown(struct cluster *c, struct status *err)
{
	static const char *const children[] = {"agent.pid", "server.pid"};
	const char *const dirs[2] = {c->run_dir, cluster_path(c, c->data_dir, "agent")};

	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		_cleanup_close_ int pidfd = process_find(cluster_path(c, c->run_dir, children[i]), NULL);
		if (pidfd >= 0)
			process_end(pidfd, SIGTERM, END_MS);
	}
	if (access(c->run_dir, F_OK) < 0)
		return 0;
	remove_pods(c);
	network_remove(c->id);
	unmount_below(dirs);
	bool cgroups = remove_cgroups(c->id);
	int r = fs_remove_tree(c->run_dir);
	if (!cgroups)
		return status_set(err, 500, "cgroups named proa-%s could not be removed: something still runs in them",
				  c->id);
	return r < 0 ? status_set(err, 500, "cannot remove %s: %s", c->run_dir, strerror(-r)) : 0;
}
