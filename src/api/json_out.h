/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON straight into a buffer, with the commas in the right places. Open and close calls must match; key is NULL
 * for elements of an array and for the outermost value.
 */
#ifndef PROA_API_JSON_OUT_H
#define PROA_API_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct json;

struct json_out {
	struct buf *buf;
	bool comma; /* a value precedes in the innermost open container */
};

void json_out_key(struct json_out *w, const char *key);	   /* only the comma and the key: a value must follow */
void json_out_object(struct json_out *w, const char *key); /* opens */
void json_out_array(struct json_out *w, const char *key);
void json_out_end_object(struct json_out *w);
void json_out_end_array(struct json_out *w);
void json_out_str(struct json_out *w, const char *key, const char *value);
void json_out_opt(struct json_out *w, const char *key, const char *value); /* left out when NULL or "" */
void json_out_int(struct json_out *w, const char *key, int64_t value);
void json_out_bool(struct json_out *w, const char *key, bool value);
void json_out_raw(struct json_out *w, const char *key, const char *json); /* text that is JSON already */
void json_out_json(struct json_out *w, const char *key, const struct json *value);
void json_out_strv(struct json_out *w, const char *key, const char *const *list); /* left out when NULL or empty */

#endif
