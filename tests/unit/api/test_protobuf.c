/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of all kinds is tools/apigen's test, which compares with client-go; here are the rules and the bad input.
 */
#include "api/protobuf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/resource.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

#define BYTES(s) (s), sizeof(s) - 1

/* Written by hand after the encoding rules: a ConfigMap {metadata {name: "a"}, data {"k": "v"}}. */
static const char config_map[] = "k8s\0"
				 "\x0a\x0f\x0a\x02v1\x12\x09"
				 "ConfigMap"
				 "\x12\x0f\x0a\x03\x0a\x01"
				 "a\x12\x06\x0a\x01k\x12\x01v\x50\x01";

static struct json *decode(struct arena *a, const char *p, size_t len)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *v;

	if (protobuf_decode(a, p, len, NULL, &v, &err) < 0) {
		assert_int_equal(err.code, 400);
		return NULL;
	}
	return v;
}

static void known_bytes(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *v;

	(void)state;
	/* Its last field has a number that no ConfigMap has: skipped. */
	v = decode(&a, BYTES(config_map));
	assert_non_null(v);
	json_write(&b, v);
	assert_string_equal(b.data, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},"
				    "\"data\":{\"k\":\"v\"}}");
	buf_clear(&b);
	assert_int_equal(protobuf_encode(v, NULL, &b), 0);
	v = decode(&a, b.data, b.len);
	assert_string_equal(json_path_str(v, "data.k"), "v");
}

static void every_cut_is_refused_or_read(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(config_map) - 1; n++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		char copy[sizeof(config_map)];

		memcpy(copy, config_map, n);
		decode(&a, copy, n); /* under the sanitizer */
	}
}

static void round_trip(const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *v, *back;
	struct json_error err;

	assert_int_equal(json_parse(&a, text, strlen(text), &v, &err), 0);
	assert_int_equal(protobuf_encode(v, NULL, &b), 0);
	back = decode(&a, b.data, b.len);
	assert_non_null(back);
	if (!json_equal(v, back))
		fail_msg("%s became %s", text, json_to_string(&a, back));
}

static void special_values(void **state)
{
	(void)state;
	round_trip(
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"creationTimestamp\":\"2026-11-23T03:00:00Z\","
	    "\"managedFields\":[{\"fieldsV1\":{\"f:spec\":{}}}]},\"spec\":{\"terminationGracePeriodSeconds\":-1,"
	    "\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"1500m\",\"memory\":\"1Gi\"}},"
	    "\"livenessProbe\":{\"httpGet\":{\"port\":\"web\"}},\"readinessProbe\":{\"tcpSocket\":{\"port\":80}}"
	    "}],\"volumes\":[{\"name\":\"e\",\"emptyDir\":{}}]}}");
	round_trip("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"AAEC\",\"b\":\"\"}}");
	round_trip("{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"spec\":{\"renewTime\":"
		   "\"2026-11-23T03:00:00.123456Z\",\"leaseTransitions\":0}}");
	round_trip("{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{\"extra\":{"
		   "\"x\":[\"1\",\"2\"],\"y\":[]}}}");
	round_trip(
	    "{\"apiVersion\":\"apps/v1\",\"kind\":\"ControllerRevision\",\"data\":{\"a\":[1,{}]},\"revision\":3}");
	round_trip("{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,\"dryRun\":[\"All\"]}");
	round_trip("{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\",\"spec\":{"
		   "\"versions\":[{\"name\":\"v1\",\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"default\":"
		   "{\"a\":null},\"maximum\":1.5,\"items\":{\"type\":\"string\"},\"additionalProperties\":false,"
		   "\"enum\":[1,\"a\",null],\"dependencies\":{\"a\":[\"b\"],\"c\":{\"type\":\"string\"}},"
		   "\"additionalItems\":{\"type\":\"integer\"}}}}]}}");
}

static void wrong_values(void **state)
{
	static const char *const wrong[] = {
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"hostname\":1}}",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"priority\":2147483648}}",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":[]}",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"containers\":{}}}",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"containers\":[null]}}",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"creationTimestamp\":\"now\"}}",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"?\"}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct json_error err;
		struct json *v;

		buf_adds(&b, "kept");
		assert_int_equal(json_parse(&a, wrong[i], strlen(wrong[i]), &v, &err), 0);
		if (protobuf_encode(v, NULL, &b) != -EINVAL)
			fail_msg("accepted %s", wrong[i]);
		assert_int_equal(b.len, 4);
	}
}

static void hostile_bytes(void **state)
{
	static const struct {
		const char *p;
		size_t len;
	} bad[] = {
	    {BYTES("")},
	    {BYTES("k8s")},
	    {BYTES("{}")},
	    {BYTES("k8s\0\x12")},
	    {BYTES("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x7f")},		       /* longer than the body */
	    {BYTES("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x0b\x0c")},	       /* a group */
	    {BYTES("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x08\x01")},	       /* metadata is no number */
	    {BYTES("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x05\x0a\x03\x0a\x01\xff")}, /* a name that is no UTF-8 */
	    {BYTES("k8s\0\x0a\x0a\x0a\x02v1\x12\x04Nope\x12")},
	    {BYTES("k8s\0\x12\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}, /* a varint too long */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;

		assert_null(decode(&a, bad[i].p, bad[i].len));
	}
}

/* JSONSchemaProps nest by `not` (number 31): too deep is refused, not followed to the end of the stack. */
static void depth_is_bounded(void **state)
{
	const struct type *t = type_find("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
	uint32_t number = type_field(t, "not")->number;

	(void)state;
	for (int depth = PROTOBUF_DEPTH_MAX - 5; depth < PROTOBUF_DEPTH_MAX + 5; depth++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct json *v;

		for (int i = 0; i < depth; i++) {
			_cleanup_buf_ struct buf outer = BUF_INIT;
			size_t len = b.len;

			buf_addc(&outer, (char)((number << 3 | 2) | 0x80));
			buf_addc(&outer, (char)((number << 3 | 2) >> 7));
			if (len >= 0x80)
				buf_addc(&outer, (char)(len | 0x80));
			buf_addc(&outer, (char)(len >= 0x80 ? len >> 7 : len));
			buf_add(&outer, b.data, b.len);
			buf_clear(&b);
			buf_add(&b, outer.data, outer.len);
		}
		assert_int_equal(protobuf_decode_message(&a, b.data, b.len, t, &v),
				 depth <= PROTOBUF_DEPTH_MAX ? 0 : -EINVAL);
	}
}

static void merging(void **state)
{
	const struct type *t = type_find("io.k8s.api.core.v1.ConfigMap");
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v;

	(void)state;
	/* metadata {name: a} and metadata {namespace: b} merge; name again: the last one; data k twice: the last. */
	assert_int_equal(protobuf_decode_message(&a,
						 BYTES("\x0a\x03\x0a\x01"
						       "a\x0a\x06\x1a\x01"
						       "b\x0a\x01"
						       "c"
						       "\x12\x06\x0a\x01k\x12\x01v\x12\x06\x0a\x01k\x12\x01w"),
						 t, &v),
			 0);
	assert_string_equal(json_to_string(&a, v), "{\"metadata\":{\"name\":\"c\",\"namespace\":\"b\"},\"data\":{"
						   "\"k\":\"w\"}}");
}

static void frames(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	protobuf_watch_frame("ADDED", "xy", 2, &b);
	assert_int_equal(b.len, 4 + 7 + 6);
	assert_memory_equal(b.data,
			    "\0\0\0\x0d\x0a\x05"
			    "ADDED\x12\x04\x0a\x02xy",
			    b.len);
}

static void no_type_has_more_fields_than_slots(void **state)
{
	(void)state;
	for (size_t i = 0; i < type_table_len; i++) {
		assert_true(type_table[i]->n_fields <= 64);
		for (uint32_t j = 0; j < type_table[i]->n_fields; j++)
			assert_false(type_table[i]->fields[j].number &&
				     type_table[i]->fields[j].kind == FIELD_DURATION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_bytes),
	    cmocka_unit_test(every_cut_is_refused_or_read),
	    cmocka_unit_test(special_values),
	    cmocka_unit_test(wrong_values),
	    cmocka_unit_test(hostile_bytes),
	    cmocka_unit_test(depth_is_bounded),
	    cmocka_unit_test(merging),
	    cmocka_unit_test(frames),
	    cmocka_unit_test(no_type_has_more_fields_than_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
