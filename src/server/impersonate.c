/* SPDX-License-Identifier: Apache-2.0 */
#include "server/impersonate.h"

#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/str.h"
#include "http/server.h"
#include "server/server_internal.h"

#define GROUPS_MAX 64 /* of each kind of header; whoever needs more is a group himself */
#define EXTRA_PREFIX "impersonate-extra-"
#define AUTHENTICATION "authentication.k8s.io"

/* Everything that the headers ask for: the user to be, and what each part of it must be allowed as. */
struct wish {
	struct user user;
	const char *account_ns, *account_name; /* of a service account */
	const char *node;		       /* of system:node:NAME */
	bool groups_given;
};

static const char *decoded_key(struct request *r, const char *key)
{
	char *decoded = arena_strdup(&r->arena, key);
	return percent_decode(decoded, false) < 0 ? NULL : decoded;
}

static int read_extra(struct request *r, struct user *u, struct status *err)
{
	struct user_extra *extra = arena_zalloc(&r->arena, GROUPS_MAX * sizeof(*extra));
	const char *name, *value;

	for (size_t i = 0; http_header_each(r->http, i, &name, &value); i++) {
		const char *key = str_after(name, EXTRA_PREFIX);
		if (!key)
			continue;
		key = decoded_key(r, key);
		if (!key)
			return status_set(err, 400, "invalid impersonation header %s", name);
		size_t at = 0;
		while (at < u->n_extra && strcmp(extra[at].key, key) != 0)
			at++;
		if (at == GROUPS_MAX || extra[at].n_values == GROUPS_MAX)
			return status_set(err, 400, "more than %d values to impersonate as %s", GROUPS_MAX, name);
		if (at == u->n_extra)
			extra[u->n_extra++] = (struct user_extra){
			    .key = key, .values = arena_alloc(&r->arena, GROUPS_MAX * sizeof(*extra->values))};
		const char **values = (const char **)(uintptr_t)extra[at].values;
		values[extra[at].n_values++] = arena_strdup(&r->arena, value);
	}
	u->extra = extra;
	return 0;
}

static void split_name(struct request *r, struct wish *w)
{
	const char *account = str_after(w->user.name, "system:serviceaccount:");
	const char *colon = account ? strchr(account, ':') : NULL;

	if (colon && colon != account && colon[1] && !strchr(colon + 1, ':')) {
		w->account_ns = arena_strndup(&r->arena, account, (size_t)(colon - account));
		w->account_name = colon + 1;
	}
	w->node = str_after(w->user.name, "system:node:");
}

/* 1: there is a wish, 0: none. */
static int read_wish(struct request *r, struct wish *w, struct status *err)
{
	const char *name = http_header(r->http, "impersonate-user"), *uid = http_header(r->http, "impersonate-uid");
	const char **groups = arena_zalloc(&r->arena, (GROUPS_MAX + 3) * sizeof(*groups)), *group;

	for (size_t i = 0; (group = http_header_at(r->http, "impersonate-group", i)); i++) {
		if (i == GROUPS_MAX)
			return status_set(err, 400, "more than %d impersonated groups", GROUPS_MAX);
		groups[w->user.n_groups++] = arena_strdup(&r->arena, group);
	}
	w->groups_given = w->user.n_groups > 0;
	w->user.groups = groups;
	if (read_extra(r, &w->user, err) < 0)
		return -1;
	if (str_empty(name)) {
		if (!str_empty(uid) || w->groups_given || w->user.n_extra)
			return status_set(err, 500,
					  "Internal Server Error: requested a group, uid or extra field without "
					  "impersonating a user");
		return 0;
	}
	w->user.name = arena_strdup(&r->arena, name);
	w->user.uid = str_empty(uid) ? NULL : arena_strdup(&r->arena, uid);
	split_name(r, w);
	return 1;
}

/* What every user of that name is in, besides what was asked for. */
static void complete_groups(struct request *r, struct wish *w)
{
	const char **groups = (const char **)(uintptr_t)w->user.groups;
	const char *everybody = str_eq(w->user.name, USER_ANONYMOUS) ? GROUP_UNAUTHENTICATED : GROUP_AUTHENTICATED;

	if (w->account_ns && !w->groups_given) {
		groups[w->user.n_groups++] = "system:serviceaccounts";
		groups[w->user.n_groups++] = arena_printf(&r->arena, "system:serviceaccounts:%s", w->account_ns);
	}
	if (!user_in_group(&w->user, GROUP_AUTHENTICATED) && !user_in_group(&w->user, GROUP_UNAUTHENTICATED))
		groups[w->user.n_groups++] = everybody;
}

/* ---- may they? ---- */

struct target {
	const char *group, *resource, *subresource, *ns, *name;
};

static int may(struct request *r, const char *verb, const struct target *t, struct status *err)
{
	struct authz_attributes at = {.user = &r->user,
				      .verb = verb,
				      .group = t->group,
				      .version = "v1",
				      .resource = t->resource,
				      .subresource = str_or(t->subresource, ""),
				      .ns = str_or(t->ns, ""),
				      .name = t->name,
				      .path = "",
				      .resource_request = true};
	return request_check_access(r, &at, err);
}

/* Groups, uid and extra fields, each by its own right. */
static int may_rest(struct request *r, const struct wish *w, const char *verb, const char *group_of_groups,
		    struct status *err)
{
	const struct user *u = &w->user;

	for (size_t i = 0; i < u->n_groups; i++)
		if (may(r, verb, &(struct target){group_of_groups, "groups", .name = u->groups[i]}, err) < 0)
			return -1;
	if (u->uid && may(r, verb, &(struct target){AUTHENTICATION, "uids", .name = u->uid}, err) < 0)
		return -1;
	for (size_t i = 0; i < u->n_extra; i++)
		for (size_t k = 0; k < u->extra[i].n_values; k++)
			if (may(r, verb,
				&(struct target){AUTHENTICATION, "userextras", u->extra[i].key,
						 .name = u->extra[i].values[k]},
				err) < 0)
				return -1;
	return 0;
}

/* The verb "impersonate": whoever holds it may do as the other whatever the other may. */
static int may_at_all(struct request *r, const struct wish *w, struct status *err)
{
	struct target who = w->account_ns
				? (struct target){"", "serviceaccounts", .ns = w->account_ns, .name = w->account_name}
				: (struct target){"", "users", .name = w->user.name};
	return may(r, "impersonate", &who, err) < 0 ? -1 : may_rest(r, w, "impersonate", "", err);
}

/*
 * Constrained impersonation (KEP-5284): the right to be somebody, impersonate:MODE, and the right to do just this as
 * somebody else, impersonate-on:MODE:VERB. Neither alone is worth anything.
 */
struct mode {
	const char *name;
	const char *group; /* that everybody of this kind is in; NULL: none */
	bool (*applies)(struct request *r, const struct wish *w);
	int (*may)(struct request *r, const struct wish *w, const char *verb, struct status *err);
};

static bool bare(const struct wish *w)
{
	return !w->groups_given && !w->user.uid && !w->user.n_extra;
}

static bool is_associated(struct request *r, const struct wish *w)
{
	if (!w->node || !bare(w))
		return false;
	for (size_t i = 0; i < r->user.n_extra; i++)
		if (strcmp(r->user.extra[i].key, "authentication.kubernetes.io/node-name") == 0)
			return r->user.extra[i].n_values == 1 && str_eq(r->user.extra[i].values[0], w->node);
	return false;
}

static int may_associated(struct request *r, const struct wish *w, const char *verb, struct status *err)
{
	(void)w;
	return may(r, verb, &(struct target){AUTHENTICATION, "nodes", .name = "*"}, err);
}

static bool is_node(struct request *r, const struct wish *w)
{
	(void)r;
	return w->node && bare(w);
}

static int may_node(struct request *r, const struct wish *w, const char *verb, struct status *err)
{
	return may(r, verb, &(struct target){AUTHENTICATION, "nodes", .name = w->node}, err);
}

static bool is_account(struct request *r, const struct wish *w)
{
	(void)r;
	return w->account_ns && bare(w);
}

static int may_account(struct request *r, const struct wish *w, const char *verb, struct status *err)
{
	return may(r, verb,
		   &(struct target){AUTHENTICATION, "serviceaccounts", .ns = w->account_ns, .name = w->account_name},
		   err);
}

static bool is_plain(struct request *r, const struct wish *w)
{
	(void)r;
	return !w->account_ns && !w->node && !user_in_group(&w->user, GROUP_MASTERS);
}

static int may_plain(struct request *r, const struct wish *w, const char *verb, struct status *err)
{
	return may(r, verb, &(struct target){AUTHENTICATION, "users", .name = w->user.name}, err) < 0
		   ? -1
		   : may_rest(r, w, verb, AUTHENTICATION, err);
}

static const struct mode modes[] = {
    {"associated-node", "system:nodes", is_associated, may_associated},
    {"arbitrary-node", "system:nodes", is_node, may_node},
    {"serviceaccount", NULL, is_account, may_account},
    {"user-info", NULL, is_plain, may_plain},
};

/* The mode in which it is allowed; NULL: in none. */
static const struct mode *may_constrained(struct request *r, const struct wish *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct mode *m = &modes[i];
		if (!m->applies(r, w))
			continue;
		struct authz_attributes at = request_attributes(r);
		at.verb = arena_printf(&r->arena, "impersonate-on:%s:%s", m->name, at.verb);
		if (m->may(r, w, arena_printf(&r->arena, "impersonate:%s", m->name), &err) == 0 &&
		    request_check_access(r, &at, &err) == 0)
			return m;
	}
	return NULL;
}

int impersonate(struct request *r, struct status *err)
{
	struct wish w = {0};
	int wished = read_wish(r, &w, err);

	if (wished <= 0)
		return wished;
	const struct mode *mode = may_constrained(r, &w);
	if (!mode && may_at_all(r, &w, err) < 0)
		return -1;
	if (mode && mode->group)
		((const char **)(uintptr_t)w.user.groups)[w.user.n_groups++] = mode->group;
	complete_groups(r, &w);
	r->impersonator = ARENA_NEW(&r->arena, struct user);
	*r->impersonator = r->user;
	r->user = w.user;
	return 0;
}
