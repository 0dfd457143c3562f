/* SPDX-License-Identifier: Apache-2.0 */
/* POST, PUT, PATCH, DELETE: from a body and a query to a write_request, and its result to an answer. */
#include "api/decode.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "api/yaml.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "http/server.h"
#include "server/audit.h"
#include "server/registry.h"
#include "server/server_internal.h"

#define FIELD_MANAGER_BYTES_MAX 128 /* upstream's limit */

/* ---- bodies ---- */

static int parse_json(struct request *r, const char *body, size_t len, struct decode_report *report, struct json **ret,
		      struct status *err)
{
	struct json_error bad;
	if (json_parse_report(&r->arena, body, len, decode_report_duplicate, report, ret, &bad) < 0)
		return status_set(err, 400, "couldn't get version/kind; json parse error: %s at offset %zu",
				  bad.message, bad.offset);
	return 0;
}

struct yaml_report {
	struct decode_report *report;
	struct yaml_error *at; /* its line is that of the key */
};

static void yaml_duplicate(void *arg, const char *path)
{
	struct yaml_report *r = arg;
	decode_report_yaml(r->report, r->at->line, path);
}

static int parse_yaml(struct request *r, const char *body, size_t len, struct decode_report *report, struct json **ret,
		      struct status *err)
{
	struct yaml_error bad;
	struct yaml_report arg = {report, &bad};
	if (yaml_parse(&r->arena, body, len, yaml_duplicate, &arg, ret, &bad) < 0)
		return status_set(err, 400, "error decoding YAML: yaml: line %zu: %s", bad.line, bad.message);
	return 0;
}

static int parse_body(struct request *r, enum output_format format, struct decode_report *report, struct json **ret,
		      struct status *err)
{
	size_t len;
	const char *body = http_body(r->http, &len);
	if (!len) {
		*ret = NULL;
		return 0;
	}
	if (format == OUTPUT_PROTOBUF) {
		const struct subresource *sub = r->route.sub;
		const struct type *type = sub && sub->type ? sub->type : r->route.resource->type;
		return protobuf_decode(&r->arena, body, len, type, ret, err);
	}
	if (format == OUTPUT_YAML)
		return parse_yaml(r, body, len, report, ret, err);
	return parse_json(r, body, len, report, ret, err);
}

static const struct {
	const char *type;
	enum write_patch patch;
	bool yaml;
} patch_types[] = {
    {"application/json-patch+json", PATCH_JSON, false},
    {"application/merge-patch+json", PATCH_MERGE, false},
    {"application/strategic-merge-patch+json", PATCH_STRATEGIC, false},
    {"application/apply-patch+yaml", PATCH_APPLY, true},
};

static int parse_patch(struct request *r, struct decode_report *report, struct write_request *w, struct status *err)
{
	const char *type = str_or(http_header(r->http, "content-type"), "");
	size_t len, n = strcspn(type, "; ");
	const char *body = http_body(r->http, &len);
	for (size_t i = 0; i < ARRAY_SIZE(patch_types); i++) {
		if (strlen(patch_types[i].type) != n || strncmp(patch_types[i].type, type, n))
			continue;
		w->patch = patch_types[i].patch;
		if (patch_types[i].yaml)
			return parse_yaml(r, body, len, report, &w->body, err);
		return parse_json(r, body, len, report, &w->body, err);
	}
	return status_set(
	    err, 415,
	    "the body of the request was in an unknown format - accepted media types include: "
	    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
	    "application/apply-patch+yaml");
}

/* DeleteOptions may come in the body or as parameters; of each option the body's counts. */
static int delete_options(struct request *r, struct write_request *w, struct status *err)
{
	struct arena *a = &r->arena;
	const char *grace = query_get(&r->query, "gracePeriodSeconds"),
		   *policy = query_get(&r->query, "propagationPolicy");
	const char *orphan = query_get(&r->query, "orphanDependents");
	if (w->body && !json_is(w->body, JSON_OBJECT))
		return status_set(err, 400, "DeleteOptions must be an object");
	const char *kind = json_path_str(w->body, "kind");
	/* Whatever was meant by another object, it was not to delete with these options. */
	if (!str_empty(kind) && !str_eq(kind, "DeleteOptions"))
		return status_set(err, 400, "decoded object cannot be converted to DeleteOptions: got %s", kind);
	if (!w->body)
		w->body = json_new(a, JSON_OBJECT);
	if (!str_empty(grace) && !json_get(w->body, "gracePeriodSeconds")) {
		int64_t n;
		if (parse_i64(grace, &n) < 0)
			return status_set(err, 400, "invalid gracePeriodSeconds \"%s\"", grace);
		json_set_int(a, w->body, "gracePeriodSeconds", n);
	}
	if (!str_empty(policy) && !json_get(w->body, "propagationPolicy"))
		json_set_str(a, w->body, "propagationPolicy", policy);
	if (!str_empty(orphan) && !json_get(w->body, "orphanDependents"))
		json_set_bool(a, w->body, "orphanDependents", query_bool(&r->query, "orphanDependents"));
	JSON_EACH(d, json_get(w->body, "dryRun"))
		w->dry_run |= str_eq(json_str(d), "All");
	return 0;
}

/* ---- parameters ---- */

static int unsupported(struct status *err, const char *options, const char *field, const char *value,
		       const char *supported)
{
	status_cause(err, "FieldValueNotSupported", field, "Unsupported value: \"%s\": supported values: %s", value,
		     supported);
	return status_invalid(err, "meta.k8s.io", options, "");
}

static int parse_dry_run(struct request *r, struct write_request *w, const char *options, struct status *err)
{
	for (size_t i = 0; i < r->query.n; i++) {
		const struct query_param *p = &r->query.params[i];
		if (!str_eq(p->name, "dryRun") || !*p->value)
			continue;
		if (!str_eq(p->value, "All"))
			return unsupported(err, options, "dryRun", p->value, "\"All\"");
		w->dry_run = true;
	}
	return 0;
}

static int parse_manager(struct request *r, struct write_request *w, const char *options, struct status *err)
{
	const char *manager = query_get(&r->query, "fieldManager"), *agent = http_header(r->http, "user-agent");
	bool apply = w->verb == WRITE_PATCH && w->patch == PATCH_APPLY;
	if (!str_empty(manager)) {
		if (strlen(manager) > FIELD_MANAGER_BYTES_MAX) {
			status_cause(err, "FieldValueTooLong", "fieldManager",
				     "Too long: may not be more than %d bytes", FIELD_MANAGER_BYTES_MAX);
			return status_invalid(err, "meta.k8s.io", options, "");
		}
		w->field_manager = manager;
	} else if (apply) {
		status_cause(err, "FieldValueRequired", "fieldManager", "Required value: is required for apply patch");
		return status_invalid(err, "meta.k8s.io", options, "");
	} else if (agent) {
		w->field_manager =
		    arena_strndup(&r->arena, agent, MIN_OF(strcspn(agent, "/"), FIELD_MANAGER_BYTES_MAX));
	}
	const char *force = query_get(&r->query, "force");
	if (!str_empty(force) && !apply) {
		status_cause(err, "FieldValueForbidden", "force",
			     "Forbidden: may not be specified for non-apply patch");
		return status_invalid(err, "meta.k8s.io", options, "");
	}
	w->force = query_bool(&r->query, "force");
	return 0;
}

static int parse_validation(struct request *r, struct write_request *w, const char *options, struct status *err)
{
	const char *v = query_get(&r->query, "fieldValidation");
	if (str_empty(v) || str_eq(v, "Warn"))
		w->validation = FIELD_VALIDATION_WARN;
	else if (str_eq(v, "Strict"))
		w->validation = FIELD_VALIDATION_STRICT;
	else if (str_eq(v, "Ignore"))
		w->validation = FIELD_VALIDATION_IGNORE;
	else
		return unsupported(err, options, "fieldValidation", v, "\"Ignore\", \"Strict\", \"Warn\"");
	return 0;
}

/* ---- the answer ---- */

static void written(void *arg, const struct status *err, const struct write_result *result)
{
	struct request *r = arg;
	if (!r->gone) {
		for (size_t i = 0; i < result->n_warnings; i++) {
			_cleanup_buf_ struct buf text = BUF_INIT;
			buf_adds(&text, "299 - ");
			json_write_string(&text, result->warnings[i], strlen(result->warnings[i]));
			http_add_header(r->http, "warning", buf_str(&text));
		}
		if (err)
			reply_status(r, err);
		else if (result->tree)
			reply_tree(r, result->code, result->tree);
		else
			reply_object(r, result->code, result->obj);
	}
	request_unref(r);
}

static int build(struct request *r, struct write_request *w, struct status *err)
{
	const struct route *rt = &r->route;
	struct decode_report *report = ARENA_NEW(&r->arena, struct decode_report);
	enum output_format format;
	const char *options = "CreateOptions";
	report->arena = &r->arena;
	*w = (struct write_request){.resource = rt->resource,
				    .ns = rt->ns,
				    .name = rt->name,
				    .subresource = *rt->subresource ? rt->subresource : NULL,
				    .user = &r->user,
				    .arena = &r->arena,
				    .report = report,
				    .done = written,
				    .arg = r};
	if (str_eq(rt->verb, "patch")) {
		w->verb = WRITE_PATCH;
		options = "PatchOptions";
		if (parse_patch(r, report, w, err) < 0)
			return -1;
	} else {
		if (negotiate_input(http_header(r->http, "content-type"), &format, err) < 0 ||
		    parse_body(r, format, report, &w->body, err) < 0)
			return -1;
		w->verb = WRITE_CREATE;
	}
	if (str_eq(rt->verb, "update")) {
		w->verb = WRITE_UPDATE;
		options = "UpdateOptions";
	} else if (str_eq(rt->verb, "delete") || str_eq(rt->verb, "deletecollection")) {
		w->verb = str_eq(rt->verb, "delete") ? WRITE_DELETE : WRITE_DELETE_COLLECTION;
		w->report = NULL;
		w->label_selector = query_get(&r->query, "labelSelector");
		w->field_selector = query_get(&r->query, "fieldSelector");
		if (delete_options(r, w, err) < 0)
			return -1;
		return parse_dry_run(r, w, "DeleteOptions", err);
	}
	if (parse_dry_run(r, w, options, err) < 0 || parse_manager(r, w, options, err) < 0 ||
	    parse_validation(r, w, options, err) < 0)
		return -1;
	return 0;
}

void handle_write(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct write_request w;
	if (build(r, &w, &err) < 0) {
		reply_status(r, &err);
		return;
	}
	audit_request_object(r, w.body);
	w.annotations = audit_annotations(r);
	request_ref(r);
	registry_write(r->server->registry, &w);
}
