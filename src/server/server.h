/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server: HTTP in front, registry behind. A request walks: route → authentication → impersonation →
 * authorization → handler (get, list, watch, write, proxy, discovery, …). One instance may listen on several addresses.
 */
#ifndef PROA_SERVER_SERVER_H
#define PROA_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/auth.h"

struct audit;
struct http_limits;
struct client;
struct loop;
struct registry;
struct server;
struct status;
struct store;
struct tls_context;

struct server_config {
	struct loop *loop;
	struct store *store;		  /* open; stays the caller's */
	const char *address;		  /* "0.0.0.0:6443", "127.0.0.1:0" */
	struct tls_context *tls;	  /* NULL: plain (tests) */
	const struct http_limits *limits; /* NULL: defaults */
	struct auth auth;	   /* copied; authn NULL: every request is USER_ANONYMOUS with full rights (tests) */
	struct registry *registry; /* made before by registry_new; stays the caller's */
	/* For the node proxy: towards a node agent. NULL: plain (tests). Name verified is the node's address. */
	struct tls_context *node_tls;
	struct audit *audit;	       /* stays the caller's; NULL: nothing is recorded */
	const char *advertise_address; /* for Service default/kubernetes and its endpoints; NULL: not published */
	int advertise_port;
	/* PEM texts for ConfigMap kube-system/extension-apiserver-authentication; NULL: left out */
	const char *client_ca_pem;
};

int server_new(const struct server_config *c, struct server **ret, struct status *err);
const char *server_address(const struct server *s); /* with the real port */
struct registry *server_registry(const struct server *s);
/* /readyz fails until this was called with true; controllers and bootstrap decide when. */
void server_set_ready(struct server *s, bool ready);
/* Further checks for /readyz and /healthz (?verbose shows them by name). check returns NULL or a reason. */
void server_add_check(struct server *s, const char *name, const char *(*check)(void *arg), void *arg);
/* Stops accepting, ends watches, finishes requests; done() when nothing is left or grace_ms have passed. */
void server_drain(struct server *s, int64_t grace_ms, void (*done)(void *arg), void *arg);
void server_free(struct server *s);

/* Objects that every cluster has (bootstrap.c): created when absent, through registry_write. done once, err NULL if all
 * went well. */
void server_bootstrap(struct server *s, void (*done)(void *arg, const struct status *err), void *arg);

/*
 * The API inside this process (local_client.c): client/client.h's interface without HTTP. user is the name it acts
 * under (system:kube-controller-manager, …), with groups system:authenticated; its writes pass registry_write, its
 * reads share the store's objects. client_free() it before the registry.
 */
struct client *local_client_new(struct registry *r, const char *user, const char *user_agent);
/* Its writes go to the audit log from now on; audit outlives them. */
void local_client_record(struct client *client, struct audit *audit);

#endif
