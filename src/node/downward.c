/* SPDX-License-Identifier: Apache-2.0 */
#include "node/downward.h"

#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"

static int compare_keys(const void *a, const void *b)
{
	return strcmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

/* key="value" lines, sorted by key, the value quoted as Go's strconv.Quote does for what occurs in labels. */
static const char *format_map(struct arena *a, const struct json *map)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t n = json_len(map), i = 0;
	struct json **sorted = arena_alloc(a, (n + 1) * sizeof(*sorted));

	JSON_EACH(m, map)
		sorted[i++] = m;
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	for (i = 0; i < n; i++) {
		const char *s = str_or(json_str(sorted[i]), "");

		buf_addf(&out, "%s%s=\"", i ? "\n" : "", sorted[i]->key);
		for (; *s; s++) {
			if (*s == '"' || *s == '\\')
				buf_addf(&out, "\\%c", *s);
			else if (*s == '\n')
				buf_adds(&out, "\\n");
			else if (*s == '\t')
				buf_adds(&out, "\\t");
			else if (*s == '\r')
				buf_adds(&out, "\\r");
			else if ((unsigned char)*s < 0x20)
				buf_addf(&out, "\\x%02x", *s);
			else
				buf_addc(&out, *s);
		}
		buf_addc(&out, '"');
	}
	return arena_strndup(a, buf_str(&out), out.len);
}

/* metadata.labels['key'] */
static const char *subscript(struct arena *a, const char *path, const char *prefix)
{
	const char *key = str_after(path, prefix);
	size_t n = key ? strlen(key) : 0;

	if (!key || n < 5 || !str_has_prefix(key, "['") || !str_has_suffix(key, "']"))
		return NULL;
	return arena_strndup(a, key + 2, n - 4);
}

const char *downward_field(struct arena *a, const struct downward *d, const char *path, struct status *err)
{
	const struct json *meta = json_get(d->pod, "metadata"), *spec = json_get(d->pod, "spec");
	const char *key;

	path = str_or(path, "");
	if ((key = subscript(a, path, "metadata.labels")))
		return str_or(meta_label(d->pod, key), "");
	if ((key = subscript(a, path, "metadata.annotations")))
		return str_or(meta_annotation(d->pod, key), "");
	if (str_eq(path, "metadata.labels"))
		return format_map(a, json_get(meta, "labels"));
	if (str_eq(path, "metadata.annotations"))
		return format_map(a, json_get(meta, "annotations"));
	if (str_eq(path, "metadata.name"))
		return meta_name(d->pod);
	if (str_eq(path, "metadata.namespace"))
		return meta_ns(d->pod);
	if (str_eq(path, "metadata.uid"))
		return meta_uid(d->pod);
	if (str_eq(path, "spec.nodeName"))
		return d->node_name;
	if (str_eq(path, "spec.serviceAccountName"))
		return str_or(json_path_str(spec, "serviceAccountName"), "");
	if (str_eq(path, "status.hostIP") || str_eq(path, "status.hostIPs"))
		return str_or(d->host_ip, "");
	if (str_eq(path, "status.podIP") || str_eq(path, "status.podIPs"))
		return str_or(d->pod_ip, "");
	status_set(err, 400, "unsupported fieldPath: %s", path);
	return NULL;
}

const struct json *downward_container(const struct json *pod, const char *name)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(json_get(pod, "spec"), lists[i]))
			if (str_eq(json_path_str(c, "name"), name))
				return c;
	return NULL;
}

/* What an absent limit means: all that the node can give. Requests that are absent are zero. */
static struct quantity fallback(const struct downward *d, const char *resource)
{
	if (str_eq(resource, "cpu"))
		return quantity_of_milli(d->allocatable_cpu_milli, QUANTITY_DECIMAL_SI);
	if (str_eq(resource, "memory"))
		return quantity_of_int(d->allocatable_memory, QUANTITY_BINARY_SI);
	if (str_eq(resource, "ephemeral-storage"))
		return quantity_of_int(d->allocatable_storage, QUANTITY_BINARY_SI);
	return QUANTITY_ZERO;
}

const char *downward_resource(struct arena *a, const struct downward *d, const struct json *container,
			      const struct json *ref, struct status *err)
{
	const char *resource = str_or(json_path_str(ref, "resource"), ""), *name;
	const struct json *resources = json_get(container, "resources"), *set;
	struct quantity q = QUANTITY_ZERO, divisor = QUANTITY_ZERO;
	bool limit = false;

	if ((name = str_after(resource, "limits."))) {
		set = json_get(json_get(resources, "limits"), name);
		limit = true;
	} else if ((name = str_after(resource, "requests."))) {
		set = json_get(json_get(resources, "requests"), name);
	} else {
		status_set(err, 400, "unsupported container resource: %s", resource);
		return NULL;
	}
	if (!container) {
		status_set(err, 400, "container %s not found", str_or(json_path_str(ref, "containerName"), ""));
		return NULL;
	}
	if (quantity_from_json(set, &q) < 0 || quantity_from_json(json_get(ref, "divisor"), &divisor) < 0) {
		status_set(err, 400, "resource %s or its divisor is not a quantity", resource);
		return NULL;
	}
	if (limit && q.nano == 0)
		q = fallback(d, name);
	if (divisor.nano <= 0)
		divisor = quantity_of_int(1, QUANTITY_DECIMAL_SI);
	return arena_printf(a, "%lld", (long long)((q.nano + divisor.nano - 1) / divisor.nano));
}
