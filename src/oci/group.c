/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/resources.h"
#include "oci/systemd.h"

#define PROC_CGROUP_MAX 65536 /* a line a hierarchy, each shorter than a path */

static const char *const managers[] = {"cgroupfs", "systemd", "disabled"};

int group_detect(struct cgroup *g)
{
	if (g->detected || g->manager == GROUP_DISABLED)
		return 0;
	int r = cgroup_layout_detect(&g->layout);
	if (r < 0 && r != -ENOENT)
		return oci_fail(r, "finding the machine's cgroups");
	g->detected = true;
	return 0;
}

static int choose_manager(struct cgroup *g)
{
	const char *name = options.cgroup_manager;
	if (!name)
		name = options.systemd_cgroup ? "systemd" : "cgroupfs";
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++)
		if (!strcmp(name, managers[i])) {
			g->manager = (enum group_manager)i;
			return 0;
		}
	return oci_fail(0, "unknown cgroup manager \"%s\"", name);
}

/* Normal form without leading slash; ".." would lead out of it. */
static int set_path(struct cgroup *g, const char *path)
{
	size_t len = 0;
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");
		if ((n == 2 && !strncmp(at, "..", 2)) || len + n + 2 > sizeof(g->path))
			return oci_fail(0, "linux.cgroupsPath \"%s\" is not usable", path);
		if (n && !(n == 1 && *at == '.')) {
			if (len)
				g->path[len++] = '/';
			memcpy(g->path + len, at, n);
			len += n;
		}
		at += n + (at[n] == '/');
	}
	g->path[len] = 0;
	return len ? 0 : oci_fail(0, "linux.cgroupsPath \"%s\" is the root group", path);
}

int group_plan(struct cgroup *g, const struct json *config, const char *id)
{
	const char *path = json_path_str(config, "linux.cgroupsPath");
	int r = choose_manager(g);
	if (r < 0 || g->manager == GROUP_DISABLED)
		return r;
	r = group_detect(g);
	if (r < 0)
		return r;
	if (g->manager == GROUP_SYSTEMD)
		return systemd_plan(g, path, id);
	return set_path(g, str_empty(path) ? id : path);
}

/* How much of the path is there already, in the hierarchy that has least of it. */
static size_t existing_prefix(const struct cgroup *g)
{
	size_t least = strlen(g->path);
	for (size_t i = 0; i < g->layout.n; i++)
		while (least) {
			char full[CGROUP_MOUNT_MAX + CGROUP_PATH_MAX + 2];
			snprintf(full, sizeof(full), "%s/%.*s", g->layout.h[i].mount, (int)least, g->path);
			if (access(full, F_OK) == 0)
				break;
			while (--least && g->path[least] != '/')
				;
		}
	return least;
}

/* A group is killed with its container, so it has but one; and in or below a frozen one nothing would ever start. */
static int check_unused(const struct cgroup *g)
{
	if (!g->path[g->made_from] && cgroup_populated(&g->layout, g->path))
		return oci_fail(-EBUSY, "container's cgroup is not empty: %s", g->path);
	if (cgroup_would_freeze(&g->layout, g->path))
		return oci_fail(-EBUSY, "container's cgroup unexpectedly frozen: %s, or one above it", g->path);
	return 0;
}

static bool may_do_without(const struct json *config, int error)
{
	return options.rootless && (error == -EACCES || error == -EPERM || error == -EROFS || error == -ENOENT) &&
	       !resources_demanded(json_path(config, "linux.resources"));
}

static void do_without(struct cgroup *g)
{
	g->manager = GROUP_DISABLED;
	g->path[0] = 0;
}

int group_create(struct cgroup *g, const struct json *config, const char *id)
{
	const struct json *res = json_path(config, "linux.resources");
	if (g->manager == GROUP_DISABLED)
		return resources_demanded(res) ? oci_fail(0, "linux.resources: limits need cgroups, which are disabled")
					       : 0;
	if (!g->layout.n) {
		if (resources_demanded(res))
			return oci_fail(0, "linux.resources: this machine has no cgroup file system mounted");
		do_without(g);
		return 0;
	}
	if (g->manager == GROUP_SYSTEMD)
		return 0; /* made around the first process: group_adopt */
	(void)id;
	g->made_from = existing_prefix(g);
	int r = check_unused(g);
	if (r < 0)
		return r;
	r = cgroup_create(&g->layout, g->path);
	if (r < 0) {
		group_destroy(g, true);
		if (may_do_without(config, r)) {
			do_without(g);
			return 0;
		}
		return oci_fail(r, "making cgroup %s", g->path);
	}
	r = resources_apply(g, res, true);
	if (r < 0) {
		struct cgroup undo = *g;
		char keep[OCI_ERROR_MAX];
		snprintf(keep, sizeof(keep), "%s", oci_error());
		group_destroy(&undo, true);
		oci_fail(0, "%s", keep);
	}
	return r;
}

int group_adopt(struct cgroup *g, const struct json *config, const char *id, pid_t pid)
{
	if (g->manager != GROUP_SYSTEMD)
		return 0;
	int r = systemd_start_scope(g, config, id, pid);
	if (r < 0)
		return r;
	/* It makes what it needs itself, which on v1 isn't every hierarchy. */
	r = cgroup_adopt(&g->layout, g->path, pid);
	if (r < 0)
		oci_fail(r, "making cgroup %s", g->path);
	if (r == 0)
		r = resources_apply(g, json_path(config, "linux.resources"), true);
	return r;
}

int group_tell_limits(const struct cgroup *g, const struct json *resources)
{
	return g->manager == GROUP_SYSTEMD ? systemd_set_limits(g, resources) : 0;
}

/* "cpu" in "cpu,cpuacct" or "systemd" in "name=systemd". */
static bool hierarchy_has(const struct cgroup_hierarchy *h, const char *name, size_t len)
{
	for (const char *at = h->controllers_text; *at;) {
		size_t n = strcspn(at, ",");
		const char *word = n > 5 && !strncmp(at, "name=", 5) ? at + 5 : at;
		if ((size_t)(at + n - word) == len && !strncmp(word, name, len))
			return true;
		at += n + (at[n] == ',');
	}
	return false;
}

static const char *path_in(struct arena *a, const struct cgroup *g, size_t i, const char *sub)
{
	const char *path = arena_printf(a, "%s/%s", g->path, sub);
	return access(arena_printf(a, "%s/%s", g->layout.h[i].mount, path), F_OK) == 0 ? path : NULL;
}

/* Every hierarchy that has it; at least one. */
static int choose_everywhere(struct cgroup *g, struct arena *a, const char *sub)
{
	bool any = false;
	for (size_t i = 0; i < g->layout.n; i++) {
		g->below[i] = path_in(a, g, i, sub);
		any |= g->below[i] != NULL;
	}
	return any ? 0 : oci_fail(-ENOENT, "--cgroup: %s/%s", g->path, sub);
}

static int choose_for(struct cgroup *g, struct arena *a, const char *name, size_t len, const char *sub)
{
	for (size_t i = 0; i < g->layout.n; i++) {
		if (!hierarchy_has(&g->layout.h[i], name, len))
			continue;
		if (g->below[i])
			return oci_fail(0, "--cgroup: controller %.*s is there twice", (int)len, name);
		g->below[i] = path_in(a, g, i, sub);
		return g->below[i] ? 0 : oci_fail(-ENOENT, "--cgroup: %s/%s of %.*s", g->path, sub, (int)len, name);
	}
	return oci_fail(0, "--cgroup: there is no controller %.*s on cgroup v1", (int)len, name);
}

int group_choose_below(struct cgroup *g, struct arena *a, const char *const *words, size_t n)
{
	int r = 0;
	if (n && (g->manager == GROUP_DISABLED || !*g->path))
		return oci_fail(0, "--cgroup: the container has no cgroup");
	for (size_t i = 0; i < n && r == 0; i++) {
		const char *colon = strchr(words[i], ':'), *sub = colon ? colon + 1 : words[i];
		if (strstr(sub, ".."))
			return oci_fail(0, "--cgroup: bad sub cgroup path: %s", words[i]);
		if (strlen(g->path) + strlen(sub) + 2 > CGROUP_PATH_MAX)
			return oci_fail(0, "--cgroup %s is not usable", words[i]);
		if (!colon && n > 1)
			return oci_fail(0, "--cgroup %s: of several each needs its controllers", words[i]);
		if (!colon)
			return choose_everywhere(g, a, sub);
		for (const char *at = words[i]; at < colon && r == 0;) {
			size_t len = strcspn(at, ",:");
			r = choose_for(g, a, at, len, sub);
			at += len + 1;
		}
	}
	return r;
}

static bool joined_by_its_processes(const struct cgroup *g)
{
	return g->manager == GROUP_CGROUPFS || (g->manager == GROUP_SYSTEMD && g->placed);
}

static const char *joined_path(const struct cgroup *g, size_t i)
{
	return g->below[i] ? g->below[i] : g->path;
}

int group_join(const struct cgroup *g, bool v2_done)
{
	for (size_t i = 0; i < g->layout.n && joined_by_its_processes(g); i++) {
		const struct cgroup_hierarchy *h = &g->layout.h[i];
		int r = h->v2 && v2_done ? 0 : cgroup_join_in(h, joined_path(g, i));
		if (r < 0)
			return oci_fail(r, "joining cgroup %s%s%s", joined_path(g, i), h->v2 ? "" : " of ",
					h->controllers_text);
	}
	return 0;
}

int group_clone_target(const struct cgroup *g)
{
	for (size_t i = 0; i < g->layout.n && joined_by_its_processes(g); i++)
		if (g->layout.h[i].v2)
			return cgroup_open_v2(&g->layout, joined_path(g, i));
	return -1;
}

int group_destroy(struct cgroup *g, bool parents_too)
{
	if (g->manager == GROUP_DISABLED || !*g->path)
		return 0;
	int r = group_detect(g);
	if (r < 0)
		return r;
	r = cgroup_remove(&g->layout, g->path);
	if (r == -EBUSY) {
		cgroup_kill(&g->layout, g->path);
		cgroup_let_end(&g->layout, g->path);
		r = cgroup_wait_empty(&g->layout, g->path);
		if (r == 0)
			r = cgroup_remove(&g->layout, g->path);
	}
	if (g->manager == GROUP_SYSTEMD)
		systemd_stop_scope(g);
	if (r < 0)
		return oci_fail(r, "removing cgroup %s", g->path);
	if (!parents_too)
		return 0;
	char part[CGROUP_PATH_MAX];
	snprintf(part, sizeof(part), "%s", g->path);
	for (char *slash; (slash = strrchr(part, '/')) && (size_t)(slash - part) > g->made_from;) {
		*slash = 0;
		for (size_t i = 0; i < g->layout.n; i++) {
			char full[CGROUP_MOUNT_MAX + CGROUP_PATH_MAX + 2];
			snprintf(full, sizeof(full), "%s/%s", g->layout.h[i].mount, part);
			rmdir(full); /* somebody else's groups below it keep it */
		}
	}
	return 0;
}

/* ---- its processes ---- */

bool group_usable(const struct cgroup *g)
{
	return g->manager != GROUP_DISABLED && *g->path;
}

static int usable(const struct cgroup *g, const char *what)
{
	return group_usable(g) ? 0 : oci_fail(-ENOTSUP, "%s: the container has no cgroup", what);
}

int group_pids(const struct cgroup *g, pid_t **ret, size_t *ret_n)
{
	int r = usable(g, "listing processes");
	if (r < 0)
		return r;
	struct cgroup copy = *g;
	r = group_detect(&copy);
	if (r == 0)
		r = cgroup_pids(&copy.layout, g->path, ret, ret_n);
	return r < 0 ? oci_fail(r, "listing the processes of cgroup %s", g->path) : 0;
}

int group_kill(const struct cgroup *g, int signal)
{
	struct cgroup copy = *g;
	int r = usable(g, "killing all");
	if (r == 0)
		r = group_detect(&copy);
	if (r < 0)
		return r;
	if (signal == SIGKILL) {
		r = cgroup_kill(&copy.layout, g->path);
		cgroup_let_end(&copy.layout, g->path);
		return r < 0 ? oci_fail(r, "killing cgroup %s", g->path) : 0;
	}
	pid_t *pids = NULL;
	size_t n = 0;
	r = group_pids(g, &pids, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (kill(pids[i], signal) < 0 && errno != ESRCH)
			r = oci_fail(-errno, "signalling process %d", (int)pids[i]);
	free(pids);
	return r;
}

int group_freeze(const struct cgroup *g, bool frozen)
{
	struct cgroup copy = *g;
	int r = usable(g, frozen ? "pausing" : "resuming");
	if (r == 0)
		r = group_detect(&copy);
	if (r < 0)
		return r;
	r = cgroup_freeze(&copy.layout, g->path, frozen);
	return r < 0 ? oci_fail(r, "%s cgroup %s", frozen ? "freezing" : "thawing", g->path) : 0;
}

void group_let_end(const struct cgroup *g)
{
	struct cgroup copy = *g;
	if (group_usable(g) && group_detect(&copy) == 0)
		cgroup_let_end(&copy.layout, g->path);
}

bool group_frozen(const struct cgroup *g)
{
	struct cgroup copy = *g;
	if (g->manager == GROUP_DISABLED || !*g->path || group_detect(&copy) < 0)
		return false;
	return cgroup_frozen(&copy.layout, g->path);
}

void group_thaw_process(pid_t pid)
{
	char path[40], group[CGROUP_PATH_MAX];
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct cgroup_layout layout = {0};
	bool v2 = false;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	buf_init(&b, PROC_CGROUP_MAX);
	const char *at = fs_read(path, PROC_CGROUP_MAX, &b) < 0 ? NULL : strstr(buf_str(&b), ":freezer:/");
	if (!at || cgroup_layout_detect(&layout) < 0)
		return;
	at += strlen(":freezer:/");
	snprintf(group, sizeof(group), "%.*s", (int)strcspn(at, "\n"), at);
	_cleanup_close_ int dir = cgroup_open(&layout, CGROUP_FREEZER, group, &v2);
	if (dir >= 0 && !v2)
		(void)cgroup_file_write(dir, "freezer.state", "THAWED");
}

/* ---- remembered ---- */

struct json *group_to_json(struct arena *a, const struct cgroup *g)
{
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "manager", managers[g->manager]);
	json_set_str(a, o, "path", g->path);
	json_set_str(a, o, "unit", g->unit);
	return o;
}

int group_from_json(const struct json *o, struct cgroup *ret)
{
	const char *manager = json_path_str(o, "manager"), *path = json_path_str(o, "path"),
		   *unit = json_path_str(o, "unit");
	struct cgroup g = {0};
	size_t i = 0;
	while (i < ARRAY_SIZE(managers) && !str_eq(manager, managers[i]))
		i++;
	if (i == ARRAY_SIZE(managers) || !path || !unit || strlen(unit) >= sizeof(g.unit) || strstr(path, "..") ||
	    (*path && set_path(&g, path) < 0))
		return -EBADMSG;
	g.manager = (enum group_manager)i;
	g.placed = true;
	strcpy(g.unit, unit);
	*ret = g;
	return 0;
}
