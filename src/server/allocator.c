/* SPDX-License-Identifier: Apache-2.0 */
#include "server/allocator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- bits ---- */

static bool bit_get(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t i, bool on)
{
	if (on)
		bits[i / 64] |= 1ull << (i % 64);
	else
		bits[i / 64] &= ~(1ull << (i % 64));
}

/* A free one of [min, max), searched from a random place on. */
static int bit_find(const uint64_t *bits, uint32_t min, uint32_t max, uint32_t *ret)
{
	if (min >= max)
		return -ENOSPC;
	uint32_t n = max - min, r;
	env->random(&r, sizeof(r));
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = min + (uint32_t)(((uint64_t)r + k) % n);
		if (!bit_get(bits, i)) {
			*ret = i;
			return 0;
		}
	}
	return -ENOSPC;
}

/* ---- addresses ---- */

struct ip_allocator {
	uint32_t base; /* host order */
	uint32_t n;    /* addresses, network and broadcast address included */
	char *cidr;
	uint64_t bits[];
};

int ip_allocator_new(const char *cidr, struct ip_allocator **ret)
{
	char text[INET_ADDRSTRLEN + 4];
	struct in_addr addr;
	int64_t prefix;
	if (!cidr || strlen(cidr) >= sizeof(text))
		return -EINVAL;
	strcpy(text, cidr);
	char *slash = strchr(text, '/');
	if (!slash)
		return -EINVAL;
	*slash = 0;
	if (inet_pton(AF_INET, text, &addr) != 1 || parse_int_range(slash + 1, 8, 30, &prefix) < 0)
		return -EINVAL;
	int bits = MIN_OF(32 - (int)prefix, IP_ALLOCATOR_BITS_MAX);
	uint32_t n = 1u << bits;
	struct ip_allocator *a = xcalloc(1, sizeof(*a) + (n / 64 + 1) * sizeof(uint64_t));
	a->base = ntohl(addr.s_addr) & (uint32_t)(0xffffffffull << (32 - prefix));
	a->n = n;
	a->cidr = xstrdup(cidr);
	bit_set(a->bits, 0, true);
	bit_set(a->bits, n - 1, true);
	*ret = a;
	return 0;
}

void ip_allocator_free(struct ip_allocator *a)
{
	if (!a)
		return;
	free(a->cidr);
	free(a);
}

const char *ip_allocator_cidr(const struct ip_allocator *a)
{
	return a->cidr;
}

static int ip_index(const struct ip_allocator *a, const char *ip, uint32_t *ret)
{
	struct in_addr addr;
	if (!ip || inet_pton(AF_INET, ip, &addr) != 1)
		return -EINVAL;
	uint32_t i = ntohl(addr.s_addr) - a->base;
	if (i >= a->n || i == 0 || i == a->n - 1)
		return -ERANGE;
	*ret = i;
	return 0;
}

static void ip_format(const struct ip_allocator *a, uint32_t i, char out[16])
{
	struct in_addr addr = {htonl(a->base + i)};
	inet_ntop(AF_INET, &addr, out, 16);
}

int ip_allocator_claim(struct ip_allocator *a, const char *ip)
{
	uint32_t i = 0;
	int e = ip_index(a, ip, &i);
	if (e < 0)
		return e;
	if (bit_get(a->bits, i))
		return -EEXIST;
	bit_set(a->bits, i, true);
	return 0;
}

int ip_allocator_next(struct ip_allocator *a, char out[16])
{
	/* Upstream's bands: min(max(16, n / 16), 256) addresses at the bottom are given out last. */
	uint32_t band = MIN_OF(MAX_OF(16u, a->n / 16), 256u), i = 0;
	band = MIN_OF(band, a->n);
	if (bit_find(a->bits, band, a->n, &i) < 0 && bit_find(a->bits, 1, band, &i) < 0)
		return -ENOSPC;
	bit_set(a->bits, i, true);
	ip_format(a, i, out);
	return 0;
}

void ip_allocator_release(struct ip_allocator *a, const char *ip)
{
	uint32_t i = 0;
	if (ip_index(a, ip, &i) == 0)
		bit_set(a->bits, i, false);
}

void ip_allocator_first(const struct ip_allocator *a, char out[16])
{
	ip_format(a, 1, out);
}

/* ---- ports ---- */

struct port_allocator {
	int min, max;
	uint64_t bits[];
};

int port_allocator_new(int min, int max, struct port_allocator **ret)
{
	if (min < 1 || max > 65535 || min > max)
		return -EINVAL;
	struct port_allocator *a = xcalloc(1, sizeof(*a) + ((size_t)(max - min) / 64 + 1) * sizeof(uint64_t));
	a->min = min;
	a->max = max;
	*ret = a;
	return 0;
}

void port_allocator_free(struct port_allocator *a)
{
	free(a);
}

int port_allocator_claim(struct port_allocator *a, int port)
{
	if (port < a->min || port > a->max)
		return -ERANGE;
	uint32_t i = (uint32_t)(port - a->min);
	if (bit_get(a->bits, i))
		return -EEXIST;
	bit_set(a->bits, i, true);
	return 0;
}

int port_allocator_next(struct port_allocator *a, int *ret)
{
	uint32_t i = 0;
	int e = bit_find(a->bits, 0, (uint32_t)(a->max - a->min + 1), &i);
	if (e < 0)
		return e;
	bit_set(a->bits, i, true);
	*ret = a->min + (int)i;
	return 0;
}

void port_allocator_release(struct port_allocator *a, int port)
{
	if (port >= a->min && port <= a->max)
		bit_set(a->bits, (uint32_t)(port - a->min), false);
}

int port_allocator_min(const struct port_allocator *a)
{
	return a->min;
}

int port_allocator_max(const struct port_allocator *a)
{
	return a->max;
}
