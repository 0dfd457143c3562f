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
#include <openssl/rsa.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/jwt_internal.h"

#define SIGNATURE_MAX 2048 /* RSA with 16,384 bits */

/* ---- algorithms ---- */

static const struct jwt_alg algs_known[] = {
    {"ES256", JWT_EC, "SHA256", "P-256", "prime256v1", 32},
    {"ES384", JWT_EC, "SHA384", "P-384", "secp384r1", 48},
    {"ES512", JWT_EC, "SHA512", "P-521", "secp521r1", 66},
    {"RS256", JWT_RSA, "SHA256", NULL, NULL, 0},
    {"RS384", JWT_RSA, "SHA384", NULL, NULL, 0},
    {"RS512", JWT_RSA, "SHA512", NULL, NULL, 0},
    {"PS256", JWT_PSS, "SHA256", NULL, NULL, 0},
    {"PS384", JWT_PSS, "SHA384", NULL, NULL, 0},
    {"PS512", JWT_PSS, "SHA512", NULL, NULL, 0},
};

const char *const jwt_algorithms[] = {"ES256", "ES384", "ES512", "RS256", "RS384",
				      "RS512", "PS256", "PS384", "PS512", NULL};

const struct jwt_alg *jwt_alg_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(algs_known); i++)
		if (strcmp(algs_known[i].name, name) == 0)
			return &algs_known[i];
	return NULL;
}

bool jwt_alg_fits(const struct jwt_alg *alg, void *key)
{
	char group[64] = "";
	size_t len;

	if (alg->family != JWT_EC)
		return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= JWT_RSA_BITS_MIN;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       strcmp(group, alg->group) == 0;
}

const char *jwt_algorithm(void *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs_known); i++)
		if (jwt_alg_fits(&algs_known[i], key))
			return algs_known[i].name;
	return NULL;
}

/* ---- signatures ---- */

/* DER ECDSA-Sig-Value ↔ r and s of fixed width (RFC 7518, 3.4) */
static int raw_from_der(const unsigned char *der, size_t len, size_t width, unsigned char *raw)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	int r = -EINVAL;

	if (sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)width) == (int)width &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + width, (int)width) == (int)width)
		r = 0;
	ECDSA_SIG_free(sig);
	return r;
}

static int der_from_raw(const unsigned char *raw, size_t width, unsigned char **ret_der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();

	ECDSA_SIG_set0(sig, BN_bin2bn(raw, (int)width, NULL), BN_bin2bn(raw + width, (int)width, NULL));
	*ret_der = NULL;
	int len = i2d_ECDSA_SIG(sig, ret_der);
	ECDSA_SIG_free(sig);
	return len;
}

static bool set_padding(EVP_PKEY_CTX *ctx, const struct jwt_alg *alg)
{
	if (alg->family != JWT_PSS)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static int sign(void *key, const struct jwt_alg *alg, const struct buf *text, unsigned char *out, size_t *ret_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *params;
	unsigned char made[SIGNATURE_MAX];
	size_t len = sizeof(made);
	int r = -EIO;

	if (EVP_DigestSignInit_ex(ctx, &params, alg->digest, NULL, NULL, key, NULL) == 1 && set_padding(params, alg) &&
	    EVP_DigestSign(ctx, made, &len, (unsigned char *)text->data, text->len) == 1) {
		r = 0;
		*ret_len = alg->family == JWT_EC ? 2 * alg->coordinate : len;
		if (alg->family == JWT_EC)
			r = raw_from_der(made, len, alg->coordinate, out);
		else
			memcpy(out, made, len);
	}
	EVP_MD_CTX_free(ctx);
	return r;
}

static bool verifies(void *key, const struct jwt_alg *alg, const char *text, size_t len, const struct buf *signature)
{
	unsigned char *der = NULL, *sig = (unsigned char *)signature->data;
	int sig_len = (int)signature->len;
	EVP_PKEY_CTX *params;

	if (alg->family == JWT_EC) {
		if (signature->len != 2 * alg->coordinate)
			return false;
		sig_len = der_from_raw(sig, alg->coordinate, &der);
		sig = der;
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = sig_len > 0 && EVP_DigestVerifyInit_ex(ctx, &params, alg->digest, NULL, NULL, key, NULL) == 1 &&
		    set_padding(params, alg) &&
		    EVP_DigestVerify(ctx, sig, (size_t)sig_len, (const unsigned char *)text, len) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}

/* ---- tokens ---- */

char *jwt_sign(struct arena *a, const struct jwt_key *key, const struct json *claims)
{
	_cleanup_buf_ struct buf token = BUF_INIT, payload = BUF_INIT;
	const struct jwt_alg *alg = jwt_alg_find(jwt_algorithm(key->key));
	unsigned char raw[SIGNATURE_MAX];
	size_t len;

	if (!alg)
		return NULL;
	char *head = arena_printf(a, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}", alg->name, key->id);
	json_write(&payload, claims);
	base64url_encode(&token, head, strlen(head));
	buf_addc(&token, '.');
	base64url_encode(&token, payload.data, payload.len);
	if (sign(key->key, alg, &token, raw, &len) < 0) {
		ERR_clear_error();
		return NULL;
	}
	buf_addc(&token, '.');
	base64url_encode(&token, raw, len);
	return arena_strdup(a, buf_str(&token));
}

static int parse_part(struct arena *a, const char *s, size_t len, struct json **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (base64url_decode(&b, s, len) < 0 || json_parse(a, buf_str(&b), b.len, ret, NULL) < 0 ||
	    !json_is(*ret, JSON_OBJECT))
		return -EINVAL;
	return 0;
}

/* The two dots of HEAD.CLAIMS.SIGNATURE. */
static int split(const char *token, const char **ret_dot, const char **ret_dot2)
{
	if (strnlen(token, JWT_MAX + 1) > JWT_MAX)
		return -EINVAL;
	const char *dot = strchr(token, '.'), *dot2 = dot ? strchr(dot + 1, '.') : NULL;
	if (!dot2 || strchr(dot2 + 1, '.'))
		return -EINVAL;
	*ret_dot = dot;
	*ret_dot2 = dot2;
	return 0;
}

struct json *jwt_peek(struct arena *a, const char *token)
{
	const char *dot, *dot2;
	struct json *claims;

	if (split(token, &dot, &dot2) < 0 || parse_part(a, dot + 1, (size_t)(dot2 - dot - 1), &claims) < 0)
		return NULL;
	return claims;
}

int jwt_verify(struct arena *a, const struct jwt_keys *keys, const char *const *algs, const char *token,
	       struct json **ret_claims)
{
	const char *dot, *dot2;
	struct json *head, *claims;
	_cleanup_buf_ struct buf signature = BUF_INIT;

	if (split(token, &dot, &dot2) < 0 || parse_part(a, token, (size_t)(dot - token), &head) < 0 ||
	    base64url_decode(&signature, dot2 + 1, strlen(dot2 + 1)) < 0)
		return -EINVAL;
	const char *name = json_path_str(head, "alg"), *id = json_path_str(head, "kid");
	const struct jwt_alg *alg = name && str_in(name, algs) ? jwt_alg_find(name) : NULL;
	if (!alg || json_get(head, "crit") || (json_get(head, "kid") && !id))
		return -EKEYREJECTED;
	int r = -ENOKEY;
	for (size_t i = 0; i < keys->n && r != 0; i++) {
		const struct jwt_key *k = &keys->at[i];
		if (id && !str_eq(k->id, id))
			continue;
		r = -EKEYREJECTED;
		if (jwt_alg_fits(alg, k->key) && (!k->alg || strcmp(k->alg, alg->name) == 0) &&
		    verifies(k->key, alg, token, (size_t)(dot2 - token), &signature))
			r = 0;
	}
	if (r < 0)
		return r;
	if (parse_part(a, dot + 1, (size_t)(dot2 - dot - 1), &claims) < 0)
		return -EINVAL;
	*ret_claims = claims;
	return 0;
}

/* ---- verified before ---- */

int jwt_verify_cached(struct arena *a, struct jwt_cache *cache, const struct jwt_keys *keys, const char *const *algs,
		      const char *token, struct json **ret_claims)
{
	unsigned char digest[EVP_MAX_MD_SIZE], (*slot)[32];
	size_t len = strnlen(token, JWT_MAX + 1);

	if (len > JWT_MAX || EVP_Digest(token, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return -EINVAL;
	slot = &cache->digest[(digest[0] | digest[1] << 8) & (JWT_CACHE_TOKENS - 1)];
	if (memcmp(*slot, digest, sizeof(*slot)) == 0) {
		*ret_claims = jwt_peek(a, token);
		return *ret_claims ? 0 : -EINVAL;
	}
	int r = jwt_verify(a, keys, algs, token, ret_claims);
	if (r == 0)
		memcpy(*slot, digest, sizeof(*slot));
	return r;
}

void jwt_cache_clear(struct jwt_cache *cache)
{
	memset(cache, 0, sizeof(*cache));
}
