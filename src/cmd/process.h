/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that outlive whoever started them, remembered in files: a pid alone may belong to somebody else by now, so
 * its start time (proc(5), stat field 22) is kept with it.
 */
#ifndef PROA_CMD_PROCESS_H
#define PROA_CMD_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* Writes "PID STARTTIME" of a running process. 0 or negative errno. */
int process_remember(const char *path, pid_t pid);
/* A pidfd of the remembered process if it still runs, else -ESRCH (also without a file). ret_pid may be NULL. */
int process_find(const char *path, pid_t *ret_pid);
/* Sends signum and waits until the process is gone, at most ms; then SIGKILL, and waits again. pidfd stays open. */
void process_end(int pidfd, int signum, int64_t ms);

/* Where this program was found, its name included; NULL: not there any more. In a. */
struct arena;
const char *process_self(struct arena *a);
/* The program of that name in the directory of this one; in a. */
const char *process_beside(struct arena *a, const char *name);

#endif
