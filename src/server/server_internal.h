/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the HTTP side share. */
#ifndef PROA_SERVER_SERVER_INTERNAL_H
#define PROA_SERVER_SERVER_INTERNAL_H

#include "base/list.h"
#include "base/vec.h"
#include "server/audit.h"
#include "server/metrics.h"
#include "server/offload.h"
#include "server/request.h"
#include "server/server.h"
#include "server/watch_frame.h"

struct document_cache;
struct flow;
struct flow_upkeep;
struct http_server;
struct loop_timer;
struct resource_set;

struct server_check {
	char *name;
	const char *(*check)(void *arg);
	void *arg;
};

#define KUBERNETES_MAJOR "1"
#define KUBERNETES_MINOR "37"
#define KUBERNETES_MIN_COMPATIBILITY_MINOR "36" /* a release is compatible with the one before it */
#define KUBERNETES_VERSION "v1.37.0+proa." PROA_VERSION
/* Go's name of a machine that uname names: clients compare it with images' platforms. */
const char *go_arch(const char *machine);

struct server {
	struct server_config config;
	char *advertise_address, *client_ca_pem;
	struct loop *loop;
	struct store *store;
	struct registry *registry;
	struct http_server *http;
	struct tls_context *proxy_tls; /* towards proxied pods and services; made with the first */
	struct list requests;	       /* of struct request.link */
	struct list watches;	       /* of struct watcher.link */
	struct list splices;	       /* upgraded connections, of struct splice.link */
	struct frame_cache *frames;
	struct document_cache *documents;
	struct flow *flow; /* who may run now */
	struct flow_upkeep *flow_upkeep;
	struct loop_timer *bookmarks; /* runs while a watch wants bookmarks */
	size_t n_bookmark_watches;
	VEC(struct server_check) checks;
	bool ready, draining;
	struct audit_ids audit_ids;
	struct metrics metrics;
	struct offloads offloads;
};

/* The rows served besides the built-in ones; never NULL. */
const struct resource_set *server_resources(const struct server *s);
void watch_end_all(struct server *s);	/* politely, for drain */
void watch_abort_all(struct server *s); /* those that server_free would leave behind */
/* Sends a bookmark to every watch that asked for them and has something new to say. */
void watch_bookmarks(struct server *s);

#define BOOKMARK_MS 60000 /* as upstream's cacher: about a minute */

#endif
