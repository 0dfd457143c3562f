/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink(7), as much as a pod network needs: a message under construction with nested attributes, sent and
 * acknowledged synchronously. Debian has no static libmnl, hence our own.
 */
#ifndef PROA_NETWORK_NETLINK_H
#define PROA_NETWORK_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_MESSAGE_MAX 4096 /* the largest request we make is below 1 KiB */

struct netlink {
	int fd;
	uint32_t sequence;
};

struct netlink_message {
	_Alignas(8) char data[NETLINK_MESSAGE_MAX];
	size_t len;
};

/* A NETLINK_ROUTE socket in the namespace of the calling thread, or in that of netns_fd when it is >= 0. */
int netlink_open(struct netlink *n, int netns_fd);
void netlink_close(struct netlink *n);

/* Starts a message with its fixed header (struct ifinfomsg, rtmsg, …). */
void netlink_begin(struct netlink_message *m, uint16_t type, uint16_t flags, const void *header, size_t len);
void netlink_put(struct netlink_message *m, uint16_t attribute, const void *p, size_t len);
void netlink_put_str(struct netlink_message *m, uint16_t attribute, const char *s);
void netlink_put_u32(struct netlink_message *m, uint16_t attribute, uint32_t v);
size_t netlink_nest(struct netlink_message *m, uint16_t attribute);
void netlink_nest_end(struct netlink_message *m, size_t nest);
/* Sends and waits for the kernel's acknowledgement: 0 or negative errno. */
int netlink_talk(struct netlink *n, struct netlink_message *m);

/* ---- what is made of them ---- */
int netlink_link_index(struct netlink *n, const char *name); /* > 0, or negative errno (-ENODEV) */
int netlink_bridge_new(struct netlink *n, const char *name);
/* Creates name (here) and peer (in netns_fd). mac may be NULL. */
int netlink_veth_new(struct netlink *n, const char *name, const char *peer, int netns_fd, int master_index);
int netlink_link_up(struct netlink *n, int index);
int netlink_link_delete(struct netlink *n, int index);
int netlink_address_add(struct netlink *n, int index, uint32_t address_be, int prefix_len);
int netlink_route_add_default(struct netlink *n, uint32_t gateway_be, int index);

#endif
