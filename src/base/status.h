/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error of an API operation: what becomes a `Status` object (metav1.Status: code, reason, message, details).
 * Functions at the API and node edges take a trailing `struct status *err` that is set only on failure.
 * A status is initialised by STATUS_INIT and released by status_release; setting it again replaces what was there.
 */
#ifndef PROA_BASE_STATUS_H
#define PROA_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

struct buf;

struct status_cause {
	char *type;    /* FieldValueInvalid, FieldValueRequired, … */
	char *message; /* without the field */
	char *field;   /* JSON path as upstream writes it: spec.containers[0].name */
};

struct status {
	int code;	    /* HTTP code; 0: no error */
	const char *reason; /* static string: NotFound, Conflict, Invalid, … */
	char *message;
	char *group, *kind, *name, *uid; /* details; NULL when unknown. kind is the resource for most reasons */
	int retry_after_s;
	struct status_cause *causes;
	size_t n_causes;
};

#define STATUS_INIT                                                                                                    \
	{                                                                                                              \
		0                                                                                                      \
	}
#define _cleanup_status_ _cleanup_(status_release)
#define STATUS_CAUSES_MAX 128 /* a hostile object can have a mistake in every field; more are counted, not kept */

void status_release(struct status *s);
static inline bool status_failed(const struct status *s)
{
	return s->code != 0;
}
/* Sets code, the reason that upstream pairs with it, and the message. Returns -1 so that `return status_set(…)` works.
 */
int status_set(struct status *s, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with another reason than the code's usual one; reason must be a static string. */
int status_set_reason(struct status *s, int code, const char *reason, const char *fmt, ...) PRINTF_LIKE(4, 5);
void status_details(struct status *s, const char *group, const char *kind, const char *name);
/* Adds a field error, once however often it is told; type is the cause's reason, e.g. "FieldValueInvalid". */
void status_cause(struct status *s, const char *type, const char *field, const char *fmt, ...) PRINTF_LIKE(4, 5);
void status_move(struct status *to, struct status *from); /* from is left empty */
void status_copy(struct status *to, const struct status *from);
void status_write_json(const struct status *s, struct buf *out); /* the Status object */

/* The usual ones. resource is plural ("pods"); group may be "". The message is upstream's form: pods "x" not found. */
int status_not_found(struct status *s, const char *group, const char *resource, const char *name);
int status_already_exists(struct status *s, const char *group, const char *resource, const char *name);
int status_conflict(struct status *s, const char *group, const char *resource, const char *name, const char *why);
/*
 * Makes a 422 Invalid from the causes added so far: `Pod "x" is invalid: spec.a: Required value` and, with several,
 * `[first, second]`. Returns -1, or 0 when there are no causes.
 */
int status_invalid(struct status *s, const char *group, const char *kind, const char *name);

#endif
