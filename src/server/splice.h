/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams joined: what one receives the other sends, with back-pressure, until both ends have closed. */
#ifndef PROA_SERVER_SPLICE_H
#define PROA_SERVER_SPLICE_H

struct list;
struct stream;
struct stream_events;
struct splice;

#define SPLICE_QUEUE_BYTES (256 * 1024) /* waiting in one direction before its source is no longer read */

/* For streams that need their events when they are made: splice_new, then the events with splice_end(s, 0 or 1). */
struct splice *splice_new(struct list *open); /* is in that list until the second on_close */
extern const struct stream_events splice_events;
struct splice_end;
struct splice_end *splice_end(struct splice *s, int which); /* the arg that goes with splice_events */
/* Gives both streams; reading starts. The splice frees itself after the second on_close. */
void splice_start(struct splice *s, struct stream *first, struct stream *second);
/* Closes both ends of each; they are in the list no more. */
void splice_close_all(struct list *open);

#endif
