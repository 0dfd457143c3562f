/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's picture of the cluster: nodes with what is free on them, and the pods that are there or are assumed
 * to be (bound by us, not yet seen in the watch). It is only changed between scheduling attempts, so an attempt's
 * filters and scores are pure functions of it. Also tells which pods of one controller are where, for spreading.
 */
#ifndef PROA_SCHEDULER_CACHE_H
#define PROA_SCHEDULER_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "scheduler/pod.h"

struct taint;

struct sched_node {
	char *name;
	struct object *obj; /* NULL: pods are known, the node isn't (yet, or any more) */
	size_t slot;	    /* its number in groups */
	struct arena arena; /* of taints and allocatable */
	struct sched_resources allocatable;
	int64_t pods_max;
	bool unschedulable;
	struct taint *taints;
	size_t n_taints;
	/* used by its pods */
	struct sched_resources used; /* extra: in used_arena */
	struct arena used_arena;
	int64_t score_cpu_milli, score_memory;
	VEC(struct sched_pod *) pods;
	size_t n_ports;
};

struct sched_count {
	uint32_t slot, count;
};

/* How many pods of one controller are on which node; in order of slot. */
struct sched_group {
	VEC(struct sched_count) at;
};

struct sched_cache {
	VEC(struct sched_node *) nodes; /* those with obj, in no order but stable between changes */
	struct map by_name;		/* every sched_node */
	struct map pods;		/* uid → sched_pod */
	struct map groups;		/* controller uid → sched_group */
	struct list with_terms;		/* pods with (anti-)affinity terms of any sort */
	size_t next_slot;		/* slots are not reused: a node that comes back is a new one */
};

void sched_cache_init(struct sched_cache *c);
void sched_cache_release(struct sched_cache *c);
void sched_cache_set_node(struct sched_cache *c, struct object *node);
void sched_cache_remove_node(struct sched_cache *c, const char *name);
struct sched_node *sched_cache_node(const struct sched_cache *c, const char *name); /* with obj, or NULL */
/* Takes pod over; replaces one of the same uid. */
void sched_cache_add_pod(struct sched_cache *c, struct sched_pod *pod, const char *node);
struct sched_pod *sched_cache_pod(const struct sched_cache *c, const char *uid);
void sched_cache_remove_pod(struct sched_cache *c, const char *uid);
/* Detach and attach without forgetting: for asking what would be without a pod (preemption). */
void sched_node_detach(struct sched_node *n, struct sched_pod *pod);
void sched_node_attach(struct sched_node *n, struct sched_pod *pod);
uint32_t sched_group_count(const struct sched_group *g, size_t slot);

#endif
