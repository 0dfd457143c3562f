/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors passed to a driver over its Unix socket: terminals, pidfds, seccomp's listener. */
#ifndef PROA_OCI_PASS_H
#define PROA_OCI_PASS_H

/* Connects a stream socket; what names it in the message. The path may be longer than a socket's address. */
int pass_connect(const char *what, const char *path);
/* text, not empty, goes with it. Negative errno without a message. */
int pass_send(int socket, const char *text, int fd);
/* Connects, passes a pidfd of the process, closes: --pidfd-socket. */
int pass_pidfd(const char *path, int pid);

#endif
