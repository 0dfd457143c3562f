/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preemption: for each node, take away all pods of lower priority; when ours fits then, give back as many as possible,
 * the most important first. Of the nodes where that works, the one whose most important victim matters least, then the
 * fewest. Topology counts are those from before: a node that fails only because of pods elsewhere isn't helped by this.
 */
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/mem.h"
#include "scheduler/attempt.h"

static int by_importance(const void *pa, const void *pb)
{
	const struct sched_pod *a = *(struct sched_pod *const *)pa, *b = *(struct sched_pod *const *)pb;
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	return a->obj->rev < b->obj->rev ? -1 : a->obj->rev > b->obj->rev; /* older ones matter more */
}

/* The victims on one node, most important first; n 0 with ret_fits false: it can't be done. */
static size_t victims_on(struct sched_attempt *a, struct sched_node *n, struct sched_pod **out, bool *ret_fits)
{
	size_t n_lower = 0, n_victims = 0;
	for (size_t i = 0; i < n->pods.n; i++)
		if (n->pods.at[i]->priority < a->pod->priority)
			out[n_lower++] = n->pods.at[i];
	*ret_fits = false;
	if (!n_lower)
		return 0;
	qsort(out, n_lower, sizeof(*out), by_importance);
	for (size_t i = 0; i < n_lower; i++)
		sched_node_detach(n, out[i]);
	*ret_fits = sched_filter(a, n) == 0;
	for (size_t i = 0; i < n_lower; i++) {
		sched_node_attach(n, out[i]);
		if (!*ret_fits || sched_filter(a, n) == 0)
			continue;
		sched_node_detach(n, out[i]);
		out[n_victims++] = out[i];
	}
	for (size_t i = 0; i < n_victims; i++)
		sched_node_attach(n, out[i]);
	return n_victims;
}

struct sched_victims sched_preempt(struct sched_attempt *a)
{
	struct sched_victims found = {0};
	if (a->pod->never_preempts)
		return found;
	for (size_t i = 0; i < a->cache->nodes.n; i++) {
		struct sched_node *n = a->cache->nodes.at[i];
		uint32_t reasons = sched_filter(a, n);
		if (!reasons || (reasons & REASONS_UNRESOLVABLE))
			continue;
		_cleanup_free_ struct sched_pod **victims = xcalloc(n->pods.n + 1, sizeof(*victims));
		bool fits;
		size_t count = victims_on(a, n, victims, &fits);
		if (!fits || !count)
			continue;
		bool better = !found.node || victims[0]->priority < found.at[0]->priority ||
			      (victims[0]->priority == found.at[0]->priority && count < found.n);
		if (!better)
			continue;
		found.node = n;
		found.n = count;
		found.at = arena_alloc(&a->arena, count * sizeof(*found.at));
		memcpy(found.at, victims, count * sizeof(*found.at));
	}
	return found;
}
