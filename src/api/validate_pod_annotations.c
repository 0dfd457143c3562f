/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations of pods that mean something to Kubernetes: mirror pods, deletion cost, profiles before they were fields.
 */
#include <string.h>

#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

#define MIRROR "kubernetes.io/config.mirror"
#define DELETION_COST "controller.kubernetes.io/pod-deletion-cost"
#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"
#define APPARMOR_CONTAINER "container.apparmor.security.beta.kubernetes.io/"

static const struct json *annotation(const struct pod_check *p, const char *key)
{
	return json_get(json_get(p->meta, "annotations"), key);
}

static void check_seccomp_value(struct check *c, const char *at, const char *value)
{
	const char *file = str_after(value, "localhost/");

	if (str_eq(value, "runtime/default") || str_eq(value, "docker/default") || str_eq(value, "unconfined"))
		return;
	if (file)
		check_relative_path(c, at, file);
	else
		bad_invalid_str(c, at, value, "must be a valid seccomp profile");
}

struct search {
	const char *name;
	bool found;
};

static void find_container(struct pod_check *p, const char *at, const struct json *ctr, void *arg)
{
	struct search *s = arg;

	(void)p;
	(void)at;
	s->found |= str_eq(json_path_str(ctr, "name"), s->name);
}

static void check_apparmor_value(struct pod_check *p, const char *at, const char *container, const char *value)
{
	struct search s = {container, false};

	each_container(p, find_container, &s);
	if (!s.found)
		bad_invalid_str(p->c, at, container, "container not found");
	if (*value && !str_eq(value, "runtime/default") && !str_eq(value, "unconfined") &&
	    !str_has_prefix(value, "localhost/"))
		bad_invalid_str(p->c, at, value, PATH(p->c, "invalid AppArmor profile name: \"%s\"", value));
}

/* A 32-bit number as it is written canonically: no plus, no leading zeros. */
static bool is_cost(const char *s)
{
	const char *digits = *s == '-' ? s + 1 : s;
	int64_t n;

	if (digits[0] == '0' && (digits[1] || digits != s))
		return false;
	return parse_int_range(s, INT32_MIN, INT32_MAX, &n) == 0;
}

void check_pod_annotations(struct pod_check *p, const char *at)
{
	struct check *c = p->c;
	const struct json *all = json_get(p->meta, "annotations"), *cost = json_get(all, DELETION_COST);
	const char *was = json_str(json_get(json_path(c->old, "metadata.annotations"), DELETION_COST));
	const struct json *mirror = json_get(all, MIRROR);

	if (!json_is(all, JSON_OBJECT))
		return;
	if (mirror && str_empty(json_path_str(p->spec, "nodeName")))
		bad_invalid(c, PATH(c, "%s[%s]", at, MIRROR), mirror,
			    "must set spec.nodeName if mirror pod annotation is set");
	if (json_str(cost) && !is_cost(json_str(cost)) && !(was && !is_cost(was)))
		bad_invalid(c, PATH(c, "%s[%s]", at, DELETION_COST), cost, "must be a 32bit integer");
	JSON_EACH(v, all) {
		const char *value = str_or(json_str(v), ""), *container = str_after(v->key, APPARMOR_CONTAINER);
		if (str_eq(v->key, SECCOMP_POD) || str_has_prefix(v->key, SECCOMP_CONTAINER))
			check_seccomp_value(c, PATH(c, "%s.%s", at, v->key), value);
		else if (container)
			check_apparmor_value(p, PATH(c, "%s[%s]", at, v->key), container, value);
	}
}

/* ---- annotation and field of the same meaning ---- */

/* Which part of the profile differs from what the annotation says, or NULL. */
static const char *mismatch(const struct json *profile, const char *value)
{
	const char *type = str_or(json_path_str(profile, "type"), ""), *file = str_after(value, "localhost/");

	if (str_eq(type, "Unconfined"))
		return str_eq(value, "unconfined") ? NULL : "type";
	if (str_eq(type, "RuntimeDefault"))
		return str_eq(value, "runtime/default") || str_eq(value, "docker/default") ? NULL : "type";
	if (!str_eq(type, "Localhost"))
		return NULL;
	if (!file)
		return "type";
	return str_eq(file, json_path_str(profile, "localhostProfile")) ? NULL : "localhostProfile";
}

static void compare(struct check *c, const char *at, const struct json *profile, const struct json *annotation,
		    const char *what)
{
	const char *part = annotation ? mismatch(profile, str_or(json_str(annotation), "")) : NULL;

	if (part)
		bad_forbidden(c, PATH(c, "%s.%s", at, part),
			      PATH(c, "%s %s in annotation and field must match", what,
				   str_eq(part, "type") ? "type" : "profile"));
}

static void compare_container(struct pod_check *p, const char *at, const struct json *ctr, void *arg)
{
	struct check *c = p->c;
	const char *name = str_or(json_path_str(ctr, "name"), "");
	const struct json *seccomp = json_path(ctr, "securityContext.seccompProfile");
	const struct json *apparmor = json_path(ctr, "securityContext.appArmorProfile");

	(void)arg;
	if (!apparmor)
		apparmor = json_path(p->spec, "securityContext.appArmorProfile");
	if (seccomp)
		compare(c, PATH(c, "%s.securityContext.seccompProfile", at), seccomp,
			annotation(p, PATH(c, SECCOMP_CONTAINER "%s", name)), "seccomp");
	if (apparmor && !str_eq(json_path_str(p->spec, "os.name"), "windows"))
		compare(c, PATH(c, "%s.securityContext.appArmorProfile", at), apparmor,
			annotation(p, PATH(c, APPARMOR_CONTAINER "%s", name)), "apparmor");
}

void check_profile_annotations(struct pod_check *p)
{
	if (!json_len(json_get(p->meta, "annotations")))
		return;
	if (json_path(p->spec, "securityContext.seccompProfile"))
		compare(p->c, PATH(p->c, "%s.securityContext.seccompProfile", p->path),
			json_path(p->spec, "securityContext.seccompProfile"), annotation(p, SECCOMP_POD), "seccomp");
	each_container(p, compare_container, NULL);
}
