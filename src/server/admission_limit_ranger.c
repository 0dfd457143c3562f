/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LimitRanger: what containers leave open is filled in from the namespace's LimitRanges; containers, pods and claims
 * beyond their bounds are refused, with everything that is wrong in one answer.
 */
#include "api/meta.h"
#include "api/object.h"
#include "api/pod_resources.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"
#include "server/registry.h"
#include "store/store.h"

#define ANNOTATION "kubernetes.io/limit-ranger"
#define LIMIT_RANGES_MAX 64 /* in one namespace; each is read for every pod that is created there */

struct ranges {
	const struct admission *a;
	struct json *at[LIMIT_RANGES_MAX];
	size_t n;
};

static bool collect(void *arg, struct object *o)
{
	struct ranges *r = arg;
	r->at[r->n++] = object_tree(o, r->a->arena);
	return r->n < LIMIT_RANGES_MAX;
}

static void ranges_of(const struct admission *a, struct ranges *ret)
{
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	*ret = (struct ranges){.a = a};
	resource_key(registry_storage_row(resource_by_plural("", "limitranges")), a->ns, NULL, &prefix);
	store_each(registry_store(a->registry), buf_str(&prefix), NULL, collect, ret);
}

/* ---- defaults ---- */

/* Fills in what the container's list leaves open, and tells: "cpu, memory limit for container c". */
static void fill(struct arena *a, struct json *container, const char *what, const char *list,
		 const struct amounts *defaults, struct buf *told)
{
	const char *names = NULL;
	for (size_t i = 0; i < defaults->n; i++) {
		struct json *resources = json_object_in(a, container, "resources");
		struct json *into = json_object_in(a, resources, list);
		if (json_get(into, defaults->at[i].name))
			continue;
		json_set(a, into, defaults->at[i].name, quantity_to_json(a, &defaults->at[i].value));
		names = arena_printf(a, "%s%s%s", str_or(names, ""), names ? ", " : "", defaults->at[i].name);
	}
	if (names)
		buf_addf(told, "%s%s %.*s for %s %s", told->len ? "; " : "", names, (int)strlen(list) - 1, list, what,
			 str_or(json_path_str(container, "name"), ""));
}

static void fill_pod(struct arena *a, struct json *pod, const struct json *range)
{
	static const struct {
		const char *list, *what;
	} kinds[] = {{"containers", "container"}, {"initContainers", "init container"}};
	_cleanup_buf_ struct buf told = BUF_INIT;
	struct amounts limits = {0}, requests = {0};
	JSON_EACH(l, json_path(range, "spec.limits")) {
		if (!str_eq(json_path_str(l, "type"), "Container"))
			continue;
		struct amounts more = amounts_read(a, json_get(l, "default"));
		for (size_t i = 0; i < more.n; i++)
			amounts_set(a, &limits, more.at[i].name, more.at[i].value);
		more = amounts_read(a, json_get(l, "defaultRequest"));
		for (size_t i = 0; i < more.n; i++)
			amounts_set(a, &requests, more.at[i].name, more.at[i].value);
	}
	amounts_sort(&limits);
	amounts_sort(&requests);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		JSON_EACH(c, json_get(json_get(pod, "spec"), kinds[k].list)) {
			fill(a, c, kinds[k].what, "requests", &requests, &told);
			fill(a, c, kinds[k].what, "limits", &limits, &told);
		}
	if (told.len)
		meta_set_annotation(a, pod, ANNOTATION, arena_printf(a, "LimitRanger plugin set: %s", buf_str(&told)));
}

static bool is_pods(const struct admission *a)
{
	return !*a->resource->group && str_eq(a->resource->plural, "pods");
}

static int mutate(const struct admission *a, struct status *err)
{
	struct ranges r;
	(void)err;
	if (!is_pods(a) || *a->subresource || a->operation != ADMIT_CREATE)
		return 0;
	ranges_of(a, &r);
	for (size_t i = 0; i < r.n; i++)
		fill_pod(a->arena, a->object, r.at[i]);
	return 0;
}

/* ---- bounds ---- */

struct judge {
	struct arena *a;
	struct buf text; /* "[first, second]" without the brackets */
	size_t n;
};

static void PRINTF_LIKE(2, 3) complain(struct judge *j, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_addf(&j->text, "%s%s", j->n++ ? ", " : "", arena_vprintf(j->a, fmt, ap));
	va_end(ap);
}

static const char *text_of(struct judge *j, const struct quantity *q)
{
	char text[QUANTITY_TEXT_MAX];
	return arena_strdup(j->a, quantity_format(q, text));
}

static void check_min(struct judge *j, const char *type, const struct amount *min, const struct quantity *request,
		      const struct quantity *limit)
{
	const char *bound = text_of(j, &min->value);
	if (!request)
		complain(j, "minimum %s usage per %s is %s.  No request is specified", min->name, type, bound);
	else if (quantity_compare(request, &min->value) < 0)
		complain(j, "minimum %s usage per %s is %s, but request is %s", min->name, type, bound,
			 text_of(j, request));
	else if (limit && quantity_compare(limit, &min->value) < 0)
		complain(j, "minimum %s usage per %s is %s, but limit is %s", min->name, type, bound,
			 text_of(j, limit));
}

static void check_max(struct judge *j, const char *type, const struct amount *max, const struct quantity *request,
		      const struct quantity *limit)
{
	const char *bound = text_of(j, &max->value);
	if (!limit)
		complain(j, "maximum %s usage per %s is %s.  No limit is specified", max->name, type, bound);
	else if (quantity_compare(limit, &max->value) > 0)
		complain(j, "maximum %s usage per %s is %s, but limit is %s", max->name, type, bound,
			 text_of(j, limit));
	else if (request && quantity_compare(request, &max->value) > 0)
		complain(j, "maximum %s usage per %s is %s, but request is %s", max->name, type, bound,
			 text_of(j, request));
}

static void check_ratio(struct judge *j, const char *type, const struct amount *ratio, const struct quantity *request,
			const struct quantity *limit)
{
	const char *bound = text_of(j, &ratio->value);
	if (!request || request->nano == 0)
		complain(j, "%s max limit to request ratio per %s is %s, but no request is specified or request is 0",
			 ratio->name, type, bound);
	else if (!limit || limit->nano == 0)
		complain(j, "%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0",
			 ratio->name, type, bound);
	else if ((double)limit->nano / (double)request->nano > (double)ratio->value.nano / 1e9)
		complain(j, "%s max limit to request ratio per %s is %s, but provided ratio is %f", ratio->name, type,
			 bound, (double)limit->nano / (double)request->nano);
}

static void check_bounds(struct judge *j, const struct json *limit, const char *type, const struct amounts *requests,
			 const struct amounts *limits)
{
	static const struct {
		const char *member;
		void (*check)(struct judge *j, const char *type, const struct amount *bound,
			      const struct quantity *request, const struct quantity *limit);
	} checks[] = {{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}};
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct amounts bounds = amounts_read(j->a, json_get(limit, checks[i].member));
		for (size_t k = 0; k < bounds.n; k++)
			checks[i].check(j, type, &bounds.at[k], amounts_get(requests, bounds.at[k].name),
					amounts_get(limits, bounds.at[k].name));
	}
}

static void check_pod(struct judge *j, const struct json *limit, const struct json *pod)
{
	static const char *const lists[] = {"containers", "initContainers"};
	const char *type = str_or(json_path_str(limit, "type"), "");
	if (str_eq(type, "Pod")) {
		struct amounts requests = pod_amounts(j->a, pod, "requests"), limits = pod_amounts(j->a, pod, "limits");
		check_bounds(j, limit, type, &requests, &limits);
	}
	if (!str_eq(type, "Container"))
		return;
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		JSON_EACH(c, json_get(json_get(pod, "spec"), lists[k])) {
			struct amounts requests = amounts_read(j->a, json_path(c, "resources.requests"));
			struct amounts limits = amounts_read(j->a, json_path(c, "resources.limits"));
			check_bounds(j, limit, type, &requests, &limits);
		}
}

/* Claims have requests only: max is about them too. */
static void check_claim(struct judge *j, const struct json *limit, const struct json *claim)
{
	static const char type[] = "PersistentVolumeClaim";
	if (!str_eq(json_path_str(limit, "type"), type))
		return;
	struct amounts requests = amounts_read(j->a, json_path(claim, "spec.resources.requests"));
	struct amounts min = amounts_read(j->a, json_get(limit, "min")),
		       max = amounts_read(j->a, json_get(limit, "max"));
	for (size_t i = 0; i < min.n; i++)
		check_min(j, type, &min.at[i], amounts_get(&requests, min.at[i].name), NULL);
	for (size_t i = 0; i < max.n; i++) {
		const struct quantity *request = amounts_get(&requests, max.at[i].name);
		const char *bound = text_of(j, &max.at[i].value);
		if (!request)
			complain(j, "maximum %s usage per %s is %s.  No request is specified", max.at[i].name, type,
				 bound);
		else if (quantity_compare(request, &max.at[i].value) > 0)
			complain(j, "maximum %s usage per %s is %s, but request is %s", max.at[i].name, type, bound,
				 text_of(j, request));
	}
}

static int validate(const struct admission *a, struct status *err)
{
	bool pods = is_pods(a), claims = !*a->resource->group && str_eq(a->resource->plural, "persistentvolumeclaims");
	bool resize = str_eq(a->subresource, "resize");
	/* The containers of a pod change by resize only. */
	if ((!pods && !claims) || (*a->subresource && !resize) || (pods && a->operation == ADMIT_UPDATE && !resize))
		return 0;
	struct ranges r;
	ranges_of(a, &r);
	for (size_t i = 0; i < r.n; i++) {
		struct judge j = {.a = a->arena};
		JSON_EACH(l, json_path(r.at[i], "spec.limits")) {
			if (pods)
				check_pod(&j, l, a->object);
			else
				check_claim(&j, l, a->object);
		}
		const char *text = arena_strdup(a->arena, buf_str(&j.text));
		buf_release(&j.text);
		if (j.n)
			return admission_forbid(a, err, j.n > 1 ? "[%s]" : "%s", text);
	}
	return 0;
}

const struct admission_plugin admission_limit_ranger = {
    .name = "LimitRanger",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .mutate = mutate,
    .validate = validate,
};
