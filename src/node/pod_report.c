/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the API server: one status write for a pod at a time, only when something changed, changes that come
 * meanwhile together in the next one. The patch is a strategic merge patch with the pod's uid, so that it never lands
 * on another pod of the same name and leaves conditions that others own alone. At the end the object is deleted with
 * grace period 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/pod.h"
#include "node/pod_status.h"

#define REPORT_RETRY_MS_FIRST 100
#define REPORT_RETRY_MS_MAX 10000

static void retry(void *arg)
{
	struct pod *p = arg;

	p->status_dirty = true;
	pod_wake(p);
}

static void retry_later(struct pod *p)
{
	p->status_backoff_ms =
	    p->status_backoff_ms ? MIN_OF(p->status_backoff_ms * 2, REPORT_RETRY_MS_MAX) : REPORT_RETRY_MS_FIRST;
	if (!p->status_timer)
		p->status_timer = loop_timer_new(p->agent->loop, retry, p);
	loop_timer_start(p->status_timer, p->status_backoff_ms);
}

static void on_written(void *arg, const struct status *err, struct object *obj)
{
	struct pod *p = arg;
	struct agent *a = p->agent;

	(void)obj;
	if (p->state == POD_GONE) {
		bytes_unref(p->sending);
		p->sending = NULL;
	} else if (!err || err->code == 404 || err->code == 409) {
		/* 404: the pod is gone, 409: another pod has its name now. Both mean that nobody waits for this. */
		if (err)
			log_debug("pod status has no taker pod=%s/%s error=%s", p->ns, p->name, err->message);
		bytes_unref(p->written);
		p->written = TAKE_PTR(p->sending);
		p->status_backoff_ms = 0;
		pod_wake(p);
	} else {
		log_warn("pod status not written pod=%s/%s error=%s", p->ns, p->name, err->message);
		bytes_unref(p->sending);
		p->sending = NULL;
		retry_later(p);
	}
	pod_unref(p);
	agent_job_end(a);
}

static struct json *previous_status(const struct pod *p, struct arena *a)
{
	struct json *v = NULL;
	struct json_error e;

	if (p->written && json_parse(a, p->written->data, p->written->len, &v, &e) == 0)
		return v;
	return NULL;
}

static struct json *compute(struct pod *p, struct arena *a, struct json *tree)
{
	struct pod_facts f = {
	    .pod = tree,
	    .previous = previous_status(p, a),
	    .containers = (const struct container *const *)p->containers,
	    .policies = p->policies,
	    .n_containers = p->n_containers,
	    .restart_policy = p->restart_policy,
	    .pod_ip = p->ip[0] ? p->ip : NULL,
	    .host_ip = p->agent->cfg.node_ip,
	    .sandbox_ready = p->sandbox_ready,
	    .finished = p->finished,
	    .deleting = pod_deleting(p),
	    .reason = p->reason,
	    .message = p->message,
	    .resources = &p->resize.resources,
	    .resize_reason = p->resize.reason,
	    .resize_message = p->resize.message,
	    .resizing = p->resize.under_way,
	    .resize_error = p->resize.error,
	    .start_ns = p->start_ns,
	    .now_ns = now_ns(),
	};

	return pod_status(a, &f);
}

static const struct json *condition_of(const struct json *status, const char *type)
{
	JSON_EACH(c, json_get(status, "conditions"))
		if (str_eq(json_path_str(c, "type"), type))
			return c;
	return NULL;
}

/* Conditions merge by type: a reason or message that is no more has to be taken away. */
static void drop_texts(struct arena *a, const struct json *previous, struct json *status)
{
	JSON_EACH(c, json_get(status, "conditions"))
		JSON_EACH(old, condition_of(previous, json_path_str(c, "type")))
			if (!json_get(c, old->key))
				json_set(a, c, old->key, json_new(a, JSON_NULL));
}

/* A condition that is told no more. */
static void take_away(struct arena *a, const struct json *previous, struct json *status)
{
	JSON_EACH(old, json_get(previous, "conditions")) {
		const char *type = json_path_str(old, "type");

		if (!str_has_prefix(str_or(type, ""), "PodResize") || condition_of(status, type))
			continue;
		struct json *c = json_append(json_array_in(a, status, "conditions"), json_new(a, JSON_OBJECT));
		json_set_str(a, c, "type", type);
		json_set_str(a, c, "$patch", "delete");
	}
}

/* {"metadata":{"uid":…},"status":…}; members that were in the previous status and are no more become null. */
static struct json *make_patch(const struct pod *p, struct arena *a, const struct json *previous, struct json *status)
{
	struct json *patch = json_new(a, JSON_OBJECT), *s = json_clone(a, status);

	json_set_path(a, patch, "metadata.uid", json_new_str(a, p->uid));
	json_set(a, patch, "status", s);
	JSON_EACH(old, previous)
		if (!json_get(s, old->key) &&
		    !str_in(old->key, (const char *const[]){"nominatedNodeName", "resize", NULL}))
			json_set(a, s, old->key, json_new(a, JSON_NULL));
	drop_texts(a, previous, s);
	take_away(a, previous, s);
	/* Lists that merge by address: another address replaces the first. */
	if (json_path_str(previous, "podIP") && !str_eq(json_path_str(previous, "podIP"), json_path_str(s, "podIP"))) {
		struct json *replace = json_new(a, JSON_OBJECT);

		json_set_str(a, replace, "$patch", "replace");
		if (json_is(json_get(s, "podIPs"), JSON_ARRAY))
			json_append(json_get(s, "podIPs"), replace);
	}
	return patch;
}

void pod_report(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *tree, *status, *previous;

	if (p->sending || p->api_gone) /* when it is written, the next is computed */
		return;
	p->status_dirty = false;
	tree = pod_tree(p, &a);
	status = compute(p, &a, tree);
	json_write(&text, status);
	if (p->written && p->written->len == text.len && memcmp(p->written->data, text.data, text.len) == 0) {
		pod_wake(p); /* nothing to tell: settled, which the end of the pod waits for */
		return;
	}
	previous = previous_status(p, &a);
	if (!previous)
		previous = json_get(tree, "status");
	p->sending = bytes_new(text.data, text.len);
	agent_job_begin(p->agent);
	client_do(p->agent->client, &(struct client_request){.verb = CLIENT_PATCH,
							     .resource = resource_find("", "v1", "pods"),
							     .ns = p->ns,
							     .name = p->name,
							     .subresource = "status",
							     .body = make_patch(p, &a, previous, status),
							     .patch_type = "application/strategic-merge-patch+json",
							     .done = on_written,
							     .arg = pod_ref(p)});
}

bool pod_report_settled(const struct pod *p)
{
	return !p->sending && !p->status_dirty && p->written;
}

void pod_report_release(struct pod *p)
{
	loop_timer_free(p->status_timer);
	p->status_timer = NULL;
	bytes_unref(p->written);
	p->written = NULL;
}

/* ---- the end ---- */

static void on_deleted(void *arg, const struct status *err, struct object *obj)
{
	struct pod *p = arg;
	struct agent *a = p->agent;

	(void)obj;
	p->busy = false;
	if (p->state != POD_GONE) {
		if (err && err->code != 404 && err->code != 409) {
			log_warn("pod object not deleted pod=%s/%s error=%s", p->ns, p->name, err->message);
			p->state = POD_FINISHED; /* without a wake: the timer tries again */
			p->status_dirty = true;
			retry_later(p);
		} else if (err) {
			p->api_gone = true;
			pod_wake(p);
		}
	}
	pod_unref(p);
	agent_job_end(a);
}

void pod_delete_object(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *options = json_new(&a, JSON_OBJECT);

	json_set_str(&a, options, "apiVersion", "v1");
	json_set_str(&a, options, "kind", "DeleteOptions");
	json_set_int(&a, options, "gracePeriodSeconds", 0);
	json_set_path(&a, options, "preconditions.uid", json_new_str(&a, p->uid));
	p->busy = true;
	pod_move(p, POD_DELETING);
	agent_job_begin(p->agent);
	client_do(p->agent->client, &(struct client_request){.verb = CLIENT_DELETE,
							     .resource = resource_find("", "v1", "pods"),
							     .ns = p->ns,
							     .name = p->name,
							     .body = options,
							     .done = on_deleted,
							     .arg = pod_ref(p)});
}
