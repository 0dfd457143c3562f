/* SPDX-License-Identifier: Apache-2.0 */
/* --chmod, judged by chmod(1) itself on a file and a directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/macros.h"
#include "build/mode.h"

static mode_t by_chmod(const char *text, const char *path, mode_t before)
{
	char command[200];
	struct stat st;

	assert_int_equal(chmod(path, before), 0);
	snprintf(command, sizeof(command), "umask 0 && chmod '%s' %s", text, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void as_chmod_does_it(void **state)
{
	static const char *const texts[] = {"755",     "0644",	   "u=rwX,go=rX", "a+x",     "+x", "-w",
					    "u+s,g+s", "o-rwx",	   "g=u",	  "o=g,u-x", "=r", "u=rw+x",
					    "go-w,+t", "a=rX,u+w", "ug=o",	  "1777"};
	static const mode_t before[] = {0644, 0755, 0600, 0111, 04755, 0777, 0};
	char file[] = "/tmp/test_modeXXXXXX", dir[] = "/tmp/test_modeXXXXXX";

	(void)state;
	int fd = mkstemp(file);
	assert_true(fd >= 0);
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		for (size_t k = 0; k < ARRAY_SIZE(before); k++) {
			mode_t mode;
			assert_int_equal(mode_apply(texts[i], before[k], false, &mode), 0);
			mode_t judged = by_chmod(texts[i], file, before[k]);
			if (mode != judged)
				fail_msg("%s of a file %o: %o, not %o", texts[i], before[k], mode, judged);
			/* Of numbers chmod(1) keeps a directory's set-id bits; builders don't. */
			if (before[k] & S_ISUID)
				continue;
			assert_int_equal(mode_apply(texts[i], before[k], true, &mode), 0);
			judged = by_chmod(texts[i], dir, before[k]);
			if (mode != judged)
				fail_msg("%s of a directory %o: %o, not %o", texts[i], before[k], mode, judged);
		}
	close(fd);
	unlink(file);
	rmdir(dir);
}

static void other_texts_are_refused(void **state)
{
	static const char *const texts[] = {"",	    "8",   "79",    "u",    "u+q",	"u+r,",
					    ",u+r", "z=r", "10000", "755x", "u=rw go=r"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		mode_t mode = 1;
		if (mode_apply(texts[i], 0644, false, &mode) == 0)
			fail_msg("\"%s\" was taken for %o", texts[i], mode);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_chmod_does_it),
	    cmocka_unit_test(other_texts_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
