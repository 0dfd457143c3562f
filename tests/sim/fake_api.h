/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small API server in memory behind struct client, for tests of controllers: revisions and conflicts, generateName,
 * uid, generation, status apart from spec, finalizers and graceful states of deletion, propagation policies, bindings,
 * namespace finalisation, watches. It answers in later turns of the loop, as the real one does. It neither validates
 * nor sets defaults.
 */
#ifndef PROA_TESTS_FAKE_API_H
#define PROA_TESTS_FAKE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/client.h"

struct arena;
struct fake_api;

struct fake_api *fake_api_new(struct loop *l);
void fake_api_free(struct fake_api *f); /* after everything that uses the client */
struct client *fake_api_client(struct fake_api *f);

/* From outside, at once. kind: "Pod". Texts are JSON; ' may stand for ". */
void fake_api_create(struct fake_api *f, const char *kind, const char *json);
void fake_api_patch(struct fake_api *f, const char *kind, const char *ns, const char *name, const char *json);
/* policy: "Background", "Foreground", "Orphan" or NULL. */
void fake_api_delete(struct fake_api *f, const char *kind, const char *ns, const char *name, const char *policy);
bool fake_api_has(struct fake_api *f, const char *kind, const char *ns, const char *name);
struct json *fake_api_tree(struct fake_api *f, struct arena *a, const char *kind, const char *ns, const char *name);
size_t fake_api_count(struct fake_api *f, const char *kind, const char *ns); /* ns NULL: all */
/* The i-th object of a kind in order of key, or NULL. */
struct json *fake_api_nth(struct fake_api *f, struct arena *a, const char *kind, const char *ns, size_t i);

/* Requests by a client so far, e.g. fake_api_requests(f, CLIENT_CREATE, "Pod"). */
unsigned fake_api_requests(struct fake_api *f, enum client_verb verb, const char *kind);
/* The next n requests of that verb and kind fail with code. */
void fake_api_fail(struct fake_api *f, enum client_verb verb, const char *kind, int code, unsigned n);

#endif
