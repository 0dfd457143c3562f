/* SPDX-License-Identifier: Apache-2.0 */
/* Environment variables of containers, and the downward API that they share with volumes. */
#include <ctype.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

/* ---- downward API ---- */

/* Sorted, as upstream lists them. */
static const char *const env_fields[] = {
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs",	   "status.podIP", "status.podIPs", NULL};
static const char *const volume_fields[] = {"metadata.annotations", "metadata.labels", "metadata.name",
					    "metadata.namespace",   "metadata.uid",    NULL};
/* What a field path may be at all. */
static const char *const known_fields[] = {
    "metadata.annotations", "metadata.labels", "metadata.name",	     "metadata.namespace",
    "metadata.uid",	    "spec.nodeName",   "spec.restartPolicy", "spec.serviceAccountName",
    "spec.schedulerName",   "status.phase",    "status.hostIP",	     "status.hostIPs",
    "status.podIP",	    "status.podIPs",   "spec.host",	     NULL};

/* metadata.labels['key'] */
static void check_subscript(struct check *c, const char *at, const char *path, const char *open)
{
	const char *field = arena_strndup(&c->arena, path, (size_t)(open - path));
	size_t n = strlen(open + 2) - 2;
	char *key = arena_strndup(&c->arena, open + 2, n);
	const char *why = NULL;

	if (str_eq(field, "metadata.annotations")) {
		for (char *x = key; *x; x++)
			*x = (char)tolower((unsigned char)*x);
		why = name_check_qualified(key);
	} else if (str_eq(field, "metadata.labels")) {
		why = name_check_qualified(key);
	} else {
		bad_invalid_str(c, at, field, "does not support subscript");
	}
	if (why)
		bad_invalid_str(c, at, key, why);
}

void check_field_ref(struct check *c, const char *at, const struct json *ref, bool for_volume)
{
	const char *path = str_or(json_path_str(ref, "fieldPath"), ""), *version = json_path_str(ref, "apiVersion");
	const char *open = strstr(path, "['");
	const char *const *fields = for_volume ? volume_fields : env_fields;

	if (str_empty(version)) {
		bad_required(c, PATH(c, "%s.apiVersion", at), NULL);
		return;
	}
	if (!need_in(c, at, ref, "fieldPath"))
		return;
	if (!str_eq(version, "v1")) {
		bad_invalid_str(c, PATH(c, "%s.fieldPath", at), path,
				PATH(c, "error converting fieldPath: unsupported pod version: %s", version));
		return;
	}
	if (open && open > path && str_has_suffix(open, "']") && strlen(open) >= 4) {
		check_subscript(c, at, path, open);
		return;
	}
	if (!str_in(path, known_fields))
		bad_invalid_str(c, PATH(c, "%s.fieldPath", at), path,
				PATH(c, "error converting fieldPath: field label not supported: %s", path));
	else if (!str_in(path, fields))
		bad_unsupported(c, PATH(c, "%s.fieldPath", at), path, fields);
}

static const char *const resource_fields[] = {"limits.cpu",
					      "limits.ephemeral-storage",
					      "limits.memory",
					      "requests.cpu",
					      "requests.ephemeral-storage",
					      "requests.memory",
					      NULL};

/* In what unit the value is given: one of the usual ones. */
static void check_divisor(struct check *c, const char *at, const struct json *ref, const char *resource)
{
	static const char *const cpu[] = {"1m", "1", NULL};
	static const char *const bytes[] = {"1",   "1k",  "1M",	 "1G",	"1T",  "1P",  "1E",
					    "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
	struct quantity q;
	char text[QUANTITY_TEXT_MAX];

	if (quantity_from_json(json_get(ref, "divisor"), &q) < 0 || q.nano == 0)
		return;
	bool is_cpu = str_has_suffix(resource, ".cpu");
	const char *what = is_cpu				 ? "cpu"
			   : str_has_suffix(resource, ".memory") ? "memory"
			   : strstr(resource, ".hugepages-")	 ? "hugepages"
								 : "local ephemeral storage";
	if (str_in(quantity_format(&q, text), is_cpu ? cpu : bytes))
		return;
	bad_invalid_str(c, PATH(c, "%s.divisor", at), resource,
			PATH(c, "only divisor's values %s are supported with the %s resource",
			     is_cpu ? "1m and 1" : "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei", what));
}

void check_resource_field_ref(struct check *c, const char *at, const struct json *ref, bool for_volume)
{
	const char *resource = str_or(json_path_str(ref, "resource"), "");

	if (for_volume && str_empty(json_path_str(ref, "containerName")))
		bad_required(c, PATH(c, "%s.containerName", at), NULL);
	else if (!*resource)
		bad_required(c, PATH(c, "%s.resource", at), NULL);
	else if (!str_in(resource, resource_fields) && !str_has_prefix(resource, "limits.hugepages-") &&
		 !str_has_prefix(resource, "requests.hugepages-"))
		bad_unsupported(c, PATH(c, "%s.resource", at), resource, resource_fields);
	check_divisor(c, at, ref, resource);
}

/* ---- env ---- */

static void check_key_ref(struct check *c, const char *at, const struct json *ref)
{
	const char *name = str_or(json_path_str(ref, "name"), ""), *why = name_check_dns1123_subdomain(name);

	if (why)
		bad_invalid_str(c, PATH(c, "%s.name", at), name, why);
	if (need_in(c, at, ref, "key"))
		name_in(c, at, ref, "key", name_check_config_key);
}

/* A variable out of a file, which init containers may write: the volume is an emptyDir of this pod. */
static void check_file_ref(struct pod_check *p, const char *at, const struct json *ref)
{
	struct check *c = p->c;
	const char *volume = json_path_str(ref, "volumeName"), *path = str_or(json_path_str(ref, "path"), "");

	if (need_in(c, at, ref, "volumeName")) {
		const struct json *v = map_get(&p->volumes, volume);
		if (!v)
			bad_not_found(c, PATH(c, "%s.volumeName", at), volume);
		else if (!json_get(v, "emptyDir"))
			bad_invalid_str(c, PATH(c, "%s.volumeName", at), volume, "must be an emptyDir volume");
	}
	if (need_in(c, at, ref, "path")) {
		check_relative_path(c, PATH(c, "%s.path", at), path);
		if (str_has_prefix(path, "..") && !str_has_prefix(path, "../"))
			bad_invalid_str(c, PATH(c, "%s.path", at), path, "must not start with '..'");
	}
	if (need_in(c, at, ref, "key"))
		name_in(c, at, ref, "key", name_check_env_var);
}

static void check_value_from(struct pod_check *p, const char *at, const struct json *from, bool has_value)
{
	struct check *c = p->c;
	const struct json *field = json_get(from, "fieldRef"), *resource = json_get(from, "resourceFieldRef");
	const struct json *map = json_get(from, "configMapKeyRef"), *secret = json_get(from, "secretKeyRef");
	const struct json *file = json_get(from, "fileKeyRef");
	int n = !!field + !!resource + !!map + !!secret + !!file;

	if (field)
		check_field_ref(c, PATH(c, "%s.fieldRef", at), field, false);
	if (resource)
		check_resource_field_ref(c, PATH(c, "%s.resourceFieldRef", at), resource, false);
	if (map)
		check_key_ref(c, PATH(c, "%s.configMapKeyRef", at), map);
	if (secret)
		check_key_ref(c, PATH(c, "%s.secretKeyRef", at), secret);
	if (file)
		check_file_ref(p, PATH(c, "%s.fileKeyRef", at), file);
	if (n == 0)
		bad_invalid_str(c, at, "",
				"must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
				"`secretKeyRef` or `fileKeyRef`");
	else if (has_value)
		bad_invalid_str(c, at, "", "may not be specified when `value` is not empty");
	else if (n > 1)
		bad_invalid_str(c, at, "", "may not have more than one field specified at a time");
}

static void check_env_from(struct check *c, const char *at, const struct json *list)
{
	static const char *const refs[] = {"configMapRef", "secretRef"};
	size_t i = 0;

	EACH_ITEM(e, list) {
		const char *item = PATH(c, "%s[%zu]", at, i++);
		size_t n = 0;
		if (!str_empty(json_path_str(e, "prefix")))
			name_in(c, item, e, "prefix", name_check_env_var);
		for (size_t k = 0; k < ARRAY_SIZE(refs); k++) {
			const struct json *ref = json_get(e, refs[k]);
			if (!ref)
				continue;
			n++;
			if (need_in(c, PATH(c, "%s.%s", item, refs[k]), ref, "name"))
				name_in(c, PATH(c, "%s.%s", item, refs[k]), ref, "name", name_check_dns1123_subdomain);
		}
		if (n == 0)
			bad_invalid_str(c, at, "", "must specify one of: `configMapRef` or `secretRef`");
		else if (n > 1)
			bad_invalid_str(c, at, "", "may not have more than one field specified at a time");
	}
}

void check_env(struct pod_check *p, const char *at, const struct json *container)
{
	struct check *c = p->c;
	size_t i = 0;

	EACH_ITEM(e, json_get(container, "env")) {
		const char *item = PATH(c, "%s.env[%zu]", at, i++);
		if (need_in(c, item, e, "name"))
			name_in(c, item, e, "name", name_check_env_var);
		if (json_get(e, "valueFrom"))
			check_value_from(p, PATH(c, "%s.valueFrom", item), json_get(e, "valueFrom"),
					 !str_empty(json_path_str(e, "value")));
	}
	if (json_get(container, "envFrom"))
		check_env_from(c, PATH(c, "%s.envFrom", at), json_get(container, "envFrom"));
}
