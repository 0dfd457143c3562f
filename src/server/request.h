/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way through the server. Its arena holds everything built for it. It lives until the HTTP side has
 * closed and nobody waits for a write any more: each of them holds a reference (request_ref, request_unref); `gone`
 * says that the peer went away and no answer may be given.
 */
#ifndef PROA_SERVER_REQUEST_H
#define PROA_SERVER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/status.h"
#include "server/auth.h"
#include "server/flow.h"
#include "server/negotiate.h"
#include "server/route.h"

struct audit_record;
struct bytes;
struct http_request;
struct json;
struct object;
struct registry;
struct server;
struct write_result;

struct request {
	struct server *server;
	struct http_request *http;
	struct arena arena;
	unsigned refs;
	bool gone;
	struct list link; /* in the server's list of requests */
	struct route route;
	struct query query;
	struct output out;
	struct user user;
	struct user *impersonator; /* who really sent it; NULL: user himself */
	const char *audit_id;
	struct audit_record *audit; /* NULL: not recorded */
	const char *cache_control;  /* of the answer; NULL: no-cache, private */
	struct flow_ticket ticket;
	void (*on_gone)(struct request *r); /* what to stop when the peer goes (watches, proxies); may be NULL */
	void *state;			    /* of the handler that runs it */
	int64_t started_ns;		    /* monotonic */
};

struct request *request_ref(struct request *r);
void request_unref(struct request *r);

/* What the request wants, as the authorizer is asked; of r->user. */
struct authz_attributes request_attributes(const struct request *r);
/* The same of any user and route, without selectors. */
struct authz_attributes route_attributes(const struct user *user, const struct route *rt);
/* 0, or -1 with a 403 that says who may not do what. */
int request_check_access(struct request *r, const struct authz_attributes *at, struct status *err);

/* ---- answers (reply.c); each does nothing when the peer is gone ---- */
void reply_status(struct request *r, const struct status *err);
/* A tree: complete object with apiVersion and kind, in the negotiated form. */
void reply_tree(struct request *r, int code, struct json *tree);
/* A stored object in the requested version and form. Its bytes are shared where the form allows. */
void reply_object(struct request *r, int code, struct object *obj);
/* Whole body of one type; compressed when it is worth it and the client takes gzip. */
void reply_body(struct request *r, int code, const char *content_type, const char *p, size_t len);
void reply_parts(struct request *r, int code, const char *content_type, struct bytes *const *parts, size_t n);
void reply_text(struct request *r, int code, const char *text);

/* ---- handlers ---- */
void handle_get(struct request *r);
void handle_list(struct request *r);
void handle_watch(struct request *r);
void handle_write(struct request *r);
void handle_proxy(struct request *r);  /* exec, attach, portforward, log, proxy */
bool proxy_is(const struct route *rt); /* is this route handled by handle_proxy? */
/* Discovery, OpenAPI, version, health, metrics: false when the path is not one of them. */
bool handle_path(struct request *r);

#endif
