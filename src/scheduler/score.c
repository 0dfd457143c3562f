/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores from 0 to 100 a plugin, weighted as upstream's default profile: resources least allocated 1, balanced 1,
 * taints 3, node affinity 2, pods of the same controller and spread constraints 2, pod affinity 2.
 */
#include <stdlib.h>

#include "api/object.h"
#include "base/str.h"
#include "api/taints.h"
#include "scheduler/attempt.h"

#define SCORE_MAX 100
#define FEASIBLE_MIN 100       /* minFeasibleNodesToFind */
#define FEASIBLE_PERCENT_MIN 5 /* minFeasibleNodesPercentageToFind */
#define FEASIBLE_PERCENT 50    /* for a small cluster; a percent less for each 125 nodes */

enum { WEIGHT_LEAST = 1, WEIGHT_BALANCED = 1, WEIGHT_TAINT = 3, WEIGHT_NODE = 2, WEIGHT_SPREAD = 2, WEIGHT_POD = 2 };

struct candidate {
	struct sched_node *node;
	int64_t total;
	int64_t taints, node_affinity, siblings, crowd, preference;
};

static size_t feasible_wanted(size_t nodes)
{
	if (nodes < FEASIBLE_MIN)
		return nodes;
	size_t percent = FEASIBLE_PERCENT > nodes / 125 ? FEASIBLE_PERCENT - nodes / 125 : 0;
	if (percent < FEASIBLE_PERCENT_MIN)
		percent = FEASIBLE_PERCENT_MIN;
	size_t n = nodes * percent / 100;
	return n < FEASIBLE_MIN ? FEASIBLE_MIN : n;
}

static int64_t least_allocated(int64_t used, int64_t capacity)
{
	return capacity <= 0 || used > capacity ? 0 : (capacity - used) * SCORE_MAX / capacity;
}

static int64_t score_resources(const struct sched_pod *p, const struct sched_node *n)
{
	int64_t cpu = n->score_cpu_milli + p->score_cpu_milli, memory = n->score_memory + p->score_memory;
	int64_t least =
	    (least_allocated(cpu, n->allocatable.cpu_milli) + least_allocated(memory, n->allocatable.memory)) / 2;
	/* Balanced by what is really asked for. */
	double fc = n->allocatable.cpu_milli > 0
			? (double)(n->used.cpu_milli + p->request.cpu_milli) / (double)n->allocatable.cpu_milli
			: 1;
	double fm = n->allocatable.memory > 0
			? (double)(n->used.memory + p->request.memory) / (double)n->allocatable.memory
			: 1;
	fc = fc > 1 ? 1 : fc;
	fm = fm > 1 ? 1 : fm;
	double apart = fc > fm ? fc - fm : fm - fc;
	int64_t balanced = (int64_t)((1 - apart / 2) * SCORE_MAX);
	return WEIGHT_LEAST * least + WEIGHT_BALANCED * balanced;
}

static void score_raw(const struct sched_attempt *a, const struct sched_group *siblings, struct candidate *c)
{
	const struct sched_pod *p = a->pod;
	const struct sched_node *n = c->node;
	c->total = score_resources(p, n);
	for (size_t i = 0; i < n->n_taints; i++)
		c->taints += n->taints[i].effect == TAINT_PREFER_NO_SCHEDULE &&
			     !tolerates(p->tolerations, p->n_tolerations, &n->taints[i]);
	for (size_t i = 0; i < p->node_preferred.n; i++)
		if (sched_node_term_matches(&p->node_preferred.at[i], n))
			c->node_affinity += p->node_preferred.at[i].weight;
	c->siblings = siblings ? sched_group_count(siblings, n->slot) : 0;
	if (a->counted) {
		c->crowd = sched_topology_crowd(a, n);
		c->preference = sched_topology_preference(a, n);
	}
}

/* Adds weight × (value - min) / (max - min), or what is missing to 1 when less is better. */
#define NORMALIZE(cs, n, field, floor, weight, less_is_better)                                                         \
	do {                                                                                                           \
		int64_t min_ = (floor), max_ = (floor);                                                                \
		for (size_t i_ = 0; i_ < (n); i_++) {                                                                  \
			min_ = MIN_OF(min_, (cs)[i_].field);                                                           \
			max_ = MAX_OF(max_, (cs)[i_].field);                                                           \
		}                                                                                                      \
		if (max_ == min_)                                                                                      \
			break;                                                                                         \
		for (size_t i_ = 0; i_ < (n); i_++) {                                                                  \
			int64_t s_ = ((cs)[i_].field - min_) * SCORE_MAX / (max_ - min_);                              \
			(cs)[i_].total += (weight) * ((less_is_better) ? SCORE_MAX - s_ : s_);                         \
		}                                                                                                      \
	} while (0)

/* Of equals each is as likely. */
static struct sched_node *best(struct sched_attempt *a, const struct candidate *c, size_t n)
{
	size_t found = 0, ties = 1;
	for (size_t i = 1; i < n; i++) {
		if (c[i].total > c[found].total) {
			found = i;
			ties = 1;
		} else if (c[i].total == c[found].total) {
			a->random ^= a->random << 13, a->random ^= a->random >> 7, a->random ^= a->random << 17;
			if (a->random % ++ties == 0)
				found = i;
		}
	}
	return c[found].node;
}

static bool needs_topology(const struct sched_attempt *a)
{
	const struct sched_pod *p = a->pod;
	return p->affinity.n || p->anti_affinity.n || p->preferred.n || p->anti_preferred.n || p->n_spreads ||
	       !list_empty(&a->cache->with_terms);
}

struct sched_node *sched_pick(struct sched_attempt *a, uint32_t *ret_reasons, size_t *ret_next_start)
{
	const struct sched_cache *cache = a->cache;
	size_t total = cache->nodes.n, wanted = feasible_wanted(total), n = 0, looked = 0;
	struct candidate *c = arena_alloc(&a->arena, (wanted + 1) * sizeof(*c));
	*ret_reasons = 0;
	if (needs_topology(a))
		sched_topology_count(a);
	for (; looked < total && n < wanted; looked++) {
		struct sched_node *node = cache->nodes.at[(a->start + looked) % total];
		uint32_t reasons = sched_filter(a, node);
		if (reasons)
			*ret_reasons |= reasons;
		else
			c[n++] = (struct candidate){.node = node};
	}
	*ret_next_start = total ? (a->start + looked) % total : 0;
	if (n == 0)
		return NULL;
	if (n == 1)
		return c[0].node;
	const struct sched_group *siblings = a->pod->owner ? map_get(&cache->groups, a->pod->owner) : NULL;
	for (size_t i = 0; i < n; i++)
		score_raw(a, siblings, &c[i]);
	NORMALIZE(c, n, taints, 0, WEIGHT_TAINT, true);
	NORMALIZE(c, n, node_affinity, 0, WEIGHT_NODE, false);
	NORMALIZE(c, n, siblings, 0, WEIGHT_SPREAD, true);
	if (a->counted) {
		NORMALIZE(c, n, crowd, c[0].crowd, WEIGHT_SPREAD, true);
		NORMALIZE(c, n, preference, c[0].preference, WEIGHT_POD, false);
	}
	return best(a, c, n);
}
