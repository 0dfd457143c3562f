/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server process gives up before it reads the first byte from the network: its user, every capability, the
 * right to gain any (no_new_privs), all files but its own directory (Landlock), and all system calls that a network
 * server with a database has no use for (seccomp).
 */
#ifndef PROA_SERVER_SANDBOX_H
#define PROA_SERVER_SANDBOX_H

#include <sys/types.h>

struct status;

#define SANDBOX_UID_DEFAULT                                                                                            \
	61184 /* first of the range that systemd keeps for services without an account of their own */

/* The account "proa" if /etc/passwd has one, else SANDBOX_UID_DEFAULT for both. */
void sandbox_account(uid_t *ret_uid, gid_t *ret_gid);

/*
 * For a directory tree below path: owned by the account (symlinks are not followed). 0 or negative errno.
 */
int sandbox_own_tree(const char *path, uid_t uid, gid_t gid);

/*
 * Enters the sandbox; there is no way back. Only data_dir, and log_dir when it is not NULL, can be written from then
 * on. When the process is not root, its user stays. A kernel without Landlock is reported once in the log and
 * everything else still applies. 0 or -1 with err.
 */
int sandbox_enter(const char *data_dir, const char *log_dir, uid_t uid, gid_t gid, struct status *err);

#endif
