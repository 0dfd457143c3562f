/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pod_resources.h"

#include <stdbool.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"

/* ---- totals ---- */

static const struct json *status_of(const struct json *pod, const char *list, const char *name)
{
	JSON_EACH(s, json_get(json_get(pod, "status"), list))
		if (str_eq(json_path_str(s, "name"), name))
			return s;
	return NULL;
}

/* While a resize is under way the container may still hold what it had. */
static struct amounts container_amounts(struct arena *a, const struct json *pod, const char *statuses,
					const struct json *container, const char *list)
{
	struct amounts m = amounts_read(a, json_get(json_get(container, "resources"), list));
	const struct json *s = status_of(pod, statuses, json_path_str(container, "name"));
	struct amounts has = amounts_read(a, json_get(json_get(s, "resources"), list));
	amounts_max(a, &m, &has);
	if (str_eq(list, "requests")) {
		struct amounts allocated = amounts_read(a, json_get(s, "allocatedResources"));
		amounts_max(a, &m, &allocated);
	}
	return m;
}

struct amounts pod_amounts(struct arena *a, const struct json *pod, const char *list)
{
	const struct json *spec = json_get(pod, "spec");
	struct amounts running = {0}, peak = {0};
	JSON_EACH(c, json_get(spec, "initContainers")) {
		struct amounts m = container_amounts(a, pod, "initContainerStatuses", c, list);
		if (str_eq(json_path_str(c, "restartPolicy"), "Always")) {
			amounts_add(a, &running, &m);
			amounts_max(a, &peak, &running);
		} else {
			amounts_add(a, &m, &running);
			amounts_max(a, &peak, &m);
		}
	}
	JSON_EACH(c, json_get(spec, "containers")) {
		struct amounts m = container_amounts(a, pod, "containerStatuses", c, list);
		amounts_add(a, &running, &m);
	}
	amounts_max(a, &running, &peak);
	struct amounts whole = amounts_read(a, json_get(json_get(spec, "resources"), list));
	for (size_t i = 0; i < whole.n; i++)
		amounts_set(a, &running, whole.at[i].name, whole.at[i].value);
	struct amounts overhead = amounts_read(a, json_get(spec, "overhead"));
	for (size_t i = 0; i < overhead.n; i++) {
		struct quantity *have = amounts_get(&running, overhead.at[i].name);
		if (have)
			quantity_add(have, &overhead.at[i].value);
		else if (str_eq(list, "requests"))
			amounts_set(a, &running, overhead.at[i].name, overhead.at[i].value);
	}
	return running;
}

/* ---- quality of service ---- */

struct qos {
	bool any;	 /* some cpu or memory request or limit */
	bool guaranteed; /* all have both limits, equal to the requests */
};

static bool positive(const struct json *v, struct quantity *ret)
{
	return v && quantity_from_json(v, ret) == 0 && quantity_compare(ret, &QUANTITY_ZERO) > 0;
}

static void qos_resources(struct qos *q, const struct json *resources)
{
	static const char *const names[] = {"cpu", "memory"};
	const struct json *requests = json_get(resources, "requests"), *limits = json_get(resources, "limits");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct quantity request, limit;
		bool has_request = positive(json_get(requests, names[i]), &request);
		bool has_limit = positive(json_get(limits, names[i]), &limit);
		q->any |= has_request || has_limit;
		if (!has_limit || (has_request && quantity_compare(&request, &limit) != 0))
			q->guaranteed = false;
	}
}

const char *pod_qos_class(const struct json *pod)
{
	static const char *const lists[] = {"containers", "initContainers"};
	const struct json *spec = json_get(pod, "spec");
	struct qos q = {false, true};
	if (json_len(json_get(spec, "resources"))) {
		qos_resources(&q, json_get(spec, "resources"));
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			JSON_EACH(c, json_get(spec, lists[i]))
				qos_resources(&q, json_get(c, "resources"));
	}
	if (!q.any)
		return "BestEffort";
	return q.guaranteed ? "Guaranteed" : "Burstable";
}
