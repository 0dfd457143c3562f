/* SPDX-License-Identifier: Apache-2.0 */
/* Walks every generated type and holds what the codecs, patches and apply rely on. */
#include "api/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#define FIELD_NUMBER_MAX ((1u << 29) - 1) /* protobuf's largest */

static void fail_field(const struct type *t, const struct field *f, const char *why)
{
	fail_msg("%s.%s: %s", t->name, f->name, why);
}

static void types_are_sorted_and_found(void **state)
{
	(void)state;
	assert_true(type_table_len > 600);
	for (size_t i = 0; i < type_table_len; i++) {
		if (i > 0)
			assert_true(strcmp(type_table[i - 1]->name, type_table[i]->name) < 0);
		assert_ptr_equal(type_find(type_table[i]->name), type_table[i]);
	}
	assert_null(type_find("io.k8s.api.core.v1.Podd"));
	assert_null(type_find(""));
}

static void fields_are_consistent(void **state)
{
	(void)state;
	for (size_t i = 0; i < type_table_len; i++) {
		const struct type *t = type_table[i];

		for (uint32_t j = 0; j < t->n_fields; j++) {
			const struct field *f = &t->fields[j];

			if ((f->kind == FIELD_STRUCT) && !f->type)
				fail_field(t, f, "struct without a type");
			if (f->type && f->kind != FIELD_STRUCT && f->kind != FIELD_JSON)
				fail_field(t, f, "type on a scalar");
			if (!f->embedded != !!*f->name)
				fail_field(t, f, "a field has a name, an inlined struct none");
			if (f->number > FIELD_NUMBER_MAX)
				fail_field(t, f, "number");
			if (f->list_type != LIST_ATOMIC && f->shape != SHAPE_LIST)
				fail_field(t, f, "list type on what is no list");
			if ((f->list_type == LIST_MAP) != (f->list_keys != NULL))
				fail_field(t, f, "list map and keys go together");
			for (uint32_t k = 0; k < j; k++)
				if ((f->number && t->fields[k].number == f->number) ||
				    (*f->name && str_eq(t->fields[k].name, f->name)))
					fail_field(t, f, "number or name used twice");
		}
	}
}

static void keys_exist_in_elements(void **state)
{
	(void)state;
	for (size_t i = 0; i < type_table_len; i++) {
		const struct type *t = type_table[i];

		for (uint32_t j = 0; j < t->n_fields; j++) {
			const struct field *f = &t->fields[j];

			if (f->patch_merge_key && !type_field(f->type, f->patch_merge_key))
				fail_field(t, f, "merge key not in the element");
			for (size_t k = 0; f->list_keys && f->list_keys[k]; k++)
				if (!type_field(f->type, f->list_keys[k]))
					fail_field(t, f, "map key not in the element");
		}
	}
}

static void defaults_are_json(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < type_table_len; i++)
		for (uint32_t j = 0; j < type_table[i]->n_fields; j++) {
			const char *text = type_table[i]->fields[j].default_json;
			_cleanup_arena_ struct arena a = ARENA_INIT;
			struct json *v;
			struct json_error err;

			if (text && json_parse(&a, text, strlen(text), &v, &err) < 0)
				fail_field(type_table[i], &type_table[i]->fields[j], err.message);
			n += text != NULL;
		}
	assert_true(n > 10);
}

/* A few facts from the public API reference, so that a generator that goes wrong everywhere is noticed. */
static void known_facts(void **state)
{
	const struct type *spec = type_find("io.k8s.api.core.v1.PodSpec");
	const struct field *f;

	(void)state;
	assert_non_null(spec);
	f = type_field(spec, "containers");
	assert_int_equal(f->number, 2);
	assert_int_equal(f->list_type, LIST_MAP);
	assert_string_equal(f->list_keys[0], "name");
	assert_string_equal(f->patch_merge_key, "name");
	assert_true(f->patch_merge && f->required);
	assert_ptr_equal(f->type, type_find("io.k8s.api.core.v1.Container"));
	f = type_field(type_find("io.k8s.api.core.v1.Container"), "ports");
	assert_string_equal(f->patch_merge_key, "containerPort");
	assert_string_equal(f->list_keys[0], "containerPort");
	assert_string_equal(f->list_keys[1], "protocol");
	assert_string_equal(type_field(f->type, "protocol")->default_json, "\"TCP\"");
	/* Inlined: a volume's source, an object's apiVersion. */
	f = type_field(type_find("io.k8s.api.core.v1.Volume"), "configMap");
	assert_ptr_equal(f->type, type_find("io.k8s.api.core.v1.ConfigMapVolumeSource"));
	assert_non_null(type_field(type_find("io.k8s.api.core.v1.Pod"), "apiVersion"));
	f = type_field(type_find("io.k8s.api.apps.v1.DeploymentSpec"), "strategy");
	assert_true(f->patch_replace_keys);
	f = type_field(type_find("io.k8s.api.core.v1.PodSpec"), "nodeSelector");
	assert_true(f->atomic && f->shape == SHAPE_MAP && f->kind == FIELD_STRING);
	assert_true(type_field(type_find("io.k8s.api.core.v1.ServiceSpec"), "selector")->atomic);
	assert_true(type_find("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")->atomic);
	assert_int_equal(type_field(type_find("io.k8s.api.core.v1.Secret"), "data")->kind, FIELD_BYTES);
	assert_null(type_field(spec, "container"));
	assert_null(type_field(spec, ""));
	assert_null(type_field_n(spec, "containersX", 9));
	assert_non_null(type_field_n(spec, "containersX", 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(types_are_sorted_and_found),
	    cmocka_unit_test(fields_are_consistent),
	    cmocka_unit_test(keys_exist_in_elements),
	    cmocka_unit_test(defaults_are_json),
	    cmocka_unit_test(known_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
