/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of metadata and of the kinds of core/v1 but Pod: a row for each, with the complaint it must cause. */
#include "api/decode.h"
#include "api/default.h"
#include "api/resource.h"
#include "api/validate.h"
#include "api/warnings.h"
#include "testing.h"

#define INVALID "|FieldValueInvalid|Invalid value: "
#define REQUIRED "|FieldValueRequired|Required value"
#define FORBIDDEN "|FieldValueForbidden|Forbidden: "
#define UNSUPPORTED "|FieldValueNotSupported|Unsupported value: "
#define DUPLICATE "|FieldValueDuplicate|Duplicate value: "

#define M "'metadata':{'name':'x','namespace':'d'}"
#define N "'metadata':{'name':'x'}"

struct row {
	const char *plural, *in, *cause; /* NULL: fine */
};

#define META(members) "{'metadata':{'name':'x','namespace':'d'," members "}}"
#define OWNER "'apiVersion':'v1','kind':'k','name':'n','uid':'u'"

static const struct row metadata[] = {
    {"configmaps", META("'ownerReferences':[{" OWNER "}]"), NULL},
    {"configmaps", META("'ownerReferences':[{'apiVersion':'a/','kind':'k','name':'n','uid':'u'}]"),
     "metadata.ownerReferences[0].apiVersion" INVALID "\"a/\": version must not be empty"},
    {"configmaps", META("'ownerReferences':[{'apiVersion':'v1','kind':'Event','name':'n','uid':'u'}]"),
     "metadata.ownerReferences" INVALID "{"},
    {"configmaps", META("'ownerReferences':[{" OWNER ",'controller':true},{" OWNER ",'controller':true}]"),
     "metadata.ownerReferences" INVALID "["},
    {"configmaps", META("'finalizers':['mine']"),
     "metadata.finalizers[0]" INVALID "\"mine\": name is neither a standard finalizer name nor is it fully qualified"},
    {"configmaps", META("'finalizers':['a.b/mine','orphan']"), NULL},
    {"configmaps", META("'finalizers':['orphan','foregroundDeletion']"), "metadata.finalizers" INVALID "["},
    {"configmaps", META("'generation':-1"), "metadata.generation" INVALID "-1: must be greater than or equal to 0"},
    {"configmaps", "{'metadata':{'name':'x','namespace':'a.b'}}", "metadata.namespace" INVALID "\"a.b\""},
    {"configmaps", "{'metadata':{'name':'x','namespace':'d','generateName':'AA-'}}",
     "metadata.generateName" INVALID "\"AA-\""},
    {"services", "{'metadata':{'name':'0x','namespace':'d'},'spec':{'ports':[{'port':1}]}}", NULL},
    {"services", "{'metadata':{'name':'a.b','namespace':'d'},'spec':{'ports':[{'port':1}]}}",
     "metadata.name" INVALID "\"a.b\": must not contain dots"},
    {"services", "{'metadata':{'name':'A.b','namespace':'d'},'spec':{'ports':[{'port':1}]}}",
     "metadata.name" INVALID "\"A.b\": a lowercase RFC 1123 label must"},
};

#define SERVICE(members) "{" M ",'spec':{'ports':[{'port':80}]," members "}}"

static const struct row services[] = {
    {"services", "{" M ",'spec':{'ports':[{'port':80,'name':'a'},{'port':81,'name':'a'}]}}",
     "spec.ports[1].name" DUPLICATE "\"a\""},
    {"services", "{" M ",'spec':{'ports':[{'port':80,'name':'a'},{'port':80,'name':'b'}]}}",
     "spec.ports[1]" DUPLICATE "{\"protocol\":\"TCP\",\"port\":80}"},
    {"services", "{" M ",'spec':{'ports':[{'port':80,'name':'a'},{'port':80,'name':'b','protocol':'UDP'}]}}", NULL},
    {"services", "{" M ",'spec':{'ports':[{'port':80,'targetPort':'a_b'}]}}",
     "spec.ports[0].targetPort" INVALID "\"a_b\": must contain only"},
    {"services", "{" M ",'spec':{'ports':[{'port':80,'nodePort':30000}]}}",
     "spec.ports[0].nodePort" FORBIDDEN "may not be used when `type` is 'ClusterIP'"},
    {"services",
     "{" M ",'spec':{'type':'NodePort','ports':[{'port':80,'name':'a','nodePort':30000},"
     "{'port':81,'name':'b','nodePort':30000}]}}",
     "spec.ports[1].nodePort" DUPLICATE "30000"},
    {"services", "{" M ",'spec':{'ports':[{'port':80,'protocol':'ICMP'}]}}", "spec.ports[0].protocol" UNSUPPORTED},
    {"services", "{" M ",'spec':{'ports':[{'port':80,'appProtocol':'a b'}]}}", "spec.ports[0].appProtocol" INVALID},
    {"services", SERVICE("'selector':{'a b':'c'}"), "spec.selector" INVALID "\"a b\""},
    {"services", SERVICE("'sessionAffinity':'Cookie'"), "spec.sessionAffinity" UNSUPPORTED "\"Cookie\": supported"},
    {"services", SERVICE("'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':86401}}"),
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds" INVALID "86401: must be greater than 0 and less than 86400"},
    {"services", SERVICE("'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.2']"),
     "spec.clusterIPs" INVALID "[\"10.0.0.2\"]: first value must match `clusterIP`"},
    {"services", SERVICE("'clusterIPs':['10.0.0.2']"), "spec.clusterIPs" INVALID "[\"10.0.0.2\"]: must be empty when"},
    {"services", SERVICE("'clusterIP':'a','clusterIPs':['a']"),
     "spec.clusterIPs[0]" INVALID "\"a\": must be a valid IP"},
    {"services", SERVICE("'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','10.0.0.2']"),
     "spec.clusterIPs" INVALID "[\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP"},
    {"services", SERVICE("'clusterIP':'None','clusterIPs':['None','10.0.0.2']"),
     "spec.clusterIPs" INVALID "[\"None\",\"10.0.0.2\"]: 'None' must be the first and only value"},
    {"services", SERVICE("'ipFamilies':['IPv4','IPv4']"), "spec.ipFamilies[1]" DUPLICATE "\"IPv4\""},
    {"services", SERVICE("'ipFamilies':['IPX']"), "spec.ipFamilies[0]" UNSUPPORTED "\"IPX\""},
    {"services", SERVICE("'ipFamilyPolicy':'Any'"), "spec.ipFamilyPolicy" UNSUPPORTED "\"Any\""},
    {"services", SERVICE("'clusterIP':'fd00::1','clusterIPs':['fd00::1'],'ipFamilies':['IPv4']"),
     "spec.clusterIPs[0]" INVALID "\"fd00::1\": expected an IPv4 value"},
    {"services", SERVICE("'type':'NodePort','clusterIP':'None','clusterIPs':['None']"),
     "spec.clusterIPs[0]" INVALID "\"None\": may not be set to 'None' for NodePort services"},
    {"services", SERVICE("'externalIPs':['127.0.0.1']"), "spec.externalIPs[0]" INVALID "\"127.0.0.1\": may not be in"},
    {"services", SERVICE("'externalIPs':['0.0.0.0']"), "spec.externalIPs[0]" INVALID "\"0.0.0.0\": may not be unspec"},
    {"services", SERVICE("'externalIPs':['fe80::1']"), "spec.externalIPs[0]" INVALID "\"fe80::1\": may not be in"},
    {"services", SERVICE("'externalIPs':['198.51.100.1']"), NULL},
    {"services", SERVICE("'loadBalancerSourceRanges':['10.0.0.0/8']"),
     "spec.LoadBalancerSourceRanges" FORBIDDEN "may only be used when `type` is 'LoadBalancer'"},
    {"services", SERVICE("'type':'LoadBalancer','loadBalancerSourceRanges':[' 10.0.0.0/8 ']"), NULL},
    {"services", SERVICE("'type':'LoadBalancer','loadBalancerSourceRanges':['10.0.0.0/33']"),
     "spec.LoadBalancerSourceRanges[0]" INVALID "\"10.0.0.0/33\": must be a valid CIDR"},
    {"services", SERVICE("'allocateLoadBalancerNodePorts':true"), "spec.allocateLoadBalancerNodePorts" FORBIDDEN},
    {"services", SERVICE("'loadBalancerClass':'a/b'"), "spec.loadBalancerClass" FORBIDDEN},
    {"services", SERVICE("'externalTrafficPolicy':'Local'"),
     "spec.externalTrafficPolicy" INVALID "\"Local\": may only be set for externally-accessible services"},
    {"services", SERVICE("'type':'NodePort','externalTrafficPolicy':'Near'"), "spec.externalTrafficPolicy" UNSUPPORTED},
    {"services", SERVICE("'healthCheckNodePort':30000"),
     "spec.healthCheckNodePort" INVALID "30000: may only be set when"},
    {"services", SERVICE("'internalTrafficPolicy':'Near'"), "spec.internalTrafficPolicy" UNSUPPORTED},
    {"services", SERVICE("'trafficDistribution':'Far'"),
     "spec.trafficDistribution" UNSUPPORTED
     "\"Far\": supported values: \"PreferClose\", \"PreferSameNode\", \"PreferSameZone\""},
    {"services", SERVICE("'type':'ExternalName','externalName':'a.b','clusterIPs':['10.0.0.1']"),
     "spec.clusterIPs" FORBIDDEN "may not be set for ExternalName services"},
    {"services", SERVICE("'type':'ExternalName','externalName':'a.b.'"), NULL},
    {"services", SERVICE("'type':'ExternalName','externalName':'A'"), "spec.externalName" INVALID "\"A\""},
    /* endpoints */
    {"endpoints", "{" M ",'subsets':[{}]}", "subsets[0]" REQUIRED ": must specify `addresses` or `notReadyAddresses`"},
    {"endpoints", "{" M ",'subsets':[{'addresses':[{'ip':'a'}]}]}", "subsets[0].addresses[0].ip" INVALID "\"a\": must"},
    {"endpoints", "{" M ",'subsets':[{'addresses':[{'ip':'169.254.1.1'}]}]}", "subsets[0].addresses[0].ip" INVALID},
    {"endpoints", "{" M ",'subsets':[{'addresses':[{'ip':'10.0.0.1'}],'ports':[{'port':1},{'port':2}]}]}",
     "subsets[0].ports[0].name" REQUIRED},
    {"endpoints", "{" M ",'subsets':[{'addresses':[{'ip':'10.0.0.1'}],'ports':[{}]}]}",
     "subsets[0].ports[0].port" INVALID "0: must be between 1 and 65535, inclusive"},
};

#define PV(members) "{" N ",'spec':{'capacity':{'storage':'1Gi'},'accessModes':['ReadWriteOnce']," members "}}"
#define HOST "'hostPath':{'path':'/p'}"
#define CLAIM(members)                                                                                                 \
	"{" M ",'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}" members "}}"

static const struct row storage[] = {
    {"persistentvolumes", PV(HOST), NULL},
    {"persistentvolumes", PV("'volumeMode':'Filesystem'"), "spec" REQUIRED ": must specify a volume type"},
    {"persistentvolumes", PV(HOST ",'nfs':{'server':'s','path':'/p'}"),
     "spec.nfs" FORBIDDEN "may not specify more than"},
    {"persistentvolumes", "{" N ",'spec':{'accessModes':['ReadWriteOnce']," HOST "}}", "spec.capacity" REQUIRED},
    {"persistentvolumes", "{" N ",'spec':{'capacity':{'storage':'0'},'accessModes':['ReadWriteOnce']," HOST "}}",
     "spec.capacity[storage]" INVALID "\"0\": must be greater than zero"},
    {"persistentvolumes", "{" N ",'spec':{'capacity':{'cpu':'1'},'accessModes':['ReadWriteOnce']," HOST "}}",
     "spec.capacity" UNSUPPORTED},
    {"persistentvolumes", "{" N ",'spec':{'capacity':{'storage':'1'}," HOST "}}", "spec.accessModes" REQUIRED},
    {"persistentvolumes", "{" N ",'spec':{'capacity':{'storage':'1'},'accessModes':['Once']," HOST "}}",
     "spec.accessModes" UNSUPPORTED "\"Once\": supported values: \"ReadOnlyMany\""},
    {"persistentvolumes",
     "{" N ",'spec':{'capacity':{'storage':'1'},'accessModes':['ReadWriteOncePod','ReadOnlyMany']," HOST "}}",
     "spec.accessModes" FORBIDDEN "may not use ReadWriteOncePod with other access modes"},
    {"persistentvolumes", PV(HOST ",'persistentVolumeReclaimPolicy':'Keep'"),
     "spec.persistentVolumeReclaimPolicy" UNSUPPORTED "\"Keep\""},
    {"persistentvolumes", PV("'hostPath':{'path':'//'},'persistentVolumeReclaimPolicy':'Recycle'"),
     "spec.persistentVolumeReclaimPolicy" FORBIDDEN "may not be 'recycle' for a hostPath mount of '/'"},
    {"persistentvolumes", PV("'local':{'path':'/p'}"), "spec.nodeAffinity" REQUIRED ": Local volume requires node"},
    {"persistentvolumes", PV(HOST ",'nodeAffinity':{}"), "spec.nodeAffinity.required" REQUIRED},
    {"persistentvolumes", PV(HOST ",'storageClassName':'A'"), "spec.storageClassName" INVALID "\"A\""},
    {"persistentvolumes", PV(HOST ",'volumeMode':'Tape'"), "spec.volumeMode" UNSUPPORTED "\"Tape\""},
    {"persistentvolumes", PV(HOST ",'volumeAttributesClassName':'a'"), "spec.csi" REQUIRED},
    {"persistentvolumes", PV("'csi':{'driver':'a'}"), "spec.csi.volumeHandle" REQUIRED},
    {"persistentvolumes",
     PV("'csi':{'driver':'a','volumeHandle':'h','nodeStageSecretRef':{},"
	"'nodePublishSecretRef':{'name':'a'}}"),
     "spec.csi.nodePublishSecretRef.namespace" REQUIRED},
    {"persistentvolumes", PV("'azureFile':{'secretName':'s','shareName':'n','secretNamespace':''}"),
     "spec.azureFile.secretNamespace" REQUIRED},
    {"persistentvolumes", PV("'glusterfs':{'endpoints':'e','path':'p','endpointsNamespace':''}"),
     "spec.glusterfs.endpointsNamespace" INVALID},
    /* claims */
    {"persistentvolumeclaims", CLAIM(""), NULL},
    {"persistentvolumeclaims", "{" M ",'spec':{'resources':{'requests':{'storage':'1Gi'}}}}",
     "spec.accessModes" REQUIRED ": at least 1 access mode is required"},
    {"persistentvolumeclaims",
     "{" M ",'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'0'}}}}",
     "spec.resources[storage]" INVALID "\"0\": must be greater than zero"},
    {"persistentvolumeclaims", CLAIM(",'storageClassName':'A'"), "spec.storageClassName" INVALID "\"A\""},
    {"persistentvolumeclaims", CLAIM(",'storageClassName':''"), NULL},
    {"persistentvolumeclaims", CLAIM(",'selector':{'matchLabels':{'a':'b c'}}"),
     "spec.selector.matchLabels" INVALID "\"b c\""},
    {"persistentvolumeclaims", CLAIM(",'dataSource':{'kind':'Pod','name':'a'}"),
     "spec.dataSource" INVALID "\"Pod\": must be 'PersistentVolumeClaim' when"},
    {"persistentvolumeclaims",
     CLAIM(",'dataSource':{'kind':'PersistentVolumeClaim','name':'a'},'dataSourceRef':{'kind':'PersistentVolumeClaim',"
	   "'name':'b'}"),
     "spec" INVALID "\"spec.dataSource\": must match dataSourceRef"},
};

static const struct row others[] = {
    /* nodes */
    {"nodes", "{" N ",'spec':{'taints':[{'key':'a b','effect':'NoSchedule'}]}}", "metadata.taints[0].key" INVALID},
    {"nodes", "{" N ",'spec':{'taints':[{'key':'a'}]}}", "metadata.taints[0].effect" REQUIRED},
    {"nodes", "{" N ",'spec':{'taints':[{'key':'a','effect':'No'}]}}",
     "metadata.taints[0].effect" UNSUPPORTED "\"No\""},
    {"nodes", "{" N ",'spec':{'taints':[{'key':'a','effect':'NoSchedule'},{'key':'a','effect':'NoSchedule'}]}}",
     "metadata.taints[1]" DUPLICATE "{\"key\":\"a\",\"effect\":\"NoSchedule\"}: taints must be unique"},
    {"nodes", "{" N ",'spec':{'podCIDRs':['10.0.0.0']}}",
     "spec.podCIDRs[0]" INVALID "\"10.0.0.0\": must be a valid CIDR"},
    {"nodes", "{" N ",'spec':{'podCIDRs':['10.0.0.0/24','10.0.1.0/24']}}", "spec.podCIDRs" INVALID "["},
    {"nodes", "{" N ",'status':{'capacity':{'cpu':'-1'}}}", "status.capacity.cpu" INVALID "\"-1\""},
    /* quotas */
    {"resourcequotas", "{" M ",'spec':{'hard':{'gpu':'1'}}}", "spec.hard[gpu]" INVALID "\"gpu\": must be a standard"},
    {"resourcequotas", "{" M ",'spec':{'hard':{'storage':'1'}}}",
     "spec.hard[storage]" INVALID "\"storage\": must be a standard resource for quota"},
    {"resourcequotas", "{" M ",'spec':{'hard':{'pods':'1500m'}}}",
     "spec.hard[pods]" INVALID "\"1500m\": must be an int"},
    {"resourcequotas", "{" M ",'spec':{'hard':{'count/deployments.apps':'5','requests.example.com/gpu':'2'}}}", NULL},
    {"resourcequotas", "{" M ",'spec':{'hard':{'pods':'1'},'scopes':['Mine']}}",
     "spec.scopes" INVALID "[\"Mine\"]: unsupported scope"},
    {"resourcequotas", "{" M ",'spec':{'hard':{'cpu':'1'},'scopes':['BestEffort']}}",
     "spec.scopes" INVALID "[\"BestEffort\"]: unsupported scope applied to resource"},
    {"resourcequotas", "{" M ",'spec':{'hard':{'pods':'1'},'scopes':['BestEffort','NotBestEffort']}}",
     "spec.scopes" INVALID "[\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"},
    {"resourcequotas",
     "{" M
     ",'spec':{'hard':{'pods':'1'},'scopeSelector':{'matchExpressions':[{'scopeName':'BestEffort','operator':'In',"
     "'values':['a']}]}}}",
     "spec.scopeSelector.matchExpressions.operator" INVALID "\"In\": must be 'Exists' when scope is any of"},
    {"resourcequotas",
     "{" M ",'spec':{'hard':{'pods':'1'},'scopeSelector':{'matchExpressions':[{'scopeName':'PriorityClass','operator':"
     "'In'}]}}}",
     "spec.scopeSelector.matchExpressions.values" REQUIRED},
/* limit ranges */
#define LIMIT(members) "{" M ",'spec':{'limits':[{" members "}]}}"
    {"limitranges", LIMIT("'type':'Node'"), "spec.limits[0].type" INVALID "\"Node\": must be a standard limit type"},
    {"limitranges", LIMIT("'type':'Container','max':{'cpu':'1'},'min':{'cpu':'2'}"),
     "spec.limits[0].min[cpu]" INVALID "\"2\": min value 2 is greater than max value 1"},
    {"limitranges", LIMIT("'type':'Container','max':{'cpu':'1'},'defaultRequest':{'cpu':'2'}"),
     "spec.limits[0].defaultRequest[cpu]" INVALID "\"2\": default request value 2 is greater than max value 1"},
    {"limitranges", LIMIT("'type':'Container','min':{'cpu':'2'},'defaultRequest':{'cpu':'1'}"),
     "spec.limits[0].defaultRequest[cpu]" INVALID "\"1\": min value 2 is greater than default request value 1"},
    {"limitranges", LIMIT("'type':'Container','max':{'cpu':'1'},'default':{'cpu':'2'}"),
     "spec.limits[0].default[cpu]" INVALID "\"1\": default value 2 is greater than max value 1"},
    {"limitranges", LIMIT("'type':'Container','min':{'cpu':'2'},'default':{'cpu':'1'}"),
     "spec.limits[0].default[cpu]" INVALID "\"2\": min value 2 is greater than default value 1"},
    {"limitranges", LIMIT("'type':'Pod','default':{'cpu':'1'}"),
     "spec.limits[0].default" FORBIDDEN "may not be specified when `type` is 'Pod'"},
    {"limitranges", LIMIT("'type':'PersistentVolumeClaim'"), "spec.limits[0].limits" REQUIRED},
    {"limitranges", LIMIT("'type':'Pod','maxLimitRequestRatio':{'cpu':'500m'}"),
     "spec.limits[0].maxLimitRequestRatio[cpu]" INVALID "\"500m\": ratio 500m is less than 1"},
    {"limitranges", LIMIT("'type':'Pod','maxLimitRequestRatio':{'cpu':'3'},'min':{'cpu':'1'},'max':{'cpu':'2'}"),
     "spec.limits[0].maxLimitRequestRatio[cpu]" INVALID "\"3\": ratio 3 is greater than max/min = 2.000000"},
    {"limitranges", LIMIT("'type':'Container','default':{'example.com/a':'2'},'defaultRequest':{'example.com/a':'1'}"),
     "spec.limits[0].defaultRequest[example.com/a]" INVALID "\"1\": default value 2 must equal to defaultRequest"},
    {"limitranges", "{" M ",'spec':{'limits':[{'type':'Pod'},{'type':'Pod'}]}}", "spec.limits[1].type" DUPLICATE},
    /* config */
    {"configmaps", "{" M ",'data':{'..':''}}", "data[..]" INVALID "\"..\": must not be '..'"},
    {"secrets", "{" M ",'type':'kubernetes.io/ssh-auth','data':{'ssh-privatekey':''}}",
     "data[ssh-privatekey]" REQUIRED},
    {"secrets", "{" M ",'type':'kubernetes.io/basic-auth'}", "data[username]" REQUIRED},
    {"secrets", "{" M ",'type':'kubernetes.io/basic-auth','data':{'password':''}}", NULL},
    {"secrets", "{" M ",'type':'kubernetes.io/service-account-token'}",
     "metadata.annotations[kubernetes.io/service-account.name]" REQUIRED},
    {"secrets", "{" M ",'type':'kubernetes.io/dockercfg','data':{'.dockercfg':'W10='}}", "data[.dockercfg]" INVALID},
    /* controllers and events */
    {"replicationcontrollers", "{" M ",'spec':{'selector':{'a':'b'}}}", "spec.template" REQUIRED},
    {"replicationcontrollers",
     "{" M ",'spec':{'selector':{'a':'c'},'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':"
     "'c','image':'i'}]}}}}",
     "spec.template.metadata.labels" INVALID "{\"a\":\"b\"}: `selector` does not match"},
    {"replicationcontrollers",
     "{" M ",'spec':{'template':{'metadata':{'labels':{'a':'b'}},'spec':{'activeDeadlineSeconds':1,'containers':[{"
     "'name':'c','image':'i'}]}}}}",
     "spec.template.spec.activeDeadlineSeconds" FORBIDDEN},
    {"podtemplates", "{" M ",'template':{'spec':{'containers':[{'name':'c'}]}}}",
     "template.spec.containers[0].image" REQUIRED},
    {"podtemplates",
     "{" M ",'template':{'spec':{'containers':[{'name':'c','image':'i'}],'ephemeralContainers':[{'name':'e','image':"
     "'i'}]}}}",
     "template.spec.ephemeralContainers" FORBIDDEN "ephemeral containers not allowed in pod template"},
    {"events", "{" M ",'involvedObject':{'namespace':'d'},'eventTime':'2026-01-01T00:00:00.000000Z'}",
     "reportingController" REQUIRED},
    {"events", "{'metadata':{'name':'x','namespace':'kube-system'},'involvedObject':{'kind':'Node'}}",
     "involvedObject.namespace" INVALID "\"\": does not match event.namespace"},
    {"events",
     "{'metadata':{'name':'x','namespace':'kube-system'},'involvedObject':{'kind':'Node'},'eventTime':"
     "'2026-01-01T00:00:00.000000Z','reportingComponent':'a/b','reportingInstance':'i','action':'a','reason':'r'}",
     NULL},
    {"events",
     "{" M ",'involvedObject':{'namespace':'d'},'eventTime':'2026-01-01T00:00:00.000000Z','reportingComponent':'a/b',"
     "'reportingInstance':'i','action':'a','reason':'r'}",
     NULL},
    {"namespaces", "{" N ",'spec':{'finalizers':['x']}}", "spec.finalizers" INVALID "\"x\": name is neither"},
};

static void expect(const struct status *err, const char *want, const char *what)
{
	char got[4096] = "";

	for (size_t i = 0; i < err->n_causes; i++) {
		char one[1024];
		snprintf(one, sizeof(one), "%s|%s|%s", err->causes[i].field, err->causes[i].type,
			 err->causes[i].message);
		if (strncmp(one, want, strlen(want)) == 0)
			return;
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "  %.500s\n", one);
	}
	fail_msg("%s\nwants %s\ngot\n%s", what, want, got);
}

static void judge(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct resource *r = resource_by_plural("", rows[i].plural);
		struct json *v = tree(&a, rows[i].in);
		default_object(&a, r, v);
		int result = validate_create(r, v, &err);
		if (rows[i].cause)
			expect(&err, rows[i].cause, rows[i].in);
		else if (result)
			fail_msg("%s: %s", rows[i].in, err.message);
	}
}

static void test_creates(void **state)
{
	(void)state;
	judge(metadata, ARRAY_SIZE(metadata));
	judge(services, ARRAY_SIZE(services));
	judge(storage, ARRAY_SIZE(storage));
	judge(others, ARRAY_SIZE(others));
}

/* ---- updates ---- */

#define BOUND ",'status':{'phase':'Bound','capacity':{'storage':'1Gi'}}"
#define SIZED(size, more)                                                                                              \
	"{" M ",'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'" size "'}}}" more "}"

static const struct {
	const char *plural, *old, *new, *subresource, *cause;
} updates[] = {
    /* services */
    {"services", SERVICE("'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']"), SERVICE("'type':'ClusterIP'"), NULL,
     "spec.clusterIPs[0]" INVALID "null: primary clusterIP can not be unset"},
    {"services", SERVICE("'clusterIP':'None','clusterIPs':['None']"),
     SERVICE("'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']"), NULL,
     "spec.clusterIPs[0]" INVALID "[\"10.0.0.1\"]: may not change once set"},
    {"services", SERVICE("'type':'ExternalName','externalName':'a'"),
     SERVICE("'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']"), NULL, NULL},
    {"services", SERVICE("'ipFamilies':['IPv4']"), SERVICE("'ipFamilies':['IPv6']"), NULL,
     "spec.ipFamilies[0]" INVALID "[\"IPv6\"]: may not change once set"},
    {"services", SERVICE("'type':'LoadBalancer','loadBalancerClass':'a/b'"),
     SERVICE("'type':'LoadBalancer','loadBalancerClass':'a/c'"), NULL,
     "spec.loadBalancerClass" INVALID "\"a/c\": may not change once set"},
    {"services", SERVICE("'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30000"),
     SERVICE("'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30001"), NULL,
     "spec.healthCheckNodePort" FORBIDDEN "field is immutable"},
    {"services", SERVICE("'type':'ClusterIP'"),
     "{" M ",'spec':{'ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3.4'}]}}}", "status",
     "status.loadBalancer.ingress" FORBIDDEN},
    {"services", SERVICE("'type':'LoadBalancer'"),
     "{" M ",'spec':{'type':'LoadBalancer','ports':[{'port':80}]},'status':{'loadBalancer':{'ingress':[{'hostname':"
     "'1.2.3.4'}]}}}",
     "status", "status.loadBalancer.ingress[0].hostname" INVALID "\"1.2.3.4\": must be a DNS name"},
    /* claims */
    {"persistentvolumeclaims", SIZED("1Gi", BOUND), SIZED("2Gi", BOUND), NULL, NULL},
    {"persistentvolumeclaims", SIZED("1Gi", ""), SIZED("2Gi", ""), NULL,
     "spec" FORBIDDEN "spec is immutable after creation except resources.requests and volumeAttributesClassName"},
    {"persistentvolumeclaims", SIZED("3Gi", BOUND), SIZED("2Gi", BOUND), NULL, NULL},
    {"persistentvolumeclaims", SIZED("3Gi", BOUND), SIZED("1Gi", BOUND), NULL,
     "spec.resources.requests.storage" FORBIDDEN "field can not be less than status.capacity"},
    {"persistentvolumeclaims", CLAIM(""), CLAIM(",'volumeName':'v'"), NULL, NULL},
    {"persistentvolumeclaims", CLAIM(",'volumeName':'v'"), CLAIM(",'volumeName':'w'"), NULL, "spec" FORBIDDEN},
    {"persistentvolumeclaims", CLAIM(""), CLAIM(",'storageClassName':'a'"), NULL, NULL},
    {"persistentvolumeclaims", CLAIM(",'storageClassName':'a'"), CLAIM(",'storageClassName':'b'"), NULL,
     "spec" FORBIDDEN},
    {"persistentvolumeclaims", CLAIM(",'selector':{'matchLabels':{'a':'b c'}}"),
     CLAIM(",'selector':{'matchLabels':{'a':'b c'}}"), NULL, NULL},
    {"persistentvolumeclaims", CLAIM(""),
     "{" M ",'spec':{'accessModes':['ReadWriteOnce']},'status':{"
     "'allocatedResourceStatuses':{'storage':'Growing'}}}",
     "status", "status.allocatedResourceStatus" UNSUPPORTED},
    /* volumes */
    {"persistentvolumes", PV(HOST), PV("'hostPath':{'path':'/q'}"), NULL,
     "spec.persistentvolumesource" FORBIDDEN "spec.persistentvolumesource is immutable after creation"},
    {"persistentvolumes", PV(HOST), PV(HOST ",'volumeMode':'Block'"), NULL, "volumeMode" INVALID "\"Block\": field is"},
    {"persistentvolumes", PV(HOST), PV(HOST ",'claimRef':{'name':'c'}"), NULL, NULL},
#define NODE_AFFINITY(key)                                                                                             \
	PV(HOST ",'nodeAffinity':{'required':{'nodeSelectorTerms':[{'matchExpressions':[{'key':'" key                  \
		"','operator':'Exists'}]}]}}")
    {"persistentvolumes", NODE_AFFINITY("a"), NODE_AFFINITY("b"), NULL, "nodeAffinity" INVALID "{"},
    {"persistentvolumes", NODE_AFFINITY("beta.kubernetes.io/os"), NODE_AFFINITY("kubernetes.io/os"), NULL, NULL},
    {"persistentvolumes", PV(HOST), NODE_AFFINITY("a"), NULL, NULL},
    /* nodes */
    {"nodes", "{" N ",'spec':{'podCIDRs':['10.0.0.0/24']}}", "{" N ",'spec':{'podCIDRs':['10.0.1.0/24']}}", NULL,
     "spec.podCIDRs" FORBIDDEN "node updates may not change podCIDR"},
    {"nodes", "{" N ",'spec':{'providerID':'a'}}", "{" N ",'spec':{'providerID':'b'}}", NULL,
     "spec.providerID" FORBIDDEN},
    {"nodes", "{" N "}", "{" N ",'spec':{'podCIDRs':['10.0.1.0/24'],'providerID':'b','unschedulable':true}}", NULL,
     NULL},
    {"nodes", "{" N "}",
     "{" N ",'status':{'addresses':[{'type':'Hostname','address':'a'},{'type':'Hostname','address':'a'}]}}", "status",
     "status.addresses[1]" DUPLICATE "{"},
    /* the rest */
    {"resourcequotas", "{" M ",'spec':{'hard':{'pods':'1'},'scopes':['BestEffort']}}",
     "{" M ",'spec':{'hard':{'pods':'1'}}}", NULL, "spec.scopes" INVALID "null: field is immutable"},
    {"secrets", "{" M ",'immutable':true}", "{" M "}", NULL, "immutable" FORBIDDEN "field is immutable when"},
    {"configmaps", "{" M ",'immutable':true}", "{" M ",'immutable':true,'binaryData':{'a':''}}", NULL,
     "binaryData" FORBIDDEN},
    {"namespaces", "{" N "}", "{" N ",'status':{'phase':'Terminating'}}", "status",
     "status.Phase" INVALID "\"Terminating\": may only be 'Active'"},
    {"replicationcontrollers", "{" M "}", "{" M ",'status':{'replicas':1,'readyReplicas':2}}", "status",
     "status.readyReplicas" INVALID "2: cannot be greater than status.replicas"},
    {"endpoints", "{" M ",'subsets':[{}]}", "{" M ",'subsets':[{}]}", NULL, NULL},
};

static void test_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(updates); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct resource *r = resource_by_plural("", updates[i].plural);
		struct json *old = tree(&a, updates[i].old), *new = tree(&a, updates[i].new);
		default_object(&a, r, old);
		default_object(&a, r, new);
		int result = validate_update(r, new, old, updates[i].subresource, &err);
		if (updates[i].cause)
			expect(&err, updates[i].cause, updates[i].new);
		else if (result)
			fail_msg("%s: %s", updates[i].new, err.message);
	}
}

/* ---- whatever decoding lets through is judged, and crashes nothing ---- */

static size_t judged;

static void ignore(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void judge_decoded(const struct resource *r, const struct json *whole)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *v = NULL;

	if (decode_object(&a, r->type, r->kind, r->version, json_clone(&a, whole), NULL, &v, &err) < 0)
		return;
	judged++;
	(void)validate_create(r, v, &err);
	(void)validate_update(r, v, tree(&a, "{'spec':{}}"), NULL, &err);
	(void)validate_update(r, v, v, "status", &err);
	object_warnings(&a, r, v, NULL, ignore, NULL);
	default_object(&a, r, v);
	(void)validate_create(r, v, &err);
}

static void replace_each(const struct resource *r, struct arena *a, struct json *whole, struct json *at)
{
	static const char *const wrong[] = {"null", "7", "''", "'x'", "[]", "{}", "[{}]", "['']", "{'':''}"};

	JSON_EACH(child, at) {
		struct json kept = *child;
		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
			json_replace(child, tree(a, wrong[i]));
			judge_decoded(r, whole);
		}
		json_replace(child, &kept);
		replace_each(r, a, whole, child);
	}
}

static void test_wrong_types(void **state)
{
	static const struct row *const tables[] = {services, storage, others};
	static const size_t sizes[] = {ARRAY_SIZE(services), ARRAY_SIZE(storage), ARRAY_SIZE(others)};
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(tables); k++)
		for (size_t i = 0; i < sizes[k]; i++) {
			_cleanup_arena_ struct arena a = ARENA_INIT;
			struct json *v = tree(&a, tables[k][i].in);
			replace_each(resource_by_plural("", tables[k][i].plural), &a, v, v);
		}
	assert_true(judged > 1000); /* not all were refused before */
}

/* The same with every member of a pod that has rules. */
static void test_wrong_types_in_pods(void **state)
{
	static const char pod[] =
	    "{" M
	    ",'spec':{'containers':[{'name':'c','image':'i','ports':[{'containerPort':1,'hostPort':1}],'env':[{'name'"
	    ":'A','valueFrom':{'fieldRef':{'apiVersion':'v1','fieldPath':'metadata.labels[]'},'resourceFieldRef':{"
	    "'resource':'limits.cpu','divisor':'1'},'fileKeyRef':{'volumeName':'v','path':'p','key':'k'}}}],'envFrom':["
	    "{"
	    "'secretRef':{'name':'a'}}],'volumeMounts':[{'name':'v','mountPath':'/a','subPath':'b'}],'volumeDevices':[{"
	    "'name':'v','devicePath':'d'}],'resources':{'limits':{'cpu':'1'},'requests':{'hugepages-2Mi':'1'},'claims':"
	    "[{"
	    "'name':'n','request':'r'}]},'resizePolicy':[{'resourceName':'cpu'}],'lifecycle':{'preStop':{'sleep':{"
	    "'seconds':1}},'stopSignal':'x'},'livenessProbe':{'httpGet':{'port':1,'httpHeaders':[{'name':'a'}]}},"
	    "'securityContext':{'seccompProfile':{'type':'Localhost'},'appArmorProfile':{'type':'Localhost',"
	    "'localhostProfile':'p'},'capabilities':{'add':['a']},'allowPrivilegeEscalation':false,'windowsOptions':{"
	    "'runAsUserName':'a'}},'restartPolicy':'Never','restartPolicyRules':[{'exitCodes':{'values':[1]}}]}],"
	    "'volumes':[{'name':'v','projected':{'sources':[{'secret':{'items':[{'key':'k','path':'p'}]},"
	    "'clusterTrustBundle':{'name':'n','path':'p'},'podCertificate':{'signerName':'a/"
	    "b','keyPath':'k'}}]}},{'name':"
	    "'w','ephemeral':{'volumeClaimTemplate':{'metadata':{},'spec':{'dataSource':{'kind':'k'}}}}}],'affinity':{"
	    "'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{'matchExpressions'"
	    ":[{"
	    "'key':'a','values':['b']}],'matchFields':[{'key':'a'}]}]}},'podAffinity':{"
	    "'requiredDuringSchedulingIgnoredDuringExecution':[{'labelSelector':{'matchLabels':{'a':'b'}},'"
	    "matchLabelKeys':"
	    "['a'],'mismatchLabelKeys':['a']}]}},'topologySpreadConstraints':[{'matchLabelKeys':['a'],'labelSelector':{"
	    "}}],"
	    "'tolerations':[{'key':'a','operator':'Gt','value':'1'}],'dnsConfig':{'nameservers':['a'],'searches':['b.']"
	    ","
	    "'options':[{}]},'hostAliases':[{'hostnames':['a']}],'securityContext':{'sysctls':[{'name':'net.a'}],"
	    "'supplementalGroups':[1],'windowsOptions':{'hostProcess':true}},'os':{'name':'windows'},'overhead':{'cpu':"
	    "'1'},"
	    "'resources':{'requests':{'cpu':'1'}},'resourceClaims':[{'name':'n'}],'schedulingGates':[{'name':'a'}],"
	    "'readinessGates':[{'conditionType':'a'}],'hostNetwork':true},'status':{'podIPs':[{'ip':'a'}],'hostIPs':[{'"
	    "ip':"
	    "'a'}],'containerStatuses':[{'name':'c','state':{'terminated':{'exitCode':1}},'user':{'linux':{'uid':1,'"
	    "gid':1,'supplementalGroups':[1]}},'allocatedResourcesStatus':[{'name':'cpu','resources':[{'resourceID':'a'"
	    ",'health':'x'}]}]}],'conditions':[{'type':'a'}]"
	    "}}";
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v = tree(&a, pod);
	judged = 0;
	replace_each(resource_by_plural("", "pods"), &a, v, v);
	assert_true(judged > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_creates), cmocka_unit_test(test_updates),
					   cmocka_unit_test(test_wrong_types),
					   cmocka_unit_test(test_wrong_types_in_pods)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
