/* SPDX-License-Identifier: Apache-2.0 */
/* http and https URLs (RFC 3986), as configuration, and servers in Location, give them. Pure. */
#ifndef PROA_BASE_URL_H
#define PROA_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>

#define URL_MAX 16384 /* signed locations of object stores have some thousand characters */
#define URL_HOST_MAX 256

struct url {
	bool tls;
	char host[URL_HOST_MAX]; /* without brackets, lower case */
	unsigned port;		 /* the scheme's own when none was given */
	char *path;		 /* with query, "/" at least; the caller's to free (url_release) */
};

/* 0 or -EINVAL: another scheme, user information, no host, bytes that don't belong. ret is untouched then. */
int url_parse(const char *text, struct url *ret);
/* reference may be absolute, "//host/path", "/path", "?query" or relative to base's path. */
int url_resolve(const struct url *base, const char *reference, struct url *ret);
void url_copy(struct url *to, const struct url *from);
void url_release(struct url *u);
bool url_same_origin(const struct url *a, const struct url *b);
/* "host" or "host:port" when it isn't the scheme's; IPv6 in brackets. Returns out. */
char *url_authority(const struct url *u, char out[URL_HOST_MAX + 16]);

#endif
