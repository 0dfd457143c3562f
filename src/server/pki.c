/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pki.h"
#include "server/pki_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"

#define FILE_MAX (64 * 1024)

int pki_fail(struct status *err, int r, const char *what, const char *detail)
{
	status_set(err, 500, "certificates: %s%s%s: %s", what, detail ? " " : "", str_or(detail, ""), strerror(-r));
	ERR_clear_error();
	return r;
}

/* ---- PEM ---- */

static char *bio_text(BIO *b)
{
	char *data;
	long len = BIO_get_mem_data(b, &data);
	char *text = xstrndup(data, (size_t)len);

	BIO_free(b);
	return text;
}

char *pki_cert_to_pem(X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, x);
	return bio_text(b);
}

static char *key_to_pem(EVP_PKEY *k)
{
	BIO *b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL);
	return bio_text(b);
}

static X509 *cert_from_pem(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	return x;
}

static EVP_PKEY *key_from_pem(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	BIO_free(b);
	return k;
}

static char *path_of(const struct pki *p, const char *name, const char *suffix)
{
	return xasprintf("%s/%s%s", p->dir, name, suffix);
}

static int read_text(const struct pki *p, const char *name, const char *suffix, char **ret)
{
	_cleanup_free_ char *path = path_of(p, name, suffix);
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read(path, FILE_MAX, &b);

	if (r == 0)
		*ret = buf_steal(&b, NULL);
	return r;
}

static int write_text(const struct pki *p, const char *name, const char *suffix, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = path_of(p, name, suffix);
	return fs_write_atomic(path, text, strlen(text), mode);
}

/* ---- making certificates ---- */

void pki_add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (e)
		X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

X509 *pki_new_cert(EVP_PKEY *subject_key, int64_t seconds)
{
	X509 *x = X509_new();
	BIGNUM *serial = BN_new();

	BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
	BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
	BN_free(serial);
	X509_set_version(x, 2); /* v3 */
	X509_set_pubkey(x, subject_key);
	time_t now = (time_t)now_s();
	X509_time_adj_ex(X509_getm_notBefore(x), 0, -CLOCK_SKEW_S, &now);
	X509_time_adj_ex(X509_getm_notAfter(x), (int)(seconds / DAY_S), (long)(seconds % DAY_S), &now);
	return x;
}

static void name_add(X509_NAME *name, const char *what, const char *value)
{
	X509_NAME_add_entry_by_txt(name, what, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0);
}

static X509 *make_ca(EVP_PKEY *key)
{
	X509 *x = pki_new_cert(key, PKI_CA_DAYS * DAY_S);
	X509_NAME *name = X509_get_subject_name(x);
	_cleanup_free_ char *common_name = xasprintf("proa-ca@%lld", (long long)now_s());

	name_add(name, "CN", common_name);
	X509_set_issuer_name(x, name);
	pki_add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE");
	pki_add_extension(x, x, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
	pki_add_extension(x, x, NID_subject_key_identifier, "hash");
	X509_sign(x, key, EVP_sha256());
	return x;
}

static void add_usages(X509 *x, X509 *ca, bool server, bool client)
{
	pki_add_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE");
	pki_add_extension(x, ca, NID_key_usage, "critical,digitalSignature");
	pki_add_extension(x, ca, NID_authority_key_identifier, "keyid");
	if (server || client)
		pki_add_extension(x, ca, NID_ext_key_usage,
				  server && client ? "serverAuth,clientAuth"
				  : server	   ? "serverAuth"
						   : "clientAuth");
}

/* Names go in as values, never through OpenSSL's configuration syntax, where a comma would begin another name. */
static void add_names(X509 *x, const struct pki_request *r)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

	for (const char *const *d = r->dns_names; d && *d; d++) {
		GENERAL_NAME *n = GENERAL_NAME_new();
		ASN1_IA5STRING *s = ASN1_IA5STRING_new();
		ASN1_STRING_set(s, *d, -1);
		GENERAL_NAME_set0_value(n, GEN_DNS, s);
		sk_GENERAL_NAME_push(names, n);
	}
	for (const char *const *a = r->addresses; a && *a; a++) {
		ASN1_OCTET_STRING *ip = a2i_IPADDRESS(*a);
		if (!ip)
			continue;
		GENERAL_NAME *n = GENERAL_NAME_new();
		GENERAL_NAME_set0_value(n, GEN_IPADD, ip);
		sk_GENERAL_NAME_push(names, n);
	}
	if (sk_GENERAL_NAME_num(names))
		X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0);
	GENERAL_NAMES_free(names);
}

static X509 *make_cert(const struct pki *p, const struct pki_request *r, EVP_PKEY *key)
{
	X509 *x = pki_new_cert(key, (r->days ? r->days : PKI_DAYS) * DAY_S);
	X509_NAME *name = X509_get_subject_name(x);

	for (const char *const *o = r->organizations; o && *o; o++)
		name_add(name, "O", *o);
	name_add(name, "CN", r->common_name);
	X509_set_issuer_name(x, X509_get_subject_name(p->ca));
	add_usages(x, p->ca, r->server, r->client);
	add_names(x, r);
	if (!X509_sign(x, p->ca_key, EVP_sha256())) {
		X509_free(x);
		return NULL;
	}
	return x;
}

int pki_issue(const struct pki *p, const struct pki_request *r, char **ret_cert, char **ret_key, struct status *err)
{
	_cleanup_pkey_ EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_x509_ X509 *x = key ? make_cert(p, r, key) : NULL;

	if (!x)
		return pki_fail(err, -EIO, "cannot issue a certificate for", r->common_name);
	*ret_cert = pki_cert_to_pem(x);
	*ret_key = key_to_pem(key);
	return 0;
}

/* ---- what is on disk ---- */

static bool wears_out(const X509 *x)
{
	int days, seconds, life_days, life_seconds;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) ||
	    !ASN1_TIME_diff(&life_days, &life_seconds, X509_get0_notBefore(x), X509_get0_notAfter(x)))
		return true;
	return ((int64_t)days * 86400 + seconds) * 3 < (int64_t)life_days * 86400 + life_seconds;
}

/* The subject and the alternative names are those that the request would give. */
static bool says_the_same(const struct pki *p, X509 *x, const struct pki_request *r)
{
	_cleanup_pkey_ EVP_PKEY *key = X509_get_pubkey(x);
	_cleanup_x509_ X509 *wanted = key ? make_cert(p, r, key) : NULL;

	if (!wanted || X509_NAME_cmp(X509_get_subject_name(x), X509_get_subject_name(wanted)) != 0)
		return false;
	int a = X509_get_ext_by_NID(x, NID_subject_alt_name, -1),
	    b = X509_get_ext_by_NID(wanted, NID_subject_alt_name, -1);
	if (a < 0 || b < 0)
		return a < 0 && b < 0;
	return ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(x, a)),
				     X509_EXTENSION_get_data(X509_get_ext(wanted, b))) == 0;
}

static bool usable(const struct pki *p, const char *cert_pem, const char *key_pem, const struct pki_request *r)
{
	_cleanup_x509_ X509 *x = cert_from_pem(cert_pem);
	_cleanup_pkey_ EVP_PKEY *key = key_from_pem(key_pem);

	return x && key && X509_check_private_key(x, key) == 1 && X509_verify(x, p->ca_key) == 1 && !wears_out(x) &&
	       says_the_same(p, x, r);
}

int pki_load(const struct pki *p, const char *name, char **ret_cert, char **ret_key, struct status *err)
{
	_cleanup_free_ char *cert = NULL, *key = NULL;
	int r = read_text(p, name, ".crt", &cert);

	if (r == 0)
		r = read_text(p, name, ".key", &key);
	if (r < 0)
		return pki_fail(err, r, "cannot read", name);
	*ret_cert = TAKE_PTR(cert);
	*ret_key = TAKE_PTR(key);
	return 0;
}

int pki_ensure(const struct pki *p, const char *name, const struct pki_request *r, struct status *err)
{
	_cleanup_free_ char *cert = NULL, *key = NULL;

	if (read_text(p, name, ".crt", &cert) == 0 && read_text(p, name, ".key", &key) == 0 && usable(p, cert, key, r))
		return 0;
	ERR_clear_error();
	_cleanup_free_ char *new_cert_pem = NULL, *new_key_pem = NULL;
	int k = pki_issue(p, r, &new_cert_pem, &new_key_pem, err);
	if (k < 0)
		return k;
	k = write_text(p, name, ".key", new_key_pem, 0600);
	if (k == 0)
		k = write_text(p, name, ".crt", new_cert_pem, 0644);
	return k < 0 ? pki_fail(err, k, "cannot write", name) : 1;
}

/* A key of its own file; made when it is missing. */
static int ensure_key(struct pki *p, const char *name, EVP_PKEY **ret, struct status *err)
{
	_cleanup_free_ char *text = NULL;
	int r = read_text(p, name, ".key", &text);

	if (r == 0) {
		*ret = key_from_pem(text);
		return *ret ? 0 : pki_fail(err, -EINVAL, "this file holds no private key:", name);
	}
	if (r != -ENOENT)
		return pki_fail(err, r, "cannot read", name);
	*ret = EVP_EC_gen("P-256");
	if (!*ret)
		return pki_fail(err, -EIO, "cannot make a key for", name);
	text = key_to_pem(*ret);
	r = write_text(p, name, ".key", text, 0600);
	return r < 0 ? pki_fail(err, r, "cannot write", name) : 0;
}

static int ensure_ca(struct pki *p, struct status *err)
{
	int r = ensure_key(p, "ca", &p->ca_key, err);
	if (r < 0)
		return r;
	r = read_text(p, "ca", ".crt", &p->ca_pem);
	if (r == 0) {
		p->ca = cert_from_pem(p->ca_pem);
		if (!p->ca || X509_check_private_key(p->ca, p->ca_key) != 1)
			return pki_fail(err, -EINVAL, "ca.crt and ca.key do not belong together in", p->dir);
		return 0;
	}
	if (r != -ENOENT)
		return pki_fail(err, r, "cannot read", "ca.crt");
	p->ca = make_ca(p->ca_key);
	p->ca_pem = pki_cert_to_pem(p->ca);
	r = write_text(p, "ca", ".crt", p->ca_pem, 0644);
	return r < 0 ? pki_fail(err, r, "cannot write", "ca.crt") : 0;
}

/* ---- keys of service account tokens ---- */

static EVP_PKEY *any_key_from_pem(const char *pem)
{
	EVP_PKEY *k = key_from_pem(pem);
	if (k)
		return k;
	BIO *b = BIO_new_mem_buf(pem, -1);
	k = PEM_read_bio_PUBKEY(b, NULL, NULL, NULL);
	BIO_free(b);
	return k;
}

/* sa.NAME.key or sa.NAME.pub: verifies only. */
static int add_old_key(struct pki *p, const char *file, struct status *err)
{
	_cleanup_free_ char *text = NULL;
	int r = read_text(p, file, "", &text);
	if (r < 0)
		return pki_fail(err, r, "cannot read", file);
	EVP_PKEY *key = any_key_from_pem(text);
	if (!key || !jwt_algorithm(key)) {
		EVP_PKEY_free(key);
		return pki_fail(err, -EINVAL, "this file holds no key that tokens can be signed with:", file);
	}
	r = jwt_keys_add(&p->token_keys, key, NULL, NULL);
	return r < 0 ? pki_fail(err, r, "too many token keys with", file) : 0;
}

static int load_token_keys(struct pki *p, struct status *err)
{
	EVP_PKEY *key = NULL;
	int r = ensure_key(p, "sa", &key, err);
	if (r < 0)
		return r;
	if (!jwt_algorithm(key)) {
		EVP_PKEY_free(key);
		return pki_fail(err, -EINVAL, "tokens cannot be signed with the key in", "sa.key");
	}
	jwt_keys_add(&p->token_keys, key, NULL, NULL);
	DIR *d = opendir(p->dir);
	if (!d)
		return pki_fail(err, -errno, "cannot read", p->dir);
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		bool old = str_has_prefix(e->d_name, "sa.") && strlen(e->d_name) > strlen("sa..key") &&
			   (str_has_suffix(e->d_name, ".key") || str_has_suffix(e->d_name, ".pub"));
		if (old)
			r = add_old_key(p, e->d_name, err);
	}
	closedir(d);
	return r;
}

int pki_open(const char *dir, struct pki **ret, struct status *err)
{
	struct pki *p = NEW(struct pki);

	p->dir = xstrdup(dir);
	int r = fs_mkdir_p(dir, 0700);
	if (r < 0)
		pki_fail(err, r, "cannot create", dir);
	if (r == 0)
		r = ensure_ca(p, err);
	if (r == 0)
		r = load_token_keys(p, err);
	if (r < 0) {
		pki_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pki_free(struct pki *p)
{
	if (!p)
		return;
	X509_free(p->ca);
	EVP_PKEY_free(p->ca_key);
	jwt_keys_release(&p->token_keys);
	free(p->ca_pem);
	free(p->dir);
	free(p);
}

const char *pki_dir(const struct pki *p)
{
	return p->dir;
}

const char *pki_ca_pem(const struct pki *p)
{
	return p->ca_pem;
}

const struct jwt_keys *pki_token_keys(const struct pki *p)
{
	return &p->token_keys;
}

/* ---- subjects ---- */

char *pki_entry_text(X509_NAME_ENTRY *e)
{
	unsigned char *utf8;
	int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(e));
	if (len < 0)
		return NULL;
	/* A NUL inside would make two different names look the same. */
	char *s = memchr(utf8, 0, (size_t)len) ? NULL : xstrndup((char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return s;
}

int pki_subject(const unsigned char *der, size_t len, char **ret_common_name, char ***ret_organizations,
		int64_t *ret_expires_s)
{
	const unsigned char *at = der;
	_cleanup_x509_ X509 *x = d2i_X509(NULL, &at, (long)len);
	char *common_name = NULL;
	VEC(char *) organizations = {0};
	int r = x ? 0 : -EINVAL;

	X509_NAME *name = x ? X509_get_subject_name(x) : NULL;
	for (int i = 0; name && r == 0 && i < X509_NAME_entry_count(name); i++) {
		X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(e));
		if (nid != NID_commonName && nid != NID_organizationName)
			continue;
		char *text = pki_entry_text(e);
		if (!text || (nid == NID_commonName && common_name)) {
			free(text);
			r = -EINVAL;
		} else if (nid == NID_commonName) {
			common_name = text;
		} else {
			VEC_PUSH(&organizations, text);
		}
	}
	if (r == 0 && str_empty(common_name))
		r = -EINVAL;
	struct tm end;
	if (r == 0 && ASN1_TIME_to_tm(X509_get0_notAfter(x), &end) != 1)
		r = -EINVAL;
	if (r < 0) {
		free(common_name);
		VEC_EACH(o, &organizations)
			free(*o);
		VEC_RELEASE(&organizations);
		ERR_clear_error();
		return r;
	}
	VEC_PUSH(&organizations, NULL);
	*ret_expires_s = timegm(&end);
	*ret_common_name = common_name;
	*ret_organizations = organizations.at;
	return 0;
}

char *pki_kubeconfig(const char *ca_pem, const char *server_url, const char *user, const char *cert_pem,
		     const char *key_pem)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "apiVersion: v1\nkind: Config\nclusters:\n- name: proa\n  cluster:\n");
	buf_addf(&b, "    server: %s\n    certificate-authority-data: ", server_url);
	base64_encode(&b, ca_pem, strlen(ca_pem));
	buf_addf(&b, "\nusers:\n- name: %s\n  user:\n    client-certificate-data: ", user);
	base64_encode(&b, cert_pem, strlen(cert_pem));
	buf_adds(&b, "\n    client-key-data: ");
	base64_encode(&b, key_pem, strlen(key_pem));
	buf_addf(&b, "\ncontexts:\n- name: proa\n  context:\n    cluster: proa\n    user: %s\ncurrent-context: proa\n",
		 user);
	return buf_steal(&b, NULL);
}
