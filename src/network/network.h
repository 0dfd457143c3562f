/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod network of one node: a bridge whose address is the first of the node's pod range, and for every pod a veth pair
 * with one end on the bridge and the other as eth0 in the pod's network namespace. Addresses are handed out in turn and
 * remembered as files below the run directory, so that they survive the agent.
 *
 * Everything happens in the network namespace of the calling thread (and the pod's). Calls take about a millisecond of
 * rtnetlink and are made from the loop's thread; they return 0 or negative errno and say in `err` what could not be
 * done. IPv4 for now.
 */
#ifndef PROA_NETWORK_NETWORK_H
#define PROA_NETWORK_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

struct status;
struct network;

#define NETWORK_IP_MAX 46 /* INET6_ADDRSTRLEN */

struct network_config {
	const char *id;	      /* short cluster id: distinguishes several clusters' bridges in one namespace */
	const char *pod_cidr; /* the node's range, "10.42.0.0/24" */
	const char *run_dir;  /* addresses are remembered in RUN_DIR/network/ */
	bool masquerade;      /* rewrite the source of what leaves cluster_cidr; a warning where that cannot be had */
	const char *cluster_cidr;
};

/* Creates the bridge when it is not there, or takes it over as it is. */
int network_new(const struct network_config *c, struct network **ret, struct status *err);
/* Gives the pod eth0, lo, an address and a default route. Again for the same pod: the same address, nothing changes. */
int network_attach(struct network *n, const char *pod_uid, int netns_fd, char ret_ip[NETWORK_IP_MAX],
		   struct status *err);
/* Brings up only lo (pods without a network of their own need not be attached). */
int network_loopback_up(int netns_fd, struct status *err);
/* Frees the address and removes the link if it is still there. Unknown pods are no error. */
void network_detach(struct network *n, const char *pod_uid);
/* Keeps only the addresses of pods for which keep(arg, uid) is true: after a restart. */
void network_collect(struct network *n, bool (*keep)(void *arg, const char *pod_uid), void *arg);
const char *network_gateway(const struct network *n); /* the bridge's address: how pods reach their host */
void network_free(struct network *n);		      /* leaves everything in place for running pods */
/* Removes the bridge and the rules of the cluster with that id, whoever made them; pods must be gone. */
void network_remove(const char *id);

#endif
