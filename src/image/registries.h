/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How registries are reached, by a file with what k3s' registries.yaml has:
 *
 *   mirrors:
 *     docker.io:                       # a registry's name in references; "*": every other
 *       endpoint: ["https://mirror.example.com:5000", "http://10.0.0.7:5000/cache"]
 *       rewrite: {"^library/(.*)": "hub/$1"}   # regular expressions on the repository, for mirrors only
 *   configs:
 *     "mirror.example.com:5000":       # host and port of an endpoint
 *       auth: {username: u, password: p}       # or auth: base64(u:p), or identity_token
 *       tls: {ca_file: /etc/ssl/my-ca.pem, cert_file: c.pem, key_file: k.pem, insecure_skip_verify: true}
 *
 * Mirrors are tried in order, then the registry itself. An http endpoint is plain by its being written so; a registry
 * without configuration is reached by https, on a loopback address by http.
 */
#ifndef PROA_IMAGE_REGISTRIES_H
#define PROA_IMAGE_REGISTRIES_H

#include <stdbool.h>
#include <stddef.h>

#include "image/keyring.h"

struct json;
struct registries;

#define REGISTRY_ENDPOINTS_MAX 16

struct registry_tls {
	const char *ca_file, *cert_file, *key_file; /* NULL: none */
	bool skip_verify;
};

/* tree: the file as read (YAML or JSON), NULL for none. -EINVAL with a reason that names the place. */
int registries_new(const struct json *tree, struct registries **ret, char *err, size_t err_len);
void registries_free(struct registries *r); /* NULL-safe */

struct registry_endpoint {
	char *url;	  /* "https://mirror.example.com:5000/cache", no slash at the end */
	char *repository; /* rewritten for it */
	bool mirror;
};
/* Where to get images of registry (a reference's first part, "docker.io"), in order. The number; free each. */
size_t registries_endpoints(const struct registries *r, const char *registry, const char *repository,
			    struct registry_endpoint ret[REGISTRY_ENDPOINTS_MAX]);
void registry_endpoint_release(struct registry_endpoint *e);
/* authority: "host" or "host:port". NULL: nothing is configured. */
const struct registry_tls *registries_tls(const struct registries *r, const char *authority);
const struct credential *registries_auth(const struct registries *r, const char *authority);

#endif
