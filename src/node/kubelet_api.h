/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's HTTPS API (port 10250): what the API server asks a node for. Only clients with a certificate of the
 * cluster's CA that names a member of system:masters, or the API server's own client identity, are let in; everybody
 * else gets 401 or 403 before anything is looked at (GET /healthz excepted).
 *
 *     GET  /healthz /pods /stats/summary /metrics
 *     GET  /containerLogs/{namespace}/{pod}/{container}?follow=…
 *     GET, POST /exec /attach  .../{namespace}/{pod}[/{uid}]/{container}?command=…&input=1&output=1&error=1&tty=1
 *     POST /run/{namespace}/{pod}[/{uid}]/{container}?cmd=…
 *     GET, POST /portForward/{namespace}/{pod}[/{uid}]?port=…
 */
#ifndef PROA_NODE_KUBELET_API_H
#define PROA_NODE_KUBELET_API_H

#include <stddef.h>

struct agent;
struct agent_tls;
struct kubelet_api;

int kubelet_api_new(struct agent *a, const struct agent_tls *t, struct kubelet_api **ret, char *err, size_t err_len);
int kubelet_api_start(struct kubelet_api *k, char *err, size_t err_len);
int kubelet_api_reload(struct kubelet_api *k, const struct agent_tls *t, char *err, size_t err_len);
const char *kubelet_api_address(const struct kubelet_api *k); /* NULL: not served */
int kubelet_api_port(const struct kubelet_api *k);	      /* 0: not served */
void kubelet_api_free(struct kubelet_api *k);		      /* NULL-safe */

#endif
