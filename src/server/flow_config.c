/* SPDX-License-Identifier: Apache-2.0 */
/* Priority levels and flow schemas as the store has them, and which schema a request belongs to. */
#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/auth.h"
#include "server/flow_internal.h"
#include "store/store.h"

#define GROUP_FLOWCONTROL "flowcontrol.apiserver.k8s.io"
#define QUEUES_MAX 65536 /* what validation allows would be 10 million; memory is 56 bytes a queue */

static const char *const plurals[FLOW_SOURCES] = {"flowschemas", "prioritylevelconfigurations"};

static void on_change(void *arg, const struct store_event *ev)
{
	struct flow *f = arg;
	if (ev)
		f->stale = true;
}

void flow_config_start(struct flow *f)
{
	f->stale = true;
	for (int i = 0; i < FLOW_SOURCES; i++) {
		_cleanup_buf_ struct buf prefix = BUF_INIT;
		bool expired;
		resource_key(resource_by_plural(GROUP_FLOWCONTROL, plurals[i]), NULL, NULL, &prefix);
		f->prefixes[i] = xstrdup(buf_str(&prefix));
		f->watches[i] =
		    store_watch_new(f->store, f->prefixes[i], store_revision(f->store), on_change, f, &expired);
	}
}

static void level_free(struct flow_level *l)
{
	free(l->name);
	free(l->uid);
	free(l->queues);
	free(l);
}

void flow_config_stop(struct flow *f)
{
	for (int i = 0; i < FLOW_SOURCES; i++) {
		store_watch_free(f->watches[i]);
		free(f->prefixes[i]);
	}
	VEC_EACH(l, &f->levels)
		level_free(*l);
	VEC_RELEASE(&f->levels);
	VEC_RELEASE(&f->schemas);
	arena_release(&f->arena);
}

/* ---- levels ---- */

static struct flow_level *level_find(struct flow *f, const char *name)
{
	VEC_EACH(l, &f->levels)
		if (str_eq((*l)->name, name))
			return *l;
	return NULL;
}

static struct flow_level *level_new(struct flow *f, const char *name)
{
	struct flow_level *l = NEW(struct flow_level);
	l->name = xstrdup(name);
	list_init(&l->active);
	list_init(&l->ready);
	VEC_PUSH(&f->levels, l);
	return l;
}

/* Queues can only be changed while nobody waits in them; else the new number counts once they are empty. */
static void level_set_queues(struct flow_level *l, unsigned n)
{
	if (l->n_queues == n || l->n_waiting || l->n_running)
		return;
	free(l->queues);
	l->queues = n ? xcalloc(n, sizeof(*l->queues)) : NULL;
	l->n_queues = n;
	for (unsigned i = 0; i < n; i++) {
		list_init(&l->queues[i].waiting);
		list_init(&l->queues[i].link);
	}
}

static unsigned bounded(const struct json *o, const char *path, int64_t otherwise, int64_t max)
{
	int64_t v = json_path_int(o, path, otherwise);
	return (unsigned)(v < 0 ? 0 : v > max ? max : v);
}

static bool add_level(void *arg, struct object *o)
{
	struct flow *f = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *spec = json_get(object_tree(o, &a), "spec");
	struct flow_level *l = level_find(f, o->name);
	if (!l)
		l = level_new(f, o->name);
	free(l->uid);
	l->uid = xstrdup(o->uid);
	l->stale = false;
	l->exempt = str_eq(json_path_str(spec, "type"), "Exempt");
	const struct json *limits = json_get(spec, l->exempt ? "exempt" : "limited");
	l->shares = bounded(limits, "nominalConcurrencyShares", l->exempt ? 0 : 30, 1 << 20);
	l->lendable = bounded(limits, "lendablePercent", 0, 100);
	l->borrowable = json_get(limits, "borrowingLimitPercent") ? bounded(limits, "borrowingLimitPercent", 0, 1 << 20)
								  : UINT32_MAX;
	l->rejects = !str_eq(json_path_str(limits, "limitResponse.type"), "Queue");
	l->queue_length = bounded(limits, "limitResponse.queuing.queueLengthLimit", 50, 1 << 20);
	unsigned n = l->rejects || l->exempt ? 0 : bounded(limits, "limitResponse.queuing.queues", 64, QUEUES_MAX);
	level_set_queues(l, n);
	l->hand = bounded(limits, "limitResponse.queuing.handSize", 8, n);
	return true;
}

/* Percents become seats: each level's share of all, and what it lends and borrows. */
static void share_out(struct flow *f)
{
	uint64_t shares = 0;
	VEC_EACH(l, &f->levels)
		shares += (*l)->stale ? 0 : (*l)->shares;
	VEC_EACH(p, &f->levels) {
		struct flow_level *l = *p;
		if (l->stale)
			continue;
		l->nominal = shares ? (unsigned)(((uint64_t)FLOW_SEATS * l->shares + shares - 1) / shares) : 0;
		l->lendable = (unsigned)(((uint64_t)l->nominal * l->lendable + 50) / 100);
		uint64_t borrow =
		    l->borrowable == UINT32_MAX ? FLOW_SEATS : ((uint64_t)l->nominal * l->borrowable + 50) / 100;
		l->borrowable = (unsigned)(borrow > FLOW_SEATS ? FLOW_SEATS : borrow);
	}
}

static void drop_levels(struct flow *f)
{
	for (size_t i = 0; i < f->levels.n;) {
		struct flow_level *l = f->levels.at[i];
		if (!l->stale || l->refs) {
			i++;
			continue;
		}
		VEC_REMOVE(&f->levels, i);
		level_free(l);
	}
}

void flow_level_unref(struct flow *f, struct flow_level *l)
{
	if (--l->refs == 0 && l->stale)
		drop_levels(f);
}

/* ---- schemas ---- */

static bool add_schema(void *arg, struct object *o)
{
	struct flow *f = arg;
	const struct json *spec = json_get(object_tree(o, &f->arena), "spec");
	const char *by = json_path_str(spec, "distinguisherMethod.type");
	struct flow_schema s = {
	    .name = arena_strdup(&f->arena, o->name),
	    .uid = arena_strdup(&f->arena, o->uid),
	    .level_name = json_path_str(spec, "priorityLevelConfiguration.name"),
	    .precedence = json_path_int(spec, "matchingPrecedence", 1000),
	    .by = str_eq(by, "ByUser")	      ? FLOW_BY_USER
		  : str_eq(by, "ByNamespace") ? FLOW_BY_NAMESPACE
					      : FLOW_BY_NOTHING,
	    .rules = json_get(spec, "rules"),
	};
	s.level = level_find(f, s.level_name);
	if (s.level && s.level->stale)
		s.level = NULL;
	VEC_PUSH(&f->schemas, s);
	return true;
}

static int by_precedence(const void *a, const void *b)
{
	const struct flow_schema *x = a, *y = b;
	if (x->precedence != y->precedence)
		return x->precedence < y->precedence ? -1 : 1;
	return strcmp(x->name, y->name);
}

void flow_config_refresh(struct flow *f)
{
	if (!f->stale)
		return;
	f->stale = false;
	VEC_EACH(l, &f->levels)
		(*l)->stale = true;
	store_each(f->store, f->prefixes[FLOW_LEVELS], NULL, add_level, f);
	share_out(f);
	f->schemas.n = 0;
	arena_release(&f->arena);
	store_each(f->store, f->prefixes[FLOW_SCHEMAS], NULL, add_schema, f);
	if (f->schemas.n)
		qsort(f->schemas.at, f->schemas.n, sizeof(*f->schemas.at), by_precedence);
	drop_levels(f);
}

/* ---- matching ---- */

static bool has(const struct json *list, const char *s)
{
	JSON_EACH(v, list)
		if (str_eq(json_str(v), "*") || str_eq(json_str(v), s))
			return true;
	return false;
}

static bool match_subject(const struct json *s, const struct user *u)
{
	const char *kind = json_path_str(s, "kind");
	if (str_eq(kind, "User")) {
		const char *name = json_path_str(s, "user.name");
		return str_eq(name, "*") || str_eq(name, u->name);
	}
	if (str_eq(kind, "Group")) {
		const char *name = json_path_str(s, "group.name");
		return str_eq(name, "*") || user_in_group(u, str_or(name, ""));
	}
	const char *rest = str_after(u->name, "system:serviceaccount:");
	const char *ns = str_or(json_path_str(s, "serviceAccount.namespace"), "");
	const char *name = json_path_str(s, "serviceAccount.name");
	size_t n = strlen(ns);
	return rest && strncmp(rest, ns, n) == 0 && rest[n] == ':' && (str_eq(name, "*") || str_eq(name, rest + n + 1));
}

static bool match_resource(const struct json *rule, const struct flow_request *r)
{
	if (!has(json_get(rule, "verbs"), r->verb) || !has(json_get(rule, "apiGroups"), r->group) ||
	    !has(json_get(rule, "resources"), r->resource))
		return false;
	return *r->ns ? has(json_get(rule, "namespaces"), r->ns) : json_path_bool(rule, "clusterScope", false);
}

static bool match_path(const struct json *rule, const struct flow_request *r)
{
	if (!has(json_get(rule, "verbs"), r->verb))
		return false;
	JSON_EACH(v, json_get(rule, "nonResourceURLs")) {
		const char *url = str_or(json_str(v), "");
		size_t n = strlen(url);
		bool prefix = n && url[n - 1] == '*';
		if (prefix ? strncmp(url, r->path, n - 1) == 0 : str_eq(url, r->path))
			return true;
	}
	return false;
}

static bool match_rule(const struct json *rule, const struct flow_request *r)
{
	bool subject = false;
	JSON_EACH(s, json_get(rule, "subjects"))
		if ((subject = match_subject(s, r->user)))
			break;
	if (!subject)
		return false;
	JSON_EACH(x, json_get(rule, r->resource_request ? "resourceRules" : "nonResourceRules"))
		if (r->resource_request ? match_resource(x, r) : match_path(x, r))
			return true;
	return false;
}

const struct flow_schema *flow_classify(struct flow *f, const struct flow_request *r)
{
	flow_config_refresh(f);
	VEC_EACH(s, &f->schemas) {
		if (!s->level)
			continue;
		JSON_EACH(rule, s->rules)
			if (match_rule(rule, r))
				return s;
	}
	return NULL;
}
