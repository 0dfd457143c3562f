/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #10 requests: what they say, and certificates for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "server/pki.h"
#include "server/pki_internal.h"

#define REQUEST_MAX (64 * 1024) /* of base64; a request with a 16,384-bit RSA key is below 8 kB */

static void cleanup_req(X509_REQ **r)
{
	X509_REQ_free(*r);
}

/* NULL unless it is whole and signed with its own key. */
static X509_REQ *read_request(const char *base64)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	size_t len = strnlen(base64, REQUEST_MAX + 1);

	if (len > REQUEST_MAX || base64_decode(&pem, base64, len) < 0)
		return NULL;
	BIO *b = BIO_new_mem_buf(buf_str(&pem), (int)pem.len);
	X509_REQ *csr = PEM_read_bio_X509_REQ(b, NULL, NULL, NULL);
	EVP_PKEY *key = csr ? X509_REQ_get0_pubkey(csr) : NULL;
	BIO_free(b);
	if (!key || X509_REQ_verify(csr, key) != 1) {
		X509_REQ_free(csr);
		csr = NULL;
	}
	ERR_clear_error();
	return csr;
}

/* ---- what it asks for ---- */

static int read_subject(X509_NAME *name, struct arena *a, struct csr_facts *f)
{
	int n = X509_NAME_entry_count(name);
	const char **organizations = arena_zalloc(a, ((size_t)n + 1) * sizeof(*organizations));

	f->common_name = "";
	f->organizations = organizations;
	for (int i = 0; i < n; i++) {
		X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(e));
		if (nid != NID_commonName && nid != NID_organizationName)
			continue;
		_cleanup_free_ char *text = pki_entry_text(e);
		if (!text || (nid == NID_commonName && *f->common_name))
			return -1; /* two names: which of them would be the user? */
		if (nid == NID_commonName)
			f->common_name = arena_strdup(a, text);
		else
			organizations[f->n_organizations++] = arena_strdup(a, text);
	}
	return 0;
}

static int read_names(X509_REQ *csr, struct csr_facts *f)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	int critical = 0;
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type = sk_GENERAL_NAME_value(names, i)->type;
		if (type == GEN_DNS)
			f->dns_names++;
		else if (type == GEN_IPADD)
			f->addresses++;
		else if (type == GEN_EMAIL)
			f->emails++;
		else
			f->uris++; /* and whatever else no signer takes */
	}
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	ERR_clear_error();
	return critical == -2 || (critical >= 0 && !names) ? -1 : 0; /* several, or one that cannot be read */
}

static int facts(void *self, const char *request, struct arena *a, struct csr_facts *ret)
{
	_cleanup_(cleanup_req) X509_REQ *csr = read_request(request);
	struct csr_facts f = {0};

	(void)self;
	if (!csr || read_subject(X509_REQ_get_subject_name(csr), a, &f) < 0 || read_names(csr, &f) < 0)
		return -1;
	*ret = f;
	return 0;
}

/* ---- signing ---- */

static const struct {
	const char *usage, *name;
	bool extended;
} usage_names[] = {
    {"signing", "digitalSignature", false},
    {"digital signature", "digitalSignature", false},
    {"content commitment", "nonRepudiation", false},
    {"key encipherment", "keyEncipherment", false},
    {"key agreement", "keyAgreement", false},
    {"data encipherment", "dataEncipherment", false},
    {"server auth", "serverAuth", true},
    {"client auth", "clientAuth", true},
    {"code signing", "codeSigning", true},
    {"email protection", "emailProtection", true},
    {"timestamping", "timeStamping", true},
    {"ocsp signing", "OCSPSigning", true},
};

static void add_usages(X509 *x, X509 *ca, const struct json *usages)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, extended = BUF_INIT;

	buf_adds(&plain, "critical");
	JSON_EACH(u, usages)
		for (size_t i = 0; i < ARRAY_SIZE(usage_names); i++)
			if (str_eq(json_str(u), usage_names[i].usage)) {
				struct buf *to = usage_names[i].extended ? &extended : &plain;
				buf_addf(to, "%s%s", to->len ? "," : "", usage_names[i].name);
			}
	pki_add_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE");
	if (plain.len > strlen("critical"))
		pki_add_extension(x, ca, NID_key_usage, buf_str(&plain));
	pki_add_extension(x, ca, NID_authority_key_identifier, "keyid");
	if (extended.len)
		pki_add_extension(x, ca, NID_ext_key_usage, buf_str(&extended));
}

/* No certificate outlives the authority that vouches for it. */
static void bound_life(X509 *x, X509 *ca)
{
	int days, seconds;

	if (ASN1_TIME_diff(&days, &seconds, X509_get0_notAfter(ca), X509_get0_notAfter(x)) && (days > 0 || seconds > 0))
		X509_set1_notAfter(x, X509_get0_notAfter(ca));
}

static X509 *make_cert(const struct pki *p, X509_REQ *csr, const struct json *usages, int64_t seconds)
{
	X509 *x = pki_new_cert(X509_REQ_get0_pubkey(csr), seconds);

	X509_set_subject_name(x, X509_REQ_get_subject_name(csr));
	X509_set_issuer_name(x, X509_get_subject_name(p->ca));
	add_usages(x, p->ca, usages);
	bound_life(x, p->ca);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	int at = X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1);
	if (at >= 0)
		X509_add_ext(x, X509v3_get_ext(extensions, at), -1);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (!X509_sign(x, p->ca_key, EVP_sha256())) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static int sign(void *self, const char *request, const struct json *usages, int64_t seconds, struct arena *a,
		char **ret_pem, struct status *err)
{
	const int64_t longest = PKI_DAYS * DAY_S;
	_cleanup_(cleanup_req) X509_REQ *csr = read_request(request);

	if (!csr)
		return status_set(err, 400,
				  "the certificate request cannot be parsed or its signature does not verify");
	if (seconds <= 0 || seconds > longest)
		seconds = longest;
	if (seconds < CSR_SECONDS_MIN)
		seconds = CSR_SECONDS_MIN;
	_cleanup_x509_ X509 *x = make_cert(self, csr, usages, seconds);
	if (!x)
		return pki_fail(err, -EIO, "cannot sign the request", NULL);
	_cleanup_free_ char *pem = pki_cert_to_pem(x);
	*ret_pem = arena_strdup(a, pem);
	return 0;
}

struct certificate_authority pki_authority(struct pki *p)
{
	return (struct certificate_authority){.self = p, .facts = facts, .sign = sign};
}
