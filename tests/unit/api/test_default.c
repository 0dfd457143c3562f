/* SPDX-License-Identifier: Apache-2.0 */
#include "api/default.h"
#include "api/resource.h"
#include "testing.h"

static const struct {
	const char *group, *plural, *in, *path, *want; /* want: the value at path, "absent" */
} cases[] = {
    {"", "pods", "{'spec':{'containers':[{'name':'a','image':'x'}]}}", "spec",
     "{'containers':[{'name':'a','image':'x','imagePullPolicy':'Always','terminationMessagePath':'/dev/"
     "termination-log',"
     "'terminationMessagePolicy':'File'}],'restartPolicy':'Always','dnsPolicy':'ClusterFirst',"
     "'terminationGracePeriodSeconds':30,'securityContext':{},'schedulerName':'default-scheduler','enableServiceLinks':"
     "true}"},
    {"", "pods",
     "{'spec':{'hostNetwork':true,'serviceAccountName':'s','containers':[{'image':'r:5000/"
     "x:1','ports':[{'containerPort':80}],"
     "'resources':{'limits':{'cpu':'1500u'}},'livenessProbe':{'httpGet':{'port':80}}}]}}",
     "spec.containers",
     "[{'image':'r:5000/x:1','imagePullPolicy':'IfNotPresent','terminationMessagePath':'/dev/termination-log',"
     "'terminationMessagePolicy':'File','ports':[{'containerPort':80,'protocol':'TCP','hostPort':80}],'resources':{'"
     "limits':{"
     "'cpu':'2m'},'requests':{'cpu':'2m'}},'livenessProbe':{'httpGet':{'port':80,'path':'/','scheme':'HTTP'},"
     "'timeoutSeconds':1,'periodSeconds':10,'successThreshold':1,'failureThreshold':3}}]"},
    {"", "pods", "{'spec':{'volumes':[{'name':'a'},{'name':'b','secret':{}},{'name':'c','configMap':{'name':'x'}}]}}",
     "spec.volumes",
     "[{'name':'a','emptyDir':{}},{'name':'b','secret':{'defaultMode':420}},{'name':'c','configMap':{'name':'x',"
     "'defaultMode':420}}]"},
    {"", "services", "{'spec':{'ports':[{'port':80}]}}", "spec",
     "{'ports':[{'port':80,'protocol':'TCP','targetPort':80}],'sessionAffinity':'None','type':'ClusterIP',"
     "'internalTrafficPolicy':'Cluster'}"},
    {"", "services", "{'spec':{'type':'LoadBalancer','sessionAffinity':'ClientIP'}}", "spec",
     "{'type':'LoadBalancer','sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':10800}}"
     ","
     "'externalTrafficPolicy':'Cluster','internalTrafficPolicy':'Cluster','allocateLoadBalancerNodePorts':true}"},
    {"", "services", "{'spec':{'type':'ExternalName'}}", "spec", "{'type':'ExternalName','sessionAffinity':'None'}"},
    {"", "namespaces", "{'metadata':{'name':'n'}}", "metadata.labels", "{'kubernetes.io/metadata.name':'n'}"},
    {"", "namespaces", "{'metadata':{'name':'n'}}", "status", "{'phase':'Active'}"},
    {"", "secrets", "{}", "type", "'Opaque'"},
    {"", "pods", "{'status':{'podIP':'10.0.0.1'}}", "status.podIPs", "[{'ip':'10.0.0.1'}]"},
    {"", "pods", "{'status':{'podIPs':[{'ip':'10.0.0.1'}]}}", "status.podIP", "'10.0.0.1'"},
    {"", "pods", "{'status':{'podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}}", "status.podIPs",
     "[{'ip':'10.0.0.2'}]"},
    {"", "pods", "{'status':{'podIP':'10.0.0.1','podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}}", "status.podIPs",
     "[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]"},
    {"", "nodes", "{'spec':{'podCIDR':'10.0.0.0/24'}}", "spec.podCIDRs", "['10.0.0.0/24']"},
    {"", "nodes", "{'spec':{'podCIDRs':['10.0.0.0/24']}}", "spec.podCIDR", "'10.0.0.0/24'"},
    {"", "nodes", "{'spec':{}}", "spec", "{}"},
    {"", "resourcequotas", "{'spec':{'hard':{'cpu':'1500u'}}}", "spec.hard", "{'cpu':'2m'}"},
    {"", "limitranges", "{'spec':{'limits':[{'type':'Pod','max':{'cpu':'1500u'}}]}}", "spec.limits",
     "[{'type':'Pod','max':{'cpu':'2m'}}]"},
    {"", "persistentvolumes", "{'spec':{'iscsi':{},'rbd':{},'azureDisk':{},'scaleIO':{}}}", "spec.iscsi",
     "{'iscsiInterface':'default'}"},
    {"apps", "deployments", "{'spec':{'replicas':0,'template':{'spec':{'containers':[{'image':'a@sha256:0'}]}}}}",
     "spec",
     "{'replicas':0,'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':'25%','maxSurge':'25%'}},"
     "'revisionHistoryLimit':10,'progressDeadlineSeconds':600,'template':{'spec':{'containers':[{'image':'a@sha256:0',"
     "'imagePullPolicy':'IfNotPresent','terminationMessagePath':'/dev/"
     "termination-log','terminationMessagePolicy':'File'}],"
     "'restartPolicy':'Always','dnsPolicy':'ClusterFirst','terminationGracePeriodSeconds':30,'securityContext':{},"
     "'schedulerName':'default-scheduler'}}}"},
    {"apps", "deployments", "{'spec':{'strategy':{'type':'Recreate'}}}", "spec.strategy", "{'type':'Recreate'}"},
    {"apps", "daemonsets", "{'spec':{}}", "spec.updateStrategy",
     "{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':1,'maxSurge':0}}"},
    {"apps", "statefulsets", "{'spec':{}}", "spec",
     "{'podManagementPolicy':'OrderedReady','updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'partition':0,"
     "'maxUnavailable':1}},"
     "'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Retain','whenScaled':'Retain'},'replicas':1,"
     "'revisionHistoryLimit':10}"},
    {"batch", "jobs", "{'spec':{}}", "spec",
     "{'completions':1,'parallelism':1,'backoffLimit':6,'completionMode':'NonIndexed','manualSelector':false,'suspend':"
     "false,"
     "'podReplacementPolicy':'TerminatingOrFailed'}"},
    {"batch", "jobs", "{'spec':{'parallelism':2}}", "spec.completions", "absent"},
    {"batch", "cronjobs", "{'spec':{}}", "spec",
     "{'concurrencyPolicy':'Allow','suspend':false,'successfulJobsHistoryLimit':3,'failedJobsHistoryLimit':1}"},
    {"rbac.authorization.k8s.io", "rolebindings",
     "{'roleRef':{'kind':'Role'},'subjects':[{'kind':'User'},{'kind':"
     "'ServiceAccount'}]}",
     "subjects", "[{'kind':'User','apiGroup':'rbac.authorization.k8s.io'},{'kind':'ServiceAccount'}]"},
    {"networking.k8s.io", "networkpolicies", "{'spec':{'egress':[{}]}}", "spec.policyTypes", "['Ingress','Egress']"},
    {"scheduling.k8s.io", "priorityclasses", "{}", "preemptionPolicy", "'PreemptLowerPriority'"},
    {"admissionregistration.k8s.io", "validatingwebhookconfigurations", "{'webhooks':[{'rules':[{}]}]}", "webhooks",
     "[{'rules':[{'scope':'*'}],'failurePolicy':'Fail','matchPolicy':'Equivalent','namespaceSelector':{},'"
     "objectSelector':{},"
     "'timeoutSeconds':10}]"},
    {"coordination.k8s.io", "leases", "{'spec':{}}", "spec", "{}"},
    /* of a wrong shape: left for validation, and not a crash */
    {"", "pods", "{'spec':{'containers':'x','volumes':[1]}}", "spec.containers", "'x'"},
    {"", "services", "{'spec':7}", "spec", "7"},
    {"apps", "deployments", "{}", "spec", "absent"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		const struct resource *r = resource_by_plural(cases[i].group, cases[i].plural);
		struct json *v = tree(&a, cases[i].in);
		default_object(&a, r, v);
		struct json *once = json_clone(&a, v);
		default_object(&a, r, v);
		assert_true(json_equal(once, v)); /* idempotent */
		if (strcmp(cases[i].want, "absent") == 0)
			assert_null(json_path(v, cases[i].path));
		else
			expect_tree(&a, json_path(v, cases[i].path), cases[i].want);
	}
}

/* No kind's defaults trip over an empty object, or one whose members are of wrong types. */
static void test_every_kind(void **state)
{
	static const char wrong[] = "{'metadata':{'name':'x'},'spec':{'template':{'spec':{}},'ports':[1,{}],"
				    "'containers':[null]},'webhooks':[1],'subjects':['x'],'rules':{}}";
	static const char *const shapes[] = {"{}", "{'spec':{},'status':{},'metadata':{}}",
					     "{'spec':[],'metadata':1,'status':'x'}", wrong};
	(void)state;
	for (size_t i = 0; i < resource_table_len; i++)
		for (size_t k = 0; k < ARRAY_SIZE(shapes); k++) {
			_cleanup_arena_ struct arena a = ARENA_INIT;
			struct json *v = tree(&a, shapes[k]);
			default_object(&a, &resource_table[i], v);
			struct json *once = json_clone(&a, v);
			default_object(&a, &resource_table[i], v);
			if (!json_equal(once, v))
				fail_msg("%s: %s, then %s", resource_table[i].kind, json_to_string(&a, once),
					 json_to_string(&a, v));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_every_kind)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
