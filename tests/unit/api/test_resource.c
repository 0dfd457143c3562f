/* SPDX-License-Identifier: Apache-2.0 */
#include "api/resource.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/type.h"
#include "base/buf.h"
#include "base/str.h"

static void rows_are_consistent(void **state)
{
	(void)state;
	assert_true(resource_table_len > 60);
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];

		assert_ptr_equal(resource_find(r->group, r->version, r->plural), r);
		assert_ptr_equal(resource_by_kind(r->group, r->version, r->kind), r);
		assert_ptr_equal(kind_find(r->group, r->version, r->kind), r->type);
		assert_non_null(type_field(r->type, "kind"));
		assert_non_null(type_field(r->type, "metadata"));
		assert_int_equal(!!(r->verbs & VERB_LIST), r->list_type != NULL);
		if (r->list_type)
			assert_ptr_equal(type_field(r->list_type, "items")->type, r->type);
		assert_int_equal(r->has_status, resource_subresource(r, "status") != NULL);
		if (r->has_status)
			assert_non_null(type_field(r->type, "status"));
		for (size_t j = 0; j < r->n_subresources; j++)
			assert_non_null(r->subresources[j].type);
		if (r->verbs & VERB_UPDATE)
			assert_non_null(r->storage_prefix);
	}
}

static void every_stored_resource_has_one_storage_version(void **state)
{
	(void)state;
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *r = &resource_table[i];
		int stored = 0, same = 0;

		if (!r->storage_prefix)
			continue;
		for (size_t j = 0; j < resource_table_len; j++) {
			same += str_eq(resource_table[j].storage_prefix, r->storage_prefix);
			stored += str_eq(resource_table[j].storage_prefix, r->storage_prefix) &&
				  resource_table[j].storage_version;
		}
		assert_true(same <= 2);
		assert_int_equal(stored, 1);
	}
}

static void preferred_versions_come_first(void **state)
{
	(void)state;
	assert_string_equal(resource_by_plural("autoscaling", "horizontalpodautoscalers")->version, "v2");
	for (size_t i = 0; i < group_table_len; i++) {
		assert_non_null(group_table[i].versions[0]);
		for (size_t j = 0; j < resource_table_len; j++) {
			if (!str_eq(resource_table[j].group, group_table[i].name))
				continue;
			assert_true(str_in(resource_table[j].version, group_table[i].versions));
		}
	}
}

static void keys(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	resource_key(resource_by_plural("", "pods"), "default", "web-1", &b);
	assert_string_equal(b.data, "/registry/pods/default/web-1");
	buf_clear(&b);
	resource_key(resource_by_plural("", "nodes"), NULL, "n1", &b);
	assert_string_equal(b.data, "/registry/minions/n1");
	buf_clear(&b);
	resource_key(resource_by_plural("", "services"), "a", NULL, &b);
	assert_string_equal(b.data, "/registry/services/specs/a/");
	buf_clear(&b);
	resource_key(resource_by_plural("apps", "deployments"), NULL, NULL, &b);
	assert_string_equal(b.data, "/registry/deployments/");

	assert_string_equal(resource_of_key("/registry/services/specs/a/b")->plural, "services");
	assert_string_equal(resource_of_key("/registry/services/endpoints/a/b")->plural, "endpoints");
	assert_string_equal(resource_of_key("/registry/minions/n1")->plural, "nodes");
	assert_string_equal(resource_of_key("/registry/events/a/b")->group, "");
	assert_string_equal(resource_of_key("/registry/horizontalpodautoscalers/a/b")->version, "v2");
	assert_string_equal(resource_of_key("/registry/apiextensions.k8s.io/customresourcedefinitions/x")->plural,
			    "customresourcedefinitions");
	assert_null(resource_of_key("/registry/example.com/widgets/a/b"));
	assert_null(resource_of_key("/registry/podsx/a/b"));
	assert_null(resource_of_key("/other"));

	buf_clear(&b);
	resource_api_version(resource_by_plural("apps", "deployments"), &b);
	assert_string_equal(b.data, "apps/v1");
	buf_clear(&b);
	resource_api_version(resource_by_plural("", "pods"), &b);
	assert_string_equal(b.data, "v1");
}

static void kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < kind_table_len; i++)
		assert_ptr_equal(kind_find(kind_table[i].group, kind_table[i].version, kind_table[i].kind),
				 kind_table[i].type);
	assert_string_equal(kind_find("apps", "v1", "DeleteOptions")->name,
			    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
	assert_non_null(kind_find("", "v1", "Status"));
	assert_null(kind_find("apps", "v1", "Pod"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_consistent),
	    cmocka_unit_test(every_stored_resource_has_one_storage_version),
	    cmocka_unit_test(preferred_versions_come_first),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
