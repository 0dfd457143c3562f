/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "runtime/shim_internal.h"

#define SIZE_MAX_ 4096
#define FILES 4
#define RECORD 47 /* "2026-11-23T01:57:00.123456789Z stdout F " and 6 characters with the end of line */

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/proa-log-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/0.log", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fs_remove_tree(dir);
}

static char *file(int n)
{
	struct buf b = BUF_INIT;
	_cleanup_free_ char *name = n ? xasprintf("%s.%d", path, n) : xstrdup(path);
	if (fs_read(name, 1 << 20, &b) < 0)
		return NULL;
	buf_addc(&b, 0);
	return buf_steal(&b, NULL);
}

static bool there(int n)
{
	_cleanup_free_ char *name = n ? xasprintf("%s.%d", path, n) : xstrdup(path);
	return access(name, F_OK) == 0;
}

/* Every record is whole, and the texts of one stream are as written, over all files from the oldest on. */
static char *text_of(const char *stream)
{
	struct buf out = BUF_INIT;
	for (int i = FILES; i >= 0; i--) {
		_cleanup_free_ char *text = file(i);
		for (char *at = text, *end; at && *at; at = end + 1) {
			end = strchr(at, '\n');
			assert_non_null(end);
			assert_true(end - at >= 40 && at[29] == 'Z' && at[30] == ' ' && at[37] == ' ' && at[39] == ' ');
			assert_true(at[38] == 'F' || at[38] == 'P');
			if (strncmp(at + 31, stream, 6))
				continue;
			buf_add(&out, at + 40, (size_t)(end - at - 40));
			if (at[38] == 'F')
				buf_addc(&out, '\n');
		}
	}
	buf_addc(&out, 0);
	return buf_steal(&out, NULL);
}

static void write_text(struct log *l, int stream, const char *text)
{
	log_write(l, stream, text, strlen(text));
}

static void rotates_at_exact_boundaries(void **state)
{
	(void)state;
	struct log l;
	struct buf want = BUF_INIT;
	struct stat st;
	assert_int_equal(log_open(&l, path, SIZE_MAX_, FILES), 0);
	/* Pieces that do not end where lines do. */
	for (int i = 0; i < 300; i++)
		buf_addf(&want, "%06d\n", i);
	for (size_t at = 0; at < want.len; at += 17)
		log_write(&l, 0, want.data + at, want.len - at < 17 ? want.len - at : 17);
	log_close(&l);
	assert_int_equal(stat(path, &st), 0);
	for (int i = 1; i < FILES; i++) {
		_cleanup_free_ char *text = file(i);
		assert_non_null(text);
		/* As many records as fit, not one more or less. */
		assert_int_equal(strlen(text), SIZE_MAX_ / RECORD * RECORD);
	}
	assert_false(there(FILES));
	_cleanup_free_ char *got = text_of("stdout");
	assert_string_equal(got, buf_str(&want) + want.len - strlen(got)); /* the newest, without a gap */
	assert_true(strlen(got) > 3 * SIZE_MAX_ / RECORD * 7);
	buf_release(&want);
}

static void a_long_line_stays_in_one_file(void **state)
{
	(void)state;
	struct log l;
	_cleanup_free_ char *line = xmalloc(40001);
	memset(line, 'a', 40000);
	line[40000] = 0;
	assert_int_equal(log_open(&l, path, 64 << 10, FILES), 0);
	write_text(&l, 0, line);
	write_text(&l, 0, "\n");
	write_text(&l, 0, line); /* begins in the first file: 80,000 bytes are more than its size, and stay together */
	write_text(&l, 1, "error\n");
	write_text(&l, 0, "!\nnext\n");
	log_close(&l);
	_cleanup_free_ char *first = file(1), *second = file(0), *got = text_of("stdout");
	assert_non_null(first);
	assert_true(strlen(first) > 80000);
	assert_non_null(strstr(second, "stdout F next"));
	assert_int_equal(strlen(second), RECORD - 2);
	assert_int_equal(strlen(got), 40001 + 40002 + 5);
}

static void a_line_without_end_is_bounded(void **state)
{
	(void)state;
	struct log l;
	char piece[1000];
	memset(piece, 'x', sizeof(piece));
	assert_int_equal(log_open(&l, path, SIZE_MAX_ * 8, FILES), 0);
	for (int i = 0; i < 200; i++)
		log_write(&l, 0, piece, sizeof(piece));
	log_close(&l);
	for (int i = 0; i < FILES; i++) {
		_cleanup_free_ char *text = file(i);
		assert_true(!text || strlen(text) <= SIZE_MAX_ * 16);
	}
	assert_true(there(1));
}

static void reopening_waits_for_the_end_of_a_line(void **state)
{
	(void)state;
	struct log l;
	_cleanup_free_ char *line = xmalloc(READ_MAX + 10);
	memset(line, 'a', READ_MAX + 9);
	line[READ_MAX + 9] = 0;
	assert_int_equal(log_open(&l, path, 1 << 20, FILES), 0);
	write_text(&l, 0, line); /* a partial record is written */
	assert_int_equal(log_reopen(&l), 0);
	assert_false(there(1));
	write_text(&l, 0, "end\nnext\n");
	_cleanup_free_ char *first = file(1), *second = file(0);
	assert_non_null(strstr(first, "aend\n"));
	assert_non_null(strstr(second, "stdout F next\n"));
	assert_int_equal(log_reopen(&l), 0); /* between lines: at once */
	_cleanup_free_ char *third = file(0);
	assert_string_equal(third, "");
	log_close(&l);
}

static void limit(rlim_t bytes)
{
	struct rlimit r;
	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* A file that may not grow stands for a full disk: writes end in the middle, then fail. */
static void a_full_disk_leaves_no_half_record(void **state)
{
	(void)state;
	struct log l;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(log_open(&l, path, 1 << 20, FILES), 0);
	write_text(&l, 0, "before\n");
	limit(3 * RECORD + 10);
	write_text(&l, 0, "000000\n000001\n000002\n000003\n"); /* two of them fit, and half of the third */
	write_text(&l, 1, "000004\n");
	limit(RLIM_INFINITY);
	write_text(&l, 0, "000005\n");
	log_close(&l);
	_cleanup_free_ char *out = text_of("stdout"), *told = text_of("stderr");
	assert_string_equal(out, "before\n000000\n000001\n000005\n");
	char want[100];
	snprintf(want, sizeof(want), "[proa: %d bytes of this log were lost here: File too large]\n", 3 * RECORD);
	assert_string_equal(told, want);
}

static void what_cannot_be_rotated_goes_on(void **state)
{
	(void)state;
	struct log l;
	_cleanup_free_ char *taken = xasprintf("%s.new/x", path);
	assert_int_equal(log_open(&l, path, SIZE_MAX_, FILES), 0);
	assert_int_equal(fs_mkdir_p(taken, 0755), 0);
	for (int i = 0; i < 200; i++)
		write_text(&l, 0, "abcdef\n");
	assert_false(there(1));
	_cleanup_free_ char *out = text_of("stdout");
	assert_int_equal(strlen(out), 200 * 7);
	*strrchr(taken, '/') = 0;
	assert_int_equal(fs_remove_tree(taken), 0);
	for (int i = 0; i < 200; i++)
		write_text(&l, 0, "abcdef\n");
	log_close(&l);
	assert_true(there(1));
	_cleanup_free_ char *all = text_of("stdout");
	assert_int_equal(strlen(all), 400 * 7);
}

static void bytes_are_kept(void **state)
{
	(void)state;
	struct log l;
	struct buf b = BUF_INIT;
	char all[256];
	assert_int_equal(log_open(&l, path, 1 << 20, FILES), 0);
	for (int i = 0; i < 256; i++)
		all[i] = (char)(i == '\n' ? ' ' : i);
	log_write(&l, 0, all, sizeof(all));
	log_finish(&l, 0); /* without an end of line */
	log_close(&l);
	assert_int_equal(fs_read(path, 1 << 20, &b), 0);
	assert_int_equal(b.len, 40 + 256 + 1);
	assert_memory_equal(b.data + 40, all, 256);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(rotates_at_exact_boundaries, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_long_line_stays_in_one_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_line_without_end_is_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(reopening_waits_for_the_end_of_a_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_disk_leaves_no_half_record, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_cannot_be_rotated_goes_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(bytes_are_kept, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
