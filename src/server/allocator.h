/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cluster IPs and node ports are taken: bitmaps, rebuilt from the stored Services at start, so that they can
 * never disagree with the objects for longer than one process lives.
 */
#ifndef PROA_SERVER_ALLOCATOR_H
#define PROA_SERVER_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ip_allocator;

#define IP_ALLOCATOR_BITS_MAX 20 /* a larger range is used up to its first 2^20 addresses, as upstream's */

/* "10.43.0.0/16" (IPv4). -EINVAL. */
int ip_allocator_new(const char *cidr, struct ip_allocator **ret);
void ip_allocator_free(struct ip_allocator *a);
const char *ip_allocator_cidr(const struct ip_allocator *a);
/* 0; -EINVAL not an address, -ERANGE outside, -EEXIST taken. */
int ip_allocator_claim(struct ip_allocator *a, const char *ip);
/* A random free address of the upper band (the lower is left for fixed ones until it is full); -ENOSPC. */
int ip_allocator_next(struct ip_allocator *a, char out[16]);
void ip_allocator_release(struct ip_allocator *a, const char *ip);
void ip_allocator_first(const struct ip_allocator *a, char out[16]); /* the address of Service kubernetes */

struct port_allocator;
int port_allocator_new(int min, int max, struct port_allocator **ret);
void port_allocator_free(struct port_allocator *a);
int port_allocator_claim(struct port_allocator *a, int port); /* -ERANGE, -EEXIST */
int port_allocator_next(struct port_allocator *a, int *ret);  /* -ENOSPC */
void port_allocator_release(struct port_allocator *a, int port);
int port_allocator_min(const struct port_allocator *a);
int port_allocator_max(const struct port_allocator *a);

#endif
