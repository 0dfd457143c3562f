/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/controllers.h"

#include <assert.h>
#include <stdlib.h>

#include "base/vec.h"
#include "controllers/controller.h"

static const struct controller_ops *const controller_table[] = {
    &namespace_controller,	 &serviceaccount_controller, &root_ca_controller,	   &replicaset_controller,
    &deployment_controller,	 &garbage_controller,	     &node_lifecycle_controller,   &taint_eviction_controller,
    &node_ipam_controller,	 &pod_gc_controller,	     &endpoints_controller,	   &endpointslice_controller,
    &resourcequota_controller,	 &certificates_controller,   &role_aggregation_controller, &token_secret_controller,
    &bootstrap_token_controller, &trust_bundle_controller,   &disruption_controller,	   &protection_controller,
};

struct hook {
	struct informer *informer;
	void *arg;
};

struct controllers {
	struct controllers_config config;
	struct controller_env env;
	bool own_informers, stopped;
	void *running[ARRAY_SIZE(controller_table)];
	VEC(struct workqueue *) queues;
	VEC(struct recorder *) recorders;
	VEC(struct hook) hooks;
	VEC(struct anything_hook *) anything_hooks;
};

struct workqueue *controller_queue(const struct controller_env *e, const char *name, sync_fn sync, void *arg)
{
	struct workqueue *q =
	    workqueue_new(&(struct workqueue_config){.loop = e->loop, .name = name, .sync = sync, .arg = arg});
	VEC_PUSH(&e->owner->queues, q);
	return q;
}

struct informer *controller_watch(const struct controller_env *e, const char *group, const char *plural,
				  const struct informer_handlers *h)
{
	struct informer *i = informers_get(e->informers, group, plural);
	assert(i);
	if (h) {
		informer_add_handlers(i, h);
		struct hook hook = {.informer = i, .arg = h->arg};
		VEC_PUSH(&e->owner->hooks, hook);
	}
	return i;
}

struct recorder *controller_recorder(const struct controller_env *e, const char *component)
{
	struct recorder *r = recorder_new(e->client, component, NULL);
	VEC_PUSH(&e->owner->recorders, r);
	return r;
}

struct anything controller_watch_anything(const struct controller_env *e, const struct informer_handlers *h)
{
	const uint32_t needed = VERB_LIST | VERB_WATCH | VERB_DELETE;
	struct anything all = {.at = xcalloc(resource_table_len, sizeof(*all.at))};
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];
		/* Other versions, and Events under their second name, are the same objects. */
		if (resource_by_plural(r->group, r->plural) != r || (r->verbs & needed) != needed ||
		    str_eq(r->group, "events.k8s.io") || !r->storage_prefix)
			continue;
		struct anything_hook *hook = NEW(struct anything_hook);
		hook->arg = h->arg;
		hook->informer = informers_of(e->informers, r);
		VEC_PUSH(&e->owner->anything_hooks, hook);
		struct informer_handlers own = *h;
		own.arg = hook;
		controller_watch(e, r->group, r->plural, &own);
		all.at[all.n++] = hook->informer;
	}
	return all;
}

void anything_release(struct anything *a)
{
	free(a->at);
}

static void on_synced(void *arg)
{
	struct controllers *c = arg;
	VEC_EACH(q, &c->queues)
		workqueue_start(*q);
}

struct controllers *controllers_start(const struct controllers_config *config)
{
	struct controllers *c = NEW(struct controllers);
	c->config = *config;
	c->config.cluster_cidr = xstrdup(config->cluster_cidr);
	c->config.root_ca_pem = xstrdup(config->root_ca_pem);
	if (!c->config.node_cidr_bits)
		c->config.node_cidr_bits = NODE_CIDR_BITS_DEFAULT;
	if (!c->config.node_monitor_grace_ms)
		c->config.node_monitor_grace_ms = NODE_MONITOR_GRACE_MS;
	if (!c->config.terminated_pods_max)
		c->config.terminated_pods_max = POD_GC_TERMINATED_MAX;
	c->own_informers = !config->informers;
	if (c->own_informers)
		c->config.informers = informers_new(config->client);
	c->env = (struct controller_env){
	    .client = config->client,
	    .loop = client_loop(config->client),
	    .informers = c->config.informers,
	    .config = &c->config,
	    .owner = c,
	};
	for (size_t i = 0; i < ARRAY_SIZE(controller_table); i++)
		c->running[i] = controller_table[i]->start(&c->env);
	informers_when_synced(c->env.informers, on_synced, c);
	return c;
}

void controllers_stop(struct controllers *c)
{
	if (!c)
		return;
	informers_forget(c->env.informers, c);
	VEC_EACH(h, &c->hooks)
		informer_remove_handlers(h->informer, h->arg);
	VEC_EACH(q, &c->queues)
		workqueue_free(*q);
	for (size_t i = 0; i < ARRAY_SIZE(controller_table); i++)
		if (c->running[i])
			controller_table[i]->stop(c->running[i]);
	VEC_EACH(r, &c->recorders)
		recorder_free(*r);
	if (c->own_informers)
		informers_free(c->config.informers);
	VEC_EACH(h, &c->anything_hooks)
		free(*h);
	VEC_RELEASE(&c->anything_hooks);
	VEC_RELEASE(&c->hooks);
	VEC_RELEASE(&c->queues);
	VEC_RELEASE(&c->recorders);
	free((char *)c->config.cluster_cidr);
	free((char *)c->config.root_ca_pem);
	free(c);
}

bool controllers_idle(const struct controllers *c)
{
	for (size_t i = 0; i < c->queues.n; i++)
		if (!workqueue_idle(c->queues.at[i]))
			return false;
	return true;
}
