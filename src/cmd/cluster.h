/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cluster on this machine is: its directories, addresses and ranges. Decided when the cluster is first started,
 * kept in DATA_DIR/cluster.json, and the same at each later start unless a flag says otherwise.
 *
 *     DATA_DIR/cluster.json     this
 *     DATA_DIR/server/          owned by the server's user: store/, pki/
 *     DATA_DIR/agent/           root's: images/, volumes, logs
 *     DATA_DIR/admin.kubeconfig unless --kubeconfig says where
 *     RUN_DIR/                  gone after a reboot: shims, sockets, pids
 */
#ifndef PROA_CMD_CLUSTER_H
#define PROA_CMD_CLUSTER_H

#include <stdbool.h>

#include "base/arena.h"

struct status;

#define CLUSTER_DATA_DIR "/var/lib/proa"
#define CLUSTER_LISTEN "0.0.0.0:6443"
#define CLUSTER_PODS_MAX 1000 /* of a node: a Linux bridge has 1,023 ports */

struct cluster {
	struct arena arena; /* holds every string */
	const char *data_dir, *run_dir, *kubeconfig;
	const char *id;	    /* eight hex digits of a hash of data_dir: names of links, cgroups, tables */
	const char *listen; /* address:port of the API server */
	const char *node_name, *node_ip;
	const char *cluster_cidr, *service_cidr;
	const char *kubernetes_ip; /* first of service_cidr: Service default/kubernetes */
	const char *dns_ip;	   /* tenth of service_cidr */
	unsigned pods_max;	   /* of a node; 1 to CLUSTER_PODS_MAX */
	bool existed;		   /* there was a cluster.json */
};

/* What the command line says; NULL: nothing. */
struct cluster_flags {
	const char *data_dir, *run_dir, *kubeconfig, *listen, *node_name, *node_ip, *pods_max;
};

/* Loads or decides. Nothing is written. */
int cluster_load(const struct cluster_flags *f, struct cluster *c, struct status *err);
int cluster_save(const struct cluster *c, struct status *err);
void cluster_release(struct cluster *c);

/* Path below a directory, in the cluster's arena. */
const char *cluster_path(struct cluster *c, const char *dir, const char *rest);
/* Where clients on this machine reach the server: "https://127.0.0.1:6443", or the listen address itself. */
const char *cluster_url(struct cluster *c);
int cluster_port(const struct cluster *c);
/* How long the prefix of a node's pod range is: twice as many addresses as pods, since one is used again late. */
int cluster_node_cidr_bits(const struct cluster *c);
/* Host part of the listen address; "0.0.0.0" stays. */
const char *cluster_host(struct cluster *c);

#endif
