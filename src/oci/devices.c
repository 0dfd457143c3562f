/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/namespaces.h"
#include "runtime/rootfs.h"

#define MAJOR_MAX 4095 /* 12 bits and 20 are what the kernel keeps; of others it would take a part */
#define MINOR_MAX 1048575

struct node {
	const char *path;
	mode_t mode; /* type and permissions */
	dev_t rdev;
	uid_t uid;
	gid_t gid;
	int index; /* in linux.devices; -1: one of the usual ones */
};

static const struct {
	const char *path;
	unsigned major, minor;
} usual[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	     {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
static const struct {
	const char *name, *to;
} links[] = {{"fd", "/proc/self/fd"},
	     {"stdin", "/proc/self/fd/0"},
	     {"stdout", "/proc/self/fd/1"},
	     {"stderr", "/proc/self/fd/2"}};

int devices_open(struct device_sources *ret, const struct container *c)
{
	(void)c;
	ret->made = -1;
	ret->host_dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return ret->host_dev < 0 ? oci_fail(-errno, "opening the host's /dev") : 0;
}

/* The parent directory of path inside root, made when absent, and the name below it. */
static int open_parent(int root, const char *path, const char **ret_name)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (path[0] != '/' || !slash[1] || !strcmp(slash + 1, "..") || !strcmp(slash + 1, ".") ||
	    strlen(path) >= sizeof(parent))
		return -EINVAL;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	*ret_name = slash + 1;
	return root_mkdir_p(root, parent, 0755);
}

static bool is_node(int dir, const char *name, const struct node *n)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == (n->mode & S_IFMT) &&
	       (S_ISFIFO(st.st_mode) || st.st_rdev == n->rdev);
}

/* The node that our maker made, or else the host's of the same name if it is the same device. */
static int open_source(const struct device_sources *s, const struct node *n)
{
	struct stat st;
	char name[16];
	const char *below = str_after(n->path, "/dev/");
	snprintf(name, sizeof(name), "%d", n->index);
	_cleanup_close_ int fd = s->made >= 0 && n->index >= 0 ? openat(s->made, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)
				 : below ? openat(s->host_dev, below, O_PATH | O_NOFOLLOW | O_CLOEXEC)
					 : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != (n->mode & S_IFMT) ||
	    (!S_ISFIFO(st.st_mode) && st.st_rdev != n->rdev))
		return oci_fail(-EPERM, "making device %s, and the host has none to bind", n->path);
	return TAKE_FD(fd);
}

static int bind_node(const struct device_sources *s, int dir, const char *name, const struct node *n)
{
	_cleanup_close_ int source = open_source(s, n);
	if (source < 0)
		return source;
	/* What a file is bound to must be one. */
	_cleanup_close_ int made =
	    openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
	_cleanup_close_ int target = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int tree = mount_clone(source, "", false);
	int r = made < 0 || target < 0 ? -errno : tree < 0 ? tree : 0;
	if (r == 0)
		r = mount_attr(tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, false);
	if (r == 0)
		r = mount_attach(tree, target);
	return r < 0 ? oci_fail(r, "binding device %s", n->path) : 0;
}

static int make_node(const struct device_sources *s, int dir, const char *name, const struct node *n)
{
	if (mknodat(dir, name, n->mode, n->rdev) < 0) {
		struct stat st;
		if (errno == EPERM)
			return bind_node(s, dir, name, n);
		if (errno != EEXIST)
			return oci_fail(-errno, "making device %s", n->path);
		if (is_node(dir, name, n))
			return 0;
		/* An image may hold anything there. A file, such as we leave where mknod isn't permitted, is covered.
		 */
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			return bind_node(s, dir, name, n);
		return oci_fail(-EEXIST, "device %s: the root file system has something else there", n->path);
	}
	if (fchownat(dir, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(dir, name, n->mode & 07777, 0) < 0)
		return oci_fail(-errno, "giving device %s to its owner", n->path);
	return 0;
}

/* path: where the node's path, without slashes at its end, is kept. */
static int read_configured(const struct json *d, int index, char path[static PATH_MAX], struct node *ret)
{
	static const struct {
		char letter;
		mode_t type;
	} types[] = {{'c', S_IFCHR}, {'u', S_IFCHR}, {'b', S_IFBLK}, {'p', S_IFIFO}};
	const char *type = json_path_str(d, "type");
	size_t len = (size_t)snprintf(path, PATH_MAX, "%s", json_path_str(d, "path"));
	struct node n = {.path = path, .index = index};
	while (len > 1 && len < PATH_MAX && path[len - 1] == '/')
		path[--len] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (type[0] == types[i].letter && !type[1])
			n.mode = types[i].type;
	if (!n.mode)
		return oci_fail(0, "linux.devices: type \"%s\" of %s is none of c, u, b and p", type, n.path);
	if (n.mode != S_IFIFO && (!json_get(d, "major") || !json_get(d, "minor")))
		return oci_fail(0, "linux.devices: %s needs major and minor", n.path);
	int64_t major = json_path_int(d, "major", 0), minor = json_path_int(d, "minor", 0);
	if (n.mode != S_IFIFO && (major < 0 || major > MAJOR_MAX || minor < 0 || minor > MINOR_MAX))
		return oci_fail(0, "linux.devices: %s: the kernel has no device %lld:%lld", n.path, (long long)major,
				(long long)minor);
	n.mode |= (mode_t)(config_u64(json_get(d, "fileMode"), 0666) & 07777);
	n.uid = (uid_t)json_path_int(d, "uid", 0);
	n.gid = (gid_t)json_path_int(d, "gid", 0);
	if (!S_ISFIFO(n.mode))
		n.rdev = makedev((unsigned)major, (unsigned)minor);
	*ret = n;
	return 0;
}

static int make_configured(const struct device_sources *s, int root, const struct json *d, int index)
{
	char path[PATH_MAX];
	struct node n;
	const char *name;
	int r = read_configured(d, index, path, &n);
	if (r < 0)
		return r;
	_cleanup_close_ int dir = open_parent(root, n.path, &name);
	return dir < 0 ? oci_fail(dir, "no place for device %s", n.path) : make_node(s, dir, name, &n);
}

static int premake(int tree, const struct json *config_linux, const struct node *n)
{
	char name[16];
	uid_t uid;
	gid_t gid;
	if (id_map_to_host(json_get(config_linux, "uidMappings"), n->uid, &uid) < 0 ||
	    id_map_to_host(json_get(config_linux, "gidMappings"), n->gid, &gid) < 0)
		return oci_fail(0, "linux.devices: the owner of %s is not in the user namespace", n->path);
	snprintf(name, sizeof(name), "%d", n->index);
	if (mknodat(tree, name, n->mode, n->rdev) < 0 || fchownat(tree, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(tree, name, n->mode & 07777, 0) < 0)
		return oci_fail(-errno, "making device %s", n->path);
	return 0;
}

int devices_premake(const struct container *c, int *ret_tree)
{
	const struct json *config_linux = json_get(c->config, "linux"), *list = json_get(config_linux, "devices");
	char path[PATH_MAX];
	struct node n;
	int i = 0, r = 0;
	*ret_tree = -1;
	if (!json_len(list) || !json_len(json_get(config_linux, "uidMappings")))
		return 0;
	_cleanup_close_ int tree = mount_new("tmpfs", "mode=711,size=64k", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (tree < 0)
		return oci_fail(tree, "linux.devices: a tmpfs for them");
	JSON_EACH(d, list) {
		if (r == 0)
			r = read_configured(d, i++, path, &n);
		if (r == 0)
			r = premake(tree, config_linux, &n);
	}
	if (r == 0)
		*ret_tree = TAKE_FD(tree);
	return r;
}

static bool configured(const struct container *c, const char *path)
{
	JSON_EACH(d, json_path(c->config, "linux.devices"))
		if (!strcmp(json_path_str(d, "path"), path))
			return true;
	return false;
}

static int make_links(int root)
{
	_cleanup_close_ int dev = root_open_nosymlinks(root, "/dev", O_PATH | O_DIRECTORY);
	if (dev < 0)
		return oci_fail(dev, "/dev in the container");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i].to, dev, links[i].name) < 0 && errno != EEXIST)
			return oci_fail(-errno, "making /dev/%s", links[i].name);
	/* The container's own terminals, not the host's. */
	if (faccessat(dev, "pts/ptmx", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (symlinkat("pts/ptmx", dev, "ptmx") == 0)
		return 0;
	char to[16];
	ssize_t n = readlinkat(dev, "ptmx", to, sizeof(to));
	if (n == 8 && !memcmp(to, "pts/ptmx", 8))
		return 0;
	if (unlinkat(dev, "ptmx", 0) < 0 && errno != ENOENT)
		return oci_fail(-errno, "replacing /dev/ptmx");
	return symlinkat("pts/ptmx", dev, "ptmx") < 0 ? oci_fail(-errno, "making /dev/ptmx") : 0;
}

/* A /dev that is the host's own, bound, has everything and must not be touched. */
static bool dev_is_bound(const struct container *c)
{
	JSON_EACH(m, json_get(c->config, "mounts")) {
		const char *target = json_path_str(m, "destination");
		if ((!strcmp(target, "/dev") || !strcmp(target, "/dev/")) &&
		    (str_eq(json_path_str(m, "type"), "bind") || config_list_has(json_get(m, "options"), "bind") ||
		     config_list_has(json_get(m, "options"), "rbind")))
			return true;
	}
	return false;
}

int devices_make(const struct device_sources *s, int root, const struct container *c)
{
	int r = 0, index = 0;
	if (dev_is_bound(c))
		return 0;
	_cleanup_close_ int dev = root_mkdir_p(root, "/dev", 0755);
	if (dev < 0)
		return oci_fail(dev, "/dev in the container");
	JSON_EACH(d, json_path(c->config, "linux.devices"))
		if (r == 0)
			r = make_configured(s, root, d, index++);
	for (size_t i = 0; i < ARRAY_SIZE(usual) && r == 0; i++)
		if (!configured(c, usual[i].path)) {
			struct node n = {
			    usual[i].path, S_IFCHR | 0666, makedev(usual[i].major, usual[i].minor), 0, 0, -1};
			r = make_node(s, dev, n.path + strlen("/dev/"), &n);
		}
	return r < 0 ? r : make_links(root);
}
