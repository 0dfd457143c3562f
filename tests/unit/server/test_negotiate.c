/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/status.h"
#include "server/negotiate.h"

static const struct {
	const char *accept;
	bool stream;
	int format; /* -1: 406 */
	int as;
} expectations[] = {
    {NULL, false, OUTPUT_JSON, AS_OBJECT},
    {"*/*", false, OUTPUT_JSON, AS_OBJECT},
    {"application/yaml", false, OUTPUT_YAML, AS_OBJECT},
    {"application/yaml", true, -1, AS_OBJECT},
    {"text/html", false, -1, AS_OBJECT},
    {"text/html, application/json;q=0.5", false, OUTPUT_JSON, AS_OBJECT},
    {"application/json;q=0.1,application/vnd.kubernetes.protobuf", false, OUTPUT_PROTOBUF, AS_OBJECT},
    {"application/json;as=Table;v=v1;g=meta.k8s.io,application/json", false, OUTPUT_JSON, AS_TABLE},
    {"application/json;as=Table;v=v2;g=meta.k8s.io,application/json", false, OUTPUT_JSON, AS_OBJECT},
    {"application/json;as=Nonsense;v=v1;g=meta.k8s.io", false, -1, AS_OBJECT},
    {"application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,*/*", false, OUTPUT_PROTOBUF,
     AS_PARTIAL},
    {"application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1", false, -1, AS_OBJECT},
    {"application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json", false, OUTPUT_JSON, AS_OBJECT},
    {"application/json;q=0", false, -1, AS_OBJECT},
    {";;;,,,=;q", false, -1, AS_OBJECT},
};

static void accept_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct output out;
		int r = negotiate_output(expectations[i].accept, expectations[i].stream, true, &out, &err);
		print_message("%s\n", expectations[i].accept ? expectations[i].accept : "(none)");
		assert_int_equal(r < 0 ? -1 : (int)out.format, expectations[i].format);
		if (r < 0)
			assert_int_equal(err.code, 406);
		else
			assert_int_equal(out.as, expectations[i].as);
	}
}

static void content_types(void **state)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	enum output_format f;
	(void)state;
	assert_int_equal(negotiate_input("application/json; charset=utf-8", &f, &err), 0);
	assert_int_equal(f, OUTPUT_JSON);
	assert_int_equal(negotiate_input("application/vnd.kubernetes.protobuf", &f, &err), 0);
	assert_int_equal(f, OUTPUT_PROTOBUF);
	assert_int_equal(negotiate_input("text/plain", &f, &err), -1);
	assert_int_equal(err.code, 415);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(accept_decides), cmocka_unit_test(content_types)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
