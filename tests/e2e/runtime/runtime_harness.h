/* SPDX-License-Identifier: Apache-2.0 */
/* Real pods for the tests: a busybox root file system, a run directory, a loop that is run until an answer is there. */
#ifndef PROA_TESTS_RUNTIME_HARNESS_H
#define PROA_TESTS_RUNTIME_HARNESS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "runtime/runtime.h"

struct harness {
	char dir[64]; /* everything of this run */
	char run_dir[80], layer[80], cgroup_root[40];
	struct loop *loop;
	struct runtime *rt;
	int serial;
	char lost[600]; /* "uid: reason\n" of each lost pod */
	int recovered, recovered_containers;
	struct arena arena; /* what shell() made */
};
extern struct harness h;

int harness_setup(void **state);    /* group setup: 0, or skips without root */
int harness_teardown(void **state); /* removes everything, and fails when something was left */
void runtime_start(void);
void runtime_start_with(const char *shim); /* another executable for new pods */
void runtime_stop(void);		   /* as when the agent ends: pods go on */
void run_until(bool (*fn)(void *), void *arg, int seconds);

/* Each waits for the answer: 0, or the error's code with its text in last_error. */
extern char last_error[600];
int pod_up(const char *uid, const struct pod_spec *s);
int pod_down(const char *uid);
/* A container of the busybox image that runs this shell command; fields may be changed before container_up. */
struct container_spec *shell(const char *command);
int container_up(const char *uid, struct container_spec *s);
int container_stop_wait(const char *uid, const char *id, int64_t grace_ms);
int container_remove_wait(const char *uid, const char *id);
void wait_exit(const char *uid, const char *id, struct container_status *ret);
/* Runs command in a container of its own pod and returns its log's text (without the CRI prefixes), malloc'd. */
char *output_of(struct container_spec *s, struct container_status *ret);
char *log_text(const char *path);						    /* malloc'd, prefixes removed */
int exec_run(const char *uid, const char *id, const char *command, char **ret_out); /* exit code; output malloc'd */

#endif
