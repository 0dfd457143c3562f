/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inside_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <dirent.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/fail.h"
#include "runtime/launch.h"
#include "runtime/rootfs.h"

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* What docker, containerd and CRI-O hide and protect by default. */
static const char *const default_masked[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    NULL,
};
static const char *const default_readonly[] = {"/proc/bus",	      "/proc/fs", "/proc/irq", "/proc/sys",
					       "/proc/sysrq-trigger", NULL};

static int checked(int r, const char *what)
{
	if (r < 0)
		fail(500, 128, r, "%s", what);
	return r;
}

/* ---- prepared while the host is still visible ---- */

/* A detached tree for every bind mount, with its propagation: taken before this namespace becomes a slave of the
 * host's. */
static int *prepare_binds(const struct launch *l)
{
	const struct container_spec *s = l->spec;
	int *trees = xcalloc(s->n_mounts + 1, sizeof(int));
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct spec_mount *m = &s->mounts[i];
		trees[i] = -1;
		if (str_eq(m->type, "tmpfs"))
			continue;
		if (str_empty(m->target) || m->target[0] != '/')
			fail(400, 128, 0, "mount target \"%s\" is not an absolute path", str_or(m->target, ""));
		if (m->source_fd_index > l->n_fds || (!m->source_fd_index && str_empty(m->source)))
			fail(500, 128, 0, "mount at %s has no source", m->target);
		trees[i] = m->source_fd_index ? mount_clone(l->fds[m->source_fd_index - 1], "", true)
					      : mount_clone(AT_FDCWD, m->source, true);
		if (trees[i] < 0)
			fail(400, 128, trees[i], "mounting %s at %s", str_or(m->source, "a volume"), m->target);
		static const uint64_t propagation[] = {MS_PRIVATE, MS_SLAVE, MS_SHARED};
		uint64_t attrs = (m->noexec ? MOUNT_ATTR_NOEXEC : 0) | (m->nosuid ? MOUNT_ATTR_NOSUID : 0) |
				 (m->nodev ? MOUNT_ATTR_NODEV : 0);
		checked(mount_attr(trees[i], 0, propagation[m->propagation % 3], true), "setting mount propagation");
		attrs |= m->readonly ? MOUNT_ATTR_RDONLY : 0;
		if (attrs)
			checked(mount_attr(trees[i], attrs, 0, m->recursive_readonly), "setting mount attributes");
	}
	return trees;
}

/* The host's /dev/null, which masks files: by descriptor, and it must be the real one (CVE-2025-31133). */
static int open_null(void)
{
	struct stat st;
	int fd = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		fail(500, 128, 0, "the host's /dev/null is not the null device");
	return fd;
}

/* ---- rootfs ---- */

static int open_layer(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fail(500, 128, -errno, "opening layer %s", path);
	return fd;
}

/* Layers are named by descriptor: no escaping of ':' and ',', and 128 of them fit into the page that options may fill.
 */
static void mount_overlay(const struct container_spec *s, const char *mountpoint)
{
	struct buf o = BUF_INIT;
	size_t n = 0;
	buf_adds(&o, "lowerdir=");
	for (const char *const *d = s->lowerdirs; *d; d++) {
		if (++n > SPEC_LOWERDIRS_MAX)
			fail(400, 128, 0, "the image has more than %d layers", SPEC_LOWERDIRS_MAX);
		buf_addf(&o, "%s/proc/self/fd/%d", n > 1 ? ":" : "", open_layer(*d));
	}
	unsigned long flags = 0;
	if (s->upperdir) {
		buf_addf(&o, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", open_layer(s->upperdir),
			 open_layer(s->workdir));
		/* Nothing of a container's layer outlives it, so it need not be synced when it goes. */
		struct buf v = BUF_INIT;
		buf_addf(&v, "%s,volatile", buf_str(&o));
		if (mount("overlay", mountpoint, "overlay", flags, buf_str(&v)) == 0)
			return;
	} else {
		flags = MS_RDONLY;
		if (n == 1) /* overlayfs wants two; one read-only layer is just that */
			checked(mount(s->lowerdirs[0], mountpoint, NULL, MS_BIND, NULL) < 0 ? -errno : 0,
				"binding rootfs");
		if (n == 1)
			return;
	}
	if (mount("overlay", mountpoint, "overlay", flags, buf_str(&o)) < 0)
		fail(500, 128, -errno, "mounting the root file system");
}

static int mount_rootfs(const struct launch *l)
{
	const struct container_spec *s = l->spec;
	/* Nothing we mount may reach the host, where the mount point is a directory with something in it. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		fail(500, 128, -errno, "making mounts private");
	if (s->rootfs) {
		int tree = mount_clone(AT_FDCWD, s->rootfs, true);
		if (tree < 0)
			fail(500, 128, tree, "opening root file system %s", s->rootfs);
		checked(mount_attr(tree, 0, MS_PRIVATE, true), "root file system propagation");
		int at = open_layer(l->mountpoint);
		checked(mount_attach(tree, at), "attaching the root file system");
	} else if (s->lowerdirs && *s->lowerdirs) {
		mount_overlay(s, l->mountpoint);
	} else {
		fail(500, 128, 0, "no root file system");
	}
	return open_layer(l->mountpoint);
}

/* A directory for one of our own mounts: the image must not have a symlink there. */
static int own_target(int root, const char *path)
{
	int fd = root_open_nosymlinks(root, path, O_PATH | O_DIRECTORY);
	if (fd == -ENOENT) {
		fd = root_mkdir_p(root, path, 0755);
		close(fd);
		fd = root_open_nosymlinks(root, path, O_PATH | O_DIRECTORY);
	}
	if (fd < 0)
		fail(400, 128, fd, "%s in the image cannot be mounted on", path);
	return fd;
}

static int place(int mount, int target, const char *what)
{
	checked(mount, what);
	checked(mount_attach(mount, target), what);
	close(target);
	return mount;
}

/* ---- /dev ---- */

static void make_node(int dev, const char *name, mode_t mode, dev_t rdev)
{
	if (mknodat(dev, name, mode, rdev) < 0 || fchmodat(dev, name, mode & 07777, 0) < 0)
		fail(500, 128, -errno, "making /dev/%s", name);
}

static void basic_nodes(int dev)
{
	static const struct {
		const char *name;
		unsigned minor;
	} memory[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};
	static const struct {
		const char *name, *to;
	} links[] = {{"fd", "/proc/self/fd"},	    {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
		     {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},	  {"core", "/proc/kcore"}};
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
		make_node(dev, memory[i].name, S_IFCHR | 0666, makedev(1, memory[i].minor));
	make_node(dev, "tty", S_IFCHR | 0666, makedev(5, 0));
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i].to, dev, links[i].name) < 0)
			fail(500, 128, -errno, "making /dev/%s", links[i].name);
}

/* Every device node of the host's /dev, for privileged containers. Subdirectories are made; other mounts are left out.
 */
static void host_nodes(int from, int to, int depth)
{
	DIR *d = fdopendir(from);
	if (!d || depth > 8)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			if (!strcmp(e->d_name, "pts") || !strcmp(e->d_name, "shm") || !strcmp(e->d_name, "mqueue"))
				continue;
			int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			mkdirat(to, e->d_name, 0755);
			int below = openat(to, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0 && below >= 0)
				host_nodes(sub, below, depth + 1);
			close(below);
		} else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
			if (mknodat(to, e->d_name, st.st_mode, st.st_rdev) == 0)
				(void)!fchownat(to, e->d_name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
		}
	}
	closedir(d);
}

static void mount_dev(const struct launch *l, int root, int host_dev)
{
	int dev = mount_new("tmpfs", "mode=755,size=65536k", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
	place(dev, own_target(root, "/dev"), "mounting /dev");
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 01777) < 0 || mkdirat(dev, "mqueue", 0755) < 0)
		fail(500, 128, -errno, "making directories in /dev");
	basic_nodes(dev);
	if (l->spec->privileged)
		host_nodes(host_dev, dev, 0);
	int pts = openat(dev, "pts", O_PATH | O_CLOEXEC);
	place(mount_new("devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
	      pts, "mounting /dev/pts");
	place(l->shm, openat(dev, "shm", O_PATH | O_CLOEXEC), "mounting /dev/shm");
	int mq = openat(dev, "mqueue", O_PATH | O_CLOEXEC);
	int mqueue = mount_new("mqueue", NULL, ATTR_SAFE);
	if (mqueue != -ENODEV) /* a kernel without message queues */
		place(mqueue, mq, "mounting /dev/mqueue");
}

static void add_devices(const struct launch *l, int root, int (*stats)(const char *, struct stat *))
{
	const struct container_spec *s = l->spec;
	for (size_t i = 0; i < s->n_devices; i++) {
		struct stat st;
		const char *to =
		    str_empty(s->devices[i].container_path) ? s->devices[i].host_path : s->devices[i].container_path;
		if (stats(s->devices[i].host_path, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
			fail(400, 128, 0, "%s is not a device", s->devices[i].host_path);
		const char *slash = strrchr(to, '/');
		char *parent = xstrndup(to, slash ? (size_t)(slash - to) : 0);
		int dir = root_mkdir_p(root, parent, 0755);
		if (dir < 0 || !slash || !slash[1])
			fail(400, 128, dir < 0 ? dir : 0, "no place for device %s", to);
		if (mknodat(dir, slash + 1, st.st_mode, st.st_rdev) < 0 && errno != EEXIST)
			fail(500, 128, -errno, "making device %s", to);
		(void)!fchownat(dir, slash + 1, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
		close(dir);
		free(parent);
	}
}

/* ---- /sys/fs/cgroup: what the container's cgroup namespace shows ---- */

/*
 * Its own group, cut out of the machine's tree. Mounting the hierarchy anew in the container's namespace shows the same
 * but costs a superblock for each hierarchy and container, and a walk over all groups of the machine under a lock.
 */
static int cgroup_tree(const struct launch *l, const struct cgroup_hierarchy *h)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", h->mount, l->cgroup);
	return mount_clone(AT_FDCWD, path, false);
}

static void mount_cgroups(const struct launch *l, int root)
{
	const struct cgroup_layout *g = l->layout;
	uint64_t attrs = ATTR_SAFE | (l->spec->privileged ? 0 : MOUNT_ATTR_RDONLY);
	int at = root_open_nosymlinks(root, "/sys/fs/cgroup", O_PATH | O_DIRECTORY);
	if (at < 0)
		return; /* a kernel without cgroups in its sysfs */
	bool v2_only = g->n == 1 && g->h[0].v2;
	int dir = place(v2_only ? cgroup_tree(l, &g->h[0]) : mount_new("tmpfs", "mode=755,size=64k", 0), at,
			"mounting /sys/fs/cgroup");
	for (size_t i = 0; i < g->n && !v2_only; i++) {
		const char *slash = strrchr(g->h[i].mount, '/'), *name = slash ? slash + 1 : "unified";
		if (mkdirat(dir, name, 0755) < 0)
			fail(500, 128, -errno, "making /sys/fs/cgroup/%s", name);
		int tree = checked(cgroup_tree(l, &g->h[i]), "opening a cgroup hierarchy");
		checked(mount_attach_in(tree, dir, name), "mounting a cgroup hierarchy");
		close(tree);
	}
	checked(mount_attr(dir, attrs, MS_PRIVATE, true), "setting the attributes of /sys/fs/cgroup");
}

/* ---- the pod's mounts ---- */

static int depth_of(const char *path)
{
	int n = 0;
	for (; *path; path++)
		n += path[0] == '/' && path[1] && path[1] != '/';
	return n;
}

static void place_mount(const struct spec_mount *m, int root, int tree)
{
	struct stat st;
	struct statfs fs;
	if (tree < 0) {
		uint64_t attrs = (m->readonly ? MOUNT_ATTR_RDONLY : 0) | (m->noexec ? MOUNT_ATTR_NOEXEC : 0) |
				 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
		tree = mount_new("tmpfs", m->data, attrs);
		if (tree < 0)
			fail(400, 128, tree, "mounting a tmpfs at %s", m->target);
	}
	if (fstatat(tree, "", &st, AT_EMPTY_PATH) < 0)
		fail(500, 128, -errno, "looking at what to mount at %s", m->target);
	int target = S_ISDIR(st.st_mode) ? root_mkdir_p(root, m->target, 0755) : root_create_file(root, m->target);
	if (target < 0)
		fail(400, 128, target, "making the mount point %s in the container", m->target);
	/* CVE-2019-19921 and its kin: nothing may cover parts of /proc. */
	if (fstatfs(target, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC)
		fail(400, 128, 0, "mounting at %s is not allowed: it is inside /proc", m->target);
	int r = mount_attach(tree, target);
	if (r < 0)
		fail(400, 128, r, "mounting at %s", m->target);
	close(target);
	close(tree);
}

static void place_mounts(const struct launch *l, int root, int *trees)
{
	const struct container_spec *s = l->spec;
	/* Shallow targets first, so that none is covered by its parent; equals in the order given. */
	int placed = 0;
	for (int depth = 0; placed < (int)s->n_mounts; depth++)
		for (size_t i = 0; i < s->n_mounts; i++)
			if (depth_of(s->mounts[i].target) == depth) {
				place_mount(&s->mounts[i], root, trees[i]);
				placed++;
			}
}

/* ---- masks ---- */

static void mask(int root, const char *path, int null, int *empty)
{
	struct stat st;
	int r, target = root_open(root, path, O_PATH);
	if (target == -ENOENT || target == -ENOTDIR)
		return;
	if (target < 0 || fstat(target, &st) < 0)
		fail(500, 128, target, "masking %s", path);
	if (!S_ISDIR(st.st_mode)) {
		int tree = mount_clone(null, "", false);
		r = tree < 0 ? tree : mount_attach(tree, target);
		close(tree);
	} else if (*empty < 0) {
		*empty = checked(mount_new("tmpfs", "mode=755,size=0,nr_inodes=1", ATTR_SAFE | MOUNT_ATTR_RDONLY),
				 "masking");
		r = mount_attach(*empty, target);
	} else {
		int tree = mount_clone(*empty, "", false);
		r = tree < 0 ? tree : mount_attach(tree, target);
		close(tree);
	}
	if (r < 0)
		fail(500, 128, r, "masking %s", path);
	close(target);
}

static void protect(int root, const char *path)
{
	int target = root_open(root, path, O_PATH);
	if (target == -ENOENT || target == -ENOTDIR)
		return;
	int tree = target < 0 ? target : mount_clone(target, "", true);
	int r = tree < 0 ? tree : mount_attr(tree, MOUNT_ATTR_RDONLY | ATTR_SAFE, 0, false);
	if (r == 0)
		r = mount_attach(tree, target);
	if (r < 0)
		fail(500, 128, r, "making %s read-only", path);
	close(tree);
	close(target);
}

static void hide(const struct container_spec *s, int root, int null)
{
	int empty = -1;
	if (s->privileged)
		return;
	if (!s->unmasked_proc || s->readonly_paths)
		for (const char *const *p = s->readonly_paths ? s->readonly_paths : default_readonly; *p; p++)
			protect(root, *p);
	if (!s->unmasked_proc || s->masked_paths)
		for (const char *const *p = s->masked_paths ? s->masked_paths : default_masked; *p; p++)
			mask(root, *p, null, &empty);
}

static struct stat *device_stats;
static size_t device_at;

static int saved_stat(const char *path, struct stat *st)
{
	(void)path;
	*st = device_stats[device_at++];
	return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? 0 : -1;
}

int inside_mounts(const struct launch *l)
{
	const struct container_spec *s = l->spec;
	int host_dev = s->privileged ? open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int null = open_null();
	device_stats = xcalloc(s->n_devices + 1, sizeof(*device_stats));
	for (size_t i = 0; i < s->n_devices; i++)
		(void)!stat(str_or(s->devices[i].host_path, ""), &device_stats[i]);
	umask(0);
	int *trees = prepare_binds(l);
	int root = mount_rootfs(l);
	uint64_t sys = ATTR_SAFE | (s->privileged ? 0 : MOUNT_ATTR_RDONLY);
	place(mount_new("proc", NULL, ATTR_SAFE), own_target(root, "/proc"), "mounting /proc");
	mount_dev(l, root, host_dev);
	place(mount_new("sysfs", NULL, sys), own_target(root, "/sys"), "mounting /sys");
	mount_cgroups(l, root);
	place_mounts(l, root, trees);
	if (!s->privileged || s->n_devices)
		add_devices(l, root, saved_stat);
	hide(s, root, null);
	if (s->readonly_rootfs)
		checked(mount_attr(root, MOUNT_ATTR_RDONLY, 0, false), "making the root file system read-only");
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail(500, 128, -errno, "pivot_root");
	close(root);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return checked(root, "opening the new root");
}
