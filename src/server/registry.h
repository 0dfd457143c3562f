/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write path, and the reads that go with it. Every change of an object, from HTTP or from a controller in this
 * process, passes registry_write(): decode → mutating admission → defaults → validation → validating admission →
 * store. What must hold for all kinds is held here; what is particular to a kind is in strategy_*.c.
 *
 * The store checks a write against the latest state at once, so preparation (all of it synchronous) and check are one
 * turn of the loop; done() follows after the durable commit, never before registry_write() returned.
 */
#ifndef PROA_SERVER_REGISTRY_H
#define PROA_SERVER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct arena;
struct auth;
struct bytes;
struct certificate_authority;
struct decode_report;
struct field_selector;
struct json;
struct loop;
struct object;
struct registry;
struct resource;
struct store;
struct subresource;
struct user;
struct write_result;

struct registry_config {
	struct loop *loop;
	struct store *store;
	const struct auth *auth;		/* borrowed; for reviews and tokens. NULL: those answer 500 */
	const char *service_cidr;		/* "10.43.0.0/16"; copied */
	int node_port_min, node_port_max;	/* 0: 30000-32767 */
	const struct certificate_authority *ca; /* borrowed; to look into certificate requests. NULL: not looked */
	const char *trust_domain;		/* "cluster.local" */
};

int registry_new(const struct registry_config *c, struct registry **ret, struct status *err);
/* Returns once every write that was begun is committed and answered: before the server, whose requests they are, goes.
 */
void registry_settle(struct registry *r);
void registry_free(struct registry *r);
struct store *registry_store(const struct registry *r);
const struct auth *registry_auth(const struct registry *r);
struct loop *registry_loop(const struct registry *r);

/* The row of the version that is stored, for a row of any version of the same resource; r itself when it is alone. */
const struct resource *registry_storage_row(const struct resource *r);
/* Checks a selector (or NULL) of this version's fields and makes it one of the stored version's. 400. */
int version_select(struct arena *a, const struct resource *row, struct field_selector *s, struct status *err);

enum write_verb { WRITE_CREATE, WRITE_UPDATE, WRITE_PATCH, WRITE_DELETE, WRITE_DELETE_COLLECTION };
enum write_patch { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };
enum field_validation { FIELD_VALIDATION_WARN, FIELD_VALIDATION_STRICT, FIELD_VALIDATION_IGNORE };

struct write_request {
	enum write_verb verb;
	const struct resource *resource; /* the version that was asked for; objects come and go in it */
	const char *ns, *name;		 /* "" or NULL: none */
	const char *subresource;	 /* NULL: the object itself */
	struct json *body; /* object, patch document or DeleteOptions (NULL: none); in arena, may be changed */
	enum write_patch patch;
	const struct user *user;
	const char *field_manager; /* already cut down to what managedFields keeps; NULL: "unknown" */
	bool force;		   /* apply */
	bool dry_run;
	enum field_validation validation;
	struct decode_report *report;		     /* what parsing the body already complained of; NULL: nothing */
	const char *label_selector, *field_selector; /* deletecollection */
	struct json *annotations; /* gets what admission says for the audit log; in arena; NULL: nobody records it */
	struct arena *arena;	  /* for everything built on the way; must live until done() */
	/*
	 * Exactly once. err is NULL on success; result and everything in it is borrowed for the time of the call (take
	 * a reference to obj to keep it; trees live in arena).
	 */
	void (*done)(void *arg, const struct status *err, const struct write_result *result);
	void *arg;
};

#define WRITE_WARNINGS_MAX 32 /* Warning headers of one answer; upstream truncates by bytes, to the same end */

struct write_result {
	int code;	    /* 200, 201, 202 */
	struct object *obj; /* the object as stored (storage version), or */
	struct json *tree; /* an answer that is not stored bytes: reviews, Scale, Status, dry-run; complete with kind */
	const char *const *warnings;
	size_t n_warnings;
};

void registry_write(struct registry *r, const struct write_request *w);

/* Committed object, borrowed for this turn, or NULL with a 404 in err. r may be any version. */
struct object *registry_get(struct registry *reg, const struct resource *r, const char *ns, const char *name,
			    struct status *err);
/* The object in the version of row, as a tree in a. */
struct json *registry_tree(const struct object *o, const struct resource *row, struct arena *a);
/* The object's bytes in the version of row: shared when it is the stored one. The caller unrefs. */
struct bytes *registry_bytes(const struct object *o, const struct resource *row);
/* GET of a subresource that is made from the object (scale); 404 in err when there is none. */
int registry_get_subresource(struct registry *reg, const struct resource *r, const struct subresource *sub,
			     const char *ns, const char *name, struct arena *a, struct json **ret, struct status *err);

#endif
