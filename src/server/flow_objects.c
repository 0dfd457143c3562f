/* SPDX-License-Identifier: Apache-2.0 */
#include "server/flow_objects.h"

#include "api/meta.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#define API "flowcontrol.apiserver.k8s.io/v1"

/* ---- levels ---- */

static const struct level_row {
	const char *name;
	bool mandatory, exempt;
	int shares, lendable;
	int queues, hand; /* queues 0: Reject */
} levels[] = {
    {.name = "exempt", .mandatory = true, .exempt = true},
    {.name = "catch-all", .mandatory = true, .shares = 5},
    {"system", false, false, 30, 33, 64, 6},
    {"node-high", false, false, 40, 25, 64, 6},
    {"leader-election", false, false, 10, 0, 16, 4},
    {"workload-high", false, false, 40, 50, 128, 6},
    {"workload-low", false, false, 100, 90, 128, 6},
    {"global-default", false, false, 20, 50, 128, 6},
};
#define QUEUE_LENGTH 50

static struct json *object(struct arena *a, const char *kind, const char *name)
{
	struct json *o = meta_object_new(a, API, kind, NULL, name);
	json_set_str(a, json_object_in(a, json_get(o, "metadata"), "annotations"), FLOW_AUTOUPDATE, "true");
	return o;
}

static struct json *level(struct arena *a, const struct level_row *row)
{
	struct json *o = object(a, "PriorityLevelConfiguration", row->name), *spec = json_object_in(a, o, "spec");
	struct json *limits = json_object_in(a, spec, row->exempt ? "exempt" : "limited");
	json_set_str(a, spec, "type", row->exempt ? "Exempt" : "Limited");
	json_set_int(a, limits, "nominalConcurrencyShares", row->shares);
	json_set_int(a, limits, "lendablePercent", row->lendable);
	if (row->exempt)
		return o;
	struct json *response = json_object_in(a, limits, "limitResponse");
	json_set_str(a, response, "type", row->queues ? "Queue" : "Reject");
	if (row->queues) {
		struct json *q = json_object_in(a, response, "queuing");
		json_set_int(a, q, "queues", row->queues);
		json_set_int(a, q, "handSize", row->hand);
		json_set_int(a, q, "queueLengthLimit", QUEUE_LENGTH);
	}
	return o;
}

/* ---- schemas ---- */

#define WORDS_MAX 4
typedef const char *words[WORDS_MAX];

struct resource_words {
	words verbs, groups, resources;
	bool cluster; /* besides every namespace */
};

static const struct schema_row {
	const char *name, *level;
	bool mandatory;
	int precedence;
	const char *by;			/* distinguisher, or NULL */
	words users, groups;		/* subjects, besides */
	words accounts;			/* service accounts of kube-system */
	struct resource_words rules[2]; /* none: all resources and paths */
	words paths;			/* instead: GETs of these */
} schemas[] = {
    {.name = "exempt", .level = "exempt", .mandatory = true, .precedence = 1, .groups = {"system:masters"}},
    {.name = "probes",
     .level = "exempt",
     .precedence = 2,
     .groups = {"system:unauthenticated", "system:authenticated"},
     .paths = {"/healthz", "/readyz", "/livez"}},
    {.name = "system-leader-election",
     .level = "leader-election",
     .precedence = 100,
     .by = "ByUser",
     .users = {"system:kube-controller-manager", "system:kube-scheduler"},
     .accounts = {"*"},
     .rules = {{{"get", "create", "update"}, {"coordination.k8s.io"}, {"leases"}, false}}},
    {.name = "endpoint-controller",
     .level = "workload-high",
     .precedence = 150,
     .by = "ByUser",
     .users = {"system:kube-controller-manager"},
     .accounts = {"endpoint-controller", "endpointslicemirroring-controller"},
     .rules = {{{"get", "create", "update"}, {""}, {"endpoints"}, false}}},
    {.name = "workload-leader-election",
     .level = "leader-election",
     .precedence = 200,
     .by = "ByUser",
     .accounts = {"*"},
     .rules = {{{"get", "create", "update"}, {"coordination.k8s.io"}, {"leases"}, false}}},
    {.name = "system-node-high",
     .level = "node-high",
     .precedence = 400,
     .by = "ByUser",
     .groups = {"system:nodes"},
     .rules = {{{"*"}, {""}, {"nodes", "nodes/status"}, true}, {{"*"}, {"coordination.k8s.io"}, {"leases"}, false}}},
    {.name = "system-nodes", .level = "system", .precedence = 500, .by = "ByUser", .groups = {"system:nodes"}},
    {.name = "kube-controller-manager",
     .level = "workload-high",
     .precedence = 800,
     .by = "ByNamespace",
     .users = {"system:kube-controller-manager"}},
    {.name = "kube-scheduler",
     .level = "workload-high",
     .precedence = 800,
     .by = "ByNamespace",
     .users = {"system:kube-scheduler"}},
    {.name = "kube-system-service-accounts",
     .level = "workload-high",
     .precedence = 900,
     .by = "ByNamespace",
     .accounts = {"*"}},
    {.name = "service-accounts",
     .level = "workload-low",
     .precedence = 9000,
     .by = "ByUser",
     .groups = {"system:serviceaccounts"}},
    {.name = "global-default",
     .level = "global-default",
     .precedence = 9900,
     .by = "ByUser",
     .groups = {"system:unauthenticated", "system:authenticated"}},
    {.name = "catch-all",
     .level = "catch-all",
     .mandatory = true,
     .precedence = 10000,
     .by = "ByUser",
     .groups = {"system:unauthenticated", "system:authenticated"}},
};

static void add_words(struct arena *a, struct json *in, const char *field, const words w)
{
	struct json *list = json_array_in(a, in, field);
	for (size_t i = 0; i < WORDS_MAX && w[i]; i++)
		json_append(list, json_new_str(a, w[i]));
}

static void add_subjects(struct arena *a, struct json *list, const char *kind, const char *field, const words names)
{
	for (size_t i = 0; i < WORDS_MAX && names[i]; i++) {
		struct json *s = json_append(list, json_new(a, JSON_OBJECT));
		json_set_str(a, s, "kind", kind);
		struct json *who = json_object_in(a, s, field);
		if (str_eq(kind, "ServiceAccount"))
			json_set_str(a, who, "namespace", "kube-system");
		json_set_str(a, who, "name", names[i]);
	}
}

static void add_resource_rule(struct arena *a, struct json *rule, const struct resource_words *w)
{
	struct json *r = json_append(json_array_in(a, rule, "resourceRules"), json_new(a, JSON_OBJECT));
	add_words(a, r, "verbs", w->verbs);
	add_words(a, r, "apiGroups", w->groups);
	add_words(a, r, "resources", w->resources);
	if (w->cluster)
		json_set_bool(a, r, "clusterScope", true);
	add_words(a, r, "namespaces", (words){"*"});
}

static void add_path_rule(struct arena *a, struct json *rule, const words verbs, const words paths)
{
	struct json *r = json_append(json_array_in(a, rule, "nonResourceRules"), json_new(a, JSON_OBJECT));
	add_words(a, r, "verbs", verbs);
	add_words(a, r, "nonResourceURLs", paths);
}

static struct json *schema(struct arena *a, const struct schema_row *row)
{
	static const struct resource_words all = {{"*"}, {"*"}, {"*"}, true};
	struct json *o = object(a, "FlowSchema", row->name), *spec = json_object_in(a, o, "spec");
	json_set_str(a, json_object_in(a, spec, "priorityLevelConfiguration"), "name", row->level);
	json_set_int(a, spec, "matchingPrecedence", row->precedence);
	if (row->by)
		json_set_str(a, json_object_in(a, spec, "distinguisherMethod"), "type", row->by);
	struct json *rule = json_append(json_array_in(a, spec, "rules"), json_new(a, JSON_OBJECT));
	struct json *subjects = json_array_in(a, rule, "subjects");
	add_subjects(a, subjects, "User", "user", row->users);
	add_subjects(a, subjects, "Group", "group", row->groups);
	add_subjects(a, subjects, "ServiceAccount", "serviceAccount", row->accounts);
	if (row->paths[0]) {
		add_path_rule(a, rule, (words){"get"}, row->paths);
	} else if (row->rules[0].verbs[0]) {
		for (size_t i = 0; i < ARRAY_SIZE(row->rules) && row->rules[i].verbs[0]; i++)
			add_resource_rule(a, rule, &row->rules[i]);
	} else {
		add_resource_rule(a, rule, &all);
		add_path_rule(a, rule, (words){"*"}, (words){"*"});
	}
	return o;
}

void flow_objects_each(struct arena *a, void (*fn)(void *arg, const char *plural, bool mandatory, struct json *object),
		       void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		fn(arg, "prioritylevelconfigurations", levels[i].mandatory, level(a, &levels[i]));
	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		fn(arg, "flowschemas", schemas[i].mandatory, schema(a, &schemas[i]));
}
