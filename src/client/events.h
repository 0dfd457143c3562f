/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records core/v1 Events about objects. Fire and forget: an event that can't be written is dropped, never retried.
 * The same event (object, type, reason, message) within EVENTS_REPEAT_S raises the count of the one that is there; a
 * source of many events about one object is cut off by a token bucket. Both as client-go's correlator does.
 */
#ifndef PROA_CLIENT_EVENTS_H
#define PROA_CLIENT_EVENTS_H

#include <stddef.h>

#include "base/macros.h"

struct client;
struct json;
struct object;
struct recorder;

#define EVENTS_REPEAT_S 600 /* client-go's default aggregation interval */
#define EVENTS_BURST 25	    /* about one object from one source; then one in 5 minutes (client-go's spam filter) */
#define EVENTS_REFILL_S 300
#define EVENTS_CACHE_MAX 512	/* recent events remembered for counting; the oldest are forgotten first */
#define EVENTS_PENDING_MAX 256	/* requests under way; beyond it events are dropped */
#define EVENTS_MESSAGE_MAX 1024 /* the API's limit for events.k8s.io notes; longer messages are cut */

struct event_ref {
	const char *api_version, *kind, *ns, *name, *uid;
	const char *field_path; /* "spec.containers{web}" or NULL */
};

/* component: "deployment-controller", "kubelet", …; host: the node's name or NULL. Both must outlive the recorder. */
struct recorder *recorder_new(struct client *c, const char *component, const char *host);
void recorder_free(struct recorder *r); /* NULL-safe; requests under way end without effect on it */

/* type: "Normal" or "Warning". Safe with r == NULL (tests of other things). */
void recorder_event(struct recorder *r, const struct object *about, const char *type, const char *reason,
		    const char *fmt, ...) PRINTF_LIKE(5, 6);
void recorder_event_ref(struct recorder *r, const struct event_ref *about, const char *type, const char *reason,
			const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
