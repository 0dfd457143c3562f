/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_out.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

void json_out_key(struct json_out *w, const char *key)
{
	if (w->comma)
		buf_addc(w->buf, ',');
	w->comma = true;
	if (key) {
		json_write_string(w->buf, key, strlen(key));
		buf_addc(w->buf, ':');
	}
}

void json_out_object(struct json_out *w, const char *key)
{
	json_out_key(w, key);
	buf_addc(w->buf, '{');
	w->comma = false;
}

void json_out_array(struct json_out *w, const char *key)
{
	json_out_key(w, key);
	buf_addc(w->buf, '[');
	w->comma = false;
}

void json_out_end_object(struct json_out *w)
{
	buf_addc(w->buf, '}');
	w->comma = true;
}

void json_out_end_array(struct json_out *w)
{
	buf_addc(w->buf, ']');
	w->comma = true;
}

void json_out_str(struct json_out *w, const char *key, const char *value)
{
	json_out_key(w, key);
	json_write_string(w->buf, value, strlen(value));
}

void json_out_opt(struct json_out *w, const char *key, const char *value)
{
	if (value && *value)
		json_out_str(w, key, value);
}

void json_out_int(struct json_out *w, const char *key, int64_t value)
{
	json_out_key(w, key);
	buf_addf(w->buf, "%" PRId64, value);
}

void json_out_bool(struct json_out *w, const char *key, bool value)
{
	json_out_key(w, key);
	buf_adds(w->buf, value ? "true" : "false");
}

void json_out_raw(struct json_out *w, const char *key, const char *json)
{
	json_out_key(w, key);
	buf_adds(w->buf, json);
}

void json_out_json(struct json_out *w, const char *key, const struct json *value)
{
	json_out_key(w, key);
	json_write(w->buf, value);
}

void json_out_strv(struct json_out *w, const char *key, const char *const *list)
{
	if (!list || !list[0])
		return;
	json_out_array(w, key);
	for (; *list; list++)
		json_out_str(w, NULL, *list);
	json_out_end_array(w);
}
