/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes what a cluster leaves on the machine besides its data: processes, mounts, links, cgroups, the run directory.
 * Works on what is there, whoever left it: after an orderly stop it finds nothing, after SIGKILL everything.
 */
#ifndef PROA_CMD_TEARDOWN_H
#define PROA_CMD_TEARDOWN_H

struct cluster;
struct status;

/* 0, or -1 with what is left named in err. */
int teardown(struct cluster *c, struct status *err);

#endif
