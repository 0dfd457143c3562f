/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps and Secrets. */
#include <string.h>

#include "api/meta.h"
#include "api/validate.h"
#include "api/validate_internal.h"
#include "base/buf.h"
#include "base/json_index.h"
#include "base/str.h"

static size_t text_size(const struct json *v)
{
	return v->type == JSON_STRING ? v->len : 0;
}

/* Of what base64 stands for. */
static size_t decoded_size(const struct json *v)
{
	size_t n = text_size(v);

	return n < 4 ? 0 : n / 4 * 3 - (v->str[n - 1] == '=') - (v->str[n - 2] == '=');
}

/* Keys of data and binaryData (stringData was folded in before), and their size together. */
static size_t check_data(struct check *c, const char *member, const struct json *data, const struct json *other,
			 size_t (*size)(const struct json *))
{
	_cleanup_json_index_ struct json_index in_other = json_index_of(other);
	size_t total = 0;

	if (!json_is(data, JSON_OBJECT))
		return 0;
	JSON_EACH(d, data) {
		const char *why = name_check_config_key(d->key);
		if (why)
			bad_invalid_str(c, PATH(c, "%s[%s]", member, d->key), d->key, why);
		if (other && json_index_get(&in_other, d->key, d->key_len))
			bad_invalid_str(c, PATH(c, "%s[%s]", member, d->key), d->key,
					"duplicate of key present in binaryData");
		total += size(d);
	}
	return total;
}

static void check_frozen(struct check *c, const char *const *members)
{
	if (!json_path_bool(c->old, "immutable", false))
		return;
	if (!json_path_bool(c->tree, "immutable", false))
		bad_forbidden(c, "immutable", "field is immutable when `immutable` is set");
	for (; *members; members++)
		if (!json_equal(json_get(c->tree, *members), json_get(c->old, *members)))
			bad_forbidden(c, *members, "field is immutable when `immutable` is set");
}

void check_config_map(struct check *c)
{
	static const char *const members[] = {"data", "binaryData", NULL};
	const struct json *data = json_get(c->tree, "data"), *binary = json_get(c->tree, "binaryData");

	check_frozen(c, members);
	size_t total = check_data(c, "data", data, binary, text_size);
	total += check_data(c, "binaryData", binary, NULL, decoded_size);
	if (total > VALIDATE_CONFIG_BYTES_MAX)
		bad_too_long(c, "", VALIDATE_CONFIG_BYTES_MAX);
}

static void check_json_key(struct check *c, const struct json *data, const char *key)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const struct json *v = json_get(data, key);
	struct json_error err = {0};
	struct json *tree = NULL;

	if (!v) {
		bad_required(c, PATH(c, "data[%s]", key), NULL);
		return;
	}
	if (base64_decode(&text, str_or(json_str(v), ""), json_str(v) ? v->len : 0) < 0 ||
	    json_parse(&c->arena, buf_str(&text), text.len, &tree, &err) < 0)
		bad_invalid_str(c, PATH(c, "data[%s]", key), "<secret contents redacted>",
				*err.message ? PATH(c, "%s", err.message) : "invalid JSON");
	else if (!json_is(tree, JSON_OBJECT) && !json_is(tree, JSON_NULL))
		bad_invalid_str(c, PATH(c, "data[%s]", key), "<secret contents redacted>", "must be a JSON object");
}

/* What a type of secret must hold. */
static const struct {
	const char *type, *key;
	enum { PRESENT, NOT_EMPTY, JSON_TEXT } need;
} needed[] = {
    {"kubernetes.io/ssh-auth", "ssh-privatekey", NOT_EMPTY},
    {"kubernetes.io/tls", "tls.crt", PRESENT},
    {"kubernetes.io/tls", "tls.key", PRESENT},
    {"kubernetes.io/dockercfg", ".dockercfg", JSON_TEXT},
    {"kubernetes.io/dockerconfigjson", ".dockerconfigjson", JSON_TEXT},
};

void check_secret(struct check *c)
{
	static const char *const members[] = {"data", NULL};
	const struct json *data = json_get(c->tree, "data");
	const char *type = str_or(json_path_str(c->tree, "type"), "");

	check_immutable(c, "type", "type");
	check_frozen(c, members);
	if (check_data(c, "data", data, NULL, decoded_size) > VALIDATE_CONFIG_BYTES_MAX)
		bad_too_long(c, "data", VALIDATE_CONFIG_BYTES_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!str_eq(needed[i].type, type))
			continue;
		const struct json *v = json_get(data, needed[i].key);
		if (needed[i].need == JSON_TEXT)
			check_json_key(c, data, needed[i].key);
		else if (!v || (needed[i].need == NOT_EMPTY && str_empty(json_str(v))))
			bad_required(c, PATH(c, "data[%s]", needed[i].key), NULL);
	}
	if (str_eq(type, "kubernetes.io/service-account-token") &&
	    str_empty(meta_annotation(c->tree, "kubernetes.io/service-account.name")))
		bad_required(c, "metadata.annotations[kubernetes.io/service-account.name]", NULL);
	if (str_eq(type, "kubernetes.io/basic-auth") && !json_get(data, "username") && !json_get(data, "password")) {
		bad_required(c, "data[username]", NULL);
		bad_required(c, "data[password]", NULL);
	}
}
