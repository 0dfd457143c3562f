/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals: opened in the container's own devpts by descriptor, handed to the console socket or, in the foreground,
 * copied to and from the caller's own terminal.
 */
#ifndef PROA_OCI_TERMINAL_H
#define PROA_OCI_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

struct json;

/* In the container, root being its /: a new pseudo terminal, its slave becomes stdio and controlling terminal, its
 * master goes through socket. first: bind it as /dev/console. */
int terminal_take(int root, const struct json *process, int socket, bool first);
/* Connects to the driver's --console-socket. */
int terminal_connect(const char *path);
int terminal_receive(int socket); /* the master, from terminal_take */
/*
 * Foreground: copies between our stdin, stdout and master (-1: there is none) until the process behind pidfd ends,
 * passes signals and window sizes on, and restores our terminal.
 */
int terminal_attend(int master, int pidfd);
/* SIGCHLD and the signals that are passed on are held back from now on, for terminal_attend. */
void terminal_hold_signals(void);

#endif
