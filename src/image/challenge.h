/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate (RFC 9110, section 11): what a registry wants to see before it gives anything. Pure. */
#ifndef PROA_IMAGE_CHALLENGE_H
#define PROA_IMAGE_CHALLENGE_H

#include <stdbool.h>

#define CHALLENGE_VALUE_MAX 2048

struct challenge {
	bool basic, bearer; /* which of the two were offered */
	/* Of the Bearer challenge; "" when absent. */
	char realm[CHALLENGE_VALUE_MAX], service[CHALLENGE_VALUE_MAX], scope[CHALLENGE_VALUE_MAX];
	char error[CHALLENGE_VALUE_MAX];
};

/* Adds what one header field offers. Several challenges may share a field; unknown schemes and nonsense are skipped. */
void challenge_parse(const char *field, struct challenge *c);

#endif
