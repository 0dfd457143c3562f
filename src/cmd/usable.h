/* SPDX-License-Identifier: Apache-2.0 */
/* Waits until a new cluster can run pods: ServiceAccount default/default is there. */
#ifndef PROA_CMD_USABLE_H
#define PROA_CMD_USABLE_H

struct cluster;
struct loop;
struct usable;

/* done once: why NULL when usable, else the reason that it cannot be found out. It frees the handle. */
struct usable *usable_wait(struct loop *l, struct cluster *c, void (*done)(void *arg, const char *why), void *arg);
void usable_cancel(struct usable *u); /* NULL-safe; no callback follows */

#endif
