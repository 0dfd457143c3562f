/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, scores, explanations and preemption as functions of a cache. */
#include "build.h"

#include "scheduler/attempt.h"

static void node(struct sched_cache *c, const char *name, const char *zone, const char *spec, const char *extra)
{
	char json[800];
	snprintf(json, sizeof(json),
		 "{'metadata':{'name':'%s','labels':{'kubernetes.io/hostname':'%s','zone':'%s'}},'spec':{%s},'status':{"
		 "'allocatable':{'cpu':'2','memory':'4Gi','pods':'10'%s}}}",
		 name, name, zone, spec, extra);
	_cleanup_object_ struct object *o = build("nodes", json);
	sched_cache_set_node(c, o);
}

static void three(struct sched_cache *c)
{
	sched_cache_init(c);
	node(c, "a", "east", "", "");
	node(c, "b", "east", "", "");
	node(c, "c", "west", "", "");
}

static void placed(struct sched_cache *c, const char *name, const char *labels, const char *spec, const char *on)
{
	char json[1000];
	snprintf(json, sizeof(json), "{'metadata':{'name':'%s','namespace':'d','labels':{%s}},'spec':{%s}}", name,
		 labels, spec);
	_cleanup_object_ struct object *o = build("pods", json);
	sched_cache_add_pod(c, sched_pod_new(o, false), on);
}

/* Where a pod goes, or the explanation. */
static const char *place(struct sched_cache *c, const char *labels, const char *spec)
{
	static char out[500];
	char json[1500];
	snprintf(json, sizeof(json), "{'metadata':{'name':'new','namespace':'d','labels':{%s}},'spec':{%s}}", labels,
		 spec);
	_cleanup_object_ struct object *o = build("pods", json);
	struct sched_pod *p = sched_pod_new(o, true);
	struct sched_attempt a;
	uint32_t reasons;
	size_t next;
	sched_attempt_init(&a, c, p);
	struct sched_node *n = sched_pick(&a, &reasons, &next);
	_cleanup_buf_ struct buf b = BUF_INIT;
	if (n)
		buf_adds(&b, n->name);
	else
		sched_explain(&a, &b);
	snprintf(out, sizeof(out), "%s", buf_str(&b));
	sched_attempt_release(&a);
	sched_pod_free(p);
	return out;
}

#define CPU(n) "'containers':[{'name':'c','resources':{'requests':{'cpu':'" n "'}}}]"

static void room_decides(void **state)
{
	(void)state;
	struct sched_cache c;
	three(&c);
	placed(&c, "p1", "", CPU("1500m"), "a");
	placed(&c, "p2", "", CPU("1500m"), "b");
	assert_string_equal(place(&c, "", CPU("1")), "c");
	assert_string_equal(place(&c, "", CPU("3")), "0/3 nodes are available: 3 Insufficient cpu.");
	/* Init containers run before: the most of one counts; sidecars run along. */
	assert_string_equal(
	    place(&c, "", CPU("100m") ",'initContainers':[{'name':'i','resources':{'requests':{'cpu':'2'}}}]"), "c");
	assert_string_equal(
	    place(&c, "",
		  CPU("1") ",'initContainers':[{'name':'i','restartPolicy':'Always','resources':{'requests':{"
			   "'cpu':'1500m'}}}]"),
	    "0/3 nodes are available: 3 Insufficient cpu.");
	assert_string_equal(place(&c, "", CPU("1500m") ",'overhead':{'cpu':'600m'}"),
			    "0/3 nodes are available: 3 Insufficient cpu.");
	assert_string_equal(
	    place(&c, "",
		  "'containers':[{'name':'c','resources':{'requests':{'example.com/gpu':'1','memory':'5Gi'}}}]"),
	    "0/3 nodes are available: 3 Insufficient example.com/gpu, 3 Insufficient memory.");
	node(&c, "c", "west", "", ",'example.com/gpu':'2'");
	assert_string_equal(
	    place(&c, "", "'containers':[{'name':'c','resources':{'requests':{'example.com/gpu':'1'}}}]"), "c");
	sched_cache_release(&c);
}

static void taints_and_selectors(void **state)
{
	(void)state;
	struct sched_cache c;
	sched_cache_init(&c);
	node(&c, "a", "east", "'taints':[{'key':'dedicated','value':'db','effect':'NoSchedule'}]", "");
	node(&c, "b", "east", "'unschedulable':true", "");
	node(&c, "c", "west", "", "");
	assert_string_equal(
	    place(&c, "", "'nodeSelector':{'zone':'east'}"),
	    "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had "
	    "untolerated taint {dedicated: db}, 1 node(s) were unschedulable.");
	assert_string_equal(
	    place(&c, "", "'nodeSelector':{'zone':'east'},'tolerations':[{'key':'dedicated','value':'db'}]"), "a");
	assert_string_equal(
	    place(
		&c, "",
		"'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{"
		"'nodeSelectorTerms':[{'matchExpressions':[{'key':'zone','operator':'NotIn','values':['east']}]}]}}}"),
	    "c");
	assert_string_equal(
	    place(&c, "", "'nodeName':'zzz'"),
	    "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match the requested node "
	    "name.");
	sched_cache_release(&c);
	sched_cache_init(&c);
	assert_string_equal(place(&c, "", ""), "no nodes available to schedule pods");
	sched_cache_release(&c);
}

static void ports_are_taken_once(void **state)
{
	(void)state;
	struct sched_cache c;
	three(&c);
#define PORT(ip) "'containers':[{'name':'c','ports':[{'containerPort':80,'hostPort':80" ip "}]}]"
	placed(&c, "p1", "", PORT(""), "a");
	placed(&c, "p2", "", PORT(",'hostIP':'10.0.0.1'"), "b");
	placed(&c, "p3", "", PORT(",'hostIP':'10.0.0.2'"), "c");
	assert_string_equal(place(&c, "", PORT(",'hostIP':'10.0.0.1'")), "c");
	assert_string_equal(place(&c, "", PORT("")),
			    "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports.");
	sched_cache_remove_pod(&c, "p1");
	assert_string_equal(place(&c, "", PORT("")), "a");
	sched_cache_release(&c);
}

#define TERM(sort, key)                                                                                                \
	"'affinity':{'" sort "':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'" key               \
	"','labelSelector':{'matchLabels':{'app':'x'}}}]}}"

static void near_and_apart(void **state)
{
	(void)state;
	struct sched_cache c;
	three(&c);
	placed(&c, "p1", "'app':'x'", "", "c");
	assert_string_equal(place(&c, "", TERM("podAffinity", "zone")), "c");
	assert_string_equal(
	    place(&c, "", "'nodeSelector':{'zone':'east'}," TERM("podAffinity", "zone")),
	    "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) didn't "
	    "match pod affinity rules.");
	assert_string_not_equal(place(&c, "", TERM("podAntiAffinity", "zone")), "c");
	placed(&c, "p2", "'app':'x'", "", "a");
	placed(&c, "p3", "'app':'x'", "", "b");
	assert_string_equal(place(&c, "", TERM("podAntiAffinity", "kubernetes.io/hostname")),
			    "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.");
	/* Those that are there keep others off too. */
	sched_cache_release(&c);
	three(&c);
	placed(&c, "p1", "'app':'y'", TERM("podAntiAffinity", "zone"), "a");
	assert_string_equal(place(&c, "'app':'x'", ""), "c");
	/* The first of a group may go anywhere, a stranger not. */
	assert_string_not_equal(place(&c, "'app':'x'", "'nodeSelector':{'zone':'west'}," TERM("podAffinity", "zone")),
				"0");
	assert_string_equal(place(&c, "'app':'x'", "'nodeSelector':{'zone':'west'}," TERM("podAffinity", "zone")), "c");
	assert_string_equal(place(&c, "'app':'z'", TERM("podAffinity", "zone")),
			    "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.");
	sched_cache_release(&c);
}

#define SPREAD(when)                                                                                                   \
	"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'zone','whenUnsatisfiable':'" when                    \
	"','labelSelector':{'matchLabels':{'app':'x'}}}]"

static void spreads(void **state)
{
	(void)state;
	struct sched_cache c;
	three(&c);
	placed(&c, "p1", "'app':'x'", "", "a");
	assert_string_equal(place(&c, "'app':'x'", SPREAD("DoNotSchedule")), "c");
	assert_string_equal(
	    place(&c, "'app':'x'", "'nodeName':'b'," SPREAD("DoNotSchedule")),
	    "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, 2 node(s) didn't "
	    "match the requested node name.");
	assert_string_equal(place(&c, "'app':'x'", SPREAD("ScheduleAnyway")), "c");
	sched_cache_release(&c);
}

static void brothers_keep_apart(void **state)
{
	(void)state;
	struct sched_cache c;
	three(&c);
#define OWNED "'ownerReferences':[{'apiVersion':'apps/v1','kind':'ReplicaSet','name':'r','uid':'u1','controller':true}]"
	for (int i = 0; i < 6; i++) {
		char json[400];
		snprintf(json, sizeof(json),
			 "{'metadata':{'name':'p%d','namespace':'d'," OWNED "},'spec':{" CPU("10m") "}}", i);
		_cleanup_object_ struct object *o = build("pods", json);
		struct sched_pod *p = sched_pod_new(o, true);
		struct sched_attempt a;
		uint32_t reasons;
		size_t next;
		sched_attempt_init(&a, &c, p);
		struct sched_node *n = sched_pick(&a, &reasons, &next);
		sched_cache_add_pod(&c, sched_pod_new(o, false), n->name);
		sched_attempt_release(&a);
		sched_pod_free(p);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(c.nodes.at[i]->pods.n, 2);
	sched_cache_release(&c);
}

static void the_least_important_make_room(void **state)
{
	(void)state;
	struct sched_cache c;
	three(&c);
	placed(&c, "high", "", "'priority':100," CPU("2"), "a");
	placed(&c, "middle", "", "'priority':50," CPU("2"), "b");
	placed(&c, "low1", "", "'priority':1," CPU("1"), "c");
	placed(&c, "low2", "", "'priority':2," CPU("1"), "c");
	_cleanup_object_ struct object *o =
	    build("pods", "{'metadata':{'name':'new','namespace':'d'},'spec':{'priority':60," CPU("1") "}}");
	struct sched_pod *p = sched_pod_new(o, true);
	struct sched_attempt a;
	uint32_t reasons;
	size_t next;
	sched_attempt_init(&a, &c, p);
	assert_null(sched_pick(&a, &reasons, &next));
	struct sched_victims v = sched_preempt(&a);
	assert_non_null(v.node);
	assert_string_equal(v.node->name, "c");
	assert_int_equal(v.n, 1);
	assert_string_equal(v.at[0]->obj->name, "low1");
	assert_int_equal(c.nodes.at[2]->used.cpu_milli, 2000); /* as before */
	sched_attempt_release(&a);
	sched_pod_free(p);
	sched_cache_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(room_decides),
	    cmocka_unit_test(taints_and_selectors),
	    cmocka_unit_test(ports_are_taken_once),
	    cmocka_unit_test(near_and_apart),
	    cmocka_unit_test(spreads),
	    cmocka_unit_test(brothers_keep_apart),
	    cmocka_unit_test(the_least_important_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
