/* SPDX-License-Identifier: Apache-2.0 */
/* Gives each node a range of pod addresses (spec.podCIDR) out of the cluster's range; it keeps it for life. IPv4. */
#include "controllers/controller.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/log.h"
#include "base/map.h"

struct node_ipam {
	struct client *client;
	struct workqueue *queue; /* of node names */
	struct recorder *recorder;
	struct informer *nodes;
	uint32_t base; /* host order */
	int bits, node_bits;
	struct map taken; /* "10.42.3.0/24" → node's name (owned) */
	struct map odd;	  /* those of taken with another length: from before a larger or smaller one was asked for */
};

static int cidr_parse(const char *text, uint32_t *ret_base, int *ret_bits)
{
	char address[INET_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct in_addr in;
	int64_t bits;
	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return -1;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_pton(AF_INET, address, &in) != 1 || parse_int_range(slash + 1, 1, 32, &bits) < 0)
		return -1;
	*ret_base = ntohl(in.s_addr) & (uint32_t)(UINT64_C(0xffffffff) << (32 - bits));
	*ret_bits = (int)bits;
	return 0;
}

static void take(struct node_ipam *c, const char *cidr, const char *node)
{
	uint32_t base;
	int bits;
	free(map_set(&c->taken, cidr, xstrdup(node)));
	if (cidr_parse(cidr, &base, &bits) == 0 && bits != c->node_bits)
		free(map_set(&c->odd, cidr, xstrdup(node)));
}

static bool overlaps_odd(const struct node_ipam *c, uint32_t base)
{
	MAP_EACH(s, &c->odd) {
		uint32_t other;
		int bits;
		if (cidr_parse(s->key, &other, &bits) == 0 && (base ^ other) >> (32 - MIN_OF(bits, c->node_bits)) == 0)
			return true;
	}
	return false;
}

/* The lowest free range; false: all are taken. */
static bool allocate(struct node_ipam *c, char *out, size_t len)
{
	uint32_t n = 1u << (c->node_bits - c->bits);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t base = c->base | (i << (32 - c->node_bits));
		struct in_addr in = {.s_addr = htonl(base)};
		char address[INET_ADDRSTRLEN];
		inet_ntop(AF_INET, &in, address, sizeof(address));
		snprintf(out, len, "%s/%d", address, c->node_bits);
		if (!map_has(&c->taken, out) && !overlaps_odd(c, base))
			return true;
	}
	return false;
}

/* What this node was promised by a write that hasn't come back yet. */
static const char *promised(struct node_ipam *c, const char *node)
{
	MAP_EACH(s, &c->taken)
		if (str_eq(s->value, node))
			return s->key;
	return NULL;
}

static void sync_node(void *arg, struct sync *s)
{
	struct node_ipam *c = arg;
	struct object *node = informer_get_key(c->nodes, s->key);
	if (!node)
		return;
	struct json *t = object_tree(node, &s->arena);
	if (!str_empty(json_path_str(t, "spec.podCIDR")))
		return;
	char cidr[INET_ADDRSTRLEN + 4];
	const char *have = promised(c, node->name);
	if (have) {
		snprintf(cidr, sizeof(cidr), "%s", have);
	} else if (!allocate(c, cidr, sizeof(cidr))) {
		recorder_event(c->recorder, node, "Normal", "CIDRNotAvailable",
			       "Node %s status is now: CIDRNotAvailable", node->name);
		return; /* the deletion of a node brings it back */
	}
	take(c, cidr, node->name);
	struct json *spec = json_object_in(&s->arena, t, "spec");
	json_set_str(&s->arena, spec, "podCIDR", arena_strdup(&s->arena, cidr));
	json_append(json_array_in(&s->arena, spec, "podCIDRs"), json_new_str(&s->arena, arena_strdup(&s->arena, cidr)));
	sync_patch(s, c->client, node, t, NULL, true, NULL, NULL);
}

static void node_added(void *arg, struct object *node)
{
	struct node_ipam *c = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *cidr = json_path_str(object_tree(node, &a), "spec.podCIDR");
	if (!str_empty(cidr))
		take(c, cidr, node->name);
	else
		workqueue_add(c->queue, node->name);
}

static void node_updated(void *arg, struct object *old, struct object *node)
{
	(void)old;
	node_added(arg, node);
}

static bool enqueue_bare(void *arg, struct object *node)
{
	node_added(arg, node);
	return true;
}

static void node_deleted(void *arg, struct object *node)
{
	struct node_ipam *c = arg;
	const char *cidr;
	while ((cidr = promised(c, node->name))) {
		_cleanup_free_ char *key = xstrdup(cidr);
		free(map_remove(&c->taken, key));
		free(map_remove(&c->odd, key));
	}
	informer_each(c->nodes, enqueue_bare, c); /* somebody may wait for it */
}

static void *start(const struct controller_env *e)
{
	if (!e->config->cluster_cidr)
		return NULL;
	struct node_ipam *c = NEW(struct node_ipam);
	c->client = e->client;
	c->node_bits = e->config->node_cidr_bits;
	if (cidr_parse(e->config->cluster_cidr, &c->base, &c->bits) < 0 || c->node_bits < c->bits ||
	    c->node_bits > 30) {
		log_error("cluster CIDR cannot be used; nodes get no range of pod addresses cidr=%s",
			  e->config->cluster_cidr);
		free(c);
		return NULL;
	}
	c->recorder = controller_recorder(e, "cidrAllocator");
	c->queue = controller_queue(e, "node-ipam", sync_node, c);
	c->nodes =
	    controller_watch(e, "", "nodes",
			     &(struct informer_handlers){
				 .on_add = node_added, .on_update = node_updated, .on_delete = node_deleted, .arg = c});
	return c;
}

static void stop(void *arg)
{
	struct node_ipam *c = arg;
	map_release(&c->taken, free);
	map_release(&c->odd, free);
	free(c);
}

const struct controller_ops node_ipam_controller = {
    .name = "node-ipam-controller",
    .start = start,
    .stop = stop,
};
