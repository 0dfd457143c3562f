/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: in the form that was negotiated, sharing stored bytes where the form is the stored one. */
#include <errno.h>
#include <stdio.h>
#include <zlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "api/table.h"
#include "api/yaml.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"
#include "server/audit.h"
#include "server/encode.h"
#include "server/offload.h"
#include "server/registry.h"
#include "server/server_internal.h"

#define GZIP_BYTES_MIN (128 * 1024) /* as upstream: below, compressing costs more than it saves */
#define GZIP_LEVEL 1		    /* likewise */

/* ---- bodies ---- */

static bool wants_gzip(const struct request *r, size_t len)
{
	const char *accept = http_header(r->http, "accept-encoding");
	return len >= GZIP_BYTES_MIN && accept && strstr(accept, "gzip");
}

static bool deflate_part(z_stream *z, const char *p, size_t len, bool last, struct buf *out)
{
	z->next_in = (Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)len;
	int e;
	do {
		char *to = buf_reserve(out, 64 * 1024);
		z->next_out = (Bytef *)to;
		z->avail_out = 64 * 1024;
		e = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
		if (e == Z_STREAM_ERROR)
			return false;
		out->len += 64 * 1024 - z->avail_out;
	} while (z->avail_out == 0 || (last && e != Z_STREAM_END));
	return true;
}

static bool gzip_parts(struct bytes *const *parts, size_t n, struct buf *out)
{
	z_stream z = {0};
	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bool ok = true;
	for (size_t i = 0; i < n && ok; i++)
		ok = deflate_part(&z, parts[i]->data, parts[i]->len, i + 1 == n, out);
	deflateEnd(&z);
	return ok && n > 0;
}

struct zipping {
	int code;
	char *content_type;
	struct bytes **parts;
	size_t n;
	bool ok;
	struct buf out;
};

static void zip(void *arg)
{
	struct zipping *z = arg;
	z->ok = gzip_parts(z->parts, z->n, &z->out);
}

static void send_parts(struct request *r, int code, const char *content_type, struct bytes *const *parts, size_t n)
{
	/* Sending it is the peer's time, not a seat's. */
	flow_done(&r->ticket);
	if (n == 1)
		http_reply_bytes(r->http, code, content_type, parts[0]);
	else
		http_reply_buf_parts(r->http, code, content_type, parts, n);
}

/* r NULL: nobody waits for it any more. */
static void zipped(void *arg, struct request *r)
{
	struct zipping *z = arg;
	if (r && z->ok) {
		_cleanup_bytes_ struct bytes *body = bytes_from_buf(&z->out);
		http_add_header(r->http, "content-encoding", "gzip");
		http_add_header(r->http, "vary", "Accept-Encoding");
		send_parts(r, z->code, z->content_type, &body, 1);
	} else if (r) {
		send_parts(r, z->code, z->content_type, z->parts, z->n);
	}
	for (size_t i = 0; i < z->n; i++)
		bytes_unref(z->parts[i]);
	free(z->parts);
	free(z->content_type);
	buf_release(&z->out);
	free(z);
}

static void reply_zipped(struct request *r, int code, const char *content_type, struct bytes *const *parts, size_t n,
			 size_t len)
{
	struct zipping *z = NEW(struct zipping);
	*z = (struct zipping){.code = code,
			      .content_type = content_type ? xstrdup(content_type) : NULL,
			      .parts = xmemdup(parts, n * sizeof(struct bytes *)),
			      .n = n};
	for (size_t i = 0; i < n; i++)
		bytes_ref(parts[i]);
	if (len >= OFFLOAD_BYTES_MIN) {
		offload(r, zip, zipped, z);
	} else {
		zip(z);
		zipped(z, r);
	}
}

static void common_headers(struct request *r, int code)
{
	http_add_header(r->http, "cache-control", str_or(r->cache_control, "no-cache, private"));
	metrics_request(r->server, r, code);
}

/* For the audit log: an answer whose tree nobody had is read back. */
static void record_body(struct request *r, const char *content_type, struct bytes *const *parts, size_t n, size_t len)
{
	char *text = arena_alloc(&r->arena, len + 1), *at = text;
	struct json *tree;
	if (!str_has_prefix(str_or(content_type, ""), "application/json") || !r->route.resource_request)
		return;
	for (size_t i = 0; i < n; at += parts[i++]->len)
		memcpy(at, parts[i]->data, parts[i]->len);
	if (json_parse(&r->arena, text, len, &tree, NULL) == 0)
		audit_response_object(r, tree);
}

void reply_parts(struct request *r, int code, const char *content_type, struct bytes *const *parts, size_t n)
{
	size_t len = 0;
	if (r->gone)
		return;
	for (size_t i = 0; i < n; i++)
		len += parts[i]->len;
	common_headers(r, code);
	if (audit_wants_response(r))
		record_body(r, content_type, parts, n, len);
	if (wants_gzip(r, len)) {
		reply_zipped(r, code, content_type, parts, n, len);
		return;
	}
	send_parts(r, code, content_type, parts, n);
}

void reply_body(struct request *r, int code, const char *content_type, const char *p, size_t len)
{
	_cleanup_bytes_ struct bytes *body = bytes_new(p, len);
	reply_parts(r, code, content_type, &body, 1);
}

void reply_text(struct request *r, int code, const char *text)
{
	if (r->gone)
		return;
	http_add_header(r->http, "x-content-type-options", "nosniff");
	reply_body(r, code, "text/plain; charset=utf-8", text, strlen(text));
}

/* ---- forms ---- */

int encode_tree(enum output_format format, bool pretty, const struct json *tree, struct buf *out)
{
	switch (format) {
	case OUTPUT_YAML:
		yaml_write(out, tree);
		return 0;
	case OUTPUT_PROTOBUF:
		return protobuf_encode(tree, NULL, out);
	default:
		if (pretty)
			json_write_pretty(out, tree);
		else
			json_write(out, tree);
		buf_addc(out, '\n');
		return 0;
	}
}

void encode_table_object(const struct request *r, struct object *o, const struct table_meta *meta, struct buf *out)
{
	struct table t;
	enum table_include include = TABLE_METADATA;
	table_include_parse(query_get(&r->query, "includeObject"), &include);
	const struct resource *row = r->route.resource;
	table_begin(&t, row, NULL, 0, include, r->out.as_version, meta, out);
	if (o)
		table_row(&t, o, now_ns(), out);
	table_end(&t, out);
}

struct json *partial_metadata(struct arena *a, const struct json *tree, const char *version)
{
	struct json *p = json_new(a, JSON_OBJECT), *meta = json_get(tree, "metadata");
	json_set_str(a, p, "kind", "PartialObjectMetadata");
	json_set(a, p, "apiVersion", json_new_strf(a, "meta.k8s.io/%s", version));
	json_set(a, p, "metadata", meta ? json_clone(a, meta) : json_new(a, JSON_OBJECT));
	return p;
}

static void reply_encoded(struct request *r, int code, const struct json *tree)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	enum output_format format = r->out.format;
	if (encode_tree(format, r->out.pretty, tree, &out) < 0) {
		/* No message type is known (a custom resource): JSON, which every client that asks for protobuf also
		 * takes. */
		buf_clear(&out);
		format = OUTPUT_JSON;
		encode_tree(format, r->out.pretty, tree, &out);
	}
	_cleanup_bytes_ struct bytes *body = bytes_from_buf(&out);
	reply_parts(r, code, output_content_type(format), &body, 1);
}

void reply_tree(struct request *r, int code, struct json *tree)
{
	if (r->gone)
		return;
	bool plain = str_eq(json_path_str(tree, "kind"), "Status") || r->out.as == AS_OBJECT;
	audit_response_object(r, tree);
	if (!plain && r->out.as == AS_TABLE && !r->route.sub) {
		struct object *o = object_from_tree(r->route.resource, "", 0, json_clone(&r->arena, tree));
		reply_object(r, code, o);
		object_unref(o);
		return;
	}
	if (!plain && r->out.as == AS_PARTIAL)
		tree = partial_metadata(&r->arena, tree, r->out.as_version);
	reply_encoded(r, code, tree);
}

void reply_object(struct request *r, int code, struct object *obj)
{
	const struct resource *row = r->route.resource;
	if (r->gone)
		return;
	if (r->out.as == AS_TABLE) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		struct table_meta meta = {.rev = obj->rev, .remaining = -1};
		encode_table_object(r, obj, &meta, &out);
		_cleanup_bytes_ struct bytes *body = bytes_from_buf(&out);
		reply_parts(r, code, "application/json", &body, 1);
		return;
	}
	if (r->out.as != AS_PARTIAL && r->out.format == OUTPUT_JSON && !r->out.pretty) {
		_cleanup_bytes_ struct bytes *body = registry_bytes(obj, row);
		reply_parts(r, code, "application/json", &body, 1);
		return;
	}
	struct json *tree = registry_tree(obj, row, &r->arena);
	audit_response_object(r, tree);
	if (r->out.as == AS_PARTIAL)
		tree = partial_metadata(&r->arena, tree, str_or(r->out.as_version, "v1"));
	reply_encoded(r, code, tree);
}

void reply_status(struct request *r, const struct status *err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	if (r->gone)
		return;
	char seconds[16];
	if (err->retry_after_s > 0) {
		snprintf(seconds, sizeof(seconds), "%d", err->retry_after_s);
		http_add_header(r->http, "retry-after", seconds);
	}
	if (err->code == 401)
		http_add_header(r->http, "www-authenticate", "Bearer realm=\"kubernetes-master\"");
	if (r->audit && err->code >= 400) {
		r->audit->message = arena_strdup(&r->arena, str_or(err->message, ""));
		r->audit->status_reason = err->reason;
	}
	status_write_json(err, &out);
	if (r->out.format != OUTPUT_JSON) {
		struct json *tree;
		struct json_error bad;
		if (json_parse(&r->arena, buf_str(&out), out.len, &tree, &bad) == 0) {
			reply_encoded(r, err->code, tree);
			return;
		}
	}
	buf_addc(&out, '\n');
	_cleanup_bytes_ struct bytes *body = bytes_from_buf(&out);
	reply_parts(r, err->code, "application/json", &body, 1);
}
