/* SPDX-License-Identifier: Apache-2.0 */
#include "image/registries.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image_internal.h"
#include "base/url.h"

#define REPOSITORY_MAX 256
#define REWRITE_MATCHES_MAX 100000 /* steps of one match: the file is root's, its mistakes are not to hang a pull */

struct mirror {
	const char *registry;
	const struct json *endpoints, *rewrite;
};

struct config {
	const char *authority;
	struct registry_tls tls;
	struct credential auth;
	bool has_auth;
};

struct registries {
	struct arena arena;
	VEC(struct mirror) mirrors;
	VEC(struct config) configs;
};

static int read_mirrors(struct registries *r, const struct json *mirrors, char *err, size_t err_len)
{
	JSON_EACH(v, mirrors) {
		const struct json *endpoints = json_get(v, "endpoint"), *rewrite = json_get(v, "rewrite");
		if (endpoints && (!json_is(endpoints, JSON_ARRAY) || json_len(endpoints) >= REGISTRY_ENDPOINTS_MAX))
			return image_fail(err, err_len, -EINVAL, "mirrors.%s.endpoint is not a list of at most %d URLs",
					  v->key, REGISTRY_ENDPOINTS_MAX - 1);
		JSON_EACH(e, endpoints) {
			struct url u;
			if (!json_str(e) || url_parse(json_str(e), &u) < 0)
				return image_fail(err, err_len, -EINVAL,
						  "mirrors.%s.endpoint: \"%.100s\" is not an http or https URL", v->key,
						  str_or(json_str(e), ""));
			url_release(&u);
		}
		struct mirror m = {v->key, endpoints, rewrite};
		VEC_PUSH(&r->mirrors, m);
	}
	return 0;
}

static int read_configs(struct registries *r, const struct json *configs, char *err, size_t err_len)
{
	JSON_EACH(v, configs) {
		const struct json *tls = json_get(v, "tls"), *skip = json_get(tls, "insecure_skip_verify");
		struct config c = {.authority = v->key};
		if (skip && !json_is(skip, JSON_BOOL))
			return image_fail(err, err_len, -EINVAL,
					  "configs.%s.tls.insecure_skip_verify is neither true nor false", v->key);
		c.tls = (struct registry_tls){.ca_file = json_str(json_get(tls, "ca_file")),
					      .cert_file = json_str(json_get(tls, "cert_file")),
					      .key_file = json_str(json_get(tls, "key_file")),
					      .skip_verify = json_bool(skip, false)};
		c.has_auth = credential_read(json_get(v, "auth"), &c.auth);
		VEC_PUSH(&r->configs, c);
	}
	return 0;
}

int registries_new(const struct json *tree, struct registries **ret, char *err, size_t err_len)
{
	struct registries *r = NEW(struct registries);
	struct json *copy = tree ? json_clone(&r->arena, tree) : NULL;
	int k = 0;

	if (copy && !json_is(copy, JSON_OBJECT) && !json_is(copy, JSON_NULL))
		k = image_fail(err, err_len, -EINVAL, "is not a mapping of mirrors and configs");
	if (k == 0)
		k = read_mirrors(r, json_get(copy, "mirrors"), err, err_len);
	if (k == 0)
		k = read_configs(r, json_get(copy, "configs"), err, err_len);
	if (k < 0) {
		registries_free(r);
		return k;
	}
	*ret = r;
	return 0;
}

void registries_free(struct registries *r)
{
	if (!r)
		return;
	VEC_EACH(c, &r->configs)
		credential_release(&c->auth);
	VEC_RELEASE(&r->configs);
	VEC_RELEASE(&r->mirrors);
	arena_release(&r->arena);
	free(r);
}

/* The first rule that matches decides. */
static char *rewrite(const struct json *rules, const char *repository)
{
	JSON_EACH(rule, rules) {
		PCRE2_UCHAR out[REPOSITORY_MAX];
		PCRE2_SIZE at, len = sizeof(out);
		int error, n = -1;
		pcre2_code *re = pcre2_compile((PCRE2_SPTR)rule->key, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
		pcre2_match_context *limits = re ? pcre2_match_context_create(NULL) : NULL;
		if (limits && json_str(rule)) {
			pcre2_set_match_limit(limits, REWRITE_MATCHES_MAX);
			n = pcre2_substitute(re, (PCRE2_SPTR)repository, PCRE2_ZERO_TERMINATED, 0, 0, NULL, limits,
					     (PCRE2_SPTR)json_str(rule), PCRE2_ZERO_TERMINATED, out, &len);
		}
		pcre2_match_context_free(limits);
		pcre2_code_free(re);
		if (n > 0)
			return xstrndup((const char *)out, len);
	}
	return xstrdup(repository);
}

static bool loopback(const char *registry)
{
	size_t len = strcspn(registry, ":");

	return (len == 9 && memcmp(registry, "localhost", 9) == 0) || str_has_prefix(registry, "127.") ||
	       str_has_prefix(registry, "[::1]");
}

size_t registries_endpoints(const struct registries *r, const char *registry, const char *repository,
			    struct registry_endpoint ret[REGISTRY_ENDPOINTS_MAX])
{
	const struct mirror *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->mirrors.n; i++)
		if (str_eq(r->mirrors.at[i].registry, registry) || (!found && str_eq(r->mirrors.at[i].registry, "*")))
			found = &r->mirrors.at[i];
	JSON_EACH(e, found ? found->endpoints : NULL) {
		char *url = xstrdup(json_str(e));
		size_t len = strlen(url);
		while (len && url[len - 1] == '/')
			url[--len] = 0;
		if (str_has_suffix(url, "/v2"))
			url[len - 3] = 0;
		ret[n++] = (struct registry_endpoint){url, rewrite(found->rewrite, repository), true};
	}
	const char *host = str_eq(registry, "docker.io") ? "registry-1.docker.io" : registry;
	bool plain = loopback(registry) && !registries_tls(r, registry);
	ret[n++] = (struct registry_endpoint){xasprintf("%s://%s", plain ? "http" : "https", host), xstrdup(repository),
					      false};
	return n;
}

void registry_endpoint_release(struct registry_endpoint *e)
{
	free(TAKE_PTR(e->url));
	free(TAKE_PTR(e->repository));
}

static const struct config *find(const struct registries *r, const char *authority)
{
	for (size_t i = 0; i < r->configs.n; i++) {
		const struct config *c = &r->configs.at[i];
		if (str_eq(c->authority, authority))
			return c;
		/* The ports of the schemes go without saying. */
		const char *port = str_after(c->authority, authority);
		if (port && (str_eq(port, ":443") || str_eq(port, ":80")))
			return c;
	}
	return NULL;
}

const struct registry_tls *registries_tls(const struct registries *r, const char *authority)
{
	const struct config *c = find(r, authority);
	bool any = c && (c->tls.ca_file || c->tls.cert_file || c->tls.skip_verify);
	return any ? &c->tls : NULL;
}

const struct credential *registries_auth(const struct registries *r, const char *authority)
{
	const struct config *c = find(r, authority);
	return c && c->has_auth ? &c->auth : NULL;
}
