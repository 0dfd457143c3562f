/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What controllers, scheduler and node agent see of the API: the same interface over the server in the same process
 * (src/server/local_client.c) or over HTTPS (client/remote.c). Requests are asynchronous; callbacks come in a later
 * turn of the loop, never before the call returned. Objects are shared, immutable; err is set on failure only.
 */
#ifndef PROA_CLIENT_CLIENT_H
#define PROA_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct client_watch;
struct json;
struct loop;
struct object;
struct resource;
struct status;

typedef void (*client_fn)(void *arg, const struct status *err, struct object *obj);

enum client_verb { CLIENT_GET, CLIENT_CREATE, CLIENT_UPDATE, CLIENT_PATCH, CLIENT_DELETE };

struct client_request {
	enum client_verb verb;
	const struct resource *resource;
	const char *ns, *name;
	const char *subresource;   /* "status", "binding", "token", …; NULL: none */
	const struct json *body;   /* object for create and update, patch document, DeleteOptions */
	const char *patch_type;	   /* "application/merge-patch+json", … ; apply: "application/apply-patch+yaml" */
	const char *field_manager; /* NULL: the client's user agent */
	bool force;		   /* apply */
	client_fn done;		   /* may be NULL */
	void *arg;
};

/* The body is serialised or copied before this returns. */
void client_do(struct client *c, const struct client_request *r);

/*
 * A list followed by a watch that is kept up by itself: reconnects, resumes at the last revision, lists again after
 * 410. This is the only way to observe; informers are built on it.
 */
enum client_event_type { CLIENT_ADDED, CLIENT_MODIFIED, CLIENT_DELETED, CLIENT_RELIST_BEGIN, CLIENT_SYNCED };
struct client_watch_request {
	const struct resource *resource;
	const char *ns;		    /* NULL: all */
	const char *field_selector; /* "spec.nodeName=a", NULL: all */
	const char *label_selector;
	/* RELIST_BEGIN (obj NULL), then ADDED for each listed object, then SYNCED (obj NULL), then live changes. */
	void (*fn)(void *arg, enum client_event_type type, struct object *obj);
	void *arg;
};
struct client_watch *client_watch_start(struct client *c, const struct client_watch_request *r);
void client_watch_stop(struct client_watch *w); /* NULL-safe; no callback follows */

struct loop *client_loop(const struct client *c);
void client_free(struct client *c);

/* ---- the ops behind it ---- */
struct client_ops {
	void (*request)(struct client *c, const struct client_request *r);
	struct client_watch *(*watch_start)(struct client *c, const struct client_watch_request *r);
	void (*watch_stop)(struct client_watch *w);
	void (*free)(struct client *c);
};
struct client { /* embedded first in each implementation */
	const struct client_ops *ops;
	struct loop *loop;
	const char *user_agent;
};
struct client_watch { /* likewise */
	struct client *client;
};

#endif
