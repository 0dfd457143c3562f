/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "api/protobuf_internal.h"
#include "base/buf.h"

#define VARINT_MAX 10		    /* bytes of a 64-bit varint */
#define LENGTH_ROOM 5		    /* bytes of a varint below 2^35, for lengths */
#define FIELD_NUMBER_MAX (1u << 29) /* protobuf's limit */

int wire_varint(struct wire_reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (int i = 0; i < VARINT_MAX && r->p < r->end; i++) {
		uint8_t byte = *r->p++;

		if (i == VARINT_MAX - 1 && byte > 1)
			return -EINVAL;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_fixed(struct wire_reader *r, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if ((size_t)(r->end - r->p) < n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	*ret = v;
	return 0;
}

int wire_next(struct wire_reader *r, struct wire_field *f)
{
	uint64_t tag, len;

	if (r->p == r->end)
		return 0;
	if (wire_varint(r, &tag) < 0 || tag >> 3 == 0 || tag >> 3 >= FIELD_NUMBER_MAX)
		return -EINVAL;
	*f = (struct wire_field){.number = (uint32_t)(tag >> 3), .wire = (enum wire)(tag & 7)};
	switch (f->wire) {
	case WIRE_VARINT:
		return wire_varint(r, &f->value) < 0 ? -EINVAL : 1;
	case WIRE_FIXED64:
		return read_fixed(r, 8, &f->value) < 0 ? -EINVAL : 1;
	case WIRE_FIXED32:
		return read_fixed(r, 4, &f->value) < 0 ? -EINVAL : 1;
	case WIRE_BYTES:
		if (wire_varint(r, &len) < 0 || len > (uint64_t)(r->end - r->p))
			return -EINVAL;
		f->bytes = r->p;
		f->len = (size_t)len;
		r->p += len;
		return 1;
	default:
		return -EINVAL;
	}
}

static size_t put_varint(uint8_t *to, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	return n;
}

void wire_put_varint(struct buf *out, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];

	buf_add(out, bytes, put_varint(bytes, v));
}

void wire_put_tag(struct buf *out, uint32_t number, enum wire wire)
{
	wire_put_varint(out, (uint64_t)number << 3 | wire);
}

void wire_put_bytes(struct buf *out, uint32_t number, const void *p, size_t len)
{
	wire_put_tag(out, number, WIRE_BYTES);
	wire_put_varint(out, len);
	buf_add(out, p, len);
}

void wire_put_uint(struct buf *out, uint32_t number, uint64_t v)
{
	wire_put_tag(out, number, WIRE_VARINT);
	wire_put_varint(out, v);
}

/* Leaves room for the length, which is known at the end only. */
size_t wire_begin(struct buf *out, uint32_t number)
{
	static const uint8_t room[LENGTH_ROOM];

	wire_put_tag(out, number, WIRE_BYTES);
	buf_add(out, room, sizeof(room));
	return out->len;
}

void wire_end(struct buf *out, size_t begin)
{
	uint8_t length[VARINT_MAX];
	size_t len, n;

	if (buf_failed(out))
		return;
	len = out->len - begin;
	n = put_varint(length, len);
	memcpy(out->data + begin - LENGTH_ROOM, length, n);
	memmove(out->data + begin - LENGTH_ROOM + n, out->data + begin, len);
	out->len -= LENGTH_ROOM - n;
	out->data[out->len] = '\0';
}
