/* SPDX-License-Identifier: Apache-2.0 */
#include "image/keyring.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"

struct entry {
	char *key; /* "host[:port][/path]" */
	struct credential c;
};

struct keyring {
	VEC(struct entry) all; /* the longest key first */
};

void credential_release(struct credential *c)
{
	free(c->username);
	free(c->password);
	free(c->identity_token);
	free(c->registry_token);
	*c = (struct credential){0};
}

static void auth_decode(const char *auth, struct credential *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (base64_decode(&b, auth, strlen(auth)) < 0)
		return;
	char *text = (char *)(uintptr_t)buf_str(&b), *colon = strchr(text, ':');
	if (!colon)
		return;
	free(c->username);
	free(c->password);
	c->username = xstrndup(text, (size_t)(colon - text));
	c->password = xstrdup(colon + 1);
}

bool credential_read(const struct json *v, struct credential *ret)
{
	const char *auth = json_str(json_get(v, "auth"));
	struct credential c = {
	    .username = xstrdup(json_str(json_get(v, "username"))),
	    .password = xstrdup(json_str(json_get(v, "password"))),
	    .identity_token =
		xstrdup(str_or(json_str(json_get(v, "identitytoken")), json_str(json_get(v, "identity_token")))),
	    .registry_token = xstrdup(json_str(json_get(v, "registrytoken"))),
	};

	if (!str_empty(auth))
		auth_decode(auth, &c);
	if (str_empty(c.username) && str_empty(c.identity_token) && str_empty(c.registry_token)) {
		credential_release(&c);
		return false;
	}
	*ret = c;
	return true;
}

struct keyring *keyring_new(void)
{
	return NEW(struct keyring);
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	VEC_EACH(e, &k->all) {
		free(e->key);
		credential_release(&e->c);
	}
	VEC_RELEASE(&k->all);
	free(k);
}

/* "https://index.docker.io/v1/" -> "index.docker.io": the scheme and the API's version say nothing. */
static char *key_clean(const char *key)
{
	const char *rest = strstr(key, "://");
	char *s = xstrdup(rest ? rest + 3 : key);
	size_t len = strlen(s);

	while (len && s[len - 1] == '/')
		s[--len] = 0;
	char *slash = strchr(s, '/');
	if (slash && (str_eq(slash, "/v1") || str_eq(slash, "/v2")))
		*slash = 0;
	return s;
}

void keyring_add(struct keyring *k, const char *key, const struct credential *c)
{
	struct entry e = {
	    .key = key_clean(key),
	    .c = {xstrdup(c->username), xstrdup(c->password), xstrdup(c->identity_token), xstrdup(c->registry_token)}};
	size_t at = 0, len = strlen(e.key);

	if (k->all.n == KEYRING_MAX) {
		free(e.key);
		credential_release(&e.c);
		return;
	}
	while (at < k->all.n && strlen(k->all.at[at].key) >= len)
		at++;
	VEC_PUSH(&k->all, e);
	memmove(&k->all.at[at + 1], &k->all.at[at], (k->all.n - 1 - at) * sizeof(e));
	k->all.at[at] = e;
}

void keyring_add_docker(struct keyring *k, const struct json *config, bool legacy)
{
	const struct json *auths = legacy ? config : json_get(config, "auths");
	struct credential c;

	if (!json_is(auths, JSON_OBJECT))
		return;
	JSON_EACH(v, auths) {
		if (!credential_read(v, &c))
			continue;
		keyring_add(k, v->key, &c);
		credential_release(&c);
	}
}

/* Label by label, so that "*" never stands for a dot; a port must be the same. */
static bool host_matches(const char *pattern, size_t pattern_len, const char *host, size_t host_len)
{
	_cleanup_free_ char *p = xstrndup(pattern, pattern_len), *h = xstrndup(host, host_len);
	char *pp = p, *hp = h, *a, *b, *pattern_port = strchr(p, ':'), *host_port = strchr(h, ':');

	if (!str_eq(pattern_port, host_port))
		return false;
	if (pattern_port)
		*pattern_port = *host_port = 0;
	do {
		a = strsep(&pp, ".");
		b = strsep(&hp, ".");
		if (!a || !b || fnmatch(a, b, FNM_NOESCAPE) != 0)
			return false;
	} while (pp || hp);
	return true;
}

/* Docker's own registry has several names. */
static bool is_hub(const char *s, size_t len)
{
	static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && memcmp(names[i], s, len) == 0)
			return true;
	return false;
}

static bool key_matches(const char *key, const char *image)
{
	size_t key_host = strcspn(key, "/"), host = strcspn(image, "/");
	const char *key_path = key + key_host, *path = image + host;
	size_t len = strlen(key_path);

	if (!(is_hub(key, key_host) && is_hub(image, host)) && !host_matches(key, key_host, image, host))
		return false;
	return strncmp(path, key_path, len) == 0 && (!len || !path[len] || path[len] == '/');
}

const struct credential *keyring_match(const struct keyring *k, const char *image, size_t i)
{
	for (size_t n = 0; k && n < k->all.n; n++)
		if (key_matches(k->all.at[n].key, image) && i-- == 0)
			return &k->all.at[n].c;
	return NULL;
}
