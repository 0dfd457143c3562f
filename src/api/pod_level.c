/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pod_level.h"

#include "api/quantity.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

bool pod_level_resource(const char *name)
{
	return str_eq(name, "cpu") || str_eq(name, "memory") || str_has_prefix(name, "hugepages-");
}

static void add(struct arena *a, struct json *sum, const struct json *amounts)
{
	struct quantity s, q;

	JSON_EACH(v, amounts) {
		struct json *have = json_get(sum, v->key);
		if (quantity_from_json(have, &s) < 0 || quantity_from_json(v, &q) < 0)
			continue;
		quantity_add(&s, &q);
		json_set(a, sum, v->key, quantity_to_json(a, &s));
	}
}

static void raise_to(struct arena *a, struct json *sum, const struct json *amounts)
{
	struct quantity s, q;

	JSON_EACH(v, amounts) {
		struct json *have = json_get(sum, v->key);
		if (quantity_from_json(have, &s) < 0 || quantity_from_json(v, &q) < 0)
			continue;
		if (!have || quantity_compare(&q, &s) > 0)
			json_set(a, sum, v->key, json_clone(a, v));
	}
}

struct json *pod_containers_sum(struct arena *a, const struct json *spec, const char *which)
{
	struct json *sum = json_new(a, JSON_OBJECT), *sidecars = json_new(a, JSON_OBJECT);
	struct json *largest = json_new(a, JSON_OBJECT);

	JSON_EACH(ctr, json_get(spec, "containers"))
		add(a, sum, json_get(json_get(ctr, "resources"), which));
	JSON_EACH(ctr, json_get(spec, "initContainers")) {
		const struct json *amounts = json_get(json_get(ctr, "resources"), which);
		struct json *at_once = json_clone(a, sidecars);
		add(a, at_once, amounts);
		if (str_eq(json_path_str(ctr, "restartPolicy"), "Always"))
			add(a, sidecars, amounts);
		raise_to(a, largest, at_once);
	}
	add(a, sum, sidecars);
	raise_to(a, sum, largest);
	return sum;
}
