/* SPDX-License-Identifier: Apache-2.0 */
/* POST, PUT, PATCH, DELETE: from a body and a query to a write_request, and its result to an answer. */
#include "api/decode.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "api/type.h"
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
	return status_set(err, 415, "415: Unsupported Media Type");
}

/* What was asked for as dryRun; NULL: nothing. */
static struct json *dry_run_values(struct request *r)
{
	struct json *values = NULL;

	for (size_t i = 0; i < r->query.n; i++) {
		if (!str_eq(r->query.params[i].name, "dryRun"))
			continue;
		if (!values)
			values = json_new(&r->arena, JSON_ARRAY);
		json_append(values, json_new_str(&r->arena, r->query.params[i].value));
	}
	return values;
}

#define DELETE_OPTIONS "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"

static int decode_options(struct request *r, struct write_request *w, struct status *err)
{
	if (!json_is(w->body, JSON_OBJECT))
		return status_set(err, 400, "DeleteOptions must be an object");
	const char *kind = json_path_str(w->body, "kind"), *version = json_path_str(w->body, "apiVersion");
	/* Whatever was meant by another object, it was not to delete with these options. */
	if (!str_empty(kind) && !str_eq(kind, "DeleteOptions"))
		return status_set(err, 400, "no kind \"%s\" is registered for version \"%s\"", kind,
				  str_or(version, ""));
	return decode_object(&r->arena, type_find(DELETE_OPTIONS), "DeleteOptions", "v1", w->body, NULL, &w->body, err);
}

/* DeleteOptions come in the body or as parameters: when there is a body, parameters are not looked at. */
static int delete_options(struct request *r, struct write_request *w, struct status *err)
{
	struct arena *a = &r->arena;
	const char *grace = query_get(&r->query, "gracePeriodSeconds"),
		   *policy = query_get(&r->query, "propagationPolicy");
	const char *orphan = query_get(&r->query, "orphanDependents");
	if (w->body)
		return decode_options(r, w, err);
	w->body = json_new(a, JSON_OBJECT);
	if (!str_empty(grace)) {
		int64_t n;
		if (parse_i64(grace, &n) < 0)
			return status_set(err, 400, "strconv.ParseInt: parsing \"%s\": invalid syntax", grace);
		json_set_int(a, w->body, "gracePeriodSeconds", n);
	}
	if (!str_empty(policy))
		json_set_str(a, w->body, "propagationPolicy", policy);
	if (!str_empty(orphan))
		json_set_bool(a, w->body, "orphanDependents", query_bool(&r->query, "orphanDependents"));
	struct json *dry_run = dry_run_values(r);
	if (dry_run)
		json_set(a, w->body, "dryRun", dry_run);
	return 0;
}

/* ---- parameters ---- */

static void unsupported(struct status *err, const char *field, const char *value, const char *supported)
{
	status_cause(err, "FieldValueNotSupported", field, "Unsupported value: %s: supported values: %s", value,
		     supported);
}

/* values: dryRun's, or NULL; all of it is shown when one of it is wrong. */
static void read_dry_run(struct write_request *w, const struct json *values, struct status *err)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;
	bool fine = true;

	JSON_EACH(v, values)
		fine &= str_eq(json_str(v), "All");
	if (!fine) {
		json_write(&shown, values);
		unsupported(err, "dryRun", buf_str(&shown), "\"All\"");
	}
	w->dry_run = json_len(values) > 0;
}

static void check_manager(const char *manager, struct status *err)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (strlen(manager) > FIELD_MANAGER_BYTES_MAX)
		status_cause(err, "FieldValueTooLong", "fieldManager", "Too long: may not be more than %d bytes",
			     FIELD_MANAGER_BYTES_MAX);
	for (size_t i = 0; manager[i]; i++) {
		unsigned char c = (unsigned char)manager[i];
		if (c >= 0x20 && c != 0x7f)
			continue;
		json_write_string(&shown, manager, strlen(manager));
		status_cause(err, "FieldValueInvalid", "fieldManager",
			     "Invalid value: %s: invalid character U+%04X (at position %zu)", buf_str(&shown), c, i);
		return;
	}
}

static void parse_manager(struct request *r, struct write_request *w, struct status *err)
{
	const char *manager = query_get(&r->query, "fieldManager"), *agent = http_header(r->http, "user-agent");
	const char *force = query_get(&r->query, "force");
	bool apply = w->verb == WRITE_PATCH && w->patch == PATCH_APPLY;

	if (!str_empty(manager)) {
		check_manager(manager, err);
		w->field_manager = manager;
	} else if (apply) {
		status_cause(err, "FieldValueRequired", "fieldManager", "Required value: is required for apply patch");
	} else if (agent) {
		w->field_manager =
		    arena_strndup(&r->arena, agent, MIN_OF(strcspn(agent, "/"), FIELD_MANAGER_BYTES_MAX));
	}
	if (!str_empty(force) && w->verb == WRITE_PATCH && !apply)
		status_cause(err, "FieldValueForbidden", "force",
			     "Forbidden: may not be specified for non-apply patch");
	w->force = query_bool(&r->query, "force");
}

static void parse_validation(struct request *r, struct write_request *w, struct status *err)
{
	const char *v = query_get(&r->query, "fieldValidation");

	if (str_empty(v) || str_eq(v, "Warn"))
		w->validation = FIELD_VALIDATION_WARN;
	else if (str_eq(v, "Strict"))
		w->validation = FIELD_VALIDATION_STRICT;
	else if (str_eq(v, "Ignore"))
		w->validation = FIELD_VALIDATION_IGNORE;
	else
		unsupported(err, "fieldValidation", arena_printf(&r->arena, "\"%s\"", v),
			    "\"\", \"Ignore\", \"Strict\", \"Warn\"");
}

/* The name in the body of what has one in its path: an object that is replaced says it, so do a binding and an
 * eviction. */
static int check_body_name(const struct request *r, const struct write_request *w, struct status *err)
{
	const char *sub = r->route.subresource, *name = json_path_str(w->body, "metadata.name");
	bool bound = str_eq(sub, "binding") || str_eq(sub, "eviction");

	if (w->verb == WRITE_CREATE && bound && !str_eq(name, w->name))
		return status_set(err, 400, "name in URL does not match name in %s object", r->route.sub->kind);
	const struct json *meta = json_get(w->body, "metadata"), *given = json_get(meta, "name");
	bool fits = (!meta || meta->type == JSON_NULL || json_is(meta, JSON_OBJECT)) &&
		    (!given || given->type == JSON_NULL || json_is(given, JSON_STRING)); /* else decoding tells */

	if (w->verb == WRITE_UPDATE && json_is(w->body, JSON_OBJECT) && fits && str_empty(name))
		return status_set(err, 400,
				  "the name of the object (%s based on URL) was undeterminable: name must be provided",
				  w->name);
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
		size_t len;
		bool deletes = str_eq(rt->verb, "delete") || str_eq(rt->verb, "deletecollection");
		http_body(r->http, &len); /* of what no type is needed, none is asked for */
		if ((len || !deletes) && (negotiate_input(http_header(r->http, "content-type"), &format, err) < 0 ||
					  parse_body(r, format, report, &w->body, err) < 0))
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
		read_dry_run(w, json_get(w->body, "dryRun"), err);
		return status_invalid(err, "meta.k8s.io", "DeleteOptions", "");
	}
	read_dry_run(w, dry_run_values(r), err);
	parse_manager(r, w, err);
	parse_validation(r, w, err);
	return status_invalid(err, "meta.k8s.io", options, "") < 0 ? -1 : check_body_name(r, w, err);
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
