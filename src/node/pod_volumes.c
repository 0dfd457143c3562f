/* SPDX-License-Identifier: Apache-2.0 */
/* The volumes of one pod: what they need, making them, keeping them current, taking them away. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/fs.h"
#include "base/status.h"
#include "base/str.h"
#include "client/informer.h"
#include "node/agent_internal.h"
#include "node/node_status.h"
#include "node/object_refs.h"
#include "node/pod.h"
#include "node/pod_env.h"
#include "node/token.h"

/* ---- what is needed ---- */

static void on_change(void *arg)
{
	struct pod *p = arg;

	p->update_volumes = true;
	pod_wake(p);
}

static void need_object(void *arg, const char *plural, const char *name)
{
	struct pod *p = arg;
	struct node_ref *ref;

	if (str_empty(name))
		return;
	VEC_EACH(r, &p->object_refs)
		if (node_ref_is(*r, plural, name))
			return;
	ref = object_refs_get(p->agent->refs, plural, p->ns, name, on_change, p);
	if (ref)
		VEC_PUSH(&p->object_refs, ref);
}

static void need_token(void *arg, const char *audience, int64_t expiration_s)
{
	struct pod *p = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *account = json_path_str(pod_tree(p, &a), "spec.serviceAccountName");

	VEC_EACH(t, &p->tokens)
		if (token_is(*t, audience, expiration_s))
			return;
	VEC_PUSH(&p->tokens, token_new(&(struct token_config){
				 .client = p->agent->client,
				 .ns = p->ns,
				 .service_account = str_empty(account) ? "default" : account,
				 .pod_name = p->name,
				 .pod_uid = p->uid,
				 .audience = audience,
				 .expiration_s = expiration_s,
				 .changed = on_change,
				 .arg = p,
			     }));
}

void pod_volumes_need(struct pod *p)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	const struct volume_needs needs = {.object = need_object, .token = need_token, .arg = p};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = pod_tree(p, &a);

	JSON_EACH(v, json_path(tree, "spec.volumes")) {
		const struct json *source;
		const struct volume_ops *ops = volume_kind(v, &source);
		struct volume volume = {.ops = ops};

		if (ops && ops->needs)
			ops->needs(source, &needs);
		volume.name = xstrdup(str_or(json_path_str(v, "name"), ""));
		volume.path = xasprintf("%s/volumes/%s", p->dir, volume.name);
		VEC_PUSH(&p->volumes, volume);
	}
	JSON_EACH(secret, json_path(tree, "spec.imagePullSecrets"))
		need_object(p, "secrets", json_path_str(secret, "name"));
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(json_get(tree, "spec"), lists[i]))
			env_needs(c, &needs);
}

/* ---- where it comes from ---- */

static const struct object *get_object(void *arg, const char *plural, const char *name)
{
	struct pod *p = arg;

	VEC_EACH(r, &p->object_refs)
		if (node_ref_is(*r, plural, name))
			return node_ref_object(*r);
	return NULL;
}

static const char *get_token(void *arg, const char *audience, int64_t expiration_s)
{
	struct pod *p = arg;

	VEC_EACH(t, &p->tokens)
		if (token_is(*t, audience, expiration_s))
			return token_text(*t);
	return NULL;
}

void pod_volume_input(struct pod *p, struct json *tree, struct arena *a, struct volume_input *ret)
{
	*ret = (struct volume_input){
	    .arena = a,
	    .downward = {.pod = tree,
			 .pod_ip = p->ip[0] ? p->ip : NULL,
			 .host_ip = p->agent->cfg.node_ip,
			 .node_name = p->agent->cfg.node_name},
	    .fs_group = json_path_int(tree, "spec.securityContext.fsGroup", -1),
	    .object = get_object,
	    .token = get_token,
	    .arg = p,
	};
	node_allocatable(p->agent->node, &ret->downward.allocatable_cpu_milli, &ret->downward.allocatable_memory,
			 &ret->downward.allocatable_storage);
}

/* ---- making ---- */

static bool all_known(struct pod *p, struct status *err)
{
	if (p->agent->services && !informer_synced(p->agent->services))
		return false;
	VEC_EACH(r, &p->object_refs)
		if (!node_ref_synced(*r))
			return false;
	VEC_EACH(t, &p->tokens) {
		if (token_text(*t))
			continue;
		if (token_error(*t))
			status_set(err, 503, "MountVolume.SetUp failed: failed to fetch token: %s", token_error(*t));
		return false;
	}
	return true;
}

static struct volume *volume_named(struct pod *p, const char *name)
{
	VEC_EACH(v, &p->volumes)
		if (str_eq(v->name, name))
			return v;
	return NULL;
}

static int make_one(struct pod *p, const struct json *spec, struct volume *v, const struct volume_input *in,
		    struct status *err)
{
	_cleanup_status_ struct status why = STATUS_INIT;
	const struct json *source;
	int r;

	if (!volume_kind(spec, &source)) {
		status_set(err, 400, "volume \"%s\" is of a kind that this node doesn't have", v->name);
		return -EINVAL;
	}
	if (v->ops->needs == NULL && v->ready)
		return 0;
	r = v->ops->prepare(v, source, in, &why);
	if (r < 0)
		status_set(err, why.code, "MountVolume.SetUp failed for volume \"%s\" : %s", v->name, why.message);
	else
		v->ready = true;
	(void)p;
	return r;
}

int pod_volumes_make(struct pod *p, struct status *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = pod_tree(p, &a);
	struct volume_input in;
	int r;

	if (!all_known(p, err))
		return status_failed(err) ? -ENOENT : -EAGAIN;
	r = fs_mkdir_p(p->dir, 0750);
	if (r < 0) {
		status_set(err, 500, "cannot make %s: %s", p->dir, strerror(-r));
		return r;
	}
	pod_volume_input(p, tree, &a, &in);
	JSON_EACH(spec, json_path(tree, "spec.volumes")) {
		struct volume *v = volume_named(p, str_or(json_path_str(spec, "name"), ""));

		r = v ? make_one(p, spec, v, &in, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

void pod_volumes_update(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = pod_tree(p, &a);
	struct volume_input in;

	pod_volume_input(p, tree, &a, &in);
	JSON_EACH(spec, json_path(tree, "spec.volumes")) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct volume *v = volume_named(p, str_or(json_path_str(spec, "name"), ""));
		const struct json *source;

		if (!v || !v->ready || !v->ops->update || !volume_kind(spec, &source))
			continue;
		/* What was there stays when its source is gone: containers must not lose files under them. */
		if (v->ops->update(v, source, &in, &err) < 0)
			log_debug("volume not updated pod=%s/%s volume=%s error=%s", p->ns, p->name, v->name,
				  err.message);
	}
}

/* ---- taking away ---- */

void pod_volumes_remove(struct pod *p)
{
	_cleanup_free_ char *subpaths = xasprintf("%s/subpaths", p->dir);

	volumes_unmount_below(subpaths); /* before the volumes that they are part of */
	VEC_EACH(v, &p->volumes)
		if (v->ops)
			v->ops->teardown(v);
	p->volumes_ready = false;
	VEC_EACH(v, &p->volumes)
		v->ready = false;
}

void pod_volumes_release(struct pod *p)
{
	VEC_EACH(v, &p->volumes)
		volume_release(v);
	VEC_RELEASE(&p->volumes);
	VEC_EACH(r, &p->object_refs)
		node_ref_put(*r);
	VEC_RELEASE(&p->object_refs);
	VEC_EACH(t, &p->tokens)
		token_free(*t);
	VEC_RELEASE(&p->tokens);
}
