/* SPDX-License-Identifier: Apache-2.0 */
#include "server/jwt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#define COORDINATE 32 /* bytes of a P-256 coordinate */

char *jwt_key_id(struct arena *a, void *key)
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	_cleanup_buf_ struct buf b = BUF_INIT;

	int len = i2d_PUBKEY(key, &der);
	if (len > 0)
		EVP_Digest(der, (size_t)len, digest, &digest_len, EVP_sha256(), NULL);
	OPENSSL_free(der);
	base64url_encode(&b, digest, digest_len);
	return arena_strdup(a, buf_str(&b));
}

/* DER ECDSA-Sig-Value ↔ r and s of fixed width (RFC 7518, 3.4) */
static int raw_from_der(const unsigned char *der, size_t len, unsigned char raw[2 * COORDINATE])
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	int r = -EINVAL;

	if (sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE) == COORDINATE &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE, COORDINATE) == COORDINATE)
		r = 0;
	ECDSA_SIG_free(sig);
	return r;
}

static int der_from_raw(const unsigned char raw[2 * COORDINATE], unsigned char **ret_der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();

	ECDSA_SIG_set0(sig, BN_bin2bn(raw, COORDINATE, NULL), BN_bin2bn(raw + COORDINATE, COORDINATE, NULL));
	*ret_der = NULL;
	int len = i2d_ECDSA_SIG(sig, ret_der);
	ECDSA_SIG_free(sig);
	return len;
}

static int sign(void *key, const struct buf *text, unsigned char raw[2 * COORDINATE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[128];
	size_t len = sizeof(der);
	int r = -EIO;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, der, &len, (unsigned char *)text->data, text->len) == 1)
		r = raw_from_der(der, len, raw);
	EVP_MD_CTX_free(ctx);
	return r;
}

char *jwt_sign(struct arena *a, void *key, const struct json *claims)
{
	_cleanup_buf_ struct buf token = BUF_INIT, payload = BUF_INIT;
	unsigned char raw[2 * COORDINATE];
	char *head = arena_printf(a, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", jwt_key_id(a, key));

	json_write(&payload, claims);
	base64url_encode(&token, head, strlen(head));
	buf_addc(&token, '.');
	base64url_encode(&token, payload.data, payload.len);
	if (sign(key, &token, raw) < 0) {
		ERR_clear_error();
		return NULL;
	}
	buf_addc(&token, '.');
	base64url_encode(&token, raw, sizeof(raw));
	return arena_strdup(a, buf_str(&token));
}

static int check_signature(void *key, const char *text, size_t len, const struct buf *raw)
{
	unsigned char *der;
	int der_len = raw->len == 2 * COORDINATE ? der_from_raw((unsigned char *)raw->data, &der) : 0;
	if (der_len <= 0)
		return -EKEYREJECTED;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int good = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		   EVP_DigestVerify(ctx, der, (size_t)der_len, (const unsigned char *)text, len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return good ? 0 : -EKEYREJECTED;
}

static int parse_part(struct arena *a, const char *s, size_t len, struct json **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (base64url_decode(&b, s, len) < 0 || json_parse(a, buf_str(&b), b.len, ret, NULL) < 0 ||
	    !json_is(*ret, JSON_OBJECT))
		return -EINVAL;
	return 0;
}

int jwt_verify(struct arena *a, void *key, const char *token, struct json **ret_claims)
{
	if (strnlen(token, JWT_MAX + 1) > JWT_MAX)
		return -EINVAL;
	const char *dot = strchr(token, '.'), *dot2 = dot ? strchr(dot + 1, '.') : NULL;
	if (!dot2 || strchr(dot2 + 1, '.'))
		return -EINVAL;
	struct json *head, *claims;
	_cleanup_buf_ struct buf raw = BUF_INIT;
	if (parse_part(a, token, (size_t)(dot - token), &head) < 0 ||
	    base64url_decode(&raw, dot2 + 1, strlen(dot2 + 1)) < 0)
		return -EINVAL;
	if (!str_eq(json_path_str(head, "alg"), "ES256") || json_get(head, "crit"))
		return -EKEYREJECTED;
	int r = check_signature(key, token, (size_t)(dot2 - token), &raw);
	if (r < 0)
		return r;
	if (parse_part(a, dot + 1, (size_t)(dot2 - dot - 1), &claims) < 0)
		return -EINVAL;
	*ret_claims = claims;
	return 0;
}

static void set_coordinate(struct arena *a, struct json *jwk, void *key, const char *member, const char *param)
{
	BIGNUM *n = NULL;
	unsigned char raw[COORDINATE];
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (EVP_PKEY_get_bn_param(key, param, &n) == 1 && BN_bn2binpad(n, raw, COORDINATE) == COORDINATE)
		base64url_encode(&b, raw, sizeof(raw));
	BN_free(n);
	json_set_str(a, jwk, member, buf_str(&b));
}

struct json *jwt_key_set(struct arena *a, void *key)
{
	struct json *set = json_new(a, JSON_OBJECT), *jwk = json_new(a, JSON_OBJECT);

	json_set_str(a, jwk, "use", "sig");
	json_set_str(a, jwk, "kty", "EC");
	json_set_str(a, jwk, "kid", jwt_key_id(a, key));
	json_set_str(a, jwk, "crv", "P-256");
	json_set_str(a, jwk, "alg", "ES256");
	set_coordinate(a, jwk, key, "x", OSSL_PKEY_PARAM_EC_PUB_X);
	set_coordinate(a, jwk, key, "y", OSSL_PKEY_PARAM_EC_PUB_Y);
	json_append(json_array_in(a, set, "keys"), jwk);
	return set;
}
