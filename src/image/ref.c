/* SPDX-License-Identifier: Apache-2.0 */
/* References, by the grammar of the distribution project: [domain/]path[:tag][@digest]. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"

#define NAME_MAX_LEN 255
#define TAG_MAX_LEN 128

static bool lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alnum(char c)
{
	return lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

bool image_hex_valid(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return s[len] == 0;
}

bool image_id_valid(const char *s)
{
	const char *hex = s ? str_after(s, "sha256:") : NULL;
	return hex && strlen(hex) == SHA256_HEX && image_hex_valid(hex, SHA256_HEX);
}

/* Letters and digits, with one '.', one or two '_', or any number of '-' between them. */
static bool component_valid(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t start = i;
		while (i < len && lower_alnum(s[i]))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		char c = s[i];
		size_t n = strspn(s + i, (char[]){c, 0});
		if (i + n >= len || (c != '.' && c != '_' && c != '-') || (c == '.' && n > 1) || (c == '_' && n > 2))
			return false;
		i += n;
	}
	return false;
}

static bool path_valid(const char *s)
{
	for (;;) {
		size_t len = strcspn(s, "/");
		if (!component_valid(s, len))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

/* Host name, IPv4 address or [IPv6 address], with an optional port. */
static bool domain_valid(const char *s, size_t len)
{
	size_t i = 0;

	if (len && s[0] == '[') {
		for (i = 1; i < len && s[i] != ']'; i++)
			if (!strchr("0123456789abcdefABCDEF:.", s[i]))
				return false;
		if (i++ == len)
			return false;
	} else {
		for (; i < len && s[i] != ':'; i++) {
			bool edge = i == 0 || s[i - 1] == '.' || i + 1 == len || s[i + 1] == '.' || s[i + 1] == ':';
			if (!alnum(s[i]) && (edge || (s[i] != '-' && s[i] != '.')))
				return false;
		}
	}
	if (i == 0)
		return false;
	if (i == len)
		return true;
	if (s[i++] != ':' || i == len)
		return false;
	for (; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static bool tag_valid(const char *s)
{
	size_t len = strlen(s);

	if (!len || len > TAG_MAX_LEN || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!alnum(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-')
			return false;
	return true;
}

static bool digest_valid(const char *s)
{
	const char *hex = str_after(s, "sha512:");
	return image_id_valid(s) || (hex && strlen(hex) == 128 && image_hex_valid(hex, 128));
}

/* The first component is a domain when it looks like one, else it belongs to docker.io. */
static bool has_domain(const char *name, size_t first)
{
	if (!name[first])
		return false;
	for (size_t i = 0; i < first; i++)
		if (name[i] == '.' || name[i] == ':' || (name[i] >= 'A' && name[i] <= 'Z'))
			return true;
	return first == strlen("localhost") && memcmp(name, "localhost", first) == 0;
}

static int name_normalize(const char *name, struct buf *out)
{
	size_t first = strcspn(name, "/"), start = out->len;
	const char *path = name;

	if (strlen(name) == SHA256_HEX && image_hex_valid(name, SHA256_HEX))
		return -EINVAL; /* would be taken for an image id */
	if (has_domain(name, first)) {
		if (!domain_valid(name, first))
			return -EINVAL;
		path = name + first + 1;
		if (first == strlen("index.docker.io") && memcmp(name, "index.docker.io", first) == 0)
			buf_adds(out, "docker.io");
		else
			buf_add(out, name, first);
	} else {
		buf_adds(out, "docker.io");
	}
	if (!path_valid(path))
		return -EINVAL;
	if (str_eq(buf_str(out) + start, "docker.io") && !strchr(path, '/'))
		buf_adds(out, "/library");
	buf_addc(out, '/');
	buf_adds(out, path);
	return out->len - start > NAME_MAX_LEN ? -EINVAL : 0;
}

int image_ref_normalize(const char *ref, struct buf *out)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (str_empty(ref) || strlen(ref) > IMAGE_REF_MAX)
		return -EINVAL;
	if (image_id_valid(ref)) {
		buf_adds(out, ref);
		return 0;
	}
	_cleanup_free_ char *name = xstrdup(ref);
	char *digest = strchr(name, '@'), *slash, *tag;
	if (digest)
		*digest++ = 0;
	slash = strrchr(name, '/');
	tag = strchr(slash ? slash : name, ':');
	if (tag)
		*tag++ = 0;
	if ((digest && !digest_valid(digest)) || (tag && !tag_valid(tag)))
		return -EINVAL;
	int r = name_normalize(name, &b);
	if (r < 0)
		return r;
	buf_addf(out, "%s%c%s", buf_str(&b), digest ? '@' : ':', digest ? digest : tag ? tag : "latest");
	return 0;
}
