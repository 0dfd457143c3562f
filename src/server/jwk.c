/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Keys (RFC 7517, 7518 section 6): sets of public keys, read and written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/jwt.h"
#include "server/jwt_internal.h"

#define NUMBER_MAX 2048 /* bytes of an RSA modulus */

/* base64url of the SHA-256 of the public key, as upstream names its keys. */
static char *hash_of(void *key)
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	_cleanup_buf_ struct buf b = BUF_INIT;

	int len = i2d_PUBKEY(key, &der);
	if (len > 0)
		EVP_Digest(der, (size_t)len, digest, &digest_len, EVP_sha256(), NULL);
	OPENSSL_free(der);
	base64url_encode(&b, digest, digest_len);
	return buf_steal(&b, NULL);
}

int jwt_keys_add(struct jwt_keys *k, void *key, const char *id, const char *alg)
{
	if (k->n == JWT_KEYS_MAX) {
		EVP_PKEY_free(key);
		return -ENOSPC;
	}
	const struct jwt_alg *known = jwt_alg_find(alg);
	k->at[k->n++] = (struct jwt_key){key, id ? xstrdup(id) : hash_of(key), known ? known->name : NULL};
	return 0;
}

void jwt_keys_release(struct jwt_keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		EVP_PKEY_free(k->at[i].key);
		free(k->at[i].id);
	}
	k->n = 0;
}

/* ---- reading ---- */

static BIGNUM *number(const struct json *jwk, const char *member)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *text = json_path_str(jwk, member);

	if (!text || base64url_decode(&b, text, strlen(text)) < 0 || !b.len || b.len > NUMBER_MAX)
		return NULL;
	return BN_bin2bn((unsigned char *)b.data, (int)b.len, NULL);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *read_rsa(const struct json *jwk)
{
	BIGNUM *n = number(jwk, "n"), *e = number(jwk, "e");
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (n && e && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		key = from_params("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return key;
}

static const struct jwt_alg *alg_of_curve(const char *curve)
{
	for (const char *const *name = jwt_algorithms; *name; name++) {
		const struct jwt_alg *alg = jwt_alg_find(*name);
		if (alg->family == JWT_EC && str_eq(alg->curve, curve))
			return alg;
	}
	return NULL;
}

static EVP_PKEY *read_ec(const struct json *jwk)
{
	const struct jwt_alg *alg = alg_of_curve(json_path_str(jwk, "crv"));
	BIGNUM *x = number(jwk, "x"), *y = number(jwk, "y");
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	unsigned char point[1 + 2 * 66] = {4}; /* uncompressed (SEC 1, 2.3.3) */
	EVP_PKEY *key = NULL;

	if (alg && x && y && BN_bn2binpad(x, point + 1, (int)alg->coordinate) > 0 &&
	    BN_bn2binpad(y, point + 1 + alg->coordinate, (int)alg->coordinate) > 0 &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, alg->group, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * alg->coordinate))
		key = from_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(x);
	BN_free(y);
	return key;
}

int jwt_keys_parse(struct jwt_keys *k, const struct json *set)
{
	const struct json *list = json_get(set, "keys");

	if (!json_is(list, JSON_ARRAY))
		return -EINVAL;
	JSON_EACH(jwk, list) {
		const char *type = json_path_str(jwk, "kty"), *use = json_path_str(jwk, "use"),
			   *alg = json_path_str(jwk, "alg");
		if ((use && !str_eq(use, "sig")) || (alg && !jwt_alg_find(alg)))
			continue;
		EVP_PKEY *key = str_eq(type, "RSA") ? read_rsa(jwk) : str_eq(type, "EC") ? read_ec(jwk) : NULL;
		if (key && !jwt_algorithm(key)) {
			EVP_PKEY_free(key);
			key = NULL;
		}
		if (key)
			jwt_keys_add(k, key, str_or(json_path_str(jwk, "kid"), ""), alg);
	}
	ERR_clear_error();
	return 0;
}

/* ---- writing ---- */

/* width 0: as many bytes as it has. */
static void set_number(struct arena *a, struct json *jwk, void *key, const char *member, const char *param,
		       size_t width)
{
	BIGNUM *n = NULL;
	unsigned char raw[NUMBER_MAX];
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (EVP_PKEY_get_bn_param(key, param, &n) == 1) {
		int len = width ? (int)width : BN_num_bytes(n);
		if (len <= NUMBER_MAX && BN_bn2binpad(n, raw, len) == len)
			base64url_encode(&b, raw, (size_t)len);
	}
	BN_free(n);
	json_set_str(a, jwk, member, buf_str(&b));
}

struct json *jwt_key_set(struct arena *a, const struct jwt_keys *k)
{
	struct json *set = json_new(a, JSON_OBJECT), *list = json_array_in(a, set, "keys");

	for (size_t i = 0; i < k->n; i++) {
		const struct jwt_alg *alg = jwt_alg_find(jwt_algorithm(k->at[i].key));
		if (!alg)
			continue;
		struct json *jwk = json_append(list, json_new(a, JSON_OBJECT));
		json_set_str(a, jwk, "use", "sig");
		json_set_str(a, jwk, "kty", alg->family == JWT_EC ? "EC" : "RSA");
		json_set_str(a, jwk, "kid", k->at[i].id);
		if (alg->curve)
			json_set_str(a, jwk, "crv", alg->curve);
		json_set_str(a, jwk, "alg", alg->name);
		if (alg->family == JWT_EC) {
			set_number(a, jwk, k->at[i].key, "x", OSSL_PKEY_PARAM_EC_PUB_X, alg->coordinate);
			set_number(a, jwk, k->at[i].key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, alg->coordinate);
		} else {
			set_number(a, jwk, k->at[i].key, "n", OSSL_PKEY_PARAM_RSA_N, 0);
			set_number(a, jwk, k->at[i].key, "e", OSSL_PKEY_PARAM_RSA_E, 0);
		}
	}
	return set;
}
