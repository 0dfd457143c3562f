/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/usable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/resource.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/remote.h"
#include "cmd/cluster.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/tls.h"

#define PEM_MAX (64 * 1024)
#define WAIT_MS 30000 /* it takes milliseconds; beyond this something is broken */

struct usable {
	struct tls_context *tls;
	struct http_client *http;
	struct client *client;
	struct client_watch *watch;
	struct loop_timer *timeout;
	struct loop_defer *finish;
	const char *why;
	void (*done)(void *arg, const char *why);
	void *arg;
};

void usable_cancel(struct usable *u)
{
	if (!u)
		return;
	client_watch_stop(u->watch);
	if (u->client)
		client_free(u->client);
	http_client_free(u->http);
	tls_context_free(u->tls);
	loop_timer_free(u->timeout);
	loop_defer_free(u->finish);
	free(u);
}

static void on_finish(void *arg)
{
	struct usable *u = arg;
	void (*done)(void *arg, const char *why) = u->done;
	void *done_arg = u->arg;
	const char *why = u->why;

	usable_cancel(u);
	done(done_arg, why);
}

static void on_timeout(void *arg)
{
	struct usable *u = arg;

	u->why = "the service account of the default namespace was not created";
	loop_defer_schedule(u->finish);
}

static void on_event(void *arg, enum client_event_type type, struct object *obj)
{
	struct usable *u = arg;

	(void)obj;
	if (type == CLIENT_ADDED || type == CLIENT_MODIFIED)
		loop_defer_schedule(u->finish);
}

static int make_tls(struct cluster *c, struct tls_context **ret)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	static const char *const files[] = {"server/pki/ca.crt", "server/pki/admin.crt", "server/pki/admin.key"};
	struct buf text[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
	char why[256];
	int r = 0;

	for (int i = 0; r == 0 && i < 3; i++)
		r = fs_read(cluster_path(c, c->data_dir, files[i]), PEM_MAX, &text[i]);
	if (r == 0) {
		struct tls_config t = {
		    .ca_pem = text[0].data, .cert_pem = text[1].data, .key_pem = text[2].data, .alpn = alpn};
		r = tls_context_new(&t, ret, why, sizeof(why));
	}
	for (int i = 0; i < 3; i++)
		buf_release(&text[i]);
	return r;
}

struct usable *usable_wait(struct loop *l, struct cluster *c, void (*done)(void *arg, const char *why), void *arg)
{
	struct usable *u = NEW(struct usable);
	const char *address = cluster_url(c) + strlen("https://");
	struct http_client_config hc = {.loop = l,
					.address = address,
					.server_name = arena_strndup(&c->arena, address, strcspn(address, ":")),
					.user_agent = "proa-up"};

	u->done = done;
	u->arg = arg;
	u->finish = loop_defer_new(l, on_finish, u);
	u->timeout = loop_timer_new(l, on_timeout, u);
	if (make_tls(c, &u->tls) < 0) {
		u->why = "the admin certificate cannot be read";
		loop_defer_schedule(u->finish);
		return u;
	}
	hc.tls = u->tls;
	if (http_client_new(&hc, &u->http) < 0) {
		u->why = "the server's address cannot be used";
		loop_defer_schedule(u->finish);
		return u;
	}
	u->client = remote_client_new(l, u->http, "proa-up");
	u->watch = client_watch_start(
	    u->client, &(struct client_watch_request){.resource = resource_by_plural("", "serviceaccounts"),
						      .ns = "default",
						      .field_selector = "metadata.name=default",
						      .fn = on_event,
						      .arg = u});
	loop_timer_start(u->timeout, WAIT_MS);
	return u;
}
