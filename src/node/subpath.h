/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subPath of a volumeMount. What is below a volume belongs to the containers that write there, so the path is resolved
 * by the kernel with openat2(RESOLVE_BENEATH): no link leads out of the volume, and the descriptor, not the path, is
 * what gets mounted.
 */
#ifndef PROA_NODE_SUBPATH_H
#define PROA_NODE_SUBPATH_H

struct status;

/*
 * An O_PATH descriptor of sub below volume_path. A missing path is made as directories with the volume's mode: who
 * may write there may write here. 0, or -errno with err set.
 */
int subpath_open(const char *volume_path, const char *sub, int *ret_fd, struct status *err);

/*
 * Binds what fd refers to over target, a path of the agent's own: a container's mount namespace is a copy of the
 * host's, where a descriptor from outside cannot be mounted but this path can.
 */
int subpath_bind(int fd, const char *target, struct status *err);

#endif
