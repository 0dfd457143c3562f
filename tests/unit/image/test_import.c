/* SPDX-License-Identifier: Apache-2.0 */
/* The store with real archives, which make_archives.py builds. Needs root: owners, devices and trusted xattrs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image.h"

static char archives[64], dir[64];
static struct image_store *store;
static char err[500];

static int setup_archives(void **state)
{
	char cmd[400];

	(void)state;
	if (getuid() != 0)
		exit(77); /* meson: skipped */
	strcpy(archives, "/tmp/test_archivesXXXXXX");
	assert_non_null(mkdtemp(archives));
	snprintf(cmd, sizeof(cmd), "python3 %s %s", getenv("MAKE_ARCHIVES"), archives);
	return system(cmd);
}

static int teardown_archives(void **state)
{
	(void)state;
	return fs_remove_tree(archives);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_imageXXXXXX");
	assert_non_null(mkdtemp(dir));
	return image_store_open(dir, &store, err, sizeof(err));
}

static int teardown(void **state)
{
	(void)state;
	image_store_close(store);
	return fs_remove_tree(dir);
}

static int import(const char *name, const char *ref)
{
	struct image_import_options o = {.name = ref, .platform = "linux/amd64"};
	_cleanup_free_ char *path = xasprintf("%s/%s", archives, name);

	err[0] = 0;
	return image_import(store, path, &o, NULL, err, sizeof(err));
}

static size_t entries_in(const char *sub)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, sub);
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static const char *in_layer(const struct image *i, size_t layer, const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", i->layers[layer], name);
	return path;
}

static struct stat stat_in(const struct image *i, size_t layer, const char *name)
{
	struct stat st;

	if (lstat(in_layer(i, layer, name), &st) < 0)
		fail_msg("%s is not there", name);
	return st;
}

static void check_layers(const struct image *i)
{
	char text[64];
	struct stat st;

	assert_int_equal(i->n_layers, 2);
	/* the lower one */
	st = stat_in(i, 1, ".");
	assert_int_equal(st.st_mode & 07777, 0751);
	st = stat_in(i, 1, "bin");
	assert_int_equal(st.st_mtime, 1111111111);
	st = stat_in(i, 1, "bin/tool");
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(st.st_mtime, 1000000000);
	assert_int_equal(st.st_nlink, 2);
	assert_true(stat_in(i, 1, "bin/hard").st_ino == st.st_ino);
	assert_true(S_ISLNK(stat_in(i, 1, "bin/soft").st_mode));
	st = stat_in(i, 1, "dev/zero");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 5));
	assert_true(S_ISFIFO(stat_in(i, 1, "run/pipe").st_mode));
	assert_true(S_ISREG(stat_in(i, 1, "etc/na\xc3\xafve").st_mode));
	assert_true(getxattr(in_layer(i, 1, "etc/na\xc3\xafve"), "trusted.overlay.opaque", text, sizeof(text)) < 0);
	assert_int_equal(stat_in(i, 1, "usr/lib/through").st_size, 27);
	assert_int_equal(stat_in(i, 1, "twice").st_size, 6);
	assert_true(S_ISDIR(stat_in(i, 1, "sock").st_mode));
	/* the upper one */
	st = stat_in(i, 0, "bin/tool");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	assert_int_equal(getxattr(in_layer(i, 0, "etc"), "trusted.overlay.opaque", text, sizeof(text)), 1);
	assert_true(S_ISREG(stat_in(i, 0, "etc/new").st_mode));
	assert_true(S_ISREG(stat_in(i, 0, "kept").st_mode));
	assert_true(lstat(in_layer(i, 0, ".wh..wh.plnk"), &st) == 0 || errno == ENOENT);
}

static void check_config(const struct image *i)
{
	assert_string_equal(i->entrypoint[0], "/bin/tool");
	assert_null(i->entrypoint[1]);
	assert_string_equal(i->cmd[1], "b");
	assert_string_equal(i->env[0], "A=1");
	assert_string_equal(i->working_dir, "/work");
	assert_string_equal(i->user, "7:8");
	assert_string_equal(i->stop_signal, "SIGQUIT");
	assert_string_equal(i->exposed_ports[0], "80/tcp");
	assert_int_equal(i->n_labels, 1);
	assert_string_equal(i->labels[0].value, "v");
	assert_string_equal(i->architecture, "amd64");
	assert_true(i->created_ns == 1704164645ll * 1000000000);
	assert_int_equal(i->size, 4 + 1 + 27 + 5 + 6 + 3 + 4);
}

static void check_import(const char *archive, const char *ref)
{
	struct image *i;

	if (import(archive, NULL) != 0)
		fail_msg("%s", err);
	assert_int_equal(image_resolve(store, ref, &i, err, sizeof(err)), 0);
	check_layers(i);
	check_config(i);
	image_free(i);
	assert_int_equal(entries_in("tmp"), 0);
}

static void docker_archives(void **state)
{
	(void)state;
	check_import("docker.tar", "web:1");
	check_import("docker.tar.gz", "docker.io/library/web:1");
	assert_int_equal(entries_in("images"), 1);
	assert_int_equal(entries_in("layers"), 2);
}

static void oci_archives_and_layouts(void **state)
{
	struct image *i;

	(void)state;
	check_import("oci.tar", "ghcr.io/a/b:v2");
	assert_int_equal(image_remove(store, "ghcr.io/a/b:v2", err, sizeof(err)), 0);
	assert_int_equal(entries_in("layers"), 0);
	check_import("layout", "ghcr.io/a/b:v2");
	assert_int_equal(image_resolve(store, "ghcr.io/a/b:v2", &i, err, sizeof(err)), 0);
	assert_non_null(i->repo_digests[0]);
	struct image *by_digest, *by_prefix;
	char prefix[20];
	assert_int_equal(image_resolve(store, i->repo_digests[0], &by_digest, err, sizeof(err)), 0);
	assert_string_equal(by_digest->id, i->id);
	snprintf(prefix, sizeof(prefix), "%.12s", i->id + 7);
	assert_int_equal(image_resolve(store, prefix, &by_prefix, err, sizeof(err)), 0);
	assert_string_equal(by_prefix->id, i->id);
	image_free(by_prefix);
	image_free(by_digest);
	image_free(i);
}

static void the_platform_is_chosen(void **state)
{
	(void)state;
	check_import("multi.tar", "multi:1");
	assert_int_equal(import("foreign.tar", NULL), -EBADMSG);
	assert_non_null(strstr(err, "has no image for linux/amd64"));
}

static void plain_root_filesystems(void **state)
{
	struct image *i, *again;

	(void)state;
	assert_int_equal(import("rootfs.tar", NULL), -EINVAL);
	assert_int_equal(import("rootfs.tar", "plain"), 0);
	assert_int_equal(image_resolve(store, "plain", &i, err, sizeof(err)), 0);
	assert_int_equal(i->n_layers, 1);
	assert_int_equal(stat_in(i, 0, "bin/tool").st_mode & 07777, 04755);
	/* A directory: what was just unpacked, imported again, is the same. */
	struct image_import_options o = {.name = "copy"};
	assert_int_equal(image_import(store, i->layers[0], &o, NULL, err, sizeof(err)), 0);
	assert_int_equal(image_resolve(store, "copy", &again, err, sizeof(err)), 0);
	struct stat st = stat_in(again, 0, "bin/tool");
	assert_int_equal(st.st_mode & 07777, 04755);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_mtime, 1000000000);
	assert_true(stat_in(again, 0, "bin/hard").st_ino == st.st_ino);
	assert_true(S_ISCHR(stat_in(again, 0, "dev/zero").st_mode));
	assert_true(S_ISLNK(stat_in(again, 0, "escape").st_mode));
	image_free(again);
	image_free(i);
}

static void damaged_and_hostile_archives_leave_nothing(void **state)
{
	DIR *d = opendir(archives);
	int n = 0;

	(void)state;
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_has_prefix(e->d_name, "bad-") && !str_has_prefix(e->d_name, "evil-"))
			continue;
		n++;
		int r = import(e->d_name, str_has_prefix(e->d_name, "evil-") ? "evil" : NULL);
		if (r != -EBADMSG && r != -E2BIG)
			fail_msg("%s gave %d %s", e->d_name, r, err);
		assert_non_null(strstr(err, e->d_name));
		if (entries_in("tmp") + entries_in("layers") + entries_in("images"))
			fail_msg("%s left something", e->d_name);
		_cleanup_free_ char *blobs = xasprintf("%s/blobs", dir);
		assert_int_equal(rmdir(blobs) | mkdir(blobs, 0700), 0);
	}
	closedir(d);
	assert_int_equal(n, 40);
}

static void links_cannot_lead_out(void **state)
{
	struct image *i;

	(void)state;
	assert_int_equal(import("harmless-symlink.tar", "links"), 0);
	assert_int_equal(access("/evil-marker", F_OK), -1);
	assert_int_equal(access("/evil-marker2", F_OK), -1);
	assert_int_equal(access("/evil-marker3", F_OK), -1);
	assert_int_equal(image_resolve(store, "links", &i, err, sizeof(err)), 0);
	assert_true(S_ISREG(stat_in(i, 0, "evil-marker").st_mode));
	assert_true(S_ISREG(stat_in(i, 0, "evil-marker2").st_mode));
	assert_true(S_ISREG(stat_in(i, 0, "f").st_mode));
	image_free(i);
}

static bool is_opaque(const char *path)
{
	char y;
	return getxattr(path, "trusted.overlay.opaque", &y, 1) == 1 && y == 'y';
}

static void odd_archives_mean_what_the_specification_says(void **state)
{
	struct image *i;
	char text[8];
	struct stat st;

	(void)state;
	if (import("odd.tar", "odd") != 0)
		fail_msg("%s", err);
	assert_int_equal(image_resolve(store, "odd", &i, err, sizeof(err)), 0);
	assert_true(S_ISREG(stat_in(i, 0, "abs/olute").st_mode));
	/* A whiteout speaks of lower layers, before or after what the layer has of that name. */
	assert_true(S_ISREG(stat_in(i, 0, "dir/own").st_mode));
	assert_true(is_opaque(in_layer(i, 0, "dir")));
	assert_true(S_ISREG(stat_in(i, 0, "later/own").st_mode));
	assert_true(is_opaque(in_layer(i, 0, "later")));
	assert_true(S_ISREG(stat_in(i, 0, "file").st_mode));
	st = stat_in(i, 0, "a/b/c/d");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	assert_true(is_opaque(in_layer(i, 0, "a/b/c")) && is_opaque(in_layer(i, 0, "missing")));
	assert_false(is_opaque(in_layer(i, 0, ".")) || is_opaque(in_layer(i, 0, "a")));
	/* A mount with userxattr takes these for its own. */
	assert_true(getxattr(in_layer(i, 0, "user"), "user.overlay.redirect", text, sizeof(text)) < 0);
	if (getxattr(in_layer(i, 0, "user"), "user.mine", text, sizeof(text)) != 3)
		assert_int_equal(errno, EOPNOTSUPP);
	assert_true(S_ISREG(stat_in(i, 0, "times").st_mode) && S_ISREG(stat_in(i, 0, "past").st_mode));
	assert_true(S_ISREG(stat_in(i, 0, "l\xe4tin").st_mode));
	image_free(i);
}

static void nothing_shows_below_an_opaque_root(void **state)
{
	struct image *i;

	(void)state;
	assert_int_equal(import("opaque-root.tar", NULL), 0);
	assert_int_equal(image_resolve(store, "web:1", &i, err, sizeof(err)), 0);
	assert_int_equal(i->n_layers, 1);
	assert_null(i->layers[1]);
	assert_true(S_ISREG(stat_in(i, 0, "alone").st_mode));
	image_free(i);
}

static void compressions_of_several_parts(void **state)
{
	static const char *const names[] = {"sound-members.tar.gz", "sound-frames.tar.zst"};
	struct image *i;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		if (import(names[k], "parts") != 0)
			fail_msg("%s", err);
		assert_int_equal(image_resolve(store, "parts", &i, err, sizeof(err)), 0);
		assert_true(S_ISDIR(stat_in(i, 0, "sock").st_mode)); /* the last entry */
		image_free(i);
	}
	assert_int_equal(entries_in("layers"), 1);
}

static bool keep_none(void *arg, const char *id, const char *user)
{
	(void)arg, (void)id;
	return !str_eq(user, "pod-1");
}

static void removal_respects_use_and_sharing(void **state)
{
	struct image *i;

	(void)state;
	check_import("docker.tar", "web:1");
	assert_int_equal(import("oci.tar", NULL), 0); /* the same layers and configuration */
	assert_int_equal(image_tag(store, "web:1", "other", err, sizeof(err)), 0);
	assert_int_equal(image_resolve(store, "web:1", &i, err, sizeof(err)), 0);
	assert_int_equal(image_use(store, i->id, "pod-1", err, sizeof(err)), 0);
	assert_int_equal(image_use(store, i->id, "../x", err, sizeof(err)), -EINVAL);
	assert_int_equal(image_remove(store, "web:1", err, sizeof(err)), 0); /* only a name */
	assert_int_equal(image_remove(store, "web:1", err, sizeof(err)), -ENOENT);
	assert_int_equal(image_remove(store, i->id, err, sizeof(err)), -EBUSY);
	assert_int_equal(image_remove(store, "other", err, sizeof(err)), 0);
	assert_int_equal(image_remove(store, "ghcr.io/a/b:v2", err, sizeof(err)), -EBUSY);
	assert_int_equal(entries_in("layers"), 2);
	assert_int_equal(image_uses_keep(store, keep_none, NULL), 0);
	assert_int_equal(image_remove(store, "ghcr.io/a/b:v2", err, sizeof(err)), 0);
	assert_int_equal(entries_in("layers") + entries_in("images") + entries_in("uses"), 0);
	assert_int_equal(image_use(store, i->id, "pod-2", err, sizeof(err)), -ENOENT);
	image_free(i);
}

static bool count_one(void *arg, const struct image *i)
{
	(void)i;
	++*(int *)arg;
	return true;
}

/* Importers killed at random moments: what the store lists is complete, and opening throws the rest away. */
static void killed_importers_leave_a_sound_store(void **state)
{
	(void)state;
	for (int round = 0; round < 60; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			import("multi.tar", NULL);
			for (;;) {
				import("docker.tar", NULL);
				image_remove(store, "web:1", err, sizeof(err));
			}
		}
		usleep((useconds_t)(rand() % 20000)); /* the random moment */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		image_store_close(store);
		assert_int_equal(image_store_open(dir, &store, err, sizeof(err)), 0);
		assert_int_equal(entries_in("tmp"), 0);
		int n = 0;
		assert_int_equal(image_list(store, count_one, &n, err, sizeof(err)), 0);
		assert_int_equal(n, entries_in("images"));
		if (entries_in("images") == 0)
			assert_int_equal(entries_in("layers"), 0);
	}
	check_import("docker.tar", "web:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(docker_archives, setup, teardown),
	    cmocka_unit_test_setup_teardown(oci_archives_and_layouts, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_platform_is_chosen, setup, teardown),
	    cmocka_unit_test_setup_teardown(plain_root_filesystems, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged_and_hostile_archives_leave_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(links_cannot_lead_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(odd_archives_mean_what_the_specification_says, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_shows_below_an_opaque_root, setup, teardown),
	    cmocka_unit_test_setup_teardown(compressions_of_several_parts, setup, teardown),
	    cmocka_unit_test_setup_teardown(removal_respects_use_and_sharing, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_importers_leave_a_sound_store, setup, teardown),
	};
	return cmocka_run_group_tests(tests, setup_archives, teardown_archives);
}
