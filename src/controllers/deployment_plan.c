/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/deployment_plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/deployment_status.h"
#include "controllers/util.h"

#define HASH_LABEL "pod-template-hash"
#define HISTORY_LIMIT_DEFAULT 10
#define HISTORY_BYTES_MAX 2000 /* of the revision-history annotation, as upstream */

/* ---- numbers ---- */

static int64_t replicas_of(const struct json *set)
{
	return json_path_int(set, "spec.replicas", 1);
}

static int64_t available_of(const struct json *set)
{
	return json_path_int(set, "status.availableReplicas", 0);
}

static bool rolling(const struct json *d)
{
	return !str_eq(json_path_str(d, "spec.strategy.type"), "Recreate");
}

void deployment_bounds(const struct json *d, int64_t *ret_surge, int64_t *ret_unavailable)
{
	*ret_surge = *ret_unavailable = 0;
	if (!rolling(d))
		return;
	int64_t replicas = replicas_of(d);
	struct json *r = json_path(d, "spec.strategy.rollingUpdate");
	*ret_surge = int_or_percent(json_get(r, "maxSurge"), replicas, true, (replicas * 25 + 99) / 100);
	*ret_unavailable = int_or_percent(json_get(r, "maxUnavailable"), replicas, false, replicas * 25 / 100);
	if (*ret_surge == 0 && *ret_unavailable == 0)
		*ret_unavailable = 1; /* both rounded to nothing: something must be allowed to move */
	if (*ret_unavailable > replicas)
		*ret_unavailable = replicas;
}

static int64_t max_surge(const struct json *d)
{
	int64_t surge, unavailable;
	deployment_bounds(d, &surge, &unavailable);
	return surge;
}

static int64_t sum(const struct deployment_plan *p, int64_t (*of)(const struct json *set))
{
	int64_t n = 0;
	for (size_t i = 0; i < p->n_sets; i++)
		n += of(p->sets[i].tree);
	return n;
}

static int64_t revision_of(const struct json *set)
{
	int64_t n;
	const char *s = meta_annotation(set, DEPLOYMENT_REVISION);
	return s && parse_i64(s, &n) == 0 ? n : 0;
}

static int64_t annotation_int(const struct json *set, const char *name, int64_t fallback)
{
	int64_t n;
	const char *s = meta_annotation(set, name);
	return s && parse_i64(s, &n) == 0 ? n : fallback;
}

/* ---- order ---- */

static int by_age(const void *pa, const void *pb)
{
	const struct plan_set *a = *(struct plan_set *const *)pa, *b = *(struct plan_set *const *)pb;
	int64_t ta = a->obj ? meta_created_ns(a->tree) : INT64_MAX, tb = b->obj ? meta_created_ns(b->tree) : INT64_MAX;
	if (ta != tb)
		return ta < tb ? -1 : 1;
	return strcmp(meta_name(a->tree), meta_name(b->tree));
}

static int by_size_newer(const void *pa, const void *pb)
{
	const struct plan_set *a = *(struct plan_set *const *)pa, *b = *(struct plan_set *const *)pb;
	int64_t ra = replicas_of(a->tree), rb = replicas_of(b->tree);
	return ra != rb ? (ra > rb ? -1 : 1) : by_age(pb, pa);
}

static int by_size_older(const void *pa, const void *pb)
{
	const struct plan_set *a = *(struct plan_set *const *)pa, *b = *(struct plan_set *const *)pb;
	int64_t ra = replicas_of(a->tree), rb = replicas_of(b->tree);
	return ra != rb ? (ra > rb ? -1 : 1) : by_age(pa, pb);
}

static int by_revision(const void *pa, const void *pb)
{
	const struct plan_set *a = *(struct plan_set *const *)pa, *b = *(struct plan_set *const *)pb;
	int64_t ra = revision_of(a->tree), rb = revision_of(b->tree);
	return ra != rb ? (ra < rb ? -1 : 1) : by_age(pa, pb);
}

struct picked {
	struct plan_set **at;
	size_t n;
};

/* Sets, without the new one when old_only, without empty ones when active. In order of cmp. */
static struct picked pick(struct deployment_plan *p, bool old_only, bool active, int (*cmp)(const void *, const void *))
{
	struct picked l = {.at = arena_alloc(p->arena, (p->n_sets + 1) * sizeof(*l.at))};
	for (size_t i = 0; i < p->n_sets; i++) {
		struct plan_set *s = &p->sets[i];
		if ((old_only && s == p->new_set) || (active && replicas_of(s->tree) == 0))
			continue;
		l.at[l.n++] = s;
	}
	qsort(l.at, l.n, sizeof(*l.at), cmp);
	return l;
}

/* ---- changing sets ---- */

static bool set_annotation(struct deployment_plan *p, struct plan_set *s, const char *name, int64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)value);
	if (str_eq(meta_annotation(s->tree, name), text))
		return false;
	meta_set_annotation(p->arena, s->tree, name, arena_strdup(p->arena, text));
	s->write = true;
	return true;
}

static void annotate_sizes(struct deployment_plan *p, struct plan_set *s)
{
	int64_t replicas = replicas_of(p->deployment);
	set_annotation(p, s, DEPLOYMENT_DESIRED, replicas);
	set_annotation(p, s, DEPLOYMENT_MAX, replicas + max_surge(p->deployment));
}

/* Returns whether the size changed. */
static bool scale(struct deployment_plan *p, struct plan_set *s, int64_t n)
{
	int64_t was = replicas_of(s->tree);
	annotate_sizes(p, s);
	if (n < 0)
		n = 0;
	if (n == was)
		return false;
	json_set_int(p->arena, json_object_in(p->arena, s->tree, "spec"), "replicas", n);
	s->write = true;
	s->event = arena_printf(p->arena, "Scaled %s replica set %s from %lld to %lld", n > was ? "up" : "down",
				meta_name(s->tree), (long long)was, (long long)n);
	return true;
}

/* ---- the new set ---- */

static bool template_equal(const struct json *a, const struct json *b)
{
	char ha[TEMPLATE_HASH_MAX], hb[TEMPLATE_HASH_MAX];
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct json *ca = json_clone(&arena, a), *cb = json_clone(&arena, b);
	json_remove(json_path(ca, "metadata.labels"), HASH_LABEL);
	json_remove(json_path(cb, "metadata.labels"), HASH_LABEL);
	if (json_equal(ca, cb))
		return true;
	/* creationTimestamp: null and the like: the canonical form decides. */
	return str_eq(template_hash(ca, 0, ha), template_hash(cb, 0, hb));
}

struct plan_set *deployment_find_new(const struct json *d, struct plan_set *sets, size_t n)
{
	struct plan_set *found = NULL;
	const struct json *template = json_path(d, "spec.template");
	for (size_t i = 0; i < n; i++) {
		struct plan_set *s = &sets[i];
		if (template_equal(json_path(s->tree, "spec.template"), template) && (!found || by_age(&s, &found) < 0))
			found = s;
	}
	return found;
}

static bool annotation_copied(const char *name)
{
	static const char *const own[] = {
	    "kubectl.kubernetes.io/last-applied-configuration",
	    DEPLOYMENT_REVISION,
	    DEPLOYMENT_REVISION_HISTORY,
	    DEPLOYMENT_DESIRED,
	    DEPLOYMENT_MAX,
	    "deprecated.deployment.rollback.to",
	    NULL,
	};
	return !str_in(name, own);
}

static void copy_annotations(struct deployment_plan *p, struct plan_set *s)
{
	JSON_EACH(x, json_path(p->deployment, "metadata.annotations")) {
		if (!annotation_copied(x->key) || str_eq(meta_annotation(s->tree, x->key), json_str(x)))
			continue;
		meta_set_annotation(p->arena, s->tree, x->key, json_str(x));
		s->write = true;
	}
}

/* Gives the set the next revision, unless it has a later one; remembers the one it had. */
static void set_revision(struct deployment_plan *p, struct plan_set *s)
{
	int64_t next = 1;
	for (size_t i = 0; i < p->n_sets; i++)
		if (&p->sets[i] != s && revision_of(p->sets[i].tree) >= next)
			next = revision_of(p->sets[i].tree) + 1;
	int64_t was = revision_of(s->tree);
	if (was >= next)
		return;
	if (was) {
		const char *history = meta_annotation(s->tree, DEPLOYMENT_REVISION_HISTORY);
		char *longer = str_empty(history) ? arena_printf(p->arena, "%lld", (long long)was)
						  : arena_printf(p->arena, "%s,%lld", history, (long long)was);
		while (strlen(longer) > HISTORY_BYTES_MAX && strchr(longer, ','))
			longer = strchr(longer, ',') + 1;
		meta_set_annotation(p->arena, s->tree, DEPLOYMENT_REVISION_HISTORY, longer);
	}
	set_annotation(p, s, DEPLOYMENT_REVISION, next);
}

static void publish_revision(struct deployment_plan *p)
{
	const char *revision = meta_annotation(p->new_set->tree, DEPLOYMENT_REVISION);
	if (revision && !str_eq(meta_annotation(p->deployment, DEPLOYMENT_REVISION), revision))
		meta_set_annotation(p->arena, p->deployment, DEPLOYMENT_REVISION, revision);
}

static void condition(struct deployment_plan *p, const char *value, const char *reason, const char *message)
{
	if (deployment_deadline_s(p->deployment) < 0)
		return;
	struct json *status = json_object_in(p->arena, p->deployment, "status");
	deployment_set_condition(p->arena, status, "Progressing", value, reason, message, p->now_ns);
}

static void adopt_new(struct deployment_plan *p)
{
	struct plan_set *s = p->new_set;
	copy_annotations(p, s);
	set_revision(p, s);
	int64_t min_ready = json_path_int(p->deployment, "spec.minReadySeconds", 0);
	if (json_path_int(s->tree, "spec.minReadySeconds", 0) != min_ready) {
		json_set_int(p->arena, json_get(s->tree, "spec"), "minReadySeconds", min_ready);
		s->write = true;
	}
	publish_revision(p);
	if (!condition_find(json_path(p->deployment, "status.conditions"), "Progressing"))
		condition(p, "True", "FoundNewReplicaSet",
			  arena_printf(p->arena, "Found new replica set \"%s\"", meta_name(s->tree)));
}

static int64_t new_set_size(struct deployment_plan *p, const struct plan_set *s)
{
	int64_t replicas = replicas_of(p->deployment), now = replicas_of(s->tree);
	if (!rolling(p->deployment))
		return replicas;
	int64_t room = replicas + max_surge(p->deployment) - sum(p, replicas_of);
	if (room <= 0)
		return now;
	return now + MIN_OF(room, replicas - now);
}

static void make_new(struct deployment_plan *p)
{
	struct arena *a = p->arena;
	struct json *d = p->deployment;
	char hash[TEMPLATE_HASH_MAX];
	template_hash(json_path(d, "spec.template"), json_path_int(d, "status.collisionCount", 0), hash);
	const char *label = arena_strdup(a, hash);
	struct json *set =
	    meta_object_new(a, "apps/v1", "ReplicaSet", meta_ns(d), arena_printf(a, "%s-%s", meta_name(d), hash));
	struct json *labels = json_path(d, "spec.template.metadata.labels");
	json_set(a, meta_of(a, set), "labels", labels ? json_clone(a, labels) : json_new(a, JSON_OBJECT));
	meta_set_label(a, set, HASH_LABEL, label);
	meta_set_owner(a, set, meta_controller_ref_to(a, p->obj));
	struct json *spec = json_object_in(a, set, "spec");
	json_set_int(a, spec, "replicas", 0);
	if (json_path_int(d, "spec.minReadySeconds", 0))
		json_set_int(a, spec, "minReadySeconds", json_path_int(d, "spec.minReadySeconds", 0));
	json_set(a, spec, "selector", json_clone(a, json_path(d, "spec.selector")));
	json_set_str(a, json_object_in(a, json_get(spec, "selector"), "matchLabels"), HASH_LABEL, label);
	json_set(a, spec, "template", json_clone(a, json_path(d, "spec.template")));
	meta_set_label(a, json_get(spec, "template"), HASH_LABEL, label);

	struct plan_set *s = &p->sets[p->n_sets++];
	*s = (struct plan_set){.tree = set, .write = true};
	p->new_set = s;
	copy_annotations(p, s);
	set_revision(p, s);
	int64_t n = new_set_size(p, s);
	if (n > 0)
		scale(p, s, n);
	annotate_sizes(p, s);
	publish_revision(p);
	condition(p, "True", "NewReplicaSetCreated", arena_printf(a, "Created new replica set \"%s\"", meta_name(set)));
}

static void ensure_new(struct deployment_plan *p)
{
	if (p->new_set)
		adopt_new(p);
	else
		make_new(p);
}

/* ---- rolling ---- */

static bool grow_new(struct deployment_plan *p)
{
	int64_t replicas = replicas_of(p->deployment), now = replicas_of(p->new_set->tree);
	if (now == replicas)
		return false;
	return scale(p, p->new_set, now > replicas ? replicas : new_set_size(p, p->new_set));
}

/* Old pods that aren't available serve nobody: they go first. Returns how many. */
static int64_t shrink_unhealthy(struct deployment_plan *p, struct picked old, int64_t max)
{
	int64_t total = 0;
	for (size_t i = 0; i < old.n && total < max; i++) {
		int64_t n = replicas_of(old.at[i]->tree), healthy = available_of(old.at[i]->tree);
		if (n == 0 || n <= healthy)
			continue;
		int64_t cut = MIN_OF(max - total, n - healthy);
		scale(p, old.at[i], n - cut);
		total += cut;
	}
	return total;
}

static bool shrink_old(struct deployment_plan *p)
{
	struct picked old = pick(p, true, true, by_age);
	if (!old.n)
		return false;
	int64_t surge, unavailable;
	deployment_bounds(p->deployment, &surge, &unavailable);
	int64_t min_available = replicas_of(p->deployment) - unavailable;
	int64_t new_missing = replicas_of(p->new_set->tree) - available_of(p->new_set->tree);
	int64_t room = sum(p, replicas_of) - min_available - new_missing;
	if (room <= 0)
		return false;
	int64_t cut = shrink_unhealthy(p, old, room);
	int64_t spare = sum(p, available_of) - min_available;
	int64_t total = 0;
	for (size_t i = 0; i < old.n && total < spare; i++) {
		int64_t n = replicas_of(old.at[i]->tree);
		int64_t take = MIN_OF(n, spare - total);
		if (take <= 0)
			continue;
		scale(p, old.at[i], n - take);
		total += take;
	}
	return cut + total > 0;
}

static void roll(struct deployment_plan *p)
{
	ensure_new(p);
	if (!p->new_set->obj || grow_new(p))
		return;
	shrink_old(p);
}

static void recreate(struct deployment_plan *p)
{
	struct picked old = pick(p, true, true, by_age);
	for (size_t i = 0; i < old.n; i++)
		scale(p, old.at[i], 0);
	if (p->new_set)
		adopt_new(p);
	if (old.n || p->old_pods_left)
		return;
	if (!p->new_set)
		make_new(p);
	else
		scale(p, p->new_set, replicas_of(p->deployment));
}

/* ---- scaling a Deployment whose roll-out stands or is under way ---- */

static bool saturated(struct deployment_plan *p)
{
	int64_t replicas = replicas_of(p->deployment);
	const struct plan_set *s = p->new_set;
	return s && annotation_int(s->tree, DEPLOYMENT_DESIRED, -1) == replicas && replicas_of(s->tree) == replicas &&
	       available_of(s->tree) == replicas;
}

/* What a set of this size would have, were all sets resized in proportion. */
static int64_t fraction(struct deployment_plan *p, const struct json *set)
{
	int64_t replicas = replicas_of(p->deployment), n = replicas_of(set);
	if (replicas == 0)
		return -n;
	int64_t max = replicas + max_surge(p->deployment);
	int64_t was = annotation_int(set, DEPLOYMENT_MAX, json_path_int(p->deployment, "status.replicas", 0));
	if (was <= 0)
		return 0;
	return (n * max * 2 + was) / (was * 2) - n; /* rounded */
}

static void scale_in_proportion(struct deployment_plan *p)
{
	int64_t replicas = replicas_of(p->deployment);
	int64_t allowed = replicas > 0 ? replicas + max_surge(p->deployment) : 0;
	int64_t to_add = allowed - sum(p, replicas_of), added = 0;
	struct picked all = pick(p, false, true, to_add > 0 ? by_size_newer : by_size_older);
	int64_t *sizes = arena_alloc(p->arena, (all.n + 1) * sizeof(*sizes));
	for (size_t i = 0; i < all.n; i++) {
		int64_t n = replicas_of(all.at[i]->tree), part = 0;
		if (to_add != 0 && to_add != added) {
			part = fraction(p, all.at[i]->tree);
			part = to_add > 0 ? MIN_OF(part, to_add - added) : MAX_OF(part, to_add - added);
		}
		sizes[i] = n + part;
		added += part;
	}
	if (all.n && to_add != 0)
		sizes[0] += to_add - added; /* what rounding left over */
	for (size_t i = 0; i < all.n; i++)
		scale(p, all.at[i], sizes[i]);
}

static void rescale(struct deployment_plan *p)
{
	if (p->new_set)
		adopt_new(p);
	struct picked active = pick(p, false, true, by_age);
	if (active.n <= 1) {
		struct plan_set *s = active.n ? active.at[0] : p->new_set;
		if (!s && p->n_sets) {
			struct picked all = pick(p, false, false, by_age);
			s = all.at[all.n - 1];
		}
		if (s)
			scale(p, s, replicas_of(p->deployment));
		return;
	}
	if (saturated(p)) {
		struct picked old = pick(p, true, true, by_age);
		for (size_t i = 0; i < old.n; i++)
			scale(p, old.at[i], 0);
		return;
	}
	if (rolling(p->deployment))
		scale_in_proportion(p);
}

static bool was_rescaled(struct deployment_plan *p)
{
	int64_t replicas = replicas_of(p->deployment);
	for (size_t i = 0; i < p->n_sets; i++) {
		int64_t desired = annotation_int(p->sets[i].tree, DEPLOYMENT_DESIRED, replicas);
		if (replicas_of(p->sets[i].tree) > 0 && desired != replicas)
			return true;
	}
	return false;
}

/* ---- the rest ---- */

static void note_pause(struct deployment_plan *p, bool paused)
{
	const struct json *c = condition_find(json_path(p->deployment, "status.conditions"), "Progressing");
	const char *reason = json_path_str(c, "reason");
	if (str_eq(reason, "ProgressDeadlineExceeded"))
		return;
	bool noted = str_eq(reason, "DeploymentPaused");
	if (paused && !noted)
		condition(p, "Unknown", "DeploymentPaused", "Deployment is paused");
	else if (!paused && noted)
		condition(p, "Unknown", "DeploymentResumed", "Deployment is resumed");
}

static void drop_history(struct deployment_plan *p)
{
	int64_t limit = json_path_int(p->deployment, "spec.revisionHistoryLimit", HISTORY_LIMIT_DEFAULT);
	struct picked old = pick(p, true, false, by_revision);
	int64_t excess = (int64_t)old.n - limit;
	for (int64_t i = 0; i < excess; i++) {
		struct plan_set *s = old.at[i];
		if (replicas_of(s->tree) || json_path_int(s->tree, "status.replicas", 0) || meta_deleting(s->tree) ||
		    meta_generation(s->tree) > json_path_int(s->tree, "status.observedGeneration", 0))
			continue;
		s->delete = true;
		s->write = false;
	}
}

void deployment_plan(struct deployment_plan *p)
{
	bool paused = json_path_bool(p->deployment, "spec.paused", false);
	p->again_ms = -1;
	p->new_set = deployment_find_new(p->deployment, p->sets, p->n_sets);
	if (!meta_deleting(p->deployment)) {
		note_pause(p, paused);
		if (paused || was_rescaled(p))
			rescale(p);
		else if (rolling(p->deployment))
			roll(p);
		else
			recreate(p);
	}
	deployment_write_status(p);
	if (!meta_deleting(p->deployment) && (paused || deployment_complete(p)))
		drop_history(p);
}
