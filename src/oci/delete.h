/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_OCI_DELETE_H
#define PROA_OCI_DELETE_H

struct container;

/* Everything of a container whose first process has ended: processes left, cgroup, poststop hooks, directory. */
int delete_stopped(struct container *c);
int delete_ended(struct container *c);	/* the same with its configuration at hand */
int delete_killed(struct container *c); /* SIGKILL, its end, then the same */

#endif
