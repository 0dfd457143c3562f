/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events are of use for minutes: each is removed EVENT_TTL_S after its last write. One timer, for the oldest. Whoever
 * floods the cluster with events fills no memory: beyond EVENTS_MAX those that were not written for longest go first.
 */
#ifndef PROA_SERVER_EVENT_TTL_H
#define PROA_SERVER_EVENT_TTL_H

struct event_ttl;
struct object;
struct registry;

#define EVENT_TTL_S 3600 /* upstream's --event-ttl */
#define EVENTS_MAX 16384 /* of about a kilobyte: as much memory as the rest of the server takes */

struct event_ttl *event_ttl_new(struct registry *r); /* takes up those that are stored */
void event_ttl_written(struct event_ttl *t, const struct object *event);
void event_ttl_removed(struct event_ttl *t, const char *key); /* by somebody else */
void event_ttl_free(struct event_ttl *t);		      /* NULL-safe */

#endif
