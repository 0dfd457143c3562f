/* SPDX-License-Identifier: Apache-2.0 */
/* StorageClass, VolumeAttributesClass, CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment. */
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/map.h"
#include "base/str.h"

#define CLASS "StorageClass"
#define ATTRIBUTES "VolumeAttributesClass"
#define DRIVER "CSIDriver"
#define NODE "CSINode"
#define CAPACITY "CSIStorageCapacity"
#define ATTACHMENT "VolumeAttachment"

/* Upstream's bounds. */
#define PARAMETERS_MAX 512
#define PARAMETERS_BYTES_MAX (256 * 1024)
#define NODE_ID_BYTES_MAX 256
#define ERROR_BYTES_MAX 1024
#define TOKEN_SECONDS_MIN 600
#define TOKEN_SECONDS_MAX (1ll << 32)
#define ALLOCATABLE_PERIOD_MIN 10

static const char *const reclaim_policies[] = {"Delete", "Retain", NULL};
static const char *const binding_modes[] = {"Immediate", "WaitForFirstConsumer", NULL};
static const char *const group_policies[] = {"File", "None", "ReadWriteOnceWithFSType", NULL};

static void check_parameters(struct check *c, const char *path, const struct json *p)
{
	size_t bytes = 0;

	if (json_len(p) > PARAMETERS_MAX) {
		bad_too_long(c, path, PARAMETERS_MAX);
		return;
	}
	JSON_EACH(v, p) {
		if (!v->key_len)
			bad_invalid_str(c, path, "", "field can not be empty.");
		bytes += v->key_len + (v->type == JSON_STRING ? v->len : 0);
	}
	if (bytes > PARAMETERS_BYTES_MAX)
		bad_too_long(c, path, PARAMETERS_BYTES_MAX);
}

/* A provisioner is a name with a prefix, in any case; it is shown in lower case. */
static void check_provisioner(struct check *c, const char *path, const struct json *v)
{
	char *lower = arena_strdup(&c->arena, str_or(json_str(v), ""));

	for (char *s = lower; *s; s++)
		*s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
	const char *why = name_check_qualified(lower);
	if (*lower && why)
		bad_invalid_str(c, path, lower, why);
}

static void check_amount(struct check *c, const char *path, const struct json *v)
{
	struct quantity q;

	if (quantity_from_json(v, &q) == 0 && q.nano < 0)
		bad_invalid(c, path, v, "must be greater than or equal to 0");
}

static const struct rule rules[] = {
    REQUIRED(CLASS, "provisioner"),
    CALL(CLASS, "provisioner", check_provisioner),
    CALL(CLASS, "parameters", check_parameters),
    VALUES(CLASS, "reclaimPolicy", reclaim_policies),
    VALUES(CLASS, "volumeBindingMode", binding_modes),
    CONSTANT(CLASS, "provisioner"),
    CONSTANT(CLASS, "parameters"),
    CONSTANT(CLASS, "reclaimPolicy"),
    CONSTANT(CLASS, "volumeBindingMode"),
    REQUIRED(CLASS, "allowedTopologies[].matchLabelExpressions[].values"),
    UNIQUE(CLASS, "allowedTopologies[].matchLabelExpressions[].values", NULL),
    UNIQUE(CLASS, "allowedTopologies[].matchLabelExpressions", "key"),

    REQUIRED(ATTRIBUTES, "driverName"),
    CALL(ATTRIBUTES, "driverName", check_provisioner),
    FILLED(ATTRIBUTES, "parameters", "must contain at least one key/value pair"),
    CALL(ATTRIBUTES, "parameters", check_parameters),
    FIXED(ATTRIBUTES, "driverName", "updates to driverName are forbidden."),
    FIXED(ATTRIBUTES, "parameters", "updates to parameters are forbidden."),

    REQUIRED(DRIVER, "spec.attachRequired"),
    REQUIRED(DRIVER, "spec.podInfoOnMount"),
    REQUIRED(DRIVER, "spec.storageCapacity"),
    VALUES(DRIVER, "spec.fsGroupPolicy", group_policies),
    UNIQUE(DRIVER, "spec.tokenRequests", "audience"),
    RANGE(DRIVER, "spec.tokenRequests[].expirationSeconds", TOKEN_SECONDS_MIN, INT64_MAX,
	  "may not specify a duration less than 10 minutes"),
    RANGE(DRIVER, "spec.tokenRequests[].expirationSeconds", INT64_MIN, TOKEN_SECONDS_MAX,
	  "may not specify a duration larger than 2^32 seconds"),
    RANGE(DRIVER, "spec.nodeAllocatableUpdatePeriodSeconds", ALLOCATABLE_PERIOD_MIN, INT64_MAX,
	  "must be greater than or equal to 10 seconds"),
    IMMUTABLE(DRIVER, "spec.volumeLifecycleModes"),

    REQUIRED(NODE, "spec.drivers[].name"),
    DRIVER_NAME(NODE, "spec.drivers[].name"),
    UNIQUE(NODE, "spec.drivers", "name"),
    REQUIRED(NODE, "spec.drivers[].nodeID"),
    MIN(NODE, "spec.drivers[].allocatable.count", 0),

    NAME(CAPACITY, "storageClassName", name_check_dns1123_subdomain),
    IMMUTABLE(CAPACITY, "storageClassName"),
    IMMUTABLE(CAPACITY, "nodeTopology"),
    SELECTOR(CAPACITY, "nodeTopology"),
    CALL(CAPACITY, "capacity", check_amount),

    REQUIRED(ATTACHMENT, "spec.attacher"),
    DECLARED_DRIVER_NAME(ATTACHMENT, "spec.attacher"),
    NAME(ATTACHMENT, "spec.nodeName", name_check_dns1123_subdomain),
    CONSTANT(ATTACHMENT, "spec"),
    RANGE(ATTACHMENT, "status.attachError.errorCode", 0, INT32_MAX, NULL),
    RANGE(ATTACHMENT, "status.detachError.errorCode", 0, INT32_MAX, NULL),
    BYTES(ATTACHMENT, "status.attachError.message", ERROR_BYTES_MAX),
    BYTES(ATTACHMENT, "status.detachError.message", ERROR_BYTES_MAX),
};

static void check_csi_driver(struct check *c)
{
	static const char *const modes[] = {"Persistent", "Ephemeral", NULL};
	const struct json *spec = json_get(c->tree, "spec"), *secrets = json_get(spec, "serviceAccountTokenInSecrets");

	EACH_ITEM(m, json_get(spec, "volumeLifecycleModes"))
		if (!str_in(str_or(json_str(m), ""), modes))
			bad_unsupported(c, "spec.volumeLifecycleModes", str_or(json_str(m), ""), modes);
	check_immutable(c, "spec.attachedRequired", "spec.attachRequired"); /* sic */
	if (secrets && !json_len(json_get(spec, "tokenRequests")))
		bad_invalid(c, "spec.serviceAccountTokenInSecrets", secrets,
			    "serviceAccountTokenInSecrets is set but no tokenRequests are specified");
}

/* The values of a topology's labels, in an order of their own. */
static const struct json *label_values(struct check *c, const struct json *term)
{
	struct json *map = json_new(&c->arena, JSON_OBJECT);

	EACH_ITEM(e, json_get(term, "matchLabelExpressions")) {
		struct json *set =
		    json_set(&c->arena, map, str_or(json_path_str(e, "key"), ""), json_new(&c->arena, JSON_OBJECT));
		EACH_ITEM(v, json_get(e, "values"))
			json_set_bool(&c->arena, set, str_or(json_str(v), ""), true);
	}
	return map;
}

/* As upstream, a term that says nothing is one too many. */
static void check_storage_class(struct check *c)
{
	const struct json *terms = json_get(c->tree, "allowedTopologies");
	struct json *seen = json_new(&c->arena, JSON_ARRAY);
	size_t i = 0, k;

	EACH_ITEM(t, terms) {
		const char *at = PATH(c, "allowedTopologies[%zu].matchLabelExpressions", i++);
		const struct json *values = label_values(c, t);
		bool twice = !json_len(values);
		k = 0;
		EACH_ITEM(e, json_get(t, "matchLabelExpressions")) {
			const char *key = str_or(json_path_str(e, "key"), ""), *why = name_check_qualified(key);
			if (why)
				bad_invalid_str(c, PATH(c, "%s[%zu].key", at, k), key, why);
			k++;
		}
		EACH_ITEM(other, seen)
			twice |= json_equal(other, values);
		if (twice)
			bad_duplicate(c, at, "");
		json_append(seen, json_clone(&c->arena, values));
	}
}

static void check_attachment(struct check *c)
{
	const struct json *source = json_path(c->tree, "spec.source");
	bool inline_spec = json_get(source, "inlineVolumeSpec"), volume = json_get(source, "persistentVolumeName");

	if (inline_spec && volume)
		bad_forbidden(c, "spec.source",
			      "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
	else if (!inline_spec && !volume)
		bad_required(c, "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
	else if (volume && str_empty(json_path_str(source, "persistentVolumeName")))
		bad_required(c, "spec.source.persistentVolumeName", "must specify non empty persistentVolumeName");
	if (volume)
		name_in(c, "spec.source", source, "persistentVolumeName", name_check_dns1123_subdomain);
}

static void check_csi_node_driver(struct check *c, const char *at, const struct json *d)
{
	const char *id = str_or(json_path_str(d, "nodeID"), "");
	_cleanup_names_ struct map seen = MAP_INIT;

	if (strlen(id) > NODE_ID_BYTES_MAX)
		bad_invalid_str(c, PATH(c, "%s.nodeID", at), id,
				PATH(c, "must be %d characters or less", NODE_ID_BYTES_MAX));
	EACH_ITEM(v, json_get(d, "topologyKeys")) {
		const char *key = str_or(json_str(v), ""), *why = name_check_qualified(key);
		if (map_set(&seen, key, c))
			bad_duplicate(c, at, key);
		if (!*key)
			bad_required(c, at, NULL);
		if (why)
			bad_invalid_str(c, at, key, why);
	}
}

/* A driver's entry may come and go, and its count change; the rest of it stays. */
static void check_csi_node(struct check *c)
{
	size_t i = 0;

	EACH_ITEM(d, json_path(c->tree, "spec.drivers")) {
		const char *at = PATH(c, "spec.drivers[%zu]", i++), *name = json_path_str(d, "name");
		check_csi_node_driver(c, at, d);
		EACH_ITEM(before, json_path(c->old, "spec.drivers")) {
			if (!name || !json_is(d, JSON_OBJECT) || !str_eq(name, json_path_str(before, "name")))
				continue;
			struct json *mine = json_clone(&c->arena, d), *theirs = json_clone(&c->arena, before);
			json_remove(mine, "allocatable");
			json_remove(theirs, "allocatable");
			if (!json_equal(mine, theirs))
				bad_invalid(c, "spec.drivers", d, "field is immutable");
		}
	}
}

#define ATTACHMENT_METADATA_BYTES_MAX (256 * 1024)
static void check_attachment_status(struct check *c, const char *subresource)
{
	const struct json *metadata = json_path(c->tree, "status.attachmentMetadata");
	size_t bytes = 0;
	(void)subresource;

	if (!json_is(metadata, JSON_OBJECT))
		return;
	JSON_EACH(v, metadata)
		bytes += v->key_len + (v->type == JSON_STRING ? v->len : 0);
	if (bytes > ATTACHMENT_METADATA_BYTES_MAX)
		bad_too_long(c, "status.attachmentMetadata", ATTACHMENT_METADATA_BYTES_MAX);
}

static const struct kind_check kinds[] = {
    {ATTACHMENT, check_attachment, check_attachment_status},
    {CLASS, check_storage_class, NULL},
    {DRIVER, check_csi_driver, NULL},
    {NODE, check_csi_node, NULL},
};

const struct group_check validate_storage = {"storage.k8s.io", rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
