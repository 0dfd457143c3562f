/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods stand behind a Service, at which addresses and ports: shared by the Endpoints and EndpointSlice
 * controllers. Pure. */
#ifndef PROA_CONTROLLERS_ENDPOINTS_H
#define PROA_CONTROLLERS_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct informer;
struct json;
struct object;
struct workqueue;

#define SERVICE_PORTS_MAX 64 /* ports of one Service considered; validation allows fewer than this in practice */

/* One port of the Service as a pod offers it. number 0: the pod has no port of that name. */
struct service_port {
	const char *name, *protocol, *app_protocol; /* app_protocol may be NULL */
	int number;
};

struct backend {
	struct object *pod;
	struct json *tree;
	const char *ip, *node, *hostname; /* hostname NULL unless it is to be published */
	bool ready, serving, terminating;
	struct service_port *ports;
	size_t n_ports;
};

struct backends {
	struct backend *at; /* in order of address */
	size_t n;
};

/* Pods the service's selector means that have an address of the family ("IPv4", "IPv6") and aren't finished. */
struct backends backends_of(struct arena *a, const struct json *service, const struct informer *pods,
			    const char *family);
/* Whether two backends offer the same ports (they share a subset or a slice). */
bool backends_same_ports(const struct backend *a, const struct backend *b);
/* Adds the keys of the services that mean this pod. */
void enqueue_services_of(struct workqueue *q, const struct informer *services, const struct object *pod);
/* Whether a pod's change matters to anybody who sends traffic. */
bool backend_changed(const struct object *old, const struct object *pod);

#endif
