/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "api/csr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "server/jwt.h"
#include "server/pki.h"

static char dir[64];

static struct pki *open_pki(void)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct pki *p = NULL;

	assert_int_equal(pki_open(dir, &p, &err), 0);
	return p;
}

static X509 *parse(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	assert_non_null(x);
	return x;
}

static void issued_certificates_say_what_was_asked(void **state)
{
	(void)state;
	struct pki *p = open_pki();
	_cleanup_status_ struct status err = STATUS_INIT;
	static const char *const orgs[] = {"team,with=commas", "system:nodes", NULL};
	static const char *const names[] = {"a.example", NULL}, *const addresses[] = {"192.0.2.7", NULL};
	struct pki_request r = {.common_name = "someone",
				.organizations = orgs,
				.dns_names = names,
				.addresses = addresses,
				.client = true};
	_cleanup_free_ char *cert = NULL, *key = NULL, *name = NULL;

	int64_t expires_s;

	assert_int_equal(pki_issue(p, &r, &cert, &key, &err), 0);
	X509 *x = parse(cert), *ca = parse(pki_ca_pem(p));
	assert_int_equal(X509_verify(x, X509_get0_pubkey(ca)), 1);
	assert_int_equal(X509_check_host(x, "a.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.7", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.8", 0), 0);
	assert_true(X509_get_extended_key_usage(x) & XKU_SSL_CLIENT);
	assert_false(X509_get_extended_key_usage(x) & XKU_SSL_SERVER);
	assert_int_equal(X509_check_ca(x), 0);

	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);
	char **groups;
	assert_int_equal(pki_subject(der, (size_t)len, &name, &groups, &expires_s), 0);
	assert_string_equal(name, "someone");
	assert_string_equal(groups[0], "team,with=commas");
	assert_string_equal(groups[1], "system:nodes");
	assert_null(groups[2]);
	free(groups[0]);
	free(groups[1]);
	free(groups);
	OPENSSL_free(der);
	X509_free(x);
	X509_free(ca);
	pki_free(p);
}

static int64_t later_ns;

static int64_t later(void)
{
	return env_real.now_ns() + later_ns;
}

static void certificates_are_kept_until_they_wear_out_or_differ(void **state)
{
	(void)state;
	static const char *const one[] = {"one", NULL}, *const two[] = {"one", "two", NULL};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct pki_request r = {.common_name = "keeper", .dns_names = one, .server = true};
	struct pki *p = open_pki();

	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 1);
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 0);
	r.dns_names = two;
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 1);
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 0);
	pki_free(p);

	p = open_pki(); /* the same authority after a restart */
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 0);

	/* Issued a year ago but for a month: less than a third is left. */
	struct env_ops past = env_real;
	past.now_ns = later;
	later_ns = -(int64_t)335 * 86400 * 1000000000;
	env = &past;
	_cleanup_free_ char *cert = NULL, *key = NULL, *path = xasprintf("%s/keeper.crt", dir),
			    *key_path = xasprintf("%s/keeper.key", dir);
	assert_int_equal(pki_issue(p, &r, &cert, &key, &err), 0);
	env = &env_real;
	assert_int_equal(fs_write_atomic(key_path, key, strlen(key), 0600), 0);
	assert_int_equal(fs_write_atomic(path, cert, strlen(cert), 0644), 0);
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 1);

	/* A crash between the two files: the pair does not fit, so it is made again. */
	assert_int_equal(fs_write_atomic(key_path, key, strlen(key), 0600), 0);
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 1);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(pki_ensure(p, "keeper", &r, &err), 1);
	pki_free(p);
}

static X509_REQ *new_request(EVP_PKEY *key, const char *organization, const char *common_name)
{
	X509_REQ *csr = X509_REQ_new();
	X509_NAME *name = X509_REQ_get_subject_name(csr);

	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)organization, -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	X509_REQ_set_pubkey(csr, key);
	X509_REQ_sign(csr, key, EVP_sha256());
	return csr;
}

static char *request_text(struct arena *a, X509_REQ *csr)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;

	PEM_write_bio_X509_REQ(bio, csr);
	long len = BIO_get_mem_data(bio, &pem);
	base64_encode(&b, pem, (size_t)len);
	BIO_free(bio);
	return arena_strdup(a, buf_str(&b));
}

static struct json *usages(struct arena *a, const char *one, const char *two)
{
	struct json *list = json_new(a, JSON_ARRAY);

	json_append(list, json_new_str(a, one));
	json_append(list, json_new_str(a, two));
	return list;
}

static void requests_are_signed_only_when_their_signature_verifies(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pki *p = open_pki();
	struct certificate_authority ca = pki_authority(p);
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	X509_REQ *csr = new_request(key, "team", "x");

	for (int good = 1; good >= 0; good--) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct csr_facts f;
		char *pem = NULL, *text = request_text(&a, csr);
		assert_int_equal(ca.facts(ca.self, text, &a, &f), good ? 0 : -1);
		int r = ca.sign(ca.self, text, usages(&a, "client auth", "digital signature"), 0, &a, &pem, &err);
		assert_true(good ? r == 0 && pem : r < 0 && err.code == 400);
		X509_REQ_sign(csr, other, EVP_sha256()); /* of another key than the one it asks for */
	}
	_cleanup_status_ struct status err = STATUS_INIT;
	char *none = NULL;
	assert_true(ca.sign(ca.self, "garbage", NULL, 0, &a, &none, &err) < 0);
	X509_REQ_free(csr);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	pki_free(p);
}

static void requests_are_read_and_lives_are_bounded(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct pki *p = open_pki();
	struct certificate_authority ca = pki_authority(p);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *csr = new_request(key, "system:nodes", "system:node:n1");
	char *text = request_text(&a, csr), *pem;
	struct csr_facts f;
	struct json *client = usages(&a, "client auth", "digital signature"),
		    *server = usages(&a, "server auth", "digital signature");

	assert_int_equal(ca.facts(ca.self, text, &a, &f), 0);
	assert_string_equal(f.common_name, "system:node:n1");
	assert_int_equal(f.n_organizations, 1);
	assert_null(csr_refusal(SIGNER_KUBELET_CLIENT, &f, client));
	assert_non_null(csr_refusal(SIGNER_KUBELET_CLIENT, &f, server));
	assert_non_null(csr_refusal(SIGNER_KUBELET_SERVING, &f, server)); /* names nothing that it could serve */
	assert_non_null(csr_refusal("kubernetes.io/legacy-unknown", &f, client));
	f.dns_names = 1;
	assert_non_null(csr_refusal(SIGNER_KUBELET_CLIENT, &f, client));
	assert_null(csr_refusal(SIGNER_KUBELET_SERVING, &f, server));
	f.organizations = (const char *const[]){"system:nodes", "system:masters"};
	f.n_organizations = 2;
	assert_non_null(csr_refusal(SIGNER_KUBELET_SERVING, &f, server));
	static const struct {
		int64_t asked, got;
	} lives[] = {{0, 365 * 86400}, {3600, 3600}, {1, CSR_SECONDS_MIN}, {INT32_MAX, 365 * 86400}};
	for (size_t i = 0; i < ARRAY_SIZE(lives); i++) {
		assert_int_equal(ca.sign(ca.self, text, client, lives[i].asked, &a, &pem, &err), 0);
		BIO *b = BIO_new_mem_buf(pem, -1);
		X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
		int days, seconds;
		assert_true(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)));
		int64_t left = (int64_t)days * 86400 + seconds;
		/* OpenSSL asks time(2), which may still be in the second before the one of clock_gettime(2). */
		assert_true(left <= lives[i].got + 1 && left > lives[i].got - 60);
		assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0), 1);
		assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 0);
		assert_int_equal(X509_check_ca(x), 0);
		X509_free(x);
		BIO_free(b);
	}
	X509_REQ_free(csr);
	EVP_PKEY_free(key);
	pki_free(p);
}

static void old_token_keys_go_on_verifying(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *claims = json_new(&a, JSON_OBJECT), *got;
	char from[300], to[300];
	struct pki *p = open_pki();

	char *old = jwt_sign(&a, &pki_token_keys(p)->at[0], claims);
	pki_free(p);
	snprintf(from, sizeof(from), "%s/sa.key", dir);
	snprintf(to, sizeof(to), "%s/sa.old.key", dir);
	assert_int_equal(rename(from, to), 0);
	p = open_pki();
	assert_int_equal(pki_token_keys(p)->n, 2);
	char *new = jwt_sign(&a, &pki_token_keys(p)->at[0], claims);
	assert_int_equal(jwt_verify(&a, pki_token_keys(p), jwt_algorithms, old, &got), 0);
	assert_int_equal(jwt_verify(&a, pki_token_keys(p), jwt_algorithms, new, &got), 0);
	assert_int_equal(json_len(json_get(jwt_key_set(&a, pki_token_keys(p)), "keys")), 2);
	pki_free(p);
	assert_int_equal(unlink(to), 0);
	p = open_pki();
	assert_int_equal(jwt_verify(&a, pki_token_keys(p), jwt_algorithms, old, &got), -ENOKEY);
	assert_int_equal(jwt_verify(&a, pki_token_keys(p), jwt_algorithms, new, &got), 0);
	pki_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(issued_certificates_say_what_was_asked),
	    cmocka_unit_test(certificates_are_kept_until_they_wear_out_or_differ),
	    cmocka_unit_test(requests_are_signed_only_when_their_signature_verifies),
	    cmocka_unit_test(requests_are_read_and_lives_are_bounded),
	    cmocka_unit_test(old_token_keys_go_on_verifying),
	};

	snprintf(dir, sizeof(dir), "/tmp/proa-test-pki.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	fs_remove_tree(dir);
	return r;
}
