/* SPDX-License-Identifier: Apache-2.0 */
#include "client/watch_frames.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

void watch_frames_init(struct watch_frames *f)
{
	buf_init(&f->partial, WATCH_FRAME_BYTES_MAX);
}

void watch_frames_release(struct watch_frames *f)
{
	buf_release(&f->partial);
}

void watch_frames_clear(struct watch_frames *f)
{
	/* A large object must not be remembered by a buffer for ever. */
	buf_release(&f->partial);
	watch_frames_init(f);
}

int watch_frames_feed(struct watch_frames *f, const char *data, size_t len,
		      bool (*fn)(void *arg, const char *line, size_t len), void *arg)
{
	while (len) {
		const char *nl = memchr(data, '\n', len);
		size_t n = nl ? (size_t)(nl - data) : len;
		const char *line = data;
		size_t line_len = n;
		if (!nl || f->partial.len) {
			buf_add(&f->partial, data, n);
			if (buf_failed(&f->partial))
				return -EMSGSIZE;
			line = f->partial.data;
			line_len = f->partial.len;
		}
		if (!nl)
			return 0;
		data += n + 1;
		len -= n + 1;
		if (line_len > WATCH_FRAME_BYTES_MAX)
			return -EMSGSIZE;
		if (line_len && line[line_len - 1] == '\r')
			line_len--;
		bool more = !line_len || fn(arg, line, line_len);
		if (f->partial.len)
			watch_frames_clear(f);
		if (!more)
			return 0;
	}
	return 0;
}

int watch_frame_decode(struct arena *a, const char *line, size_t len, enum watch_frame_type *ret_type,
		       struct json **ret_object)
{
	static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
	struct json *v;
	struct json_error e;
	if (json_parse(a, line, len, &v, &e) < 0)
		return -EINVAL;
	struct json *object = json_get(v, "object");
	const char *type = json_str(json_get(v, "type"));
	if (!type || !json_is(object, JSON_OBJECT))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!str_eq(type, types[i]))
			continue;
		*ret_type = (enum watch_frame_type)i;
		*ret_object = object;
		return 0;
	}
	return -EINVAL;
}

/* Reasons are static strings in struct status; one that we don't know is replaced by its code's usual one. */
static const char *known_reason(const char *reason)
{
	static const char *const reasons[] = {
	    "Unauthorized",
	    "Forbidden",
	    "NotFound",
	    "AlreadyExists",
	    "Conflict",
	    "Gone",
	    "Invalid",
	    "ServerTimeout",
	    "StoreReadError",
	    "Timeout",
	    "TooManyRequests",
	    "BadRequest",
	    "MethodNotAllowed",
	    "NotAcceptable",
	    "RequestEntityTooLarge",
	    "UnsupportedMediaType",
	    "InternalError",
	    "Expired",
	    "ServiceUnavailable",
	    "DisruptionBudget",
	};
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (str_eq(reason, reasons[i]))
			return reasons[i];
	return NULL;
}

void status_from_json(struct status *err, int code, const struct json *s)
{
	if (!str_eq(json_path_str(s, "kind"), "Status")) {
		status_set(err, code, "the server answered with HTTP status %d", code);
		return;
	}
	int told = (int)json_path_int(s, "code", code);
	if (told < 400 || told > 599)
		told = code;
	const char *message = str_or(json_path_str(s, "message"), "");
	const char *reason = known_reason(json_path_str(s, "reason"));
	if (reason)
		status_set_reason(err, told, reason, "%s", message);
	else
		status_set(err, told, "%s", message);
	const struct json *d = json_get(s, "details");
	if (!d)
		return;
	status_details(err, json_path_str(d, "group"), json_path_str(d, "kind"), json_path_str(d, "name"));
	err->retry_after_s = (int)json_path_int(d, "retryAfterSeconds", 0);
	JSON_EACH(c, json_get(d, "causes"))
		status_cause(err, str_or(json_path_str(c, "reason"), ""), str_or(json_path_str(c, "field"), ""), "%s",
			     str_or(json_path_str(c, "message"), ""));
}
