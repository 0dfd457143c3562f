/* SPDX-License-Identifier: Apache-2.0 */
#include "api/taints.h"

#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

static unsigned effect_of(const char *s)
{
	return str_eq(s, "NoSchedule")	       ? TAINT_NO_SCHEDULE
	       : str_eq(s, "PreferNoSchedule") ? TAINT_PREFER_NO_SCHEDULE
	       : str_eq(s, "NoExecute")	       ? TAINT_NO_EXECUTE
					       : 0;
}

struct taint *taints_of(struct arena *a, const struct json *node, size_t *ret_n)
{
	struct json *list = json_path(node, "spec.taints");
	struct taint *t = json_len(list) ? arena_zalloc(a, json_len(list) * sizeof(*t)) : NULL;
	size_t n = 0;
	JSON_EACH(x, list) {
		const char *added = json_path_str(x, "timeAdded");
		t[n] = (struct taint){
		    .key = str_or(json_path_str(x, "key"), ""),
		    .value = str_or(json_path_str(x, "value"), ""),
		    .effect = (enum taint_effect)effect_of(json_path_str(x, "effect")),
		};
		if (added && time_parse(added, &t[n].added_ns) < 0)
			t[n].added_ns = 0;
		n++;
	}
	*ret_n = n;
	return t;
}

struct toleration *tolerations_of(struct arena *a, const struct json *pod, size_t *ret_n)
{
	struct json *list = json_path(pod, "spec.tolerations");
	struct toleration *t = json_len(list) ? arena_zalloc(a, json_len(list) * sizeof(*t)) : NULL;
	size_t n = 0;
	JSON_EACH(x, list) {
		const char *op = json_path_str(x, "operator");
		const char *effect = json_path_str(x, "effect");
		t[n++] = (struct toleration){
		    .key = str_or(json_path_str(x, "key"), ""),
		    .value = str_or(json_path_str(x, "value"), ""),
		    .exists = str_eq(op, "Exists"),
		    .compare = str_eq(op, "Gt")	  ? '>'
			       : str_eq(op, "Lt") ? '<'
						  : '\0',
		    .effects = str_empty(effect) ? ~0u : effect_of(effect),
		    .seconds = json_path_int(x, "tolerationSeconds", -1),
		};
	}
	*ret_n = n;
	return t;
}

static bool tolerates_one(const struct toleration *t, const struct taint *x)
{
	if (!(t->effects & (unsigned)x->effect) || (*t->key && !str_eq(t->key, x->key)))
		return false;
	if (t->exists)
		return true;
	if (t->compare) {
		int64_t mine, its;
		if (parse_i64(t->value, &mine) < 0 || parse_i64(x->value, &its) < 0)
			return false;
		return t->compare == '>' ? its > mine : its < mine;
	}
	return str_eq(t->value, x->value);
}

bool tolerates(const struct toleration *t, size_t n, const struct taint *x)
{
	for (size_t i = 0; i < n; i++)
		if (tolerates_one(&t[i], x))
			return true;
	return false;
}

int64_t toleration_seconds(const struct toleration *t, size_t n, const struct taint *taints, size_t n_taints)
{
	int64_t least = -1;
	for (size_t i = 0; i < n_taints; i++) {
		if (taints[i].effect != TAINT_NO_EXECUTE)
			continue;
		bool tolerated = false;
		for (size_t k = 0; k < n; k++) {
			if (!tolerates_one(&t[k], &taints[i]))
				continue;
			tolerated = true;
			if (t[k].seconds >= 0 && (least < 0 || t[k].seconds < least))
				least = t[k].seconds;
		}
		if (!tolerated)
			return 0;
	}
	return least;
}
