/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenSSL side of a context. What a session needs (ALPN list) hangs on the SSL_CTX itself, so that sessions of a
 * replaced certificate outlive the reload and even the context.
 */
#include "io/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/tls_internal.h"

struct tls_context {
	SSL_CTX *ctx;
	bool server, insecure;
};

struct alpn {
	size_t len;
	unsigned char wire[]; /* length-prefixed names, in our order of preference */
};

static int alpn_index = -1; /* of struct alpn in an SSL_CTX */

static void alpn_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	free(ptr);
}

static void cleanup_ctx(SSL_CTX **c)
{
	SSL_CTX_free(*c);
}

static int fail(char *err, size_t err_len, const char *what)
{
	char reason[160] = "";
	unsigned long e = ERR_peek_last_error();
	if (e)
		ERR_error_string_n(e, reason, sizeof(reason));
	ERR_clear_error();
	if (err && err_len)
		snprintf(err, err_len, "%s%s%s", what, reason[0] ? ": " : "", reason);
	return -EINVAL;
}

/* RFC 7301: the server chooses; no common name is not an error here, the connection is HTTP/1.1 then. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned in_len, void *arg)
{
	struct alpn *a = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), alpn_index);
	unsigned char *chosen;
	(void)arg;
	if (!a)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&chosen, out_len, a->wire, (unsigned)a->len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

int tls_alpn_wire(const char *const *names, struct buf *out)
{
	for (const char *const *p = names; *p; p++) {
		size_t len = strlen(*p);
		if (!len || len > 255)
			return -EINVAL;
		buf_addc(out, (char)len);
		buf_add(out, *p, len);
	}
	return 0;
}

static int set_alpn(SSL_CTX *ctx, const struct tls_config *c)
{
	_cleanup_buf_ struct buf wire = BUF_INIT;

	if (c->alpn && tls_alpn_wire(c->alpn, &wire) < 0)
		return -EINVAL;
	if (!wire.len)
		return 0;
	if (!c->server)
		return SSL_CTX_set_alpn_protos(ctx, (unsigned char *)wire.data, (unsigned)wire.len) ? -EINVAL : 0;
	struct alpn *a = xmalloc(sizeof(*a) + wire.len);
	a->len = wire.len;
	memcpy(a->wire, wire.data, wire.len);
	SSL_CTX_set_ex_data(ctx, alpn_index, a);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	return 0;
}

static int add_chain(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	int r = x && SSL_CTX_use_certificate(ctx, x) == 1 ? 0 : -EINVAL;

	X509_free(x);
	while (r == 0 && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			X509_free(x);
			r = -EINVAL;
		}
	if (r == 0)
		ERR_clear_error(); /* "no start line" at the end of the text */
	BIO_free(bio);
	return r;
}

static int add_key(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	int r = k && SSL_CTX_use_PrivateKey(ctx, k) == 1 && SSL_CTX_check_private_key(ctx) == 1 ? 0 : -EINVAL;

	EVP_PKEY_free(k);
	BIO_free(bio);
	return r;
}

static int add_authorities(SSL_CTX *ctx, const char *pem, bool server)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	unsigned n = 0;
	X509 *x;

	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
		if (server)
			SSL_CTX_add_client_CA(ctx, x); /* so that clients with several certificates choose well */
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	if (n)
		ERR_clear_error();
	return n ? 0 : -EINVAL;
}

/*
 * A certificate that was only asked for and cannot be verified doesn't end the handshake: its result stays in the
 * session, stream_peer_cert() hides the certificate, and the client gets a 401 that it can read instead of an alert.
 */
static int accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok, (void)store;
	return 1;
}

static void set_verify(SSL_CTX *ctx, const struct tls_config *c)
{
	if (!c->server)
		SSL_CTX_set_verify(ctx, c->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	else if (c->require_client_cert)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	else if (c->request_client_cert)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
}

static int make(const struct tls_config *c, SSL_CTX **ret, char *err, size_t err_len)
{
	if (alpn_index < 0)
		alpn_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, alpn_free);
	if (c->server && (!c->cert_pem || !c->key_pem))
		return fail(err, err_len, "a server needs a certificate and its key");
	_cleanup_(cleanup_ctx) SSL_CTX *ctx = SSL_CTX_new(c->server ? TLS_server_method() : TLS_client_method());
	if (!ctx)
		return fail(err, err_len, "no TLS context");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				     SSL_OP_PRIORITIZE_CHACHA);
	/* Idle connections give their record buffers back: about 34 kB each otherwise. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "P-256:X25519:P-384") != 1)
		return fail(err, err_len, "no usable ciphers");
	if (c->server) {
		/* Tickets keep the state at the client; a replaced context has new ticket keys. */
		static const unsigned char id[] = "proa";
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
		SSL_CTX_set_num_tickets(ctx, 1);
	}
	if (c->cert_pem && add_chain(ctx, c->cert_pem) < 0)
		return fail(err, err_len, "certificate cannot be used");
	if (c->cert_pem && (!c->key_pem || add_key(ctx, c->key_pem) < 0))
		return fail(err, err_len, "private key cannot be used with the certificate");
	if (c->ca_pem && add_authorities(ctx, c->ca_pem, c->server) < 0)
		return fail(err, err_len, "no certificate in the CA bundle");
	if (!c->ca_pem && !c->server && !c->insecure)
		SSL_CTX_set_default_verify_paths(ctx); /* public registries */
	if (set_alpn(ctx, c) < 0)
		return fail(err, err_len, "malformed ALPN list");
	set_verify(ctx, c);
	*ret = TAKE_PTR(ctx);
	return 0;
}

#define SYSTEM_CA_MAX (4u << 20) /* a bundle has some 200 kB */

void tls_read_system_ca(struct buf *out)
{
	/* Where distributions keep them; a static OpenSSL knows only Debian's place. */
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (fs_read(places[i], SYSTEM_CA_MAX, out) == 0 && out->len)
			return;
}

int tls_context_new(const struct tls_config *c, struct tls_context **ret, char *err, size_t err_len)
{
	SSL_CTX *ctx;
	int r = make(c, &ctx, err, err_len);
	if (r < 0)
		return r;
	struct tls_context *t = NEW(struct tls_context);
	*t = (struct tls_context){.ctx = ctx, .server = c->server, .insecure = c->insecure};
	*ret = t;
	return 0;
}

int tls_context_reload(struct tls_context *t, const struct tls_config *c, char *err, size_t err_len)
{
	SSL_CTX *ctx;
	if (c->server != t->server)
		return fail(err, err_len, "a context keeps its side");
	int r = make(c, &ctx, err, err_len);
	if (r < 0)
		return r;
	SSL_CTX_free(t->ctx); /* lives on in its sessions */
	t->ctx = ctx;
	t->insecure = c->insecure;
	return 0;
}

void tls_context_free(struct tls_context *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

static bool is_address(const char *name)
{
	unsigned char a[16];
	return inet_pton(AF_INET, name, a) == 1 || inet_pton(AF_INET6, name, a) == 1;
}

int tls_session_new(struct tls_context *t, const char *server_name, SSL **ret)
{
	SSL *ssl = SSL_new(t->ctx);
	if (!ssl)
		return -ENOMEM;
	if (t->server) {
		SSL_set_accept_state(ssl);
		*ret = ssl;
		return 0;
	}
	SSL_set_connect_state(ssl);
	int ok = 1;
	if (str_empty(server_name))
		ok = t->insecure; /* nothing to verify the certificate against */
	else if (is_address(server_name))
		ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name);
	else
		ok = SSL_set1_host(ssl, server_name) && SSL_set_tlsext_host_name(ssl, server_name);
	if (!ok) {
		SSL_free(ssl);
		ERR_clear_error();
		return -EINVAL;
	}
	*ret = ssl;
	return 0;
}
