/* SPDX-License-Identifier: Apache-2.0 */
/* Files that configure the server: audit, encryption, authentication. Refused with a reason, or usable. */
/* sources: server/audit_policy.c server/encryption.c server/authn_options.c server/jwt.c server/jwk.c base/url.c */
/* libs: -lcrypto */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "server/audit_policy.h"
#include "server/auth.h"
#include "server/authn_options.h"
#include "server/encryption.h"
#include "store/store.h"

static void decide(const struct audit_policy *p)
{
	static const char *const groups[] = {"g"};
	static const struct user user = {.name = "u", .groups = groups, .n_groups = 1};
	struct authz_attributes at = {.user = &user,
				      .verb = "get",
				      .group = "",
				      .version = "v1",
				      .resource = "pods",
				      .subresource = "log",
				      .ns = "n",
				      .name = "a",
				      .path = "/healthz",
				      .resource_request = true};

	assert(audit_policy_decide(p, &at).level <= AUDIT_REQUEST_RESPONSE);
	at.resource_request = false;
	at.user = NULL;
	assert(audit_policy_decide(p, &at).level <= AUDIT_REQUEST_RESPONSE);
}

static void round_trip(const struct store_codec *c)
{
	static const char key[] = "/registry/secrets/n/a";
	_cleanup_bytes_ struct bytes *plain = bytes_new("{}", 2), *sealed = NULL, *got = NULL;
	bool stale;
	char why[160];

	assert(c->seal(c->self, key, plain, &sealed) == 0);
	if (!sealed)
		return;
	assert(c->open(c->self, key, sealed->data, sealed->len, &got, &stale, why, sizeof(why)) == 0);
	assert(got->len == 2 && !stale);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_status_ struct status policy_err = STATUS_INIT, encryption_err = STATUS_INIT, authn_err = STATUS_INIT;
	struct authn_options authn;
	struct audit_policy *p = NULL;
	struct encryption *e = NULL;

	if (audit_policy_parse((const char *)data, size, &p, &policy_err) == 0)
		decide(p);
	else
		assert(policy_err.message[0]);
	if (encryption_parse((const char *)data, size, &e, &encryption_err) == 0)
		round_trip(encryption_codec(e));
	else
		assert(encryption_err.message[0]);
	if (authn_options_parse((const char *)data, size, "https://own", &authn, &authn_err) < 0) {
		assert(authn_err.message[0]);
	} else {
		for (size_t i = 0; i < authn.n_issuers; i++)
			assert(authn.issuers[i].username.claim && authn.issuers[i].discovery_url);
		authn_options_release(&authn);
	}
	audit_policy_free(p);
	encryption_free(e);
	return 0;
}
