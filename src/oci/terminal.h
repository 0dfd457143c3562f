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
int terminal_receive(int socket); /* foreground: the master, from terminal_take, before the command runs */
/*
 * Foreground: copies between our stdin, stdout and master (-1: there is none) until the process behind pidfd ends,
 * passes signals, window sizes and what comes at notify (-1; notify.h) on, and restores our terminal.
 */
int terminal_attend(int master, int pidfd, int notify);
/* SIGCHLD and the signals that are passed on are held back from now on, for terminal_attend. */
void terminal_hold_signals(void);

#endif
