/* SPDX-License-Identifier: Apache-2.0 */
#include "base/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static bool bytes_valid(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || *s == '"' || *s == '<' || *s == '>' ||
		    *s == '\\')
			return false;
	return true;
}

static int host_set(struct url *u, const char *s, size_t len, bool six)
{
	if (!len || len >= URL_HOST_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 0x20) : s[i];
		bool ok = six ? strchr("0123456789abcdef:.", c) != NULL
			      : (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
		if (!ok)
			return -EINVAL;
		u->host[i] = c;
	}
	u->host[len] = 0;
	return 0;
}

/* "host", "host:port", "[::1]:port" */
static int authority_parse(struct url *u, const char *s, size_t len)
{
	const char *end = s + len, *close, *colon;
	char port[8];
	int64_t n;

	if (memchr(s, '@', len))
		return -EINVAL;
	if (len && *s == '[') {
		close = memchr(s, ']', len);
		if (!close || host_set(u, s + 1, (size_t)(close - s - 1), true) < 0)
			return -EINVAL;
		colon = close + 1;
		if (colon != end && *colon != ':')
			return -EINVAL;
	} else {
		colon = memchr(s, ':', len);
		if (!colon)
			colon = end;
		if (host_set(u, s, (size_t)(colon - s), false) < 0)
			return -EINVAL;
	}
	u->port = u->tls ? 443 : 80;
	if (colon == end)
		return 0;
	len = (size_t)(end - colon - 1);
	if (len >= sizeof(port))
		return -EINVAL;
	memcpy(port, colon + 1, len);
	port[len] = 0;
	if (parse_int_range(port, 1, 65535, &n) < 0)
		return -EINVAL;
	u->port = (unsigned)n;
	return 0;
}

int url_parse(const char *text, struct url *ret)
{
	struct url u = {0};
	const char *rest;

	if (strlen(text) > URL_MAX || !bytes_valid(text))
		return -EINVAL;
	if (strncasecmp(text, "https://", 8) == 0) {
		u.tls = true;
		rest = text + 8;
	} else if (strncasecmp(text, "http://", 7) == 0) {
		rest = text + 7;
	} else {
		return -EINVAL;
	}
	size_t len = strcspn(rest, "/?#");
	int r = authority_parse(&u, rest, len);
	if (r < 0)
		return r;
	rest += len;
	len = strcspn(rest, "#");
	u.path = xasprintf("%s%.*s", *rest == '/' ? "" : "/", (int)len, rest);
	*ret = u;
	return 0;
}

int url_resolve(const struct url *base, const char *reference, struct url *ret)
{
	char authority[URL_HOST_MAX + 16];
	const char *colon = strchr(reference, ':');
	size_t dir = strcspn(base->path, "?");

	/* A scheme: a colon before any of these. */
	if (colon && (size_t)(colon - reference) < strcspn(reference, "/?#"))
		return url_parse(reference, ret);
	const char *scheme = base->tls ? "https" : "http";
	url_authority(base, authority);
	_cleanup_free_ char *text = NULL;
	if (str_has_prefix(reference, "//")) {
		text = xasprintf("%s:%s", scheme, reference);
	} else if (*reference == '/') {
		text = xasprintf("%s://%s%s", scheme, authority, reference);
	} else {
		while (*reference != '?' && *reference && dir && base->path[dir - 1] != '/')
			dir--;
		text = xasprintf("%s://%s%.*s%s", scheme, authority, (int)dir, base->path, reference);
	}
	return url_parse(text, ret);
}

void url_copy(struct url *to, const struct url *from)
{
	*to = *from;
	to->path = xstrdup(from->path);
}

void url_release(struct url *u)
{
	free(TAKE_PTR(u->path));
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && a->port == b->port && str_eq(a->host, b->host);
}

char *url_authority(const struct url *u, char out[URL_HOST_MAX + 16])
{
	bool six = strchr(u->host, ':') != NULL, usual = u->port == (u->tls ? 443u : 80u);
	int n = snprintf(out, URL_HOST_MAX + 16, six ? "[%s]" : "%s", u->host);

	if (!usual)
		snprintf(out + n, (size_t)(URL_HOST_MAX + 16 - n), ":%u", u->port);
	return out;
}
