/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authz.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/authz_node.h"
#include "server/rbac.h"

struct authz {
	struct store *store;
	struct rbac *rbac;
};

struct authz *authz_new(struct store *s)
{
	struct authz *a = NEW(struct authz);

	a->store = s;
	a->rbac = rbac_new(s);
	return a;
}

void authz_free(struct authz *a)
{
	if (!a)
		return;
	rbac_free(a->rbac);
	free(a);
}

static int authorize(void *self, const struct authz_attributes *at, char *reason)
{
	struct authz *a = self;
	const char *node = authz_node_of(at->user);

	char why[AUTHZ_REASON_MAX] = "";

	*reason = 0;
	if (node && authz_node_allows(a->store, node, at, why))
		return 1;
	int allowed = rbac_ops.authorize(a->rbac, at, reason);
	if (allowed <= 0 && *why)
		memcpy(reason, why, sizeof(why));
	return allowed;
}

static void rules(void *self, const struct user *user, const char *ns, struct arena *arena, struct json *resource_rules,
		  struct json *non_resource_rules)
{
	rbac_ops.rules(((struct authz *)self)->rbac, user, ns, arena, resource_rules, non_resource_rules);
}

const struct authorizer_ops authz_ops = {.authorize = authorize, .rules = rules};
