/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a certificate request asks for, and which requests the built-in signers accept (Kubernetes documentation,
 * "Certificates and Certificate Signing Requests", Kubernetes signers). Pure rules: who parses PKCS #10 and who signs
 * is in server/pki.h.
 */
#ifndef PROA_API_CSR_H
#define PROA_API_CSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;
struct status;

#define SIGNER_API_CLIENT "kubernetes.io/kube-apiserver-client"
#define SIGNER_KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define SIGNER_KUBELET_SERVING "kubernetes.io/kubelet-serving"

#define CSR_SECONDS_MIN 600 /* shorter wishes are served with this: twice what certificates are backdated */

struct csr_facts {
	const char *common_name; /* "" when absent */
	const char *const *organizations;
	size_t n_organizations;
	size_t dns_names, addresses, emails, uris; /* subject alternative names of each kind */
};

/* Who reads and signs requests, for rooms that know nothing of X.509. request: spec.request, base64 of PEM. */
struct certificate_authority {
	void *self;
	/* 0, or -1 when it cannot be read or its signature does not verify. Strings are in a. */
	int (*facts)(void *self, const char *request, struct arena *a, struct csr_facts *ret);
	/* A certificate with the request's subject and names for these usages; seconds 0: the default. PEM in a. */
	int (*sign)(void *self, const char *request, const struct json *usages, int64_t seconds, struct arena *a,
		    char **ret_pem, struct status *err);
};

/* NULL when the signer takes such a request, else why not (a static string). usages: spec.usages. */
const char *csr_refusal(const char *signer, const struct csr_facts *f, const struct json *usages);
/* A signer of this cluster: the requests of others are other people's. */
bool csr_signer_known(const char *signer);

#endif
