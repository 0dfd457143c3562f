/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CertificateApproval, CertificateSigning, CertificateSubjectRestriction, ClusterTrustBundleAttest: rights on signers
 * besides those on the objects. A right on "domain/(star)" covers every signer of the domain.
 */
#include <string.h>

#include "api/csr.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"
#include "server/registry_internal.h"

#define CERTIFICATES "certificates.k8s.io"

static bool may_name(const struct admission *a, const char *verb, const char *name)
{
	char reason[AUTHZ_REASON_MAX];
	struct authz_attributes at = {.user = a->user,
				      .verb = verb,
				      .group = CERTIFICATES,
				      .version = "*",
				      .resource = "signers",
				      .subresource = "",
				      .ns = "",
				      .name = name,
				      .path = "",
				      .resource_request = true};
	return auth_allowed(a->registry->auth, &at, reason);
}

/* Writes without a user are the server's own. */
static bool may(const struct admission *a, const char *verb, const char *signer)
{
	const char *slash = strchr(signer, '/');
	const char *domain = slash ? arena_printf(a->arena, "%.*s/*", (int)(slash - signer), signer)
				   : arena_printf(a->arena, "%s/*", signer);

	return !a->user || may_name(a, verb, signer) || may_name(a, verb, domain);
}

static const char *signer_of(const struct json *object)
{
	return str_or(json_path_str(object, "spec.signerName"), "");
}

static bool same(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return !json_len(a) && !json_len(b) && str_empty(json_str(a)) && str_empty(json_str(b));
	return json_equal(a, b);
}

static int check_request_update(const struct admission *a, struct status *err)
{
	const struct json *old = a->old ? object_tree(a->old, a->arena) : NULL;
	const char *signer = signer_of(old ? old : a->object);

	if (strcmp(a->subresource, "approval") == 0)
		return may(a, "approve", signer)
			   ? 0
			   : admission_forbid(a, err, "user not permitted to approve requests with signerName \"%s\"",
					      signer);
	if (strcmp(a->subresource, "status") != 0 ||
	    (same(json_path(old, "status.certificate"), json_path(a->object, "status.certificate")) &&
	     same(json_path(old, "status.conditions"), json_path(a->object, "status.conditions"))))
		return 0;
	return may(a, "sign", signer)
		   ? 0
		   : admission_forbid(a, err, "user not permitted to sign requests with signerName \"%s\"", signer);
}

/* Nobody becomes an administrator by a certificate: the group is for the cluster's own. */
static int check_subject(const struct admission *a, struct status *err)
{
	const struct certificate_authority *p = a->registry->ca;
	const char *request = json_path_str(a->object, "spec.request");
	struct csr_facts f;

	if (!str_eq(signer_of(a->object), SIGNER_API_CLIENT) || !p || !request)
		return 0;
	if (p->facts(p->self, request, a->arena, &f) < 0)
		return 0; /* what cannot be read is refused by validation, and never signed */
	for (size_t i = 0; i < f.n_organizations; i++)
		if (strcmp(f.organizations[i], GROUP_MASTERS) == 0)
			return admission_forbid(a, err, "use of %s signer with %s group is not allowed",
						SIGNER_API_CLIENT, GROUP_MASTERS);
	return 0;
}

static int check_request(const struct admission *a, struct status *err)
{
	if (a->operation == ADMIT_CREATE)
		return *a->subresource ? 0 : check_subject(a, err);
	return check_request_update(a, err);
}

const struct admission_plugin admission_certificate_requests = {
    .name = "CertificateApproval",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .group = CERTIFICATES,
    .resource = "certificatesigningrequests",
    .validate = check_request,
};

static int check_bundle(const struct admission *a, struct status *err)
{
	const struct json *old = a->old ? object_tree(a->old, a->arena) : NULL;
	const char *signers[] = {signer_of(old), a->operation == ADMIT_DELETE ? "" : signer_of(a->object)};

	if (a->operation == ADMIT_DELETE)
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (*signers[i] && !may(a, "attest", signers[i]))
			return admission_forbid(a, err, "user not permitted to attest for signerName \"%s\"",
						signers[i]);
	return 0;
}

const struct admission_plugin admission_trust_bundles = {
    .name = "ClusterTrustBundleAttest",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .group = CERTIFICATES,
    .resource = "clustertrustbundles",
    .validate = check_bundle,
};
