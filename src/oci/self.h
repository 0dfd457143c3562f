/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CVE-2019-5736: an image can make the runtime execute itself inside (an entry point that is /proc/self/exe, as script
 * interpreter say), and then overwrite what /proc/PID/exe leads to. So whatever enters a container is executed from a
 * read-only clone of the executable's mount, detached, that exists only for this process; where mounts may not be
 * cloned, from a sealed copy in memory. A static program whose caller may do so (CAP_CHECKPOINT_RESTORE) becomes one
 * that was executed from the clone without executing anything: its segments are mapped from there and its file is
 * exchanged.
 */
#ifndef PROA_OCI_SELF_H
#define PROA_OCI_SELF_H

/* Returns 0 once this process is safe; executes itself again first if it isn't. */
int self_protect(char **argv);
/*
 * The clone's mount, or -1. Whoever closes its last descriptor while it is nowhere attached waits for all CPUs of the
 * machine (an RCU grace period). So a new container attaches it where its old root goes; otherwise it is closed while
 * somebody else has something to do.
 */
int self_mount(void);
void self_mount_close(void);

#endif
