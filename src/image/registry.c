/* SPDX-License-Identifier: Apache-2.0 */
#include "image/registry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"
#include "image/registry_auth.h"

#define MESSAGE_MAX 300

int registry_url(const struct registry *r, struct url *ret, const char *fmt, ...)
{
	size_t len = strlen(r->base->path);
	char rest[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(rest))
		return -EINVAL;
	while (len && r->base->path[len - 1] == '/')
		len--;
	*ret = *r->base;
	ret->path = xasprintf("%.*s/v2/%s/%s", (int)len, r->base->path, r->repository, rest);
	return 0;
}

static int once(struct registry *r, const struct transport_request *q, struct transport_reply *ret, char *err,
		size_t err_len)
{
	_cleanup_free_ char *header = registry_auth_header(r->auth);
	struct transport_request with = *q;

	/* Where uploads continue may be another host: it gets no credentials of this one. */
	with.authorization = url_same_origin(q->url, r->base) ? header : NULL;
	*ret = (struct transport_reply){0};
	return transport_do(r->transport, &with, ret, err, err_len);
}

int registry_do(struct registry *r, const struct transport_request *q, struct transport_reply *ret, char *err,
		size_t err_len)
{
	int k = once(r, q, ret, err, err_len);
	struct challenge c = {0};

	if (k < 0 || ret->code != 401 || !url_same_origin(&ret->url, r->base))
		return k;
	for (size_t i = 0; i < ret->n_headers; i++)
		if (str_eq(ret->headers[i].name, "www-authenticate"))
			challenge_parse(ret->headers[i].value, &c);
	k = registry_auth_answer(r->auth, r, &c, err, err_len);
	if (k < 0)
		return k;
	transport_reply_release(ret);
	return once(r, q, ret, err, err_len);
}

static int64_t retry_after_ms(const struct transport_reply *reply)
{
	const char *value = transport_header(reply->headers, reply->n_headers, "retry-after");
	uint64_t s;

	return value && parse_u64(value, &s) == 0 ? (int64_t)MIN_OF(s, REGISTRY_RETRY_AFTER_S_MAX) * 1000 : 0;
}

int64_t registry_retry_ms(int result, const struct transport_reply *reply, int n)
{
	int64_t ms = (int64_t)REGISTRY_BACKOFF_MS << MIN_OF(n - 1, 6);

	if (n >= REGISTRY_TRIES)
		return -1;
	if (result < 0)
		return transport_transient(result) ? ms : -1;
	if (reply->code != 429 && reply->code != 408 && (reply->code < 500 || reply->code == 501))
		return -1;
	return MAX_OF(ms, retry_after_ms(reply));
}

int registry_try(struct registry *r, const struct transport_request *q, struct transport_reply *ret, char *err,
		 size_t err_len)
{
	for (int n = 1;; n++) {
		int k = registry_do(r, q, ret, err, err_len);
		/* A host that isn't there won't be soon: who waits for it has a mirror or a mistake. */
		int64_t ms = k == -ECONNREFUSED && n > 2 ? -1 : registry_retry_ms(k, ret, n);
		if (ms < 0)
			return k;
		transport_reply_release(ret);
		transport_wait_ms(r->transport, ms);
	}
}

/* What the registry says itself: {"errors": [{"code", "message"}]}. */
static void message_of(const struct transport_reply *reply, char out[MESSAGE_MAX])
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json_error je;
	struct json *v = NULL;

	out[0] = 0;
	if (json_parse(&a, buf_str(&reply->body), reply->body.len, &v, &je) < 0)
		return;
	const struct json *first = json_first(json_get(v, "errors"));
	const char *code = json_str(json_get(first, "code")), *message = json_str(json_get(first, "message"));
	if (code || message)
		snprintf(out, MESSAGE_MAX, ": %.80s%s%.180s", str_or(code, ""), code && message ? ": " : "",
			 str_or(message, ""));
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

int registry_failure(const struct transport_reply *reply, const char *what, char *err, size_t err_len)
{
	char message[MESSAGE_MAX];

	message_of(reply, message);
	switch (reply->code) {
	case 401:
	case 403:
		return image_fail(err, err_len, -EACCES,
				  "access denied, repository does not exist or may require authorization%s", message);
	case 404:
		return image_fail(err, err_len, -ENOENT, "%s: not found%s", what, message);
	case 429:
		return image_fail(err, err_len, -EBUSY, "%s: 429 Too Many Requests%s", what, message);
	default:
		return image_fail(err, err_len, reply->code >= 500 ? -EAGAIN : -EPROTO,
				  "%s: %s answers unexpected status %d%s", what, reply->url.host, reply->code, message);
	}
}
