/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and limits of containers and of a pod as a whole, and claims of devices. */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/pod_level.h"
#include "api/quantity.h"
#include "api/validate_pod_internal.h"
#include "base/json_index.h"
#include "base/status.h"
#include "base/str.h"

typedef void name_fn(struct check *c, const char *path, const char *name);

/* ---- requests and limits ---- */

static void check_pages(struct check *c, const char *at, const struct json *v)
{
	struct quantity amount, page;

	if (quantity_from_json(v, &amount) < 0)
		return;
	if (quantity_parse(v->key + sizeof("hugepages-") - 1, &page) < 0 || page.nano <= 0 ||
	    amount.nano % page.nano != 0)
		bad_invalid(c, at, v,
			    PATH(c, "%s is not positive integer multiple of %s", str_or(json_str(v), ""), v->key));
}

static void check_request(struct check *c, const char *path, const struct json *request, const struct json *limit)
{
	bool overcommits = resource_may_overcommit(request->key);
	struct quantity r, l;
	char text[QUANTITY_TEXT_MAX];

	if (!limit) {
		if (!overcommits)
			bad_required(c, PATH(c, "%s.limits", path),
				     "Limit must be set for non overcommitable resources");
		return;
	}
	if (quantity_from_json(request, &r) < 0 || quantity_from_json(limit, &l) < 0)
		return;
	int order = quantity_compare(&r, &l);
	if (order && !overcommits)
		bad_invalid(c, PATH(c, "%s.requests", path), request,
			    PATH(c, "must be equal to %s limit of %s", request->key, quantity_format(&l, text)));
	else if (order > 0)
		bad_invalid(
		    c, PATH(c, "%s.requests", path), request,
		    PATH(c, "must be less than or equal to %s limit of %s", request->key, quantity_format(&l, text)));
}

static void check_requirements(struct check *c, const char *path, const struct json *r, name_fn *check_name_of)
{
	static const char *const lists[] = {"limits", "requests"};
	_cleanup_json_index_ struct json_index limits = json_index_of(json_get(r, "limits"));
	bool pages = false, compute = false;

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		const struct json *list = json_get(r, lists[k]);
		if (!json_is(list, JSON_OBJECT))
			continue;
		JSON_EACH(v, list) {
			const char *at = PATH(c, "%s.%s[%s]", path, lists[k], v->key);
			check_name_of(c, at, v->key);
			check_resource_amount(c, at, v);
			if (k == 1)
				check_request(c, path, v, json_index_get(&limits, v->key, v->key_len));
			if (resource_is_hugepages(v->key)) {
				pages = true;
				check_pages(c, at, v);
			}
			compute |= str_eq(v->key, "cpu") || str_eq(v->key, "memory");
		}
	}
	if (pages && !compute)
		bad_forbidden(c, path, "HugePages require cpu or memory");
}

/* ---- claims ---- */

#define CLAIM_NAMES_SHOWN 16
static const char *claim_names(struct pod_check *p)
{
	const char *text = "";
	size_t n = 0;

	EACH_ITEM(claim, json_get(p->spec, "resourceClaims")) {
		if (n++ == CLAIM_NAMES_SHOWN)
			break;
		text = PATH(p->c, "%s%s%.63s", text, *text ? ", " : "", str_or(json_path_str(claim, "name"), ""));
	}
	return text;
}

/* Each entry names a claim of the pod, or one request of it; nothing is named twice. */
static void check_claims(struct pod_check *p, const char *path, const struct json *list)
{
	struct check *c = p->c;
	_cleanup_names_ struct map whole = MAP_INIT, parts = MAP_INIT, requests = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(claim, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *name = str_or(json_path_str(claim, "name"), "");
		const char *request = str_or(json_path_str(claim, "request"), ""),
			   *key = PATH(c, "%s/%s", name, request);
		if (!*name) {
			bad_required(c, at, NULL);
			continue;
		}
		if (*request)
			name_in(c, at, claim, "request", name_check_dns1123_label);
		if (map_has(&whole, name) || (!*request && map_has(&parts, name)))
			bad_duplicate(c, at, name);
		else if (*request && map_has(&requests, key))
			bad_duplicate(c, at, key);
		map_set(*request ? &parts : &whole, name, p);
		if (*request)
			map_set(&requests, key, p);
		if (map_has(&p->claims, name))
			continue;
		const char *names = claim_names(p);
		status_cause(c->err, "FieldValueNotFound", at,
			     "Not found: \"%.256s\": must be one of the names in pod.spec.resourceClaims%s%.512s", name,
			     *names ? ": " : " which is empty", names);
	}
}

void check_resource_claims(struct pod_check *p)
{
	static const char *const sources[] = {"resourceClaimName", "resourceClaimTemplateName"};
	struct check *c = p->c;
	size_t i = 0;

	EACH_ITEM(claim, json_get(p->spec, "resourceClaims")) {
		const char *at = PATH(c, "%s.resourceClaims[%zu]", p->path, i++), *name = json_path_str(claim, "name");
		int n = has_member(claim, sources[0]) + has_member(claim, sources[1]);
		if (need_in(c, at, claim, "name")) {
			if (map_set(&p->claims, name, p))
				bad_duplicate(c, PATH(c, "%s.name", at), name);
			else
				name_in(c, at, claim, "name", name_check_dns1123_label);
		}
		if (n > 1)
			bad_invalid(
			    c, at, claim,
			    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
		if (n == 0)
			bad_invalid(c, at, claim,
				    "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
		for (size_t k = 0; k < ARRAY_SIZE(sources); k++)
			name_in(c, at, claim, sources[k], name_check_dns1123_subdomain);
	}
}

void check_container_resources(struct pod_check *p, const char *at, const struct json *resources)
{
	check_requirements(p->c, at, resources, check_container_resource_name);
	if (json_get(resources, "claims"))
		check_claims(p, PATH(p->c, "%s.claims", at), json_get(resources, "claims"));
}

/* ---- the pod as a whole ---- */

static void check_pod_resource_name(struct check *c, const char *path, const char *name)
{
	static const char *const supported[] = {"cpu", "hugepages-", "memory", NULL};

	if (check_resource_name(c, path, name) && !pod_level_resource(name))
		bad_unsupported(c, path, name, supported);
}

/* What the containers ask for together fits in what the pod asks for, and no limit of one exceeds the pod's. */
static void check_consistency(struct pod_check *p, const char *at, const struct json *resources)
{
	struct check *c = p->c;
	struct json *sum = pod_containers_sum(&c->arena, p->spec, "requests");
	char text[QUANTITY_TEXT_MAX];
	struct quantity have, want;
	size_t i = 0;

	JSON_EACH(v, sum) {
		const struct json *pod =
		    json_path(resources, "requests") ? json_get(json_get(resources, "requests"), v->key) : NULL;
		if (quantity_from_json(v, &want) < 0 || quantity_from_json(pod, &have) < 0 ||
		    quantity_compare(&want, &have) <= 0)
			continue;
		bad_invalid_str(c, PATH(c, "%s.requests[%s]", at, v->key), quantity_format(&have, text),
				PATH(c, "must be greater than or equal to aggregate container requests of %s",
				     str_or(json_str(v), "")));
	}
	EACH_ITEM(ctr, json_get(p->spec, "containers")) {
		JSON_EACH(v, json_path(ctr, "resources.limits")) {
			const struct json *pod = json_get(json_get(resources, "limits"), v->key);
			if (!pod || quantity_from_json(v, &want) < 0 || quantity_from_json(pod, &have) < 0 ||
			    quantity_compare(&want, &have) <= 0)
				continue;
			bad_invalid(
			    c, PATH(c, "%s.containers[%zu][%s].limits", at, i, v->key), v,
			    PATH(c, "must be less than or equal to pod limits of %s", quantity_format(&have, text)));
		}
		i++;
	}
}

void check_pod_resources(struct pod_check *p)
{
	const struct json *resources = json_get(p->spec, "resources");
	const char *at = PATH(p->c, "%s.resources", p->path);

	if (!resources)
		return;
	if (json_get(resources, "claims"))
		bad_forbidden(p->c, PATH(p->c, "%s.claims", at), "claims may not be set for Resources at pod-level");
	check_requirements(p->c, at, resources, check_pod_resource_name);
	check_consistency(p, at, resources);
}
