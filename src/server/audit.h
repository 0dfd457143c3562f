/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: one line of JSON an event (audit.k8s.io/v1 Event) in a file. Lines are gathered in memory and written
 * by a worker thread, one batch at a time, so that a slow disk costs nobody a request; beyond AUDIT_PENDING_MAX of
 * waiting lines new ones are dropped, counted and told. The file is renamed with the time in its name when it is full.
 */
#ifndef PROA_SERVER_AUDIT_H
#define PROA_SERVER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/audit_policy.h"

struct audit;
struct buf;
struct json;
struct loop;
struct request;
struct status;
struct user;

#define AUDIT_PENDING_MAX (32u << 20)	      /* some ten thousand events: seconds of a busy server */
#define AUDIT_ID_MAX 64			      /* of one that a client gave, upstream's limit */
#define AUDIT_FILE_BYTES_DEFAULT (100u << 20) /* upstream's --audit-log-maxsize */

struct audit_config {
	struct loop *loop;
	const struct audit_policy *policy; /* borrowed */
	const char *path;		   /* copied; the directory must be writable for rotation */
	uint64_t file_bytes_max;	   /* 0: AUDIT_FILE_BYTES_DEFAULT */
	unsigned backups_max;		   /* rotated files that are kept; 0: all */
};

int audit_new(const struct audit_config *c, struct audit **ret, struct status *err);
void audit_free(struct audit *a); /* NULL-safe; writes what is waiting */

/* What is recorded of one request; in its arena. NULL in the request: nothing is. */
struct audit_record {
	struct audit_decision decision;
	char id[AUDIT_ID_MAX + 1];
	int64_t received_ns;
	/* What the connection said; it may be gone when the last stage is written. */
	const char *uri, *agent;
	struct json *sources;
	const struct user *user, *impersonated;
	const char *verdict, *reason; /* of authorization; NULL: it was not asked */
	struct json *request, *response;
	struct json *annotations; /* those of admission */
	int code;		  /* 0: no answer */
	const char *message, *status_reason;
};

/* Once its user is known (or was refused): decides, and records that it was received. */
void audit_received(struct request *r);
void audit_verdict(struct request *r, bool allowed, const char *reason);
void audit_request_object(struct request *r, const struct json *object); /* copied */
void audit_response_object(struct request *r, const struct json *object);
/* The object that takes annotations; NULL: nothing is recorded. */
struct json *audit_annotations(struct request *r);
bool audit_wants_response(const struct request *r);
void audit_stage(struct request *r, enum audit_stage stage);

/* audit_event.c */
struct json *audit_sources(struct request *r);
/* The line of one event, without newline. */
void audit_event_write(struct buf *out, const struct request *r, enum audit_stage stage, int64_t now_ns);

#endif
