/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClusterRoles with an aggregationRule hold the rules of every ClusterRole that their selectors match, in the order of
 * names, each rule once. What was written into such a role by hand is replaced.
 */
#include "api/selector.h"
#include "controllers/controller.h"

struct aggregation {
	struct client *client;
	struct workqueue *queue; /* of role names */
	struct informer *roles;
};

static bool has(const struct json *rules, const struct json *rule)
{
	JSON_EACH(x, rules)
		if (json_equal(x, rule))
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct object *const *)a)->name, (*(struct object *const *)b)->name);
}

static bool selected(struct arena *a, const struct json *selectors, const struct object *role)
{
	JSON_EACH(text, selectors) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct label_selector *s = NULL;
		if (label_selector_from_json(a, text, &s, &err) == 0 && label_selector_match(s, role))
			return true;
	}
	return false;
}

static struct json *aggregate(struct aggregation *c, struct sync *s, const struct json *selectors)
{
	struct arena *a = &s->arena;
	struct object_list all = informer_list(c->roles, a);
	struct json *rules = json_new(a, JSON_ARRAY);

	if (all.n)
		qsort(all.at, all.n, sizeof(*all.at), by_name);
	for (size_t i = 0; i < all.n; i++) {
		if (str_eq(all.at[i]->name, s->key) || !selected(a, selectors, all.at[i]))
			continue;
		JSON_EACH(rule, json_get(object_tree(all.at[i], a), "rules"))
			if (!has(rules, rule))
				json_append(rules, json_clone(a, rule));
	}
	return rules;
}

static void sync_role(void *arg, struct sync *s)
{
	struct aggregation *c = arg;
	struct object *role = informer_get_key(c->roles, s->key);
	if (!role || role->deleting)
		return;
	struct json *tree = object_tree(role, &s->arena);
	const struct json *rule = json_get(tree, "aggregationRule");
	if (!json_is(rule, JSON_OBJECT))
		return;
	struct json *rules = aggregate(c, s, json_get(rule, "clusterRoleSelectors"));
	const struct json *was = json_get(tree, "rules");
	if (json_len(was) == json_len(rules) && (!json_len(was) || json_equal(was, rules)))
		return;
	json_set(&s->arena, tree, "rules", rules);
	sync_patch(s, c->client, role, tree, NULL, true, sync_ignore_missing, c);
}

/* Any role may be part of any aggregated one; of these there are few. */
static bool enqueue(void *arg, struct object *role)
{
	struct aggregation *c = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	if (json_get(object_tree(role, &a), "aggregationRule"))
		workqueue_add(c->queue, role->name);
	return true;
}

static void changed(void *arg, struct object *role)
{
	struct aggregation *c = arg;
	(void)role;
	informer_each(c->roles, enqueue, c);
}

static void updated(void *arg, struct object *old, struct object *role)
{
	(void)old;
	changed(arg, role);
}

static void *start(const struct controller_env *e)
{
	struct aggregation *c = NEW(struct aggregation);
	c->client = e->client;
	c->queue = controller_queue(e, "role-aggregation", sync_role, c);
	c->roles = controller_watch(e, "rbac.authorization.k8s.io", "clusterroles", NULL);
	controller_watch(
	    e, "rbac.authorization.k8s.io", "clusterroles",
	    &(struct informer_handlers){.on_add = changed, .on_update = updated, .on_delete = changed, .arg = c});
	return c;
}

const struct controller_ops role_aggregation_controller = {
    .name = "clusterrole-aggregation-controller",
    .start = start,
    .stop = free,
};
