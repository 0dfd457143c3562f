/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/pod.h"

#include <stdlib.h>

#include "api/object.h"
#include "api/quantity.h"
#include "api/selector.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "api/taints.h"

#define SCORE_CPU_MILLI 100 /* what a container without a request counts in scores, as upstream */
#define SCORE_MEMORY (200LL << 20)

/* ---- requests ---- */

static struct sched_extra *extra_of(struct arena *a, struct sched_resources *r, const char *name)
{
	for (size_t i = 0; i < r->n_extra; i++)
		if (str_eq(r->extra[i].name, name))
			return &r->extra[i];
	struct sched_extra *more = arena_zalloc(a, (r->n_extra + 1) * sizeof(*more));
	if (r->n_extra)
		memcpy(more, r->extra, r->n_extra * sizeof(*more));
	r->extra = more;
	more[r->n_extra].name = arena_strdup(a, name);
	return &more[r->n_extra++];
}

void sched_resources_read(struct arena *a, const struct json *list, struct sched_resources *r)
{
	JSON_EACH(v, list) {
		struct quantity q;
		if (quantity_from_json(v, &q) < 0)
			continue;
		if (str_eq(v->key, "cpu"))
			r->cpu_milli = quantity_milli(&q);
		else if (str_eq(v->key, "memory"))
			r->memory = quantity_value(&q);
		else if (str_eq(v->key, "ephemeral-storage"))
			r->storage = quantity_value(&q);
		else if (!str_eq(v->key, "pods"))
			extra_of(a, r, v->key)->value = quantity_value(&q);
	}
}

static void resources_add(struct arena *a, struct sched_resources *r, const struct sched_resources *b)
{
	r->cpu_milli += b->cpu_milli;
	r->memory += b->memory;
	r->storage += b->storage;
	for (size_t i = 0; i < b->n_extra; i++)
		extra_of(a, r, b->extra[i].name)->value += b->extra[i].value;
}

static void resources_max(struct arena *a, struct sched_resources *r, const struct sched_resources *b)
{
	r->cpu_milli = MAX_OF(r->cpu_milli, b->cpu_milli);
	r->memory = MAX_OF(r->memory, b->memory);
	r->storage = MAX_OF(r->storage, b->storage);
	for (size_t i = 0; i < b->n_extra; i++) {
		struct sched_extra *x = extra_of(a, r, b->extra[i].name);
		x->value = MAX_OF(x->value, b->extra[i].value);
	}
}

struct container_need {
	struct sched_resources request, score;
};

static struct container_need need_of(struct arena *a, const struct json *container)
{
	struct container_need n = {0};
	const struct json *requests = json_path(container, "resources.requests");
	sched_resources_read(a, requests, &n.request);
	n.score.cpu_milli = json_get(requests, "cpu") ? n.request.cpu_milli : SCORE_CPU_MILLI;
	n.score.memory = json_get(requests, "memory") ? n.request.memory : SCORE_MEMORY;
	return n;
}

/*
 * max(sum of containers and sidecars, each init container with the sidecars before it) + overhead; pod-level requests
 * (spec.resources) take the place of the sum for the resources they name.
 */
static void read_requests(struct sched_pod *p, const struct json *spec)
{
	struct arena *a = &p->arena;
	struct sched_resources running = {0}, running_score = {0}, peak = {0}, peak_score = {0};
	JSON_EACH(c, json_get(spec, "initContainers")) {
		struct container_need n = need_of(a, c);
		struct sched_resources during = n.request, during_score = n.score;
		if (str_eq(json_path_str(c, "restartPolicy"), "Always")) {
			resources_add(a, &running, &n.request);
			resources_add(a, &running_score, &n.score);
			during = running;
			during_score = running_score;
		} else {
			during.extra = NULL, during.n_extra = 0;
			for (size_t i = 0; i < n.request.n_extra; i++)
				extra_of(a, &during, n.request.extra[i].name)->value = n.request.extra[i].value;
			resources_add(a, &during, &running);
			resources_add(a, &during_score, &running_score);
		}
		resources_max(a, &peak, &during);
		resources_max(a, &peak_score, &during_score);
	}
	JSON_EACH(c, json_get(spec, "containers")) {
		struct container_need n = need_of(a, c);
		resources_add(a, &running, &n.request);
		resources_add(a, &running_score, &n.score);
	}
	resources_max(a, &running, &peak);
	resources_max(a, &running_score, &peak_score);
	const struct json *whole = json_path(spec, "resources.requests");
	sched_resources_read(a, whole, &running);
	if (json_get(whole, "cpu"))
		running_score.cpu_milli = running.cpu_milli;
	if (json_get(whole, "memory"))
		running_score.memory = running.memory;
	struct sched_resources overhead = {0};
	sched_resources_read(a, json_get(spec, "overhead"), &overhead);
	resources_add(a, &running, &overhead);
	resources_add(a, &running_score, &overhead);
	p->request = running;
	p->score_cpu_milli = running_score.cpu_milli;
	p->score_memory = running_score.memory;
}

/* ---- ports ---- */

static void read_ports(struct sched_pod *p, const struct json *containers)
{
	bool host = false;
	size_t n = 0;
	JSON_EACH(c, containers)
		JSON_EACH(port, json_get(c, "ports")) {
			host |= json_path_int(port, "hostPort", 0) > 0;
			n += json_path_int(port, "hostPort", 0) > 0;
		}
	if (!host)
		return;
	struct sched_port *all = arena_zalloc(&p->arena, (p->n_ports + n) * sizeof(*all));
	if (p->n_ports)
		memcpy(all, p->ports, p->n_ports * sizeof(*all));
	p->ports = all;
	JSON_EACH(c, containers)
		JSON_EACH(port, json_get(c, "ports")) {
			int64_t number = json_path_int(port, "hostPort", 0);
			if (number <= 0)
				continue;
			const char *ip = str_or(json_path_str(port, "hostIP"), "");
			all[p->n_ports++] = (struct sched_port){
			    .port = (uint32_t)number,
			    .protocol = *str_or(json_path_str(port, "protocol"), "TCP"),
			    .ip = str_eq(ip, "0.0.0.0") ? "" : arena_strdup(&p->arena, ip),
			};
		}
}

/* ---- selectors ---- */

static const struct label_selector *selector_of(struct arena *a, const struct json *v)
{
	struct label_selector *s;
	_cleanup_status_ struct status err = STATUS_INIT;
	if (label_selector_from_json(a, v, &s, &err) == 0)
		return s;
	s = ARENA_NEW(a, struct label_selector);
	s->nothing = true;
	return s;
}

static const char **strings_of(struct arena *a, const struct json *list, size_t *ret_n)
{
	const char **out = json_len(list) ? arena_alloc(a, json_len(list) * sizeof(*out)) : NULL;
	size_t n = 0;
	JSON_EACH(v, list)
		out[n++] = arena_strdup(a, str_or(json_str(v), ""));
	*ret_n = n;
	return out;
}

static void read_term(struct arena *a, const struct json *v, struct sched_term *t)
{
	const struct json *ns = json_get(v, "namespaceSelector");
	t->topology_key = arena_strdup(a, str_or(json_path_str(v, "topologyKey"), ""));
	t->selector = selector_of(a, json_get(v, "labelSelector"));
	t->namespaces = strings_of(a, json_get(v, "namespaces"), &t->n_namespaces);
	t->ns_selector = json_is(ns, JSON_OBJECT) ? selector_of(a, ns) : NULL;
}

static struct sched_terms read_terms(struct arena *a, const struct json *list, bool weighted)
{
	struct sched_terms t = {0};
	if (!json_len(list))
		return t;
	t.at = arena_zalloc(a, json_len(list) * sizeof(*t.at));
	JSON_EACH(v, list) {
		read_term(a, weighted ? json_get(v, "podAffinityTerm") : v, &t.at[t.n]);
		t.at[t.n++].weight = (int)json_path_int(v, "weight", 0);
	}
	return t;
}

static const struct label_selector *node_expressions(struct arena *a, const struct json *list)
{
	static const struct {
		const char *name;
		enum selector_op op;
	} ops[] = {
	    {"In", SELECTOR_IN},	 {"NotIn", SELECTOR_NOT_IN},
	    {"Exists", SELECTOR_EXISTS}, {"DoesNotExist", SELECTOR_NOT_EXISTS},
	    {"Gt", SELECTOR_GT},	 {"Lt", SELECTOR_LT},
	};
	if (!json_len(list))
		return NULL;
	struct label_selector *s = ARENA_NEW(a, struct label_selector);
	s->terms = arena_zalloc(a, json_len(list) * sizeof(*s->terms));
	JSON_EACH(v, list) {
		struct selector_term *t = &s->terms[s->n_terms];
		const char *op = json_path_str(v, "operator");
		size_t i = 0;
		while (i < ARRAY_SIZE(ops) && !str_eq(ops[i].name, op))
			i++;
		if (i == ARRAY_SIZE(ops)) {
			s->nothing = true;
			continue;
		}
		t->op = ops[i].op;
		t->key = arena_strdup(a, str_or(json_path_str(v, "key"), ""));
		t->values = strings_of(a, json_get(v, "values"), &t->n_values);
		s->n_terms++;
	}
	return s;
}

static struct sched_node_term node_term(struct arena *a, const struct json *v, int weight)
{
	struct sched_node_term t = {.labels = node_expressions(a, json_get(v, "matchExpressions")),
				    .fields = node_expressions(a, json_get(v, "matchFields")),
				    .weight = weight};
	t.nothing = !t.labels && !t.fields;
	return t;
}

static void read_node_affinity(struct sched_pod *p, const struct json *spec)
{
	struct arena *a = &p->arena;
	const struct json *map = json_get(spec, "nodeSelector");
	struct label_selector *s;
	if (json_len(map) && label_selector_from_map(a, map, &s) == 0)
		p->node_selector = s;
	const struct json *affinity = json_path(spec, "affinity.nodeAffinity");
	const struct json *required = json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
	const struct json *terms = json_get(required, "nodeSelectorTerms");
	const struct json *preferred = json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");
	p->has_node_required = json_is(required, JSON_OBJECT);
	p->node_required.at = arena_zalloc(a, (json_len(terms) + 1) * sizeof(*p->node_required.at));
	JSON_EACH(v, terms)
		p->node_required.at[p->node_required.n++] = node_term(a, v, 0);
	p->node_preferred.at = arena_zalloc(a, (json_len(preferred) + 1) * sizeof(*p->node_preferred.at));
	JSON_EACH(v, preferred)
		p->node_preferred.at[p->node_preferred.n++] =
		    node_term(a, json_get(v, "preference"), (int)json_path_int(v, "weight", 0));
}

/* matchLabelKeys: the pod's own values of these labels are required too. */
static const struct label_selector *with_label_keys(struct arena *a, const struct label_selector *s,
						    const struct json *keys, const struct object *pod)
{
	if (!json_len(keys) || s->nothing)
		return s;
	struct label_selector *more = ARENA_NEW(a, struct label_selector);
	more->terms = arena_zalloc(a, (s->n_terms + json_len(keys)) * sizeof(*more->terms));
	if (s->n_terms)
		memcpy(more->terms, s->terms, s->n_terms * sizeof(*s->terms));
	more->n_terms = s->n_terms;
	JSON_EACH(k, keys) {
		const char *value = object_label(pod, str_or(json_str(k), ""));
		if (!value)
			continue;
		const char **values = arena_alloc(a, sizeof(*values));
		values[0] = arena_strdup(a, value);
		more->terms[more->n_terms++] = (struct selector_term){
		    .op = SELECTOR_IN, .key = arena_strdup(a, json_str(k)), .values = values, .n_values = 1};
	}
	return more;
}

static void read_spreads(struct sched_pod *p, const struct json *list)
{
	struct arena *a = &p->arena;
	if (!json_len(list))
		return;
	p->spreads = arena_zalloc(a, json_len(list) * sizeof(*p->spreads));
	JSON_EACH(v, list) {
		p->spreads[p->n_spreads++] = (struct sched_spread){
		    .topology_key = arena_strdup(a, str_or(json_path_str(v, "topologyKey"), "")),
		    .selector = with_label_keys(a, selector_of(a, json_get(v, "labelSelector")),
						json_get(v, "matchLabelKeys"), p->obj),
		    .max_skew = (int)json_path_int(v, "maxSkew", 1),
		    .min_domains = (int)json_path_int(v, "minDomains", 1),
		    .hard = !str_eq(json_path_str(v, "whenUnsatisfiable"), "ScheduleAnyway"),
		    .ignore_node_affinity = str_eq(json_path_str(v, "nodeAffinityPolicy"), "Ignore"),
		    .honor_taints = str_eq(json_path_str(v, "nodeTaintsPolicy"), "Honor"),
		};
	}
}

struct sched_pod *sched_pod_new(struct object *obj, bool pending)
{
	struct sched_pod *p = NEW(struct sched_pod);
	_cleanup_arena_ struct arena tree = ARENA_INIT;
	p->obj = object_ref(obj);
	list_init(&p->terms_link);
	/* A pending pod lives for one attempt: its tree may as well. */
	struct json *t = object_tree(obj, pending ? &p->arena : &tree);
	const struct json *spec = json_get(t, "spec"), *affinity = json_get(spec, "affinity");
	p->priority = (int32_t)json_path_int(spec, "priority", 0);
	p->never_preempts = str_eq(json_path_str(spec, "preemptionPolicy"), "Never");
	p->owner = obj->controller;
	read_requests(p, spec);
	read_ports(p, json_get(spec, "containers"));
	read_ports(p, json_get(spec, "initContainers"));
	static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
	static const char preferred[] = "preferredDuringSchedulingIgnoredDuringExecution";
	const struct json *with = json_get(affinity, "podAffinity"), *against = json_get(affinity, "podAntiAffinity");
	p->affinity = read_terms(&p->arena, json_get(with, required), false);
	p->anti_affinity = read_terms(&p->arena, json_get(against, required), false);
	p->preferred = read_terms(&p->arena, json_get(with, preferred), true);
	p->anti_preferred = read_terms(&p->arena, json_get(against, preferred), true);
	if (!pending)
		return p;
	static const struct taint unschedulable = {
	    .key = TAINT_UNSCHEDULABLE, .value = "", .effect = TAINT_NO_SCHEDULE};
	p->node_name = str_or(json_path_str(spec, "nodeName"), "");
	p->nominated = str_or(json_path_str(t, "status.nominatedNodeName"), "");
	p->tolerations = tolerations_of(&p->arena, t, &p->n_tolerations);
	p->tolerates_unschedulable = tolerates(p->tolerations, p->n_tolerations, &unschedulable);
	read_node_affinity(p, spec);
	read_spreads(p, json_get(spec, "topologySpreadConstraints"));
	return p;
}

void sched_pod_free(struct sched_pod *p)
{
	if (!p)
		return;
	list_remove(&p->terms_link);
	object_unref(p->obj);
	arena_release(&p->arena);
	free(p);
}

bool sched_term_matches(const struct sched_term *t, const char *owner_ns, const struct object *other, sched_ns_match ns,
			void *arg)
{
	bool in = !t->n_namespaces && !t->ns_selector && str_eq(other->ns, owner_ns);
	for (size_t i = 0; i < t->n_namespaces && !in; i++)
		in = str_eq(t->namespaces[i], other->ns);
	if (!in && t->ns_selector)
		in = (!t->ns_selector->nothing && !t->ns_selector->n_terms) ||
		     (ns && ns(arg, other->ns, t->ns_selector));
	return in && label_selector_match(t->selector, other);
}
