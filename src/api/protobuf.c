/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of bodies, and frames of watch streams. */
#include "api/protobuf.h"

#include <errno.h>
#include <string.h>

#include "api/protobuf_internal.h"
#include "api/resource.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

/* Field numbers of runtime.Unknown and runtime.TypeMeta, and of metav1.WatchEvent. */
enum { UNKNOWN_TYPE_META = 1, UNKNOWN_RAW = 2, UNKNOWN_ENCODING = 3, UNKNOWN_CONTENT_TYPE = 4 };
enum { META_API_VERSION = 1, META_KIND = 2 };
enum { LIST_ITEMS = 2 }; /* of every list, behind its metadata */
enum { EVENT_TYPE = 1, EVENT_OBJECT = 2, RAW_EXTENSION_RAW = 1 };

bool protobuf_is_envelope(const void *p, size_t len)
{
	return len >= PROTOBUF_ENVELOPE_LEN && memcmp(p, PROTOBUF_ENVELOPE, PROTOBUF_ENVELOPE_LEN) == 0;
}

/* Splits "apps/v1"; the core group has no slash. */
static const struct type *type_of(struct arena *a, const char *api_version, const char *kind)
{
	const char *slash = strchr(api_version, '/');

	if (!slash)
		return kind_find("", api_version, kind);
	return kind_find(arena_strndup(a, api_version, (size_t)(slash - api_version)), slash + 1, kind);
}

struct unknown {
	struct json *meta; /* apiVersion and kind */
	struct wire_field raw, content_type;
};

static int read_meta(struct arena *a, const struct wire_field *w, struct json *meta)
{
	struct wire_reader r = wire_reader_of(w->bytes, w->len);
	struct wire_field f;
	int n;

	while ((n = wire_next(&r, &f)) > 0) {
		if (f.number > META_KIND)
			continue;
		if (f.wire != WIRE_BYTES || !utf8_valid((const char *)f.bytes, f.len))
			return -EINVAL;
		json_set(a, meta, f.number == META_KIND ? "kind" : "apiVersion",
			 json_new_strn(a, (const char *)f.bytes, f.len));
	}
	return n;
}

static int read_unknown(struct arena *a, const void *p, size_t len, struct unknown *u)
{
	struct wire_reader r = wire_reader_of((const uint8_t *)p + PROTOBUF_ENVELOPE_LEN, len - PROTOBUF_ENVELOPE_LEN);
	struct wire_field f;
	int n;

	*u = (struct unknown){.meta = json_new(a, JSON_OBJECT)};
	while ((n = wire_next(&r, &f)) > 0) {
		if (f.number > UNKNOWN_CONTENT_TYPE)
			continue;
		if (f.wire != WIRE_BYTES)
			return -EINVAL;
		if (f.number == UNKNOWN_TYPE_META && read_meta(a, &f, u->meta) < 0)
			return -EINVAL;
		if (f.number == UNKNOWN_RAW)
			u->raw = f;
		else if (f.number == UNKNOWN_CONTENT_TYPE)
			u->content_type = f;
		else if (f.number == UNKNOWN_ENCODING && f.len) /* compressed: never used */
			return -EINVAL;
	}
	return n;
}

static bool says_json(const struct wire_field *content_type)
{
	static const char json[] = "application/json";

	return content_type->len == strlen(json) && memcmp(content_type->bytes, json, strlen(json)) == 0;
}

int protobuf_decode_envelope_at(struct arena *a, const void *p, size_t len, const struct type *fallback, int depth,
				struct json **ret, const char **ret_why)
{
	struct json *body, *object;
	const struct type *type;
	const char *version, *kind;
	struct json_error err;
	struct unknown u;

	*ret_why = "the body is not protobuf in its envelope";
	if (depth > PROTOBUF_DEPTH_MAX || !protobuf_is_envelope(p, len) || read_unknown(a, p, len, &u) < 0)
		return -EINVAL;
	version = str_or(json_path_str(u.meta, "apiVersion"), "");
	kind = str_or(json_path_str(u.meta, "kind"), "");
	*ret_why = arena_printf(a, "%s %s is not a valid message", version, kind);
	if (says_json(&u.content_type)) {
		if (json_parse(a, (const char *)u.raw.bytes, u.raw.len, &body, &err) < 0 || body->type != JSON_OBJECT)
			return -EINVAL;
		*ret = body;
		return 0;
	}
	type = type_of(a, version, kind);
	if (!type)
		type = fallback;
	if (!type) {
		*ret_why = arena_printf(a, "no kind \"%s\" is registered for version \"%s\"", kind, version);
		return -ENOENT;
	}
	object = json_new(a, JSON_OBJECT);
	if (*version)
		json_set_str(a, object, "apiVersion", version);
	if (*kind)
		json_set_str(a, object, "kind", kind);
	if (protobuf_decode_into(a, u.raw.bytes, u.raw.len, type, depth, object) < 0)
		return -EINVAL;
	*ret = object;
	return 0;
}

int protobuf_decode(struct arena *a, const void *p, size_t len, const struct type *fallback, struct json **ret,
		    struct status *err)
{
	const char *why;

	if (protobuf_decode_envelope_at(a, p, len, fallback, 0, ret, &why) < 0)
		return status_set(err, 400, "%s", why);
	return 0;
}

/* The type and the envelope up to its raw member. */
static int begin_envelope(const struct json *tree, const struct type **type, struct buf *out)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *version = str_or(json_path_str(tree, "apiVersion"), ""),
		   *kind = str_or(json_path_str(tree, "kind"), "");
	size_t begin;

	if (!*type)
		*type = type_of(&a, version, kind);
	if (!*type)
		return -ENOENT;
	buf_add(out, PROTOBUF_ENVELOPE, PROTOBUF_ENVELOPE_LEN);
	begin = wire_begin(out, UNKNOWN_TYPE_META);
	wire_put_bytes(out, META_API_VERSION, version, strlen(version));
	wire_put_bytes(out, META_KIND, kind, strlen(kind));
	wire_end(out, begin);
	return 0;
}

static void end_envelope(struct buf *out)
{
	wire_put_bytes(out, UNKNOWN_ENCODING, "", 0);
	wire_put_bytes(out, UNKNOWN_CONTENT_TYPE, "", 0);
}

int protobuf_encode(const struct json *tree, const struct type *type, struct buf *out)
{
	size_t start = out->len, begin;
	int r = begin_envelope(tree, &type, out);

	if (r < 0)
		return r;
	begin = wire_begin(out, UNKNOWN_RAW);
	r = protobuf_encode_at(tree, type, 0, out);
	wire_end(out, begin);
	end_envelope(out);
	if (r < 0 && !buf_failed(out))
		out->len = start;
	return r;
}

int protobuf_list_head(const struct json *list, size_t items_len, struct buf *out)
{
	_cleanup_buf_ struct buf message = BUF_INIT;
	const struct type *type = NULL;
	int r = begin_envelope(list, &type, out);

	if (r == 0)
		r = protobuf_encode_message(list, type, &message);
	if (r < 0)
		return r;
	wire_put_tag(out, UNKNOWN_RAW, WIRE_BYTES);
	wire_put_varint(out, message.len + items_len);
	buf_add(out, message.data, message.len);
	return 0;
}

int protobuf_list_item(const struct json *tree, const struct type *type, struct buf *out)
{
	size_t start = out->len, begin = wire_begin(out, LIST_ITEMS);
	int r = protobuf_encode_at(tree, type, 1, out);

	wire_end(out, begin);
	if (r < 0 && !buf_failed(out))
		out->len = start;
	return r;
}

void protobuf_list_tail(struct buf *out)
{
	end_envelope(out);
}

void protobuf_watch_frame(const char *event_type, const void *envelope, size_t len, struct buf *out)
{
	size_t start = out->len, begin;
	size_t frame;

	buf_add(out, "\0\0\0\0", 4);
	wire_put_bytes(out, EVENT_TYPE, event_type, strlen(event_type));
	begin = wire_begin(out, EVENT_OBJECT);
	wire_put_bytes(out, RAW_EXTENSION_RAW, envelope, len);
	wire_end(out, begin);
	if (buf_failed(out))
		return;
	frame = out->len - start - 4;
	for (int i = 0; i < 4; i++)
		out->data[start + (size_t)i] = (char)(frame >> (24 - 8 * i));
}
