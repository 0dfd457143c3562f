/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/expectations.h"

#include <stdlib.h>

#include "base/mem.h"

struct expectation {
	unsigned creations;
	struct map deletions; /* set of uids */
	int64_t since_ms;
};

static void expectation_free(void *p)
{
	struct expectation *x = p;
	map_release(&x->deletions, NULL);
	free(x);
}

void expectations_release(struct expectations *e)
{
	map_release(&e->by_key, expectation_free);
}

bool expectations_met(const struct expectations *e, const char *key, int64_t now_ms)
{
	const struct expectation *x = map_get(&e->by_key, key);
	return !x || (!x->creations && !x->deletions.n) || now_ms - x->since_ms >= EXPECTATIONS_MS_MAX;
}

void expectations_forget(struct expectations *e, const char *key)
{
	struct expectation *x = map_remove(&e->by_key, key);
	if (x)
		expectation_free(x);
}

/* The open expectations of a key; those that have lapsed are dropped first. */
static struct expectation *expectation_of(struct expectations *e, const char *key, int64_t now_ms)
{
	struct expectation *x = map_get(&e->by_key, key);
	if (x && now_ms - x->since_ms >= EXPECTATIONS_MS_MAX) {
		expectations_forget(e, key);
		x = NULL;
	}
	if (!x) {
		x = NEW(struct expectation);
		map_set(&e->by_key, key, x);
	}
	x->since_ms = now_ms;
	return x;
}

static void drop_if_met(struct expectations *e, const char *key, struct expectation *x)
{
	if (!x->creations && !x->deletions.n)
		expectations_forget(e, key);
}

void expect_creations(struct expectations *e, const char *key, unsigned n, int64_t now_ms)
{
	expectation_of(e, key, now_ms)->creations += n;
}

void expectation_created(struct expectations *e, const char *key)
{
	struct expectation *x = map_get(&e->by_key, key);
	if (!x)
		return;
	if (x->creations)
		x->creations--;
	drop_if_met(e, key, x);
}

void expect_deletion(struct expectations *e, const char *key, const char *uid, int64_t now_ms)
{
	map_set(&expectation_of(e, key, now_ms)->deletions, uid, e);
}

void expectation_deleted(struct expectations *e, const char *key, const char *uid)
{
	struct expectation *x = map_get(&e->by_key, key);
	if (!x)
		return;
	map_remove(&x->deletions, uid);
	drop_if_met(e, key, x);
}
