/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command in a container and collects what it says: exec probes, exec hooks, the kubelet API's /run. */
#ifndef PROA_NODE_EXEC_RUN_H
#define PROA_NODE_EXEC_RUN_H

#include <stddef.h>
#include <stdint.h>

struct agent;
struct exec_run;
struct status;

/* err NULL: it ran and ended with exit_code. -ETIMEDOUT is err code 408. output is at most output_max bytes. */
typedef void (*exec_run_done)(void *arg, int exit_code, const char *output, size_t len, const struct status *err);

/* args is copied. timeout_ms 0: none. done comes in a later turn, exactly once unless cancelled. */
struct exec_run *exec_run_start(struct agent *a, const char *pod_uid, const char *container_id, const char *const *args,
				int64_t timeout_ms, size_t output_max, exec_run_done done, void *arg);
/* Kills it; no done follows. NULL-safe. */
void exec_run_cancel(struct exec_run *r);

#endif
