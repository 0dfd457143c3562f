/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection on a small file system of its own (a tmpfs in a mount namespace): when it begins, where it stops, what it
 * never takes, and that nobody waits for it. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/env.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image.h"
#include "image/image_internal.h"

#define DISK "size=64m"
#define FILE_BYTES (4u << 20) /* an image of it takes twice that: as a blob and unpacked */
#define HANG_S 60

static char dir[64], files[64];
static struct image_store *store;
static char err[500];

static int setup_namespace(void **state)
{
	(void)state;
	if (getuid() != 0)
		exit(77); /* meson: skipped */
	alarm(HANG_S);	  /* a lock that somebody holds too long */
	strcpy(dir, "/tmp/test_collectXXXXXX");
	strcpy(files, "/tmp/test_collect_filesXXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_non_null(mkdtemp(files));
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return 0;
}

static int teardown_namespace(void **state)
{
	(void)state;
	fs_remove_tree(files);
	return rmdir(dir);
}

static int setup(void **state)
{
	(void)state;
	if (mount("tmpfs", dir, "tmpfs", 0, DISK) < 0)
		return -1;
	return image_store_open(dir, &store, err, sizeof(err));
}

static int teardown(void **state)
{
	(void)state;
	image_store_close(store);
	return umount2(dir, MNT_DETACH);
}

/* An image of one file that doesn't compress and that no other has; used so many seconds ago. */
static char *image_of(const char *name, size_t bytes, int age_s)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", files, name), *file = xasprintf("%s/file", path);
	_cleanup_free_ uint64_t *content = xcalloc(bytes / 8 + 1, 8);
	struct image_import_options o = {.name = name};
	uint64_t x = hash_bytes(name, strlen(name)) | 1;
	char *id;

	for (size_t i = 0; i < bytes / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		content[i] = x;
	}
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(fs_write_replace(file, content, bytes, 0644), 0);
	if (image_import(store, path, &o, &id, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	fs_remove_tree(path);
	_cleanup_free_ char *mark = xasprintf("%s/images/%s", dir, id + strlen("sha256:"));
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = now_s() - age_s}};
	assert_int_equal(utimensat(AT_FDCWD, mark, times, 0), 0);
	return id;
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

static bool there(const char *ref)
{
	struct image *i;
	bool yes = image_resolve(store, ref, &i, err, sizeof(err)) == 0;

	if (yes) {
		for (size_t k = 0; k < i->n_layers; k++)
			assert_int_equal(access(i->layers[k], F_OK), 0);
		image_free(i);
	}
	return yes;
}

static unsigned used_percent(void)
{
	struct statvfs fs;

	assert_int_equal(statvfs(dir, &fs), 0);
	return (unsigned)((fs.f_blocks - fs.f_bfree) * 100 / fs.f_blocks);
}

static struct image_gc_result gc(unsigned high, unsigned low, int64_t min_age_s)
{
	struct image_gc_policy p = {.high_percent = high, .low_percent = low, .min_age_s = min_age_s};
	struct image_gc_result r;

	if (image_gc(store, &p, &r, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	return r;
}

static void from_the_high_mark_to_the_low_one(void **state)
{
	struct image_gc_result r;

	(void)state;
	free(image_of("newest", FILE_BYTES, 1000));
	free(image_of("oldest", FILE_BYTES, 5000));
	free(image_of("second", FILE_BYTES, 4000));
	free(image_of("third", FILE_BYTES, 3000));
	free(image_of("fourth", FILE_BYTES, 2000));
	r = gc(85, 40, 0);
	assert_int_equal(r.removed + r.wanted, 0);
	free(image_of("fifth", FILE_BYTES, 1500));
	free(image_of("sixth", FILE_BYTES, 1400));
	assert_in_range(used_percent(), 85, 95);
	r = gc(85, 40, 0);
	assert_int_equal(r.removed, 4); /* of 56 MB to 24, as 32 would be half */
	assert_in_range(used_percent(), 30, 40);
	assert_false(there("oldest") || there("second") || there("third") || there("fourth"));
	assert_true(there("newest") && there("fifth") && there("sixth"));
	assert_true(r.freed >= r.wanted && r.wanted > 0);
}

static void what_is_used_stays(void **state)
{
	(void)state;
	_cleanup_free_ char *pod = image_of("pod", FILE_BYTES, 9000), *run = image_of("run", FILE_BYTES, 8000);
	_cleanup_free_ char *leased = image_of("leased", FILE_BYTES, 7000);
	free(image_of("unused", FILE_BYTES, 6000));
	free(image_of("young", FILE_BYTES, 10));
	/* image_use touches the image: what is in use may have begun long ago. */
	assert_int_equal(image_use(store, pod, "pod-uid", err, sizeof(err)), 0);
	assert_int_equal(image_use(store, run, IMAGE_USER_LOCAL "1", err, sizeof(err)), 0);
	int lease = image_lease(store, leased, "build", err, sizeof(err));
	assert_true(lease >= 0);
	struct image_gc_result r = gc(10, 5, 60);
	assert_int_equal(r.removed, 1);
	assert_true(there("pod") && there("run") && there("leased") && there("young") && !there("unused"));
	close(lease);
	assert_int_equal(gc(10, 5, 0).removed, 2);
	assert_true(there("pod") && there("run"));
	assert_int_equal(image_unuse(store, pod, "pod-uid"), 0);
	assert_int_equal(gc(10, 5, 0).removed, 1);
	assert_true(there("run"));
	assert_int_equal(entries_in("layers"), 1);
}

static void a_pull_keeps_what_it_found_and_made_and_no_more(void **state)
{
	struct image_store *other;
	char hex[SHA256_HEX + 1], layer[SHA256_HEX + 1];
	struct image *i;

	(void)state;
	free(image_of("old", FILE_BYTES, 5000));
	free(image_of("shared", FILE_BYTES, 4000));
	assert_int_equal(image_store_open(dir, &other, err, sizeof(err)), 0);
	assert_int_equal(image_import_begin(other), 0);
	assert_int_equal(image_blob_write(other, "made", 4, hex), 0);
	assert_int_equal(image_resolve(other, "shared", &i, err, sizeof(err)), 0);
	memcpy(layer, strstr(i->layers[0], "/layers/") + strlen("/layers/"), SHA256_HEX);
	layer[SHA256_HEX] = 0;
	image_free(i);
	/* Collected while the pull goes on: not what it needs, and the disk has the rest back at once. */
	assert_int_equal(gc(10, 5, 0).removed, 2);
	assert_false(there("old") || there("shared"));
	assert_int_equal(entries_in("layers"), 1);
	assert_true(image_layer_size(store, layer, &(uint64_t){0}) && image_blob_size(store, hex, NULL));
	image_import_end(other);
	image_collect(store, false);
	assert_int_equal(entries_in("layers") + entries_in("blobs") + entries_in("pins"), 0);
	image_store_close(other);
}

static void a_killed_pull_keeps_nothing(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		image_import_begin(store);
		image_blob_write(store, "made", 4, NULL);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	image_collect(store, false);
	assert_int_equal(entries_in("blobs"), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	image_collect(store, false);
	assert_int_equal(entries_in("blobs") + entries_in("pins"), 0);
	close(ready[0]);
	close(ready[1]);
}

/* ---- nobody waits for it ---- */

/* Lets every open of the file system through but that of what is being deleted. */
struct gate {
	int fan, held[2], let_go[2]; /* pipes: something is held; go on */
};

static void *keep_gate(void *arg)
{
	struct gate *g = arg;
	int holding = -1;

	for (;;) {
		struct pollfd p[2] = {{g->fan, POLLIN, 0}, {g->let_go[0], POLLIN, 0}};
		struct fanotify_event_metadata e;
		char path[64], target[400] = "";
		poll(p, 2, -1);
		if (p[1].revents) {
			struct fanotify_response ok = {.fd = holding, .response = FAN_ALLOW};
			(void)!write(g->fan, &ok, sizeof(ok));
			close(holding);
			close(g->fan); /* allows whatever comes later */
			return NULL;
		}
		if (read(g->fan, &e, sizeof(e)) != sizeof(e))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", e.fd);
		(void)!readlink(path, target, sizeof(target) - 1);
		if (strstr(target, "/tmp/gone-") && holding < 0) {
			holding = e.fd;
			(void)!write(g->held[1], "x", 1);
			continue;
		}
		struct fanotify_response ok = {.fd = e.fd, .response = FAN_ALLOW};
		(void)!write(g->fan, &ok, sizeof(ok));
		close(e.fd);
	}
}

static void *collect(void *arg)
{
	struct image_gc_policy p = {.high_percent = 10, .low_percent = 5};
	struct image_gc_result r;
	char why[300];

	*(int *)arg = image_gc(store, &p, &r, why, sizeof(why)) < 0 ? -1 : (int)r.removed;
	return NULL;
}

static void others_go_on_while_it_deletes(void **state)
{
	struct gate g;
	pthread_t gate, collector;
	int removed;
	char byte;

	(void)state;
	free(image_of("old", FILE_BYTES, 5000));
	_cleanup_free_ char *pod = image_of("pod", 1000, 10);
	assert_int_equal(image_use(store, pod, "first", err, sizeof(err)), 0);
	g.fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	if (g.fan < 0 ||
	    fanotify_mark(g.fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_PERM | FAN_ONDIR, AT_FDCWD, dir) < 0) {
		print_message("no permission events in this kernel\n");
		skip();
	}
	assert_int_equal(pipe(g.held) | pipe(g.let_go), 0);
	pthread_create(&gate, NULL, keep_gate, &g);
	pthread_create(&collector, NULL, collect, &removed);
	assert_int_equal(read(g.held[0], &byte, 1), 1); /* in the midst of deleting a layer */
	assert_true(there("pod"));
	assert_int_equal(image_use(store, pod, "second", err, sizeof(err)), 0);
	free(image_of("new", 1000, 0));
	assert_int_equal(image_use(store, pod, "third", err, sizeof(err)), 0);
	assert_int_equal(write(g.let_go[1], "x", 1), 1);
	pthread_join(gate, NULL);
	pthread_join(collector, NULL);
	assert_int_equal(removed, 1);
	assert_false(there("old"));
	assert_true(there("pod"));
	assert_true(there("new"));
	for (int i = 0; i < 2; i++) {
		close(g.held[i]);
		close(g.let_go[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(from_the_high_mark_to_the_low_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_used_stays, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_pull_keeps_what_it_found_and_made_and_no_more, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_killed_pull_keeps_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(others_go_on_while_it_deletes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, setup_namespace, teardown_namespace);
}
