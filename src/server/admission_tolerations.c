/* SPDX-License-Identifier: Apache-2.0 */
/* DefaultTolerationSeconds: a new Pod stays for a while on a node that fails. */
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"

#define DEFAULT_TOLERATION_SECONDS 300 /* upstream's default for both taints */

static bool tolerates(const struct json *tolerations, const char *key)
{
	JSON_EACH(t, tolerations) {
		const char *k = str_or(json_path_str(t, "key"), ""), *effect = str_or(json_path_str(t, "effect"), "");
		if ((str_eq(k, key) || !*k) && (!*effect || str_eq(effect, "NoExecute")))
			return true;
	}
	return false;
}

static int add_tolerations(const struct admission *a, struct status *err)
{
	static const char *const keys[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
	struct json *spec = json_object_in(a->arena, a->object, "spec");
	(void)err;
	if (*a->subresource)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (tolerates(json_get(spec, "tolerations"), keys[i]))
			continue;
		struct json *t =
		    json_append(json_array_in(a->arena, spec, "tolerations"), json_new(a->arena, JSON_OBJECT));
		json_set_str(a->arena, t, "key", keys[i]);
		json_set_str(a->arena, t, "operator", "Exists");
		json_set_str(a->arena, t, "effect", "NoExecute");
		json_set_int(a->arena, t, "tolerationSeconds", DEFAULT_TOLERATION_SECONDS);
	}
	return 0;
}

const struct admission_plugin admission_default_toleration_seconds = {
    .name = "DefaultTolerationSeconds",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .group = "",
    .resource = "pods",
    .mutate = add_tolerations,
};
