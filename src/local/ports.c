/* SPDX-License-Identifier: Apache-2.0 */
/* -p: a listener on the host for each port, and a connection to the container for each that it accepts. TCP. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/stream.h"
#include "local/local_internal.h"

#define CONNECTIONS_MAX 4096	 /* of one port */
#define QUEUE_BYTES (256u << 10) /* waiting for one side; beyond, the other is not read */

struct forward {
	struct local_ports *ports;
	int port;
	struct listener *listener;
};

struct local_ports {
	struct local_container *c;
	struct forward at[LOCAL_PORTS_MAX];
	size_t n;
};

/* One connection: [0] is who came, [1] the container. Each stream ends by itself; the pair with the last. */
struct pair {
	struct stream *s[2];
	bool ended[2];
};

struct side {
	struct pair *pair;
	int i;
};

static void on_data(void *arg, const char *data, size_t len)
{
	struct side *a = arg;
	struct stream *to = a->pair->s[!a->i];
	if (!to)
		return;
	stream_write(to, data, len);
	if (stream_queued(to) > QUEUE_BYTES)
		stream_read_stop(a->pair->s[a->i]);
}

static void on_drain(void *arg)
{
	struct side *a = arg;
	if (a->pair->s[!a->i])
		stream_read_start(a->pair->s[!a->i]);
}

static void on_eof(void *arg)
{
	struct side *a = arg;
	if (a->pair->s[!a->i])
		stream_shutdown(a->pair->s[!a->i]);
	a->pair->ended[a->i] = true;
	if (a->pair->ended[!a->i])
		for (int i = 0; i < 2; i++)
			if (a->pair->s[i])
				stream_close(a->pair->s[i]);
}

static void on_close(void *arg, int why)
{
	struct side *a = arg;
	struct pair *p = a->pair;
	(void)why;
	p->s[a->i] = NULL;
	if (p->s[!a->i])
		stream_close(p->s[!a->i]);
	else
		free(p);
	free(a);
}

static void on_connect(void *arg, int result)
{
	struct side *a = arg;
	if (result == 0 && a->pair->s[!a->i])
		stream_read_start(a->pair->s[!a->i]);
	if (result == 0)
		stream_read_start(a->pair->s[a->i]);
}

static const struct stream_events events = {
    .on_connect = on_connect, .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};

static struct side *side_new(struct pair *p, int i)
{
	struct side *a = NEW(struct side);
	*a = (struct side){p, i};
	return a;
}

static void on_accept(void *arg, struct stream *s)
{
	struct forward *f = arg;
	struct pair *p = NEW(struct pair);
	_cleanup_free_ char *address = xasprintf("%s:%d", f->ports->c->record->ip, f->port);
	struct side *to = side_new(p, 1);
	p->s[0] = s;
	stream_set_events(s, &events, side_new(p, 0));
	if (stream_connect(f->ports->c->local->loop, address, NULL, NULL, &events, to, &p->s[1]) < 0) {
		p->s[1] = NULL;
		free(to);
		stream_close(s);
	}
}

void local_ports_close(struct local_ports *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].listener)
			listener_free(p->at[i].listener);
	free(p);
}

int local_ports_open(struct local_container *c, struct local_ports **ret, char *err, size_t err_len)
{
	static const struct listener_limits limits = {.connections_max = CONNECTIONS_MAX};
	struct local_ports *p = NEW(struct local_ports);
	int r = 0;
	p->c = c;
	if (c->record->n_ports && str_empty(c->record->ip))
		r = local_fail(err, err_len, -EINVAL, "ports can be published with --network=bridge only");
	for (size_t i = 0; r == 0 && i < c->record->n_ports; i++) {
		const struct local_port *port = &c->record->ports[i];
		struct forward *f = &p->at[p->n++];
		*f = (struct forward){.ports = p, .port = port->container};
		_cleanup_free_ char *address =
		    xasprintf("%s:%d", *port->host_ip ? port->host_ip : "0.0.0.0", port->host);
		r = listener_new(c->local->loop, address, NULL, &limits, on_accept, f, &f->listener);
		if (r < 0) {
			f->listener = NULL;
			local_fail(err, err_len, r, "port %d of the host: %s", port->host, strerror(-r));
		}
	}
	if (r < 0) {
		local_ports_close(p);
		return r;
	}
	*ret = p;
	return 0;
}
