/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of one shape, as tables: a field by its path and what must hold of it. What a table cannot say (fields that
 * depend on each other) is a function of the kind.
 *
 * A path is dotted member names. "drivers[]" means each element of a list, "selectors{}" each value of a map; a name
 * ending in "?" ends the walk silently where it is absent, so that only fields of a struct that is there are required.
 * Paths below "status" hold when the status is written, all others when the object is.
 *
 * Every rule but the first two accepts what is absent. An empty string is what a pointer points to (others are left out
 * by decoding): names and values must suit it, unless a rule before says that the same path is required. Values of
 * enumerations that the type tables know need no rule (validate.c).
 */
#ifndef PROA_API_VALIDATE_RULES_H
#define PROA_API_VALIDATE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check;
struct json;

enum rule_op {
	RULE_REQUIRED,	 /* not absent, "" or [] */
	RULE_FILLED,	 /* nor {}: a map with at least one entry */
	RULE_IMMUTABLE,	 /* Invalid: field is immutable */
	RULE_CONSTANT,	 /* the same where upstream generates the check, which does not show the value */
	RULE_FIXED,	 /* the same, but Forbidden, with the text */
	RULE_RANGE,	 /* integers from min to max; text instead of the usual one */
	RULE_NAME,	 /* strings: name() says what is wrong */
	RULE_VALUES,	 /* strings, one of values */
	RULE_BYTES,	 /* strings of at most max bytes */
	RULE_CHARACTERS, /* the same, told in the newer words */
	RULE_ITEMS,	 /* lists of at most max elements */
	RULE_UNIQUE,	 /* lists of strings, or of objects by their member `text` */
	RULE_SET,	 /* lists of objects that differ in their member `text`; the object is shown */
	RULE_LABELS,
	RULE_SELECTOR,	 /* a metav1.LabelSelector */
	RULE_QUANTITIES, /* a map of amounts, none negative */
	RULE_CALL,	 /* call(c, path, value) */
};

struct rule {
	const char *kind, *path;
	enum rule_op op;
	int64_t min, max;
	const char *text;
	const char *(*name)(const char *);
	const char *const *values;
	void (*call)(struct check *c, const char *path, const struct json *v);
	bool or_empty; /* what a pointer points to may be "" */
};

#define REQUIRED(kind_, path_)                                                                                         \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_REQUIRED                                                  \
	}
#define REQUIRED_TEXT(kind_, path_, text_)                                                                             \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_REQUIRED, .text = (text_)                                 \
	}
#define FILLED(kind_, path_, text_)                                                                                    \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_FILLED, .text = (text_)                                   \
	}
#define IMMUTABLE(kind_, path_)                                                                                        \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_IMMUTABLE                                                 \
	}
#define CONSTANT(kind_, path_)                                                                                         \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_CONSTANT                                                  \
	}
#define FIXED(kind_, path_, text_)                                                                                     \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_FIXED, .text = (text_)                                    \
	}
#define MIN(kind_, path_, min_)                                                                                        \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_RANGE, .min = (min_), .max = INT64_MAX                    \
	}
#define RANGE(kind_, path_, min_, max_, text_)                                                                         \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_RANGE, .min = (min_), .max = (max_), .text = (text_)      \
	}
#define NAME(kind_, path_, name_)                                                                                      \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_NAME, .name = (name_)                                     \
	}
#define NAME_OR_EMPTY(kind_, path_, name_)                                                                             \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_NAME, .name = (name_), .or_empty = true                   \
	}
#define DRIVER_NAME(kind_, path_) NAME(kind_, path_, rule_csi_driver), BYTES(kind_, path_, DRIVER_NAME_BYTES_MAX)
/* The same where upstream generates the check. */
#define DECLARED_DRIVER_NAME(kind_, path_)                                                                             \
	NAME(kind_, path_, name_check_any_case_name),                                                                  \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_CHARACTERS, .max = DRIVER_NAME_BYTES_MAX                  \
	}
#define SET(kind_, path_, key_)                                                                                        \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_SET, .text = (key_)                                       \
	}
#define VALUES(kind_, path_, values_)                                                                                  \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_VALUES, .values = (values_)                               \
	}
#define BYTES(kind_, path_, max_)                                                                                      \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_BYTES, .max = (max_)                                      \
	}
#define ITEMS(kind_, path_, max_)                                                                                      \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_ITEMS, .max = (max_)                                      \
	}
#define UNIQUE(kind_, path_, key_)                                                                                     \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_UNIQUE, .text = (key_)                                    \
	}
#define LABELS(kind_, path_)                                                                                           \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_LABELS                                                    \
	}
#define SELECTOR(kind_, path_)                                                                                         \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_SELECTOR                                                  \
	}
#define QUANTITIES(kind_, path_)                                                                                       \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_QUANTITIES                                                \
	}
#define CALL(kind_, path_, call_)                                                                                      \
	{                                                                                                              \
		.kind = (kind_), .path = (path_), .op = RULE_CALL, .call = (call_)                                     \
	}

struct kind_check {
	const char *kind;
	void (*object)(struct check *c);			  /* create and update; may be NULL */
	void (*status)(struct check *c, const char *subresource); /* writes of status or approval; may be NULL */
};

struct group_check {
	const char *group;
	const struct rule *rules;
	size_t n_rules;
	const struct kind_check *kinds;
	size_t n_kinds;
};

/* One for each validate_<group>.c. */
extern const struct group_check validate_apps, validate_batch, validate_autoscaling, validate_policy,
    validate_networking, validate_discovery, validate_storage, validate_rbac, validate_scheduling, validate_node,
    validate_coordination, validate_certificates, validate_events, validate_flowcontrol, validate_admission,
    validate_definitions, validate_apiregistration, validate_resource, validate_migration;

/* Rules and function of the checked kind. subresource: NULL, or as in validate_update. */
void check_group(struct check *c, const char *subresource);
/* One rule, or a row of them, below a value that is not the object's root; at is that value's path. */
void check_fields(struct check *c, const char *at, const struct json *v, const struct rule *rules, size_t n);

#endif
