/* SPDX-License-Identifier: Apache-2.0 */
#include "api/default.h"
#include "api/meta.h"
#include "api/resource.h"
#include "api/validate.h"
#include "testing.h"

#define M "'metadata':{'name':'x','namespace':'d'}"
#define C1 "{'name':'c','image':'i'}"
#define TEMPLATE "'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[" C1 "]}}"
#define SELECTOR "'selector':{'matchLabels':{'a':'b'}}"

static const struct {
	const char *group, *plural, *in;
	const char *cause; /* "field|type|start of message", or NULL: valid */
} creates[] = {
    /* metadata */
    {"", "configmaps", "{" M "}", NULL},
    {"", "configmaps", "{'metadata':{'namespace':'d'}}",
     "metadata.name|FieldValueRequired|Required value: name or generateName"},
    {"", "configmaps", "{'metadata':{'name':'A','namespace':'d'}}",
     "metadata.name|FieldValueInvalid|Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of"},
    {"", "configmaps", "{'metadata':{'name':'x'}}", "metadata.namespace|FieldValueRequired|Required value"},
    {"", "namespaces", "{" M "}", "metadata.namespace|FieldValueForbidden|Forbidden: not allowed on this type"},
    {"", "namespaces", "{'metadata':{'name':'a.b'}}",
     "metadata.name|FieldValueInvalid|Invalid value: \"a.b\": must not contain dots"},
    {"rbac.authorization.k8s.io", "clusterroles", "{'metadata':{'name':'system:x'}}", NULL},
    {"", "configmaps", "{'metadata':{'name':'x','namespace':'d','labels':{'-':'b'}}}",
     "metadata.labels|FieldValueInvalid|Invalid value: \"-\": name part must consist of"},
    {"", "configmaps", "{'metadata':{'name':'x','namespace':'d','labels':{'a':'b c'}}}",
     "metadata.labels|FieldValueInvalid|Invalid value: \"b c\": a valid label must be"},
    {"", "configmaps", "{'metadata':{'name':'x','namespace':'d','annotations':{'A/B/C':''}}}",
     "metadata.annotations|FieldValueInvalid|Invalid"},
    {"", "configmaps", "{'metadata':{'name':'x','namespace':'d','finalizers':['a b']}}",
     "metadata.finalizers[0]|FieldValueInvalid|Invalid"},
    {"", "configmaps",
     "{'metadata':{'name':'x','namespace':'d','ownerReferences':[{'kind':'a','name':'b','apiVersion':'v1'}]}}",
     "metadata.ownerReferences[0].uid|FieldValueRequired|Required value: must not be empty"},
    /* data */
    {"", "configmaps", "{" M ",'data':{'a/b':''}}",
     "data[a/b]|FieldValueInvalid|Invalid value: \"a/b\": a valid config key"},
    {"", "configmaps", "{" M ",'data':{'a':''},'binaryData':{'a':''}}",
     "data[a]|FieldValueInvalid|Invalid value: \"a\": duplicate"},
    {"", "secrets", "{" M ",'type':'kubernetes.io/tls','data':{'tls.crt':''}}",
     "data[tls.key]|FieldValueRequired|Required value"},
    {"", "secrets", "{" M ",'type':'kubernetes.io/dockerconfigjson','data':{'.dockerconfigjson':'eA=='}}",
     "data[.dockerconfigjson]|FieldValueInvalid|Invalid value: \"<secret contents redacted>\""},
    /* pods */
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}", NULL},
    {"", "pods", "{" M ",'spec':{}}", "spec.containers|FieldValueRequired|Required value"},
    {"", "pods", "{" M ",'spec':{'containers':[{'name':'c'}]}}",
     "spec.containers[0].image|FieldValueRequired|Required value"},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "," C1 "]}}",
     "spec.containers[1].name|FieldValueDuplicate|Duplicate value: \"c\""},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "],'restartPolicy':'Sometimes'}}",
     "spec.restartPolicy|FieldValueNotSupported|Unsupported value: \"Sometimes\": supported values: \"Always\", "
     "\"OnFailure\", \"Never\""},
    {"", "pods", "{" M ",'spec':{'containers':[{'name':'c','image':'i','ports':[{'containerPort':70000}]}]}}",
     "spec.containers[0].ports[0].containerPort|FieldValueInvalid|Invalid value: 70000: must be between 1 and 65535, "
     "inclusive"},
    {"", "pods",
     "{" M ",'spec':{'containers':[{'name':'c','image':'i','volumeMounts':[{'name':'v','mountPath':'/x'}]}]}}",
     "spec.containers[0].volumeMounts[0].name|FieldValueNotFound|Not found: \"v\""},
    {"", "pods",
     "{" M ",'spec':{'containers':[" C1 "],'volumes':[{'name':'v','emptyDir':{},'hostPath':{'path':'/x'}}]}}",
     "spec.volumes[0].hostPath|FieldValueForbidden|Forbidden: may not specify more than 1 volume type"},
    {"", "pods",
     "{" M
     ",'spec':{'containers':[{'name':'c','image':'i','resources':{'limits':{'cpu':'1'},'requests':{'cpu':'2'}}}]}}",
     "spec.containers[0].resources.requests|FieldValueInvalid|Invalid value: \"2\": must be less than or equal to cpu "
     "limit of 1"},
    {"", "pods", "{" M ",'spec':{'containers':[{'name':'c','image':'i','resources':{'limits':{'cpu':'-1'}}}]}}",
     "spec.containers[0].resources.limits[cpu]|FieldValueInvalid|Invalid value: \"-1\": must be greater than or equal "
     "to 0"},
    {"", "pods",
     "{" M ",'spec':{'containers':[{'name':'c','image':'i','livenessProbe':{'tcpSocket':{'port':80},'exec':{'command':["
     "'x']}}}]}}",
     "spec.containers[0].livenessProbe.tcpSocket|FieldValueForbidden|Forbidden: may not specify more than 1 handler "
     "type"},
    {"", "pods", "{" M ",'spec':{'containers':[{'name':'c','image':'i','env':[{'name':''}]}]}}",
     "spec.containers[0].env[0].name|FieldValueRequired|Required value"},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "],'tolerations':[{'operator':'Equal'}]}}",
     "spec.tolerations[0].operator|FieldValueInvalid|Invalid value: \"Equal\": operator must be Exists when"},
    {"", "pods",
     "{" M ",'spec':{'containers':[{'name':'c','image':'i','securityContext':{'privileged':true,'"
     "allowPrivilegeEscalation':false}}]}}",
     "spec.containers[0].securityContext|FieldValueInvalid|Invalid value: {"},
    /* workloads */
    {"apps", "deployments", "{" M ",'spec':{" SELECTOR "," TEMPLATE "}}", NULL},
    {"apps", "deployments", "{" M ",'spec':{" TEMPLATE "}}", "spec.selector|FieldValueRequired|Required value"},
    {"apps", "deployments", "{" M ",'spec':{'selector':{}," TEMPLATE "}}",
     "spec.selector|FieldValueInvalid|Invalid value: {}: empty selector is invalid for deployment"},
    {"apps", "deployments", "{" M ",'spec':{'selector':{'matchLabels':{'a':'c'}}," TEMPLATE "}}",
     "spec.template.metadata.labels|FieldValueInvalid|Invalid value: {\"a\":\"b\"}: `selector` does not match template "
     "`labels`"},
    {"apps", "deployments", "{" M ",'spec':{'replicas':-1," SELECTOR "," TEMPLATE "}}",
     "spec.replicas|FieldValueInvalid|Invalid value: -1: must be greater than or equal to 0"},
    {"apps", "replicasets",
     "{" M ",'spec':{" SELECTOR
     ",'template':{'metadata':{'labels':{'a':'b'}},'spec':{'restartPolicy':'Never','containers':[" C1 "]}}}}",
     "spec.template.spec.restartPolicy|FieldValueNotSupported|Unsupported value: \"Never\": supported values: "
     "\"Always\""},
    {"apps", "deployments",
     "{" M ",'spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':0,'maxSurge':'0%'}}," SELECTOR
     "," TEMPLATE "}}",
     "spec.strategy.rollingUpdate.maxUnavailable|FieldValueInvalid|Invalid value: 0: may not be 0 when `maxSurge` is "
     "0"},
    {"batch", "jobs", "{" M ",'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[" C1 "]}}}}", NULL},
    {"batch", "jobs", "{" M ",'spec':{'template':{'spec':{'containers':[" C1 "]}}}}",
     "spec.template.spec.restartPolicy|FieldValueRequired|Required value: valid values: \"OnFailure\", \"Never\""},
    {"batch", "cronjobs",
     "{" M ",'spec':{'schedule':'*/5 0-3,7 * jan-mar "
     "sun','jobTemplate':{'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[" C1 "]}}}}}}",
     NULL},
    {"batch", "cronjobs",
     "{" M ",'spec':{'schedule':'61 * * * "
     "*','jobTemplate':{'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[" C1 "]}}}}}}",
     "spec.schedule|FieldValueInvalid|Invalid value: \"61 * * * *\""},
    {"batch", "cronjobs",
     "{" M
     ",'spec':{'schedule':'* * *','jobTemplate':{'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[" C1
     "]}}}}}}",
     "spec.schedule|FieldValueInvalid|Invalid value: \"* * *\": expected exactly 5 fields"},
    /* services and the rest */
    {"", "services", "{" M ",'spec':{'ports':[{'port':80}]}}", NULL},
    {"", "services", "{" M ",'spec':{}}", "spec.ports|FieldValueRequired|Required value"},
    {"", "services", "{" M ",'spec':{'clusterIP':'None','clusterIPs':['None']}}", NULL},
    {"", "services", "{" M ",'spec':{'ports':[{'port':80},{'port':81,'name':'b'}]}}",
     "spec.ports[0].name|FieldValueRequired|Required value"},
    {"", "services", "{" M ",'spec':{'ports':[{'port':0}]}}",
     "spec.ports[0].port|FieldValueInvalid|Invalid value: 0: must be between"},
    {"", "services", "{" M ",'spec':{'type':'Spam','ports':[{'port':80}]}}",
     "spec.type|FieldValueNotSupported|Unsupported value: \"Spam\": supported values: \"ClusterIP\", \"ExternalName\", "
     "\"LoadBalancer\", \"NodePort\""},
    {"", "services", "{" M ",'spec':{'type':'ExternalName'}}", "spec.externalName|FieldValueRequired|Required value"},
    {"rbac.authorization.k8s.io", "roles", "{" M ",'rules':[{'apiGroups':[''],'resources':['pods']}]}",
     "rules[0].verbs|FieldValueRequired|Required value"},
    {"rbac.authorization.k8s.io", "rolebindings", "{" M ",'roleRef':{'kind':'Spam','name':'x'}}",
     "roleRef.kind|FieldValueNotSupported|Unsupported value: \"Spam\": supported values: \"Role\", \"ClusterRole\""},
    {"policy", "poddisruptionbudgets", "{" M ",'spec':{'minAvailable':1,'maxUnavailable':1}}",
     "spec|FieldValueInvalid|Invalid value: {\"minAvailable\":1,\"maxUnavailable\":1}: minAvailable and maxUnavailable "
     "cannot be both set"},
    {"autoscaling", "horizontalpodautoscalers",
     "{" M ",'spec':{'maxReplicas':0,'scaleTargetRef':{'kind':'Deployment','name':'x'}}}",
     "spec.maxReplicas|FieldValueRequired|Required value"},
    {"networking.k8s.io", "ingresses", "{" M ",'spec':{}}",
     "spec|FieldValueInvalid|Invalid value: null: either `defaultBackend` or `rules`"},
    {"networking.k8s.io", "ingresses",
     "{" M ",'spec':{'rules':[{'http':{'paths':[{'path':'x','pathType':'Prefix','backend':{'service':{'name':'s','port'"
     ":{'number':80}}}}]}}]}}",
     "spec.rules[0].http.paths[0].path|FieldValueInvalid|Invalid value: \"x\": must be an absolute path"},
    {"networking.k8s.io", "networkpolicies",
     "{" M ",'spec':{'podSelector':{},'ingress':[{'from':[{'ipBlock':{'cidr':'10.0.0.0/33'}}]}]}}",
     "spec.ingress[0].from[0].ipBlock.cidr|FieldValueInvalid|Invalid value: \"10.0.0.0/33\": must be a valid CIDR "
     "value"},
    {"", "persistentvolumeclaims", "{" M ",'spec':{'accessModes':['ReadWriteOnce']}}",
     "spec.resources[storage]|FieldValueRequired|Required"},
    {"scheduling.k8s.io", "priorityclasses", "{'metadata':{'name':'x'},'value':2000000000}",
     "value|FieldValueForbidden|Forbidden: maximum allowed"},
    {"discovery.k8s.io", "endpointslices", "{" M ",'addressType':'IPv4','endpoints':[{'addresses':['nope']}]}",
     "endpoints[0].addresses[0]|FieldValueInvalid|Invalid value: \"nope\": must be a valid IP address"},
    {"admissionregistration.k8s.io", "validatingwebhookconfigurations",
     "{'metadata':{'name':'x'},'webhooks':[{'name':'a.b.c','clientConfig':{'url':'https://"
     "x'},'admissionReviewVersions':['v1']}]}",
     "webhooks[0].sideEffects|FieldValueRequired|Required value"},
    {"coordination.k8s.io", "leases", "{" M ",'spec':{'leaseDurationSeconds':0}}",
     "spec.leaseDurationSeconds|FieldValueInvalid|Invalid value: 0"},
    {"", "events", "{" M ",'involvedObject':{'namespace':'other'}}",
     "involvedObject.namespace|FieldValueInvalid|Invalid value: \"other\": does not match event.namespace"},
};

static void expect_cause(const struct status *err, const char *want, const char *what)
{
	char text[4096] = "";

	for (size_t i = 0; i < err->n_causes; i++) {
		char one[2048];
		snprintf(one, sizeof(one), "%s|%s|%s", err->causes[i].field, err->causes[i].type,
			 err->causes[i].message);
		if (strncmp(one, want, strlen(want)) == 0)
			return;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "  %.500s\n", one);
	}
	fail_msg("%s\nwants %s\ngot\n%s", what, want, text);
}

static void test_create(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(creates); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct resource *r = resource_by_plural(creates[i].group, creates[i].plural);
		struct json *v = tree(&a, creates[i].in);
		default_object(&a, r, v);
		int result = validate_create(r, v, &err);
		if (!creates[i].cause) {
			if (result)
				fail_msg("%s: %s", creates[i].in, err.message);
			continue;
		}
		assert_int_equal(result, -1);
		assert_int_equal(err.code, 422);
		assert_string_equal(err.reason, "Invalid");
		expect_cause(&err, creates[i].cause, creates[i].in);
	}
}

static const struct {
	const char *group, *plural, *old, *new, *subresource, *cause;
} updates[] = {
    {"", "configmaps", "{'metadata':{'name':'x','namespace':'d','uid':'1'}}",
     "{'metadata':{'name':'x','namespace':'d','uid':'2'}}", NULL,
     "metadata.uid|FieldValueInvalid|Invalid value: \"2\": field is immutable"},
    {"", "configmaps", "{'metadata':{'name':'x','namespace':'d','deletionTimestamp':'t','finalizers':['a/b']}}",
     "{'metadata':{'name':'x','namespace':'d','deletionTimestamp':'t','finalizers':['a/b','c/d']}}", NULL,
     "metadata.finalizers|FieldValueForbidden|Forbidden: no new finalizers can be added"},
    {"", "configmaps", "{" M ",'immutable':true,'data':{'a':'1'}}", "{" M ",'immutable':true,'data':{'a':'2'}}", NULL,
     "data|FieldValueForbidden|Forbidden: field is immutable when `immutable` is set"},
    {"", "secrets", "{" M ",'type':'a'}", "{" M ",'type':'b'}", NULL,
     "type|FieldValueInvalid|Invalid value: \"b\": field is immutable"},
    {"apps", "deployments", "{" M ",'spec':{" SELECTOR "," TEMPLATE "}}",
     "{" M ",'spec':{'selector':{'matchLabels':{'a':'c'}},'template':{'metadata':{'labels':{'a':'c'}},'spec':{'"
     "containers':[" C1 "]}}}}",
     NULL, "spec.selector|FieldValueInvalid|Invalid value: {\"matchLabels\":{\"a\":\"c\"}}: field is immutable"},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}", "{" M ",'spec':{'containers':[{'name':'c','image':'j'}]}}",
     NULL, NULL},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}",
     "{" M ",'spec':{'containers':[{'name':'c','image':'i','command':['x']}]}}", NULL,
     "spec|FieldValueForbidden|Forbidden: pod updates may not change fields other than"},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}",
     "{" M ",'spec':{'containers':[" C1 ",{'name':'d','image':'i'}]}}", NULL,
     "spec.containers|FieldValueForbidden|Forbidden: pod updates may not add or remove containers"},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}", "{" M ",'spec':{'containers':[" C1 "],'nodeName':'n'}}",
     NULL, "spec|FieldValueForbidden|Forbidden: pod updates"},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}", "{" M ",'spec':{'containers':[" C1 "],'nodeName':'n'}}",
     "binding", NULL},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "]}}",
     "{" M ",'spec':{'containers':[" C1 "],'ephemeralContainers':[{'name':'e','image':'i'}]}}", "ephemeralcontainers",
     NULL},
    {"", "pods", "{" M ",'spec':{'containers':[" C1 "],'activeDeadlineSeconds':5}}",
     "{" M ",'spec':{'containers':[" C1 "],'activeDeadlineSeconds':9}}", NULL,
     "spec.activeDeadlineSeconds|FieldValueInvalid|Invalid value: 9: must be less than or equal to previous value"},
    {"apps", "statefulsets", "{" M ",'spec':{'serviceName':'a'," SELECTOR "," TEMPLATE "}}",
     "{" M ",'spec':{'serviceName':'b'," SELECTOR "," TEMPLATE "}}", NULL,
     "spec.serviceName|FieldValueInvalid|Invalid value: \"b\": field is immutable"},
    {"", "services", "{" M ",'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ports':[{'port':80}]}}",
     "{" M ",'spec':{'clusterIP':'10.0.0.2','clusterIPs':['10.0.0.2'],'ports':[{'port':80}]}}", NULL,
     "spec.clusterIPs[0]|FieldValueInvalid|Invalid value: [\"10.0.0.2\"]: may not change once set"},
    {"rbac.authorization.k8s.io", "rolebindings", "{" M ",'roleRef':{'kind':'Role','name':'x'}}",
     "{" M ",'roleRef':{'kind':'Role','name':'y'}}", NULL, "roleRef|FieldValueInvalid|Invalid value: {"},
    {"apps", "deployments", "{" M ",'spec':{" SELECTOR "," TEMPLATE "}}",
     "{" M ",'spec':{" SELECTOR "," TEMPLATE "},'status':{'replicas':3}}", "status", NULL},
};

static void test_update(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(updates); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct resource *r = resource_by_plural(updates[i].group, updates[i].plural);
		struct json *old = tree(&a, updates[i].old), *new = tree(&a, updates[i].new);
		default_object(&a, r, old);
		default_object(&a, r, new);
		int result = validate_update(r, new, old, updates[i].subresource, &err);
		if (updates[i].cause)
			expect_cause(&err, updates[i].cause, updates[i].new);
		else if (result)
			fail_msg("%s: %s", updates[i].new, err.message);
	}
}

static void test_message(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_find("apps", "v1", "deployments");

	assert_int_equal(validate_create(r, tree(&a, "{" M ",'spec':{'replicas':-1," SELECTOR "," TEMPLATE "}}"), &err),
			 -1);
	assert_string_equal(
	    err.message, "Deployment.apps \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or "
			 "equal to 0");
	assert_string_equal(err.kind, "Deployment");
}

static void test_inherit(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v = tree(&a, "{'metadata':{'uid':'','deletionTimestamp':'new','generation':9}}");
	validate_inherit_metadata(
	    &a, v, tree(&a, "{'metadata':{'uid':'1','creationTimestamp':'c','deletionTimestamp':'d','generation':2}}"));
	expect_tree(&a, v, "{'metadata':{'uid':'1','creationTimestamp':'c','deletionTimestamp':'d','generation':2}}");
}

/* Validation runs on what decoding let through, but must not trip over anything. */
static void test_every_kind(void **state)
{
	static const char *const shapes[] = {
	    "{}", "{'spec':{},'status':{},'metadata':{'name':'x'}}", "{'spec':[],'metadata':1}",
	    "{'metadata':{'name':'x','labels':[],'finalizers':[1],'ownerReferences':[1]},'spec':{"
	    "'template':{'spec':{'containers':[1,{}],'volumes':[2]}},'ports':[1,{}],'containers':[null],"
	    "'rules':[1],'versions':[1],'selector':[]},'webhooks':[1],'subjects':['x'],'rules':[1],"
	    "'data':[],'endpoints':[1]}"};
	(void)state;
	for (size_t i = 0; i < resource_table_len; i++)
		for (size_t k = 0; k < ARRAY_SIZE(shapes); k++) {
			_cleanup_arena_ struct arena a = ARENA_INIT;
			_cleanup_status_ struct status err = STATUS_INIT;
			struct json *v = tree(&a, shapes[k]);
			(void)validate_create(&resource_table[i], v, &err);
			(void)validate_update(&resource_table[i], v, tree(&a, "{'spec':{}}"), NULL, &err);
		}
}

static void test_names(void **state)
{
	static const struct {
		const char *(*rule)(const char *);
		const char *fine[4], *bad[7];
	} names[] = {
	    {name_check_dns1123_label, {"a", "a-b", "0"}, {"", "-a", "a-", "A", "a.b", "a_b"}},
	    {name_check_dns1123_subdomain, {"a.b", "a-b.c", "1.2"}, {"", ".", "a..b", "a.", "a.-b", "A.b"}},
	    {name_check_dns1035_label, {"a", "a1", "a-1"}, {"", "1a", "-a", "a-", "A"}},
	    {name_check_path_segment, {"a:b", "A b", "x"}, {".", "..", "a/b", "a%b"}},
	    {name_check_qualified, {"a", "a.b/C_d", "A.b-c"}, {"", "/a", "a/", "a/b/c", "-a", "A_b/c"}},
	    {name_check_label_value, {"", "a.b", "A_1"}, {"-", "a b", "a/b", ".a"}},
	    {name_check_env_var, {"A_B", "a.b", "1 x"}, {"", "a=b", "a\nb"}},
	    {name_check_config_key, {"a", ".a", "A_b.c"}, {"", ".", "..", "..a", "a/b", "a b"}},
	    {name_check_port_name, {"http", "a-1", "1a"}, {"", "1", "a--b", "-a", "A", "abcdefghijklmnop"}},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (size_t k = 0; k < 4 && names[i].fine[k]; k++)
			if (names[i].rule(names[i].fine[k]))
				fail_msg("%zu: %s: %s", i, names[i].fine[k], names[i].rule(names[i].fine[k]));
		for (size_t k = 0; k < 7 && names[i].bad[k]; k++)
			if (!names[i].rule(names[i].bad[k]))
				fail_msg("%zu: %s is accepted", i, names[i].bad[k]);
	}
	char longest[300];
	memset(longest, 'a', sizeof(longest));
	longest[63] = 0;
	assert_null(name_check_dns1123_label(longest));
	longest[63] = 'a';
	longest[64] = 0;
	assert_non_null(name_check_dns1123_label(longest));
	longest[64] = 'a';
	longest[254] = 0;
	assert_non_null(name_check_dns1123_subdomain(longest));
	assert_null(name_check_prefix(name_check_dns1123_label, "web-"));
	assert_non_null(name_check_prefix(name_check_dns1123_label, "-"));
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char *name = name_generate(&a, "web-");
	assert_int_equal(strlen(name), 9);
	assert_null(name_check_dns1123_label(name));
	assert_int_equal(strlen(name_generate(&a, longest)), 63);
}

static void test_conditions(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = meta_object_new(&a, "v1", "Pod", "d", "x");

	assert_true(meta_set_condition(&a, o, "Ready", "False", "Why", NULL, 0));
	assert_false(meta_set_condition(&a, o, "Ready", "False", "Why", NULL, 5000000000));
	assert_string_equal(json_path_str(meta_condition(o, "Ready"), "lastTransitionTime"), "1970-01-01T00:00:00Z");
	assert_true(meta_set_condition(&a, o, "Ready", "True", NULL, "m", 5000000000));
	expect_tree(&a, json_get(o, "status"),
		    "{'conditions':[{'type':'Ready','status':'True','lastTransitionTime':'1970-01-01T00:00:05Z','"
		    "message':'m'}]}");
	assert_true(meta_remove_condition(o, "Ready"));
	assert_false(meta_remove_condition(o, "Ready"));
	assert_true(meta_add_finalizer(&a, o, "a/b"));
	assert_false(meta_add_finalizer(&a, o, "a/b"));
	assert_true(meta_remove_finalizer(o, "a/b"));
	assert_null(json_path(o, "metadata.finalizers"));
	meta_set_owner(&a, o, meta_controller_ref(&a, "apps/v1", "ReplicaSet", "r", "u"));
	meta_set_owner(&a, o, meta_controller_ref(&a, "apps/v1", "ReplicaSet", "r2", "u"));
	assert_int_equal(json_len(json_path(o, "metadata.ownerReferences")), 1);
	assert_string_equal(json_path_str(meta_controller(o), "name"), "r2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),     cmocka_unit_test(test_update), cmocka_unit_test(test_message),
	    cmocka_unit_test(test_inherit),    cmocka_unit_test(test_names),  cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
