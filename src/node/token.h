/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service account token bound to a pod: asked for with the serviceaccounts/token subresource, and again when 80 % of
 * its life (at most 24 h) are over, as upstream's token manager does.
 */
#ifndef PROA_NODE_TOKEN_H
#define PROA_NODE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct token;

#define TOKEN_RETRY_MS_FIRST 500
#define TOKEN_RETRY_MS_MAX 60000

struct token_config {
	struct client *client;
	const char *ns, *service_account, *pod_name, *pod_uid;
	const char *audience; /* "": the API server's own */
	int64_t expiration_s;
	void (*changed)(void *arg); /* a new token, or a failed request */
	void *arg;
};

struct token *token_new(const struct token_config *c);
void token_free(struct token *t);		/* NULL-safe; no callback follows */
const char *token_text(const struct token *t);	/* NULL: none yet */
const char *token_error(const struct token *t); /* why the latest request failed; NULL: it did not */
bool token_is(const struct token *t, const char *audience, int64_t expiration_s);

#endif
