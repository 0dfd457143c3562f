/* SPDX-License-Identifier: Apache-2.0 */
#include "network/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "network/ipam.h"
#include "network/masquerade.h"
#include "network/netlink.h"

struct network {
	struct netlink netlink; /* in the node's namespace */
	struct ipam *ipam;
	char bridge[IFNAMSIZ];
	int bridge_index;
	char table[32]; /* nf_tables; "" without masquerading */
	char gateway[NETWORK_IP_MAX];
};

/* The node's end of a pod's pair: "pv" and a hash of cluster and pod, within IFNAMSIZ. */
static void link_name(const struct network *n, const char *pod_uid, char out[IFNAMSIZ])
{
	uint64_t h = fnv64a(n->bridge, strlen(n->bridge)) ^ fnv64a(pod_uid, strlen(pod_uid));
	snprintf(out, IFNAMSIZ, "pv%012llx", (unsigned long long)(h & 0xffffffffffffull));
}

static int fail(struct status *err, int r, const char *what)
{
	status_set(err, 500, "pod network: %s: %s", what, strerror(-r));
	return r;
}

static int setup_bridge(struct network *n, struct status *err)
{
	int r = netlink_bridge_new(&n->netlink, n->bridge);
	if (r < 0 && r != -EEXIST)
		return fail(err, r, "cannot create the bridge");
	n->bridge_index = r = netlink_link_index(&n->netlink, n->bridge);
	if (r < 0)
		return fail(err, r, "cannot find the bridge");
	r = netlink_address_add(&n->netlink, n->bridge_index, ipam_gateway(n->ipam), ipam_prefix_len(n->ipam));
	if (r < 0 && r != -EEXIST)
		return fail(err, r, "cannot give the bridge its address");
	r = netlink_link_up(&n->netlink, n->bridge_index);
	return r < 0 ? fail(err, r, "cannot bring up the bridge") : 0;
}

/* Without it pods reach each other and their node, but nothing beyond: worth a warning, not a node that stays down. */
static void setup_masquerade(struct network *n, const struct network_config *c)
{
	static const char forward[] = "/proc/sys/net/ipv4/ip_forward";

	if (!c->masquerade)
		return;
	snprintf(n->table, sizeof(n->table), "proa-%s", c->id);
	int r = masquerade_install(n->table, c->pod_cidr, c->cluster_cidr);
	if (r < 0) {
		n->table[0] = 0;
		log_warn("pods cannot reach addresses outside the cluster: the nft program %s",
			 r == -ENOENT ? "is not installed (package nftables)" : "refused the masquerading rules");
		return;
	}
	FILE *f = fopen(forward, "we");
	if (!f || fputs("1", f) < 0 || fflush(f) != 0)
		log_warn("pods cannot reach addresses outside the cluster: forwarding cannot be turned on error=%s",
			 strerror(errno));
	if (f)
		fclose(f);
}

int network_new(const struct network_config *c, struct network **ret, struct status *err)
{
	struct network *n = NEW(struct network);
	_cleanup_free_ char *dir = xasprintf("%s/network", c->run_dir);
	uint32_t gateway;
	int r;

	n->netlink.fd = -1;
	snprintf(n->bridge, sizeof(n->bridge), "proa-%.9s", c->id);
	r = ipam_new(c->pod_cidr, dir, &n->ipam);
	if (r < 0) {
		fail(err, r, "cannot use the address range of this node");
		goto done;
	}
	gateway = ipam_gateway(n->ipam);
	inet_ntop(AF_INET, &gateway, n->gateway, sizeof(n->gateway));
	r = netlink_open(&n->netlink, -1);
	if (r < 0) {
		fail(err, r, "cannot talk to rtnetlink");
		goto done;
	}
	r = setup_bridge(n, err);
	if (r == 0)
		setup_masquerade(n, c);
done:
	if (r < 0) {
		network_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

static int loopback_up(struct netlink *inside)
{
	int index = netlink_link_index(inside, "lo");
	return index < 0 ? index : netlink_link_up(inside, index);
}

int network_loopback_up(int netns_fd, struct status *err)
{
	struct netlink inside;
	int r = netlink_open(&inside, netns_fd);

	if (r == 0)
		r = loopback_up(&inside);
	netlink_close(&inside);
	return r < 0 ? fail(err, r, "cannot bring up lo in the pod") : 0;
}

/* Address, default route and links inside the pod. */
static int configure_inside(struct network *n, int netns_fd, uint32_t address)
{
	struct netlink inside;
	int r = netlink_open(&inside, netns_fd);

	if (r == 0)
		r = loopback_up(&inside);
	int index = r < 0 ? r : netlink_link_index(&inside, "eth0");
	r = index < 0 ? index : netlink_link_up(&inside, index);
	if (r == 0)
		r = netlink_address_add(&inside, index, address, ipam_prefix_len(n->ipam));
	if (r == 0)
		r = netlink_route_add_default(&inside, ipam_gateway(n->ipam), index);
	netlink_close(&inside);
	return r;
}

int network_attach(struct network *n, const char *pod_uid, int netns_fd, char ret_ip[NETWORK_IP_MAX],
		   struct status *err)
{
	char name[IFNAMSIZ];
	uint32_t address;
	bool is_new;

	int r = ipam_take(n->ipam, pod_uid, &address, &is_new);
	if (r < 0)
		return fail(err, r,
			    r == -ENOSPC ? "no free address in this node's range" : "cannot reserve an address");
	link_name(n, pod_uid, name);
	int index = netlink_link_index(&n->netlink, name);
	if (index < 0) {
		r = netlink_veth_new(&n->netlink, name, "eth0", netns_fd, n->bridge_index);
		index = r < 0 ? r : netlink_link_index(&n->netlink, name);
		r = index < 0 ? index : configure_inside(n, netns_fd, address);
		if (r == 0)
			r = netlink_link_up(&n->netlink, index);
	}
	if (r < 0) {
		if (index > 0)
			netlink_link_delete(&n->netlink, index);
		if (is_new)
			ipam_give(n->ipam, pod_uid);
		return fail(err, r, "cannot connect the pod");
	}
	inet_ntop(AF_INET, &address, ret_ip, NETWORK_IP_MAX);
	return 0;
}

void network_detach(struct network *n, const char *pod_uid)
{
	char name[IFNAMSIZ];

	link_name(n, pod_uid, name);
	int index = netlink_link_index(&n->netlink, name);
	if (index > 0)
		netlink_link_delete(&n->netlink, index);
	ipam_give(n->ipam, pod_uid);
}

void network_collect(struct network *n, bool (*keep)(void *arg, const char *pod_uid), void *arg)
{
	ipam_collect(n->ipam, keep, arg);
}

const char *network_gateway(const struct network *n)
{
	return n->gateway;
}

void network_free(struct network *n)
{
	if (!n)
		return;
	netlink_close(&n->netlink);
	ipam_free(n->ipam);
	free(n);
}

void network_remove(const char *id)
{
	char bridge[IFNAMSIZ], table[32];
	struct netlink netlink;

	snprintf(bridge, sizeof(bridge), "proa-%.9s", id);
	snprintf(table, sizeof(table), "proa-%s", id);
	if (netlink_open(&netlink, -1) == 0) {
		int index = netlink_link_index(&netlink, bridge);
		int r = index > 0 ? netlink_link_delete(&netlink, index) : 0;
		if (r < 0)
			log_warn("the pod bridge could not be removed bridge=%s error=%s", bridge, strerror(-r));
	}
	netlink_close(&netlink);
	masquerade_remove(table);
}
