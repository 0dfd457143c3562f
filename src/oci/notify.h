/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify (sd_notify(3)) for the container, as runc does it: who is started with NOTIFY_SOCKET has a socket in the
 * state directory, shown in the container as /run/notify/notify.sock, and passes on what is harmless of what comes.
 * Process ids and descriptors of the container are none of the service manager's business.
 *
 * start, and run --detach, return once the container has said READY=1 or has ended, and make its first process the
 * service's main process. run in the foreground passes on for as long as the container runs.
 */
#ifndef PROA_OCI_NOTIFY_H
#define PROA_OCI_NOTIFY_H

struct container;

/* Mount and variable are added to the configuration, before it is saved. Without NOTIFY_SOCKET nothing is done. */
int notify_plan(struct container *c);
/* The bound socket; -1 without error when there is nothing to pass on to. Before the container's command runs. */
int notify_listen(const struct container *c, int *ret);
int notify_wait_ready(int socket, const struct container *c);
/* One datagram, there to be read. Whether it said READY=1. */
int notify_forward(int socket);

#endif
