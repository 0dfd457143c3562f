/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The v2 document as gnostic's openapi_v2.Document message: the JSON document is made, parsed and walked by tables of
 * that message's fields. JSON objects with free keys become lists of {name = 1, value = 2}; x-… members become lists of
 * {name = 1, value = 2 {yaml = 2}}, where JSON text serves as YAML.
 */
#include <string.h>

#include "api/openapi.h"
#include "api/protobuf_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/str.h"

enum how {
	TEXT,
	TEXTS,
	BOOL,
	INT,
	DOUBLE,
	ANY,
	ANYS,
	MESSAGE,  /* of type */
	NAMED,	  /* a message whose field `inner` is a list of names and values of type */
	TEXTS_IN, /* a message whose field 1 is a list of strings: a string or a list */
	ITEMS,	  /* a message whose field 1 is a list of schemas: a schema or a list */
	MORE,	  /* additionalProperties: schema = 1 or boolean = 2 */
	PARAMS,	  /* parameters: each in its alternative's wrapper */
	SECURITY, /* a list of {scheme: [scopes]} */
};

struct message {
	const struct member {
		const char *key;
		uint32_t number;
		enum how how;
		const struct message *type;
		uint32_t inner; /* NAMED: the number of the list */
		uint32_t wrap;	/* MESSAGE, NAMED: the value is in a message of its own, there with this number; or 0 */
	} * members;
	size_t n;
	uint32_t extension; /* the number of x-… members */
};

#define MEMBERS(list) .members = (list), .n = ARRAY_SIZE(list)

static const struct message schema;
static const struct member schema_members[] = {
    {"$ref", 1, TEXT, NULL, 0, 0},
    {"format", 2, TEXT, NULL, 0, 0},
    {"title", 3, TEXT, NULL, 0, 0},
    {"description", 4, TEXT, NULL, 0, 0},
    {"default", 5, ANY, NULL, 0, 0},
    {"multipleOf", 6, DOUBLE, NULL, 0, 0},
    {"maximum", 7, DOUBLE, NULL, 0, 0},
    {"exclusiveMaximum", 8, BOOL, NULL, 0, 0},
    {"minimum", 9, DOUBLE, NULL, 0, 0},
    {"exclusiveMinimum", 10, BOOL, NULL, 0, 0},
    {"maxLength", 11, INT, NULL, 0, 0},
    {"minLength", 12, INT, NULL, 0, 0},
    {"pattern", 13, TEXT, NULL, 0, 0},
    {"maxItems", 14, INT, NULL, 0, 0},
    {"minItems", 15, INT, NULL, 0, 0},
    {"uniqueItems", 16, BOOL, NULL, 0, 0},
    {"maxProperties", 17, INT, NULL, 0, 0},
    {"minProperties", 18, INT, NULL, 0, 0},
    {"required", 19, TEXTS, NULL, 0, 0},
    {"enum", 20, ANYS, NULL, 0, 0},
    {"additionalProperties", 21, MORE, &schema, 0, 0},
    {"type", 22, TEXTS_IN, NULL, 0, 0},
    {"items", 23, ITEMS, &schema, 0, 0},
    {"properties", 25, NAMED, &schema, 1, 0},
    {"example", 30, ANY, NULL, 0, 0},
};
static const struct message schema = {MEMBERS(schema_members), .extension = 31};

static const struct member body_members[] = {
    {"description", 1, TEXT, NULL, 0, 0}, {"name", 2, TEXT, NULL, 0, 0},	 {"in", 3, TEXT, NULL, 0, 0},
    {"required", 4, BOOL, NULL, 0, 0},	  {"schema", 5, MESSAGE, &schema, 0, 0},
};
static const struct message body = {MEMBERS(body_members), .extension = 6};

static const struct member query_members[] = {
    {"required", 1, BOOL, NULL, 0, 0}, {"in", 2, TEXT, NULL, 0, 0},   {"description", 3, TEXT, NULL, 0, 0},
    {"name", 4, TEXT, NULL, 0, 0},     {"type", 6, TEXT, NULL, 0, 0}, {"uniqueItems", 20, BOOL, NULL, 0, 0},
};
static const struct message query = {MEMBERS(query_members), .extension = 23};

static const struct member path_members[] = {
    {"required", 1, BOOL, NULL, 0, 0}, {"in", 2, TEXT, NULL, 0, 0},   {"description", 3, TEXT, NULL, 0, 0},
    {"name", 4, TEXT, NULL, 0, 0},     {"type", 5, TEXT, NULL, 0, 0}, {"uniqueItems", 19, BOOL, NULL, 0, 0},
};
static const struct message path = {MEMBERS(path_members), .extension = 22};

static const struct member response_members[] = {
    {"description", 1, TEXT, NULL, 0, 0},
    {"schema", 2, MESSAGE, &schema, 0, 1},
};
static const struct message response = {MEMBERS(response_members), .extension = 5};

static const struct member operation_members[] = {
    {"tags", 1, TEXTS, NULL, 0, 0},	{"description", 3, TEXT, NULL, 0, 0},	  {"operationId", 5, TEXT, NULL, 0, 0},
    {"produces", 6, TEXTS, NULL, 0, 0}, {"consumes", 7, TEXTS, NULL, 0, 0},	  {"parameters", 8, PARAMS, NULL, 0, 0},
    {"schemes", 10, TEXTS, NULL, 0, 0}, {"responses", 9, NAMED, &response, 1, 1},
};
static const struct message operation = {MEMBERS(operation_members), .extension = 13};

static const struct member item_members[] = {
    {"get", 2, MESSAGE, &operation, 0, 0},   {"put", 3, MESSAGE, &operation, 0, 0},
    {"post", 4, MESSAGE, &operation, 0, 0},  {"delete", 5, MESSAGE, &operation, 0, 0},
    {"patch", 8, MESSAGE, &operation, 0, 0}, {"parameters", 9, PARAMS, NULL, 0, 0},
};
static const struct message item = {MEMBERS(item_members), .extension = 10};

static const struct member key_members[] = {
    {"type", 1, TEXT, NULL, 0, 0}, {"name", 2, TEXT, NULL, 0, 0}, {"in", 3, TEXT, NULL, 0, 0}};
static const struct message api_key = {MEMBERS(key_members), .extension = 5};

static const struct member info_members[] = {{"title", 1, TEXT, NULL, 0, 0}, {"version", 2, TEXT, NULL, 0, 0}};
static const struct message info = {MEMBERS(info_members), .extension = 7};

static const struct member document_members[] = {
    {"swagger", 1, TEXT, NULL, 0, 0},	    {"info", 2, MESSAGE, &info, 0, 0},
    {"paths", 8, NAMED, &item, 2, 0},	    {"definitions", 9, NAMED, &schema, 1, 0},
    {"security", 12, SECURITY, NULL, 0, 0}, {"securityDefinitions", 13, NAMED, &api_key, 1, 2},
};
static const struct message document = {MEMBERS(document_members), .extension = 16};

static void put_message(struct buf *out, const struct message *m, const struct json *v);

static void put_nested(struct buf *out, uint32_t number, const struct message *m, const struct json *v)
{
	size_t begin = wire_begin(out, number);

	put_message(out, m, v);
	wire_end(out, begin);
}

static void put_text(struct buf *out, uint32_t number, const struct json *v)
{
	if (v->type == JSON_STRING)
		wire_put_bytes(out, number, v->str, v->len);
}

static void put_any(struct buf *out, uint32_t number, const struct json *v)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t begin = wire_begin(out, number);

	json_write(&text, v);
	buf_addc(&text, '\n');
	wire_put_bytes(out, 2, text.data, text.len);
	wire_end(out, begin);
}

static void put_double(struct buf *out, uint32_t number, const struct json *v)
{
	double d = json_double(v, 0);
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	wire_put_tag(out, number, WIRE_FIXED64);
	for (int i = 0; i < 8; i++)
		buf_addc(out, (char)(bits >> (8 * i)));
}

static void put_named(struct buf *out, const struct member *m, const struct json *v)
{
	size_t list = wire_begin(out, m->number);

	JSON_EACH(c, v) {
		size_t named = wire_begin(out, m->inner), value;

		wire_put_bytes(out, 1, c->key, c->key_len);
		value = wire_begin(out, 2);
		if (m->wrap)
			put_nested(out, m->wrap, m->type, c);
		else
			put_message(out, m->type, c);
		wire_end(out, value);
		wire_end(out, named);
	}
	wire_end(out, list);
}

/* ParametersItem {parameter = 1 {body = 1 or other = 2 {query = 3 or path = 4}}} */
static void put_param(struct buf *out, uint32_t number, const struct json *v)
{
	const char *in = json_path_str(v, "in");
	size_t outer = wire_begin(out, number), param = wire_begin(out, 1), other;

	if (str_eq(in, "body")) {
		put_nested(out, 1, &body, v);
	} else {
		other = wire_begin(out, 2);
		put_nested(out, str_eq(in, "path") ? 4 : 3, str_eq(in, "path") ? &path : &query, v);
		wire_end(out, other);
	}
	wire_end(out, param);
	wire_end(out, outer);
}

/* {additional_properties = 1 {name = 1, value = 2 {value = 1 …}}} */
static void put_security(struct buf *out, uint32_t number, const struct json *v)
{
	size_t outer = wire_begin(out, number);

	JSON_EACH(c, v) {
		size_t named = wire_begin(out, 1), scopes;

		wire_put_bytes(out, 1, c->key, c->key_len);
		scopes = wire_begin(out, 2);
		JSON_EACH(s, c)
			put_text(out, 1, s);
		wire_end(out, scopes);
		wire_end(out, named);
	}
	wire_end(out, outer);
}

/* A message with one list in field 1, given as one value or a list of them. */
static void put_list_in(struct buf *out, const struct member *m, const struct json *v)
{
	size_t begin = wire_begin(out, m->number);

	if (v->type == JSON_ARRAY)
		JSON_EACH(c, v) {
			if (m->type)
				put_nested(out, 1, m->type, c);
			else
				put_text(out, 1, c);
		}
	else if (m->type)
		put_nested(out, 1, m->type, v);
	else
		put_text(out, 1, v);
	wire_end(out, begin);
}

static void put_member(struct buf *out, const struct member *m, const struct json *v)
{
	size_t begin;

	switch (m->how) {
	case TEXT:
		put_text(out, m->number, v);
		return;
	case BOOL:
		wire_put_uint(out, m->number, json_bool(v, false));
		return;
	case INT:
		wire_put_uint(out, m->number, (uint64_t)json_int(v, 0));
		return;
	case DOUBLE:
		put_double(out, m->number, v);
		return;
	case ANY:
		put_any(out, m->number, v);
		return;
	case NAMED:
		put_named(out, m, v);
		return;
	case TEXTS_IN:
	case ITEMS:
		put_list_in(out, m, v);
		return;
	case MESSAGE:
		begin = m->wrap ? wire_begin(out, m->number) : 0;
		put_nested(out, m->wrap ? m->wrap : m->number, m->type, v);
		if (m->wrap)
			wire_end(out, begin);
		return;
	case MORE:
		begin = wire_begin(out, m->number);
		if (v->type == JSON_BOOL)
			wire_put_uint(out, 2, v->boolean);
		else
			put_nested(out, 1, m->type, v);
		wire_end(out, begin);
		return;
	case TEXTS:
	case ANYS:
	case PARAMS:
	case SECURITY:
		break;
	}
	JSON_EACH(c, v) {
		if (m->how == TEXTS)
			put_text(out, m->number, c);
		else if (m->how == ANYS)
			put_any(out, m->number, c);
		else if (m->how == PARAMS)
			put_param(out, m->number, c);
		else
			put_security(out, m->number, c);
	}
}

static void put_message(struct buf *out, const struct message *m, const struct json *v)
{
	JSON_EACH(c, v) {
		size_t i = 0;

		if (str_has_prefix(c->key, "x-")) {
			size_t begin = wire_begin(out, m->extension);

			wire_put_bytes(out, 1, c->key, c->key_len);
			put_any(out, 2, c);
			wire_end(out, begin);
			continue;
		}
		while (i < m->n && !str_eq(m->members[i].key, c->key))
			i++;
		if (i < m->n) /* what v2 doesn't know is not for its readers */
			put_member(out, &m->members[i], c);
	}
}

void openapi_v2_protobuf(const struct resource_set *set, struct buf *out)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json_error err;
	struct json *v;

	openapi_v2(set, &text);
	if (json_parse(&a, text.data, text.len, &v, &err) < 0) { /* a custom schema nested too deep for our parser */
		log_error("openapi v2 document cannot be read back offset=%zu error=%s", err.offset, err.message);
		return;
	}
	buf_release(&text);
	put_message(out, &document, v);
}
