/* SPDX-License-Identifier: Apache-2.0 */
/* A world for controller tests: loop, API, controllers, scheduler, and nodes whose pods are Ready as soon as they are
 * bound. */
#ifndef PROA_TESTS_KUBELET_H
#define PROA_TESTS_KUBELET_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "client/client.h"
#include "client/informer.h"
#include "controllers/controllers.h"
#include "fake_api.h"
#include "scheduler/scheduler.h"
#include "sim.h"

struct world {
	struct loop *loop;
	struct fake_api *api;
	struct informers *informers;
	struct controllers *controllers;
	struct scheduler *scheduler;
	struct client_watch *pods;
	int64_t renewals; /* of leases so far */
	bool hold;	  /* pods stay Pending */
};

void world_start(struct world *w, const struct controllers_config *extra);
void world_stop(struct world *w);
void world_add_node(struct world *w, const char *name, const char *cpu);
/* Time passes, and the nodes whose names don't begin with "dead" renew their leases. */
void world_run(struct world *w, int64_t ms);
size_t world_ready(struct world *w, const char *ns);

#define assert_str(a, b) assert_string_equal(str_or(a, "(null)"), b)

#endif
