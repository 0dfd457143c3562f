/* SPDX-License-Identifier: Apache-2.0 */
/* The words of field errors, and checks of single values (validate_internal.h). */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

#define VALUE_SHOWN_MAX 1024 /* of a value in a message */

void bad_required(struct check *c, const char *path, const char *detail)
{
	status_cause(c->err, "FieldValueRequired", path, "Required value%s%s", detail ? ": " : "",
		     detail ? detail : "");
}

void bad_invalid(struct check *c, const char *path, const struct json *value, const char *detail)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write(&b, value);
	status_cause(c->err, "FieldValueInvalid", path, "Invalid value: %.*s: %s",
		     (int)MIN_OF(b.len, (size_t)VALUE_SHOWN_MAX), buf_str(&b), detail);
}

void bad_invalid_str(struct check *c, const char *path, const char *value, const char *detail)
{
	bad_invalid(c, path, json_new_str(&c->arena, value), detail);
}

void bad_unsupported(struct check *c, const char *path, const char *value, const char *const *supported)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (; *supported; supported++)
		buf_addf(&b, "%s\"%s\"", b.len ? ", " : "", *supported);
	status_cause(c->err, "FieldValueNotSupported", path, "Unsupported value: \"%.256s\": supported values: %s",
		     value, buf_str(&b));
}

void bad_forbidden(struct check *c, const char *path, const char *detail)
{
	status_cause(c->err, "FieldValueForbidden", path, "Forbidden: %s", detail);
}

void bad_duplicate(struct check *c, const char *path, const char *value)
{
	status_cause(c->err, "FieldValueDuplicate", path, "Duplicate value: \"%.256s\"", value);
}

void bad_not_found(struct check *c, const char *path, const char *value)
{
	status_cause(c->err, "FieldValueNotFound", path, "Not found: \"%.256s\"", value);
}

void bad_too_long(struct check *c, const char *path, size_t max)
{
	status_cause(c->err, "FieldValueTooLong", path, "Too long: may not be more than %zu bytes", max);
}

bool need_str(struct check *c, const char *path, const struct json *v)
{
	if (!str_empty(json_str(v)))
		return true;
	bad_required(c, path, NULL);
	return false;
}

bool check_name(struct check *c, const char *path, const struct json *v, const char *(*rule)(const char *))
{
	const char *s = json_str(v), *why = s ? rule(s) : NULL;

	if (why)
		bad_invalid(c, path, v, why);
	return !why;
}

bool check_min(struct check *c, const char *path, const struct json *v, int64_t min)
{
	if (!v || json_int(v, min) >= min)
		return true;
	bad_invalid(c, path, v, PATH(c, "must be greater than or equal to %lld", (long long)min));
	return false;
}

bool check_port(struct check *c, const char *path, const struct json *v)
{
	int64_t n = json_int(v, 0);

	if (!v || (n >= 1 && n <= 65535))
		return true;
	bad_invalid(c, path, v, "must be between 1 and 65535, inclusive");
	return false;
}

bool check_immutable(struct check *c, const char *path, const char *dotted)
{
	const struct json *now = json_path(c->tree, dotted), *before = json_path(c->old, dotted);

	if (!c->old || json_equal(now, before))
		return true;
	bad_invalid(c, path, now, "field is immutable");
	return false;
}

void check_labels(struct check *c, const char *path, const struct json *labels)
{
	if (!json_is(labels, JSON_OBJECT))
		return;
	JSON_EACH(l, labels) {
		const char *why = name_check_qualified(l->key);
		if (why)
			bad_invalid_str(c, path, l->key, why);
		check_name(c, path, l, name_check_label_value);
	}
}

static void check_expression(struct check *c, const char *path, const struct json *e)
{
	static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
	const char *op = str_or(json_path_str(e, "operator"), "");
	uint32_t n = json_len(json_get(e, "values"));
	size_t i = 0;

	if (!str_in(op, ops))
		bad_invalid_str(c, PATH(c, "%s.operator", path), op, "not a valid selector operator");
	else if (str_has_suffix(op, "In") && !n)
		bad_required(c, PATH(c, "%s.values", path), "must be specified when `operator` is 'In' or 'NotIn'");
	else if (!str_has_suffix(op, "In") && n)
		bad_forbidden(c, PATH(c, "%s.values", path),
			      "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
	check_name(c, PATH(c, "%s.key", path), json_get(e, "key"), name_check_qualified);
	EACH_ITEM(v, json_get(e, "values"))
		check_name(c, PATH(c, "%s.values[%zu]", path, i++), v, name_check_label_value);
}

void check_selector(struct check *c, const char *path, const struct json *selector)
{
	size_t i = 0;

	check_labels(c, PATH(c, "%s.matchLabels", path), json_get(selector, "matchLabels"));
	EACH_ITEM(e, json_get(selector, "matchExpressions"))
		check_expression(c, PATH(c, "%s.matchExpressions[%zu]", path, i++), e);
}

void check_quantities(struct check *c, const char *path, const struct json *map)
{
	struct quantity q;

	if (!json_is(map, JSON_OBJECT))
		return;
	JSON_EACH(v, map) {
		const char *at = PATH(c, "%s[%s]", path, v->key), *why = name_check_qualified(v->key);
		if (why)
			bad_invalid_str(c, at, v->key, why);
		if (quantity_from_json(v, &q) == 0 && q.nano < 0)
			bad_invalid(c, at, v, "must be greater than or equal to 0");
	}
}

const char *rule_ip(const char *s)
{
	unsigned char bytes[16];

	if (inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1)
		return NULL;
	return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}

const char *rule_cidr(const char *s)
{
	static const char why[] = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
	const char *slash = strchr(s, '/');
	char ip[64];
	int64_t bits;

	if (!slash || (size_t)(slash - s) >= sizeof(ip))
		return why;
	snprintf(ip, sizeof(ip), "%.*s", (int)(slash - s), s);
	if (rule_ip(ip) || parse_int_range(slash + 1, 0, strchr(ip, ':') ? 128 : 32, &bits) < 0)
		return why;
	return NULL;
}
