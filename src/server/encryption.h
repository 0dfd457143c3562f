/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption at rest (Kubernetes documentation, "Encrypting Confidential Data at Rest"): a file of kind
 * EncryptionConfiguration says which resources are written how. Providers: aesgcm, aescbc (for what was written by
 * others: it does not notice changes), and identity for plain; secretbox and kms are refused. Of the first
 * entry that names a resource, the first key of the first provider writes and all of them read; rewriting an object
 * moves it to the first.
 *
 * On disk a value is upstream's: "k8s:enc:aesgcm:v1:KEY:", a nonce of 12 random bytes, the ciphertext, a tag of 16
 * bytes; the object's storage key is authenticated with it. AES-GCM with random nonces is good for 2^32 values a key
 * (NIST SP 800-38D, 8.3): keys should be rotated long before, upstream says every 200,000 writes. With aescbc it is
 * "k8s:enc:aescbc:v1:KEY:", 16 random bytes, the ciphertext padded as PKCS #7 says.
 */
#ifndef PROA_SERVER_ENCRYPTION_H
#define PROA_SERVER_ENCRYPTION_H

#include <stddef.h>

struct encryption;
struct status;
struct store_codec;

#define ENCRYPTION_FILE_MAX (256 * 1024)

/* Parses YAML or JSON. 0, or -1 with what is wrong and where in err. */
int encryption_parse(const char *text, size_t len, struct encryption **ret, struct status *err);
/* For store_config; lives as long as e. */
const struct store_codec *encryption_codec(const struct encryption *e);
void encryption_free(struct encryption *e); /* NULL-safe; keys are wiped */

#endif
