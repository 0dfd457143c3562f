/* SPDX-License-Identifier: Apache-2.0 */
#include "server/auth.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

bool user_in_group(const struct user *u, const char *group)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (str_eq(u->groups[i], group))
			return true;
	return false;
}

struct user *user_new(struct arena *a, const char *name, const char *group1, const char *group2, const char *group3)
{
	struct user *u = ARENA_NEW(a, struct user);
	const char *given[] = {group1, group2, group3};
	const char **groups = arena_zalloc(a, sizeof(given));
	u->name = arena_strdup(a, name);
	for (size_t i = 0; i < ARRAY_SIZE(given) && given[i]; i++)
		groups[u->n_groups++] = arena_strdup(a, given[i]);
	u->groups = groups;
	return u;
}

struct json *user_to_json(struct arena *a, const struct user *u)
{
	struct json *o = json_new(a, JSON_OBJECT);
	if (!str_empty(u->name))
		json_set_str(a, o, "username", u->name);
	if (!str_empty(u->uid))
		json_set_str(a, o, "uid", u->uid);
	for (size_t i = 0; i < u->n_groups; i++)
		json_append(json_array_in(a, o, "groups"), json_new_str(a, u->groups[i]));
	for (size_t i = 0; i < u->n_extra; i++) {
		struct json *values = json_array_in(a, json_object_in(a, o, "extra"), u->extra[i].key);
		for (size_t k = 0; k < u->extra[i].n_values; k++)
			json_append(values, json_new_str(a, u->extra[i].values[k]));
	}
	return o;
}

bool auth_allowed(const struct auth *auth, const struct authz_attributes *attr, char *reason)
{
	*reason = 0;
	return !auth->authz || auth->authz->authorize(auth->authz_self, attr, reason) > 0;
}

char *auth_forbidden_message(struct arena *a, const struct authz_attributes *at, const char *reason)
{
	const char *user = at->user ? at->user->name : "";
	const char *why = str_empty(reason) ? "" : arena_printf(a, ": %s", reason);
	if (!at->resource_request)
		return arena_printf(a, "forbidden: User \"%s\" cannot %s path \"%s\"%s", user, at->verb, at->path, why);
	const char *resource =
	    *at->subresource ? arena_printf(a, "%s/%s", at->resource, at->subresource) : at->resource;
	const char *subject = *at->group ? arena_printf(a, "%s.%s", at->resource, at->group) : at->resource;
	if (*at->name)
		subject = arena_printf(a, "%s \"%s\"", subject, at->name);
	const char *scope = *at->ns ? arena_printf(a, "in the namespace \"%s\"", at->ns) : "at the cluster scope";
	return arena_printf(a, "%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s%s",
			    subject, user, at->verb, resource, at->group, scope, why);
}
