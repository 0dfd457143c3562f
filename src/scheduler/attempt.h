/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt to place one pod, as pure functions of the cache: which nodes fit (filter.c), which is best (score.c),
 * why the others don't fit, and who would have to go (preempt.c). What needs a look at every pod, (anti-)affinity and
 * topology spreading, is counted once for the attempt (topology.c), and only when somebody asks for it.
 */
#ifndef PROA_SCHEDULER_ATTEMPT_H
#define PROA_SCHEDULER_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "scheduler/cache.h"
#include "scheduler/pod.h"

struct buf;

/* Why a node doesn't fit. A mask: resources fail together, other filters alone. */
enum sched_reason {
	REASON_UNSCHEDULABLE = 1 << 0,
	REASON_NODE_NAME = 1 << 1,
	REASON_TAINT = 1 << 2,
	REASON_NODE_AFFINITY = 1 << 3,
	REASON_PORTS = 1 << 4,
	REASON_PODS = 1 << 5,
	REASON_CPU = 1 << 6,
	REASON_MEMORY = 1 << 7,
	REASON_STORAGE = 1 << 8,
	REASON_EXTRA = 1 << 9,
	REASON_SPREAD_LABEL = 1 << 10,
	REASON_SPREAD = 1 << 11,
	REASON_EXISTING_ANTI_AFFINITY = 1 << 12,
	REASON_AFFINITY = 1 << 13,
	REASON_ANTI_AFFINITY = 1 << 14,
};
/* That the removal of pods from the node can do nothing about. */
#define REASONS_UNRESOLVABLE                                                                                           \
	(REASON_UNSCHEDULABLE | REASON_NODE_NAME | REASON_TAINT | REASON_NODE_AFFINITY | REASON_SPREAD_LABEL |         \
	 REASON_AFFINITY)

struct sched_spread_state {
	struct map counts; /* topology value → matching pods + 1 */
	int64_t least;	   /* in the emptiest eligible domain */
};

struct sched_attempt {
	const struct sched_cache *cache;
	const struct sched_pod *pod;
	sched_ns_match ns_match;
	void *ns_arg;
	size_t start; /* the node to begin with: attempts take turns, so that all nodes get their share */
	uint64_t random;
	/* topology.c's; zero when nobody asks */
	bool counted;
	struct arena arena;
	struct map *affinity, *anti_affinity; /* one a term: topology value → matching pods */
	bool affinity_anywhere;		      /* some pod matches all terms */
	struct map existing_anti;	      /* "key\1value" of domains that existing pods keep us out of */
	struct map preferred;		      /* "key\1value" → sum of weights, biased */
	struct sched_spread_state *spreads;
};

void sched_attempt_init(struct sched_attempt *a, const struct sched_cache *c, const struct sched_pod *p);
void sched_attempt_release(struct sched_attempt *a);

void sched_topology_count(struct sched_attempt *a);
uint32_t sched_topology_filter(const struct sched_attempt *a, const struct sched_node *n);
int64_t sched_topology_preference(const struct sched_attempt *a, const struct sched_node *n); /* may be negative */
int64_t sched_topology_crowd(const struct sched_attempt *a,
			     const struct sched_node *n); /* soft spreading: less is better */

/* 0: fits; else a mask of enum sched_reason. */
uint32_t sched_filter(const struct sched_attempt *a, const struct sched_node *n);
bool sched_node_selected(const struct sched_pod *p,
			 const struct sched_node *n); /* nodeSelector and required affinity */
bool sched_node_term_matches(const struct sched_node_term *t, const struct sched_node *n);

/*
 * The best node, or NULL with the union of reasons. Looks at nodes until enough fit (as upstream: all of 100, a tenth
 * of 5,000), and says where the next attempt should start.
 */
struct sched_node *sched_pick(struct sched_attempt *a, uint32_t *ret_reasons, size_t *ret_next_start);
/* "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}." */
void sched_explain(const struct sched_attempt *a, struct buf *out);

/* ---- preemption ---- */
struct sched_victims {
	struct sched_node *node; /* NULL: none */
	struct sched_pod **at;	 /* in the attempt's arena */
	size_t n;
};
/* The node where the least important pods would have to go, all of lower priority. Leaves the cache as it was. */
struct sched_victims sched_preempt(struct sched_attempt *a);

#endif
