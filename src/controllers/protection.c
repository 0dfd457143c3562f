/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets go of volumes, claims and volume attributes classes that are to be deleted, once nobody uses them: removes the
 * finalizer that admission put there (StorageObjectInUseProtection). A claim is used by pods that have a node and have
 * not ended, a volume by the claim it is bound to, a class by the claims and volumes that name it.
 */
#include "controllers/controller.h"
#include "controllers/util.h"

struct protection {
	struct client *client;
	struct workqueue *claim_queue, *volume_queue, *class_queue;
	struct informer *claims, *volumes, *classes, *pods;
};

/* "ns/claim" of each claim that a pod uses. */
static void index_claims(const struct object *pod, index_emit emit, void *ctx)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	JSON_EACH(v, json_path(object_tree(pod, &a), "spec.volumes")) {
		const char *name = json_path_str(v, "persistentVolumeClaim.claimName");
		if (!name && json_get(v, "ephemeral"))
			name = arena_printf(&a, "%s-%s", pod->name, str_or(json_path_str(v, "name"), ""));
		if (name)
			emit(ctx, arena_printf(&a, "%s/%s", pod->ns, name));
	}
}

static bool claim_used(struct protection *p, struct arena *a, const char *key)
{
	struct object_list l = informer_by_index(p->pods, a, index_claims, key);
	for (size_t i = 0; i < l.n; i++)
		if (!str_empty(object_field(l.at[i], "spec.nodeName")) && !pod_finished(object_tree(l.at[i], a)))
			return true;
	return false;
}

static void sync_finalizer(struct sync *s, struct protection *p, struct object *o, struct json *t, const char *name,
			   bool used)
{
	bool change = o->deleting ? !used && meta_remove_finalizer(t, name) : meta_add_finalizer(&s->arena, t, name);
	if (change)
		sync_patch(s, p->client, o, t, NULL, true, NULL, NULL);
}

static void sync_claim(void *arg, struct sync *s)
{
	struct protection *p = arg;
	struct object *o = informer_get_key(p->claims, s->key);
	if (o)
		sync_finalizer(s, p, o, object_tree(o, &s->arena), "kubernetes.io/pvc-protection",
			       claim_used(p, &s->arena, s->key));
}

static void sync_volume(void *arg, struct sync *s)
{
	struct protection *p = arg;
	struct object *o = informer_get_key(p->volumes, s->key);
	if (!o)
		return;
	struct json *t = object_tree(o, &s->arena);
	sync_finalizer(s, p, o, t, "kubernetes.io/pv-protection", str_eq(json_path_str(t, "status.phase"), "Bound"));
}

struct class_search {
	const char *name;
	bool found;
};

static bool names_class(void *arg, struct object *o)
{
	static const char *const paths[] = {"spec.volumeAttributesClassName", "status.currentVolumeAttributesClassName",
					    "status.modifyVolumeStatus.targetVolumeAttributesClassName"};
	struct class_search *c = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *t = object_tree(o, &a);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		c->found |= str_eq(json_path_str(t, paths[i]), c->name);
	return !c->found;
}

static void sync_class(void *arg, struct sync *s)
{
	struct protection *p = arg;
	struct object *o = informer_get_key(p->classes, s->key);
	struct class_search c = {.name = s->key};
	if (!o)
		return;
	if (o->deleting) {
		informer_each(p->claims, names_class, &c);
		informer_each(p->volumes, names_class, &c);
	}
	sync_finalizer(s, p, o, object_tree(o, &s->arena), "kubernetes.io/vac-protection", c.found);
}

/* ---- who may have stopped using what ---- */

static void wake_claim(void *arg, const char *key)
{
	workqueue_add(((struct protection *)arg)->claim_queue, key);
}

static void pod_gone(void *arg, struct object *pod)
{
	index_claims(pod, wake_claim, arg);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	const char *phase = object_field(pod, "status.phase");
	if (!str_eq(phase, object_field(old, "status.phase")) &&
	    (str_eq(phase, "Succeeded") || str_eq(phase, "Failed")))
		pod_gone(arg, pod);
}

static bool wake_class(void *arg, struct object *o)
{
	if (o->deleting)
		workqueue_add_object(((struct protection *)arg)->class_queue, o);
	return true;
}

static void user_gone(void *arg, struct object *user)
{
	struct protection *p = arg;
	(void)user;
	informer_each(p->classes, wake_class, p);
}

static void user_updated(void *arg, struct object *old, struct object *user)
{
	(void)old;
	user_gone(arg, user);
}

static void *start(const struct controller_env *e)
{
	struct protection *p = NEW(struct protection);
	struct informer_handlers users = {.on_update = user_updated, .on_delete = user_gone, .arg = p};
	p->client = e->client;
	p->claim_queue = controller_queue(e, "pvc-protection", sync_claim, p);
	p->volume_queue = controller_queue(e, "pv-protection", sync_volume, p);
	p->class_queue = controller_queue(e, "vac-protection", sync_class, p);
	struct informer_handlers h = enqueue_handlers(p->claim_queue);
	p->claims = controller_watch(e, "", "persistentvolumeclaims", &h);
	controller_watch(e, "", "persistentvolumeclaims", &users);
	h = enqueue_handlers(p->volume_queue);
	p->volumes = controller_watch(e, "", "persistentvolumes", &h);
	controller_watch(e, "", "persistentvolumes", &users);
	h = enqueue_handlers(p->class_queue);
	p->classes = controller_watch(e, "storage.k8s.io", "volumeattributesclasses", &h);
	p->pods = controller_watch(
	    e, "", "pods", &(struct informer_handlers){.on_update = pod_updated, .on_delete = pod_gone, .arg = p});
	informer_add_index(p->pods, index_claims);
	return p;
}

const struct controller_ops protection_controller = {
    .name = "protection-controller",
    .start = start,
    .stop = free,
};
