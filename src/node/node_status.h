/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Node object of this machine and its Lease: registers, keeps the status current (written when something but a
 * heartbeat changed, else every 5 minutes) and renews the Lease every 10 s.
 */
#ifndef PROA_NODE_NODE_STATUS_H
#define PROA_NODE_NODE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct arena;
struct json;
struct node_status;

#define LEASE_DURATION_S 40	       /* upstream's nodeLeaseDurationSeconds */
#define LEASE_RENEW_MS 10000	       /* a quarter of it */
#define NODE_REPORT_MS (5 * 60 * 1000) /* upstream's nodeStatusReportFrequency */
#define NODE_RETRY_MS_FIRST 200
#define NODE_RETRY_MS_MAX 7000

struct node_facts {
	int64_t cpus, memory, storage; /* storage: bytes of the data directory's file system */
	unsigned pods;
	char machine_id[40], boot_id[40], system_uuid[40];
	char kernel[72], os_image[128], arch[72];
};
void node_facts_read(struct node_facts *ret, const char *data_dir, unsigned pods);

struct node_status *node_status_new(struct agent *a);
void node_status_start(struct node_status *n); /* registers; agent_registered follows */
/* The network is up: the node becomes Ready. */
void node_status_network_ready(struct node_status *n);
void node_status_changed(struct node_status *n);	    /* something that the status shows: it is written */
void node_status_set_port(struct node_status *n, int port); /* of the kubelet API */
void node_status_free(struct node_status *n);		    /* NULL-safe; requests under way end without effect */
void node_allocatable(const struct node_status *n, int64_t *cpu_milli, int64_t *memory, int64_t *storage);
int64_t node_memory(const struct node_status *n);

/* ---- pure ---- */
struct node_describe {
	const struct node_facts *facts;
	const char *name, *ip, *version, *labels; /* labels: "k=v,k=v" or NULL */
	int port;				  /* 0: no kubelet API */
	bool ready;
	const char *not_ready_message;
	const char *images; /* the JSON array; NULL: not known */
	int64_t now_ns;
};
struct json *node_object(struct arena *a, const struct node_describe *d);
/* previous: the status that the server has, for transition times; or NULL. */
struct json *node_object_status(struct arena *a, const struct node_describe *d, const struct json *previous);

#endif
