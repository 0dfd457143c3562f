/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup.h"

#include <dirent.h>
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
#include "base/macros.h"
#include "base/str.h"
#include "runtime/cgroup_internal.h"

#define MOUNTINFO_MAX (8u << 20) /* 100,000 mounts are the kernel's own limit per namespace; 80 bytes each */
#define DEPTH_MAX 16	   /* levels of a group's path and of what containers make below theirs that are removed */
#define KILL_ROUNDS_MAX 64 /* v1: a fork bomb is outrun by then, since each round kills all it saw */

int cgroup_write(int dir, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int cgroup_write_int(int dir, const char *file, int64_t n)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld", (long long)n);
	return cgroup_write(dir, file, text);
}

int cgroup_read(int dir, const char *file, char out[CGROUP_FILE_MAX])
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, out, CGROUP_FILE_MAX - 1);
	if (n < 0)
		return -errno;
	out[n] = 0;
	return 0;
}

int64_t cgroup_read_int(int dir, const char *file)
{
	char text[CGROUP_FILE_MAX];
	return cgroup_read(dir, file, text) ? 0 : strtoll(text, NULL, 10);
}

int64_t cgroup_key(const char *text, const char *key, int64_t fallback)
{
	size_t n = strlen(key);
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, key, n) && line[n] == ' ')
			return strtoll(line + n + 1, NULL, 10);
	return fallback;
}

/* ---- layout ---- */

static const struct {
	const char *name;
	unsigned bit;
} controllers[] = {
    {"cpu", CGROUP_CPU},
    {"cpuacct", CGROUP_CPUACCT},
    {"cpuset", CGROUP_CPUSET},
    {"memory", CGROUP_MEMORY},
    {"devices", CGROUP_DEVICES},
    {"freezer", CGROUP_FREEZER},
    {"blkio", CGROUP_BLKIO},
    {"io", CGROUP_BLKIO},
    {"pids", CGROUP_PIDS},
    {"hugetlb", CGROUP_HUGETLB},
    {"net_cls", CGROUP_NET_CLS},
    {"net_prio", CGROUP_NET_PRIO},
    {"perf_event", CGROUP_PERF_EVENT},
    {"rdma", CGROUP_RDMA},
    {"misc", CGROUP_MISC},
};

/* Bits of the names in a list separated by ',' or ' '. A "name=x" hierarchy is added to text, too. */
static unsigned controllers_of(const char *list, size_t len, char *text, size_t text_max)
{
	unsigned bits = 0;
	size_t used = 0;
	for (const char *at = list, *end = list + len; at < end;) {
		size_t n = strcspn(at, ", \n");
		if (n > (size_t)(end - at))
			n = (size_t)(end - at);
		bool known = n > 5 && !strncmp(at, "name=", 5);
		for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
			if (strlen(controllers[i].name) == n && !strncmp(at, controllers[i].name, n)) {
				bits |= controllers[i].bit;
				known = true;
			}
		if (known && text && used + n + 2 < text_max) {
			if (used)
				text[used++] = ',';
			memcpy(text + used, at, n);
			text[used += n] = 0;
		}
		at += n + 1;
	}
	return bits;
}

/* One mountinfo line: id parent maj:min root mountpoint options [tags] - type source superoptions. */
static void parse_line(const char *line, size_t len, struct cgroup_layout *l)
{
	const char *field[6] = {0}, *end = line + len, *at = line;
	for (int i = 0; i < 6 && at < end; i++) {
		field[i] = at;
		const char *space = memchr(at, ' ', (size_t)(end - at));
		at = space ? space + 1 : end;
	}
	const char *dash = memmem(line, len, " - cgroup", 9);
	if (!field[5] || !dash || l->n == CGROUP_HIERARCHIES_MAX)
		return;
	/* Only whole hierarchies (root "/"), or, inside a cgroup namespace, what it shows as "/". */
	size_t mount_len = (size_t)(field[5] - field[4] - 1);
	if (strncmp(field[3], "/ ", 2) || mount_len >= CGROUP_MOUNT_MAX)
		return;
	struct cgroup_hierarchy h = {0};
	const char *type = dash + 3;
	h.v2 = !strncmp(type, "cgroup2 ", 8);
	if (!h.v2 && strncmp(type, "cgroup ", 7))
		return;
	memcpy(h.mount, field[4], mount_len);
	h.ops = h.v2 ? &cgroup_v2_ops : &cgroup_v1_ops;
	if (!h.v2) {
		const char *source = strchr(type, ' ') + 1, *super = memchr(source, ' ', (size_t)(end - source));
		if (!super)
			return;
		super++;
		h.controllers =
		    controllers_of(super, (size_t)(end - super), h.controllers_text, sizeof(h.controllers_text));
		if (!*h.controllers_text)
			return;
	}
	/* The same hierarchy may be mounted twice; a mount below another one's hides what was there: the last wins. */
	for (size_t i = 0; i < l->n; i++)
		if (l->h[i].v2 == h.v2 && (h.v2 || !strcmp(l->h[i].controllers_text, h.controllers_text))) {
			l->h[i] = h;
			return;
		}
	l->h[l->n++] = h;
}

int cgroup_layout_parse(const char *text, struct cgroup_layout *ret)
{
	struct cgroup_layout l = {0};
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		parse_line(line, len, &l);
		line += len + (line[len] == '\n');
	}
	if (!l.n)
		return -ENOENT;
	*ret = l;
	return (int)l.n;
}

int cgroup_layout_detect(struct cgroup_layout *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read("/proc/self/mountinfo", MOUNTINFO_MAX, &b);
	if (r < 0)
		return r;
	struct cgroup_layout all, l = {0};
	r = cgroup_layout_parse(buf_str(&b), &all);
	if (r < 0)
		return r;
	for (size_t i = 0; i < all.n; i++) {
		struct cgroup_hierarchy *h = &all.h[i];
		/* Something else may be mounted over it by now: the file must be what that version has. */
		char file[CGROUP_FULL_MAX], text[CGROUP_FILE_MAX];
		snprintf(file, sizeof(file), "%s/%s", h->mount, h->v2 ? "cgroup.controllers" : "tasks");
		if (access(file, F_OK) < 0)
			continue;
		if (h->v2 && !cgroup_read(AT_FDCWD, file, text))
			h->controllers = controllers_of(text, strlen(text), NULL, 0);
		l.h[l.n++] = *h;
	}
	if (!l.n)
		return -ENOENT;
	/* A tree of pure v2 mounted over a v1 one: the v1 mounts below are hidden and were dropped above. */
	*ret = l;
	return 0;
}

unsigned cgroup_layout_controllers(const struct cgroup_layout *l)
{
	unsigned bits = 0;
	for (size_t i = 0; i < l->n; i++)
		bits |= l->h[i].controllers;
	return bits;
}

const struct cgroup_hierarchy *cgroup_layout_v2(const struct cgroup_layout *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->h[i].v2)
			return &l->h[i];
	return NULL;
}

/* One call with the whole path is cheaper than a descriptor for each step of it. */
static int full_path(const struct cgroup_hierarchy *h, const char *path, const char *file, char out[CGROUP_FULL_MAX])
{
	int n = snprintf(out, CGROUP_FULL_MAX, "%s/%s%s%s", h->mount, path, *file ? "/" : "", file);
	return n < 0 || n >= CGROUP_FULL_MAX ? -ENAMETOOLONG : 0;
}

int cgroup_open_in(const struct cgroup_hierarchy *h, const char *path)
{
	char full[CGROUP_FULL_MAX];
	int r = full_path(h, path, "", full);
	if (r < 0)
		return r;
	int fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- create, remove ---- */

/* From the top, every level that isn't there or isn't prepared. */
static int create_from_top(const struct cgroup_hierarchy *h, const char *path)
{
	_cleanup_close_ int parent = open(h->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	for (const char *at = path; *at;) {
		size_t len = strcspn(at, "/");
		char name[NAME_MAX + 1];
		if (len) {
			memcpy(name, at, len);
			name[len] = 0;
			bool made = mkdirat(parent, name, 0755) == 0;
			if (!made && errno != EEXIST)
				return -errno;
			_cleanup_close_ int child = openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
			if (child < 0)
				return -errno;
			int r = h->ops->plain(h) ? 0 : h->ops->prepare(h, parent, child);
			if (r < 0) {
				if (made)
					unlinkat(parent, name, AT_REMOVEDIR);
				return r;
			}
			close(parent);
			parent = TAKE_FD(child);
		}
		at += len + (at[len] == '/');
	}
	return 0;
}

static bool valid_path(const char *path)
{
	for (const char *at = path; *at;) {
		size_t len = strcspn(at, "/");
		if (len > NAME_MAX || (len == 2 && !strncmp(at, "..", 2)) || (len == 1 && *at == '.'))
			return false;
		at += len + (at[len] == '/');
	}
	return true;
}

/* Its parents being there and prepared is the rule. 1: they aren't. */
static int create_below_parents(const struct cgroup_hierarchy *h, const char *path)
{
	char full[CGROUP_FULL_MAX];
	int r = full_path(h, path, "", full);
	if (r < 0)
		return r;
	if (mkdir(full, 0755) < 0)
		return errno == ENOENT ? 1 : errno != EEXIST ? -errno : h->ops->plain(h) ? 0 : 1;
	if (h->ops->plain(h))
		return 0;
	_cleanup_close_ int child = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*strrchr(full, '/') = 0;
	_cleanup_close_ int parent = child < 0 ? -1 : open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return parent < 0 ? -errno : h->ops->prepare(h, parent, child);
}

int cgroup_create(const struct cgroup_layout *l, const char *path)
{
	if (!valid_path(path))
		return -EINVAL;
	for (size_t i = 0; i < l->n; i++) {
		int r = create_below_parents(&l->h[i], path);
		if (r > 0)
			r = create_from_top(&l->h[i], path);
		if (r < 0) {
			cgroup_remove(l, path);
			return r;
		}
	}
	return 0;
}

/* The first group below dir; false: there is none. */
static bool first_child(int dir, char name[NAME_MAX + 1])
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool found = false;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	for (struct dirent *e; !found && (e = readdir(d));)
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
			snprintf(name, NAME_MAX + 1, "%s", e->d_name);
			found = true;
		}
	closedir(d);
	return found;
}

/* However deep a container has made its own: down to a leaf, remove it, up again. */
static int remove_below(int top)
{
	char name[NAME_MAX + 1], below[NAME_MAX + 1];
	_cleanup_close_ int at = openat(top, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t depth = 0; at >= 0;) {
		int next;
		if (!first_child(at, name)) {
			if (!depth)
				return 0;
			depth--;
			next = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		} else if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
			continue;
		} else {
			int r = -errno;
			depth++;
			next = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			if (next >= 0 && !first_child(next, below)) { /* processes are in it */
				close(next);
				return r;
			}
		}
		if (next < 0)
			return -errno;
		close(at);
		at = next;
	}
	return -errno;
}

static int remove_tree(const struct cgroup_hierarchy *h, const char *path)
{
	char full[CGROUP_FULL_MAX];
	int r = full_path(h, path, "", full);
	if (r < 0 || rmdir(full) == 0 || errno == ENOENT)
		return r;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	_cleanup_close_ int fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : remove_below(fd);
	if (r < 0)
		return r;
	return rmdir(full) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove(const struct cgroup_layout *l, const char *path)
{
	int result = 0;
	for (size_t i = 0; i < l->n; i++) {
		int r = remove_tree(&l->h[i], path);
		if (r < 0)
			result = r;
	}
	return result;
}

/* ---- operations over all hierarchies ---- */

const char *cgroup_unsupported(const struct cgroup_layout *l, const struct spec_resources *r)
{
	unsigned have = cgroup_layout_controllers(l);
	const struct {
		bool needed;
		unsigned controller;
		const char *name;
	} needs[] = {
	    {r->memory_limit > 0, CGROUP_MEMORY, "the cgroup controller memory"},
	    {r->cpu_quota_us > 0, CGROUP_CPU, "the cgroup controller cpu"},
	    {r->pids_limit > 0, CGROUP_PIDS, "the cgroup controller pids"},
	    {r->cpuset_cpus || r->cpuset_mems, CGROUP_CPUSET, "the cgroup controller cpuset"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (needs[i].needed && !(have & needs[i].controller))
			return needs[i].name;
	return NULL;
}

static unsigned controllers_for(const struct spec_resources *r)
{
	return (r->cpu_shares > 0 || r->cpu_period_us > 0 || r->cpu_quota_us ? CGROUP_CPU : 0u) |
	       (r->memory_limit > 0 || r->memory_low_high > 0 || r->oom_group ? CGROUP_MEMORY : 0u) |
	       (r->pids_limit > 0 ? CGROUP_PIDS : 0u) | (r->cpuset_cpus || r->cpuset_mems ? CGROUP_CPUSET : 0u);
}

int cgroup_apply(const struct cgroup_layout *l, const char *path, const struct spec_resources *res)
{
	if (cgroup_unsupported(l, res))
		return -EOPNOTSUPP;
	for (size_t i = 0; i < l->n; i++) {
		if (!(l->h[i].controllers & controllers_for(res)))
			continue;
		_cleanup_close_ int dir = cgroup_open_in(&l->h[i], path);
		int r = dir < 0 ? dir : l->h[i].ops->apply(&l->h[i], dir, res);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_adopt(const struct cgroup_layout *l, const char *path, pid_t pid)
{
	if (!valid_path(path))
		return -EINVAL;
	for (size_t i = 0; i < l->n; i++) {
		_cleanup_close_ int there = l->h[i].v2 ? cgroup_open_in(&l->h[i], path) : -1;
		if (there >= 0)
			continue;
		int r = create_from_top(&l->h[i], path);
		_cleanup_close_ int dir = r < 0 ? r : cgroup_open_in(&l->h[i], path);
		r = dir < 0 ? dir : cgroup_write_int(dir, "cgroup.procs", pid);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_join_in(const struct cgroup_hierarchy *h, const char *path)
{
	char file[CGROUP_FULL_MAX];
	int r = full_path(h, path, h->ops->join_file, file);
	return r < 0 ? r : cgroup_write(AT_FDCWD, file, "0");
}

int cgroup_join(const struct cgroup_layout *l, const char *path, bool v2_done)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->h[i].v2 && v2_done)
			continue;
		int r = cgroup_join_in(&l->h[i], path);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_open_v2(const struct cgroup_layout *l, const char *path)
{
	const struct cgroup_hierarchy *h = cgroup_layout_v2(l);
	return h ? cgroup_open_in(h, path) : -ENOENT;
}

/* v1: kills what cgroup.procs lists in dir and below; returns how many it saw. */
static int kill_listed(int dir, int depth)
{
	int seen = 0;
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	for (int pid; fscanf(f, "%d", &pid) == 1;)
		/* 0: a process outside our pid namespace; never ourselves. */
		if (pid > 1 && pid != getpid()) {
			kill(pid, SIGKILL);
			seen++;
		}
	fclose(f);
	int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = list < 0 ? NULL : fdopendir(list);
	if (!d) {
		if (list >= 0)
			close(list);
		return seen;
	}
	for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(d));) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		_cleanup_close_ int child = openat(dir, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0)
			seen += kill_listed(child, depth + 1);
	}
	closedir(d);
	return seen;
}

int cgroup_kill(const struct cgroup_layout *l, const char *path)
{
	const struct cgroup_hierarchy *h = cgroup_layout_v2(l);
	if (h) {
		_cleanup_close_ int dir = cgroup_open_in(h, path);
		if (dir < 0)
			return dir == -ENOENT ? 0 : dir;
		if (cgroup_write(dir, "cgroup.kill", "1") == 0)
			return 1;
	}
	if (!l->n)
		return 0;
	_cleanup_close_ int dir = cgroup_open_in(&l->h[0], path);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	int total = 0, seen = 0, before = -1;
	/* Killed processes stay listed until they have exited: end when a round finds nobody new. */
	for (int i = 0; i < KILL_ROUNDS_MAX && (seen = kill_listed(dir, 0)) > 0 && seen != before; i++) {
		before = seen;
		total += seen;
	}
	return total;
}

bool cgroup_populated(const struct cgroup_layout *l, const char *path)
{
	char text[CGROUP_FILE_MAX];
	const struct cgroup_hierarchy *h = cgroup_layout_v2(l);
	if (!h && l->n)
		h = &l->h[0];
	_cleanup_close_ int dir = h ? cgroup_open_in(h, path) : -1;
	if (dir < 0)
		return false;
	if (h->v2)
		return !cgroup_read(dir, "cgroup.events", text) && cgroup_key(text, "populated", 0);
	return !cgroup_read(dir, "cgroup.procs", text) && *text;
}

int64_t cgroup_oom_kills(const struct cgroup_layout *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!(l->h[i].controllers & CGROUP_MEMORY))
			continue;
		_cleanup_close_ int dir = cgroup_open_in(&l->h[i], path);
		return dir < 0 ? 0 : l->h[i].ops->oom_kills(&l->h[i], dir);
	}
	return 0;
}

int cgroup_stats(const struct cgroup_layout *l, const char *path, struct runtime_stats *ret)
{
	struct runtime_stats s = {0};
	bool any = false;
	for (size_t i = 0; i < l->n; i++) {
		_cleanup_close_ int dir = cgroup_open_in(&l->h[i], path);
		if (dir < 0)
			continue;
		any = true;
		l->h[i].ops->stats(&l->h[i], dir, &s);
	}
	if (!any)
		return -ENOENT;
	*ret = s;
	return 0;
}

uint64_t cgroup_weight_of_shares(int64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (uint64_t)(shares - 2) * 9999 / 262142;
}
