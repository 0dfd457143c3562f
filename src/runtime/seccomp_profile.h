/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters, compiled once and kept as files that the shim loads as they are (it does not link libseccomp).
 * The default profile allows what the containers of docker, containerd and CRI-O may call, more for some capabilities,
 * answers EPERM to the rest, and ENOSYS to calls newer than it, so that libraries fall back.
 */
#ifndef PROA_RUNTIME_SECCOMP_PROFILE_H
#define PROA_RUNTIME_SECCOMP_PROFILE_H

struct container_spec;

/* The path (malloc'd) of RUN_DIR/seccomp's filter for the container's capabilities, made when it is not there. */
int seccomp_default(const char *run_dir, const struct container_spec *s, char **ret_path);

#endif
