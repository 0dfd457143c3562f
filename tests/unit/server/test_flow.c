/* SPDX-License-Identifier: Apache-2.0 */
/* Priority and fairness over a store in memory, on a loop whose time the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../store/fake_loop.h"
#include "api/default.h"
#include "api/meta.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/auth.h"
#include "server/flow.h"
#include "server/flow_objects.h"
#include "store/store.h"

static struct store *store;
static struct flow *flow;
static unsigned n_run;
static int64_t now_monotonic, cost_ns; /* of running one request */
static struct env_ops fake_env;

static int64_t monotonic(void)
{
	return now_monotonic;
}

static void written(void *arg, enum store_error e, struct object *obj)
{
	(void)arg;
	(void)obj;
	assert_int_equal(e, STORE_OK);
}

static void put(void *arg, const char *plural, bool mandatory, struct json *object)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	const struct resource *row = resource_by_plural("flowcontrol.apiserver.k8s.io", plural);
	struct arena *a = arg;
	(void)mandatory;
	default_object(a, row, object);
	json_set_str(a, json_get(object, "metadata"), "uid", meta_name(object));
	resource_key(row, NULL, meta_name(object), &key);
	struct store_write w = {.key = buf_str(&key),
				.resource = row,
				.tree = object,
				.create = !store_get(store, buf_str(&key)),
				.done = written};
	assert_int_equal(store_write(store, &w), STORE_OK);
	fake_settle();
}

static void put_text(const char *plural, const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *object;
	assert_int_equal(json_parse(&a, text, strlen(text), &object, NULL), 0);
	put(&a, plural, false, object);
}

static int set_up(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char why[64];
	(void)state;
	fake_env = env_real;
	fake_env.monotonic_ns = monotonic;
	env = &fake_env;
	cost_ns = 1000;
	n_run = 0;
	assert_int_equal(store_open(&(struct store_config){.loop = fake_loop(), .resource_of_key = resource_of_key},
				    &store, why, sizeof(why)),
			 0);
	flow = flow_new(fake_loop(), store);
	flow_objects_each(&a, put, &a);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	flow_free(flow);
	store_close(store);
	env = &env_real;
	return 0;
}

/* ---- requests ---- */

struct call {
	struct flow_ticket ticket;
	unsigned order; /* 0: has not run */
	bool refused;
	enum flow_answer answer;
};

static void run(void *arg)
{
	struct call *c = arg;
	c->order = ++n_run;
	now_monotonic += cost_ns;
}

static void refused(void *arg)
{
	((struct call *)arg)->refused = true;
}

static enum flow_answer ask_for(struct call *c, const char *user, const char *group, const char *verb,
				const char *resource, const char *ns, unsigned seats)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	*c = (struct call){.ticket = {.run = run, .refuse = refused, .arg = c}};
	struct flow_request r = {.user = user_new(&a, user, GROUP_AUTHENTICATED, group, NULL),
				 .verb = verb,
				 .group = "",
				 .resource = resource,
				 .ns = ns,
				 .path = *resource ? "" : "/healthz",
				 .resource_request = *resource,
				 .seats = seats};
	c->answer = flow_admit(flow, &r, &c->ticket);
	if (c->answer == FLOW_RUN) {
		run(c);
		flow_spent(flow, cost_ns);
	}
	return c->answer;
}

static enum flow_answer ask(struct call *c, const char *user)
{
	return ask_for(c, user, NULL, "get", "pods", "default", 1);
}

static void next_turn(void)
{
	fake_pass(1);
	fake_wakes();
	fake_settle();
}

static void schemas_choose_the_level(void **state)
{
	struct call c;
	(void)state;
	static const struct {
		const char *user, *group, *verb, *resource, *schema, *level;
	} cases[] = {
	    {"root", GROUP_MASTERS, "get", "pods", "exempt", "exempt"},
	    {"jane", NULL, "get", "", "probes", "exempt"},
	    {"jane", NULL, "post", "", "global-default", "global-default"},
	    {"jane", NULL, "get", "pods", "global-default", "global-default"},
	    {"system:node:n1", "system:nodes", "patch", "nodes/status", "system-node-high", "node-high"},
	    {"system:node:n1", "system:nodes", "get", "pods", "system-nodes", "system"},
	    {"system:kube-scheduler", NULL, "list", "pods", "kube-scheduler", "workload-high"},
	    {"system:serviceaccount:kube-system:x", "system:serviceaccounts", "get", "pods",
	     "kube-system-service-accounts", "workload-high"},
	    {"system:serviceaccount:kube-systemx:x", "system:serviceaccounts", "get", "pods", "service-accounts",
	     "workload-low"},
	    {"system:serviceaccount:kube-system:endpoint-controller", NULL, "update", "endpoints",
	     "endpoint-controller", "workload-high"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
		    ask_for(&c, cases[i].user, cases[i].group, cases[i].verb, cases[i].resource, "default", 1),
		    FLOW_RUN);
		assert_string_equal(c.ticket.schema_uid, cases[i].schema);
		assert_string_equal(c.ticket.level_uid, cases[i].level);
		flow_done(&c.ticket);
	}
}

#define LEVEL(name, more)                                                                                              \
	"{\"apiVersion\":\"flowcontrol.apiserver.k8s.io/v1\",\"kind\":\"PriorityLevelConfiguration\",\"metadata\":{"   \
	"\"name\":\"" name "\"},\"spec\":{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":1,"           \
	"\"borrowingLimitPercent\":0," more "}}}"
#define SCHEMA(level, by)                                                                                              \
	"{\"apiVersion\":\"flowcontrol.apiserver.k8s.io/"                                                              \
	"v1\",\"kind\":\"FlowSchema\",\"metadata\":{\"name\":\"mine\"},"                                               \
	"\"spec\":{\"matchingPrecedence\":10,\"priorityLevelConfiguration\":{\"name\":\"" level "\"},"                 \
	"\"distinguisherMethod\":{\"type\":\"" by "\"},\"rules\":[{\"subjects\":[{\"kind\":\"Group\",\"group\":{"      \
	"\"name\":\"system:authenticated\"}}],\"resourceRules\":[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],"            \
	"\"resources\":[\"*\"],\"namespaces\":[\"*\"]}]}]}}"

/* One share of 246 of 600 seats: three. */
#define SEATS 3

static void a_level_that_rejects(void **state)
{
	struct call c[SEATS + 1];
	(void)state;
	put_text("prioritylevelconfigurations", LEVEL("small", "\"limitResponse\":{\"type\":\"Reject\"}"));
	put_text("flowschemas", SCHEMA("small", "ByUser"));
	for (int i = 0; i < SEATS; i++)
		assert_int_equal(ask(&c[i], "jane"), FLOW_RUN);
	assert_int_equal(ask(&c[SEATS], "jane"), FLOW_REFUSED);
	flow_done(&c[0].ticket);
	flow_done(&c[0].ticket); /* twice frees one seat only */
	assert_int_equal(ask(&c[0], "jane"), FLOW_RUN);
	assert_int_equal(ask(&c[SEATS], "jane"), FLOW_REFUSED);
	for (int i = 0; i < SEATS; i++)
		flow_done(&c[i].ticket);
	/* A list counts for more, and runs all the same when it is wider than the level. */
	assert_int_equal(ask_for(&c[0], "jane", NULL, "list", "pods", "default", 10), FLOW_RUN);
	assert_int_equal(ask(&c[1], "jane"), FLOW_REFUSED);
	flow_done(&c[0].ticket);
}

static void small_queues(const char *by)
{
	if (str_eq(by, "ByUser"))
		put_text("flowschemas", SCHEMA("small", "ByUser"));
	else
		put_text("flowschemas", SCHEMA("small", "ByNamespace"));
	put_text("prioritylevelconfigurations",
		 LEVEL("small", "\"limitResponse\":{\"type\":\"Queue\",\"queuing\":{\"queues\":64,\"handSize\":1,"
				"\"queueLengthLimit\":20}}"));
}

static void a_flood_waits_behind_others(void **state)
{
	static struct call flood[60], quiet;
	int full = 0;
	(void)state;
	small_queues("ByUser");
	for (int i = 0; i < 60; i++)
		full += ask(&flood[i], "flood") == FLOW_REFUSED;
	assert_int_equal(full, 60 - SEATS - 20);
	/* Find a user who is dealt another queue: nearly all are. */
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof(name), "quiet-%d", i);
		if (ask(&quiet, name) == FLOW_WAIT)
			break;
	}
	assert_int_equal(quiet.answer, FLOW_WAIT);
	unsigned before = n_run;
	for (int i = 0; i < SEATS; i++) {
		flow_done(&flood[i].ticket);
		next_turn();
	}
	/* It came last, but is not behind the twenty of the flood. */
	assert_true(quiet.order > 0 && quiet.order <= before + 2);
	flow_done(&quiet.ticket);
	for (int i = 0; i < 60; i++) {
		flow_done(&flood[i].ticket);
		next_turn();
	}
	for (int i = 0; i < 60; i++)
		assert_true(flood[i].order || flood[i].answer == FLOW_REFUSED);
}

static void waiting_ends(void **state)
{
	static struct call c[SEATS + 3];
	(void)state;
	small_queues("ByNamespace");
	for (int i = 0; i < SEATS + 3; i++)
		ask(&c[i], "jane");
	assert_int_equal(c[SEATS].answer, FLOW_WAIT);
	flow_done(&c[SEATS].ticket); /* its client went away */
	fake_pass(FLOW_WAIT_MS_MAX - 1);
	fake_settle();
	assert_false(c[SEATS + 1].refused);
	next_turn();
	assert_false(c[SEATS].refused);
	assert_true(c[SEATS + 1].refused && c[SEATS + 2].refused);
	for (int i = 0; i < SEATS + 3; i++)
		flow_done(&c[i].ticket);
	assert_int_equal(c[SEATS + 1].order, 0);
}

static void seats_are_lent(void **state)
{
	static struct call c[FLOW_SEATS];
	int running = 0;
	(void)state;
	/* 20 shares of 245 are 49 seats; the others lend some 300 more, and keep the rest. */
	for (int i = 0; i < FLOW_SEATS; i++)
		running += ask(&c[i], "jane") == FLOW_RUN;
	assert_in_range(running, 300, FLOW_SEATS - 100);
	struct call node;
	assert_int_equal(ask_for(&node, "system:node:n1", "system:nodes", "get", "pods", "default", 1), FLOW_RUN);
	flow_done(&node.ticket);
	for (int i = 0; i < FLOW_SEATS; i++)
		flow_done(&c[i].ticket);
}

static void a_turn_has_an_end(void **state)
{
	static struct call flood[30], other;
	int now = 0;
	(void)state;
	cost_ns = FLOW_TURN_US * 1000 / 4;
	for (int i = 0; i < 30; i++)
		now += ask(&flood[i], "jane") == FLOW_RUN;
	assert_int_equal(now, 4);
	assert_int_equal(ask_for(&other, "system:node:n1", "system:nodes", "get", "pods", "default", 1), FLOW_WAIT);
	next_turn();
	assert_in_range(other.order, 5, 8); /* levels take turns */
	for (int i = 0; i < 20; i++) {
		next_turn();
	}
	for (int i = 0; i < 30; i++) {
		assert_true(flood[i].order);
		flow_done(&flood[i].ticket);
	}
	flow_done(&other.ticket);
}

static void a_level_goes_while_it_is_used(void **state)
{
	struct call c[SEATS + 1];
	(void)state;
	small_queues("ByUser");
	for (int i = 0; i < SEATS + 1; i++)
		ask(&c[i], "jane");
	assert_int_equal(c[SEATS].answer, FLOW_WAIT);
	_cleanup_buf_ struct buf key = BUF_INIT;
	const struct resource *row = resource_by_plural("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations");
	resource_key(row, NULL, "small", &key);
	store_write(store, &(struct store_write){.key = buf_str(&key), .resource = row, .done = written});
	fake_settle();
	struct call after;
	assert_int_equal(ask(&after, "jane"), FLOW_RUN);
	assert_string_equal(after.ticket.level_uid, "global-default");
	flow_done(&after.ticket);
	for (int i = 0; i < SEATS; i++)
		flow_done(&c[i].ticket);
	next_turn();
	assert_true(c[SEATS].order);
	flow_done(&c[SEATS].ticket);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(schemas_choose_the_level), T(a_level_that_rejects), T(a_flood_waits_behind_others),   T(waiting_ends),
	    T(seats_are_lent),		 T(a_turn_has_an_end),	  T(a_level_goes_while_it_is_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
