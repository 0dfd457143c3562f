/* SPDX-License-Identifier: Apache-2.0 */
/* What clients send in DER and PEM: certificate requests, and the certificates that say who they are. */
/* sources: server/pki_csr.c server/pki.c server/jwt.c server/jwk.c */
/* libs: -lssl -lcrypto */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/csr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/pki.h"

static void read_request(const char *request, struct arena *a)
{
	struct certificate_authority ca = pki_authority(NULL);
	struct csr_facts f;

	if (ca.facts(ca.self, request, a, &f) < 0)
		return;
	assert(f.common_name);
	for (size_t i = 0; i < f.n_organizations; i++)
		assert(f.organizations[i]);
	csr_refusal(SIGNER_KUBELET_CLIENT, &f, json_new(a, JSON_ARRAY));
	csr_refusal(SIGNER_KUBELET_SERVING, &f, json_new(a, JSON_ARRAY));
}

static void read_subject(const uint8_t *der, size_t size)
{
	char *name, **groups;
	int64_t expires_s;

	if (pki_subject(der, size, &name, &groups, &expires_s) < 0)
		return;
	assert(name && strlen(name) <= size);
	for (char **g = groups; *g; g++)
		free(*g);
	free(groups);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf pem = BUF_INIT, request = BUF_INIT;

	if (size && *data == 0x30) {
		read_subject(data, size);
		buf_adds(&pem, "-----BEGIN CERTIFICATE REQUEST-----\n");
		base64_encode(&pem, data, size);
		buf_adds(&pem, "\n-----END CERTIFICATE REQUEST-----\n");
	} else {
		read_request(arena_strndup(&a, (const char *)data, size), &a);
		buf_add(&pem, data, size);
	}
	base64_encode(&request, buf_str(&pem), pem.len);
	read_request(buf_str(&request), &a);
	return 0;
}
