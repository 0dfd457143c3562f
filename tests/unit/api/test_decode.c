/* SPDX-License-Identifier: Apache-2.0 */
#include "api/decode.h"
#include "api/resource.h"
#include "testing.h"

static const struct {
	const char *group, *plural, *in, *want; /* want NULL: refused, with this in the message: */
	const char *message;
	const char *reports; /* joined by ; or NULL: none */
} cases[] = {
    {"apps", "deployments", "{'kind':'Deployment','spec':{'replicas':'3'}}", NULL,
     "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct "
     "field "
     "DeploymentSpec.spec.replicas of type int32",
     NULL},
    {"apps", "deployments", "{'spec':{'replicas':1.5}}", NULL, "cannot unmarshal number 1.5 into Go struct field",
     NULL},
    {"apps", "deployments", "{'spec':{'replicas':3000000000}}", NULL, "of type int32", NULL},
    {"apps", "deployments", "{'spec':[]}", NULL,
     "cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec", NULL},
    {"", "pods", "{'spec':{'containers':{}}}", NULL,
     "cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container", NULL},
    {"", "pods", "{'spec':{'containers':[{'name':1}]}}", NULL,
     "cannot unmarshal number into Go struct field Container.spec.containers.name of type string", NULL},
    {"", "pods", "{'metadata':{'labels':{'a':1}}}", NULL,
     "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string", NULL},
    {"", "pods", "{'metadata':{'creationTimestamp':'yesterday'}}", NULL, "parsing time \"yesterday\"", NULL},
    {"", "pods", "{'spec':{'containers':[{'resources':{'limits':{'cpu':'1x'}}}]}}", NULL,
     "quantities must match the regular expression", NULL},
    {"", "secrets", "{'data':{'a':'%%%'}}", NULL, "illegal base64", NULL},
    {"", "pods", "[]", NULL, "an object is expected", NULL},
    /* unknown fields go, and are told of; names are case-sensitive */
    {"", "configmaps",
     "{'data':{'b':'2','a':'1'},'spam':1,'metadata':{'name':'x','Labels':{},'creationTimestamp':null},'kind':'"
     "ConfigMap',"
     "'apiVersion':'v1'}",
     "{'kind':'ConfigMap','apiVersion':'v1','metadata':{'name':'x'},'data':{'b':'2','a':'1'}}", NULL,
     "unknown field \"spam\";unknown field \"metadata.Labels\""},
    {"", "services", "{'spec':{'ports':[{'port':80,'foo':1}]},'status':{'bar':1}}", "{'spec':{'ports':[{'port':80}]}}",
     NULL, "unknown field \"spec.ports[0].foo\";unknown field \"status.bar\""},
    /* what omitempty leaves out, and pointers keep */
    {"", "configmaps", "{'metadata':{'name':'','labels':{},'finalizers':[]},'data':{},'immutable':false}",
     "{'immutable':false}", NULL, NULL},
    {"apps", "replicasets", "{'spec':{'replicas':0,'minReadySeconds':0}}", NULL, NULL, NULL},
    /* canonical scalars */
    {"", "secrets", "{'data':{'a':'aGVs\\nbG8='},'metadata':{'creationTimestamp':'2020-01-02T03:04:05+01:00'}}",
     "{'metadata':{'creationTimestamp':'2020-01-02T02:04:05Z'},'data':{'a':'aGVsbG8='}}", NULL, NULL},
    {"", "resourcequotas", "{'spec':{'hard':{'cpu':0.5,'memory':'1024Mi'}}}",
     "{'spec':{'hard':{'cpu':'500m','memory':'1Gi'}}}", NULL, NULL},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct resource *r = resource_by_plural(cases[i].group, cases[i].plural);
		struct decode_report report = {.arena = &a};
		struct json *out = NULL;
		int result = decode_object(&a, r->type, r->kind, "v1", tree(&a, cases[i].in), &report, &out, &err);
		if (cases[i].message) {
			assert_int_equal(result, -1);
			assert_int_equal(err.code, 400);
			expect_contains(err.message, cases[i].message);
			continue;
		}
		if (result < 0)
			fail_msg("%s: %s", cases[i].in, err.message);
		if (!cases[i].want) {
			assert_int_equal(json_path_int(out, "spec.replicas", -1), 0);
			assert_null(json_path(out, "spec.minReadySeconds"));
			continue;
		}
		struct json *got = json_clone(&a, out);
		if (!json_path(tree(&a, cases[i].want), "status"))
			json_remove(got, "status"); /* empty structs that some types always write */
		expect_text(&a, got, cases[i].want);
		char joined[512] = "";
		for (size_t k = 0; k < report.n; k++)
			snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s", k ? ";" : "",
				 report.messages[k]);
		assert_string_equal(joined, str_or(cases[i].reports, ""));
	}
}

static void test_strict(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct decode_report report = {.arena = &a};
	struct json *v;
	const char *text = "{\"data\":{\"a\":\"1\",\"a\":\"2\"},\"x\":1}";
	const struct resource *r = resource_find("", "v1", "configmaps");

	assert_int_equal(decode_report_status(&report, &err), 0);
	assert_int_equal(json_parse_report(&a, text, strlen(text), decode_report_duplicate, &report, &v, NULL), 0);
	assert_int_equal(decode_object(&a, r->type, r->kind, "v1", v, &report, &v, &err), 0);
	assert_int_equal(decode_report_status(&report, &err), -1);
	assert_int_equal(err.code, 400);
	assert_string_equal(err.message, "strict decoding error: duplicate field \"data.a\", unknown field \"x\"");
}

static void test_applied_keeps_presence(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_find("apps", "v1", "deployments");
	struct json *v =
	    tree(&a, "{'metadata':{'labels':{}},'spec':{'paused':false,'strategy':{},'minReadySeconds':null}}");

	assert_int_equal(decode_applied(&a, r->type, r->kind, "v1", v, NULL, &v, &err), 0);
	expect_tree(&a, v, "{'metadata':{'labels':{}},'spec':{'paused':false,'strategy':{}}}");
}

static void test_duration(void **state)
{
	static const struct {
		const char *in, *out;
	} durations[] = {{"1h2m3.5s", "1h2m3.5s"},
			 {"90s", "1m30s"},
			 {"1.5h", "1h30m0s"},
			 {"0", "0s"},
			 {"300ms", "300ms"},
			 {"1us", "1\xc2\xb5s"},
			 {"-5m", "-5m0s"},
			 {"1ns", "1ns"},
			 {"", NULL},
			 {"5", NULL},
			 {"h", NULL},
			 {"1x", NULL},
			 {"1h-2m", NULL},
			 {"99999999h", NULL},
			 {".s", NULL}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		char text[DURATION_TEXT_MAX];
		long long ns;
		int r = duration_parse(durations[i].in, &ns);
		if ((r == 0) != (durations[i].out != NULL))
			fail_msg("%s: %d", durations[i].in, r);
		if (r == 0)
			assert_string_equal(duration_format(ns, text), durations[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_strict),
					   cmocka_unit_test(test_applied_keeps_presence),
					   cmocka_unit_test(test_duration)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
