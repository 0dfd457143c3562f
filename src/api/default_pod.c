/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/default_internal.h"
#include "api/pod_level.h"
#include "api/quantity.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

#define EACH_ITEM(c, list)                                                                                             \
	if (json_is((list), JSON_ARRAY))                                                                               \
		JSON_EACH(c, (list))

void default_resource_list(struct arena *a, struct json *list)
{
	struct quantity q;
	char text[QUANTITY_TEXT_MAX];

	if (!json_is(list, JSON_OBJECT))
		return;
	JSON_EACH(v, list) {
		if (quantity_from_json(v, &q) < 0 || q.nano % 1000000 == 0)
			continue;
		struct quantity rounded = quantity_of_milli(quantity_milli(&q), q.format);
		json_replace(v, json_new_str(a, quantity_format(&rounded, text)));
	}
}

static void default_http_get(struct arena *a, struct json *get)
{
	default_str(a, get, "path", "/");
	default_str(a, get, "scheme", "HTTP");
}

static void default_probe(struct arena *a, struct json *probe)
{
	static const struct {
		const char *key;
		int value;
	} defaults[] = {{"timeoutSeconds", 1}, {"periodSeconds", 10}, {"successThreshold", 1}, {"failureThreshold", 3}};

	if (!probe)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		if (json_path_int(probe, defaults[i].key, 0) == 0)
			json_set_int(a, probe, defaults[i].key, defaults[i].value);
	default_http_get(a, json_get(probe, "httpGet"));
	if (json_get(probe, "grpc") && !json_path(probe, "grpc.service"))
		json_set_str(a, json_get(probe, "grpc"), "service", "");
}

/* Without a tag and without a digest an image means its "latest". */
static bool image_is_latest(const char *image)
{
	const char *at = strchr(image, '@'), *slash = strrchr(image, '/');
	const char *name = slash && (!at || slash < at) ? slash + 1 : image;
	const char *colon = strchr(name, ':');

	if (at && (!colon || colon > at))
		return false;
	if (!colon)
		return true;
	return at ? (size_t)(at - colon) == sizeof(":latest") - 1 && str_has_prefix(colon, ":latest")
		  : str_eq(colon, ":latest");
}

static void default_env(struct arena *a, struct json *container)
{
	EACH_ITEM(e, json_get(container, "env"))
		default_str(a, json_path(e, "valueFrom.fieldRef"), "apiVersion", "v1");
}

static void default_container(struct arena *a, struct json *c)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};

	if (!json_is(c, JSON_OBJECT))
		return;
	default_str(a, c, "imagePullPolicy",
		    image_is_latest(str_or(json_path_str(c, "image"), "")) ? "Always" : "IfNotPresent");
	default_str(a, c, "terminationMessagePath", "/dev/termination-log");
	default_str(a, c, "terminationMessagePolicy", "File");
	EACH_ITEM(p, json_get(c, "ports"))
		default_str(a, p, "protocol", "TCP");
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		default_probe(a, json_get(c, probes[i]));
	default_http_get(a, json_path(c, "lifecycle.postStart.httpGet"));
	default_http_get(a, json_path(c, "lifecycle.preStop.httpGet"));
	default_resource_list(a, json_path(c, "resources.limits"));
	default_resource_list(a, json_path(c, "resources.requests"));
	default_env(a, c);
}

void default_claim_spec(struct arena *a, struct json *spec)
{
	default_pointed(a, spec, "volumeMode", "Filesystem");
	default_resource_list(a, json_path(spec, "resources.requests"));
	default_resource_list(a, json_path(spec, "resources.limits"));
}

static void default_field_refs(struct arena *a, struct json *items)
{
	EACH_ITEM(i, items)
		default_str(a, json_get(i, "fieldRef"), "apiVersion", "v1");
}

static void default_volume(struct arena *a, struct json *v)
{
	static const char *const with_mode[] = {"secret", "configMap", "downwardAPI", "projected"};

	if (!json_is(v, JSON_OBJECT))
		return;
	if (json_len(v) == 1 && json_get(v, "name"))
		json_set(a, v, "emptyDir", json_new(a, JSON_OBJECT));
	for (size_t i = 0; i < ARRAY_SIZE(with_mode); i++)
		default_int(a, json_get(v, with_mode[i]), "defaultMode", 0644);
	if (json_get(v, "hostPath"))
		default_pointed(a, json_get(v, "hostPath"), "type", "");
	default_field_refs(a, json_path(v, "downwardAPI.items"));
	EACH_ITEM(s, json_path(v, "projected.sources")) {
		default_int(a, json_get(s, "serviceAccountToken"), "expirationSeconds", 3600);
		default_field_refs(a, json_path(s, "downwardAPI.items"));
	}
	const char *reference = json_path_str(v, "image.reference");
	default_str(a, json_get(v, "image"), "pullPolicy",
		    image_is_latest(str_or(reference, "")) ? "Always" : "IfNotPresent");
	struct json *disk = json_get(v, "azureDisk");
	default_bool(a, disk, "readOnly", false);
	default_claim_spec(a, json_path(v, "ephemeral.volumeClaimTemplate.spec"));
}

void default_pod_spec(struct arena *a, struct json *spec)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	if (!json_is(spec, JSON_OBJECT))
		return;
	default_str(a, spec, "restartPolicy", "Always");
	default_str(a, spec, "dnsPolicy", "ClusterFirst");
	default_int(a, spec, "terminationGracePeriodSeconds", 30);
	default_member(a, spec, "securityContext");
	default_str(a, spec, "schedulerName", "default-scheduler");
	/* serviceAccount is the old name of serviceAccountName: both are shown. */
	const char *account = json_path_str(spec, "serviceAccountName");
	if (str_empty(account))
		account = json_path_str(spec, "serviceAccount");
	if (!str_empty(account)) {
		json_set_str(a, spec, "serviceAccountName", account);
		json_set_str(a, spec, "serviceAccount", account);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		EACH_ITEM(c, json_get(spec, lists[i]))
			default_container(a, c);
	EACH_ITEM(v, json_get(spec, "volumes"))
		default_volume(a, v);
	default_resource_list(a, json_get(spec, "overhead"));
	default_resource_list(a, json_path(spec, "resources.limits"));
	default_resource_list(a, json_path(spec, "resources.requests"));
}

/* A limit without a request asks for as much. */
static void request_limits(struct arena *a, struct json *c)
{
	struct json *limits = json_path(c, "resources.limits");

	if (!json_is(limits, JSON_OBJECT) || !limits->len)
		return;
	struct json *requests = json_object_in(a, json_get(c, "resources"), "requests");
	JSON_EACH(l, limits)
		if (!json_get(requests, l->key))
			json_set(a, requests, l->key, json_clone(a, l));
}

static bool all_have_limit(const struct json *spec, const char *name)
{
	static const char *const lists[] = {"initContainers", "containers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		EACH_ITEM(c, json_get(spec, lists[i]))
			if (!json_get(json_path(c, "resources.limits"), name))
				return false;
	return true;
}

static bool overcommits(const char *name)
{
	return !str_has_prefix(name, "hugepages-");
}

static void fill(struct arena *a, struct json *resources, const char *list, const struct json *v)
{
	if (!json_get(json_get(resources, list), v->key))
		json_set(a, json_object_in(a, resources, list), v->key, json_clone(a, v));
}

/* A pod that says something of its resources as a whole gets the rest from what its containers say. */
static void default_pod_resources(struct arena *a, struct json *spec)
{
	struct json *r = json_get(spec, "resources");

	if (!json_is(r, JSON_OBJECT) || (!json_len(json_get(r, "limits")) && !json_len(json_get(r, "requests"))))
		return;
	const struct json *limits = pod_containers_sum(a, spec, "limits");
	const struct json *requests = pod_containers_sum(a, spec, "requests");
	bool had_limits = json_len(json_get(r, "limits")) > 0;
	JSON_EACH(v, limits)
		if (str_has_prefix(v->key, "hugepages-") && !json_get(json_get(r, "requests"), v->key))
			fill(a, r, "limits", v);
	if (json_len(json_get(r, "limits"))) {
		JSON_EACH(v, requests)
			if (pod_level_resource(v->key) && overcommits(v->key))
				fill(a, r, "requests", v);
		JSON_EACH(v, json_get(r, "limits"))
			if (pod_level_resource(v->key))
				fill(a, r, "requests", v);
	}
	if (!had_limits)
		JSON_EACH(v, limits)
			if (pod_level_resource(v->key) && overcommits(v->key) && all_have_limit(spec, v->key))
				fill(a, r, "limits", v);
}

void default_pod(struct arena *a, struct json *tree)
{
	static const char *const lists[] = {"initContainers", "containers"};
	struct json *spec = json_get(tree, "spec");
	bool host = json_path_bool(spec, "hostNetwork", false);

	default_pod_spec(a, spec);
	default_first(a, json_get(tree, "status"), "podIP", "podIPs", "ip");
	default_bool(a, spec, "enableServiceLinks", true);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		EACH_ITEM(c, json_get(spec, lists[i])) {
			if (!json_is(c, JSON_OBJECT))
				continue;
			request_limits(a, c);
			EACH_ITEM(p, json_get(c, "ports"))
				if (host && json_is(p, JSON_OBJECT) && json_path_int(p, "hostPort", 0) == 0)
					json_set_int(a, p, "hostPort", json_path_int(p, "containerPort", 0));
		}
	default_pod_resources(a, spec);
}
