/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel parameters of a pod. Only those that belong to a namespace of the pod's own may be set (network: net.*, IPC:
 * kernel.shm*, msg*, sem, fs.mqueue.*), so that no pod changes its node.
 */
#ifndef PROA_RUNTIME_SYSCTL_H
#define PROA_RUNTIME_SYSCTL_H

#include <stdbool.h>

#define SYSCTL_NAME_MAX 253 /* Kubernetes' limit */

/*
 * The file's path below proc/sys, into out; dots and slashes both separate, as sysctl(8) has it. -EINVAL: not a name
 * (CVE-2022-0811: only letters, digits, "_-" between separators); -EPERM: not of a namespace the pod owns.
 */
int sysctl_path(const char *name, bool own_net, bool own_ipc, char out[SYSCTL_NAME_MAX + 8]);
/* proc: a descriptor of a private proc mount. */
int sysctl_set(int proc, const char *name, const char *value, bool own_net, bool own_ipc);
/* kernel.domainname, which the UTS namespace has. */
int sysctl_set_uts(int proc, const char *value);

#endif
