/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "oci/config.h"
#include "oci/error.h"
#include "runtime/state.h"

struct runtime_options options;

bool container_id_valid(const char *id)
{
	size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.+-");
	return n && !id[n] && n <= CONTAINER_ID_MAX && id[0] != '.'; /* with a dot: ours, such as .seccomp */
}

/*
 * What is remembered here is believed: hooks are run of it, groups are killed. Nobody else may have made it (/tmp is
 * everybody's) or may write to it.
 */
static int check_root(void)
{
	struct stat link, st;
	if (lstat(options.root, &link) < 0 || stat(options.root, &st) < 0)
		return errno == ENOENT ? 0 : oci_fail(-errno, "%s", options.root);
	bool ours = (st.st_uid == geteuid() || !st.st_uid) && (link.st_uid == geteuid() || !link.st_uid);
	if (!S_ISDIR(st.st_mode) || !ours || st.st_mode & 022)
		return oci_fail(-EPERM, "%s is another user's, or others may write to it", options.root);
	return 0;
}

static int name_it(struct container *c, const char *id)
{
	if (!container_id_valid(id))
		return oci_fail(0,
				"invalid container ID format: \"%s\" is empty, too long, starts with a dot or has an "
				"invalid character (not a letter, digit, '_', '.', '+' or '-')",
				id);
	c->id = arena_strdup(&c->arena, id);
	c->dir = arena_printf(&c->arena, "%s/%s", options.root, id);
	return check_root();
}

static int open_dir(struct container *c, bool lock)
{
	c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->dir_fd < 0)
		return -errno;
	struct stat now, held;
	if (!lock)
		return 0;
	if (flock(c->dir_fd, LOCK_EX) < 0)
		return -errno;
	/* It may have been removed while we waited. */
	if (stat(c->dir, &now) < 0 || fstat(c->dir_fd, &held) < 0)
		return -errno;
	return now.st_ino == held.st_ino ? 0 : -ENOENT;
}

int container_reserve(struct container *c, const char *id)
{
	int r = name_it(c, id);
	if (r < 0)
		return r;
	r = mkdir(c->dir, 0700) < 0 ? -errno : 0;
	if (r == -ENOENT) {
		r = fs_mkdir_p(options.root, 0700);
		if (r < 0)
			return oci_fail(r, "making %s", options.root);
		fs_spread_children(options.root); /* ours alone; a directory that was there has its own attributes */
		r = mkdir(c->dir, 0700) < 0 ? -errno : 0;
	}
	if (r < 0)
		return r == -EEXIST ? oci_fail(0, "container with given ID already exists: \"%s\"", id),
		       -EEXIST	    : oci_fail(r, "making %s", c->dir);
	r = open_dir(c, true);
	if (r < 0) {
		rmdir(c->dir);
		return oci_fail(r, "opening %s", c->dir);
	}
	return 0;
}

/* ---- state.json ---- */

static struct json *to_json(struct arena *a, const struct container *c, bool creating)
{
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "ociVersion", OCI_VERSION);
	json_set_str(a, o, "id", c->id);
	json_set_int(a, o, "pid", c->pid);
	json_set_int(a, o, "startTime", c->start_time);
	json_set_str(a, o, "bundle", c->bundle);
	json_set_str(a, o, "rootfs", c->rootfs);
	json_set_str(a, o, "created", c->created);
	json_set_int(a, o, "owner", c->owner);
	json_set_bool(a, o, "creating", creating);
	json_set_bool(a, o, "noPivot", c->no_pivot);
	json_set(a, o, "group", group_to_json(a, &c->group));
	const struct json *annotations = json_get(c->config, "annotations");
	if (annotations)
		json_set(a, o, "annotations", json_clone(a, annotations));
	return o;
}

static int write_file(const struct container *c, const char *name, const struct json *o)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *path = xasprintf("%s/%s", c->dir, name);
	json_write(&b, o);
	int r = fs_write_replace(path, b.data, b.len, 0600);
	return r < 0 ? oci_fail(r, "writing %s", path) : 0;
}

int container_save(struct container *c)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return write_file(c, "state.json", to_json(&a, c, c->creating));
}

/* Under a name of its own: ext4 writes a file that replaces another to the disk at once, and then has blocks to free.
 */
int container_announce(struct container *c)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return write_file(c, "creating.json", to_json(&a, c, true));
}

int container_save_config(struct container *c)
{
	return write_file(c, "config.json", c->config);
}

static int put(const struct container *c, const char *name, const struct json *o)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_close_ int fd = openat(c->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	json_write(&b, o);
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	return fs_write_all(fd, b.data, b.len);
}

int container_put_config(struct container *c)
{
	int r = put(c, "config.json", c->config);
	return r < 0 ? oci_fail(r, "writing %s/config.json", c->dir) : 0;
}

int container_put(struct container *c)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return put(c, "state.new", to_json(&a, c, false));
}

int container_publish(struct container *c)
{
	return renameat(c->dir_fd, "state.new", c->dir_fd, "state.json") < 0
		   ? oci_fail(-errno, "writing %s/state.json", c->dir)
		   : 0;
}

static int missing(const char *id)
{
	oci_fail(0, "container does not exist: \"%s\"", id);
	return -ENOENT;
}

int container_load(struct container *c, const char *id, bool lock)
{
	int r = name_it(c, id);
	if (r < 0)
		return r;
	r = open_dir(c, lock);
	if (r == -ENOENT)
		return missing(id);
	if (r < 0)
		return oci_fail(r, "opening %s", c->dir);
	struct json *o;
	const char *path = arena_printf(&c->arena, "%s/state.json", c->dir);
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		path = arena_printf(&c->arena, "%s/creating.json", c->dir);
		if (access(path, F_OK) < 0 && errno == ENOENT)
			return missing(id);
	}
	r = config_read(&c->arena, path, &o);
	if (r < 0)
		return r;
	c->bundle = json_path_str(o, "bundle");
	c->rootfs = json_path_str(o, "rootfs");
	c->created = json_path_str(o, "created");
	int64_t pid = json_path_int(o, "pid", -1), owner = json_path_int(o, "owner", -1);
	c->start_time = json_path_int(o, "startTime", -1);
	c->creating = json_path_bool(o, "creating", false);
	c->no_pivot = json_path_bool(o, "noPivot", false);
	if (!c->bundle || !c->rootfs || !c->created || pid < 0 || pid > INT_MAX || owner < 0 || owner > UINT32_MAX ||
	    c->start_time < 0 || group_from_json(json_get(o, "group"), &c->group) < 0)
		return oci_fail(0, "%s is damaged", path);
	c->pid = (pid_t)pid;
	c->owner = (uid_t)owner;
	/* Only what it is asked for later. */
	c->config = json_new(&c->arena, JSON_OBJECT);
	if (json_get(o, "annotations"))
		json_set(&c->arena, c->config, "annotations", json_get(o, "annotations"));
	return 0;
}

int container_load_config(struct container *c)
{
	const char *path = arena_printf(&c->arena, "%s/config.json", c->dir);
	int r = config_read(&c->arena, path, &c->config);
	if (r == 0)
		r = config_check(c->config);
	c->process = json_get(c->config, "process");
	return r;
}

int container_forget(struct container *c)
{
	static const char *const usual[] = {"start.sock", "config.json", "creating.json", "state.json"};
	char path[PATH_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", c->dir, usual[i]) < sizeof(path))
			unlink(path);
	if (rmdir(c->dir) == 0)
		return 0;
	int r = fs_remove_tree(c->dir);
	return r < 0 ? oci_fail(r, "removing %s", c->dir) : 0;
}

void container_unlock(struct container *c)
{
	if (c->dir_fd >= 0) {
		flock(c->dir_fd, LOCK_UN); /* closing ours doesn't, while a copy is open elsewhere */
		close(c->dir_fd);
	}
	c->dir_fd = -1;
}

void container_release(struct container *c)
{
	container_unlock(c);
	arena_release(&c->arena);
}

/* ---- what it is doing ---- */

bool container_alive(const struct container *c)
{
	return c->pid > 0 && state_start_time(c->pid) == c->start_time;
}

int container_pidfd(const struct container *c)
{
	int fd = c->pid > 0 ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
	if (fd < 0)
		return -ESRCH;
	/* The number may be another process's by now: after pidfd_open it cannot change any more. */
	if (!container_alive(c)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

enum container_phase container_phase_of(const struct container *c)
{
	if (!container_alive(c))
		return c->creating && !c->pid ? PHASE_CREATING : PHASE_STOPPED;
	if (c->creating)
		return PHASE_CREATING;
	if (faccessat(c->dir_fd, "start.sock", F_OK, 0) == 0)
		return PHASE_CREATED;
	return group_frozen(&c->group) ? PHASE_PAUSED : PHASE_RUNNING;
}

const char *phase_name(enum container_phase p)
{
	static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};
	return names[p];
}

struct json *container_state(struct arena *a, const struct container *c, const char *phase_override)
{
	const char *phase = phase_override ? phase_override : phase_name(container_phase_of(c));
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "ociVersion", OCI_VERSION);
	json_set_str(a, o, "id", c->id);
	json_set_str(a, o, "status", phase);
	json_set_int(a, o, "pid", strcmp(phase, "stopped") ? c->pid : 0);
	json_set_str(a, o, "bundle", c->bundle);
	const struct json *annotations = json_get(c->config, "annotations");
	if (annotations)
		json_set(a, o, "annotations", json_clone(a, annotations));
	return o;
}

void container_socket_path(const struct container *c, char out[64])
{
	snprintf(out, 64, "/proc/self/fd/%d/start.sock", c->dir_fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **container_list(struct arena *a, size_t *ret_n)
{
	VEC(const char *) names = {0};
	DIR *d = opendir(options.root);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.' && container_id_valid(e->d_name))
			VEC_PUSH(&names, arena_strdup(a, e->d_name));
	if (d)
		closedir(d);
	qsort(names.at, names.n, sizeof(*names.at), by_name);
	const char **list = arena_zalloc(a, (names.n + 1) * sizeof(*list));
	if (names.n)
		memcpy(list, names.at, names.n * sizeof(*list));
	*ret_n = names.n;
	VEC_RELEASE(&names);
	return list;
}
