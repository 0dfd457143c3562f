/* SPDX-License-Identifier: Apache-2.0 */
#include "certs.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static char *pem_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *s = malloc((size_t)n + 1);
	memcpy(s, p, (size_t)n);
	s[n] = 0;
	BIO_free(b);
	return s;
}

static char *cert_pem(X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	return pem_text(b);
}

static char *key_pem(EVP_PKEY *k)
{
	BIO *b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL);
	return pem_text(b);
}

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static X509 *issue(EVP_PKEY *key, const char *cn, X509 *ca, EVP_PKEY *ca_key, const char *usage, long serial)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(ca ? ca : x));
	if (!ca)
		extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
	else
		extend(x, ca, NID_ext_key_usage, usage);
	if (ca && strcmp(usage, "serverAuth") == 0)
		extend(x, ca, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	int ok = X509_sign(x, ca ? ca_key : key, EVP_sha256());
	assert(ok);
	(void)ok;
	return x;
}

void test_certs_make(struct test_certs *t)
{
	EVP_PKEY *cak = EVP_EC_gen("P-256"), *sk = EVP_EC_gen("P-256"), *ck = EVP_EC_gen("P-256"),
		 *ok = EVP_EC_gen("P-256");
	X509 *ca = issue(cak, "test-ca", NULL, NULL, NULL, 1);
	X509 *s = issue(sk, "localhost", ca, cak, "serverAuth", 2);
	X509 *c = issue(ck, "alice", ca, cak, "clientAuth", 3);
	X509 *other = issue(ok, "other-ca", NULL, NULL, NULL, 4);
	X509 *stranger = issue(ck, "mallory", other, ok, "clientAuth", 5);

	*t = (struct test_certs){
	    .ca = cert_pem(ca),
	    .cert = cert_pem(s),
	    .key = key_pem(sk),
	    .client_cert = cert_pem(c),
	    .client_key = key_pem(ck),
	    .stranger_cert = cert_pem(stranger),
	    .stranger_key = key_pem(ck),
	};
	X509_free(ca), X509_free(s), X509_free(c), X509_free(other), X509_free(stranger);
	EVP_PKEY_free(cak), EVP_PKEY_free(sk), EVP_PKEY_free(ck), EVP_PKEY_free(ok);
}

void test_certs_release(struct test_certs *t)
{
	free(t->ca), free(t->cert), free(t->key), free(t->client_cert), free(t->client_key), free(t->stranger_cert),
	    free(t->stranger_key);
}
