/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tree a client sent to the tree that is stored: unknown fields dropped (and reported for strict decoding),
 * values checked against the type table, nulls and zero values of omitempty fields left out, quantities, times and
 * IntOrStrings in canonical form, members in the table's order.
 *
 * A client's body goes: json_parse_report(…, decode_report_duplicate, &report, …) or yaml_parse with the same,
 * then decode_object; then, by the request's fieldValidation: Strict: decode_report_status; Warn: report.messages as
 * Warning headers; Ignore: nothing.
 */
#ifndef PROA_API_DECODE_H
#define PROA_API_DECODE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct json;
struct status;
struct type;

#define DECODE_REPORTS_MAX 100 /* more are counted, not kept */

struct decode_report {
	struct arena *arena;
	const char *messages[DECODE_REPORTS_MAX]; /* `unknown field "spec.foo"`, `duplicate field "spec.bar"` */
	size_t n, n_yaml;			  /* of messages, the first n_yaml are a YAML reader's */
	/* Paths of repeated keys that decoding has not come to yet: it tells of them in the object's order. */
	const char *repeated[DECODE_REPORTS_MAX];
	size_t n_repeated;
};

/* A json_duplicate_fn; arg is the struct decode_report. */
void decode_report_duplicate(void *report, const char *path);
/* A key of a YAML document that was there before, in upstream's words for it. */
void decode_report_yaml(struct decode_report *report, size_t line, const char *path);
/* Tells of repeated keys now, of whatever document they are (a patch is not decoded); before: "json patch ", or "". */
void decode_report_repeated(struct decode_report *report, const char *before);
void decode_report_unknown(struct decode_report *report, const char *before, const char *path);
/* "strict decoding error: unknown field …, …" */
const char *decode_report_text(const struct decode_report *report);
/* 400 `strict decoding error: unknown field "spec.foo", …` when there are reports. */
int decode_report_status(const struct decode_report *report, struct status *err);

/*
 * Decodes tree by type into a new tree (parts of the old are reused; don't use it any more). kind and version are for
 * the message: `Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal …`. type NULL: the
 * tree is kept as it is. report may be NULL. 0, or -1 with a 400.
 */
int decode_object(struct arena *a, const struct type *type, const char *kind, const char *version, struct json *tree,
		  struct decode_report *report, struct json **ret, struct status *err);

/*
 * The same for a server-side apply configuration, where a field's presence says that the applier owns it: checked and
 * brought to canonical scalars, but nothing is filled in and no empty value left out (nulls are).
 */
int decode_applied(struct arena *a, const struct type *type, const char *kind, const char *version, struct json *tree,
		   struct decode_report *report, struct json **ret, struct status *err);

/*
 * Adds what Go's JSON encoding writes although nobody said it: structs, which omitempty never omits ("status": {}),
 * with their zeros, in whatever is there. type NULL: nothing.
 */
void decode_fill(struct arena *a, const struct type *type, struct json *tree);
/*
 * The same, and a list, map or pointer without omitempty is left out when it is empty or null: in Go both are nothing,
 * and what is read from the store cannot tell them apart.
 */
void decode_settle(struct arena *a, const struct type *type, struct json *tree);
/* For the store: null for what decode_settle() left out. */
void decode_finish(struct arena *a, const struct type *type, struct json *tree);

/* What Go calls a value's type in messages: "number", "object". */
const char *decode_type_name(const struct json *v);

/* Go's duration strings ("1h2m3.5s"), for FIELD_DURATION; 0 or -EINVAL. */
int duration_parse(const char *s, long long *ret_ns);
#define DURATION_TEXT_MAX 40
char *duration_format(long long ns, char out[DURATION_TEXT_MAX]); /* as Go prints it; returns out */

#endif
