/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of one IPv4 range, handed out in turn (an address comes back as late as possible, so that a stale
 * connection to a gone pod does not meet a new one). Each is remembered as DIR/<address>, which holds its owner.
 * The network address, the first host address (the gateway) and the broadcast address are never handed out.
 */
#ifndef PROA_NETWORK_IPAM_H
#define PROA_NETWORK_IPAM_H

#include <stdbool.h>
#include <stdint.h>

struct ipam;

#define IPAM_PREFIX_MIN 12 /* a million addresses: far beyond what one node runs */

int ipam_new(const char *cidr, const char *dir, struct ipam **ret); /* -EINVAL: cidr; or an error of dir */
void ipam_free(struct ipam *i);
/* The owner's address, a new one if it has none (*ret_new). -ENOSPC when the range is used up. Network byte order. */
int ipam_take(struct ipam *i, const char *owner, uint32_t *ret_be, bool *ret_new);
void ipam_give(struct ipam *i, const char *owner);
void ipam_collect(struct ipam *i, bool (*keep)(void *arg, const char *owner), void *arg);
uint32_t ipam_gateway(const struct ipam *i);
int ipam_prefix_len(const struct ipam *i);

/* "10.42.0.0/16" → address (network byte order, host bits cleared) and length; -EINVAL otherwise. */
int cidr_parse(const char *s, uint32_t *ret_be, int *ret_len);

#endif
