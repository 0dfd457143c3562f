/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/util.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

int64_t int_or_percent(const struct json *v, int64_t total, bool round_up, int64_t fallback)
{
	if (json_is(v, JSON_NUMBER))
		return json_int(v, fallback);
	const char *s = json_str(v);
	if (!s || !str_has_suffix(s, "%"))
		return fallback;
	int64_t percent = strtoll(s, NULL, 10);
	if (percent < 0 || percent > 1000000)
		return fallback;
	return (percent * total + (round_up ? 99 : 0)) / 100;
}

bool pod_finished(const struct json *pod)
{
	const char *phase = json_path_str(pod, "status.phase");
	return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

bool pod_active(const struct json *pod)
{
	return !pod_finished(pod) && !meta_deleting(pod);
}

bool pod_ready(const struct json *pod)
{
	return str_eq(meta_condition_status(pod, "Ready"), "True");
}

bool pod_available(const struct json *pod, int64_t min_ready_s, int64_t now)
{
	if (!pod_ready(pod))
		return false;
	if (min_ready_s <= 0)
		return true;
	int64_t since;
	const char *t = json_path_str(meta_condition(pod, "Ready"), "lastTransitionTime");
	return t && time_parse(t, &since) == 0 && since + min_ready_s * 1000000000 <= now;
}

int64_t pod_restarts(const struct json *pod)
{
	int64_t max = 0;
	JSON_EACH(c, json_path(pod, "status.containerStatuses")) {
		int64_t n = json_path_int(c, "restartCount", 0);
		if (n > max)
			max = n;
	}
	return max;
}

struct json *condition_find(const struct json *conditions, const char *type)
{
	JSON_EACH(c, conditions)
		if (str_eq(json_path_str(c, "type"), type))
			return c;
	return NULL;
}

/* ---- templates ---- */

static int by_key(const void *a, const void *b)
{
	return strcmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

/* Members in order of their names. */
static void write_canonical(struct arena *a, struct buf *out, const struct json *v)
{
	if (json_is(v, JSON_ARRAY)) {
		buf_addc(out, '[');
		JSON_EACH(c, v) {
			write_canonical(a, out, c);
			buf_addc(out, ',');
		}
		buf_addc(out, ']');
		return;
	}
	if (!json_is(v, JSON_OBJECT)) {
		json_write(out, v);
		return;
	}
	struct json **members = arena_alloc(a, (json_len(v) + 1) * sizeof(*members));
	size_t n = 0;
	JSON_EACH(c, v)
		members[n++] = c;
	qsort(members, n, sizeof(*members), by_key);
	buf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (str_eq(members[i]->key, "pod-template-hash") || str_eq(members[i]->key, "creationTimestamp"))
			continue;
		json_write_string(out, members[i]->key, strlen(members[i]->key));
		buf_addc(out, ':');
		write_canonical(a, out, members[i]);
		buf_addc(out, ',');
	}
	buf_addc(out, '}');
}

char *template_hash(const struct json *template, int64_t collisions, char out[TEMPLATE_HASH_MAX])
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; /* as base's random_suffix: makes no words */
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	write_canonical(&a, &b, template);
	if (collisions)
		buf_addf(&b, "#%lld", (long long)collisions);
	uint64_t h = fnv64a(b.data, b.len);
	size_t n = 0;
	for (; n < 10; n++, h /= sizeof(alphabet) - 1)
		out[n] = alphabet[h % (sizeof(alphabet) - 1)];
	out[n] = '\0';
	return out;
}

struct json *pod_from_template(struct arena *a, const struct json *template, const struct object *owner,
			       const char *prefix)
{
	struct json *pod = meta_object_new(a, "v1", "Pod", owner->ns, NULL);
	struct json *meta = meta_of(a, pod);
	json_set(a, meta, "generateName", json_new_strf(a, "%s-", prefix));
	static const char *const copied[] = {"labels", "annotations", "finalizers"};
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
		const struct json *v = json_get(json_get(template, "metadata"), copied[i]);
		if (json_len(v))
			json_set(a, meta, copied[i], json_clone(a, v));
	}
	meta_set_owner(a, pod, meta_controller_ref_to(a, owner));
	json_set(a, pod, "spec", json_clone(a, json_get(template, "spec")));
	return pod;
}

void index_orphan_ns(const struct object *obj, void (*emit)(void *ctx, const char *value), void *ctx)
{
	if (!obj->controller)
		emit(ctx, obj->ns);
}
