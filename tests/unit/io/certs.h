/* SPDX-License-Identifier: Apache-2.0 */
/* Throw-away certificates for tests: a CA, a server (localhost, 127.0.0.1) and a client, all P-256. */
#ifndef PROA_TEST_CERTS_H
#define PROA_TEST_CERTS_H

struct test_certs {
	char *ca, *cert, *key; /* PEM */
	char *client_cert, *client_key;
	char *stranger_cert, *stranger_key; /* signed by another CA */
};

void test_certs_make(struct test_certs *t);
void test_certs_release(struct test_certs *t);

#endif
