/* SPDX-License-Identifier: Apache-2.0 */
/* A watch stream in two pieces (the first byte says where it is cut), each event decoded, errors made into a status. */
/* sources: client/watch_frames.c */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/status.h"
#include "client/watch_frames.h"

static bool on_line(void *arg, const char *line, size_t len)
{
	(void)arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	enum watch_frame_type type;
	struct json *object;
	if (watch_frame_decode(&a, line, len, &type, &object) == 0)
		status_from_json(&err, 500, object);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t cut = data[0];
	data++, size--;
	if (cut > size)
		cut = size;
	struct watch_frames f;
	watch_frames_init(&f);
	if (watch_frames_feed(&f, (const char *)data, cut, on_line, NULL) == 0)
		watch_frames_feed(&f, (const char *)data + cut, size - cut, on_line, NULL);
	watch_frames_release(&f);
	return 0;
}
