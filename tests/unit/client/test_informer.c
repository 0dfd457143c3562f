/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "client/client.h"
#include "client/informer.h"
#include "fake_api.h"
#include "sim.h"

struct seen {
	char log[400];
};

static void note(struct seen *s, const char *what, const struct object *o)
{
	snprintf(s->log + strlen(s->log), sizeof(s->log) - strlen(s->log), "%s%s ", what, o ? o->name : "");
}

static void on_add(void *arg, struct object *o)
{
	note(arg, "+", o);
}

static void on_update(void *arg, struct object *old, struct object *o)
{
	assert_ptr_not_equal(old, o);
	note(arg, "~", o);
}

static void on_delete(void *arg, struct object *o)
{
	note(arg, "-", o);
}

static void on_synced(void *arg)
{
	note(arg, "synced", NULL);
}

static struct informer_handlers handlers(struct seen *s)
{
	return (struct informer_handlers){on_add, on_update, on_delete, on_synced, s};
}

static void tells_everybody_everything(void **state)
{
	(void)state;
	struct loop *l = sim_new(1);
	struct fake_api *api = fake_api_new(l);
	fake_api_create(api, "ConfigMap", "{'metadata':{'name':'a','namespace':'x'}}");
	struct informer *i = informer_new(
	    fake_api_client(api), &(struct client_watch_request){.resource = resource_by_plural("", "configmaps")});
	struct seen early = {0}, late = {0};
	struct informer_handlers h = handlers(&early);
	informer_add_handlers(i, &h);
	sim_settle(l);
	assert_true(informer_synced(i));
	assert_string_equal(early.log, "+a synced ");
	fake_api_create(api, "ConfigMap", "{'metadata':{'name':'b','namespace':'y'}}");
	fake_api_patch(api, "ConfigMap", "x", "a", "{'data':{'k':'v'}}");
	sim_settle(l);
	assert_string_equal(early.log, "+a synced +b ~a ");
	h = handlers(&late);
	informer_add_handlers(i, &h);
	assert_string_equal(late.log, "");
	sim_settle(l);
	assert_true(strcmp(late.log, "+a +b synced ") == 0 || strcmp(late.log, "+b +a synced ") == 0);
	fake_api_delete(api, "ConfigMap", "y", "b", NULL);
	sim_settle(l);
	assert_string_equal(early.log, "+a synced +b ~a -b ");
	informer_remove_handlers(i, &early);
	fake_api_delete(api, "ConfigMap", "x", "a", NULL);
	sim_settle(l);
	assert_string_equal(early.log, "+a synced +b ~a -b ");
	assert_int_equal(informer_count(i), 0);
	informer_free(i);
	fake_api_free(api);
	sim_free(l);
}

static void finds_by_index(void **state)
{
	(void)state;
	struct loop *l = sim_new(1);
	struct fake_api *api = fake_api_new(l);
	struct informer *i = informer_new(fake_api_client(api),
					  &(struct client_watch_request){.resource = resource_by_plural("", "pods")});
	fake_api_create(api, "Pod", "{'metadata':{'name':'a','namespace':'x'},'spec':{'nodeName':'n1'}}");
	fake_api_create(api, "Pod", "{'metadata':{'name':'b','namespace':'x'},'spec':{'nodeName':'n2'}}");
	fake_api_create(api, "Pod", "{'metadata':{'name':'c','namespace':'y'},'spec':{'nodeName':'n1'}}");
	sim_settle(l);
	informer_add_index(i, index_node_name); /* late: what is there is indexed too */
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_int_equal(informer_by_index(i, &a, index_node_name, "n1").n, 2);
	assert_int_equal(informer_by_index(i, &a, index_namespace, "x").n, 2);
	assert_int_equal(informer_by_index(i, &a, index_namespace, "zzz").n, 0);
	fake_api_patch(api, "Pod", "x", "a", "{'spec':{'nodeName':'n2'}}");
	sim_settle(l);
	assert_int_equal(informer_index_count(i, index_node_name, "n1"), 1);
	assert_int_equal(informer_index_count(i, index_node_name, "n2"), 2);
	assert_non_null(informer_get(i, "x", "a"));
	assert_ptr_equal(informer_get(i, "x", "a"), informer_get_key(i, "x/a"));
	assert_null(informer_get(i, "y", "a"));
	informer_free(i);
	fake_api_free(api);
	sim_free(l);
}

/* A source of events under the test's hand, to relist. */
struct source {
	struct client client;
	struct client_watch watch;
	struct client_watch_request r;
};

static struct client_watch *source_start(struct client *c, const struct client_watch_request *r)
{
	struct source *s = (struct source *)c;
	s->r = *r;
	s->watch.client = c;
	return &s->watch;
}

static void source_stop(struct client_watch *w)
{
	(void)w;
}

static const struct client_ops source_ops = {.watch_start = source_start, .watch_stop = source_stop};

static struct object *map(const char *name, const char *uid, uint64_t rev)
{
	_cleanup_free_ char *json =
	    xasprintf("{\"metadata\":{\"name\":\"%s\",\"namespace\":\"x\",\"uid\":\"%s\"}}", name, uid);
	struct bytes *b = bytes_new(json, strlen(json));
	struct object *o = object_new(resource_by_plural("", "configmaps"), "", rev, b);
	bytes_unref(b);
	return o;
}

static void give(struct source *s, enum client_event_type type, struct object *o)
{
	s->r.fn(s->r.arg, type, o);
	object_unref(o);
}

static void a_new_list_replaces_the_old(void **state)
{
	(void)state;
	struct loop *l = sim_new(1);
	struct source s = {.client = {.ops = &source_ops, .loop = l}};
	struct informer *i =
	    informer_new(&s.client, &(struct client_watch_request){.resource = resource_by_plural("", "configmaps")});
	struct seen seen = {0};
	struct informer_handlers h = handlers(&seen);
	informer_add_handlers(i, &h);
	give(&s, CLIENT_RELIST_BEGIN, NULL);
	give(&s, CLIENT_ADDED, map("same", "1", 1));
	give(&s, CLIENT_ADDED, map("changed", "2", 2));
	give(&s, CLIENT_ADDED, map("gone", "3", 3));
	give(&s, CLIENT_ADDED, map("reborn", "4", 4));
	give(&s, CLIENT_SYNCED, NULL);
	seen.log[0] = '\0';
	give(&s, CLIENT_RELIST_BEGIN, NULL);
	give(&s, CLIENT_ADDED, map("same", "1", 1));
	give(&s, CLIENT_ADDED, map("changed", "2", 12));
	give(&s, CLIENT_ADDED, map("reborn", "5", 15));
	give(&s, CLIENT_SYNCED, NULL);
	assert_string_equal(seen.log, "~changed -reborn +reborn -gone ");
	informer_free(i);
	sim_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_everybody_everything),
	    cmocka_unit_test(finds_by_index),
	    cmocka_unit_test(a_new_list_replaces_the_old),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
