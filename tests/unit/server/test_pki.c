/* SPDX-License-Identifier: Apache-2.0 */
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

#include "base/env.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
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
	assert_int_equal(pki_subject(der, (size_t)len, &name, &groups), 0);
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

static void requests_are_signed_only_when_their_signature_verifies(void **state)
{
	(void)state;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct pki *p = open_pki();
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	X509_REQ *csr = X509_REQ_new();
	char *pem;

	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_UTF8, (const unsigned char *)"x", -1,
				   -1, 0);
	X509_REQ_set_pubkey(csr, key);
	X509_REQ_sign(csr, key, EVP_sha256());
	for (int good = 1; good >= 0; good--) {
		BIO *b = BIO_new(BIO_s_mem());
		PEM_write_bio_X509_REQ(b, csr);
		long len = BIO_get_mem_data(b, &pem);
		_cleanup_free_ char *text = xstrndup(pem, (size_t)len), *cert = NULL;
		BIO_free(b);
		int r = pki_sign_csr(p, text, false, true, 0, &cert, &err);
		assert_true(good ? r == 0 && cert : r < 0 && err.code == 400);
		X509_REQ_sign(csr, other, EVP_sha256()); /* of another key than the one it asks for */
	}
	_cleanup_free_ char *none = NULL;
	assert_true(pki_sign_csr(p, "garbage", false, true, 0, &none, &err) < 0);
	X509_REQ_free(csr);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	pki_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(issued_certificates_say_what_was_asked),
	    cmocka_unit_test(certificates_are_kept_until_they_wear_out_or_differ),
	    cmocka_unit_test(requests_are_signed_only_when_their_signature_verifies),
	};

	snprintf(dir, sizeof(dir), "/tmp/proa-test-pki.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	fs_remove_tree(dir);
	return r;
}
