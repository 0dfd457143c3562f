/* SPDX-License-Identifier: Apache-2.0 */
#include "api/csr.h"

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"

/* All of must, and of the rest only those of may. Both end with NULL. */
static bool usages_are(const struct json *usages, const char *const *must, const char *const *may)
{
	JSON_EACH(u, usages) {
		const char *s = json_str(u);
		if (!s || (!str_in(s, must) && !str_in(s, may)))
			return false;
	}
	for (; *must; must++) {
		bool found = false;
		JSON_EACH(u, usages)
			found |= str_eq(json_str(u), *must);
		if (!found)
			return false;
	}
	return true;
}

static const char *check_node_subject(const struct csr_facts *f)
{
	if (f->n_organizations != 1 || !str_eq(f->organizations[0], "system:nodes"))
		return "subject organization is not system:nodes";
	if (!str_has_prefix(f->common_name, "system:node:"))
		return "subject common name does not begin with system:node:";
	return NULL;
}

static const char *refuse_kubelet_client(const struct csr_facts *f, const struct json *usages)
{
	static const char *const must[] = {"digital signature", "client auth", NULL}, *const may[] = {
											  "key encipherment", NULL};
	const char *why = check_node_subject(f);

	if (why)
		return why;
	if (f->dns_names)
		return "DNS subjectAltNames are not allowed";
	if (f->emails)
		return "Email subjectAltNames are not allowed";
	if (f->addresses)
		return "IP subjectAltNames are not allowed";
	if (f->uris)
		return "URI subjectAltNames are not allowed";
	return usages_are(usages, must, may) ? NULL
					     : "usages did not match [client auth digital signature key encipherment]";
}

static const char *refuse_kubelet_serving(const struct csr_facts *f, const struct json *usages)
{
	static const char *const must[] = {"digital signature", "server auth", NULL}, *const may[] = {
											  "key encipherment", NULL};
	const char *why = check_node_subject(f);

	if (why)
		return why;
	if (!f->dns_names && !f->addresses)
		return "DNS or IP subjectAltName is required";
	if (f->emails)
		return "Email subjectAltNames are not allowed";
	if (f->uris)
		return "URI subjectAltNames are not allowed";
	return usages_are(usages, must, may) ? NULL
					     : "usages did not match [digital signature key encipherment server auth]";
}

static const char *refuse_client(const struct csr_facts *f, const struct json *usages)
{
	static const char *const must[] = {"client auth", NULL}, *const may[] = {"digital signature",
										 "key encipherment", NULL};
	(void)f;

	return usages_are(usages, must, may) ? NULL
					     : "usages of a client certificate are client auth, which is required, "
					       "digital signature and key encipherment";
}

static const struct {
	const char *name;
	const char *(*refuse)(const struct csr_facts *f, const struct json *usages);
} signers[] = {
    {SIGNER_API_CLIENT, refuse_client},
    {SIGNER_KUBELET_CLIENT, refuse_kubelet_client},
    {SIGNER_KUBELET_SERVING, refuse_kubelet_serving},
};

const char *csr_refusal(const char *signer, const struct csr_facts *f, const struct json *usages)
{
	for (size_t i = 0; i < ARRAY_SIZE(signers); i++)
		if (str_eq(signers[i].name, signer))
			return signers[i].refuse(f, usages);
	return "unrecognized signer";
}

bool csr_signer_known(const char *signer)
{
	for (size_t i = 0; i < ARRAY_SIZE(signers); i++)
		if (str_eq(signers[i].name, signer))
			return true;
	return false;
}
