/* SPDX-License-Identifier: Apache-2.0 */
/* Counting of pods by topology domain: required and preferred (anti-)affinity, spread constraints. */
#include <stdio.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/mem.h"
#include "base/str.h"
#include "api/taints.h"
#include "scheduler/attempt.h"

#define BIAS (INT64_C(1) << 40) /* so that negative sums fit a map's pointer that is never NULL */
#define HARD_AFFINITY_WEIGHT 1	/* an existing pod's required affinity draws as much, as upstream */

static int64_t map_count(const struct map *m, const char *key)
{
	return (int64_t)(intptr_t)map_get(m, key);
}

static void map_add(struct map *m, const char *key, int64_t n)
{
	map_set(m, key, (void *)(intptr_t)(map_count(m, key) + n));
}

static const char *domain_key(char *out, size_t len, const char *key, const char *value)
{
	snprintf(out, len, "%s\1%s", key, value);
	return out;
}
#define DOMAIN_KEY_MAX 400 /* label key (253 + 1 + 63) and value (63) */

static void prefer(struct sched_attempt *a, const char *key, const char *value, int64_t weight)
{
	char k[DOMAIN_KEY_MAX];
	domain_key(k, sizeof(k), key, value);
	if (!map_has(&a->preferred, k))
		map_set(&a->preferred, k, (void *)(intptr_t)BIAS);
	map_add(&a->preferred, k, weight);
}

/* What the pods that are there ask about ours. */
static void count_existing(struct sched_attempt *a)
{
	const struct object *us = a->pod->obj;
	LIST_EACH(it, &a->cache->with_terms) {
		struct sched_pod *p = LIST_ENTRY(it, struct sched_pod, terms_link);
		if (!p->node->obj || p == a->pod)
			continue;
		const struct {
			const struct sched_terms *terms;
			int sign;
			bool required;
		} sorts[] = {{&p->anti_affinity, 0, true},
			     {&p->affinity, 1, true},
			     {&p->preferred, 1, false},
			     {&p->anti_preferred, -1, false}};
		for (size_t s = 0; s < ARRAY_SIZE(sorts); s++) {
			for (size_t i = 0; i < sorts[s].terms->n; i++) {
				const struct sched_term *t = &sorts[s].terms->at[i];
				const char *value = object_label(p->node->obj, t->topology_key);
				if (!value || !sched_term_matches(t, p->obj->ns, us, a->ns_match, a->ns_arg))
					continue;
				char k[DOMAIN_KEY_MAX];
				if (!sorts[s].sign)
					map_set(&a->existing_anti, domain_key(k, sizeof(k), t->topology_key, value), a);
				else
					prefer(a, t->topology_key, value,
					       sorts[s].sign * (sorts[s].required ? HARD_AFFINITY_WEIGHT : t->weight));
			}
		}
	}
}

static void count_one(struct sched_attempt *a, const struct sched_node *n, const struct sched_pod *other)
{
	const struct sched_pod *p = a->pod;
	bool all = p->affinity.n > 0;
	for (size_t i = 0; i < p->affinity.n; i++)
		all &= sched_term_matches(&p->affinity.at[i], p->obj->ns, other->obj, a->ns_match, a->ns_arg);
	if (all) {
		for (size_t i = 0; i < p->affinity.n; i++) {
			const char *value = object_label(n->obj, p->affinity.at[i].topology_key);
			if (value)
				map_add(&a->affinity[i], value, 1);
		}
		a->affinity_anywhere = true;
	}
	for (size_t i = 0; i < p->anti_affinity.n; i++) {
		const struct sched_term *t = &p->anti_affinity.at[i];
		const char *value = object_label(n->obj, t->topology_key);
		if (value && sched_term_matches(t, p->obj->ns, other->obj, a->ns_match, a->ns_arg))
			map_add(&a->anti_affinity[i], value, 1);
	}
	const struct sched_terms *wishes[] = {&p->preferred, &p->anti_preferred};
	for (int w = 0; w < 2; w++) {
		for (size_t i = 0; i < wishes[w]->n; i++) {
			const struct sched_term *t = &wishes[w]->at[i];
			const char *value = object_label(n->obj, t->topology_key);
			if (value && sched_term_matches(t, p->obj->ns, other->obj, a->ns_match, a->ns_arg))
				prefer(a, t->topology_key, value, w ? -t->weight : t->weight);
		}
	}
}

/* Whether a node's domain counts for a constraint. */
static bool eligible(const struct sched_attempt *a, const struct sched_spread *c, const struct sched_node *n)
{
	if (!c->ignore_node_affinity && !sched_node_selected(a->pod, n))
		return false;
	for (size_t i = 0; c->honor_taints && i < n->n_taints; i++)
		if (n->taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !tolerates(a->pod->tolerations, a->pod->n_tolerations, &n->taints[i]))
			return false;
	/* All the keys must be there, or the node is no domain of any. */
	for (size_t i = 0; i < a->pod->n_spreads; i++)
		if (a->pod->spreads[i].hard == c->hard && !object_label(n->obj, a->pod->spreads[i].topology_key))
			return false;
	return true;
}

static void count_spread(struct sched_attempt *a, size_t i)
{
	const struct sched_spread *c = &a->pod->spreads[i];
	struct sched_spread_state *s = &a->spreads[i];
	for (size_t k = 0; k < a->cache->nodes.n; k++) {
		const struct sched_node *n = a->cache->nodes.at[k];
		const char *value = object_label(n->obj, c->topology_key);
		if (!value || !eligible(a, c, n))
			continue;
		int64_t count =
		    map_has(&s->counts, value) ? 0 : 1; /* biased by one: a domain without pods is a domain */
		for (size_t m = 0; m < n->pods.n; m++) {
			const struct object *o = n->pods.at[m]->obj;
			count += !o->deleting && str_eq(o->ns, a->pod->obj->ns) && label_selector_match(c->selector, o);
		}
		map_add(&s->counts, value, count);
	}
	s->least = INT64_MAX;
	MAP_EACH(x, &s->counts) {
		int64_t count = (int64_t)(intptr_t)x->value - 1;
		if (count < s->least)
			s->least = count;
	}
	if (s->least == INT64_MAX || (int64_t)s->counts.n < c->min_domains)
		s->least = 0;
}

void sched_topology_count(struct sched_attempt *a)
{
	const struct sched_pod *p = a->pod;
	if (a->counted)
		return;
	a->counted = true;
	count_existing(a);
	a->affinity = arena_zalloc(&a->arena, (p->affinity.n + 1) * sizeof(*a->affinity));
	a->anti_affinity = arena_zalloc(&a->arena, (p->anti_affinity.n + 1) * sizeof(*a->anti_affinity));
	if (p->affinity.n || p->anti_affinity.n || p->preferred.n || p->anti_preferred.n)
		for (size_t i = 0; i < a->cache->nodes.n; i++)
			for (size_t k = 0; k < a->cache->nodes.at[i]->pods.n; k++)
				count_one(a, a->cache->nodes.at[i], a->cache->nodes.at[i]->pods.at[k]);
	a->spreads = arena_zalloc(&a->arena, (p->n_spreads + 1) * sizeof(*a->spreads));
	for (size_t i = 0; i < p->n_spreads; i++)
		count_spread(a, i);
}

static uint32_t filter_spreads(const struct sched_attempt *a, const struct sched_node *n)
{
	for (size_t i = 0; i < a->pod->n_spreads; i++) {
		const struct sched_spread *c = &a->pod->spreads[i];
		if (!c->hard)
			continue;
		const char *value = object_label(n->obj, c->topology_key);
		if (!value)
			return REASON_SPREAD_LABEL;
		int64_t count = map_count(&a->spreads[i].counts, value);
		count = count ? count - 1 : 0;
		int64_t self = label_selector_match(c->selector, a->pod->obj);
		if (count + self - a->spreads[i].least > c->max_skew)
			return REASON_SPREAD;
	}
	return 0;
}

static bool filter_affinity(const struct sched_attempt *a, const struct sched_node *n)
{
	const struct sched_pod *p = a->pod;
	bool near = true, self = true;
	for (size_t i = 0; i < p->affinity.n; i++) {
		const struct sched_term *t = &p->affinity.at[i];
		const char *value = object_label(n->obj, t->topology_key);
		if (!value)
			return false;
		near &= map_count(&a->affinity[i], value) > 0;
		self &= sched_term_matches(t, p->obj->ns, p->obj, a->ns_match, a->ns_arg);
	}
	/* The first of a group that wants to be together may go anywhere. */
	return near || (!a->affinity_anywhere && self);
}

uint32_t sched_topology_filter(const struct sched_attempt *a, const struct sched_node *n)
{
	if (!a->counted)
		return 0;
	const struct sched_pod *p = a->pod;
	uint32_t reason = filter_spreads(a, n);
	if (reason)
		return reason;
	for (uint32_t i = 0; a->existing_anti.n && i < n->obj->n_labels; i++) {
		char k[DOMAIN_KEY_MAX];
		if (map_has(&a->existing_anti,
			    domain_key(k, sizeof(k), n->obj->labels[i].key, n->obj->labels[i].value)))
			return REASON_EXISTING_ANTI_AFFINITY;
	}
	if (p->affinity.n && !filter_affinity(a, n))
		return REASON_AFFINITY;
	for (size_t i = 0; i < p->anti_affinity.n; i++) {
		const char *value = object_label(n->obj, p->anti_affinity.at[i].topology_key);
		if (value && map_count(&a->anti_affinity[i], value) > 0)
			return REASON_ANTI_AFFINITY;
	}
	return 0;
}

int64_t sched_topology_preference(const struct sched_attempt *a, const struct sched_node *n)
{
	int64_t sum = 0;
	for (uint32_t i = 0; a->preferred.n && i < n->obj->n_labels; i++) {
		char k[DOMAIN_KEY_MAX];
		domain_key(k, sizeof(k), n->obj->labels[i].key, n->obj->labels[i].value);
		if (map_has(&a->preferred, k))
			sum += map_count(&a->preferred, k) - BIAS;
	}
	return sum;
}

int64_t sched_topology_crowd(const struct sched_attempt *a, const struct sched_node *n)
{
	int64_t sum = 0;
	for (size_t i = 0; a->counted && i < a->pod->n_spreads; i++) {
		if (a->pod->spreads[i].hard)
			continue;
		const char *value = object_label(n->obj, a->pod->spreads[i].topology_key);
		sum += value ? map_count(&a->spreads[i].counts, value) : INT32_MAX / 16;
	}
	return sum;
}

void sched_attempt_init(struct sched_attempt *a, const struct sched_cache *c, const struct sched_pod *p)
{
	*a = (struct sched_attempt){.cache = c, .pod = p, .random = 1};
}

void sched_attempt_release(struct sched_attempt *a)
{
	if (a->counted) {
		for (size_t i = 0; i < a->pod->affinity.n; i++)
			map_release(&a->affinity[i], NULL);
		for (size_t i = 0; i < a->pod->anti_affinity.n; i++)
			map_release(&a->anti_affinity[i], NULL);
		for (size_t i = 0; i < a->pod->n_spreads; i++)
			map_release(&a->spreads[i].counts, NULL);
	}
	map_release(&a->existing_anti, NULL);
	map_release(&a->preferred, NULL);
	arena_release(&a->arena);
}
