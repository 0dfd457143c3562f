/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server alone, over plain HTTP on loopback, everybody allowed: for tests of the API that need no cluster.
 *	apiserver ADDRESS:PORT [DATA-DIR]
 * Prints its address when it is ready and ends at SIGTERM; gives freed memory back at SIGHUP.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resource.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/registry.h"
#include "server/server.h"
#include "store/store.h"

struct process {
	struct loop *loop;
	struct server *server;
	struct loop_signal *signals[3];
};

static void drained(void *arg)
{
	struct process *p = arg;
	loop_stop(p->loop);
}

static void on_signal(void *arg)
{
	struct process *p = arg;
	server_drain(p->server, 1000, drained, p);
}

/* What `proa server` does every minute, when a test wants to know what is left. */
static void on_hangup(void *arg)
{
	(void)arg;
	malloc_trim(0);
}

static void bootstrapped(void *arg, const struct status *err)
{
	struct process *p = arg;
	if (err) {
		log_error("bootstrap failed error=%s", str_or(err->message, ""));
		exit(1);
	}
	server_set_ready(p->server, true);
	printf("%s\n", server_address(p->server));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct process p = {0};
	struct store *store;
	struct registry *registry;
	char why[256];
	if (argc < 2) {
		fprintf(stderr, "usage: apiserver ADDRESS:PORT [DATA-DIR]\n");
		return 2;
	}
	log_init("apiserver");
	signal(SIGPIPE, SIG_IGN);
	if (loop_new(&p.loop) < 0)
		return 1;
	struct store_config sc = {.loop = p.loop, .dir = argc > 2 ? argv[2] : NULL, .resource_of_key = resource_of_key};
	if (store_open(&sc, &store, why, sizeof(why)) < 0) {
		fprintf(stderr, "store: %s\n", why);
		return 1;
	}
	struct registry_config rc = {.loop = p.loop, .store = store, .service_cidr = "10.43.0.0/16"};
	struct server_config c = {.loop = p.loop,
				  .store = store,
				  .address = argv[1],
				  .advertise_address =
				      "192.0.2.1", /* endpoints may not be on loopback; nobody connects */
				  .advertise_port = 6443};
	if (registry_new(&rc, &registry, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	c.registry = registry;
	if (server_new(&c, &p.server, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	p.signals[0] = loop_signal_new(p.loop, SIGTERM, on_signal, &p);
	p.signals[1] = loop_signal_new(p.loop, SIGINT, on_signal, &p);
	p.signals[2] = loop_signal_new(p.loop, SIGHUP, on_hangup, &p);
	server_bootstrap(p.server, bootstrapped, &p);
	loop_run(p.loop);
	registry_settle(registry);
	server_free(p.server);
	registry_free(registry);
	store_close(store);
	loop_signal_free(p.signals[0]);
	loop_signal_free(p.signals[1]);
	loop_signal_free(p.signals[2]);
	loop_free(p.loop);
	return 0;
}
