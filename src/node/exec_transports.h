/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which exec and attach reach the node. Each takes the request and what o holds. */
#ifndef PROA_NODE_EXEC_TRANSPORTS_H
#define PROA_NODE_EXEC_TRANSPORTS_H

struct exec_options;
struct http_request;
struct kubelet_api;
struct pod_container;

void exec_websocket_start(struct kubelet_api *k, struct http_request *r, struct pod_container *pc,
			  struct exec_options *o);
void exec_spdy_start(struct kubelet_api *k, struct http_request *r, struct pod_container *pc, struct exec_options *o);

#endif
