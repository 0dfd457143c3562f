/* SPDX-License-Identifier: Apache-2.0 */
/* A row for each text: what was written, and all that is told of it. */
#include "api/warnings.h"

#include <string.h>

#include "api/decode.h"
#include "api/default.h"
#include "api/resource.h"
#include "base/buf.h"
#include "testing.h"

#define POD(members)                                                                                                   \
	"{'metadata':{'name':'x','namespace':'d'},'spec':{'containers':[{'name':'c','image':'i'}]," members "}}"
#define CONTAINER(members)                                                                                             \
	"{'metadata':{'name':'x','namespace':'d'},'spec':{'containers':[{'name':'c','image':'i'," members "}]}}"
#define PORTS(list) CONTAINER("'ports':[" list "]")
#define NOTED(key)                                                                                                     \
	"{'metadata':{'name':'x','annotations':{'" key "':'unconfined'}},'spec':{'containers':[{'name':'c'}]}}"
#define CLAIM(members) "{'metadata':{'name':'x'},'spec':{" members "}}"
#define SERVICE(members) "{'metadata':{'name':'x'},'spec':{" members "}}"
#define TERM(key) "{'matchExpressions':[{'key':'a','operator':'Exists'},{'key':'" key "','operator':'Exists'}]}"
#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static const struct {
	const char *group, *plural, *in, *told; /* a line each */
} rows[] = {
    {"", "pods", POD("'hostNetwork':false"), ""},
    {"", "pods", "{'metadata':{'name':'a.b'},'spec':{}}",
     "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
     "recommended: [must not contain dots]\n"},
    {"", "pods", POD("'nodeSelector':{'beta.kubernetes.io/os':'linux','a':'b'}"),
     "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead\n"},
    {"", "pods",
     POD("'affinity':{'nodeAffinity':{'" REQUIRED "':{'nodeSelectorTerms':[" TERM(
	 "beta.kubernetes.io/arch") "]},"
				    "'" PREFERRED "':[{'weight':1,'preference':" TERM(
					"failure-domain.beta.kubernetes.io/zone") "}]}}"),
     "spec.affinity.nodeAffinity." REQUIRED ".nodeSelectorTerms[0].matchExpressions[1].key: beta.kubernetes.io/arch is "
     "deprecated since v1.14; use \"kubernetes.io/arch\" instead\n"
     "spec.affinity.nodeAffinity." PREFERRED "[0].preference.matchExpressions[1].key: "
     "failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead\n"},
    {"", "pods", POD("'topologySpreadConstraints':[{'topologyKey':'beta.kubernetes.io/instance-type'}]"),
     "spec.topologySpreadConstraints[0].topologyKey: beta.kubernetes.io/instance-type is deprecated since v1.17; use "
     "\"node.kubernetes.io/instance-type\" instead\n"
     "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod\n"},
    {"", "pods",
     POD("'affinity':{'podAffinity':{'" REQUIRED "':[{'topologyKey':'a'}]},'podAntiAffinity':{'" PREFERRED
	 "':[{'podAffinityTerm':{'topologyKey':'a'}}]}}"),
     "spec.affinity.podAffinity." REQUIRED "[0].labelSelector: a null labelSelector results in matching no pod\n"
     "spec.affinity.podAntiAffinity." PREFERRED
     "[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod\n"},
    {"", "pods", NOTED("scheduler.alpha.kubernetes.io/critical-pod"),
     "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "
     "\"priorityClassName\" field instead\n"},
    {"", "pods", NOTED("seccomp.security.alpha.kubernetes.io/pod"),
     "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "
     "\"seccompProfile\" field instead\n"},
    {"", "pods", NOTED("container.seccomp.security.alpha.kubernetes.io/c"),
     "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]: non-functional in v1.27+; use the "
     "\"seccompProfile\" field instead\n"},
    {"", "pods", NOTED("container.apparmor.security.beta.kubernetes.io/c"), ""},
    {"", "pods", POD("'volumes':[{'name':'a','gitRepo':{}},{'name':'b','storageos':{}}]"),
     "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+\n"
     "spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+\n"},
    {"", "pods", POD("'hostAliases':[{'ip':'1.1.1.1'},{'ip':'1.1.1.1'}]"),
     "spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"\n"},
    {"", "pods", POD("'imagePullSecrets':[{'name':'a'},{'name':'a'},{}]"),
     "spec.imagePullSecrets[1].name: duplicate name \"a\"\nspec.imagePullSecrets[2].name: invalid empty name \"\"\n"},
    {"", "pods", POD("'overhead':{'memory':'100m','cpu':'100m'}"),
     "spec.overhead[memory]: fractional byte value \"100m\" is invalid, must be an integer\n"},
    {"", "pods", POD("'terminationGracePeriodSeconds':-1"),
     "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1\n"},
    {"", "pods", CONTAINER("'resources':{'requests':{'ephemeral-storage':'1100m','cpu':'1100m'}}"),
     "spec.containers[0].resources.requests[ephemeral-storage]: fractional byte value \"1100m\" is invalid, must be an "
     "integer\n"},
    {"", "pods", CONTAINER("'env':[{'name':'A','value':'a'},{'name':'A','value':'$(A) b'},{'name':'A','value':'c'}]"),
     "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply\n"},
    {"", "pods", CONTAINER("'env':[{'name':'A','value':'a'},{'name':'A','value':'$(A)'}]"),
     "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply\n"},
    {"", "pods", PORTS("{'containerPort':80},{'containerPort':80,'protocol':'UDP'},{'containerPort':81}"), ""},
    {"", "pods", PORTS("{'containerPort':80},{'containerPort':80}"),
     "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]\n"},
    {"", "pods", PORTS("{'containerPort':80,'hostPort':8080},{'containerPort':80}"),
     "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]\n"},
    {"", "pods", PORTS("{'containerPort':80},{'containerPort':80,'hostPort':8080}"),
     "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]\n"},
    {"", "pods", PORTS("{'containerPort':80,'hostPort':8080},{'containerPort':80,'hostPort':8081}"), ""},
    {"", "pods",
     PORTS("{'containerPort':80,'hostPort':8080},{'containerPort':80,'hostPort':8080,'hostIP':'127.0.0.1'}"),
     "spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]\n"},
    {"", "pods", PORTS("{'containerPort':80,'hostIP':'127.0.0.1'}"),
     "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP "
     "HostIP:127.0.0.1}\n"},
    {"apps", "deployments",
     "{'metadata':{'name':'a.b'},'spec':{'template':{'spec':{'terminationGracePeriodSeconds':-1}}}}",
     "metadata.name: this is used in Pod names and hostnames"},
    {"apps", "daemonsets",
     "{'metadata':{'name':'a.b'},'spec':{'template':{'spec':{'terminationGracePeriodSeconds':-1}}}}",
     "spec.template.spec.terminationGracePeriodSeconds: must be >= 0"},
    {"apps", "daemonsets",
     "{'spec':{'template':{'metadata':{'annotations':{'container.apparmor.security.beta.kubernetes.io/c':'a'}},'spec':{"
     "'containers':[{'name':'c'}]}}}}",
     "spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; "
     "use the "
     "\"appArmorProfile\" field instead\n"},
    {"batch", "cronjobs",
     "{'metadata':{'name':'x'},'spec':{'jobTemplate':{'spec':{'template':{'spec':{'terminationGracePeriodSeconds':-1}}}"
     "}}}",
     "spec.jobTemplate.spec.template.spec.terminationGracePeriodSeconds: must be >= 0"},
    {"", "services", SERVICE("'clusterIP':'None','sessionAffinity':'ClientIP','externalIPs':['1.1.1.1']"),
     "spec.externalIPs is ignored for headless services\nspec.SessionAffinity is ignored for headless services\n"},
    {"", "services", SERVICE("'type':'ExternalName','externalName':'a','externalIPs':['1.1.1.1']"),
     "spec.externalIPs is ignored when spec.type is \"ExternalName\"\n"},
    {"", "services",
     SERVICE("'type':'LoadBalancer','loadBalancerIP':'2001:DB8:0::1','clusterIPs':['FD00::1','10.0.0.1']"),
     "spec.clusterIPs[0]: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")\n"
     "spec.loadBalancerIP: IPv6 address \"2001:DB8:0::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")\n"},
    {"", "services", SERVICE("'trafficDistribution':'PreferClose'"),
     "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"\n"},
    {"", "services", "{'metadata':{'annotations':{'service.kubernetes.io/topology-aware-hints':'Auto'}}}",
     "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
     "service.kubernetes.io/topology-mode "
     "instead\n"},
    {"", "services", SERVICE("'externalName':'a'"),
     "spec.externalName is ignored when spec.type is not \"ExternalName\"\n"},
    {"", "persistentvolumes",
     CLAIM("'persistentVolumeReclaimPolicy':'Recycle','glusterfs':{},'capacity':{'storage':'1m'}"),
     "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach "
     "is "
     "to use dynamic provisioning.\n"
     "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+\n"
     "spec.capacity[storage]: fractional byte value \"1m\" is invalid, must be an integer\n"},
    {"", "persistentvolumeclaims", CLAIM("'resources':{'requests':{'storage':'1500m'}}"),
     "spec.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer\n"},
    {"", "persistentvolumeclaims", NOTED("volume.beta.kubernetes.io/storage-class"),
     "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \"storageClassName\" "
     "attribute instead\n"},
    {"networking.k8s.io", "ingresses", NOTED("kubernetes.io/ingress.class"),
     "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead\n"},
    {"", "configmaps", "{'metadata':{'name':'a.b'}}", ""},
};

static void collect(void *arg, const char *text)
{
	buf_addf(arg, "%s\n", text);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_buf_ struct buf told = BUF_INIT;
		const struct resource *r = resource_by_plural(rows[i].group, rows[i].plural);
		struct json *v = tree(&a, rows[i].in);
		size_t n = strlen(rows[i].told);
		default_object(&a, r, v);
		object_warnings(&a, r, v, NULL, collect, &told);
		/* A row that ends with a line is all there is; one that doesn't is a beginning. */
		bool all = !n || rows[i].told[n - 1] == '\n';
		if (all ? strcmp(buf_str(&told), rows[i].told) != 0 : strncmp(buf_str(&told), rows[i].told, n) != 0)
			fail_msg("%s\nwants %s\ngot %s", rows[i].in, rows[i].told, buf_str(&told));
	}
}

/* Pods aren't told again what was there; templates are when the spec is another one. */
static void test_updates(void **state)
{
	static const struct {
		const char *group, *plural;
		bool changed, told;
	} cases[] = {
	    {"", "pods", true, false}, {"apps", "deployments", false, false}, {"apps", "deployments", true, true}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_buf_ struct buf told = BUF_INIT;
		static const char form[] =
		    "{'metadata':{'name':'a.b'},'spec':{'terminationGracePeriodSeconds':-1,'replicas':%d,"
		    "'template':{'spec':{'terminationGracePeriodSeconds':-1}}}}";
		struct json *old = tree(&a, arena_printf(&a, form, 1));
		struct json *new = tree(&a, arena_printf(&a, form, cases[i].changed ? 2 : 1));
		object_warnings(&a, resource_by_plural(cases[i].group, cases[i].plural), new, old, collect, &told);
		assert_int_equal(told.len > 0, cases[i].told);
	}
}

static void test_resources(void **state)
{
	(void)state;
	expect_contains(resource_warning(resource_by_plural("", "endpoints")), "use discovery.k8s.io/v1 EndpointSlice");
	expect_contains(resource_warning(resource_by_plural("", "componentstatuses")), "deprecated in v1.19+");
	assert_null(resource_warning(resource_by_plural("", "services")));
	assert_null(resource_warning(resource_by_plural("discovery.k8s.io", "endpointslices")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_updates),
					   cmocka_unit_test(test_resources)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
