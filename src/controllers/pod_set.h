/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of a set that has a selector and a template (ReplicaSet, ReplicationController, Job, …): which are its own,
 * which are to be adopted or released, in which order they are deleted, and making many of them in slow-start batches.
 */
#ifndef PROA_CONTROLLERS_POD_SET_H
#define PROA_CONTROLLERS_POD_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct client;
struct expectations;
struct informer;
struct json;
struct label_selector;
struct object;
struct recorder;
struct sync;

#define POD_SET_BURST 500 /* pods created or deleted in one sync, as upstream's BurstReplicas */

struct set_pod {
	struct object *obj;
	struct json *tree;
};

struct pod_set {
	struct set_pod *pods; /* claimed ones, being deleted and finished ones included */
	size_t n;
};

/* The informer of pods needs index_controller and index_orphan_ns. */
void pod_set_prepare(struct informer *pods);
/*
 * Pods that owner controls and selector matches. Sends the patches that adopt matching orphans (unless owner is being
 * deleted) and that release own pods which don't match any more; adopted ones count from the next sync on, when they
 * are in the cache.
 */
struct pod_set pod_set_claim(struct sync *s, struct client *c, struct informer *pods, struct object *owner,
			     const struct label_selector *selector);
/* Sorts so that the pods to be deleted first come first. now_ns is for comparing ages in steps, as upstream does. */
void pod_set_rank(struct set_pod *pods, size_t n, int64_t now_ns);

/*
 * Creates n pods from template in batches of 1, 2, 4, … (when the first fail, the rest need not be tried), or deletes
 * the given ones. Expectations are kept; events SuccessfulCreate, FailedCreate, SuccessfulDelete, FailedDelete are
 * recorded about owner. next runs once all are answered; failure: the first error's text (in s->arena) or NULL. A
 * failure fails the sync.
 */
struct pod_work {
	struct client *client;
	struct recorder *recorder;
	struct expectations *expectations;
	struct object *owner;
	const struct json *template;
	void (*next)(struct sync *s, void *arg, const char *failure, bool failed_create);
	void *arg;
};
void pod_set_create(struct sync *s, const struct pod_work *w, unsigned n);
void pod_set_delete(struct sync *s, const struct pod_work *w, const struct set_pod *pods, size_t n);

#endif
