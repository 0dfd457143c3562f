/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259): one arena tree to read and edit.
 *
 * A tree and everything in it live in an arena. Strings and keys are NUL-terminated, unescaped, strict UTF-8 (len
 * counts, since U+0000 may occur inside). Numbers keep their text, so that an int64 or a long decimal goes through
 * unchanged. Members keep their order; of duplicate keys the last wins and each is reported.
 *
 * Every reader accepts NULL and nodes of another type and gives its fallback, so that paths into optional fields need
 * no checks. Limits: JSON_DEPTH_MAX nested levels, documents below 4 GiB, keys below 16 MiB.
 */
#ifndef PROA_BASE_JSON_H
#define PROA_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct arena;
struct buf;

#define JSON_DEPTH_MAX                                                                                                 \
	512 /* deepest legitimate object (a CRD schema) is below 100; recursion stays within the stack                 \
	     */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	struct json *next; /* sibling; the last one points to the first */
	const char *key;   /* member name inside an object, else NULL */
	union {
		const char *str;   /* JSON_STRING: text; JSON_NUMBER: its text */
		struct json *last; /* JSON_ARRAY, JSON_OBJECT: last child or NULL */
		bool boolean;
	};
	uint32_t len; /* bytes of str, or number of children */
	uint32_t key_len : 24;
	uint32_t type : 8; /* enum json_type */
};

struct json_error {
	size_t offset; /* of the byte that could not be accepted */
	char message[96];
};

/* Called for each key that occurs again in its object, with its path ("spec.replicas", "spec.ports[0].name"). */
typedef void (*json_duplicate_fn)(void *arg, const char *path);

/* Parses one document (surrounding white space allowed). text need not outlive the call. 0 or -EINVAL with err set. */
int json_parse(struct arena *a, const char *text, size_t len, struct json **ret, struct json_error *err);
int json_parse_report(struct arena *a, const char *text, size_t len, json_duplicate_fn dup, void *arg,
		      struct json **ret, struct json_error *err);
void json_write(struct buf *out, const struct json *v);	       /* compact */
void json_write_pretty(struct buf *out, const struct json *v); /* two spaces an indent */
void json_write_string(struct buf *out, const char *s, size_t len);
char *json_to_string(struct arena *a, const struct json *v);

/* ---- reading ---- */
static inline bool json_is(const struct json *v, enum json_type t)
{
	return v && v->type == t;
}
static inline struct json *json_first(const struct json *v)
{
	return v && v->type >= JSON_ARRAY && v->last ? v->last->next : NULL;
}
static inline struct json *json_next(const struct json *parent, const struct json *child)
{
	return child == parent->last ? NULL : child->next;
}
/* parent is evaluated once. */
#define JSON_EACH(c, parent)                                                                                           \
	for (struct json *c##_in = (struct json *)(uintptr_t)(const void *)(parent), *c = json_first(c##_in); c;       \
	     c = json_next(c##_in, c))
static inline uint32_t json_len(const struct json *v)
{
	return v && v->type >= JSON_ARRAY ? v->len : 0;
}

struct json *json_get(const struct json *object, const char *key); /* exact key */
struct json *json_get_n(const struct json *object, const char *key, size_t key_len);
struct json *json_at(const struct json *array, size_t i);
/* Follows dotted member names: json_path(pod, "spec.nodeName"). Keys that contain dots need json_get. */
struct json *json_path(const struct json *v, const char *path);

const char *json_str(const struct json *v);		  /* NULL unless a string */
int64_t json_int(const struct json *v, int64_t fallback); /* integers within int64, also written 3.0 or 3e2 */
bool json_bool(const struct json *v, bool fallback);
double json_double(const struct json *v, double fallback);
bool json_is_int(const struct json *v);
/* By path. */
const char *json_path_str(const struct json *v, const char *path); /* NULL when absent */
int64_t json_path_int(const struct json *v, const char *path, int64_t fallback);
bool json_path_bool(const struct json *v, const char *path, bool fallback);

/* About the bytes that v takes when written, from below: what bounds on copies count, since one node may be long. */
size_t json_text_bytes(const struct json *v);

/* Same value: numbers by value, members in any order. */
bool json_equal(const struct json *a, const struct json *b);

/* ---- building; everything comes from a, and a value may be in one place only (json_clone it otherwise) ---- */
struct json *json_new(struct arena *a, enum json_type t);  /* null, false, 0, "", [] or {} */
struct json *json_new_str(struct arena *a, const char *s); /* NULL gives null */
struct json *json_new_strn(struct arena *a, const char *s, size_t len);
struct json *json_new_strf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct json *json_new_int(struct arena *a, int64_t n);
struct json *json_new_bool(struct arena *a, bool b);
struct json *json_clone(struct arena *a, const struct json *v); /* deep; without v's key */

/* Sets or replaces a member, in place when present. Returns value. */
struct json *json_set(struct arena *a, struct json *object, const char *key, struct json *value);
struct json *json_set_str(struct arena *a, struct json *object, const char *key, const char *s);
struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t n);
struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool b);
/* The member object (array) of that name, created when absent or of another type. */
struct json *json_object_in(struct arena *a, struct json *object, const char *key);
struct json *json_array_in(struct arena *a, struct json *object, const char *key);
/* Sets by dotted path, creating objects on the way. */
struct json *json_set_path(struct arena *a, struct json *object, const char *path, struct json *value);
/* Appends a member that is known not to be there yet: json_set without its search. Returns value. */
struct json *json_add(struct arena *a, struct json *object, const char *key, size_t key_len, struct json *value);
/* Takes out, in one pass, the members whose key was made NULL: many json_remove_child would take quadratic time. */
void json_drop_marked(struct json *object);
bool json_remove(struct json *object, const char *key); /* false when it was not there */
void json_remove_child(struct json *parent, struct json *child);
struct json *json_append(struct json *array, struct json *value); /* returns value */
/* Inserts before the child at index i (i == len appends). */
void json_insert(struct json *array, size_t i, struct json *value);
/* Makes *at (a child of some tree, keeping its place and key) have the value of v. v's children move. */
void json_replace(struct json *at, const struct json *v);

#endif
