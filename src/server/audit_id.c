/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every answer has an id, which is that of its audit event: the client's own, or a new UUID. New ones are cut from a
 * block of random bytes, as asking the kernel for each would cost more than finding most objects.
 */
#include <string.h>

#include "base/arena.h"
#include "base/env.h"
#include "http/server.h"
#include "server/audit.h"
#include "server/server_internal.h"

static const char *new_id(struct server *s, char *out)
{
	static const char digits[] = "0123456789abcdef";
	struct audit_ids *ids = &s->audit_ids;
	char *at = out;

	if (!ids->left) {
		env->random(ids->bytes, sizeof(ids->bytes));
		ids->left = AUDIT_IDS_BLOCK;
	}
	unsigned char *b = ids->bytes[--ids->left];
	b[6] = (unsigned char)(0x40 | (b[6] & 0x0f)); /* RFC 9562, 5.4 */
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	for (size_t i = 0; i < sizeof(ids->bytes[0]); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[b[i] >> 4];
		*at++ = digits[b[i] & 15];
	}
	*at = 0;
	return out;
}

void audit_choose_id(struct request *r)
{
	/* What is harmless in a log. */
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const char *given = http_header(r->http, "audit-id");
	size_t len = given ? strlen(given) : 0;

	if (len && len <= AUDIT_ID_MAX && strspn(given, plain) == len)
		r->audit_id = arena_strdup(&r->arena, given);
	else
		r->audit_id = new_id(r->server, arena_alloc(&r->arena, UUID_LEN + 1));
	http_add_header(r->http, "audit-id", r->audit_id);
}
