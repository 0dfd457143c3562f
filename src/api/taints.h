/* SPDX-License-Identifier: Apache-2.0 */
/* Taints of nodes and tolerations of pods, as structures: shared by the eviction controller and the scheduler. Pure. */
#ifndef PROA_API_TAINTS_H
#define PROA_API_TAINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;

enum taint_effect { TAINT_NO_SCHEDULE = 1, TAINT_PREFER_NO_SCHEDULE = 2, TAINT_NO_EXECUTE = 4 };

#define TAINT_NOT_READY "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE "node.kubernetes.io/unreachable"
#define TAINT_UNSCHEDULABLE "node.kubernetes.io/unschedulable"

struct taint {
	const char *key, *value; /* never NULL */
	enum taint_effect effect;
	int64_t added_ns; /* 0: unknown */
};

struct toleration {
	const char *key, *value; /* key "": every one */
	bool exists;		 /* operator Exists; else Equal (Gt and Lt compare numbers) */
	char compare;		 /* '>' or '<' for the operators Gt and Lt, else 0 */
	unsigned effects;	 /* mask of enum taint_effect */
	int64_t seconds;	 /* tolerationSeconds, -1: for ever */
};

/* In a; strings are borrowed from the trees. */
struct taint *taints_of(struct arena *a, const struct json *node, size_t *ret_n);
struct toleration *tolerations_of(struct arena *a, const struct json *pod, size_t *ret_n);
bool tolerates(const struct toleration *tolerations, size_t n, const struct taint *t);
/*
 * How long a pod may stay under these taints (NoExecute ones count): -1 for ever, 0 not at all, else seconds from when
 * the taint was added.
 */
int64_t toleration_seconds(const struct toleration *tolerations, size_t n, const struct taint *taints, size_t n_taints);

#endif
