/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/copy_up.h"
#include "oci/devices.h"
#include "oci/error.h"
#include "oci/mount_options.h"
#include "oci/namespaces.h"
#include "oci/self.h"
#include "runtime/rootfs.h"

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define MOUNTS_MAX 4096 /* entries; the kernel allows 100,000 in a namespace */
#define PROC_ROOT_INO 1 /* the kernel's number of procfs's root: anything else is a part of it */

static int setattr(int tree, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive)
{
	struct mount_attr a = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
	if (!set && !clear && !propagation)
		return 0;
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	return syscall(SYS_mount_setattr, tree, "", flags, &a, sizeof(a)) < 0 ? -errno : 0;
}

static int set_attributes(const struct mount_plan *m, int tree)
{
	int r = setattr(tree, m->rec_set, m->rec_clear, 0, true);
	if (r == 0)
		r = setattr(tree, m->set, m->clear, 0, false);
	return r < 0 ? oci_fail(r, "mount at %s: setting its attributes", m->target) : 0;
}

static int set_propagation(const struct mount_plan *m, int tree)
{
	int r = setattr(tree, 0, 0, m->rec_propagation, true);
	if (r == 0)
		r = setattr(tree, 0, 0, m->propagation, false);
	return r < 0 ? oci_fail(r, "mount at %s: setting its propagation", m->target) : 0;
}

/* ---- binds ---- */

/* Made by our maker: in a new pid namespace nobody could write the maps. */
static int open_id_maps(struct mount_plan *m, const struct container *c)
{
	const struct json *uids = m->uid_maps, *gids = m->gid_maps;
	if (!json_len(uids)) { /* "idmap" alone: as the container's user namespace */
		uids = json_path(c->config, "linux.uidMappings");
		gids = json_path(c->config, "linux.gidMappings");
	}
	if (!json_len(uids) || !json_len(gids))
		return oci_fail(0, "mount at %s: idmap needs mappings", m->target);
	m->ids = id_maps_namespace(uids, gids);
	return m->ids < 0 ? m->ids : 0;
}

static int map_ids(struct mount_plan *m, int tree)
{
	_cleanup_close_ int ns = m->ids;
	struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)ns};
	unsigned flags = AT_EMPTY_PATH | (m->idmap == 2 ? AT_RECURSIVE : 0);
	m->ids = -1;
	if (ns >= 0 && syscall(SYS_mount_setattr, tree, "", flags, &a, sizeof(a)) < 0)
		return oci_fail(-errno, "mount at %s: mapping the ids of %s", m->target, m->source);
	return 0;
}

/* Where a bind's source is, on the host. */
static void source_path(const struct mount_plan *m, const struct container *c, char out[PATH_MAX])
{
	bool absolute = m->source[0] == '/';
	snprintf(out, PATH_MAX, "%s%s%s", absolute ? "" : c->bundle, absolute ? "" : "/", m->source);
}

/*
 * A source below the root file system is what the mounts before it have made of it: what follows the root in it,
 * however that is spelled. NULL: it is elsewhere.
 */
static const char *find_in_root(struct arena *a, char *path, const struct stat *root)
{
	const char *inside = NULL;
	struct stat st;
	for (char *at = path; *at;) {
		size_t n = strspn(at, "/") + strcspn(at + strspn(at, "/"), "/");
		char *end = at + n, next = *end;
		if (n == 3 && !strncmp(at, "/..", 3))
			inside = NULL;
		*end = 0;
		int r = stat(path, &st);
		*end = next;
		if (r == 0 && next && st.st_ino == root->st_ino && st.st_dev == root->st_dev)
			inside = end;
		at = end;
	}
	return inside && inside[strspn(inside, "/.")] ? arena_strdup(a, inside) : NULL;
}

static int find_sources(struct arena *a, const struct container *c, const struct mounts *m)
{
	struct stat root;
	char path[PATH_MAX];
	if (stat(c->rootfs, &root) < 0)
		return oci_fail(-errno, "root file system %s", c->rootfs);
	for (size_t i = 0; i < m->n; i++) {
		struct mount_plan *p = &m->plans[i];
		/* In a user namespace of its own the container may not map the ids of what it finds there. */
		if (!p->bind || (p->idmap && m->own_user_ns))
			continue;
		source_path(p, c, path);
		p->inside = find_in_root(a, path, &root);
	}
	return 0;
}

static int clone_in_root(const struct mounts *m, struct mount_plan *p)
{
	_cleanup_close_ int source = root_open(m->root, p->inside, O_PATH);
	p->tree = source < 0 ? source : mount_clone(source, "", p->recursive);
	int r = p->tree < 0 ? p->tree : setattr(p->tree, 0, 0, MS_PRIVATE, true);
	if (r < 0)
		return oci_fail(r, "mount at %s: opening %s in the container", p->target, p->inside);
	p->in_turn = true;
	r = map_ids(p, p->tree);
	return r < 0 ? r : set_attributes(p, p->tree);
}

static int detach_bind(struct mount_plan *m, const struct container *c)
{
	if (str_empty(m->source))
		return oci_fail(0, "mount at %s: a bind mount needs a source", m->target);
	char path[PATH_MAX];
	source_path(m, c, path);
	m->tree = mount_clone(AT_FDCWD, path, m->recursive);
	if (m->tree < 0)
		return oci_fail(m->tree, "mount at %s: opening %s", m->target, path);
	/* Private unless it says otherwise: what is mounted in the container must not reach the host. */
	int r = setattr(m->tree, 0, 0, MS_PRIVATE, true);
	if (m->propagation || m->rec_propagation) {
		/* A slave or a peer of the host's needs the host's own propagation: taken anew. */
		close(m->tree);
		m->tree = mount_clone(AT_FDCWD, path, m->recursive);
		r = m->tree < 0 ? m->tree : 0;
	}
	if (r < 0)
		return oci_fail(r, "mount at %s: opening %s", m->target, path);
	if (!m->in_turn)
		r = set_propagation(m, m->tree);
	if (r == 0)
		r = map_ids(m, m->tree);
	return r < 0 ? r : set_attributes(m, m->tree);
}

static int detach_root(struct mounts *m, const struct container *c)
{
	m->root_tree = mount_clone(AT_FDCWD, c->rootfs, true);
	return m->root_tree < 0 ? oci_fail(m->root_tree, "opening root file system %s", c->rootfs) : 0;
}

static int read_plans(struct arena *a, const struct container *c, struct mounts *m)
{
	const struct json *list = json_get(c->config, "mounts");
	if (json_len(list) > MOUNTS_MAX)
		return oci_fail(0, "mounts: more than %d entries", MOUNTS_MAX);
	m->plans = arena_zalloc(a, (json_len(list) + 1) * sizeof(*m->plans));
	JSON_EACH(e, list) {
		int r = mount_options_read(a, e, &m->plans[m->n]);
		if (r < 0)
			return r;
		m->n++;
	}
	return 0;
}

/* It masks files: it must be the real one (CVE-2025-31133). Of this mount namespace, or it couldn't be cloned here. */
static int open_null(void)
{
	struct stat st;
	int fd = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return oci_fail(0, "the host's /dev/null is not the null device");
	return fd;
}

int mounts_prepare(struct arena *a, const struct container *c, const struct namespaces *ns, struct mounts *ret)
{
	struct mounts m = {.root_tree = -1, .nodes = -1, .proc = -1, .root = -1, .empty = -1, .null = -1};
	m.own_user_ns = namespaces_has(ns, CLONE_NEWUSER);
	m.own_mount_ns = namespaces_has(ns, CLONE_NEWNS);
	m.own_cgroup_ns = ns->create & CLONE_NEWCGROUP;
	m.joined_cgroup_ns = ns->join & CLONE_NEWCGROUP;
	int r = read_plans(a, c, &m);
	if (r == 0)
		r = find_sources(a, c, &m);
	if (r < 0)
		return r;
	bool any_idmap = false;
	for (size_t i = 0; i < m.n; i++)
		any_idmap |= m.plans[i].idmap != 0;
	/* Whoever may clone a mount here. */
	_cleanup_close_ int try =
	    m.own_mount_ns && (m.own_user_ns || any_idmap) ? mount_clone(AT_FDCWD, "/", false) : -1;
	m.privileged_maker = try >= 0;
	if (any_idmap && !m.privileged_maker)
		return oci_fail(-EPERM, "idmapped mounts");
	r = 0;
	for (size_t i = 0; i < m.n && r == 0; i++)
		if (m.plans[i].idmap)
			r = open_id_maps(&m.plans[i], c);
	if (r == 0 && m.privileged_maker && m.own_user_ns)
		r = devices_premake(c, &m.nodes);
	if (m.privileged_maker && r == 0) {
		r = detach_root(&m, c);
		for (size_t i = 0; i < m.n && r == 0; i++)
			if (m.plans[i].bind && !m.plans[i].inside)
				r = detach_bind(&m.plans[i], c);
	}
	if (r == 0)
		*ret = m;
	return r;
}

/* ---- root ---- */

/* What is used by descriptor only: unmounted with the old root, it needs no wait of its own (self.h). */
static void attach_unseen(const struct mounts *m, int at)
{
	_cleanup_close_ int file = self_mount() >= 0 ? open("/proc/version", O_PATH | O_CLOEXEC) : -1;
	if (file >= 0)
		(void)mount_attach(self_mount(), file);
	if (m->proc >= 0)
		(void)mount_attach(m->proc, at);
}

static int make_root(struct mounts *m, const struct container *c)
{
	const char *word = json_path_str(c->config, "linux.rootfsPropagation");
	bool recursive = true;
	uint64_t propagation = str_empty(word) ? 0 : mount_propagation(word, &recursive);
	if (!str_empty(word) && !propagation)
		return oci_fail(0, "linux.rootfsPropagation \"%s\" is unknown", word);
	int r = 0;
	if (m->root_tree < 0)
		r = detach_root(m, c);
	/* Before this namespace becomes a slave of the host's, so that they may be its peers. */
	for (size_t i = 0; i < m->n && r == 0; i++)
		if (m->plans[i].bind && m->plans[i].tree < 0 && !m->plans[i].inside) {
			m->plans[i].in_turn = true;
			r = detach_bind(&m->plans[i], c);
		}
	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | (propagation & MS_PRIVATE ? MS_PRIVATE : MS_SLAVE), NULL) < 0)
		return oci_fail(-errno, "making mounts private");
	/* A root that is shared cannot be pivoted to. */
	if (propagation != MS_SHARED)
		r = setattr(m->root_tree, 0, 0, propagation == MS_SLAVE ? MS_SLAVE : MS_PRIVATE, true);
	if (r < 0)
		return oci_fail(r, "linux.rootfsPropagation");
	_cleanup_close_ int at = open(c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 && errno == EACCES) /* out of reach for our user namespace: anywhere will do */
		at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = at < 0 ? -errno : 0;
	/* Below the root, where nobody sees them; they go with the old root. */
	if (r == 0 && m->nodes >= 0)
		r = mount_attach(m->nodes, at);
	if (r == 0)
		attach_unseen(m, at);
	if (r == 0)
		r = mount_attach(m->root_tree, at);
	if (r < 0)
		return oci_fail(r, "mounting root file system %s", c->rootfs);
	m->root = TAKE_FD(m->root_tree);
	return 0;
}

/* ---- one mount ---- */

static bool covers_proc_allowed(const char *target)
{
	/* What lxcfs and the like put there; each is a file that only reports. */
	static const char *const files[] = {"/proc/cpuinfo",
					    "/proc/diskstats",
					    "/proc/meminfo",
					    "/proc/stat",
					    "/proc/swaps",
					    "/proc/uptime",
					    "/proc/loadavg",
					    "/proc/slabinfo",
					    "/proc/net/dev",
					    "/proc/sys/kernel/ns_last_pid",
					    "/proc/sys/crypto/fips_enabled",
					    NULL};
	return str_in(target, files);
}

/* CVE-2019-19921, CVE-2025-52881 and their kin: only procfs itself may cover /proc, and nothing what is in it. */
static int check_target(const struct mount_plan *m, int tree, int target)
{
	struct statfs fs, what;
	struct stat st;
	int r = fstatfs(target, &fs);
	if (r == 0 && fs.f_type != PROC_SUPER_MAGIC)
		return 0;
	if (r < 0 || fstatfs(tree, &what) < 0 || fstat(target, &st) < 0)
		return oci_fail(-errno, "mount at %s", m->target);
	if (st.st_ino == PROC_ROOT_INO ? what.f_type == PROC_SUPER_MAGIC : covers_proc_allowed(m->target))
		return 0;
	return oci_fail(-EPERM, "mount at %s: it is inside /proc", m->target);
}

static int open_target(struct mounts *m, const struct mount_plan *p, int tree)
{
	struct stat st = {.st_mode = S_IFDIR};
	if (p->bind && fstat(tree, &st) < 0)
		return -errno;
	/* What the kernel shows about itself must not be led elsewhere by a symlink of the image. */
	bool strict = !p->bind && (!strcmp(p->type, "proc") || !strcmp(p->type, "sysfs"));
	if (strict) {
		int fd = root_open_nosymlinks(m->root, p->target, O_PATH | O_DIRECTORY);
		if (fd != -ENOENT)
			return fd;
	}
	return S_ISDIR(st.st_mode) ? root_mkdir_p(m->root, p->target, 0755) : root_create_file(m->root, p->target);
}

static bool same_place(int a, int b)
{
	struct statx x, y;
	return statx(a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &x) == 0 &&
	       statx(b, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &y) == 0 && x.stx_mnt_id == y.stx_mnt_id &&
	       x.stx_ino == y.stx_ino;
}

static int attach(struct mounts *m, const struct mount_plan *p, int tree)
{
	_cleanup_close_ int target = open_target(m, p, tree);
	if (target < 0)
		return oci_fail(target, "making the mount point %s", p->target);
	bool over_root = same_place(target, m->root);
	if (over_root && p->copy_up)
		return oci_fail(0, "mount at \"%s\": tmpcopyup of the root file system", p->target);
	int r = check_target(p, tree, target);
	if (r < 0)
		return r;
	r = mount_attach(tree, target);
	if (r == 0 && over_root) /* which is the root from here on */
		r = dup3(tree, m->root, O_CLOEXEC) < 0 ? -errno : 0;
	return r < 0 ? oci_fail(r, "mounting at %s", p->target) : 0;
}

/*
 * mountinfo lists mounts by when they were made: once more, at its turn, so that it shows the configuration's order.
 * Before Linux 6.15 a detached mount cannot be cloned; nothing but that order depends on it.
 */
static int attach_bind(struct mounts *m, struct mount_plan *p)
{
	_cleanup_close_ int first = p->tree, again = p->in_turn ? mount_clone(first, "", p->recursive) : -1;
	int tree = again >= 0 ? again : first, r = 0;
	if (p->in_turn)
		r = set_propagation(p, tree);
	p->tree = -1;
	return r < 0 ? r : attach(m, p, tree);
}

/* A tmpfs that doesn't say its mode has that of the directory it covers. */
static unsigned covered_mode(const struct mounts *m, const struct mount_plan *p)
{
	struct stat st;
	if (strcmp(p->type, "tmpfs") || strstr(p->data, "mode="))
		return 0;
	_cleanup_close_ int target = root_open(m->root, p->target, O_PATH | O_DIRECTORY);
	return target >= 0 && fstat(target, &st) == 0 ? st.st_mode & 07777 : 0;
}

static int new_file_system(const struct mounts *m, const struct mount_plan *p, uint64_t attributes, int *ret)
{
	bool device =
	    !str_in(p->type, (const char *const[]){"tmpfs", "proc", "sysfs", "devpts", "mqueue", "ramfs", NULL});
	char data[4096];
	/* A file system on a device that is read-only has to know it itself. */
	bool ro = device && p->set & MOUNT_ATTR_RDONLY;
	unsigned mode = covered_mode(m, p);
	size_t n = (size_t)snprintf(data, sizeof(data), "%s%s%s", p->data, ro && *p->data ? "," : "", ro ? "ro" : "");
	if (mode && n < sizeof(data))
		n += (size_t)snprintf(data + n, sizeof(data) - n, "%smode=%o", n ? "," : "", mode);
	if (n >= sizeof(data))
		return oci_fail(0, "mount at %s: its options are too long", p->target);
	if (!*p->type)
		return oci_fail(0, "mount at %s: no type", p->target);
	int tree = mount_new_from(p->type, *p->source ? p->source : p->type, *data ? data : NULL, attributes);
	if (tree < 0)
		return oci_fail(tree, "mount at %s: a %s file system%s%s%s", p->target, p->type,
				*data ? " with \"" : "", data, *data ? "\"" : "");
	*ret = tree;
	return 0;
}

/* What else the configuration puts into it, mount points and device nodes, comes first. */
static bool read_only_last(const struct mount_plan *p)
{
	return p->set & MOUNT_ATTR_RDONLY && !p->bind && !strcmp(p->type, "tmpfs");
}

static int make_read_only(const struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mount_plan *p = &m->plans[i];
		if (!read_only_last(p))
			continue;
		int r = setattr(p->tree, MOUNT_ATTR_RDONLY, 0, 0, false);
		close(p->tree);
		if (r < 0)
			return oci_fail(r, "mount at %s: making it read-only", p->target);
	}
	return 0;
}

static int place(struct mounts *m, struct mount_plan *p)
{
	_cleanup_close_ int tree = -1;
	bool last = read_only_last(p);
	struct mount_plan now = *p;
	now.set &= ~(last ? (uint64_t)MOUNT_ATTR_RDONLY : 0);
	/* As set_attributes would set them, unless they wait until something is copied. */
	int r = new_file_system(m, p, p->copy_up ? 0 : (now.rec_set & ~now.clear) | now.set, &tree);
	if (r < 0)
		return r;
	if (p->copy_up) {
		_cleanup_close_ int from = root_open(m->root, p->target, O_PATH | O_DIRECTORY);
		r = from == -ENOENT ? 0 : from < 0 ? from : copy_up(from, tree);
		if (r < 0)
			return oci_fail(r, "mount at %s: tmpcopyup", p->target);
		r = set_attributes(&now, tree);
	}
	if (r == 0)
		r = set_propagation(p, tree);
	if (r == 0)
		r = attach(m, p, tree);
	if (last && r == 0)
		p->tree = TAKE_FD(tree);
	return r;
}

/* ---- cgroup: what the container's cgroup namespace shows ---- */

/*
 * Its own group, cut out of the machine's tree: shows what a mount in the new namespace would, without a superblock of
 * its own for each hierarchy and a walk over all groups of the machine. Who may not cut mounts anew, and so does who is
 * in somebody else's namespace, whose root is another group.
 */
static int cgroup_tree(const struct mounts *m, const struct cgroup *g, const struct cgroup_hierarchy *h)
{
	char path[CGROUP_MOUNT_MAX + CGROUP_PATH_MAX + 2], data[80];
	snprintf(path, sizeof(path), "%s/%s", h->mount, g->path);
	int tree = m->joined_cgroup_ns || m->own_user_ns ? -EPERM : mount_clone(AT_FDCWD, path, false);
	if (tree >= 0)
		return tree;
	if (!m->own_cgroup_ns && !m->joined_cgroup_ns)
		return mount_clone(AT_FDCWD, path, true);
	if (h->v2)
		return mount_new("cgroup2", NULL, 0);
	snprintf(data, sizeof(data), "%s%s", str_has_prefix(h->controllers_text, "name=") ? "none," : "",
		 h->controllers_text);
	return mount_new("cgroup", data, 0);
}

static int place_cgroups(struct mounts *m, const struct container *c, const struct mount_plan *p)
{
	const struct cgroup_layout *g = &c->group.layout;
	bool named_v2 = !strcmp(p->type, "cgroup2");
	_cleanup_close_ int top = -1;
	int r = 0;
	if (c->group.manager == GROUP_DISABLED || !g->n) {
		/* It has none of its own: what is to be seen is what its maker sees. */
		top = mount_clone(AT_FDCWD, "/sys/fs/cgroup", true);
		if (top < 0)
			return oci_fail(top, "mount at %s: the machine's cgroups", p->target);
		r = setattr(top, 0, 0, MS_PRIVATE, true);
		struct mount_plan safe = *p;
		safe.rec_set |= safe.set | MOUNT_ATTR_RDONLY;
		if (r == 0)
			r = set_attributes(&safe, top);
		return r < 0 ? r : attach(m, p, top);
	}
	if (named_v2 || (g->n == 1 && g->h[0].v2)) {
		const struct cgroup_hierarchy *v2 = cgroup_layout_v2(g);
		if (!v2)
			return oci_fail(-ENODEV, "mount at %s: this machine has no cgroup v2", p->target);
		top = cgroup_tree(m, &c->group, v2);
		if (top < 0)
			return oci_fail(top, "mount at %s: cgroup2", p->target);
		r = set_attributes(p, top);
		if (r == 0)
			r = set_propagation(p, top);
		return r < 0 ? r : attach(m, p, top);
	}
	top = mount_new_from("tmpfs", "tmpfs", "mode=755,size=64k", 0);
	if (top < 0)
		return oci_fail(top, "mount at %s: a tmpfs", p->target);
	r = attach(m, p, top);
	for (size_t i = 0; i < g->n && r == 0; i++) {
		const char *slash = strrchr(g->h[i].mount, '/'), *name = slash ? slash + 1 : "unified";
		if (mkdirat(top, name, 0755) < 0)
			return oci_fail(-errno, "mount at %s: %s", p->target, name);
		_cleanup_close_ int tree = cgroup_tree(m, &c->group, &g->h[i]);
		r = tree < 0 ? tree : mount_attach_in(tree, top, name);
		if (r < 0)
			return oci_fail(r, "mount at %s: the %s hierarchy", p->target, name);
		/* "cpu,cpuacct" is also found as "cpu" and as "cpuacct". */
		char list[64], *save = NULL;
		snprintf(list, sizeof(list), "%s", name);
		if (strchr(list, ','))
			for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save))
				(void)!symlinkat(name, top, w);
	}
	struct mount_plan all = *p;
	all.rec_set = (p->rec_set & ~p->clear) | p->set;
	all.rec_clear = p->rec_clear | p->clear;
	all.set = all.clear = 0;
	return r < 0 ? r : set_attributes(&all, top);
}

/* ---- masks ---- */

static int mask(struct mounts *m, const char *path)
{
	struct stat st;
	_cleanup_close_ int target = root_open(m->root, path, O_PATH);
	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return oci_fail(target < 0 ? target : -errno, "masking %s", path);
	int r = 0;
	_cleanup_close_ int tree = -1;
	if (!S_ISDIR(st.st_mode)) {
		tree = mount_clone(m->null, "", false);
	} else if (m->empty < 0) {
		m->empty = mount_new("tmpfs", "mode=755,size=0,nr_inodes=1", ATTR_SAFE | MOUNT_ATTR_RDONLY);
		r = m->empty < 0 ? m->empty : mount_attach(m->empty, target);
		return r < 0 ? oci_fail(r, "masking %s", path) : 0;
	} else {
		tree = mount_clone(m->empty, "", false);
	}
	r = tree < 0 ? tree : mount_attach(tree, target);
	return r < 0 ? oci_fail(r, "masking %s", path) : 0;
}

static int protect(struct mounts *m, const char *path)
{
	_cleanup_close_ int target = root_open(m->root, path, O_PATH);
	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	_cleanup_close_ int tree = target < 0 ? target : mount_clone(target, "", true);
	/* Private: else what is mounted on the original later would show here, writable. */
	int r = tree < 0 ? tree : setattr(tree, 0, 0, MS_PRIVATE, true);
	if (r == 0)
		r = setattr(tree, MOUNT_ATTR_RDONLY, 0, 0, false);
	if (r == 0)
		r = mount_attach(tree, target);
	return r < 0 ? oci_fail(r, "making %s read-only", path) : 0;
}

static bool said_before(const struct json *list, const struct json *entry)
{
	JSON_EACH(e, list) {
		if (e == entry)
			break;
		if (str_eq(json_str(e), json_str(entry)))
			return true;
	}
	return false;
}

static int hide(struct mounts *m, const struct container *c)
{
	int r = 0;
	JSON_EACH(e, json_path(c->config, "linux.readonlyPaths"))
		if (r == 0)
			r = protect(m, json_str(e));
	JSON_EACH(e, json_path(c->config, "linux.maskedPaths"))
		if (r == 0 && !said_before(json_path(c->config, "linux.maskedPaths"), e))
			r = mask(m, json_str(e));
	return r;
}

/* ---- all of it ---- */

int mounts_make(struct mounts *m, const struct container *c)
{
	if (!m->own_mount_ns) {
		m->root = open(c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return m->root < 0 ? oci_fail(-errno, "opening root file system %s", c->rootfs) : 0;
	}
	struct device_sources devices;
	int r = devices_open(&devices, c);
	if (r == 0)
		r = m->null = open_null();
	if (r >= 0)
		r = make_root(m, c);
	devices.made = m->nodes;
	for (size_t i = 0; i < m->n && r == 0; i++) {
		struct mount_plan *p = &m->plans[i];
		if (p->bind) {
			r = p->inside ? clone_in_root(m, p) : 0;
			if (r == 0)
				r = attach_bind(m, p);
		} else if (!strcmp(p->type, "cgroup") || !strcmp(p->type, "cgroup2")) {
			r = place_cgroups(m, c, p);
		} else {
			r = place(m, p);
		}
	}
	if (r == 0)
		r = devices_make(&devices, m->root, c);
	if (r == 0)
		r = hide(m, c);
	if (r == 0 && json_path_bool(c->process, "terminal", false)) {
		/* What the terminal will be bound over, while /dev may still be written to. */
		int console = root_create_file(m->root, "/dev/console");
		if (console >= 0)
			close(console);
	}
	if (r == 0)
		r = make_read_only(m);
	if (r == 0 && json_path_bool(c->config, "root.readonly", false)) {
		/* The last moment to make the working directory; what is wrong with it is told when it is entered. */
		const char *cwd = json_path_str(c->process, "cwd");
		int made = str_empty(cwd) ? -1 : root_mkdir_p(m->root, cwd, 0755);
		if (made >= 0)
			close(made);
		r = setattr(m->root, MOUNT_ATTR_RDONLY, 0, 0, false);
		if (r < 0)
			oci_fail(r, "making the root file system read-only");
	}
	return r;
}

/*
 * Without pivot_root the host's mounts stay, out of reach but there: with a whole /proc or /sys among them the kernel
 * lets a user namespace in the container mount one without the masks. Those of the container are below root.
 */
static int drop_kernel_views(const char *root)
{
	size_t n = strlen(root);
	FILE *f = setmntent("/proc/self/mounts", "re");
	VEC(char *) found = {0};
	int r = 0;
	if (!f)
		return oci_fail(-errno, "reading the mounts");
	for (struct mntent *e; (e = getmntent(f));)
		if ((!strcmp(e->mnt_type, "proc") || !strcmp(e->mnt_type, "sysfs")) &&
		    (strncmp(e->mnt_dir, root, n) || (e->mnt_dir[n] && e->mnt_dir[n] != '/')))
			VEC_PUSH(&found, xstrdup(e->mnt_dir));
	endmntent(f);
	for (size_t i = found.n; i-- > 0;) {
		/* One that came with a user namespace may not be unmounted, but covered. */
		if (r == 0 && umount2(found.at[i], MNT_DETACH) < 0 && errno != ENOENT &&
		    mount("tmpfs", found.at[i], "tmpfs", MS_RDONLY, "size=0") < 0)
			r = oci_fail(-errno, "--no-pivot: unmounting %s", found.at[i]);
		free(found.at[i]);
	}
	VEC_RELEASE(&found);
	return r;
}

int mounts_enter(struct mounts *m, const struct container *c)
{
	const char *word = json_path_str(c->config, "linux.rootfsPropagation");
	bool recursive = false;
	uint64_t propagation = str_empty(word) ? 0 : mount_propagation(word, &recursive);
	if (fchdir(m->root) < 0)
		return oci_fail(-errno, "entering the root file system");
	if (!m->own_mount_ns) {
		if (chroot(".") < 0)
			return oci_fail(-errno, "chroot");
	} else if (c->no_pivot) {
		int r = drop_kernel_views(c->rootfs);
		if (r < 0)
			return r;
		if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
			return oci_fail(-errno, "moving the root file system");
	} else {
		_cleanup_close_ int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (old < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
			return oci_fail(-errno, "pivot_root");
		/* The old root is on top now, though "." is below it; what is unmounted of it must not be so on the
		 * host. */
		if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
		    umount2(".", MNT_DETACH) < 0)
			return oci_fail(-errno, "leaving the old root");
	}
	if (chdir("/") < 0)
		return oci_fail(-errno, "chdir /");
	if (propagation && m->own_mount_ns && mount(NULL, "/", NULL, propagation | (recursive ? MS_REC : 0), NULL) < 0)
		return oci_fail(-errno, "linux.rootfsPropagation");
	close(m->root);
	m->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return m->root < 0 ? oci_fail(-errno, "opening the new root") : 0;
}

int mounts_open_proc(void)
{
	struct statfs fs;
	struct stat st;
	int fd = mount_new("proc", NULL, 0);
	if (fd >= 0)
		return fd;
	/* A user namespace that sees only parts of /proc may not mount it. The one there must at least be it. */
	fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0 || fs.f_type != PROC_SUPER_MAGIC ||
	    st.st_ino != PROC_ROOT_INO) {
		close(fd);
		return oci_fail(0, "/proc is not the proc file system");
	}
	return fd;
}
