/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing and backward-shift deletion; at most 3/4 full. Hash: SipHash-1-3. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/mem.h"

static uint64_t seed[2];
static bool seeded;

static inline uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash (Aumasson, Bernstein), one compression and three finalisation rounds. */
uint64_t hash_bytes(const void *p, size_t len)
{
	if (!seeded) {
		env_real.random(seed, sizeof(seed));
		seeded = true;
	}
	const unsigned char *s = p;
	uint64_t v[4] = {0x736f6d6570736575ull ^ seed[0], 0x646f72616e646f6dull ^ seed[1],
			 0x6c7967656e657261ull ^ seed[0], 0x7465646279746573ull ^ seed[1]};
	size_t left = len;

	for (; left >= 8; left -= 8, s += 8) {
		uint64_t m;
		memcpy(&m, s, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	uint64_t m = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)s[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint32_t hash_key(const char *key)
{
	return (uint32_t)hash_bytes(key, strlen(key));
}

void map_release(struct map *m, void (*free_value)(void *))
{
	for (size_t i = 0; i < m->cap; i++) {
		if (!m->slots[i].key)
			continue;
		free(m->slots[i].key);
		if (free_value)
			free_value(m->slots[i].value);
	}
	free(m->slots);
	*m = (struct map)MAP_INIT;
}

/* The slot that holds key, or the empty one where it belongs. cap must not be 0. */
static struct map_slot *find(const struct map *m, const char *key, uint32_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];
		if (!s->key || (s->hash == hash && strcmp(s->key, key) == 0))
			return s;
	}
}

void *map_get(const struct map *m, const char *key)
{
	if (!m->n || !key)
		return NULL;
	struct map_slot *s = find(m, key, hash_key(key));
	return s->key ? s->value : NULL;
}

bool map_has(const struct map *m, const char *key)
{
	return m->n && key && find(m, key, hash_key(key))->key;
}

static void resize(struct map *m, size_t cap)
{
	struct map old = *m;

	m->cap = cap;
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key)
			*find(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void *map_set(struct map *m, const char *key, void *value)
{
	if ((m->n + 1) * 4 > m->cap * 3)
		resize(m, m->cap ? m->cap * 2 : 8);
	uint32_t hash = hash_key(key);
	struct map_slot *s = find(m, key, hash);
	if (s->key) {
		void *old = s->value;
		s->value = value;
		return old;
	}
	*s = (struct map_slot){.key = xstrdup(key), .value = value, .hash = hash};
	m->n++;
	return NULL;
}

void *map_remove(struct map *m, const char *key)
{
	if (!m->n || !key)
		return NULL;
	struct map_slot *s = find(m, key, hash_key(key));
	if (!s->key)
		return NULL;
	void *value = s->value;
	free(s->key);
	m->n--;
	size_t mask = m->cap - 1, hole = (size_t)(s - m->slots);
	for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		size_t home = m->slots[i].hash & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct map_slot){0};
	if (m->cap > 64 && m->n * 8 < m->cap)
		resize(m, m->cap / 2); /* give a burst's memory back */
	return value;
}

struct map_slot *map_next(const struct map *m, struct map_slot *after)
{
	for (size_t i = after ? (size_t)(after - m->slots) + 1 : 0; i < m->cap; i++)
		if (m->slots[i].key)
			return &m->slots[i];
	return NULL;
}
