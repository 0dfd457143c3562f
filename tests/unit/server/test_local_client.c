/* SPDX-License-Identifier: Apache-2.0 */
/* The API in one process: registry, store in memory, local client. No test waits for time; the loop runs until told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "client/client.h"
#include "io/loop.h"
#include "server/registry.h"
#include "server/server.h"
#include "store/store.h"

static struct loop *loop;
static struct store *store;
static struct registry *registry;
static struct client *client;

static int code;
static struct object *got;

static void done(void *arg, const struct status *err, struct object *obj)
{
	(void)arg;
	code = err ? err->code : 0;
	object_unref(got);
	got = obj ? object_ref(obj) : NULL;
	loop_stop(loop);
}

static void call(enum client_verb verb, const char *plural, const char *ns, const char *name, const char *sub,
		 const char *body, const char *patch_type)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = NULL;
	struct json_error bad;
	if (body)
		assert_int_equal(json_parse(&a, body, strlen(body), &tree, &bad), 0);
	struct client_request r = {.verb = verb,
				   .resource = resource_by_plural("", plural),
				   .ns = ns,
				   .name = name,
				   .subresource = sub,
				   .body = tree,
				   .patch_type = patch_type,
				   .done = done};
	code = -1;
	client_do(client, &r);
	assert_int_equal(code, -1); /* never before it returned */
	loop_run(loop);
}

static int setup(void **state)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	char why[128];
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	struct store_config sc = {.loop = loop, .resource_of_key = resource_of_key};
	assert_int_equal(store_open(&sc, &store, why, sizeof(why)), 0);
	struct registry_config rc = {.loop = loop, .store = store, .service_cidr = "10.43.0.0/24"};
	assert_int_equal(registry_new(&rc, &registry, &err), 0);
	client = local_client_new(registry, "system:test", "test");
	call(CLIENT_CREATE, "namespaces", NULL, NULL, NULL, "{\"metadata\":{\"name\":\"default\"}}", NULL);
	assert_int_equal(code, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	object_unref(got);
	got = NULL;
	client_free(client);
	registry_settle(registry);
	registry_free(registry);
	store_close(store);
	loop_free(loop);
	return 0;
}

static void a_write_is_read_back(void **state)
{
	(void)state;
	call(CLIENT_CREATE, "configmaps", "default", NULL, NULL,
	     "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}", NULL);
	assert_int_equal(code, 0);
	uint64_t rev = got->rev;
	call(CLIENT_GET, "configmaps", "default", "a", NULL, NULL, NULL);
	assert_int_equal(code, 0);
	assert_true(got->rev == rev);
	assert_ptr_equal(got, store_get(store, got->key)); /* shared, not copied */
	call(CLIENT_PATCH, "configmaps", "default", "a", NULL, "{\"data\":{\"k\":null,\"l\":\"w\"}}",
	     "application/merge-patch+json");
	assert_int_equal(code, 0);
	assert_true(got->rev > rev);
	call(CLIENT_DELETE, "configmaps", "default", "a", NULL, NULL, NULL);
	assert_int_equal(code, 0);
	call(CLIENT_GET, "configmaps", "default", "a", NULL, NULL, NULL);
	assert_int_equal(code, 404);
}

static void what_fails_says_why(void **state)
{
	(void)state;
	call(CLIENT_CREATE, "configmaps", "nowhere", NULL, NULL, "{\"metadata\":{\"name\":\"a\"}}", NULL);
	assert_int_equal(code, 404);
	call(CLIENT_CREATE, "configmaps", "default", NULL, NULL, "{\"metadata\":{}}", NULL);
	assert_int_equal(code, 422);
	call(CLIENT_CREATE, "pods", "default", NULL, NULL,
	     "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}", NULL);
	assert_int_equal(code, 403); /* no service account */
	call(CLIENT_DELETE, "namespaces", NULL, "default", NULL, NULL, NULL);
	assert_int_equal(code, 403);
}

static void a_namespace_waits_for_its_finalizer(void **state)
{
	(void)state;
	call(CLIENT_CREATE, "namespaces", NULL, NULL, NULL, "{\"metadata\":{\"name\":\"n\"}}", NULL);
	call(CLIENT_DELETE, "namespaces", NULL, "n", NULL, NULL, NULL);
	assert_int_equal(code, 0);
	assert_true(got->deleting);
	call(CLIENT_CREATE, "configmaps", "n", NULL, NULL, "{\"metadata\":{\"name\":\"a\"}}", NULL);
	assert_int_equal(code, 403);
	call(CLIENT_UPDATE, "namespaces", NULL, "n", "finalize", "{\"metadata\":{\"name\":\"n\"},\"spec\":{}}", NULL);
	assert_int_equal(code, 0);
	call(CLIENT_GET, "namespaces", NULL, "n", NULL, NULL, NULL);
	assert_int_equal(code, 404);
}

static char told[64];

static void on_event(void *arg, enum client_event_type type, struct object *obj)
{
	static const char letters[] = {[CLIENT_ADDED] = 'a',
				       [CLIENT_MODIFIED] = 'm',
				       [CLIENT_DELETED] = 'd',
				       [CLIENT_RELIST_BEGIN] = '(',
				       [CLIENT_SYNCED] = ')'};
	size_t n = strlen(told);
	(void)arg;
	assert_int_equal(obj == NULL, type == CLIENT_RELIST_BEGIN || type == CLIENT_SYNCED);
	assert_true(n + 1 < sizeof(told));
	told[n] = letters[type];
	if (type == CLIENT_SYNCED)
		loop_stop(loop);
}

static void a_watch_lists_and_follows(void **state)
{
	(void)state;
	memset(told, 0, sizeof(told));
	call(CLIENT_CREATE, "configmaps", "default", NULL, NULL,
	     "{\"metadata\":{\"name\":\"w1\",\"labels\":{\"w\":\"y\"}}}", NULL);
	call(CLIENT_CREATE, "configmaps", "default", NULL, NULL, "{\"metadata\":{\"name\":\"w2\"}}", NULL);
	struct client_watch_request r = {
	    .resource = resource_by_plural("", "configmaps"), .label_selector = "w=y", .fn = on_event};
	struct client_watch *w = client_watch_start(client, &r);
	loop_run(loop);
	assert_string_equal(told, "(a)");
	call(CLIENT_PATCH, "configmaps", "default", "w2", NULL, "{\"metadata\":{\"labels\":{\"w\":\"y\"}}}",
	     "application/merge-patch+json");
	call(CLIENT_PATCH, "configmaps", "default", "w2", NULL, "{\"data\":{\"x\":\"y\"}}",
	     "application/merge-patch+json");
	call(CLIENT_PATCH, "configmaps", "default", "w1", NULL, "{\"metadata\":{\"labels\":{\"w\":\"z\"}}}",
	     "application/merge-patch+json");
	call(CLIENT_DELETE, "configmaps", "default", "w2", NULL, NULL, NULL);
	assert_string_equal(told, "(a)amdd");
	client_watch_stop(w);
	call(CLIENT_DELETE, "configmaps", "default", "w1", NULL, NULL, NULL);
	assert_string_equal(told, "(a)amdd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_write_is_read_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_fails_says_why, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_namespace_waits_for_its_finalizer, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_watch_lists_and_follows, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
