/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of grpc.health.v1.Health/Check over plain HTTP/2 with prior knowledge, as a protocol engine: bytes in, bytes
 * out. It knows as much of RFC 9113 as one request on one stream needs: header blocks of the answer are not decoded,
 * because only a message with status SERVING counts and everything else is a failure.
 */
#ifndef PROA_NODE_GRPC_HEALTH_H
#define PROA_NODE_GRPC_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define GRPC_FRAME_MAX 16384  /* SETTINGS_MAX_FRAME_SIZE that we leave at its default */
#define GRPC_MESSAGE_MAX 4096 /* a health answer has a few bytes */
#define GRPC_SERVICE_MAX 1024 /* service name in the request; upstream's API has no bound of its own */

enum grpc_health_result { GRPC_HEALTH_PENDING, GRPC_HEALTH_SERVING, GRPC_HEALTH_NOT_SERVING, GRPC_HEALTH_FAILED };

struct grpc_health {
	struct buf in;	    /* not yet complete frame */
	struct buf message; /* DATA of the stream */
	enum grpc_health_result result;
	const char *why; /* of a failure; static */
};

void grpc_health_init(struct grpc_health *g);
void grpc_health_release(struct grpc_health *g);
/* The whole request: preface, settings, headers, message. service may be "". -E2BIG. */
int grpc_health_request(struct buf *out, const char *authority, const char *service);
/* Bytes from the server; what has to be answered (acknowledgements) is added to out. */
enum grpc_health_result grpc_health_feed(struct grpc_health *g, const void *p, size_t len, struct buf *out);

#endif
