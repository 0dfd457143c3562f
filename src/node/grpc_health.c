/* SPDX-License-Identifier: Apache-2.0 */
#include "node/grpc_health.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* RFC 9113 section 6 */
enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_RST_STREAM = 3, FRAME_SETTINGS = 4, FRAME_PING = 6, FRAME_GOAWAY = 7 };
#define FLAG_ACK 0x1
#define FLAG_END_STREAM 0x1
#define FLAG_END_HEADERS 0x4
#define FLAG_PADDED 0x8
#define FRAME_HEAD 9
#define STREAM 1
#define SERVING 1

void grpc_health_init(struct grpc_health *g)
{
	*g = (struct grpc_health){.result = GRPC_HEALTH_PENDING};
	buf_init(&g->in, FRAME_HEAD + GRPC_FRAME_MAX + 65536); /* one frame and one read of the stream */
	buf_init(&g->message, GRPC_MESSAGE_MAX);
}

void grpc_health_release(struct grpc_health *g)
{
	buf_release(&g->in);
	buf_release(&g->message);
}

static void frame(struct buf *out, int type, int flags, uint32_t stream, const void *p, size_t len)
{
	const unsigned char head[FRAME_HEAD] = {
	    (unsigned char)(len >> 16),	   (unsigned char)(len >> 8),	 (unsigned char)len,
	    (unsigned char)type,	   (unsigned char)flags,	 (unsigned char)(stream >> 24),
	    (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream};

	buf_add(out, head, sizeof(head));
	buf_add(out, p, len);
}

/* HPACK integer with a 7-bit prefix (RFC 7541 section 5.1), no Huffman. */
static void hpack_string(struct buf *out, const char *s)
{
	size_t n = strlen(s);

	if (n < 127) {
		buf_addc(out, (char)n);
	} else {
		buf_addc(out, 127);
		for (n -= 127; n >= 128; n >>= 7)
			buf_addc(out, (char)(n % 128 + 128));
		buf_addc(out, (char)n);
	}
	buf_adds(out, s);
}

static void header(struct buf *out, const char *name, const char *value)
{
	buf_addc(out, 0); /* literal without indexing, new name */
	hpack_string(out, name);
	hpack_string(out, value);
}

static void varint(struct buf *out, size_t n)
{
	for (; n >= 128; n >>= 7)
		buf_addc(out, (char)(n % 128 + 128));
	buf_addc(out, (char)n);
}

int grpc_health_request(struct buf *out, const char *authority, const char *service)
{
	_cleanup_(buf_release) struct buf headers = BUF_INIT, message = BUF_INIT, data = BUF_INIT;
	size_t n = strlen(service);

	if (n > GRPC_SERVICE_MAX || strlen(authority) > GRPC_SERVICE_MAX)
		return -E2BIG;
	buf_adds(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	frame(out, FRAME_SETTINGS, 0, 0, "", 0);
	header(&headers, ":method", "POST");
	header(&headers, ":scheme", "http");
	header(&headers, ":path", "/grpc.health.v1.Health/Check");
	header(&headers, ":authority", authority);
	header(&headers, "te", "trailers");
	header(&headers, "content-type", "application/grpc");
	header(&headers, "user-agent", "kube-probe/1.37");
	frame(out, FRAME_HEADERS, FLAG_END_HEADERS, STREAM, headers.data, headers.len);
	if (n) {
		buf_addc(&message, 1 << 3 | 2); /* HealthCheckRequest.service = 1, length-delimited */
		varint(&message, n);
		buf_add(&message, service, n);
	}
	buf_add(&data, "\0\0\0", 3); /* not compressed; length, big endian */
	buf_addc(&data, (char)(message.len >> 8));
	buf_addc(&data, (char)message.len);
	buf_add(&data, buf_str(&message), message.len);
	frame(out, FRAME_DATA, FLAG_END_STREAM, STREAM, data.data, data.len);
	return 0;
}

static void fail(struct grpc_health *g, const char *why)
{
	g->result = GRPC_HEALTH_FAILED;
	g->why = why;
}

/* HealthCheckResponse.status = 1, a varint; absent means UNKNOWN. */
static void judge(struct grpc_health *g)
{
	const unsigned char *p = (const unsigned char *)buf_str(&g->message);
	size_t len = g->message.len, size;
	uint64_t status = 0;

	if (len < 5) {
		fail(g, "the server's answer has no health status (is the service there?)");
		return;
	}
	size = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] != 0 || size > len - 5) {
		fail(g, "the server's answer is not a plain gRPC message");
		return;
	}
	if (size >= 2 && p[5] == (1 << 3 | 0))
		status = p[6];
	g->result = status == SERVING ? GRPC_HEALTH_SERVING : GRPC_HEALTH_NOT_SERVING;
}

static void on_data(struct grpc_health *g, int flags, const unsigned char *p, size_t len)
{
	size_t pad = 0;

	if (flags & FLAG_PADDED) {
		if (len < 1 || (size_t)p[0] + 1 > len) {
			fail(g, "malformed HTTP/2 frame");
			return;
		}
		pad = p[0];
		p++;
		len -= 1 + pad;
	}
	buf_add(&g->message, p, len);
	if (buf_failed(&g->message))
		fail(g, "the server's answer is too long");
}

static void on_frame(struct grpc_health *g, int type, int flags, uint32_t stream, const unsigned char *p, size_t len,
		     struct buf *out)
{
	if (type == FRAME_SETTINGS && !(flags & FLAG_ACK))
		frame(out, FRAME_SETTINGS, FLAG_ACK, 0, "", 0);
	else if (type == FRAME_PING && !(flags & FLAG_ACK) && len == 8)
		frame(out, FRAME_PING, FLAG_ACK, 0, p, len);
	else if (type == FRAME_GOAWAY)
		fail(g, "the server closed the connection (GOAWAY)");
	else if (type == FRAME_RST_STREAM && stream == STREAM)
		fail(g, "the server reset the stream");
	else if (type == FRAME_DATA && stream == STREAM)
		on_data(g, flags, p, len);
	if (g->result == GRPC_HEALTH_PENDING && stream == STREAM && (type == FRAME_DATA || type == FRAME_HEADERS) &&
	    (flags & FLAG_END_STREAM))
		judge(g);
}

enum grpc_health_result grpc_health_feed(struct grpc_health *g, const void *data, size_t len, struct buf *out)
{
	buf_add(&g->in, data, len);
	if (buf_failed(&g->in))
		fail(g, "HTTP/2 frame too large");
	while (g->result == GRPC_HEALTH_PENDING && g->in.len >= FRAME_HEAD) {
		const unsigned char *p = (const unsigned char *)g->in.data;
		size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
		uint32_t stream = (uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];

		if (n > GRPC_FRAME_MAX) {
			fail(g, "not an HTTP/2 server");
			break;
		}
		if (g->in.len < FRAME_HEAD + n)
			break;
		on_frame(g, p[3], p[4], stream, p + FRAME_HEAD, n, out);
		buf_consume(&g->in, FRAME_HEAD + n);
	}
	return g->result;
}
