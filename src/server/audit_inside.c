/* SPDX-License-Identifier: Apache-2.0 */
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "server/audit.h"
#include "server/auth.h"
#include "server/registry.h"
#include "server/request.h"
#include "server/route.h"

struct audit_inside {
	struct audit_record record;
	struct route route;
};

/* Where the same request would have gone over HTTP. */
static const char *uri_of(struct arena *a, const struct route *rt)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_addf(&b, *rt->group ? "/apis/%s/%s" : "/api%s/%s", rt->group, rt->version);
	if (*rt->ns)
		buf_addf(&b, "/namespaces/%s", rt->ns);
	buf_addf(&b, "/%s", rt->plural);
	if (*rt->name)
		buf_addf(&b, "/%s", rt->name);
	if (*rt->subresource)
		buf_addf(&b, "/%s", rt->subresource);
	return arena_strdup(a, buf_str(&b));
}

static struct route route_of(const struct write_request *w)
{
	static const char *const verbs[] = {[WRITE_CREATE] = "create",
					    [WRITE_UPDATE] = "update",
					    [WRITE_PATCH] = "patch",
					    [WRITE_DELETE] = "delete",
					    [WRITE_DELETE_COLLECTION] = "deletecollection"};
	const struct resource *r = w->resource;

	return (struct route){.resource_request = true,
			      .path = "",
			      .verb = verbs[w->verb],
			      .group = r->group,
			      .version = r->version,
			      .plural = r->plural,
			      .ns = str_or(w->ns, ""),
			      .name = str_or(w->name, ""),
			      .subresource = str_or(w->subresource, ""),
			      .resource = r};
}

static struct audit_decision decide(const struct audit *a, const struct user *user, const struct route *rt)
{
	struct authz_attributes at = route_attributes(user, rt);

	return audit_policy_decide(audit_policy_of(a), &at);
}

struct audit_inside *audit_inside_begin(struct audit *a, struct arena *arena, const struct user *user,
					const char *agent, struct write_request *w)
{
	struct route rt = route_of(w);
	struct audit_decision d = decide(a, user, &rt);

	if (d.level == AUDIT_NONE)
		return NULL;
	char id[UUID_LEN + 1];
	uuid_make(id);
	struct audit_inside *i = ARENA_NEW(arena, struct audit_inside);
	i->route = rt;
	i->record = (struct audit_record){.decision = d,
					  .received_ns = now_ns(),
					  .uri = uri_of(arena, &rt),
					  .agent = agent,
					  .user = user,
					  .verdict = "allow",
					  .annotations = json_new(arena, JSON_OBJECT)};
	i->record.id = arena_strdup(arena, id);
	audit_emit(a, &i->record, &i->route, AUDIT_RECEIVED);
	audit_name_object(&i->record, &rt, w->body);
	if (w->body && d.level >= AUDIT_REQUEST)
		i->record.request = json_clone(arena, w->body);
	w->annotations = i->record.annotations;
	return i;
}

void audit_inside_end(struct audit *a, struct audit_inside *i, const struct status *err,
		      const struct write_result *result)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;

	if (!i)
		return;
	i->record.code = err ? err->code : result->code;
	if (err) {
		i->record.message = str_or(err->message, "");
		i->record.status_reason = err->reason;
	} else if (i->record.decision.level == AUDIT_REQUEST_RESPONSE) {
		i->record.response = result->obj ? object_tree(result->obj, &arena) : result->tree;
	}
	audit_emit(a, &i->record, &i->route, AUDIT_COMPLETE);
}
