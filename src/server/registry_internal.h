/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the write path share: the operation on its way (struct write_op) and the strategies, which are
 * the few functions in which a kind differs from all others.
 */
#ifndef PROA_SERVER_REGISTRY_INTERNAL_H
#define PROA_SERVER_REGISTRY_INTERNAL_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "server/admission.h"
#include "server/allocator.h"
#include "server/auth.h"
#include "server/quota_charge.h"
#include "server/registry.h"
#include "store/store.h"

struct loop_defer;
struct loop_timer;

struct registry {
	struct loop *loop;
	struct store *store;
	struct auth auth_none;
	const struct auth *auth;
	const struct certificate_authority *ca;
	struct loop_defer *finish; /* answers that must come in a later turn */
	struct list finished;	   /* of write_op.link */
	struct ip_allocator *cluster_ips;
	struct port_allocator *node_ports;
	struct event_ttl *events;
	struct list local_clients;
	char *trust_domain;
};

struct admission_warnings {
	struct arena *arena;
	const char *at[WRITE_WARNINGS_MAX];
	size_t n;
};

struct write_op {
	struct registry *reg;
	struct write_request req;
	struct arena *arena;
	const struct resource *row; /* storage version of req.resource */
	const struct subresource *sub;
	const struct strategy *strategy; /* never NULL */
	const char *ns, *name;		 /* never NULL; name "" until generated */
	const char *key;
	struct object *old;	 /* held; NULL on create */
	struct json *old_tree;	 /* storage version, not to be changed */
	struct json *tree;	 /* what will be stored */
	bool lazy, renewal;	 /* as in store_write */
	bool created, generated; /* generated: the name is, from generateName */
	bool removing;		 /* the store write is a deletion */
	bool return_tree;	 /* answer with `answer` instead of the object */
	struct json *answer;
	/* What the strategy claimed for this write, given back when it fails. */
	const char *claimed_ip;
	int *claimed_ports; /* in arena */
	size_t n_claimed_ports;
	struct admission_warnings warnings;
	struct quota_charges charges;
	const struct json *applied_view; /* a Scale that was applied, with its managers; see ownership.c */
	const char *applied_version;
	/* The answer. */
	struct list link;
	struct status err;
	int code;
	struct object *obj;
	void (*then)(struct write_op *op); /* instead of done: a step of a larger operation */
	void *then_arg;
};

struct subresource_ops {
	const char *name;
	/* The body's form from the object (scale); NULL: the object itself. */
	struct json *(*view)(struct arena *a, const struct resource *row, const struct json *tree);
	/*
	 * The new object from the old one and what was sent (in storage version, or the view): everything that the
	 * subresource may not write comes from old. NULL: not writable by update or patch.
	 */
	struct json *(*merge)(struct write_op *op, const struct json *old, struct json *sent, struct status *err);
	/* POST: binding, eviction, token. Ends by op_finish or op_fail, at once or later. */
	void (*create)(struct write_op *op);
};

struct strategy {
	const char *group, *plural;
	/* What is only a way to write other fields becomes those, before it is recorded who owns what. */
	void (*fold)(struct write_op *op);
	void (*prepare_create)(struct write_op *op);
	void (*prepare_update)(struct write_op *op); /* the object itself, after merging and defaults */
	/* The last step before the store; old_tree NULL: create. */
	int (*allocate)(struct write_op *op, struct status *err);
	/* After the commit (ok), or when the write came to nothing: what was claimed is given back, what is free
	 * released. */
	void (*settled)(struct write_op *op, bool ok);
	/* Seconds of grace of a delete (asked < 0: not said); NULL: none. */
	int64_t (*grace)(const struct json *tree, int64_t asked);
	/* false: still held by something other than metadata.finalizers (namespaces). Edits op->tree for the wait. */
	bool (*may_remove)(struct write_op *op, const struct json *tree);
	void (*begin_delete)(struct write_op *op); /* edits op->tree when deletionTimestamp is set */
	/* POST of something that is not stored. */
	void (*review)(struct write_op *op);
	bool orphans;				    /* dependents stay when the delete doesn't say */
	bool keeps_status;			    /* status may be given on create */
	bool names_nameless;			    /* what comes without a name gets a UUID for one */
	const struct subresource_ops *subresources; /* ends with name NULL */
};

const struct strategy *strategy_find(const struct resource *row);
/* For any resource that has the subresource in its table: status, scale. */
const struct subresource_ops *strategy_subresource(const struct strategy *s, const struct resource *row,
						   const char *name);

extern const struct strategy strategy_pods, strategy_services, strategy_namespaces, strategy_nodes, strategy_secrets,
    strategy_serviceaccounts, strategy_csrs, strategy_pvs, strategy_pvcs, strategy_bindings, strategy_jobs,
    strategy_replicationcontrollers, strategy_device_taint_rules, strategy_daemon_sets, strategy_self_subject_access,
    strategy_subject_access, strategy_local_subject_access, strategy_self_subject_rules, strategy_token_reviews,
    strategy_self_subject, strategy_definitions, strategy_limit_ranges, strategy_endpoint_slices;
extern const struct subresource_ops scale_ops;
/* The old object with the metadata that a write of its status may bring. */
struct json *metadata_merge(struct write_op *op, const struct json *old, const struct json *sent);
/* What writing the status of any kind means: a strategy's own merge may begin with it. */
struct json *status_merge(struct write_op *op, const struct json *old, struct json *sent, struct status *err);

/* ---- the steps (write.c, delete.c) ---- */
void op_create(struct write_op *op);
void op_modify(struct write_op *op); /* update, patch, apply, with and without subresource */
void op_delete(struct write_op *op);
void op_delete_collection(struct write_op *op);
/* Stores op->tree with the object's identity; old decides between create and update. Ends the operation. */
enum store_error op_store(struct write_op *op, uint64_t expect_rev);
/* Puts op->old and old_tree to the latest state; -1 with a 404. */
int op_load(struct write_op *op, struct status *err);
/* Stores an edit of another object (or of the same one) made by a strategy: finalizers, grace, generation are looked
 * at. */
bool op_should_remove(struct write_op *op);
void op_store_result(struct write_op *op, enum store_error e);

void op_evict(struct write_op *op);	/* POST pods/eviction (eviction.c) */
void quota_charge(struct write_op *op); /* after the store took op's write (admission_quota.c) */

/* Each ends the operation; done() follows in a later turn. */
void op_finish(struct write_op *op, int code, struct object *obj);
void op_finish_tree(struct write_op *op, int code, struct json *tree);
void op_fail(struct write_op *op, const struct status *err); /* err is copied */
void op_failf(struct write_op *op, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* {"kind":"Status",…,"status":"Success"}: what a binding or an eviction answers with. */
struct json *status_success(struct arena *a);
void op_bind(struct write_op *op, const struct json *binding); /* a Pod to a node */
void pod_prepare_create(struct write_op *op);		       /* pod_prepare.c */

struct admission op_admission(struct write_op *op, enum admission_operation operation);

/* ---- ownership (ownership.c) ---- */
/* The manager gets what op->tree has other than op->old_tree (NULL: created). */
void op_track_update(struct write_op *op);
/* What the applied configuration makes of op->old_tree (NULL: created), in the storage version; or of a subresource's
 * view. */
int op_applied_tree(struct write_op *op, struct json **ret, struct status *err);
int op_applied_view(struct write_op *op, const struct subresource_ops *ops, struct json **ret, struct status *err);
/* After the view was merged into op->tree: its managers, too. */
void op_settle_view(struct write_op *op);

/* ---- versions (version.c) ---- */
/* Changes tree (in place where possible) from one version of a resource to another. */
struct json *version_convert(struct arena *a, const struct resource *from, const struct resource *to,
			     struct json *tree);

#endif
