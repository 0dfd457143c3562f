/* SPDX-License-Identifier: Apache-2.0 */
#include "api/discovery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

static const struct subresource widget_sub = {.name = "status", .verbs = VERB_GET | VERB_PATCH | VERB_UPDATE};
static const struct resource widget = {
    .group = "example.com",
    .version = "v1alpha1",
    .plural = "widgets",
    .singular = "widget",
    .kind = "Widget",
    .namespaced = true,
    .verbs = VERB_GET | VERB_LIST,
    .subresources = &widget_sub,
    .n_subresources = 1,
    .storage_prefix = "example.com/widgets",
};
static const struct resource *const extra[] = {&widget};
static const struct resource_set set = {.extra = extra, .n_extra = 1};

static struct json *parse(struct arena *a, const struct buf *b)
{
	struct json *v;
	struct json_error err;

	assert_int_equal(json_parse(a, b->data, b->len, &v, &err), 0);
	return v;
}

static struct json *find(const struct json *list, const char *member, const char *value)
{
	JSON_EACH(item, list)
		if (str_eq(json_path_str(item, member), value))
			return item;
	fail_msg("no item with %s %s", member, value);
	return NULL;
}

static void plain(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *v, *item;

	(void)state;
	discovery_core_versions("10.0.0.1:6443", &b);
	v = parse(&a, &b);
	assert_string_equal(json_str(json_at(json_get(v, "versions"), 0)), "v1");

	buf_clear(&b);
	discovery_groups(&set, &b);
	v = parse(&a, &b);
	assert_string_equal(json_path_str(json_at(json_get(v, "groups"), 1), "name"), "apps");
	item = find(json_get(v, "groups"), "name", "autoscaling");
	assert_int_equal(json_len(json_get(item, "versions")), 2);
	assert_string_equal(json_path_str(item, "preferredVersion.groupVersion"), "autoscaling/v2");
	find(json_get(v, "groups"), "name", "example.com");

	buf_clear(&b);
	assert_int_equal(discovery_resources(&set, "", "v1", &b), 0);
	v = parse(&a, &b);
	assert_string_equal(json_path_str(v, "groupVersion"), "v1");
	item = find(json_get(v, "resources"), "name", "pods");
	assert_string_equal(json_path_str(item, "singularName"), "pod");
	assert_int_equal(json_len(json_get(item, "verbs")), 8);
	assert_string_equal(json_str(json_at(json_get(item, "shortNames"), 0)), "po");
	item = find(json_get(v, "resources"), "name", "pods/eviction");
	assert_string_equal(json_path_str(item, "group"), "policy");
	assert_string_equal(json_path_str(item, "kind"), "Eviction");
	item = find(json_get(v, "resources"), "name", "nodes");
	assert_false(json_path_bool(item, "namespaced", true));

	buf_clear(&b);
	assert_int_equal(discovery_resources(&set, "example.com", "v1alpha1", &b), 0);
	find(json_get(parse(&a, &b), "resources"), "name", "widgets/status");

	buf_clear(&b);
	assert_int_equal(discovery_group(&set, "apps", &b), 0);
	assert_string_equal(json_path_str(parse(&a, &b), "kind"), "APIGroup");
	assert_int_equal(discovery_group(&set, "nope", &b), -ENOENT);
	assert_int_equal(discovery_group(&set, "", &b), -ENOENT);
	assert_int_equal(discovery_resources(&set, "apps", "v1beta1", &b), -ENOENT);
	assert_int_equal(discovery_resources(NULL, "example.com", "v1alpha1", &b), -ENOENT);
}

static void aggregated(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	char etag[DISCOVERY_ETAG_MAX], again[DISCOVERY_ETAG_MAX];
	struct json *v, *item;

	(void)state;
	discovery_aggregated(&set, true, "v2", &b);
	v = parse(&a, &b);
	assert_string_equal(json_path_str(v, "apiVersion"), "apidiscovery.k8s.io/v2");
	assert_int_equal(json_len(json_get(v, "items")), 1);
	item = json_at(json_get(json_at(json_get(json_at(json_get(v, "items"), 0), "versions"), 0), "resources"), 0);
	assert_string_equal(json_path_str(item, "resource"), "bindings");

	buf_clear(&b);
	discovery_aggregated(&set, false, "v2beta1", &b);
	discovery_etag(&b, etag);
	v = parse(&a, &b);
	assert_string_equal(json_path_str(v, "apiVersion"), "apidiscovery.k8s.io/v2beta1");
	item = json_at(json_get(find(json_get(v, "items"), "metadata.name", "apps"), "versions"), 0);
	item = find(json_get(item, "resources"), "resource", "deployments");
	assert_string_equal(json_path_str(item, "scope"), "Namespaced");
	assert_string_equal(json_path_str(item, "responseKind.kind"), "Deployment");
	item = find(json_get(item, "subresources"), "subresource", "scale");
	assert_string_equal(json_path_str(item, "responseKind.group"), "autoscaling");
	item = json_at(json_get(find(json_get(v, "items"), "metadata.name", "example.com"), "versions"), 0);
	assert_string_equal(json_path_str(json_at(json_get(item, "resources"), 0), "responseKind.kind"), "Widget");

	buf_clear(&b);
	discovery_aggregated(NULL, false, "v2beta1", &b);
	assert_string_not_equal(discovery_etag(&b, again), etag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(plain), cmocka_unit_test(aggregated)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
