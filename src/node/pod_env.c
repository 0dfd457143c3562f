/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pod_env.h"

#include <ctype.h>
#include <errno.h>

#include "api/meta.h"
#include "api/object.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "node/expand.h"

void env_list_release(struct env_list *e)
{
	VEC_RELEASE(&e->vars);
}

void env_list_set(struct env_list *e, const char *name, const char *value)
{
	struct env_var v = {name, value};

	VEC_EACH(old, &e->vars) {
		if (str_eq(old->name, name)) {
			old->value = value;
			return;
		}
	}
	VEC_PUSH(&e->vars, v);
}

const char *env_list_get(void *arg, const char *name)
{
	struct env_list *e = arg;

	VEC_EACH(v, &e->vars)
		if (str_eq(v->name, name))
			return v->value;
	return NULL;
}

const char *const *env_list_strings(struct arena *a, const struct env_list *e)
{
	const char **s = arena_alloc(a, (e->vars.n + 1) * sizeof(*s));

	for (size_t i = 0; i < e->vars.n; i++)
		s[i] = arena_printf(a, "%s=%s", e->vars.at[i].name, e->vars.at[i].value);
	s[e->vars.n] = NULL;
	return s;
}

void env_needs(const struct json *container, const struct volume_needs *n)
{
	JSON_EACH(f, json_get(container, "envFrom")) {
		const char *name;

		if ((name = json_path_str(f, "configMapRef.name")))
			n->object(n->arg, "configmaps", name);
		if ((name = json_path_str(f, "secretRef.name")))
			n->object(n->arg, "secrets", name);
	}
	JSON_EACH(v, json_get(container, "env")) {
		const char *name;

		if ((name = json_path_str(v, "valueFrom.configMapKeyRef.name")))
			n->object(n->arg, "configmaps", name);
		if ((name = json_path_str(v, "valueFrom.secretKeyRef.name")))
			n->object(n->arg, "secrets", name);
	}
}

/* The text of one key of a ConfigMap or Secret; *ret_found tells whether it is there. */
static int key_value(const struct json *ref, bool secret, const struct volume_input *in, const char **ret,
		     struct status *err)
{
	const char *name = str_or(json_path_str(ref, "name"), ""), *key = str_or(json_path_str(ref, "key"), "");
	bool optional = json_bool(json_get(ref, "optional"), false);
	const struct object *o = in->object(in->arg, secret ? "secrets" : "configmaps", name);
	_cleanup_buf_ struct buf raw = BUF_INIT;
	const struct json *value;

	*ret = NULL;
	if (!o) {
		if (optional)
			return 0;
		status_set(err, 404, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
		return -ENOENT;
	}
	value = json_get(json_get(object_tree(o, in->arena), "data"), key);
	if (!json_str(value)) {
		if (optional)
			return 0;
		status_set(err, 404, "couldn't find key %s in %s %s/%s", key, secret ? "Secret" : "ConfigMap", o->ns,
			   name);
		return -ENOENT;
	}
	if (!secret) {
		*ret = json_str(value);
		return 0;
	}
	if (base64_decode(&raw, json_str(value), value->len) < 0) {
		status_set(err, 400, "key %s of Secret %s/%s is not base64", key, o->ns, name);
		return -EINVAL;
	}
	*ret = arena_strndup(in->arena, buf_str(&raw), raw.len);
	return 0;
}

static int add_from(struct env_list *e, const struct json *from, bool secret, const char *prefix,
		    const struct volume_input *in, struct status *err)
{
	const char *name = str_or(json_path_str(from, "name"), "");
	const struct object *o = in->object(in->arg, secret ? "secrets" : "configmaps", name);

	if (!o) {
		if (json_bool(json_get(from, "optional"), false))
			return 0;
		status_set(err, 404, "%s \"%s\" not found", secret ? "secret" : "configmap", name);
		return -ENOENT;
	}
	JSON_EACH(m, json_get(object_tree(o, in->arena), "data")) {
		_cleanup_buf_ struct buf raw = BUF_INIT;
		const char *key = arena_printf(in->arena, "%s%s", prefix, m->key), *value = json_str(m);

		if (!value ||
		    name_check_env_var(key)) /* keys that cannot be variables are left out, as upstream does */
			continue;
		if (secret) {
			if (base64_decode(&raw, value, m->len) < 0)
				continue;
			value = arena_strndup(in->arena, buf_str(&raw), raw.len);
		}
		env_list_set(e, key, value);
	}
	return 0;
}

/* A value from elsewhere; *ret NULL: an optional one that isn't there. */
static int value_from(const struct json *from, const struct json *container, const struct volume_input *in,
		      const char **ret, struct status *err)
{
	const struct json *ref;

	if ((ref = json_get(from, "configMapKeyRef")))
		return key_value(ref, false, in, ret, err);
	if ((ref = json_get(from, "secretKeyRef")))
		return key_value(ref, true, in, ret, err);
	if ((ref = json_get(from, "fieldRef"))) {
		*ret = downward_field(in->arena, &in->downward, json_path_str(ref, "fieldPath"), err);
		return *ret ? 0 : -EINVAL;
	}
	if ((ref = json_get(from, "resourceFieldRef"))) {
		const char *other = json_path_str(ref, "containerName");

		if (!str_empty(other))
			container = downward_container(in->downward.pod, other);
		*ret = downward_resource(in->arena, &in->downward, container, ref, err);
		return *ret ? 0 : -EINVAL;
	}
	status_set(err, 400, "valueFrom has a source that this node doesn't have");
	return -EINVAL;
}

struct two_lists {
	struct env_list *own, *services;
};

static const char *lookup_two(void *arg, const char *name)
{
	struct two_lists *l = arg;
	const char *v = env_list_get(l->own, name);

	return v ? v : env_list_get(l->services, name);
}

static int add_vars(struct env_list *e, struct env_list *services, const struct json *container,
		    const struct volume_input *in, struct status *err)
{
	struct two_lists lists = {e, services};

	JSON_EACH(v, json_get(container, "env")) {
		const char *name = str_or(json_path_str(v, "name"), ""), *value = json_path_str(v, "value");
		const struct json *from = json_get(v, "valueFrom");
		int r;

		if (json_is(from, JSON_OBJECT)) {
			value = NULL;
			r = value_from(from, container, in, &value, err);
			if (r < 0)
				return r;
			if (value)
				env_list_set(e, name, value);
			continue;
		}
		env_list_set(e, name, expand(in->arena, str_or(value, ""), lookup_two, &lists, NULL));
	}
	return 0;
}

int env_build(struct env_list *e, const struct json *container, const struct json *const *services, size_t n_services,
	      const struct volume_input *in, struct status *err)
{
	_cleanup_(env_list_release) struct env_list service_vars = {0};
	bool links = json_path_bool(in->downward.pod, "spec.enableServiceLinks", true);
	int r;

	for (size_t i = 0; i < n_services; i++) {
		bool master = str_eq(meta_ns(services[i]), "default") && str_eq(meta_name(services[i]), "kubernetes");

		if (links || master)
			env_add_service(in->arena, &service_vars, services[i]);
	}
	JSON_EACH(f, json_get(container, "envFrom")) {
		const char *prefix = str_or(json_path_str(f, "prefix"), "");
		const struct json *from;

		if ((from = json_get(f, "configMapRef")) && (r = add_from(e, from, false, prefix, in, err)) < 0)
			return r;
		if ((from = json_get(f, "secretRef")) && (r = add_from(e, from, true, prefix, in, err)) < 0)
			return r;
	}
	r = add_vars(e, &service_vars, container, in, err);
	if (r < 0)
		return r;
	VEC_EACH(v, &service_vars.vars)
		if (!env_list_get(e, v->name))
			env_list_set(e, v->name, v->value);
	return 0;
}

static const char *variable_name(struct arena *a, const char *s)
{
	char *out = arena_strdup(a, s);

	for (char *p = out; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return out;
}

void env_add_service(struct arena *a, struct env_list *e, const struct json *service)
{
	const char *ip = json_path_str(service, "spec.clusterIP"), *name = variable_name(a, meta_name(service));
	const struct json *ports = json_path(service, "spec.ports");
	bool v6, first = true;

	if (str_empty(ip) || str_eq(ip, "None") || !json_len(ports))
		return;
	v6 = strchr(ip, ':') != NULL;
	env_list_set(e, arena_printf(a, "%s_SERVICE_HOST", name), arena_strdup(a, ip));
	JSON_EACH(p, ports) {
		long long port = json_path_int(p, "port", 0);
		const char *protocol = str_or(json_path_str(p, "protocol"), "TCP"),
			   *port_name = json_path_str(p, "name");
		const char *number = arena_printf(a, "%lld", port), *url, *prefix;
		char *lower = arena_strdup(a, protocol);

		for (char *c = lower; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		url = arena_printf(a, v6 ? "%s://[%s]:%lld" : "%s://%s:%lld", lower, ip, port);
		prefix = arena_printf(a, "%s_PORT_%lld_%s", name, port, protocol);
		if (first) {
			env_list_set(e, arena_printf(a, "%s_SERVICE_PORT", name), number);
			env_list_set(e, arena_printf(a, "%s_PORT", name), url);
		}
		if (!str_empty(port_name))
			env_list_set(e, arena_printf(a, "%s_SERVICE_PORT_%s", name, variable_name(a, port_name)),
				     number);
		env_list_set(e, prefix, url);
		env_list_set(e, arena_printf(a, "%s_PROTO", prefix), lower);
		env_list_set(e, arena_printf(a, "%s_PORT", prefix), number);
		env_list_set(e, arena_printf(a, "%s_ADDR", prefix), arena_strdup(a, ip));
		first = false;
	}
}
