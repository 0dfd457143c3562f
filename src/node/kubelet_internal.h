/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the kubelet API share. */
#ifndef PROA_NODE_KUBELET_INTERNAL_H
#define PROA_NODE_KUBELET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "node/kubelet_api.h"

struct http_request;
struct http_server;
struct pod;
struct pod_container;
struct status;
struct tls_context;

struct kubelet_api {
	struct agent *agent;
	struct tls_context *tls;
	struct http_server *server;
	struct list followers; /* kubelet_logs.c: readers that wait for more */
	struct list sessions;  /* kubelet_exec.c, kubelet_forward.c */
};

/* One path, taken apart: /ENDPOINT/NAMESPACE/POD[/UID][/CONTAINER]. */
struct kubelet_path {
	char *text; /* owns the rest */
	const char *endpoint, *ns, *pod, *uid, *container;
};

void kubelet_fail(struct http_request *r, const struct status *err);
void kubelet_failf(struct http_request *r, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Finds what the path names and answers 404 when it isn't here. */
struct pod *kubelet_find_pod(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p);
struct pod_container *kubelet_find_container(struct kubelet_api *k, struct http_request *r,
					     const struct kubelet_path *p);

void kubelet_logs(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p);
void kubelet_run(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p);
void kubelet_exec(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p, bool attach);
void kubelet_port_forward(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p);
void kubelet_stats(struct kubelet_api *k, struct http_request *r);
void kubelet_metrics(struct kubelet_api *k, struct http_request *r);
void kubelet_pods(struct kubelet_api *k, struct http_request *r);

/* Ends every exec, attach, port-forward and log reader: the agent goes. */
void kubelet_sessions_end(struct kubelet_api *k);
/* A container ended or a pod went: readers that follow it look again. */
void kubelet_logs_wake(struct kubelet_api *k, const char *pod_uid);

#endif
