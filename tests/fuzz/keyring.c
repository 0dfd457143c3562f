/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's config.json and registries.yaml: any file gives credentials and endpoints that can be used, or a reason. */
/* sources: image/keyring.c image/registries.c image/fail.c base/url.c */
/* libs: -lpcre2-8 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/yaml.h"
#include "base/arena.h"
#include "base/json.h"
#include "image/keyring.h"
#include "image/registries.h"

static const char *const images[] = {"docker.io/library/nginx", "example.com/team/app", "a.b.example.com:5000/x",
				     "localhost/y"};

static void match(const struct json *config)
{
	struct keyring *k = keyring_new();
	const struct credential *c;

	keyring_add_docker(k, config, false);
	keyring_add_docker(k, config, true);
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++)
		for (size_t n = 0; (c = keyring_match(k, images[i], n)); n++)
			assert(n < KEYRING_MAX &&
			       (c->username || c->password || c->identity_token || c->registry_token));
	keyring_free(k);
}

static void reach(const struct json *tree)
{
	struct registry_endpoint to[REGISTRY_ENDPOINTS_MAX];
	struct registries *r;
	char why[256] = "";

	if (registries_new(tree, &r, why, sizeof(why)) < 0) {
		assert(*why);
		return;
	}
	size_t n = registries_endpoints(r, "docker.io", "library/nginx", to);
	assert(n && n <= REGISTRY_ENDPOINTS_MAX);
	for (size_t i = 0; i < n; i++) {
		assert(to[i].url && to[i].repository);
		registry_endpoint_release(&to[i]);
	}
	registries_tls(r, "example.com");
	registries_auth(r, "example.com:5000");
	registries_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v;

	if (yaml_parse(&a, (const char *)data, size, NULL, NULL, &v, NULL) < 0)
		return 0;
	match(v);
	reach(v);
	return 0;
}
