/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ServiceAccount: a Pod without one gets "default"; the account must exist; unless it says otherwise each container
 * gets a token, the cluster's CA and the namespace as a projected volume (kube-api-access-xxxxx), and the Pod the
 * account's imagePullSecrets.
 */
#include "api/meta.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"

#define TOKEN_MOUNT_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_SECONDS 3607 /* upstream's number, by which its own tokens are recognised */

static bool mirror_pod(const struct json *pod)
{
	return meta_annotation(pod, "kubernetes.io/config.mirror") != NULL;
}

static bool wants_token(const struct json *pod, const struct json *account)
{
	const struct json *v = json_path(pod, "spec.automountServiceAccountToken");
	if (!json_is(v, JSON_BOOL))
		v = json_get(account, "automountServiceAccountToken");
	return json_bool(v, true);
}

static struct json *source(struct arena *a, struct json *sources, const char *kind)
{
	struct json *s = json_append(sources, json_new(a, JSON_OBJECT));
	return json_set(a, s, kind, json_new(a, JSON_OBJECT));
}

static void item(struct arena *a, struct json *in, const char *key, const char *path)
{
	struct json *i = json_append(json_array_in(a, in, "items"), json_new(a, JSON_OBJECT));
	json_set_str(a, i, "key", key);
	json_set_str(a, i, "path", path);
}

static struct json *token_volume(struct arena *a, const char *name)
{
	struct json *v = json_new(a, JSON_OBJECT), *sources = json_new(a, JSON_ARRAY);
	json_set_str(a, v, "name", name);
	struct json *token = source(a, sources, "serviceAccountToken");
	json_set_int(a, token, "expirationSeconds", TOKEN_SECONDS);
	json_set_str(a, token, "path", "token");
	struct json *ca = source(a, sources, "configMap");
	json_set_str(a, ca, "name", "kube-root-ca.crt");
	item(a, ca, "ca.crt", "ca.crt");
	struct json *downward = source(a, sources, "downwardAPI");
	struct json *ns = json_append(json_array_in(a, downward, "items"), json_new(a, JSON_OBJECT));
	json_set_str(a, ns, "path", "namespace");
	json_set_path(a, ns, "fieldRef.apiVersion", json_new_str(a, "v1"));
	json_set_path(a, ns, "fieldRef.fieldPath", json_new_str(a, "metadata.namespace"));
	json_set_path(a, v, "projected.defaultMode", json_new_int(a, 0644));
	json_set_path(a, v, "projected.sources", sources);
	return v;
}

static bool in_accounts_list(const struct json *list, const char *name)
{
	JSON_EACH(s, list)
		if (str_eq(json_path_str(s, "name"), name))
			return true;
	return false;
}

static bool has_mount(const struct json *container)
{
	JSON_EACH(m, json_get(container, "volumeMounts"))
		if (str_eq(json_path_str(m, "mountPath"), TOKEN_MOUNT_PATH))
			return true;
	return false;
}

/* Returns whether any container got the mount. */
static bool mount_token(struct arena *a, struct json *containers, const char *volume)
{
	bool any = false;
	JSON_EACH(c, containers) {
		if (has_mount(c))
			continue;
		struct json *m = json_append(json_array_in(a, c, "volumeMounts"), json_new(a, JSON_OBJECT));
		json_set_str(a, m, "name", volume);
		json_set_bool(a, m, "readOnly", true);
		json_set_str(a, m, "mountPath", TOKEN_MOUNT_PATH);
		any = true;
	}
	return any;
}

/* A client that creates a copy of an existing Pod brings the volume of the original along: it is used again. */
static const char *existing_volume(const struct json *spec)
{
	JSON_EACH(v, json_get(spec, "volumes"))
		if (str_has_prefix(str_or(json_path_str(v, "name"), ""), "kube-api-access-"))
			return json_path_str(v, "name");
	return NULL;
}

static void add_token(const struct admission *ad, struct json *spec)
{
	struct arena *a = ad->arena;
	const char *name = existing_volume(spec);
	bool exists = name != NULL;
	if (!exists) {
		char suffix[6];
		random_suffix(suffix, 5);
		name = arena_printf(a, "kube-api-access-%s", suffix);
	}
	bool used = mount_token(a, json_get(spec, "initContainers"), name);
	used |= mount_token(a, json_get(spec, "containers"), name);
	if (used && !exists)
		json_append(json_array_in(a, spec, "volumes"), token_volume(a, name));
}

/* ---- mirror pods, and accounts that allow their own secrets only ---- */

static bool uses_token(const struct json *pod)
{
	JSON_EACH(v, json_path(pod, "spec.volumes"))
		JSON_EACH(s, json_path(v, "projected.sources"))
			if (json_get(s, "serviceAccountToken"))
				return true;
	return false;
}

/* The first secret that the Pod refers to, or that is not in `allowed` when that is given; *ret_where: by which field.
 */
static const char *secret_of(const struct json *pod, const struct json *allowed, const char **ret_where)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	const struct json *spec = json_get(pod, "spec");
#define REFERS(name, where)                                                                                            \
	do {                                                                                                           \
		const char *n_ = (name);                                                                               \
		if (!str_empty(n_) && !in_accounts_list(allowed, n_)) {                                                \
			*ret_where = (where);                                                                          \
			return n_;                                                                                     \
		}                                                                                                      \
	} while (0)
	JSON_EACH(v, json_get(spec, "volumes")) {
		REFERS(json_path_str(v, "secret.secretName"), "volume with secret.secretName");
		JSON_EACH(s, json_path(v, "projected.sources"))
			REFERS(json_path_str(s, "secret.name"), "volume with projected secret");
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(spec, lists[i])) {
			JSON_EACH(e, json_get(c, "env"))
				REFERS(json_path_str(e, "valueFrom.secretKeyRef.name"),
				       "container env with secret.secretName");
			JSON_EACH(e, json_get(c, "envFrom"))
				REFERS(json_path_str(e, "secretRef.name"), "container envFrom with secretRef.name");
		}
#undef REFERS
	return NULL;
}

static int check_mirror(const struct admission *a, struct status *err)
{
	const char *where;
	if (!str_empty(json_path_str(a->object, "spec.serviceAccountName")))
		return admission_forbid(a, err, "a mirror pod may not reference service accounts");
	if (secret_of(a->object, NULL, &where))
		return admission_forbid(a, err, "a mirror pod may not reference secrets");
	if (uses_token(a->object))
		return admission_forbid(a, err, "a mirror pod may not use ServiceAccountToken volume projections");
	return 0;
}

static int mutate(const struct admission *a, struct status *err)
{
	if (*a->subresource || a->operation != ADMIT_CREATE)
		return 0;
	/* A mirror pod says what its node runs already: nothing is added, and what may not be is refused at once. */
	if (mirror_pod(a->object))
		return check_mirror(a, err);
	struct json *spec = json_object_in(a->arena, a->object, "spec");
	const char *name = json_path_str(spec, "serviceAccountName");
	if (str_empty(name))
		name = "default";
	json_set_str(a->arena, spec, "serviceAccountName", name);
	json_set_str(a->arena, spec, "serviceAccount", name);
	struct json *account = admission_lookup(a, "", "serviceaccounts", a->ns, name);
	if (!account)
		return admission_forbid(a, err,
					"error looking up service account %s/%s: serviceaccount \"%s\" not found",
					a->ns, name, name);
	if (wants_token(a->object, account))
		add_token(a, spec);
	struct json *secrets = json_get(account, "imagePullSecrets");
	if (json_len(secrets) && !json_len(json_get(spec, "imagePullSecrets")))
		json_set(a->arena, spec, "imagePullSecrets", json_clone(a->arena, secrets));
	return 0;
}

static int validate(const struct admission *a, struct status *err)
{
	bool ephemeral = str_eq(a->subresource, "ephemeralcontainers");
	if ((*a->subresource && !ephemeral) || (a->operation == ADMIT_UPDATE && !ephemeral))
		return 0;
	if (mirror_pod(a->object))
		return a->operation == ADMIT_CREATE ? check_mirror(a, err) : 0;
	const char *name = json_path_str(a->object, "spec.serviceAccountName"), *where;
	struct json *account = admission_lookup(a, "", "serviceaccounts", a->ns, name);
	if (!account || !str_eq(meta_annotation(account, "kubernetes.io/enforce-mountable-secrets"), "true"))
		return 0;
	struct json *allowed = json_get(account, "secrets");
	const char *secret = secret_of(a->object, allowed ? allowed : json_new(a->arena, JSON_ARRAY), &where);
	if (secret)
		return admission_forbid(
		    a, err, "%s=\"%s\" is not allowed because service account %s does not reference that secret", where,
		    secret, name);
	return 0;
}

const struct admission_plugin admission_service_account = {
    .name = "ServiceAccount",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .group = "",
    .resource = "pods",
    .mutate = mutate,
    .validate = validate,
};
