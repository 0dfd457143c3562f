/* SPDX-License-Identifier: Apache-2.0 */
/* The words of field errors, and checks of single values (validate_internal.h). */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate.h"
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
	for (size_t n; *detail; detail += n + (detail[n] == '\n')) {
		n = strcspn(detail, "\n");
		status_cause(c->err, "FieldValueInvalid", path, "Invalid value: %.*s: %.*s",
			     (int)MIN_OF(b.len, (size_t)VALUE_SHOWN_MAX), buf_str(&b), (int)n, detail);
	}
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
	status_cause(c->err, "FieldValueNotSupported", path, "Unsupported value: \"%.*s\": supported values: %s",
		     VALUE_SHOWN_MAX, value, buf_str(&b));
}

void bad_forbidden(struct check *c, const char *path, const char *detail)
{
	status_cause(c->err, "FieldValueForbidden", path, "Forbidden: %s", detail);
}

void bad_duplicate(struct check *c, const char *path, const char *value)
{
	status_cause(c->err, "FieldValueDuplicate", path, "Duplicate value: \"%.*s\"", VALUE_SHOWN_MAX, value);
}

void bad_not_found(struct check *c, const char *path, const char *value)
{
	status_cause(c->err, "FieldValueNotFound", path, "Not found: \"%.*s\"", VALUE_SHOWN_MAX, value);
}

void bad_too_long(struct check *c, const char *path, size_t max)
{
	status_cause(c->err, "FieldValueTooLong", path, "Too long: may not be more than %zu bytes", max);
}

void bad_too_many_characters(struct check *c, const char *path, size_t max)
{
	status_cause(c->err, "FieldValueTooLong", path, "Too long: may not be more than %zu characters", max);
}

void bad_too_many(struct check *c, const char *path, size_t n, size_t max)
{
	status_cause(c->err, "FieldValueTooMany", path, "Too many: %zu: must have at most %zu items", n, max);
}

void bad_duplicate_value(struct check *c, const char *path, const struct json *value)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write(&b, value);
	status_cause(c->err, "FieldValueDuplicate", path, "Duplicate value: %.*s",
		     (int)MIN_OF(b.len, (size_t)VALUE_SHOWN_MAX), buf_str(&b));
}

size_t check_count(const struct check *c)
{
	return c->err->n_causes;
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

void check_derived_name(struct check *c, const char *want, bool held, const char *why)
{
	static const char *const members[] = {"name", "generateName"};
	const struct json *meta = json_get(c->tree, "metadata");

	for (size_t i = 0; i < ARRAY_SIZE(members) && held; i++) {
		const char *name = json_path_str(meta, members[i]);
		if (!str_empty(name) && !str_eq(name, want))
			bad_invalid_str(c, PATH(c, "metadata.%s", members[i]), name, why);
	}
}

/* ---- members ---- */

const char *member_path(struct check *c, const char *at, const char *key)
{
	return *at ? PATH(c, "%s.%s", at, key) : key;
}

bool need_in(struct check *c, const char *at, const struct json *o, const char *key)
{
	if (!str_empty(json_str(json_get(o, key))))
		return true;
	bad_required(c, member_path(c, at, key), NULL);
	return false;
}

bool name_in(struct check *c, const char *at, const struct json *o, const char *key, const char *(*rule)(const char *))
{
	const struct json *v = json_get(o, key);
	const char *s = json_str(v), *why = s ? rule(s) : NULL;

	if (why)
		bad_invalid(c, member_path(c, at, key), v, why);
	return !why;
}

bool choice_in(struct check *c, const char *at, const struct json *o, const char *key, const char *const *set)
{
	const char *s = json_str(json_get(o, key));

	if (!s || str_in(s, set))
		return true;
	bad_unsupported(c, member_path(c, at, key), s, set);
	return false;
}

bool range_in(struct check *c, const char *at, const struct json *o, const char *key, int64_t min, int64_t max)
{
	const struct json *v = json_get(o, key);

	if (!v || (json_int(v, min) >= min && json_int(v, min) <= max))
		return true;
	bad_invalid(c, member_path(c, at, key), v,
		    PATH(c, "must be between %lld and %lld, inclusive", (long long)min, (long long)max));
	return false;
}

bool min_in(struct check *c, const char *at, const struct json *o, const char *key, int64_t min)
{
	const struct json *v = json_get(o, key);

	return !v || json_int(v, min) >= min || check_min(c, member_path(c, at, key), v, min);
}

bool forbid_in(struct check *c, const char *at, const struct json *o, const char *key, const char *detail)
{
	if (!json_get(o, key))
		return true;
	bad_forbidden(c, member_path(c, at, key), detail);
	return false;
}

void names_in(struct check *c, const char *at, const struct json *o, const char *key, const char *(*rule)(const char *))
{
	size_t i = 0;

	EACH_ITEM(v, json_get(o, key)) {
		const char *why = json_str(v) ? rule(json_str(v)) : NULL;
		if (why)
			bad_invalid(c, PATH(c, "%s[%zu]", member_path(c, at, key), i), v, why);
		i++;
	}
}

void check_port_or_name(struct check *c, const char *path, const struct json *v)
{
	if (json_str(v))
		check_name(c, path, v, name_check_port_name);
	else
		check_port(c, path, v ? v : json_new_int(&c->arena, 0));
}

/* ---- metadata and selectors ---- */

void check_annotations(struct check *c, const char *path, const struct json *annotations)
{
	size_t total = 0;

	if (!json_is(annotations, JSON_OBJECT))
		return;
	JSON_EACH(m, annotations) {
		char *lower = arena_strndup(&c->arena, m->key, m->key_len);
		for (char *s = lower; *s; s++)
			*s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
		const char *why = name_check_qualified(lower);
		if (why)
			bad_invalid_str(c, path, m->key, why);
		total += m->key_len + (m->type == JSON_STRING ? m->len : 0);
	}
	if (total > VALIDATE_ANNOTATIONS_BYTES_MAX)
		bad_too_long(c, path, VALIDATE_ANNOTATIONS_BYTES_MAX);
}

void check_template_metadata(struct check *c, const char *path, const struct json *meta)
{
	static const char *const allowed[] = {"annotations", "labels", "creationTimestamp", NULL};

	check_annotations(c, PATH(c, "%s.annotations", path), json_get(meta, "annotations"));
	check_labels(c, PATH(c, "%s.labels", path), json_get(meta, "labels"));
	if (json_is(meta, JSON_OBJECT))
		JSON_EACH(m, meta)
			if (!str_in(m->key, allowed))
				bad_forbidden(c, PATH(c, "%s.%s", path, m->key), "cannot be set");
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

bool selector_is_bad(const struct json *selector)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct check c = {.err = &err};

	check_selector(&c, "", selector);
	arena_release(&c.arena);
	return err.n_causes > 0;
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

bool is_ipv6(const char *s)
{
	return strchr(s, ':') != NULL;
}

static const char *special_ip4(const unsigned char *b)
{
	if (!(b[0] | b[1] | b[2] | b[3]))
		return "may not be unspecified (0.0.0.0)";
	if (b[0] == 127)
		return "may not be in the loopback range (127.0.0.0/8, ::1/128)";
	if (b[0] == 169 && b[1] == 254)
		return "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
	if (b[0] == 224 && !b[1] && !b[2])
		return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
	return NULL;
}

const char *rule_public_ip(const char *s)
{
	static const unsigned char zero[15];
	unsigned char b[16];

	if (inet_pton(AF_INET, s, b) == 1)
		return special_ip4(b);
	if (inet_pton(AF_INET6, s, b) != 1)
		return rule_ip(s);
	if (memcmp(b, zero, sizeof(zero)) == 0 && b[15] <= 1)
		return b[15] ? "may not be in the loopback range (127.0.0.0/8, ::1/128)"
			     : "may not be unspecified (::)";
	if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
		return "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
	if (b[0] == 0xff && b[1] == 0x02)
		return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
	return NULL;
}
