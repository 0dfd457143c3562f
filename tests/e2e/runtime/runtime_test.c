/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and containers on this kernel, through the agent's interface. Needs root. */
#include "runtime_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

static void test_run(void **state)
{
	struct container_status st;
	(void)state;
	char *out = output_of(shell("echo hello; echo oops >&2; exit 7"), &st);
	assert_string_equal(out, "hello\noops\n");
	assert_int_equal(st.exit_code, 7);
	assert_int_equal(st.signal, 0);
	assert_true(st.finished_at_ns >= st.started_at_ns && st.started_at_ns >= st.created_at_ns);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
	};
	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
