/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks: programs of the configuration, run one after another with the container's state on standard input. Which
 * namespaces they see is the caller's: prestart, createRuntime, poststart and poststop run in the runtime's,
 * createContainer and startContainer in the container's.
 */
#ifndef PROA_OCI_HOOKS_H
#define PROA_OCI_HOOKS_H

#include <stdbool.h>

struct container;

bool hooks_any(const struct container *c, const char *point);
/* Stops at the first that fails, ends badly or takes longer than its timeout. phase: the state's status. */
int hooks_run(const struct container *c, const char *point, const char *phase);
/* poststop: a failure is a warning, the rest still run. */
void hooks_run_all(const struct container *c, const char *point, const char *phase);
/*
 * Where hooks' output goes besides our message, of the annotations run.oci.hooks.stdout and stderr: files of the host,
 * appended to. Opened before the container's root is entered; the descriptors, or -1, are not inherited by exec.
 */
int hooks_open_output(const struct container *c);
void hooks_output(int ret[2]);
extern const char *const hook_points[];

#endif
