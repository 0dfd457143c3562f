/* SPDX-License-Identifier: Apache-2.0 */
/* The file system of a container, made in its new mount namespace by its first process. */
#ifndef PROA_RUNTIME_INSIDE_MOUNTS_H
#define PROA_RUNTIME_INSIDE_MOUNTS_H

struct launch;

/* Mounts everything and makes it the root. Returns an O_PATH descriptor of it; ends by fail() otherwise. */
int inside_mounts(const struct launch *l);

#endif
