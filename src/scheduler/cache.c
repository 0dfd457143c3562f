/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/cache.h"

#include <assert.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/quantity.h"
#include "base/json.h"
#include "base/str.h"
#include "api/taints.h"

/* ---- groups ---- */

static size_t group_position(const struct sched_group *g, size_t slot)
{
	size_t lo = 0, hi = g->at.n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (g->at.at[mid].slot < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t sched_group_count(const struct sched_group *g, size_t slot)
{
	if (!g)
		return 0;
	size_t i = group_position(g, slot);
	return i < g->at.n && g->at.at[i].slot == slot ? g->at.at[i].count : 0;
}

static void group_add(struct sched_cache *c, const char *owner, size_t slot)
{
	if (!owner)
		return;
	struct sched_group *g = map_get(&c->groups, owner);
	if (!g) {
		g = NEW(struct sched_group);
		map_set(&c->groups, owner, g);
	}
	size_t i = group_position(g, slot);
	if (i < g->at.n && g->at.at[i].slot == slot) {
		g->at.at[i].count++;
		return;
	}
	VEC_PUSH(&g->at, (struct sched_count){0});
	memmove(&g->at.at[i + 1], &g->at.at[i], (g->at.n - 1 - i) * sizeof(*g->at.at));
	g->at.at[i] = (struct sched_count){.slot = (uint32_t)slot, .count = 1};
}

static void group_free(void *p)
{
	struct sched_group *g = p;
	VEC_RELEASE(&g->at);
	free(g);
}

static void group_remove(struct sched_cache *c, const char *owner, size_t slot)
{
	struct sched_group *g = owner ? map_get(&c->groups, owner) : NULL;
	if (!g)
		return;
	size_t i = group_position(g, slot);
	assert(i < g->at.n && g->at.at[i].slot == slot);
	if (--g->at.at[i].count == 0)
		VEC_REMOVE(&g->at, i);
	if (!g->at.n)
		group_free(map_remove(&c->groups, owner));
}

/* ---- nodes ---- */

static struct sched_node *node_of(struct sched_cache *c, const char *name)
{
	struct sched_node *n = map_get(&c->by_name, name);
	if (n)
		return n;
	n = NEW(struct sched_node);
	n->name = xstrdup(name);
	n->slot = c->next_slot++;
	map_set(&c->by_name, name, n);
	return n;
}

static void node_free(void *p)
{
	struct sched_node *n = p;
	object_unref(n->obj);
	arena_release(&n->arena);
	arena_release(&n->used_arena);
	VEC_RELEASE(&n->pods);
	free(n->name);
	free(n);
}

static void node_drop_if_unused(struct sched_cache *c, struct sched_node *n)
{
	if (n->obj || n->pods.n)
		return;
	map_remove(&c->by_name, n->name);
	node_free(n);
}

struct sched_node *sched_cache_node(const struct sched_cache *c, const char *name)
{
	struct sched_node *n = map_get(&c->by_name, name);
	return n && n->obj ? n : NULL;
}

static void read_allocatable(struct sched_node *n, const struct json *list)
{
	struct quantity pods;

	n->allocatable = (struct sched_resources){0};
	sched_resources_read(&n->arena, list, &n->allocatable);
	n->pods_max = quantity_from_json(json_get(list, "pods"), &pods) < 0 ? 0 : quantity_value(&pods);
}

void sched_cache_set_node(struct sched_cache *c, struct object *obj)
{
	struct sched_node *n = node_of(c, obj->name);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *t = object_tree(obj, &a);
	if (!n->obj)
		VEC_PUSH(&c->nodes, n);
	object_unref(n->obj);
	n->obj = object_ref(obj);
	arena_release(&n->arena);
	read_allocatable(n, json_path(t, "status.allocatable"));
	n->unschedulable = json_path_bool(t, "spec.unschedulable", false);
	n->taints = taints_of(&n->arena, t, &n->n_taints);
	for (size_t i = 0; i < n->n_taints; i++) { /* the tree goes */
		n->taints[i].key = arena_strdup(&n->arena, n->taints[i].key);
		n->taints[i].value = arena_strdup(&n->arena, n->taints[i].value);
	}
}

void sched_cache_remove_node(struct sched_cache *c, const char *name)
{
	struct sched_node *n = sched_cache_node(c, name);
	if (!n)
		return;
	for (size_t i = 0; i < c->nodes.n; i++) {
		if (c->nodes.at[i] == n) {
			VEC_REMOVE(&c->nodes, i);
			break;
		}
	}
	object_unref(n->obj);
	n->obj = NULL;
	node_drop_if_unused(c, n);
}

/* ---- pods ---- */

static int64_t *extra_used(struct sched_node *n, const char *name)
{
	struct sched_resources *r = &n->used;
	for (size_t i = 0; i < r->n_extra; i++)
		if (str_eq(r->extra[i].name, name))
			return &r->extra[i].value;
	struct sched_extra *more = arena_zalloc(&n->used_arena, (r->n_extra + 1) * sizeof(*more));
	if (r->n_extra)
		memcpy(more, r->extra, r->n_extra * sizeof(*more));
	r->extra = more;
	more[r->n_extra].name = arena_strdup(&n->used_arena, name);
	return &more[r->n_extra++].value;
}

static void account(struct sched_node *n, const struct sched_pod *p, int sign)
{
	n->used.cpu_milli += sign * p->request.cpu_milli;
	n->used.memory += sign * p->request.memory;
	n->used.storage += sign * p->request.storage;
	for (size_t i = 0; i < p->request.n_extra; i++)
		*extra_used(n, p->request.extra[i].name) += sign * p->request.extra[i].value;
	n->score_cpu_milli += sign * p->score_cpu_milli;
	n->score_memory += sign * p->score_memory;
	n->n_ports += (size_t)(sign * (int)p->n_ports);
}

void sched_node_attach(struct sched_node *n, struct sched_pod *p)
{
	p->node_index = n->pods.n;
	VEC_PUSH(&n->pods, p);
	account(n, p, 1);
}

void sched_node_detach(struct sched_node *n, struct sched_pod *p)
{
	struct sched_pod *last = VEC_POP(&n->pods);
	if (last != p) {
		n->pods.at[p->node_index] = last;
		last->node_index = p->node_index;
	}
	account(n, p, -1);
}

struct sched_pod *sched_cache_pod(const struct sched_cache *c, const char *uid)
{
	return map_get(&c->pods, uid);
}

void sched_cache_remove_pod(struct sched_cache *c, const char *uid)
{
	struct sched_pod *p = map_remove(&c->pods, uid);
	if (!p)
		return;
	struct sched_node *n = p->node;
	sched_node_detach(n, p);
	group_remove(c, p->owner, n->slot);
	sched_pod_free(p);
	node_drop_if_unused(c, n);
}

void sched_cache_add_pod(struct sched_cache *c, struct sched_pod *p, const char *node)
{
	sched_cache_remove_pod(c, p->obj->uid);
	p->node = node_of(c, node);
	sched_node_attach(p->node, p);
	group_add(c, p->owner, p->node->slot);
	if (p->affinity.n || p->anti_affinity.n || p->preferred.n || p->anti_preferred.n)
		list_add_tail(&c->with_terms, &p->terms_link);
	map_set(&c->pods, p->obj->uid, p);
}

void sched_cache_init(struct sched_cache *c)
{
	*c = (struct sched_cache){0};
	list_init(&c->with_terms);
}

static void pod_free(void *p)
{
	sched_pod_free(p);
}

void sched_cache_release(struct sched_cache *c)
{
	map_release(&c->pods, pod_free);
	map_release(&c->groups, group_free);
	map_release(&c->by_name, node_free);
	VEC_RELEASE(&c->nodes);
}
