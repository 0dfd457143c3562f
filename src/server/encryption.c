/* SPDX-License-Identifier: Apache-2.0 */
#include "server/encryption.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "api/resource.h"
#include "api/yaml.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "store/store.h"

#define KEY_MAX 32
#define FORMATS 2

struct key {
	char *name;
	unsigned char secret[KEY_MAX];
	size_t len;
};

/* How a provider writes values: prefix, name of the key, colon, nonce, ciphertext, tag. */
struct format {
	const char *provider, *prefix;
	const EVP_CIPHER *(*cipher)(const struct key *k);
	size_t nonce, tag; /* bytes */
	size_t block;	   /* the plain text is padded up to whole ones; 1: it is not */
};

struct provider {
	const struct format *format; /* NULL: identity */
	VEC(struct key) keys;
};

struct entry {
	VEC(char *) resources; /* "secrets", "deployments.apps", "*.apps", "*.", "*.*" */
	VEC(struct provider) providers;
};

struct encryption {
	struct store_codec codec;
	VEC(struct entry) entries;
};

/* ---- which entry ---- */

static bool matches(const char *pattern, const struct resource *r)
{
	const char *dot = strchr(pattern, '.');
	const char *group = dot ? dot + 1 : "";
	size_t len = dot ? (size_t)(dot - pattern) : strlen(pattern);
	bool any = len == 1 && *pattern == '*';

	if (any && strcmp(group, "*") == 0)
		return true;
	return strcmp(group, r->group) == 0 &&
	       (any || (strlen(r->plural) == len && memcmp(r->plural, pattern, len) == 0));
}

static struct entry *entry_for(struct encryption *e, const char *key)
{
	const struct resource *r = resource_of_key(key);

	VEC_EACH(entry, &e->entries)
		VEC_EACH(pattern, &entry->resources)
			if (r && matches(*pattern, r))
				return entry;
	return NULL;
}

/* ---- values ---- */

static const EVP_CIPHER *gcm(const struct key *k)
{
	return k->len == 16 ? EVP_aes_128_gcm() : k->len == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static const EVP_CIPHER *cbc(const struct key *k)
{
	return k->len == 16 ? EVP_aes_128_cbc() : k->len == 24 ? EVP_aes_192_cbc() : EVP_aes_256_cbc();
}

/* aescbc protects against readers of the disk, not against writers: it is here for what was written by others. */
static const struct format formats[FORMATS] = {
    {"aesgcm", STORE_SEALED_PREFIX "aesgcm:v1:", gcm, 12, 16, 1},
    {"aescbc", STORE_SEALED_PREFIX "aescbc:v1:", cbc, 16, 0, 16},
};

static size_t padded(const struct format *f, size_t len)
{
	return f->block > 1 ? len + f->block - len % f->block : len;
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const struct format *f, const struct key *k, const char *name,
		    const struct bytes *plain, char *nonce)
{
	unsigned char *at = (unsigned char *)nonce + f->nonce;
	int n, last;

	/* What is authenticated is bound to its name: under another it is worth nothing. */
	return RAND_bytes((unsigned char *)nonce, (int)f->nonce) == 1 &&
	       EVP_EncryptInit_ex(ctx, f->cipher(k), NULL, k->secret, (unsigned char *)nonce) == 1 &&
	       (!f->tag || EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)name, (int)strlen(name)) == 1) &&
	       EVP_EncryptUpdate(ctx, at, &n, (const unsigned char *)plain->data, (int)plain->len) == 1 &&
	       EVP_EncryptFinal_ex(ctx, at + n, &last) == 1 &&
	       (!f->tag || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, (int)f->tag, at + n + last) == 1);
}

static int seal(void *self, const char *name, const struct bytes *plain, struct bytes **ret)
{
	struct entry *entry = entry_for(self, name);
	struct provider *p = entry ? &entry->providers.at[0] : NULL;

	if (!p || !p->format)
		return 0;
	const struct format *f = p->format;
	const struct key *k = &p->keys.at[0];
	size_t head = strlen(f->prefix) + strlen(k->name) + 1;
	_cleanup_bytes_ struct bytes *b = bytes_alloc(head + f->nonce + padded(f, plain->len) + f->tag);
	snprintf(b->data, head + 1, "%s%s:", f->prefix, k->name);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = encrypt(ctx, f, k, name, plain, b->data + head);
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	if (!good)
		return -EIO;
	*ret = TAKE_PTR(b);
	return 0;
}

/* len: of the ciphertext. *ret_len: of the plain text, which has room for as much. */
static bool decrypt(EVP_CIPHER_CTX *ctx, const struct format *f, const struct key *k, const char *name,
		    const char *nonce, size_t len, struct bytes *plain, size_t *ret_len)
{
	const unsigned char *at = (const unsigned char *)nonce + f->nonce;
	unsigned char tag[EVP_MAX_BLOCK_LENGTH], *out = (unsigned char *)plain->data;
	int n, last;

	memcpy(tag, at + len, f->tag);
	if (EVP_DecryptInit_ex(ctx, f->cipher(k), NULL, k->secret, (const unsigned char *)nonce) != 1 ||
	    (f->tag && EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)name, (int)strlen(name)) != 1) ||
	    EVP_DecryptUpdate(ctx, out, &n, at, (int)len) != 1 ||
	    (f->tag && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, (int)f->tag, tag) != 1) ||
	    EVP_DecryptFinal_ex(ctx, out + n, &last) != 1)
		return false;
	*ret_len = (size_t)n + (size_t)last;
	return true;
}

/* NULL: no such key, or it does not fit. */
static struct bytes *open_with(const struct format *f, const struct key *k, const char *name, const char *rest,
			       size_t len)
{
	size_t key_len = strlen(k->name), plain_len = 0;

	if (len < key_len + 1 + f->nonce + f->tag || memcmp(rest, k->name, key_len) != 0 || rest[key_len] != ':')
		return NULL;
	rest += key_len + 1;
	len -= key_len + 1 + f->nonce + f->tag;
	/* A block cipher writes up to a block more on the way than what comes out. */
	_cleanup_bytes_ struct bytes *room = bytes_alloc(len + EVP_MAX_BLOCK_LENGTH);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = decrypt(ctx, f, k, name, rest, len, room, &plain_len);
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	/* Without a tag a wrong key is only found out by what comes out: values are objects. */
	if (good && !f->tag)
		good = plain_len >= 2 && room->data[0] == '{' && room->data[plain_len - 1] == '}';
	return good ? bytes_new(room->data, plain_len) : NULL;
}

/* Who wrote it, by its prefix; NULL: nobody we know. */
static const struct format *format_of(const char *text, size_t len)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (len > strlen(formats[i].prefix) && memcmp(text, formats[i].prefix, strlen(formats[i].prefix)) == 0)
			return &formats[i];
	return NULL;
}

static int open_value(void *self, const char *name, const void *p, size_t len, struct bytes **ret, bool *ret_stale,
		      char *why, size_t why_len)
{
	struct entry *entry = entry_for(self, name);
	const char *text = p, *sealed = STORE_SEALED_PREFIX;
	bool plain_too = !entry;

	if (entry)
		VEC_EACH(provider, &entry->providers)
			plain_too |= !provider->format;
	*ret_stale = false;
	if (len < strlen(sealed) || memcmp(text, sealed, strlen(sealed)) != 0) {
		*ret_stale = entry && entry->providers.at[0].format;
		if (plain_too)
			return 0;
		snprintf(why, why_len, "it is not encrypted, and identity is not among its providers");
		return -EBADMSG;
	}
	const struct format *f = format_of(text, len);
	size_t prefix = f ? strlen(f->prefix) : 0;
	if (f && entry)
		VEC_EACH(provider, &entry->providers)
			VEC_EACH(k, &provider->keys)
				if (provider->format == f &&
				    (*ret = open_with(f, k, name, text + prefix, len - prefix))) {
					*ret_stale = k != entry->providers.at[0].keys.at;
					return 0;
				}
	const char *end = f ? memchr(text + prefix, ':', len - prefix) : NULL;
	if (end && end - text < 120)
		snprintf(why, why_len, "none of the configured keys fits; it was written with key \"%.*s\"",
			 (int)(end - text - (ptrdiff_t)prefix), text + prefix);
	else
		snprintf(why, why_len, "no configured provider reads it");
	return -ENOKEY;
}

/* ---- configuration ---- */

struct reader {
	struct encryption *e;
	struct status *err;
	struct arena arena;
};

static int wrong(struct reader *r, const char *at, const char *what)
{
	return status_set(r->err, 400, "encryption configuration: %s: %s", at, what);
}

static int read_key(struct reader *r, const struct json *from, const char *at, struct provider *p)
{
	const char *name = json_path_str(from, "name"), *secret = json_path_str(from, "secret");
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (str_empty(name) || strchr(name, ':'))
		return wrong(r, at, "a key needs a name, without colons");
	VEC_EACH(k, &p->keys)
		if (str_eq(k->name, name))
			return wrong(r, at, "two keys have the same name");
	bool good =
	    secret && base64_decode(&b, secret, strlen(secret)) == 0 && (b.len == 16 || b.len == 24 || b.len == 32);
	if (good) {
		struct key k = {.name = xstrdup(name), .len = b.len};
		memcpy(k.secret, b.data, b.len);
		VEC_PUSH(&p->keys, k);
	}
	OPENSSL_cleanse(b.data, b.len);
	return good ? 0 : wrong(r, at, "the secret must be 16, 24 or 32 bytes in base64");
}

static int read_provider(struct reader *r, const struct json *from, const char *at, struct entry *entry)
{
	const struct json *only = json_first(from);
	int e = 0;

	if (!json_is(from, JSON_OBJECT) || json_len(from) != 1)
		return wrong(r, at, "a provider is exactly one of aesgcm, aescbc and identity");
	VEC_PUSH(&entry->providers, (struct provider){0});
	struct provider *p = &VEC_LAST(&entry->providers);
	if (str_eq(only->key, "identity"))
		return 0;
	for (size_t f = 0; f < FORMATS; f++)
		if (str_eq(only->key, formats[f].provider))
			p->format = &formats[f];
	if (!p->format)
		return wrong(r, at,
			     arena_printf(&r->arena, "provider \"%s\" is not supported: use aesgcm, aescbc or identity",
					  only->key));
	size_t i = 0;
	JSON_EACH(k, json_get(only, "keys"))
		if (e == 0)
			e = read_key(r, k, arena_printf(&r->arena, "%s.%s.keys[%zu]", at, only->key, i++), p);
	if (e == 0 && !p->keys.n)
		e = wrong(r, at, arena_printf(&r->arena, "%s needs at least one key", only->key));
	return e;
}

static int read_entry(struct reader *r, const struct json *from, const char *at)
{
	VEC_PUSH(&r->e->entries, (struct entry){0});
	struct entry *entry = &VEC_LAST(&r->e->entries);
	size_t i = 0;
	int e = 0;

	JSON_EACH(name, json_get(from, "resources")) {
		if (str_empty(json_str(name)))
			return wrong(r, at, "resources are names: \"secrets\", \"deployments.apps\", \"*.*\"");
		VEC_PUSH(&entry->resources, xstrdup(json_str(name)));
	}
	JSON_EACH(p, json_get(from, "providers"))
		if (e == 0)
			e = read_provider(r, p, arena_printf(&r->arena, "%s.providers[%zu]", at, i++), entry);
	if (e == 0 && !entry->resources.n)
		e = wrong(r, at, "no resources are named");
	if (e == 0 && !entry->providers.n)
		e = wrong(r, at, "no providers are named");
	return e;
}

static int read_all(struct reader *r, const struct json *doc)
{
	size_t i = 0;
	int e = 0;

	if (!str_eq(json_path_str(doc, "kind"), "EncryptionConfiguration") ||
	    !str_eq(json_path_str(doc, "apiVersion"), "apiserver.config.k8s.io/v1"))
		return wrong(r, "kind", "must be EncryptionConfiguration of apiserver.config.k8s.io/v1");
	JSON_EACH(entry, json_get(doc, "resources"))
		if (e == 0)
			e = read_entry(r, entry, arena_printf(&r->arena, "resources[%zu]", i++));
	if (e == 0 && !i)
		e = wrong(r, "resources", "none are given");
	return e;
}

int encryption_parse(const char *text, size_t len, struct encryption **ret, struct status *err)
{
	struct reader r = {.e = NEW(struct encryption), .err = err};
	struct yaml_error bad;
	struct json *doc;
	int e;

	if (yaml_parse(&r.arena, text, len, NULL, NULL, &doc, &bad) < 0)
		e = wrong(&r, "syntax", bad.message);
	else
		e = read_all(&r, doc);
	arena_release(&r.arena);
	if (e < 0) {
		encryption_free(r.e);
		return -1;
	}
	r.e->codec = (struct store_codec){.self = r.e, .seal = seal, .open = open_value};
	*ret = r.e;
	return 0;
}

const struct store_codec *encryption_codec(const struct encryption *e)
{
	return &e->codec;
}

static void provider_release(struct provider *p)
{
	VEC_EACH(k, &p->keys) {
		free(k->name);
		OPENSSL_cleanse(k->secret, sizeof(k->secret));
	}
	VEC_RELEASE(&p->keys);
}

void encryption_free(struct encryption *e)
{
	if (!e)
		return;
	VEC_EACH(entry, &e->entries) {
		VEC_EACH(name, &entry->resources)
			free(*name);
		VEC_EACH(p, &entry->providers)
			provider_release(p);
		VEC_RELEASE(&entry->resources);
		VEC_RELEASE(&entry->providers);
	}
	VEC_RELEASE(&e->entries);
	free(e);
}
