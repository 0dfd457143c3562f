/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <stddef.h>

void client_do(struct client *c, const struct client_request *r)
{
	c->ops->request(c, r);
}

struct client_watch *client_watch_start(struct client *c, const struct client_watch_request *r)
{
	return c->ops->watch_start(c, r);
}

void client_watch_stop(struct client_watch *w)
{
	if (w)
		w->client->ops->watch_stop(w);
}

struct loop *client_loop(const struct client *c)
{
	return c->loop;
}

void client_free(struct client *c)
{
	if (c)
		c->ops->free(c);
}
