/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler needs to know of a pod, compiled once from its object. */
#ifndef PROA_SCHEDULER_POD_H
#define PROA_SCHEDULER_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"

struct label_selector;
struct object;
struct sched_node;
struct toleration;

/* Resources besides cpu, memory and ephemeral storage ("example.com/gpu", "hugepages-2Mi"). */
struct sched_extra {
	const char *name;
	int64_t value;
};
struct sched_resources {
	int64_t cpu_milli, memory, storage;
	struct sched_extra *extra;
	size_t n_extra;
};

struct arena;
struct json;

/* Sets what a ResourceList names, but "pods", which is counted by itself; quantities that don't parse are passed over.
 */
void sched_resources_read(struct arena *a, const struct json *list, struct sched_resources *r);

struct sched_port {
	uint32_t port;
	char protocol;	/* 'T', 'U', 'S' */
	const char *ip; /* "" : all addresses */
};

/* One (anti-)affinity term. Namespaces: those named, and those that ns_selector matches (NULL: none); own when neither.
 */
struct sched_term {
	const char *topology_key;
	const struct label_selector *selector;
	const char **namespaces;
	size_t n_namespaces;
	const struct label_selector *ns_selector;
	int weight; /* preferred ones */
};
struct sched_terms {
	struct sched_term *at;
	size_t n;
};

/* matchExpressions over labels, matchFields over metadata.name; several are alternatives. */
struct sched_node_term {
	const struct label_selector *labels, *fields; /* both must match */
	bool nothing;				      /* an empty term matches no node */
	int weight;
};
struct sched_node_terms {
	struct sched_node_term *at;
	size_t n;
};

struct sched_spread {
	const char *topology_key;
	const struct label_selector *selector;
	int max_skew, min_domains;
	bool hard;		   /* DoNotSchedule */
	bool ignore_node_affinity; /* nodeAffinityPolicy: Ignore */
	bool honor_taints;	   /* nodeTaintsPolicy: Honor */
};

struct sched_pod {
	struct object *obj; /* reference */
	struct arena arena; /* of everything below */
	int32_t priority;
	bool never_preempts;
	struct sched_resources request;
	int64_t score_cpu_milli, score_memory; /* for scoring: containers without requests count 100m and 200Mi */
	struct sched_port *ports;
	size_t n_ports;
	const char *owner; /* uid of the controller, or NULL */
	struct sched_terms affinity, anti_affinity, preferred, anti_preferred;
	/* Pending pods only: */
	const char *node_name, *nominated; /* "" when unset */
	const struct label_selector *node_selector;
	struct sched_node_terms node_required, node_preferred;
	bool has_node_required;
	struct toleration *tolerations;
	size_t n_tolerations;
	bool tolerates_unschedulable;
	struct sched_spread *spreads;
	size_t n_spreads;
	/* The cache's: */
	struct sched_node *node;
	size_t node_index; /* in node->pods */
	bool assumed;
	struct list terms_link; /* in the cache's list of pods with affinity terms */
};

/* pending: with what only matters before it has a node. Never fails: what can't be read counts as absent. */
struct sched_pod *sched_pod_new(struct object *obj, bool pending);
void sched_pod_free(struct sched_pod *p); /* NULL-safe */

/* Whether other is meant by a term of owner; namespace labels are asked of ns_match (NULL: no namespace selector
 * matches). */
typedef bool (*sched_ns_match)(void *arg, const char *ns, const struct label_selector *selector);
bool sched_term_matches(const struct sched_term *t, const char *owner_ns, const struct object *other, sched_ns_match ns,
			void *arg);

#endif
