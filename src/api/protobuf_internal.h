/* SPDX-License-Identifier: Apache-2.0 */
/* The wire format (protobuf.dev, "Encoding"): varints, tags and length-delimited fields, read within bounds. */
#ifndef PROA_API_PROTOBUF_INTERNAL_H
#define PROA_API_PROTOBUF_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/protobuf.h"

struct field;

#define PROTOBUF_ENVELOPE "k8s" /* and the NUL after it */
#define PROTOBUF_ENVELOPE_LEN 4

enum wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_FIXED32 };

struct wire_reader {
	const uint8_t *p, *end;
};

/* One field: bytes for WIRE_BYTES, value for the numeric kinds. */
struct wire_field {
	uint32_t number;
	enum wire wire;
	uint64_t value;
	const uint8_t *bytes;
	size_t len;
};

static inline struct wire_reader wire_reader_of(const void *p, size_t len)
{
	const uint8_t *bytes = p;

	return (struct wire_reader){bytes, len ? bytes + len : bytes};
}
/* 1: f is set; 0: at the end; -EINVAL. Groups, which Kubernetes never used, are refused. */
int wire_next(struct wire_reader *r, struct wire_field *f);
int wire_varint(struct wire_reader *r, uint64_t *ret);

void wire_put_varint(struct buf *out, uint64_t v);
void wire_put_tag(struct buf *out, uint32_t number, enum wire wire);
void wire_put_bytes(struct buf *out, uint32_t number, const void *p, size_t len);
void wire_put_uint(struct buf *out, uint32_t number, uint64_t v);
/* A message of unknown length: begin, write its fields, end. */
size_t wire_begin(struct buf *out, uint32_t number);
void wire_end(struct buf *out, size_t begin);

/* RFC 3339, whole seconds or (micro) six decimals; -EINVAL outside the years 1 to 9999. */
#define PROTOBUF_TIME_MAX 40
int protobuf_time_format(int64_t seconds, int64_t nanos, bool micro, char out[PROTOBUF_TIME_MAX]);
int protobuf_time_parse(const char *s, int64_t *ret_seconds, int64_t *ret_nanos);

/* With the nesting so far; depth 0 is outermost. */
int protobuf_decode_at(struct arena *a, const void *p, size_t len, const struct type *type, int depth,
		       struct json **ret);
/* The message's fields become members of object. */
int protobuf_decode_into(struct arena *a, const void *p, size_t len, const struct type *t, int depth,
			 struct json *object);
int protobuf_decode_envelope_at(struct arena *a, const void *p, size_t len, const struct type *fallback, int depth,
				struct json **ret, const char **ret_why);
int protobuf_encode_at(const struct json *tree, const struct type *type, int depth, struct buf *out);

#endif
