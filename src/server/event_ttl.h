/* SPDX-License-Identifier: Apache-2.0 */
/* Events are of use for minutes: each is removed EVENT_TTL_S after its last write. One timer, for the oldest. */
#ifndef PROA_SERVER_EVENT_TTL_H
#define PROA_SERVER_EVENT_TTL_H

struct event_ttl;
struct object;
struct registry;

#define EVENT_TTL_S 3600 /* upstream's --event-ttl */

struct event_ttl *event_ttl_new(struct registry *r); /* takes up those that are stored */
void event_ttl_written(struct event_ttl *t, const struct object *event);
void event_ttl_free(struct event_ttl *t); /* NULL-safe */

#endif
