/* SPDX-License-Identifier: Apache-2.0 */
/* The registry itself, operations from begin to answer, and reads. */
#include "server/registry.h"

#include <stdarg.h>
#include <stdlib.h>

#include "api/decode.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/event_ttl.h"
#include "server/registry_internal.h"

#define NODE_PORT_MIN 30000 /* upstream's --service-node-port-range */
#define NODE_PORT_MAX 32767

/* ---- versions of one resource ---- */

const struct resource *registry_storage_row(const struct resource *r)
{
	if (r->storage_version || r->custom || !r->storage_prefix)
		return r;
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *o = &resource_table[i];
		if (o->storage_version && str_eq(o->storage_prefix, r->storage_prefix))
			return o;
	}
	return r;
}

struct json *registry_tree(const struct object *o, const struct resource *row, struct arena *a)
{
	struct json *tree = object_tree(o, a);
	if (!o->resource || !row || o->resource == row)
		return tree;
	tree = version_convert(a, o->resource, row, tree);
	decode_finish(a, row->type, tree);
	return tree;
}

struct bytes *registry_bytes(const struct object *o, const struct resource *row)
{
	if (!row || !o->resource || o->resource == row)
		return bytes_ref(o->json);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	json_write(&out, registry_tree(o, row, &a));
	return bytes_from_buf(&out);
}

struct object *registry_get(struct registry *reg, const struct resource *r, const char *ns, const char *name,
			    struct status *err)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	struct object *o = NULL;
	if (r->storage_prefix) {
		resource_key(registry_storage_row(r), r->namespaced ? ns : NULL, name, &key);
		o = store_get(reg->store, buf_str(&key));
	}
	if (!o)
		status_not_found(err, r->group, r->plural, name);
	return o;
}

int registry_get_subresource(struct registry *reg, const struct resource *r, const struct subresource *sub,
			     const char *ns, const char *name, struct arena *a, struct json **ret, struct status *err)
{
	struct object *o = registry_get(reg, r, ns, name, err);
	if (!o)
		return -1;
	const struct resource *row = registry_storage_row(r);
	const struct subresource_ops *ops = strategy_subresource(strategy_find(row), row, sub->name);
	if (ops && ops->view)
		*ret = ops->view(a, row, object_tree(o, a));
	else
		*ret = registry_tree(o, r, a);
	return 0;
}

/* ---- life ---- */

static void op_free(struct write_op *op)
{
	object_unref(op->old);
	object_unref(op->obj);
	status_release(&op->err);
	free(op);
}

/* What a subresource with a form of its own (Scale) answers with, made from the object as it was committed. */
static void make_view(struct write_op *op)
{
	const struct subresource_ops *ops = NULL;
	if (op->req.subresource && op->obj && !op->answer)
		ops = strategy_subresource(op->strategy, op->row, op->req.subresource);
	if (ops && ops->view)
		op->answer = ops->view(op->arena, op->row, object_tree(op->obj, op->arena));
}

static void op_answer(struct write_op *op)
{
	make_view(op);
	struct write_result result = {op->code, op->answer ? NULL : op->obj, op->answer, op->warnings.at,
				      op->warnings.n};
	if (op->then)
		op->then(op);
	else
		op->req.done(op->req.arg, status_failed(&op->err) ? &op->err : NULL, &result);
	op_free(op);
}

static void answer_finished(void *arg)
{
	struct registry *reg = arg;
	struct list now;
	/* Only those that are here now: an answer may start and end another operation. */
	list_init(&now);
	while (!list_empty(&reg->finished)) {
		struct list *l = reg->finished.next;
		list_remove(l);
		list_add_tail(&now, l);
	}
	while (!list_empty(&now)) {
		struct list *l = now.next;
		list_remove(l);
		op_answer(LIST_ENTRY(l, struct write_op, link));
	}
}

static void op_end(struct write_op *op)
{
	list_add_tail(&op->reg->finished, &op->link);
	loop_defer_schedule(op->reg->finish);
}

void op_finish(struct write_op *op, int code, struct object *obj)
{
	op->code = code;
	op->obj = obj ? object_ref(obj) : NULL;
	op_end(op);
}

void op_finish_tree(struct write_op *op, int code, struct json *tree)
{
	op->code = code;
	op->answer = tree;
	op_end(op);
}

void op_fail(struct write_op *op, const struct status *err)
{
	if (err != &op->err)
		status_copy(&op->err, err);
	if (op->strategy->settled)
		op->strategy->settled(op, false);
	op_end(op);
}

void op_failf(struct write_op *op, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	status_set(&op->err, code, "%s", arena_vprintf(op->arena, fmt, ap));
	va_end(ap);
	op_fail(op, &op->err);
}

struct admission op_admission(struct write_op *op, enum admission_operation operation)
{
	return (struct admission){.registry = op->reg,
				  .operation = operation,
				  .resource = op->row,
				  .subresource = str_or(op->req.subresource, ""),
				  .ns = op->ns,
				  .name = op->name,
				  .object = op->tree,
				  .old = op->old,
				  .user = op->req.user,
				  .arena = op->arena,
				  .dry_run = op->req.dry_run,
				  .warnings = &op->warnings,
				  .annotations = op->req.annotations,
				  .charges = &op->charges};
}

void registry_write(struct registry *r, const struct write_request *w)
{
	struct write_op *op = NEW(struct write_op);
	op->reg = r;
	op->req = *w;
	op->arena = w->arena;
	op->row = registry_storage_row(w->resource);
	op->strategy = strategy_find(op->row);
	op->ns = str_or(w->resource->namespaced ? w->ns : "", "");
	op->name = str_or(w->name, "");
	op->warnings.arena = w->arena;
	list_init(&op->link);
	if (str_empty(w->subresource))
		op->req.subresource = NULL;
	else
		op->sub = resource_subresource(w->resource, w->subresource);
	switch (w->verb) {
	case WRITE_CREATE:
		op_create(op);
		break;
	case WRITE_UPDATE:
	case WRITE_PATCH:
		op_modify(op);
		break;
	case WRITE_DELETE:
		op_delete(op);
		break;
	case WRITE_DELETE_COLLECTION:
		op_delete_collection(op);
		break;
	}
}

/* ---- the registry ---- */

static bool claim_service(void *arg, struct object *o)
{
	struct registry *reg = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *spec = json_get(object_tree(o, &a), "spec");
	JSON_EACH(ip, json_get(spec, "clusterIPs"))
		ip_allocator_claim(reg->cluster_ips, json_str(ip));
	if (!json_len(json_get(spec, "clusterIPs")))
		ip_allocator_claim(reg->cluster_ips, json_path_str(spec, "clusterIP"));
	JSON_EACH(port, json_get(spec, "ports"))
		port_allocator_claim(reg->node_ports, (int)json_path_int(port, "nodePort", 0));
	port_allocator_claim(reg->node_ports, (int)json_path_int(spec, "healthCheckNodePort", 0));
	return true;
}

int registry_new(const struct registry_config *c, struct registry **ret, struct status *err)
{
	struct registry *r = NEW(struct registry);
	r->loop = c->loop;
	r->store = c->store;
	r->auth = c->auth ? c->auth : &r->auth_none;
	r->ca = c->ca;
	r->trust_domain = xstrdup(str_or(c->trust_domain, "cluster.local"));
	list_init(&r->finished);
	list_init(&r->local_clients);
	if (ip_allocator_new(str_or(c->service_cidr, "10.43.0.0/16"), &r->cluster_ips) < 0) {
		status_set(err, 500, "invalid service address range %s", str_or(c->service_cidr, ""));
		registry_free(r);
		return -1;
	}
	if (port_allocator_new(c->node_port_min ? c->node_port_min : NODE_PORT_MIN,
			       c->node_port_max ? c->node_port_max : NODE_PORT_MAX, &r->node_ports) < 0) {
		status_set(err, 500, "invalid node port range %d-%d", c->node_port_min, c->node_port_max);
		registry_free(r);
		return -1;
	}
	const struct resource *services = resource_by_plural("", "services");
	if (services) {
		_cleanup_buf_ struct buf prefix = BUF_INIT;
		resource_key(registry_storage_row(services), NULL, NULL, &prefix);
		store_each(r->store, buf_str(&prefix), NULL, claim_service, r);
	}
	r->finish = loop_defer_new(c->loop, answer_finished, r);
	r->events = event_ttl_new(r);
	*ret = r;
	return 0;
}

void registry_settle(struct registry *r)
{
	/* An answer may be the beginning of another write. */
	for (store_settle(r->store); !list_empty(&r->finished); store_settle(r->store))
		answer_finished(r);
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	event_ttl_free(r->events);
	if (r->finish)
		loop_defer_free(r->finish);
	ip_allocator_free(r->cluster_ips);
	port_allocator_free(r->node_ports);
	free(r->trust_domain);
	free(r);
}

struct store *registry_store(const struct registry *r)
{
	return r->store;
}

const struct auth *registry_auth(const struct registry *r)
{
	return r->auth;
}

struct loop *registry_loop(const struct registry *r)
{
	return r->loop;
}
