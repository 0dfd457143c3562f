/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi.h"

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

static const char widget_schema[] =
    "{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{\"size\":{\"type\":\"integer\","
    "\"nullable\":true},\"any\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,\"properties\":{"
    "\"x\":{\"type\":\"string\"}}}},\"oneOf\":[{\"required\":[\"size\"]}]}}}";
static int custom_mark;
static const struct resource widget = {
    .group = "example.com",
    .version = "v1",
    .plural = "widgets",
    .singular = "widget",
    .kind = "Widget",
    .namespaced = true,
    .verbs = VERB_GET | VERB_LIST | VERB_PATCH | VERB_CREATE,
    .storage_prefix = "example.com/widgets",
    .custom = &custom_mark,
};
static const struct resource *const extra[] = {&widget};
static struct json *parsed_schema;
static const struct json *schema_of(const struct resource *r)
{
	assert_ptr_equal(r, &widget);
	return parsed_schema;
}
static const struct resource_set set = {.extra = extra, .n_extra = 1, .schema = schema_of};

static struct json *parse(struct arena *a, const struct buf *b)
{
	struct json *v;
	struct json_error err;

	if (json_parse(a, b->data, b->len, &v, &err) < 0)
		fail_msg("%s at %zu", err.message, err.offset);
	return v;
}

/* Every $ref of v must name a member of schemas. */
static void check_refs(const struct json *v, const struct json *schemas, const char *prefix, size_t *n)
{
	JSON_EACH(c, v) {
		const char *name;

		if (!str_eq(c->key, "$ref") ||
		    c->type != JSON_STRING) { /* a JSONSchemaProps has a field of that name */
			check_refs(c, schemas, prefix, n);
			continue;
		}
		name = str_after(json_str(c), prefix);
		if (!name || !json_get(schemas, name))
			fail_msg("%s leads nowhere", json_str(c));
		++*n;
	}
}

static void v3_documents(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < group_table_len; i++)
		for (const char *const *ver = group_table[i].versions; *ver; ver++) {
			_cleanup_arena_ struct arena a = ARENA_INIT;
			struct json *v;
			size_t n = 0;

			buf_clear(&b);
			assert_int_equal(openapi_v3_document(&set, group_table[i].name, *ver, &b), 0);
			v = parse(&a, &b);
			check_refs(v, json_path(v, "components.schemas"), "#/components/schemas/", &n);
			assert_true(n > 10);
		}
	assert_int_equal(openapi_v3_document(&set, "apps", "v9", &b), -ENOENT);
}

/* What kubectl 1.32 looks for before it sends fieldValidation, and what explain prints. */
static void what_kubectl_reads(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct json *v, *patch, *schema;
	bool found = false;

	(void)state;
	assert_int_equal(openapi_v3_document(NULL, "apps", "v1", &b), 0);
	v = parse(&a, &b);
	patch = json_get(json_get(json_get(v, "paths"), "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"),
			 "patch");
	assert_string_equal(json_path_str(patch, "operationId"), "patchAppsV1NamespacedDeployment");
	assert_string_equal(json_path_str(json_get(patch, "x-kubernetes-group-version-kind"), "kind"), "Deployment");
	JSON_EACH(p, json_get(patch, "parameters"))
		found |= str_eq(json_path_str(p, "name"), "fieldValidation");
	assert_true(found);
	schema = json_get(json_path(v, "components.schemas"), "io.k8s.api.apps.v1.Deployment");
	assert_non_null(json_path(schema, "properties.apiVersion"));
	assert_string_equal(json_path_str(json_at(json_get(schema, "x-kubernetes-group-version-kind"), 0), "group"),
			    "apps");
	schema = json_get(json_path(v, "components.schemas"), "io.k8s.api.core.v1.PodSpec");
	schema = json_path(schema, "properties.containers");
	assert_string_equal(json_str(json_get(schema, "x-kubernetes-list-type")), "map");
	assert_string_equal(json_str(json_get(schema, "x-kubernetes-patch-merge-key")), "name");
}

static void custom_resources(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct json *v, *schema;
	struct json_error err;
	size_t n = 0;

	(void)state;
	assert_int_equal(json_parse(&a, widget_schema, strlen(widget_schema), &parsed_schema, &err), 0);
	assert_int_equal(openapi_v3_document(&set, "example.com", "v1", &b), 0);
	v = parse(&a, &b);
	schema = json_get(json_path(v, "components.schemas"), "com.example.v1.Widget");
	assert_string_equal(json_path_str(schema, "properties.spec.properties.any.properties.x.type"), "string");
	assert_non_null(json_path(schema, "properties.metadata"));
	assert_non_null(json_path(schema, "properties.spec.oneOf"));

	buf_clear(&b);
	openapi_v2(&set, &b);
	v = parse(&a, &b);
	check_refs(v, json_get(v, "definitions"), "#/definitions/", &n);
	schema = json_get(json_get(v, "definitions"), "com.example.v1.Widget");
	assert_null(json_path(schema, "properties.spec.oneOf"));
	assert_null(json_path(schema, "properties.spec.properties.size.type"));
	assert_null(json_path(schema, "properties.spec.properties.any.properties"));
	assert_true(json_bool(
	    json_get(json_path(schema, "properties.spec.properties.any"), "x-kubernetes-preserve-unknown-fields"),
	    false));
	assert_non_null(json_get(json_get(v, "paths"), "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"));
	parsed_schema = NULL;
}

static void index_changes_with_content(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT, again = BUF_INIT;
	const struct json *v;
	struct json_error err;
	static const char *const changed = "{\"type\":\"object\"}";

	(void)state;
	openapi_v3_index(&set, &b);
	v = parse(&a, &b);
	v = json_get(json_get(json_get(v, "paths"), "api/v1"), "serverRelativeURL");
	assert_true(str_has_prefix(json_str(v), "/openapi/v3/api/v1?hash="));
	openapi_v3_index(&set, &again);
	assert_string_equal(b.data, again.data);
	assert_int_equal(json_parse(&a, changed, strlen(changed), &parsed_schema, &err), 0);
	buf_clear(&again);
	openapi_v3_index(&set, &again);
	assert_string_not_equal(b.data, again.data);
	parsed_schema = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(v3_documents),
	    cmocka_unit_test(what_kubectl_reads),
	    cmocka_unit_test(custom_resources),
	    cmocka_unit_test(index_changes_with_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
