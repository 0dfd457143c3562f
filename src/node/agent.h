/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node agent: what upstream calls the kubelet. A plain API client that makes the pods bound to its node run.
 *
 * One struct agent is one node. It registers the Node object, renews its Lease, watches the pods whose spec.nodeName
 * is its own, runs a state machine for each (pod.h), and serves the kubelet's HTTPS API (logs, exec, attach,
 * port-forward). Everything happens in the loop's thread; nothing polls.
 *
 * Containers outlive the agent: agent_free (or SIGKILL) leaves them running and a later agent with the same
 * directories adopts them. agent_stop_pods is the way to take them down (`proa down`).
 */
#ifndef PROA_NODE_AGENT_H
#define PROA_NODE_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;
struct client;
struct loop;

#define AGENT_PODS_MAX_DEFAULT 110 /* upstream's default maxPods */
#define AGENT_PORT_DEFAULT 10250   /* upstream's kubelet port */

/* Texts (PEM), not paths. */
struct agent_tls {
	const char *cert_pem, *key_pem; /* serving certificate: the node's name and address */
	const char *client_ca_pem;	/* signs the clients that may use the kubelet API */
};

/* All strings are copied by agent_new; loop and client stay the caller's and must outlive the agent. */
struct agent_config {
	struct loop *loop;
	struct client *client;	    /* authenticated as system:node:NAME */
	const char *node_name;	    /* a valid DNS-1123 subdomain */
	const char *node_ip;	    /* InternalIP of the Node; pods' hostIP */
	const char *run_dir;	    /* gone after a reboot: sandboxes, sockets */
	const char *data_dir;	    /* survives a reboot: images, volumes, logs */
	const char *image_dir;	    /* the image store, shared with `proa image`; NULL: data_dir/images */
	const char *registries;	    /* how registries are reached (image/registries.h); NULL: REGISTRIES_FILE */
	const char *log_dir;	    /* NULL: data_dir/logs (upstream: /var/log/pods) */
	const char *shim_path;	    /* the proa-shim executable */
	const char *cgroup_root;    /* name of the cgroup that holds all pods; NULL: "proa-CLUSTER_ID" */
	const char *listen;	    /* kubelet API, NULL: "0.0.0.0:10250"; port 0 takes a free one */
	struct agent_tls tls;	    /* cert_pem NULL: no kubelet API is served */
	const char *cluster_dns;    /* address for /etc/resolv.conf under ClusterFirst; NULL: pods get the host's */
	const char *cluster_domain; /* NULL: "cluster.local" */
	const char *pod_cidr;	    /* used until (and unless) the Node has spec.podCIDR; e.g. "10.42.0.0/24" */
	const char *cluster_cidr;   /* all nodes' ranges: what leaves it is masqueraded; NULL: "10.42.0.0/16" */
	const char *cluster_id;	    /* short, distinguishes clusters on one machine (bridge, cgroup); NULL: "proa" */
	const char *version;	    /* kubeletVersion; NULL: "v1.37.0+proa" */
	unsigned pods_max;	    /* 0: AGENT_PODS_MAX_DEFAULT */
	/* Labels for the Node besides the usual ones: "key=value,key=value"; NULL: none. */
	const char *node_labels;
	/* Called once, when runtime and network are up and the API server accepted the Node as Ready. */
	void (*on_ready)(void *arg);
	/* Called when the agent cannot go on (runtime or network cannot be set up). message is for a person. */
	void (*on_failed)(void *arg, const char *message);
	void *arg;
};

/* 0 or -errno; err (of err_len bytes) says why for a person. */
int agent_new(const struct agent_config *c, struct agent **ret, char *err, size_t err_len);
/* Opens the image store, recovers the runtime, sets up the network, serves, registers; on_ready follows. */
int agent_start(struct agent *a, char *err, size_t err_len);
/* Replaces the serving certificate and client CA without a restart. */
int agent_reload_tls(struct agent *a, const struct agent_tls *t, char *err, size_t err_len);
const char *agent_address(const struct agent *a); /* of the kubelet API, with its real port; NULL when not served */
/*
 * Stops every pod of this node without touching the API objects (grace: at most grace_s for each, all at once), takes
 * the network down, then calls done. For `proa down` and tests.
 */
void agent_stop_pods(struct agent *a, int grace_s, void (*done)(void *arg), void *arg);
void agent_free(struct agent *a); /* leaves containers running; NULL-safe */

#endif
