/* SPDX-License-Identifier: Apache-2.0 */
/* CertificateSigningRequest, PodCertificateRequest, ClusterTrustBundle. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#define CSR "CertificateSigningRequest"
#define PCR "PodCertificateRequest"
#define BUNDLE "ClusterTrustBundle"

/* Upstream's bounds. */
#define EXPIRATION_S_MIN 600
#define POD_EXPIRATION_S_MIN 3600
#define POD_EXPIRATION_S_MAX 7862400 /* 91 days */
#define KUBERNETES_EXPIRATION_S_MAX 86400
#define SIGNER_BYTES_MAX 571 /* a namespace, a host name of 253 and a slash with a path */

static const char *rule_signer(const char *s)
{
	static const char form[] = "must be a fully qualified domain and path of the form \"example.com/signer-name\"";
	const char *slash = strchr(s, '/');
	char part[NAME_MAX_DNS_SUBDOMAIN + 1];

	if (!slash || strchr(slash + 1, '/'))
		return form;
	if ((size_t)(slash - s) >= sizeof(part) || strlen(s) > SIGNER_BYTES_MAX)
		return "is too long";
	snprintf(part, sizeof(part), "%.*s", (int)(slash - s), s);
	if (name_check_dns1123_subdomain(part))
		return name_check_dns1123_subdomain(part);
	if (!strchr(part, '.'))
		return "should be a domain with at least two segments separated by dots";
	/* The path's dots separate labels, too. */
	return name_check_dns1123_subdomain(slash + 1);
}

static const struct rule rules[] = {
    REQUIRED(CSR, "spec.signerName"),
    NAME(CSR, "spec.signerName", rule_signer),
    REQUIRED(CSR, "spec.request"),
    REQUIRED(CSR, "spec.usages"),
    UNIQUE(CSR, "spec.usages", NULL),
    RANGE(CSR, "spec.expirationSeconds", EXPIRATION_S_MIN, INT64_MAX,
	  "may not specify a duration less than 600 seconds (10 minutes)"),
    REQUIRED(PCR, "spec.signerName"),
    NAME(PCR, "spec.signerName", rule_signer),
    REQUIRED(PCR, "spec.podName"),
    NAME(PCR, "spec.podName", name_check_dns1123_subdomain),
    REQUIRED(PCR, "spec.podUID"),
    REQUIRED(PCR, "spec.serviceAccountName"),
    NAME(PCR, "spec.serviceAccountName", name_check_dns1123_subdomain),
    REQUIRED(PCR, "spec.serviceAccountUID"),
    REQUIRED(PCR, "spec.nodeName"),
    NAME(PCR, "spec.nodeName", name_check_dns1123_subdomain),
    REQUIRED(PCR, "spec.nodeUID"),
    REQUIRED(PCR, "spec.stubPKCS10Request"),
    IMMUTABLE(PCR, "spec"),
    NAME(BUNDLE, "spec.signerName", rule_signer),
    IMMUTABLE(BUNDLE, "spec.signerName"),
};

static void free_bio(BIO **b)
{
	BIO_free(*b);
}
#define _cleanup_bio_ _cleanup_(free_bio)

static bool decode_bytes(const struct json *v, struct buf *out)
{
	return json_str(v) && base64_decode(out, v->str, v->len) == 0;
}

/* ---- CertificateSigningRequest ---- */

static void check_request(struct check *c, const struct json *request)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	const char *why = NULL;

	if (!request || !request->len || !decode_bytes(request, &pem))
		return;
	_cleanup_bio_ BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long n = 0;
	if (!bio || PEM_read_bio(bio, &name, &header, &der, &n) != 1) {
		why = "PEM block type must be CERTIFICATE REQUEST";
	} else if (!str_eq(name, PEM_STRING_X509_REQ)) {
		why = "PEM block type must be CERTIFICATE REQUEST";
	} else {
		const unsigned char *p = der;
		X509_REQ *parsed = d2i_X509_REQ(NULL, &p, n);
		EVP_PKEY *key = parsed ? X509_REQ_get0_pubkey(parsed) : NULL;
		if (!key)
			why = "asn1: structure error: the request cannot be parsed";
		X509_REQ_free(parsed);
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	ERR_clear_error();
	if (why)
		bad_invalid(c, "spec.request", request, why);
}

static void check_signing_request(struct check *c)
{
	if (c->old)
		return; /* only its metadata can change, and what was signed before stays readable */
	check_request(c, json_path(c->tree, "spec.request"));
	if (str_eq(json_path_str(c->tree, "spec.signerName"), "kubernetes.io/legacy-unknown"))
		bad_invalid(c, "spec.signerName", json_path(c->tree, "spec.signerName"),
			    "the legacy signerName is not allowed via this API version");
}

static bool is_decision(const char *type)
{
	static const char *const types[] = {"Approved", "Denied", NULL};
	return str_in(type, types);
}

static void check_decisions(struct check *c, const char *subresource)
{
	static const char *const lasting[] = {"Approved", "Denied", "Failed"};
	const char *at = "status.conditions";

	for (size_t i = 0; i < ARRAY_SIZE(lasting); i++) {
		const struct json *was = meta_condition(c->old, lasting[i]), *is = meta_condition(c->tree, lasting[i]);
		bool barred = is_decision(lasting[i]) && !str_eq(subresource, "approval");
		if (was && !is)
			bad_forbidden(c, at, PATH(c, "updates may not remove a condition of type \"%s\"", lasting[i]));
		else if (!was && is && barred)
			bad_forbidden(c, at, PATH(c, "updates may not add a condition of type \"%s\"", lasting[i]));
		else if (was && is && barred && !json_equal(was, is))
			bad_forbidden(c, at, PATH(c, "updates may not modify a condition of type \"%s\"", lasting[i]));
	}
}

static void check_signing_status(struct check *c, const char *subresource)
{
	static const char *const yes[] = {"True", NULL}, *const any[] = {"False", "True", "Unknown", NULL};
	const struct json *now = json_path(c->tree, "status.certificate"),
			  *before = json_path(c->old, "status.certificate");
	const struct json *conditions = json_path(c->tree, "status.conditions");
	_cleanup_names_ struct map types = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(x, conditions) {
		const char *at = PATH(c, "status.conditions[%zu]", i++), *type = str_or(json_path_str(x, "type"), "");
		const char *status = str_or(json_path_str(x, "status"), "");
		bool lasting = is_decision(type) || str_eq(type, "Failed");
		if (!*type)
			bad_required(c, PATH(c, "%s.type", at), NULL);
		else if (map_set(&types, type, c))
			bad_duplicate(c, PATH(c, "%s.type", at), type);
		if (!*status)
			bad_required(c, PATH(c, "%s.status", at), NULL);
		else if (!str_in(status, lasting ? yes : any))
			bad_unsupported(c, PATH(c, "%s.status", at), status, lasting ? yes : any);
	}
	if (map_has(&types, "Approved") && map_has(&types, "Denied"))
		bad_invalid(c, "status.conditions", conditions,
			    "Approved and Denied conditions are mutually exclusive");
	check_decisions(c, subresource);
	if (before && before->len && !json_equal(now, before))
		bad_forbidden(c, "status.certificate", "updates may not modify existing certificate content");
	else if (now && now->len && !json_equal(now, before) && str_eq(subresource, "approval"))
		bad_forbidden(c, "status.certificate", "updates may not set certificate content");
}

/* ---- PodCertificateRequest ---- */

static void check_stub(struct check *c, const struct json *request)
{
	_cleanup_buf_ struct buf der = BUF_INIT;

	if (!request || !request->len || !decode_bytes(request, &der))
		return;
	const unsigned char *p = (const unsigned char *)der.data;
	X509_REQ *parsed = d2i_X509_REQ(NULL, &p, (long)der.len);
	EVP_PKEY *key = parsed ? X509_REQ_get0_pubkey(parsed) : NULL;
	if (!key)
		bad_invalid_plain(c, "spec.stubPKCS10Request", "does not parse as a PKCS#10 request");
	else if (X509_REQ_verify(parsed, key) != 1)
		bad_invalid_plain(c, "spec.stubPKCS10Request", "the signature does not verify");
	X509_REQ_free(parsed);
	ERR_clear_error();
}

static void check_pod_request(struct check *c)
{
	const struct json *max = json_path(c->tree, "spec.maxExpirationSeconds");
	const char *signer = str_or(json_path_str(c->tree, "spec.signerName"), "");
	int64_t limit = str_has_prefix(signer, "kubernetes.io/") ? KUBERNETES_EXPIRATION_S_MAX : POD_EXPIRATION_S_MAX;

	if (c->old)
		return;
	if (max && (json_int(max, 0) < POD_EXPIRATION_S_MIN || json_int(max, 0) > limit))
		bad_invalid(c, "spec.maxExpirationSeconds", max,
			    PATH(c, "must be in the range [%d, %lld]", POD_EXPIRATION_S_MIN, (long long)limit));
	check_stub(c, json_path(c->tree, "spec.stubPKCS10Request"));
}

static void check_pod_request_status(struct check *c, const char *subresource)
{
	static const char *const known[] = {"Denied", "Failed", "Issued", NULL};
	static const char *const once[] = {"certificateChain", "notBefore", "beginRefreshAt", "notAfter"};
	const struct json *status = json_get(c->tree, "status"), *old = json_get(c->old, "status");
	size_t i = 0, ends = 0;
	bool issued = false;
	(void)subresource;

	EACH_ITEM(x, json_get(status, "conditions")) {
		const char *at = PATH(c, "status.conditions[%zu]", i++), *type = str_or(json_path_str(x, "type"), "");
		if (!str_in(type, known))
			continue;
		issued |= str_eq(type, "Issued");
		if (ends++)
			bad_invalid_str(c, PATH(c, "%s.type", at), type,
					"There may be at most one condition with type \"Issued\", \"Denied\", or "
					"\"Failed\"");
		if (!str_eq(json_path_str(x, "status"), "True"))
			bad_unsupported(c, PATH(c, "%s.status", at), str_or(json_path_str(x, "status"), ""),
					(const char *const[]){"True", NULL});
	}
	for (size_t k = 0; k < ARRAY_SIZE(once); k++) {
		const char *at = PATH(c, "status.%s", once[k]);
		const struct json *now = json_get(status, once[k]), *before = json_get(old, once[k]);
		if (before && !json_equal(now, before))
			bad_invalid(c, at, now, "field is immutable");
		if (issued && !now)
			bad_required(c, at, "must be set when the request is Issued");
		else if (!issued && now && now->len)
			bad_forbidden(c, at, "may only be set when the request is Issued");
	}
}

/* ---- ClusterTrustBundle ---- */

static void check_bundle_name(struct check *c, const char *signer)
{
	const char *name = meta_name(c->tree);

	if (!*signer) {
		if (strchr(name, ':'))
			bad_invalid_str(c, "metadata.name", name,
					"ClusterTrustBundle without signer name must not have \":\" in its name");
		return;
	}
	char *prefix = arena_printf(&c->arena, "%s:", signer);
	for (char *s = prefix; *s; s++)
		*s = *s == '/' ? ':' : *s;
	const char *rest = str_after(name, prefix);
	if (!rest)
		bad_invalid_str(
		    c, "metadata.name", name,
		    PATH(c, "ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix));
	else if (name_check_dns1123_subdomain(rest))
		bad_invalid_str(c, "metadata.name", name, name_check_dns1123_subdomain(rest));
}

static const char *certificate_fault(const unsigned char *der, long n)
{
	const unsigned char *p = der;
	X509 *x = d2i_X509(NULL, &p, n);
	const char *why = !x			  ? "is not a parseable certificate"
			  : X509_check_ca(x) != 1 ? "does not have the CA bit of basic constraints set"
						  : NULL;
	X509_free(x);
	return why;
}

static void check_trust_bundle(struct check *c)
{
	static const char at[] = "spec.trustBundle";
	const char *text = str_or(json_path_str(c->tree, at), ""), *why = NULL;
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t blocks = 0;

	check_bundle_name(c, str_or(json_path_str(c->tree, "spec.signerName"), ""));
	if (c->old && json_equal(json_path(c->old, at), json_path(c->tree, at)))
		return;
	_cleanup_bio_ BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long n = 0;
	while (!why && bio && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
		_cleanup_buf_ struct buf hex = BUF_INIT;
		hex_encode(&hex, der, (size_t)n);
		if (!str_eq(name, PEM_STRING_X509))
			why = PATH(c, "entry %zu has bad block type: %s", blocks, name);
		else if (*header)
			why = PATH(c, "entry %zu has PEM block headers", blocks);
		else if ((why = certificate_fault(der, n)))
			why = PATH(c, "entry %zu %s", blocks, why);
		else if (map_set(&seen, buf_str(&hex), c))
			why = PATH(c, "trust bundle contains a duplicate of entry %zu", blocks);
		blocks++;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	ERR_clear_error();
	if (!blocks)
		why = "at least one trust anchor must be specified";
	if (why)
		bad_invalid_plain(c, at, why);
}

static const struct kind_check kinds[] = {
    {CSR, check_signing_request, check_signing_status},
    {PCR, check_pod_request, check_pod_request_status},
    {BUNDLE, check_trust_bundle, NULL},
};

const struct group_check validate_certificates = {"certificates.k8s.io", rules, ARRAY_SIZE(rules), kinds,
						  ARRAY_SIZE(kinds)};
