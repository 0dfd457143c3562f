/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/status.h"
#include "node/atomic_writer.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/proa-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return fs_remove_tree(dir);
}

static void expect(const char *name, const char *content)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!content) {
		assert_int_not_equal(access(path, F_OK), 0);
		return;
	}
	assert_int_equal(fs_read(path, 1000, &b), 0);
	assert_string_equal(buf_str(&b), content);
}

static void current(char *out, size_t len)
{
	char path[256];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/..data", dir);
	n = readlink(path, out, len - 1);
	assert_true(n > 0);
	out[n] = 0;
}

static void versions(void **state)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct payload p = {0};
	char first[128], second[128], path[256];
	struct stat st;
	bool changed;

	(void)state;
	payload_add(&p, "key", "1", 1, 0640);
	payload_add(&p, "sub/file", "two", 3, 0644);
	assert_int_equal(atomic_write_payload(dir, &p, -1, &changed, &err), 0);
	assert_true(changed);
	expect("key", "1");
	expect("sub/file", "two");
	current(first, sizeof(first));
	assert_int_equal(strncmp(first, "..2", 3), 0);
	snprintf(path, sizeof(path), "%s/key", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* The same again: nothing is written. */
	assert_int_equal(atomic_write_payload(dir, &p, -1, &changed, &err), 0);
	assert_false(changed);
	current(second, sizeof(second));
	assert_string_equal(first, second);
	/* One file changes, one goes: another version, and the old one is removed. */
	VEC_RELEASE(&p.files);
	payload_add(&p, "key", "2", 1, 0640);
	assert_int_equal(atomic_write_payload(dir, &p, -1, &changed, &err), 0);
	assert_true(changed);
	expect("key", "2");
	expect("sub/file", NULL);
	expect("sub", NULL);
	snprintf(path, sizeof(path), "%s/%s", dir, first);
	assert_int_not_equal(access(path, F_OK), 0);
	VEC_RELEASE(&p.files);
	assert_int_equal(atomic_write_payload(dir, &p, -1, &changed, &err), 0);
	expect("key", NULL);
}

static void paths(void **state)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct payload p = {0};

	(void)state;
	assert_true(payload_path_valid("a/b.c"));
	assert_true(payload_path_valid("a..b"));
	assert_false(payload_path_valid(""));
	assert_false(payload_path_valid("/a"));
	assert_false(payload_path_valid("../a"));
	assert_false(payload_path_valid("a/../b"));
	assert_false(payload_path_valid("..data"));
	assert_false(payload_path_valid("a//b"));
	payload_add(&p, "../x", "1", 1, 0644);
	assert_int_equal(atomic_write_payload(dir, &p, -1, NULL, &err), -EINVAL);
	VEC_RELEASE(&p.files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(versions, make_dir, remove_dir),
					   cmocka_unit_test_setup_teardown(paths, make_dir, remove_dir)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
