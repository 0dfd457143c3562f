/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "api/taints.h"
#include "scheduler/attempt.h"

/* ---- node selection ---- */

static bool fields_match(const struct label_selector *s, const struct sched_node *n)
{
	for (size_t i = 0; i < s->n_terms; i++) {
		const struct selector_term *t = &s->terms[i];
		bool in = false;
		if (!str_eq(t->key, "metadata.name"))
			return false;
		for (size_t k = 0; k < t->n_values; k++)
			in |= str_eq(t->values[k], n->name);
		if (t->op == SELECTOR_IN ? !in : t->op == SELECTOR_NOT_IN ? in : true)
			return false;
	}
	return !s->nothing;
}

bool sched_node_term_matches(const struct sched_node_term *t, const struct sched_node *n)
{
	return !t->nothing && (!t->labels || label_selector_match(t->labels, n->obj)) &&
	       (!t->fields || fields_match(t->fields, n));
}

bool sched_node_selected(const struct sched_pod *p, const struct sched_node *n)
{
	if (p->node_selector && !label_selector_match(p->node_selector, n->obj))
		return false;
	if (!p->has_node_required)
		return true;
	for (size_t i = 0; i < p->node_required.n; i++)
		if (sched_node_term_matches(&p->node_required.at[i], n))
			return true;
	return false;
}

/* ---- the filters, cheapest first ---- */

static int64_t extra_of(const struct sched_resources *r, const char *name)
{
	for (size_t i = 0; i < r->n_extra; i++)
		if (str_eq(r->extra[i].name, name))
			return r->extra[i].value;
	return 0;
}

static const struct sched_extra *missing_extra(const struct sched_pod *p, const struct sched_node *n)
{
	for (size_t i = 0; i < p->request.n_extra; i++) {
		const struct sched_extra *x = &p->request.extra[i];
		if (x->value > extra_of(&n->allocatable, x->name) - extra_of(&n->used, x->name))
			return x;
	}
	return NULL;
}

static uint32_t filter_resources(const struct sched_pod *p, const struct sched_node *n)
{
	const struct sched_resources *want = &p->request, *have = &n->allocatable, *used = &n->used;
	uint32_t reasons = 0;
	if ((int64_t)n->pods.n + 1 > n->pods_max)
		reasons |= REASON_PODS;
	/* A pod that asks for nothing of a resource isn't refused for its lack. */
	if (want->cpu_milli && want->cpu_milli > have->cpu_milli - used->cpu_milli)
		reasons |= REASON_CPU;
	if (want->memory && want->memory > have->memory - used->memory)
		reasons |= REASON_MEMORY;
	if (want->storage && want->storage > have->storage - used->storage)
		reasons |= REASON_STORAGE;
	if (want->n_extra && missing_extra(p, n))
		reasons |= REASON_EXTRA;
	return reasons;
}

static const struct taint *untolerated(const struct sched_pod *p, const struct sched_node *n)
{
	for (size_t i = 0; i < n->n_taints; i++)
		if (n->taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !tolerates(p->tolerations, p->n_tolerations, &n->taints[i]))
			return &n->taints[i];
	return NULL;
}

static bool ports_free(const struct sched_pod *p, const struct sched_node *n)
{
	for (size_t i = 0; i < n->pods.n; i++) {
		const struct sched_pod *o = n->pods.at[i];
		for (size_t k = 0; k < o->n_ports; k++)
			for (size_t m = 0; m < p->n_ports; m++) {
				const struct sched_port *a = &p->ports[m], *b = &o->ports[k];
				if (a->port == b->port && a->protocol == b->protocol &&
				    (!*a->ip || !*b->ip || str_eq(a->ip, b->ip)))
					return false;
			}
	}
	return true;
}

uint32_t sched_filter(const struct sched_attempt *a, const struct sched_node *n)
{
	const struct sched_pod *p = a->pod;
	/* In upstream's order, which decides what a node is counted for. */
	if (n->unschedulable && !p->tolerates_unschedulable)
		return REASON_UNSCHEDULABLE;
	if (*p->node_name && !str_eq(p->node_name, n->name))
		return REASON_NODE_NAME;
	if (n->n_taints && untolerated(p, n))
		return REASON_TAINT;
	if ((p->node_selector || p->has_node_required) && !sched_node_selected(p, n))
		return REASON_NODE_AFFINITY;
	if (p->n_ports && n->n_ports && !ports_free(p, n))
		return REASON_PORTS;
	uint32_t reasons = filter_resources(p, n);
	return reasons ? reasons : sched_topology_filter(a, n);
}

/* ---- why not ---- */

static const struct {
	uint32_t reason;
	const char *text;
} texts[] = {
    {REASON_UNSCHEDULABLE, "node(s) were unschedulable"},
    {REASON_NODE_NAME, "node(s) didn't match the requested node name"},
    {REASON_NODE_AFFINITY, "node(s) didn't match Pod's node affinity/selector"},
    {REASON_PORTS, "node(s) didn't have free ports for the requested pod ports"},
    {REASON_PODS, "Too many pods"},
    {REASON_CPU, "Insufficient cpu"},
    {REASON_MEMORY, "Insufficient memory"},
    {REASON_STORAGE, "Insufficient ephemeral-storage"},
    {REASON_SPREAD_LABEL, "node(s) didn't match pod topology spread constraints (missing required label)"},
    {REASON_SPREAD, "node(s) didn't match pod topology spread constraints"},
    {REASON_EXISTING_ANTI_AFFINITY, "node(s) didn't satisfy existing pods anti-affinity rules"},
    {REASON_AFFINITY, "node(s) didn't match pod affinity rules"},
    {REASON_ANTI_AFFINITY, "node(s) didn't match pod anti-affinity rules"},
};

static void note(struct map *m, const char *text)
{
	map_set(m, text, (void *)((uintptr_t)map_get(m, text) + 1));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void note_node(const struct sched_attempt *a, const struct sched_node *n, struct arena *arena, struct map *m)
{
	uint32_t reasons = sched_filter(a, n);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (reasons & texts[i].reason)
			note(m, texts[i].text);
	if (reasons & REASON_TAINT) {
		const struct taint *t = untolerated(a->pod, n);
		note(m, arena_printf(arena, "node(s) had untolerated taint {%s: %s}", t->key, t->value));
	}
	if (reasons & REASON_EXTRA)
		note(m, arena_printf(arena, "Insufficient %s", missing_extra(a->pod, n)->name));
}

void sched_explain(const struct sched_attempt *a, struct buf *out)
{
	size_t n = a->cache->nodes.n;
	if (!n) {
		buf_adds(out, "no nodes available to schedule pods");
		return;
	}
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct map m = MAP_INIT;
	for (size_t i = 0; i < n; i++)
		note_node(a, a->cache->nodes.at[i], &arena, &m);
	char **lines = arena_alloc(&arena, (m.n + 1) * sizeof(*lines));
	size_t k = 0;
	MAP_EACH(s, &m)
		lines[k++] = arena_printf(&arena, "%zu %s", (size_t)(uintptr_t)s->value, s->key);
	qsort(lines, k, sizeof(*lines), by_text);
	buf_addf(out, "0/%zu nodes are available:", n);
	for (size_t i = 0; i < k; i++)
		buf_addf(out, "%s %s", i ? "," : "", lines[i]);
	buf_addc(out, '.');
	map_release(&m, NULL);
}
