/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "api/selector.h"
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "server/list.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "store/store.h"

int too_large_revision(struct status *err, uint64_t asked, uint64_t current)
{
	status_set_reason(err, 504, "Timeout", "Too large resource version: %" PRIu64 ", current: %" PRIu64, asked,
			  current);
	status_cause(err, "ResourceVersionTooLarge", "", "Too large resource version");
	err->retry_after_s = 1;
	return -1;
}

int list_revision(struct request *r, uint64_t *ret, struct status *err)
{
	const char *rev = query_get(&r->query, "resourceVersion");
	uint64_t now = store_revision(r->server->store);
	*ret = 0;
	if (!str_empty(rev) && parse_u64(rev, ret) < 0)
		return status_set(err, 400, "invalid resource version: resourceVersion: Invalid value: \"%s\"", rev);
	return *ret > now ? too_large_revision(err, *ret, now) : 0;
}

static int parse_selectors(struct request *r, struct list_options *o, struct status *err)
{
	const char *labels = query_get(&r->query, "labelSelector"), *fields = query_get(&r->query, "fieldSelector");
	if (!str_empty(labels) && label_selector_parse(&r->arena, labels, &o->labels, err) < 0)
		return -1;
	return str_empty(fields) ? 0 : field_selector_parse(&r->arena, fields, &o->fields, err);
}

static int parse_number(const struct query *q, const char *name, int64_t *ret, struct status *err)
{
	const char *text = query_get(q, name);
	if (str_empty(text))
		return 0;
	if (parse_i64(text, ret) < 0)
		return status_set(err, 400, "%s: parsing \"%s\": invalid syntax", name, text);
	return 0;
}

static void forbid(struct status *err, const char *field, const char *why)
{
	status_cause(err, "FieldValueForbidden", field, "Forbidden: %s", why);
}

/* What goes together in a list. */
static void check_list(const struct list_options *o, const char *rev, const char *match, struct status *err)
{
	static const char field[] = "resourceVersionMatch";
	if (o->initial_set)
		forbid(err, "sendInitialEvents", "sendInitialEvents is forbidden for list");
	if (str_empty(match))
		return;
	if (str_empty(rev))
		forbid(err, field, "resourceVersionMatch is forbidden unless resourceVersion is provided");
	if (o->token)
		forbid(err, field, "resourceVersionMatch is forbidden when continue is provided");
	if (o->match == REV_MATCH_UNSET)
		status_cause(err, "FieldValueNotSupported", field,
			     "Unsupported value: \"%s\": supported values: \"\", \"Exact\", \"NotOlderThan\"", match);
	if (o->match == REV_MATCH_EXACT && str_eq(rev, "0"))
		forbid(err, field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
}

/* And in a watch. */
static void check_watch(const struct list_options *o, const char *match, struct status *err)
{
	static const char field[] = "resourceVersionMatch";
	if (o->initial_set && o->match != REV_MATCH_NOT_OLDER)
		forbid(err, field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
	if (str_empty(match))
		return;
	if (!o->initial_set)
		forbid(err, field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
	if (o->match != REV_MATCH_NOT_OLDER)
		status_cause(err, "FieldValueNotSupported", field,
			     "Unsupported value: \"%s\": supported values: \"NotOlderThan\"", match);
	if (o->token)
		forbid(err, field, "resourceVersionMatch is forbidden when continue is provided");
}

static enum rev_match match_of(const char *text)
{
	if (str_eq(text, "Exact"))
		return REV_MATCH_EXACT;
	return str_eq(text, "NotOlderThan") ? REV_MATCH_NOT_OLDER : REV_MATCH_UNSET;
}

/* /watch/…/NAME and fieldSelector=metadata.name=… both ask for one object; they must agree. */
static int select_name(struct request *r, struct list_options *o, struct status *err)
{
	const char *name = r->route.name;
	if (!*name)
		return 0;
	if (!o->fields)
		return field_selector_parse(&r->arena, arena_printf(&r->arena, "metadata.name=%s", name), &o->fields,
					    err);
	if (!str_eq(field_selector_required(o->fields, "metadata.name"), name))
		return status_set(err, 400, "fieldSelector metadata.name doesn't match requested name");
	return 0;
}

int list_options_parse(struct request *r, bool watch, struct list_options *ret, struct status *err)
{
	const struct query *q = &r->query;
	const char *rev = query_get(q, "resourceVersion"), *match = query_get(q, "resourceVersionMatch");
	struct list_options o = {.token = query_get(q, "continue"), .match = match_of(match)};
	if (str_empty(o.token))
		o.token = NULL;
	if (parse_selectors(r, &o, err) < 0 || parse_number(q, "limit", &o.limit, err) < 0 ||
	    parse_number(q, "timeoutSeconds", &o.seconds, err) < 0)
		return -1;
	if (o.seconds < 0)
		return status_set(err, 400, "invalid timeoutSeconds \"%" PRId64 "\"", o.seconds);
	o.limit = o.limit > 0 ? o.limit : 0;
	o.bookmarks = query_bool(q, "allowWatchBookmarks");
	o.initial_set = query_get(q, "sendInitialEvents") != NULL;
	o.initial = query_bool(q, "sendInitialEvents");
	if (watch)
		check_watch(&o, match, err);
	else
		check_list(&o, rev, match, err);
	if (err->n_causes)
		return status_invalid(err, "meta.k8s.io", "ListOptions", "");
	if (version_select(&r->arena, r->route.resource, o.fields, err) < 0 || select_name(r, &o, err) < 0)
		return -1;
	if (o.token && !watch) {
		if (!str_empty(rev) && !str_eq(rev, "0"))
			return status_set(err, 400, "specifying resource version is not allowed when using continue");
	} else if (list_revision(r, &o.rev, err) < 0) {
		return -1;
	}
	*ret = o;
	return 0;
}
