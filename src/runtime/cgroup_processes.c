/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a group: which, stopped and continued, gone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/vec.h"
#include "runtime/cgroup_internal.h"

#define DEPTH_MAX 200	      /* levels that containers make below theirs: two descriptors each */
#define FREEZE_TRIES_MAX 1000 /* v1 has no event for it; each try lets the processes run that are to stop */
#define EMPTY_WAIT_MS 10000   /* killed processes are gone in milliseconds; one in an uninterruptible sleep is not */

typedef VEC(pid_t) pid_list;

int cgroup_file_write(int dir, const char *file, const char *text)
{
	return cgroup_write(dir, file, text);
}

int cgroup_file_read(int dir, const char *file, char *out, size_t max)
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t len = 0;
	while (len < max - 1) {
		ssize_t n = read(fd, out + len, max - 1 - len);
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	out[len] = 0;
	return 0;
}

int cgroup_open(const struct cgroup_layout *l, enum cgroup_controller controller, const char *path, bool *ret_v2)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!(l->h[i].controllers & controller))
			continue;
		*ret_v2 = l->h[i].v2;
		return cgroup_open_in(&l->h[i], path);
	}
	return -ENOENT;
}

static int list(int dir, int depth, pid_list *out)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	FILE *f = fdopen(fd, "re");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	for (int pid; fscanf(f, "%d", &pid) == 1;)
		if (pid > 0)
			VEC_PUSH(out, pid);
	fclose(f);
	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return fd < 0 ? -errno : -ENOMEM;
	for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(d));) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		_cleanup_close_ int child = openat(dir, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0)
			(void)list(child, depth + 1, out); /* gone meanwhile: nobody in it */
	}
	closedir(d);
	return 0;
}

static const struct cgroup_hierarchy *any(const struct cgroup_layout *l)
{
	const struct cgroup_hierarchy *h = cgroup_layout_v2(l);
	return h || !l->n ? h : &l->h[0];
}

int cgroup_pids(const struct cgroup_layout *l, const char *path, pid_t **ret, size_t *ret_n)
{
	pid_list pids = {0};
	const struct cgroup_hierarchy *h = any(l);
	_cleanup_close_ int dir = h ? cgroup_open_in(h, path) : -ENOENT;
	int r = dir < 0 ? dir : list(dir, 0, &pids);
	if (r < 0) {
		VEC_RELEASE(&pids);
		return r;
	}
	*ret = pids.at;
	*ret_n = pids.n;
	return 0;
}

/* ---- freezer ---- */

static int wait_for_event(int dir, const char *key, int64_t value)
{
	char text[CGROUP_FILE_MAX];
	_cleanup_close_ int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return -errno;
		text[n] = 0;
		if (cgroup_key(text, key, -1) == value)
			return 0;
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		int r = poll(&p, 1, EMPTY_WAIT_MS);
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int freeze_v1(int dir, bool frozen)
{
	const char *want = frozen ? "FROZEN" : "THAWED";
	char text[CGROUP_FILE_MAX];
	for (int i = 0; i < FREEZE_TRIES_MAX; i++) {
		int r = cgroup_write(dir, "freezer.state", want);
		if (r == 0)
			r = cgroup_read(dir, "freezer.state", text);
		if (r < 0)
			return r;
		if (!strncmp(text, want, strlen(want)))
			return 0;
		sched_yield();
	}
	(void)cgroup_write(dir, "freezer.state", "THAWED");
	return -EBUSY;
}

static bool has_freezer(const struct cgroup_hierarchy *h)
{
	return h->v2 || h->controllers & CGROUP_FREEZER;
}

static bool frozen_in(const struct cgroup_hierarchy *h, int dir)
{
	char text[CGROUP_FILE_MAX];
	if (h->v2)
		return !cgroup_read(dir, "cgroup.freeze", text) && text[0] == '1';
	return !cgroup_read(dir, "freezer.state", text) && strncmp(text, "THAWED", 6);
}

static int freeze_in(const struct cgroup_hierarchy *h, int dir, bool frozen)
{
	if (!h->v2)
		return freeze_v1(dir, frozen);
	int r = cgroup_write(dir, "cgroup.freeze", frozen ? "1" : "0");
	return r < 0 ? r : wait_for_event(dir, "frozen", frozen);
}

static int thaw_all(const struct cgroup_layout *l, const char *path)
{
	int r = 0;
	for (size_t i = 0; i < l->n && r == 0; i++) {
		_cleanup_close_ int dir = has_freezer(&l->h[i]) ? cgroup_open_in(&l->h[i], path) : -1;
		if (dir >= 0 && frozen_in(&l->h[i], dir))
			r = freeze_in(&l->h[i], dir, false);
	}
	return r;
}

int cgroup_freeze(const struct cgroup_layout *l, const char *path, bool frozen)
{
	const struct cgroup_hierarchy *h = cgroup_layout_v2(l);
	if (!frozen)
		return thaw_all(l, path);
	for (size_t i = 0; i < l->n && !h; i++)
		h = has_freezer(&l->h[i]) ? &l->h[i] : NULL;
	_cleanup_close_ int dir = h ? cgroup_open_in(h, path) : -ENOENT;
	return dir < 0 ? dir : freeze_in(h, dir, true);
}

bool cgroup_frozen(const struct cgroup_layout *l, const char *path)
{
	bool frozen = false;
	for (size_t i = 0; i < l->n && !frozen; i++) {
		_cleanup_close_ int dir = has_freezer(&l->h[i]) ? cgroup_open_in(&l->h[i], path) : -1;
		frozen = dir >= 0 && frozen_in(&l->h[i], dir);
	}
	return frozen;
}

/* v1's, where a group's own state stays when those above it are thawed. */
static void thaw_tree(int dir, int depth)
{
	(void)cgroup_write(dir, "freezer.state", "THAWED");
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; d && depth < DEPTH_MAX && (e = readdir(d));) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		_cleanup_close_ int child = openat(dir, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0)
			thaw_tree(child, depth + 1);
	}
	if (d)
		closedir(d);
}

void cgroup_let_end(const struct cgroup_layout *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++) {
		bool v1 = !l->h[i].v2 && l->h[i].controllers & CGROUP_FREEZER;
		_cleanup_close_ int dir = v1 ? cgroup_open_in(&l->h[i], path) : -1;
		if (dir >= 0)
			thaw_tree(dir, 0);
	}
}

/* Path's group or the nearest one above it that is there; the root, which cannot be frozen, is none. */
static int open_nearest(const struct cgroup_hierarchy *h, const char *path)
{
	char part[CGROUP_PATH_MAX];
	snprintf(part, sizeof(part), "%s", path);
	while (*part) {
		int dir = cgroup_open_in(h, part);
		if (dir != -ENOENT)
			return dir;
		char *slash = strrchr(part, '/');
		*(slash ? slash : part) = 0;
	}
	return -ENOENT;
}

bool cgroup_would_freeze(const struct cgroup_layout *l, const char *path)
{
	char text[CGROUP_FILE_MAX];
	bool frozen = false;
	for (size_t i = 0; i < l->n && !frozen; i++) {
		_cleanup_close_ int dir = has_freezer(&l->h[i]) ? open_nearest(&l->h[i], path) : -1;
		if (dir >= 0 && l->h[i].v2)
			frozen = !cgroup_read(dir, "cgroup.events", text) && cgroup_key(text, "frozen", 0);
		else if (dir >= 0)
			frozen = frozen_in(&l->h[i], dir);
	}
	return frozen;
}

/* ---- gone ---- */

static int wait_for_end(pid_t pid)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;
	do
		r = poll(&p, 1, EMPTY_WAIT_MS);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r ? 0 : -ETIMEDOUT;
}

int cgroup_wait_empty(const struct cgroup_layout *l, const char *path)
{
	const struct cgroup_hierarchy *h = cgroup_layout_v2(l);
	if (h) {
		_cleanup_close_ int dir = cgroup_open_in(h, path);
		return dir == -ENOENT ? 0 : dir < 0 ? dir : wait_for_event(dir, "populated", 0);
	}
	pid_t *pids = NULL;
	size_t n = 0;
	int r = cgroup_pids(l, path, &pids, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = wait_for_end(pids[i]);
	free(pids);
	return r == -ENOENT ? 0 : r;
}
