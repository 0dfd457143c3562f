/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials for registries, as docker's config.json, kubernetes.io/dockerconfigjson and dockercfg hold them, matched
 * as the kubelet does: a key may have a path ("example.com/team"), which must be a leading part of the image's, and
 * globs in each label of its host ("*.example.com"). Of several that match, the more particular one is tried first.
 */
#ifndef PROA_IMAGE_KEYRING_H
#define PROA_IMAGE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>

struct json;

#define KEYRING_MAX 1024 /* credentials; a pod with more has a mistake */

struct credential {
	char *username, *password;
	char *identity_token; /* an OAuth2 refresh token */
	char *registry_token; /* a bearer token, to be sent as it is */
};

struct keyring;

struct keyring *keyring_new(void);
void keyring_free(struct keyring *k); /* NULL-safe */
/* config: {"auths": {...}}; legacy: the auths themselves (.dockercfg). Entries that say nothing are skipped. */
void keyring_add_docker(struct keyring *k, const struct json *config, bool legacy);
/* Copies c. key: "example.com", "https://example.com/v1/", "*.example.com/team" */
void keyring_add(struct keyring *k, const char *key, const struct credential *c);
/* The i-th best for "docker.io/library/nginx" (no tag), or NULL. Valid until the keyring changes. */
const struct credential *keyring_match(const struct keyring *k, const char *image, size_t i);
void credential_release(struct credential *c);
/* {"username", "password", "auth", "identitytoken", "registrytoken"}; false: says nothing. */
bool credential_read(const struct json *v, struct credential *ret);

#endif
