/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of every group but core: for each kind an object that is fine, and changes to it that must, or must not,
 * be complained about. A change sets one member ("spec.rules[0].host"), or takes it out (NULL).
 */
#include <stdlib.h>

#include "api/default.h"
#include "api/resource.h"
#include "api/validate.h"
#include "testing.h"

#define NS "'metadata':{'name':'x','namespace':'d','uid':'u'}"
#define CLUSTER "'metadata':{'name':'x'}"
#define POD "{'restartPolicy':'Always','containers':[{'name':'c','image':'i'}]}"
#define TEMPLATE "'template':{'metadata':{'labels':{'a':'b'}},'spec':" POD "}"
#define SELECTOR "'selector':{'matchLabels':{'a':'b'}}"
#define ONCE "{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}"
#define JOB_LABELS                                                                                                     \
	"{'batch.kubernetes.io/controller-uid':'u','controller-uid':'u','batch.kubernetes.io/"                         \
	"job-name':'x','job-name':"                                                                                    \
	"'x'}"
#define JOB_SELECTOR "'selector':{'matchLabels':{'batch.kubernetes.io/controller-uid':'u'}}"
#define ROLE_REF "'roleRef':{'apiGroup':'rbac.authorization.k8s.io','kind':'Role','name':'r'}"
#define WEBHOOK                                                                                                        \
	"{'name':'a.b.c','clientConfig':{'url':'https://h/p'},'admissionReviewVersions':['v1'],'sideEffects':'None',"  \
	"'rules':[{'operations':['CREATE'],'apiGroups':[''],'apiVersions':['v1'],'resources':['pods']}]}"
#define MATCH                                                                                                          \
	"'matchConstraints':{'resourceRules':[{'operations':['*'],'apiGroups':['*'],'apiVersions':['*'],'resources':[" \
	"'*']}]}"
#define SUBJECT "{'kind':'User','user':{'name':'u'}}"

/* A request with an empty subject, PEM in base64 and DER in base64, and a CA's certificate, made for these tests. */
#define CSR_PEM                                                                                                        \
	"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHNU1HSUNBUUF3QURCWk1CTUdCeXFHU000OUFnRU"                   \
	"dDQ3FHU000OUF3RUhBMElBQlA1czRkTW0vdVJSS1IvdQp0Uy9FKzlDdStzWkt2bVdjMlZzc0N3UzZJWlM2K29wakMw"                   \
	"SDc2Q3pWWnRKbmFmNnE1UXJjYXhaZnNXZjAwZ3k0CldicEJqMCtnQURBS0JnZ3Foa2pPUFFRREFnTkhBREJFQWlCbH"                   \
	"h3dkh2NzJESW4xYTJOQ1FTYXNnVkovMjQxWmgKYjVwQjBDd21tckxhMEFJZ1R4bG1UQ1pXeUMrakJsN2RFamdrK0dJ"                   \
	"V3ZYSGtINHZ4dFJBRHVBd2J4T3c9Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo="
#define CSR_DER                                                                                                        \
	"MIG5MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABP5s4dMm/uRRKR/utS/E+9Cu+sZKvmWc2VssCwS6IZ"                   \
	"S6+opjC0H76CzVZtJnaf6q5QrcaxZfsWf00gy4WbpBj0+gADAKBggqhkjOPQQDAgNHADBEAiBlxwvHv72DIn1a2NCQ"                   \
	"SasgVJ/241Zhb5pB0CwmmrLa0AIgTxlmTCZWyC+jBl7dEjgk+GIWvXHkH4vxtRADuAwbxOw="
#define CA_PEM                                                                                                         \
	"-----BEGIN CERTIFICATE-----\\n"                                                                               \
	"MIIBcTCCARegAwIBAgIUXhl3GbH4AMHl6q5nm0UEplc8IxcwCgYIKoZIzj0EAwIw\\n"                                          \
	"DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI1MjAzNTQ5WhgPMjEyNjExMDEyMDM1NDla\\n"                                          \
	"MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/mzh0yb+\\n"                                          \
	"5FEpH+61L8T70K76xkq+ZZzZWywLBLohlLr6imMLQfvoLNVm0mdp/qrlCtxrFl+x\\n"                                          \
	"Z/TSDLhZukGPT6NTMFEwHQYDVR0OBBYEFHYGvwMoQRvEYegW4BhoxyRBSM7HMB8G\\n"                                          \
	"A1UdIwQYMBaAFHYGvwMoQRvEYegW4BhoxyRBSM7HMA8GA1UdEwEB/wQFMAMBAf8w\\n"                                          \
	"CgYIKoZIzj0EAwIDSAAwRQIhAJ/+T+mkf+y6Pfw6UpjZUXeR0gsav4c0B9EQwwtQ\\n"                                          \
	"JASVAiAujSgiPCNd3aaYW/SishMyC+Umtv/SV7+AZo8pPGRhVQ==\\n"                                                      \
	"-----END CERTIFICATE-----\\n"

static const struct {
	const char *name, *group, *plural, *object;
} bases[] = {
    {"deploy", "apps", "deployments", "{" NS ",'spec':{" SELECTOR "," TEMPLATE "}}"},
    {"rs", "apps", "replicasets", "{" NS ",'spec':{" SELECTOR "," TEMPLATE "}}"},
    {"ds", "apps", "daemonsets", "{" NS ",'spec':{" SELECTOR "," TEMPLATE "}}"},
    {"sts", "apps", "statefulsets",
     "{" NS ",'spec':{'serviceName':'s'," SELECTOR
     ",'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','image':'i','volumeMounts':[{"
     "'name':'data','mountPath':'/d'}]}]}},'volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{'accessModes':["
     "'ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}}}]}}"},
    {"revision", "apps", "controllerrevisions", "{" NS ",'data':{},'revision':1}"},
    {"job", "batch", "jobs",
     "{" NS ",'spec':{" JOB_SELECTOR ",'template':{'metadata':{'labels':" JOB_LABELS "},'spec':" ONCE "}}}"},
    {"waiting", "batch", "jobs",
     "{" NS ",'spec':{'suspend':true," JOB_SELECTOR ",'template':{'metadata':{'labels':" JOB_LABELS "},'spec':" ONCE
     "}}}"},
    {"indexed", "batch", "jobs",
     "{" NS ",'spec':{'completionMode':'Indexed','completions':5,'parallelism':5," JOB_SELECTOR
     ",'template':{'metadata':{'labels':" JOB_LABELS "},'spec':" ONCE "}}}"},
    {"cron", "batch", "cronjobs",
     "{" NS ",'spec':{'schedule':'* * * * *','jobTemplate':{'spec':{'template':{'spec':" ONCE "}}}}}"},
    {"hpa", "autoscaling", "horizontalpodautoscalers",
     "{'apiVersion':'autoscaling/v2'," NS ",'spec':{'maxReplicas':5,'scaleTargetRef':{'apiVersion':'apps/"
     "v1','kind':'Deployment','name':'x'},'behavior':{'scaleUp':{}}}}"},
    {"pdb", "policy", "poddisruptionbudgets", "{" NS ",'spec':{'minAvailable':'50%'," SELECTOR "}}"},
    {"netpol", "networking.k8s.io", "networkpolicies",
     "{" NS
     ",'spec':{'podSelector':{},'ingress':[{'ports':[{'port':80,'endPort':90}],'from':[{'ipBlock':{'cidr':'10.0.0.0/"
     "8','except':['10.1.0.0/16']}}]}]}}"},
    {"ingress", "networking.k8s.io", "ingresses",
     "{" NS
     ",'spec':{'tls':[{'hosts':['*.a.b']}],'rules':[{'host':'*.a.b','http':{'paths':[{'path':'/x','pathType':'Prefix',"
     "'backend':{'service':{'name':'s','port':{'number':80}}}}]}}]}}"},
    {"class", "networking.k8s.io", "ingressclasses",
     "{" CLUSTER ",'spec':{'controller':'a.b/c','parameters':{'kind':'K','name':'n'}}}"},
    {"cidr", "networking.k8s.io", "servicecidrs", "{" CLUSTER ",'spec':{'cidrs':['10.0.0.0/16']}}"},
    {"ip", "networking.k8s.io", "ipaddresses",
     "{'metadata':{'name':'10.0.0.1'},'spec':{'parentRef':{'resource':'services','name':'s','namespace':'d'}}}"},
    {"slice", "discovery.k8s.io", "endpointslices",
     "{" NS ",'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1']}],'ports':[{'port':80}]}"},
    {"sc", "storage.k8s.io", "storageclasses", "{" CLUSTER ",'provisioner':'Example.com/p','parameters':{'a':'b'}}"},
    {"vac", "storage.k8s.io", "volumeattributesclasses",
     "{" CLUSTER ",'driverName':'d.example.com','parameters':{'a':'b'}}"},
    {"driver", "storage.k8s.io", "csidrivers", "{" CLUSTER ",'spec':{'tokenRequests':[{'audience':'a'}]}}"},
    {"csinode", "storage.k8s.io", "csinodes",
     "{" CLUSTER ",'spec':{'drivers':[{'name':'d','nodeID':'n','topologyKeys':['a'],'allocatable':{'count':1}}]}}"},
    {"capacity", "storage.k8s.io", "csistoragecapacities", "{" NS ",'storageClassName':'s','capacity':'1Gi'}"},
    {"attachment", "storage.k8s.io", "volumeattachments",
     "{" CLUSTER ",'spec':{'attacher':'a','nodeName':'n','source':{'persistentVolumeName':'v'}}}"},
    {"role", "rbac.authorization.k8s.io", "roles",
     "{" NS ",'rules':[{'apiGroups':[''],'resources':['pods'],'verbs':['get']}]}"},
    {"clusterrole", "rbac.authorization.k8s.io", "clusterroles",
     "{" CLUSTER ",'rules':[{'nonResourceURLs':['/x'],'verbs':['get']}]}"},
    {"binding", "rbac.authorization.k8s.io", "rolebindings",
     "{" NS "," ROLE_REF
     ",'subjects':[{'kind':'User','name':'u'},{'kind':'ServiceAccount','name':'s','namespace':'d'}]}"},
    {"pc", "scheduling.k8s.io", "priorityclasses", "{" CLUSTER ",'value':7}"},
    {"runtime", "node.k8s.io", "runtimeclasses", "{" CLUSTER ",'handler':'h','overhead':{'podFixed':{'cpu':'1'}}}"},
    {"lease", "coordination.k8s.io", "leases", "{" NS ",'spec':{'leaseDurationSeconds':15}}"},
    {"migration", "storagemigration.k8s.io", "storageversionmigrations",
     "{" CLUSTER ",'spec':{'resource':{'group':'','resource':'configmaps'}}}"},
    {"api", "apiregistration.k8s.io", "apiservices",
     "{'metadata':{'name':'v1.a.b'},'spec':{'group':'a.b','version':'v1','groupPriorityMinimum':1,'versionPriority':1,"
     "'service':{'namespace':'n','name':'s'}}}"},
    {"event", "events.k8s.io", "events",
     "{" NS ",'eventTime':'2026-01-01T00:00:00.000000Z','reportingController':'a.b/"
     "c','reportingInstance':'i','action':'a','reason':'r','type':'Normal','regarding':{'namespace':'d'},'series':{"
     "'count':2,'lastObservedTime':'2026-01-01T00:00:00.000000Z'}}"},
    {"schema", "flowcontrol.apiserver.k8s.io", "flowschemas",
     "{" CLUSTER ",'spec':{'priorityLevelConfiguration':{'name':'p'},'rules':[{'subjects':[" SUBJECT
     "],'resourceRules':[{'verbs':['*'],'apiGroups':['*'],'resources':['*'],'namespaces':['*']}],'nonResourceRules':[{"
     "'verbs':['get'],'nonResourceURLs':['/x*']}]}]}}"},
    {"level", "flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations",
     "{" CLUSTER ",'spec':{'type':'Limited','limited':{'limitResponse':{'type':'Queue','queuing':{}}}}}"},
    {"webhook", "admissionregistration.k8s.io", "mutatingwebhookconfigurations",
     "{'kind':'MutatingWebhookConfiguration'," CLUSTER ",'webhooks':[" WEBHOOK "]}"},
    {"vap", "admissionregistration.k8s.io", "validatingadmissionpolicies",
     "{" CLUSTER ",'spec':{" MATCH ",'validations':[{'expression':'true'}],'variables':[{'name':'v','expression':'1'}],"
     "'auditAnnotations':[{'key':'k','valueExpression':'1'}]}}"},
    {"vapb", "admissionregistration.k8s.io", "validatingadmissionpolicybindings",
     "{" CLUSTER ",'spec':{'policyName':'p','validationActions':['Deny'],'paramRef':{'name':'n','"
     "parameterNotFoundAction':'Deny'}}}"},
    {"map", "admissionregistration.k8s.io", "mutatingadmissionpolicies",
     "{" CLUSTER ",'spec':{" MATCH
     ",'reinvocationPolicy':'Never','mutations':[{'patchType':'JSONPatch','jsonPatch':{'expression':'[]'}}]}}"},
    {"csr", "certificates.k8s.io", "certificatesigningrequests",
     "{'metadata':{'name':'A:b'},'spec':{'signerName':'example.com/"
     "s','usages':['client auth'],'expirationSeconds':600,'request':'" CSR_PEM "'}}"},
    {"pcr", "certificates.k8s.io", "podcertificaterequests",
     "{" NS ",'spec':{'signerName':'example.com/"
     "s','podName':'p','podUID':'1','serviceAccountName':'s','serviceAccountUID':'2',"
     "'nodeName':'n','nodeUID':'3','stubPKCS10Request':'" CSR_DER "'}}"},
    {"bundle", "certificates.k8s.io", "clustertrustbundles",
     "{'metadata':{'name':'example.com:s:x'},'spec':{'signerName':'example.com/s','trustBundle':'" CA_PEM "'}}"},
    {"crd", "apiextensions.k8s.io", "customresourcedefinitions",
     "{'metadata':{'name':'foos.a.b'},'status':{'storedVersions':['v1']},'spec':{'group':'a.b','scope':'Namespaced','"
     "names':{'plural':'foos','kind':'Foo'}"
     ","
     "'versions':[{'name':'v1','served':true,'storage':true,'schema':{'openAPIV3Schema':{'type':'object','properties':{"
     "'spec':{'type':'object','properties':{'color':{'type':'string'},'list':{'type':'array','items':{'type':'object',"
     "'properties':{'k':{'type':'string'}},'required':['k']}}}}}}},'selectableFields':[{'jsonPath':'.spec.color'}],"
     "'additionalPrinterColumns':[{'name':'C','type':'string','jsonPath':'.spec.color'}],'subresources':{'scale':{"
     "'specReplicasPath':'.spec.replicas','statusReplicasPath':'.status.replicas'}}}]}}"},
    {"claim", "resource.k8s.io", "resourceclaims",
     "{" NS
     ",'spec':{'devices':{'requests':[{'name':'a','exactly':{'deviceClassName':'c','selectors':[{'cel':{'expression':"
     "'true'}}]}}],'constraints':[{'requests':['a'],'matchAttribute':'a.b/c'}],'config':[{'opaque':{'driver':'d',"
     "'parameters':{}}}]}}}"},
    {"claimtemplate", "resource.k8s.io", "resourceclaimtemplates", "{" NS ",'spec':{'spec':{}}}"},
    {"devclass", "resource.k8s.io", "deviceclasses", "{" CLUSTER ",'spec':{'selectors':[{'cel':{'expression':'x'}}]}}"},
    {"rslice", "resource.k8s.io", "resourceslices",
     "{" CLUSTER
     ",'spec':{'driver':'d','nodeName':'n','pool':{'name':'a/b','resourceSliceCount':1,'generation':1},'devices':[{"
     "'name':'x','attributes':{'a':{'int':1}},'capacity':{'a.b/c':{'value':'1'}}}]}}"},
    {"taint", "resource.k8s.io", "devicetaintrules",
     "{" CLUSTER ",'spec':{'taint':{'key':'a/b','effect':'NoSchedule'}}}"},
};

struct test_case {
	const char *base, *path, *value, *cause; /* cause: "field|type|start of message"; NULL: fine */
};

#include "validate_cases.h"

/* ---- the machinery ---- */

static struct json *step(struct json *at, const char *name, size_t n)
{
	const char *bracket = memchr(name, '[', n);
	size_t len = bracket ? (size_t)(bracket - name) : n;
	struct json *v = json_get_n(at, name, len);

	return bracket ? json_at(v, strtoul(bracket + 1, NULL, 10)) : v;
}

static void change(struct arena *a, struct json *at, const char *path, const char *value)
{
	for (;;) {
		const char *dot = strchr(path, '.');
		if (!dot) {
			break;
		}
		struct json *next = step(at, path, (size_t)(dot - path));
		if (!next)
			next = json_set(a, at, arena_strndup(a, path, (size_t)(dot - path)), json_new(a, JSON_OBJECT));
		at = next;
		path = dot + 1;
	}
	char *name = arena_strdup(a, path);
	for (char *s = name; *s; s++) /* a dot inside a name is written as a bar */
		*s = *s == '|' ? '.' : *s;
	if (!value)
		json_remove(at, name);
	else if (strchr(name, '['))
		json_replace(step(at, name, strlen(name)), tree(a, value));
	else
		json_set(a, at, name, tree(a, value));
}

static int failures; /* every case is told about */

static void expect_cause(const struct status *err, const char *want, const char *what, const char *path)
{
	char text[4096] = "";

	for (size_t i = 0; i < err->n_causes; i++) {
		char one[2048];
		snprintf(one, sizeof(one), "%s|%s|%s", err->causes[i].field, err->causes[i].type,
			 err->causes[i].message);
		if (strncmp(one, want, strlen(want)) == 0)
			return;
		size_t n = strlen(text);
		snprintf(text + n, sizeof(text) - n, "  %.500s\n", one);
	}
	print_error("%s %s\nwants %s\ngot\n%s", what, path, want, text);
	failures++;
}

static size_t base_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		if (str_eq(bases[i].name, name))
			return i;
	fail_msg("no base %s", name);
	return 0;
}

static struct json *base_object(struct arena *a, size_t b, const struct resource **ret_row)
{
	struct json *v = tree(a, bases[b].object);

	*ret_row = resource_by_plural(bases[b].group, bases[b].plural);
	assert_non_null(*ret_row);
	default_object(a, *ret_row, v);
	return v;
}

static void test_bases(void **state)
{
	(void)state;
	failures = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT, again = STATUS_INIT;
		const struct resource *row;
		struct json *v = base_object(&a, i, &row);
		if (validate_create(row, v, &err) || validate_update(row, v, json_clone(&a, v), NULL, &again)) {
			print_error("%s: %s\n", bases[i].name, status_failed(&err) ? err.message : again.message);
			failures++;
		}
	}
	assert_int_equal(failures, 0);
}

static void run(const struct test_case *t, const char *mode)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *row;
	size_t base = base_of(t->base);
	bool create = str_eq(mode, "create");
	struct json *old = base_object(&a, base, &row);
	struct json *v = create ? tree(&a, bases[base].object) : json_clone(&a, old);
	int result;

	change(&a, v, t->path, t->value);
	if (create) {
		default_object(&a, row, v);
		result = validate_create(row, v, &err);
	} else {
		result = validate_update(row, v, old, str_eq(mode, "update") ? NULL : mode, &err);
	}
	if (t->cause)
		expect_cause(&err, t->cause, t->base, t->path);
	else if (result) {
		print_error("%s %s: %s\n", t->base, t->path, err.message);
		failures++;
	}
}

static void test_creates(void **state)
{
	(void)state;
	failures = 0;
	for (size_t i = 0; i < ARRAY_SIZE(creates); i++)
		run(&creates[i], "create");
	assert_int_equal(failures, 0);
}

static void test_updates(void **state)
{
	(void)state;
	failures = 0;
	for (size_t i = 0; i < ARRAY_SIZE(updates); i++)
		run(&updates[i], "update");
	assert_int_equal(failures, 0);
}

static void test_statuses(void **state)
{
	(void)state;
	failures = 0;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		run(&statuses[i], "status");
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bases),
	    cmocka_unit_test(test_creates),
	    cmocka_unit_test(test_updates),
	    cmocka_unit_test(test_statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
