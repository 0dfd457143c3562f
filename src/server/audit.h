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

struct arena;
struct audit;
struct buf;
struct json;
struct loop;
struct request;
struct route;
struct status;
struct user;
struct write_request;
struct write_result;

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

const struct audit_policy *audit_policy_of(const struct audit *a);
int audit_new(const struct audit_config *c, struct audit **ret, struct status *err);
void audit_free(struct audit *a); /* NULL-safe; writes what is waiting */

/* What is recorded of one request; in its arena. NULL in the request: nothing is. */
struct audit_record {
	struct audit_decision decision;
	const char *id;
	int64_t received_ns;
	/* What the connection said; it may be gone when the last stage is written. */
	const char *uri, *agent;
	struct json *sources; /* NULL: it came from this process */
	const struct user *user, *impersonated;
	const char *verdict, *reason; /* of authorization; NULL: it was not asked */
	struct json *request, *response;
	const char *name, *uid, *version; /* what an object that was sent calls itself; may be NULL */
	struct json *annotations;	  /* those of admission */
	int code;			  /* 0: no answer */
	const char *message, *status_reason;
};

/* Ids of requests to come. */
#define AUDIT_IDS_BLOCK 64
struct audit_ids {
	unsigned char bytes[AUDIT_IDS_BLOCK][16];
	size_t left;
};
/* First of all: the request's id, which the answer tells. */
void audit_choose_id(struct request *r);
/* Once its user is known (or was refused): decides, and records that it was received. */
void audit_received(struct request *r);
void audit_verdict(struct request *r, bool allowed, const char *reason);
void audit_request_object(struct request *r, const struct json *object); /* copied */
void audit_response_object(struct request *r, const struct json *object);
/* The object that takes annotations; NULL: nothing is recorded. */
struct json *audit_annotations(struct request *r);
bool audit_wants_response(const struct request *r);
void audit_stage(struct request *r, enum audit_stage stage);
void audit_emit(struct audit *a, const struct audit_record *record, const struct route *rt, enum audit_stage stage);

/*
 * audit_inside.c: writes of controllers and scheduler, which are no requests of the network. Their reads are not
 * recorded: they are looks at memory. All of it lives in arena. NULL: the policy does not record it.
 */
struct audit_inside;
struct audit_inside *audit_inside_begin(struct audit *a, struct arena *arena, const struct user *user,
					const char *agent, struct write_request *w);
void audit_inside_end(struct audit *a, struct audit_inside *i, const struct status *err,
		      const struct write_result *result); /* i may be NULL */

/* audit_event.c */
/* At any level: what was sent to be created or to replace another says which object it is. */
void audit_name_object(struct audit_record *record, const struct route *rt, const struct json *object);
struct json *audit_sources(struct request *r);
/* The line of one event, without newline. */
void audit_event_write(struct buf *out, const struct audit_record *record, const struct route *rt,
		       enum audit_stage stage, int64_t now_ns);

#endif
