/* SPDX-License-Identifier: Apache-2.0 */
#include "build/fetch.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "image/pull.h"
#include "image/transport.h"
#include "base/url.h"

static int on_body(void *arg, const void *p, size_t len)
{
	struct buf *out = arg;
	buf_add(out, p, len);
	return buf_failed(out) ? -EFBIG : 0;
}

int fetch_url(const struct image_transfer *t, const char *url, struct buf *out, char *err, size_t err_len)
{
	struct url u;
	struct transport *transport;
	struct transport_reply reply = {0};
	if (url_parse(url, &u) < 0) {
		snprintf(err, err_len, "%s is no URL", url);
		return -EINVAL;
	}
	int r = transport_new(t ? t->registries : NULL, t ? t->limits : NULL, &transport);
	if (r < 0) {
		url_release(&u);
		snprintf(err, err_len, "%s: no connection can be made", url);
		return r;
	}
	buf_init(out, FETCH_BYTES_MAX);
	struct transport_request q = {.method = "GET", .url = &u, .on_body = on_body, .arg = out};
	r = transport_do(transport, &q, &reply, err, err_len);
	if (r == 0 && (reply.code < 200 || reply.code > 299)) {
		snprintf(err, err_len, "%s: the server answered %d", url, reply.code);
		r = reply.code == 404 ? -ENOENT : -EIO;
	}
	transport_reply_release(&reply);
	transport_free(transport);
	url_release(&u);
	return r;
}
