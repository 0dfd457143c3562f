/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

/* metav1.StatusReason by HTTP code, as upstream's error constructors pair them. */
static const struct {
	int code;
	const char *reason;
} reasons[] = {
    {400, "BadRequest"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "NotFound"},
    {405, "MethodNotAllowed"},
    {406, "NotAcceptable"},
    {409, "Conflict"},
    {410, "Expired"},
    {413, "RequestEntityTooLarge"},
    {415, "UnsupportedMediaType"},
    {422, "Invalid"},
    {429, "TooManyRequests"},
    {500, "InternalError"},
    {503, "ServiceUnavailable"},
    {504, "Timeout"},
    {507, "InsufficientStorage"},
};

void status_release(struct status *s)
{
	free(s->message);
	free(s->group);
	free(s->kind);
	free(s->name);
	free(s->uid);
	for (size_t i = 0; i < s->n_causes; i++) {
		free(s->causes[i].type);
		free(s->causes[i].message);
		free(s->causes[i].field);
	}
	free(s->causes);
	*s = (struct status)STATUS_INIT;
}

static const char *reason_of(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].reason;
	return "";
}

static void set(struct status *s, int code, const char *reason, const char *fmt, va_list ap)
{
	char *message = NULL;
	if (vasprintf(&message, fmt, ap) < 0)
		abort();
	status_release(s);
	s->code = code;
	s->reason = reason;
	s->message = message;
}

int status_set(struct status *s, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set(s, code, reason_of(code), fmt, ap);
	va_end(ap);
	return -1;
}

int status_set_reason(struct status *s, int code, const char *reason, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set(s, code, reason, fmt, ap);
	va_end(ap);
	return -1;
}

void status_details(struct status *s, const char *group, const char *kind, const char *name)
{
	xreplace(&s->group, group);
	xreplace(&s->kind, kind);
	xreplace(&s->name, name);
}

void status_cause(struct status *s, const char *type, const char *field, const char *fmt, ...)
{
	if (s->n_causes >= STATUS_CAUSES_MAX)
		return;
	char *message = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		abort();
	va_end(ap);
	for (size_t i = 0; i < s->n_causes; i++) {
		const struct status_cause *told = &s->causes[i];
		if (str_eq(told->type, type) && str_eq(told->field, field) && str_eq(told->message, message)) {
			free(message);
			return;
		}
	}
	s->causes = xrealloc(s->causes, (s->n_causes + 1) * sizeof(*s->causes));
	s->causes[s->n_causes++] = (struct status_cause){xstrdup(type), message, xstrdup(field)};
}

void status_move(struct status *to, struct status *from)
{
	status_release(to);
	*to = *from;
	*from = (struct status)STATUS_INIT;
}

void status_copy(struct status *to, const struct status *from)
{
	struct status copy = {.code = from->code,
			      .reason = from->reason,
			      .message = xstrdup(from->message),
			      .group = xstrdup(from->group),
			      .kind = xstrdup(from->kind),
			      .name = xstrdup(from->name),
			      .uid = xstrdup(from->uid),
			      .retry_after_s = from->retry_after_s};
	for (size_t i = 0; i < from->n_causes; i++)
		status_cause(&copy, from->causes[i].type, from->causes[i].field, "%s", from->causes[i].message);
	status_move(to, &copy);
}

static void member(struct buf *out, bool *first, const char *key, const char *value)
{
	if (str_empty(value))
		return;
	buf_addf(out, "%s\"%s\":", *first ? "" : ",", key);
	json_write_string(out, value, strlen(value));
	*first = false;
}

/* What is wrong with a request as such, whatever object it is about: upstream has details of it, with nothing in them.
 */
static bool has_empty_details(int code)
{
	return code == 404 || code == 405 || code == 406 || code == 415;
}

void status_write_json(const struct status *s, struct buf *out)
{
	bool first = false;

	buf_adds(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":");
	buf_adds(out, s->code && s->code >= 300 ? "\"Failure\"" : "\"Success\"");
	member(out, &first, "message", s->message);
	member(out, &first, "reason", s->reason);
	if (s->name || s->kind || s->group || s->uid || s->n_causes || s->retry_after_s || has_empty_details(s->code)) {
		buf_adds(out, ",\"details\":{");
		first = true;
		member(out, &first, "name", s->name);
		member(out, &first, "group", s->group);
		member(out, &first, "kind", s->kind);
		member(out, &first, "uid", s->uid);
		for (size_t i = 0; i < s->n_causes; i++) {
			bool inner = true;
			buf_adds(out, i ? "," : first ? "\"causes\":[" : ",\"causes\":[");
			buf_addc(out, '{');
			member(out, &inner, "reason", s->causes[i].type);
			member(out, &inner, "message", s->causes[i].message);
			member(out, &inner, "field", s->causes[i].field);
			buf_adds(out, i + 1 == s->n_causes ? "}]" : "}");
			first = false;
		}
		if (s->retry_after_s)
			buf_addf(out, "%s\"retryAfterSeconds\":%d", first ? "" : ",", s->retry_after_s);
		buf_addc(out, '}');
	}
	buf_addf(out, ",\"code\":%d}", s->code ? s->code : 200);
}

/* "pods" or "deployments.apps" */
static void add_qualified(struct buf *out, const char *resource, const char *group)
{
	buf_adds(out, resource);
	if (!str_empty(group))
		buf_addf(out, ".%s", group);
}

static int named(struct status *s, int code, const char *reason, const char *group, const char *resource,
		 const char *name, const char *rest)
{
	_cleanup_buf_ struct buf what = BUF_INIT;

	add_qualified(&what, resource, group);
	status_set_reason(s, code, reason, "%s \"%s\" %s", buf_str(&what), name, rest);
	status_details(s, group, resource, name);
	return -1;
}

int status_not_found(struct status *s, const char *group, const char *resource, const char *name)
{
	return named(s, 404, "NotFound", group, resource, name, "not found");
}

int status_already_exists(struct status *s, const char *group, const char *resource, const char *name)
{
	return named(s, 409, "AlreadyExists", group, resource, name, "already exists");
}

int status_conflict(struct status *s, const char *group, const char *resource, const char *name, const char *why)
{
	_cleanup_buf_ struct buf what = BUF_INIT;

	add_qualified(&what, resource, group);
	status_set(s, 409, "Operation cannot be fulfilled on %s \"%s\": %s", buf_str(&what), name, why);
	status_details(s, group, resource, name);
	return -1;
}

int status_invalid(struct status *s, const char *group, const char *kind, const char *name)
{
	if (!s->n_causes)
		return 0;
	struct status_cause *causes = s->causes;
	size_t n = s->n_causes;
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (n > 1)
		buf_addc(&text, '[');
	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "%s%s: %s", i ? ", " : "", causes[i].field, causes[i].message);
	if (n > 1)
		buf_addc(&text, ']');
	s->causes = NULL;
	s->n_causes = 0;
	_cleanup_buf_ struct buf what = BUF_INIT;
	add_qualified(&what, kind, group);
	status_set(s, 422, "%s \"%s\" is invalid: %s", buf_str(&what), str_or(name, ""), buf_str(&text));
	status_details(s, group, kind, name);
	s->causes = causes;
	s->n_causes = n;
	return -1;
}
