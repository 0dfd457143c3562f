/* SPDX-License-Identifier: Apache-2.0 */
/* What an audit event says. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "http/server.h"
#include "server/audit.h"
#include "server/server_internal.h"

static struct json *object_ref(struct arena *a, const struct audit_record *record, const struct route *rt)
{
	struct json *ref = json_new(a, JSON_OBJECT);
	const char *name = rt->name;

	if (!*name) /* a create */
		name = str_or(record->name, str_or(json_path_str(record->response, "metadata.name"), ""));
	const struct {
		const char *member, *value;
	} members[] = {{"resource", rt->plural},
		       {"namespace", rt->ns},
		       {"name", name},
		       {"uid", str_or(record->uid, "")},
		       {"apiGroup", rt->group},
		       {"apiVersion", rt->version},
		       {"resourceVersion", str_or(record->version, "")},
		       {"subresource", rt->subresource}};
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (*members[i].value)
			json_set_str(a, ref, members[i].member, members[i].value);
	return ref;
}

void audit_name_object(struct audit_record *record, const struct route *rt, const struct json *object)
{
	if (!str_eq(rt->verb, "create") && !str_eq(rt->verb, "update"))
		return;
	record->name = json_path_str(object, "metadata.name");
	record->uid = json_path_str(object, "metadata.uid");
	record->version = json_path_str(object, "metadata.resourceVersion");
}

/* Those who passed it on say so in headers; the peer itself comes last. */
struct json *audit_sources(struct request *r)
{
	struct arena *a = &r->arena;
	struct http_request *http = r->http;
	struct json *list = json_new(a, JSON_ARRAY);
	const char *forwarded = http_header(http, "x-forwarded-for"), *real = http_header(http, "x-real-ip");
	const char *peer = http_remote_address(http);

	for (const char *at = forwarded; at && *at;) {
		at += strspn(at, ", ");
		size_t len = strcspn(at, ", ");
		if (len)
			json_append(list, json_new_strn(a, at, len));
		at += len;
	}
	if (!forwarded && !str_empty(real))
		json_append(list, json_new_str(a, real));
	const char *colon = strrchr(peer, ':');
	size_t len = colon ? (size_t)(colon - peer) : strlen(peer);
	if (len > 2 && *peer == '[')
		json_append(list, json_new_strn(a, peer + 1, len - 2));
	else if (len)
		json_append(list, json_new_strn(a, peer, len));
	return list;
}

static struct json *response_status(struct arena *a, const struct audit_record *record)
{
	struct json *s = json_new(a, JSON_OBJECT);

	json_set(a, s, "metadata", json_new(a, JSON_OBJECT));
	if (record->message) {
		json_set_str(a, s, "status", "Failure");
		json_set_str(a, s, "message", record->message);
		if (record->status_reason)
			json_set_str(a, s, "reason", record->status_reason);
	}
	json_set_int(a, s, "code", record->code);
	return s;
}

static void drop_managed_fields(struct json *object)
{
	json_remove(json_get(object, "metadata"), "managedFields");
	JSON_EACH(item, json_get(object, "items"))
		json_remove(json_get(item, "metadata"), "managedFields");
}

static void set_object(struct arena *a, struct json *event, const struct audit_record *record, const char *member,
		       const struct json *object)
{
	if (!object)
		return;
	struct json *copy = json_set(a, event, member, json_clone(a, object));
	if (record->decision.omit_managed_fields)
		drop_managed_fields(copy);
}

void audit_event_write(struct buf *out, const struct audit_record *record, const struct route *rt,
		       enum audit_stage stage, int64_t now)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *e = json_new(&a, JSON_OBJECT);
	char text[TIME_RFC3339_MAX];

	json_set_str(&a, e, "kind", "Event");
	json_set_str(&a, e, "apiVersion", "audit.k8s.io/v1");
	json_set_str(&a, e, "level", audit_level_names[record->decision.level]);
	json_set_str(&a, e, "auditID", record->id);
	json_set_str(&a, e, "stage", audit_stage_name(stage));
	json_set_str(&a, e, "requestURI", record->uri);
	json_set_str(&a, e, "verb", rt->verb);
	json_set(&a, e, "user", record->user ? user_to_json(&a, record->user) : json_new(&a, JSON_OBJECT));
	if (record->impersonated)
		json_set(&a, e, "impersonatedUser", user_to_json(&a, record->impersonated));
	if (record->sources)
		json_set(&a, e, "sourceIPs", json_clone(&a, record->sources));
	if (!str_empty(record->agent))
		json_set_str(&a, e, "userAgent", record->agent);
	if (rt->resource_request)
		json_set(&a, e, "objectRef", object_ref(&a, record, rt));
	if (record->code && stage != AUDIT_RECEIVED)
		json_set(&a, e, "responseStatus", response_status(&a, record));
	if (record->decision.level >= AUDIT_REQUEST && stage != AUDIT_RECEIVED)
		set_object(&a, e, record, "requestObject", record->request);
	if (record->decision.level == AUDIT_REQUEST_RESPONSE && stage == AUDIT_COMPLETE)
		set_object(&a, e, record, "responseObject", record->response);
	json_set_str(&a, e, "requestReceivedTimestamp", time_format_micro(record->received_ns, text));
	json_set_str(&a, e, "stageTimestamp", time_format_micro(now, text));
	if (record->verdict) {
		struct json *notes = json_object_in(&a, e, "annotations");
		json_set_str(&a, notes, "authorization.k8s.io/decision", record->verdict);
		json_set_str(&a, notes, "authorization.k8s.io/reason", str_or(record->reason, ""));
	}
	if (json_len(record->annotations) && stage == AUDIT_COMPLETE)
		JSON_EACH(note, record->annotations)
			json_set_str(&a, json_object_in(&a, e, "annotations"), note->key, json_str(note));
	json_write(out, e);
}
