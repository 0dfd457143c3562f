/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label and field selectors. Parsed selectors live in the arena they were parsed into (text is copied) and are
 * immutable. NULL is a selector that matches everything. Errors are 400 BadRequest with upstream's substance. Limits:
 * SELECTOR_BYTES_MAX of text, SELECTOR_TERMS_MAX requirements.
 */
#ifndef PROA_API_SELECTOR_H
#define PROA_API_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct json;
struct object;
struct object_pair;
struct resource;
struct status;

#define SELECTOR_BYTES_MAX                                                                                             \
	(64 * 1024) /* longer ones don't fit in an URL; each is matched against every object of a list */
#define SELECTOR_TERMS_MAX 1024

enum selector_op {
	SELECTOR_IN,	 /* also = and == */
	SELECTOR_NOT_IN, /* also !=; matches when the key is absent */
	SELECTOR_EXISTS,
	SELECTOR_NOT_EXISTS,
	SELECTOR_GT, /* value is an integer greater than */
	SELECTOR_LT,
};

struct selector_term {
	enum selector_op op;
	const char *key;
	const char *const *values;
	size_t n_values;
};

struct label_selector {
	struct selector_term *terms; /* all must match */
	size_t n_terms;
	bool nothing; /* matches no object: a NULL LabelSelector where upstream says so */
};

/* "a=b,c in (d,e),!f,g notin (h),i>3". "" gives an empty selector (everything). */
int label_selector_parse(struct arena *a, const char *text, struct label_selector **ret, struct status *err);
/* A metav1.LabelSelector. NULL or null selects nothing, {} everything. */
int label_selector_from_json(struct arena *a, const struct json *selector, struct label_selector **ret,
			     struct status *err);
/* A map of exact labels (Service.spec.selector); NULL or {} selects nothing. */
int label_selector_from_map(struct arena *a, const struct json *map, struct label_selector **ret);
bool label_selector_match(const struct label_selector *s, const struct object *o);
bool label_selector_match_json(const struct label_selector *s, const struct json *labels); /* metadata.labels or NULL */
static inline bool label_selector_empty(const struct label_selector *s)
{
	return !s || (!s->nothing && !s->n_terms);
}
void label_selector_format(const struct label_selector *s, struct buf *out); /* canonical text, terms sorted by key */

struct field_term {
	const char *path, *value;
	bool negate;
};
struct field_selector {
	struct field_term *terms;
	size_t n_terms;
};

/* "metadata.name=a,spec.nodeName!=b"; backslash escapes comma, equals and backslash in values. */
int field_selector_parse(struct arena *a, const char *text, struct field_selector **ret, struct status *err);
/* 400 unless each path is metadata.name, metadata.namespace or one of the resource's selectable fields. */
int field_selector_check(const struct field_selector *s, const struct resource *r, struct status *err);
bool field_selector_match(const struct field_selector *s, const struct object *o);
/* The value that path must equal, or NULL: for lists that are really one get, or one namespace. */
const char *field_selector_required(const struct field_selector *s, const char *path);

#endif
