/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite backend on real files and the real loop; a full disk on a small tmpfs in a mount namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "io/loop.h"
#include "store/store.h"

static char dir[64];
static struct loop *loop;
static struct store *store;
static char err[300];

static int open_store(const char *at)
{
	struct store_config c = {.loop = loop, .dir = at};

	err[0] = 0;
	return store_open(&c, &store, err, sizeof(err));
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_storeXXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(loop_new(&loop), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	store = NULL;
	loop_free(loop);
	return fs_remove_tree(dir);
}

static enum store_error last_result;
static uint64_t last_rev;
static int n_waiting;

static void on_done(void *arg, enum store_error result, struct object *obj)
{
	(void)arg;
	last_result = result;
	last_rev = obj ? obj->rev : 0;
	if (--n_waiting == 0)
		loop_stop(loop);
}

static void start_write(const char *key, size_t size, bool create)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = json_new(&a, JSON_OBJECT);
	char *pad = arena_alloc(&a, size + 1);
	struct store_write w = {.key = key, .tree = o, .create = create, .done = on_done};

	memset(pad, 'x', size);
	json_set_str(&a, json_object_in(&a, o, "metadata"), "name", "x");
	json_set(&a, o, "pad", json_new_strn(&a, pad, size));
	if (!size)
		w.tree = NULL;
	assert_int_equal(store_write(store, &w), STORE_OK);
	n_waiting++;
}

/* size 0: delete */
static enum store_error write_now(const char *key, size_t size, bool create)
{
	start_write(key, size, create);
	loop_run(loop);
	assert_int_equal(n_waiting, 0);
	return last_result;
}

static void everything_is_there_after_reopening(void **state)
{
	uint64_t rev, compacted;
	char key[64];

	(void)state;
	assert_int_equal(open_store(dir), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "/registry/pods/default/p%d", i);
		start_write(key, 100 + (size_t)i * 37, true);
	}
	loop_run(loop);
	for (int i = 0; i < 200; i += 2) {
		snprintf(key, sizeof(key), "/registry/pods/default/p%d", i);
		assert_int_equal(write_now(key, 0, false), STORE_OK);
	}
	rev = store_revision(store);
	compacted = store_compacted(store);
	assert_true(rev == last_rev);
	store_close(store);
	assert_int_equal(open_store(dir), 0);
	assert_true(store_revision(store) == rev);
	assert_true(store_compacted(store) == compacted);
	assert_int_equal(store_count(store, "/registry/pods/"), 100);
	assert_null(store_get(store, "/registry/pods/default/p10"));
	assert_int_equal(write_now("/registry/pods/default/p10", 10, true), STORE_OK);
	assert_true(last_rev == rev + 1);
}

static void files_are_private(void **state)
{
	char path[100];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b", dir);
	assert_int_equal(open_store(path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(write_now("/registry/x", 10, true), STORE_OK);
	snprintf(path, sizeof(path), "%s/a/b/store.db", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/a/b/store.db-wal", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_store_is_refused(void **state)
{
	struct store *first;

	(void)state;
	assert_int_equal(open_store(dir), 0);
	first = store;
	store = NULL;
	assert_int_equal(open_store(dir), -EBUSY);
	assert_non_null(strstr(err, "in use"));
	pid_t pid = fork();
	if (pid == 0)
		_exit(open_store(dir) == -EBUSY ? 0 : 1);
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	store = first;
}

static void foreign_files_are_refused_and_kept(void **state)
{
	char path[100];
	sqlite3 *db;

	(void)state;
	snprintf(path, sizeof(path), "%s/store.db", dir);
	assert_int_equal(fs_write_atomic(path, "this is not a database, but a letter to somebody\n", 50, 0600), 0);
	assert_int_equal(open_store(dir), -EINVAL);
	assert_non_null(strstr(err, "is not a proa store"));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 50);

	unlink(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "CREATE TABLE kine(id INTEGER)", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(open_store(dir), -EINVAL);
	assert_non_null(strstr(err, "other program"));

	unlink(path);
	assert_int_equal(open_store(dir), 0);
	store_close(store);
	store = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(open_store(dir), -EINVAL);
	assert_non_null(strstr(err, "newer"));
}

static off_t size_of(const char *name)
{
	char path[100];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) < 0 ? 0 : st.st_size;
}

static void rewriting_keeps_files_small(void **state)
{
	(void)state;
	assert_int_equal(open_store(dir), 0);
	for (int round = 0; round < 150; round++) {
		for (int i = 0; i < 20; i++) {
			char key[32];
			snprintf(key, sizeof(key), "/registry/x/%d", i);
			start_write(key, 10000, round == 0);
		}
		loop_run(loop);
		assert_int_equal(last_result, STORE_OK);
		assert_in_range(size_of("store.db-wal"), 0, 8 << 20);
	}
	assert_in_range(size_of("store.db"), 0, 16 << 20); /* 30 MB were written; 0.2 are live, 8 the window */
}

static off_t disk_bytes(void)
{
	static const char *const names[] = {"store.db", "store.db-wal"};
	off_t sum = 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[100];
		struct stat st;
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (stat(path, &st) == 0)
			sum += st.st_size;
	}
	return sum;
}

static int64_t rows_on_disk(void)
{
	char path[100];
	sqlite3 *db;
	sqlite3_stmt *st;
	snprintf(path, sizeof(path), "%s/store.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM changes", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* Objects that come and go, each in a row of its own for the beginning and the end. */
static void come_and_go(int from, int to)
{
	char key[64];
	for (int begin = from; begin < to; begin += 500) {
		for (int i = begin; i < begin + 500; i++) {
			snprintf(key, sizeof(key), "/registry/x/%d", i);
			start_write(key, 300, true);
			start_write(key, 0, false);
		}
		loop_run(loop);
		assert_int_equal(n_waiting, 0);
	}
}

#define PAIRS 50000
#define DISK_BYTES_MAX (24 << 20) /* the window's 8 MiB with the rows' overhead, and as much log */

static void what_is_deleted_leaves_the_disk(void **state)
{
	(void)state;
	assert_int_equal(open_store(dir), 0);
	assert_int_equal(write_now("/registry/y/stays", 300, true), STORE_OK);
	come_and_go(0, PAIRS / 2);
	off_t half = disk_bytes();
	come_and_go(PAIRS / 2, PAIRS);
	assert_in_range(disk_bytes(), 0, MIN_OF(half + half / 4, (off_t)DISK_BYTES_MAX));
	store_close(store);
	store = NULL;
	int64_t rows = rows_on_disk();
	assert_in_range(rows, 1, PAIRS); /* of 2 * PAIRS + 1 that were written */
	/* What the window holds no more goes also when it was written before the last start. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(open_store(dir), 0);
		come_and_go(0, 1000);
		store_close(store);
		store = NULL;
		assert_in_range(rows_on_disk(), 1, rows + 600);
	}
	assert_int_equal(open_store(dir), 0);
	assert_int_equal(store_count(store, "/registry/"), 1);
}

/* In a child: a failed assertion there is a failed exit here. */
static void full_disk(void)
{
	char key[64];
	int n = 0;
	enum store_error r;

	assert_int_equal(open_store(dir), 0);
	while ((snprintf(key, sizeof(key), "/registry/x/%d", n), r = write_now(key, 50000, true)) == STORE_OK)
		assert_true(++n < 1000);
	assert_int_equal(r, STORE_FULL);
	assert_true(n > 50);
	uint64_t rev = store_revision(store);
	assert_int_equal(store_count(store, "/registry/x/"), n);
	assert_null(store_get(store, key));
	assert_non_null(store_get(store, "/registry/x/0"));
	for (int i = 0; i < 5; i++)
		assert_int_equal(write_now(key, 200000, true), STORE_FULL);
	assert_true(store_revision(store) == rev);

	char ballast[100];
	snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
	assert_int_equal(unlink(ballast), 0);
	assert_int_equal(write_now(key, 50000, true), STORE_OK);
	assert_true(last_rev > rev);
	n++;
	store_close(store);
	assert_int_equal(open_store(dir), 0);
	assert_int_equal(store_count(store, "/registry/x/"), n);
	store_close(store);
}

static void a_full_disk_is_reported_and_got_over(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		char ballast[100], block[4096] = {0};
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", dir, "tmpfs", 0, "size=12m") < 0)
			_exit(errno == EPERM ? 77 : 1);
		snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
		int fd = open(ballast, O_WRONLY | O_CREAT, 0600);
		for (int i = 0; i < 512; i++)
			if (write(fd, block, sizeof(block)) != sizeof(block))
				_exit(1);
		close(fd);
		full_disk();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* not root */
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(everything_is_there_after_reopening, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_are_private, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_second_store_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(foreign_files_are_refused_and_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(rewriting_keeps_files_small, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_deleted_leaves_the_disk, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_disk_is_reported_and_got_over, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
