/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framing of a JSON watch: one event a line, {"type":"ADDED","object":{…}}. Bytes come in any pieces; whole lines
 * go out. Also the decoding of a Status object. No I/O here.
 */
#ifndef PROA_CLIENT_WATCH_FRAMES_H
#define PROA_CLIENT_WATCH_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct arena;
struct json;
struct status;

#define WATCH_FRAME_BYTES_MAX (4u << 20) /* the largest object (1.5 MiB) with room for escapes and the envelope */

struct watch_frames {
	struct buf partial; /* the line that is not complete yet */
};

void watch_frames_init(struct watch_frames *f);
void watch_frames_release(struct watch_frames *f);
void watch_frames_clear(struct watch_frames *f);
/*
 * Calls fn for each complete line (without its end; empty lines are skipped) until it returns false; then what follows
 * is dropped. 0, or -EMSGSIZE when a line is longer than WATCH_FRAME_BYTES_MAX. fn must not touch f.
 */
int watch_frames_feed(struct watch_frames *f, const char *data, size_t len,
		      bool (*fn)(void *arg, const char *line, size_t len), void *arg);

enum watch_frame_type { FRAME_ADDED, FRAME_MODIFIED, FRAME_DELETED, FRAME_BOOKMARK, FRAME_ERROR };
/* object lives in a. 0 or -EINVAL. For FRAME_ERROR object is a Status. */
int watch_frame_decode(struct arena *a, const char *line, size_t len, enum watch_frame_type *ret_type,
		       struct json **ret_object);

/*
 * Fills err from a metav1.Status of a failure; code is the HTTP code, used when the object doesn't tell. Anything that
 * is not a Status gives an error with that code too.
 */
void status_from_json(struct status *err, int code, const struct json *status);

#endif
