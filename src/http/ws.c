/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket engine (RFC 6455, 5 to 8). */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/websocket.h"

#define CONTROL_MAX 125
#define HEAD_MAX 14
#define MESSAGE_KEEP (64 * 1024) /* a bigger message buffer is given back after use */

enum opcode { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct ws {
	struct ws_events ev;
	void *arg;
	bool server;
	size_t max;

	unsigned char head[HEAD_MAX]; /* of the frame being received */
	size_t head_len, head_need;
	bool in_payload, fin;
	enum opcode opcode;
	uint64_t left; /* of the payload */
	unsigned char mask[4];
	size_t mask_at;

	bool in_message, text; /* a fragmented message is open */
	struct buf message;
	char control[CONTROL_MAX + 1];
	size_t control_len;

	bool close_sent, close_received, over;
	unsigned busy;
	bool freed;
};

struct ws *ws_new(bool server, size_t message_bytes_max, const struct ws_events *ev, void *arg)
{
	struct ws *w = NEW(struct ws);
	w->ev = *ev;
	w->arg = arg;
	w->server = server;
	w->max = message_bytes_max ? message_bytes_max : WS_MESSAGE_BYTES_MAX;
	w->head_need = 2;
	return w;
}

static void really_free(struct ws *w)
{
	buf_release(&w->message);
	free(w);
}

void ws_free(struct ws *w)
{
	if (!w)
		return;
	w->freed = w->over = true;
	if (!w->busy)
		really_free(w);
}

bool ws_close_sent(const struct ws *w)
{
	return w->close_sent;
}
bool ws_close_received(const struct ws *w)
{
	return w->close_received;
}

/* ---- sending ---- */

static void apply_mask(char *p, size_t len, const unsigned char mask[4], size_t at)
{
	for (size_t i = 0; i < len; i++)
		p[i] ^= (char)mask[(at + i) & 3];
}

static void send_frame(struct ws *w, enum opcode op, const void *prefix, size_t prefix_len, const void *p, size_t len)
{
	unsigned char head[HEAD_MAX];
	size_t total = prefix_len + len, n = 2;

	head[0] = (unsigned char)(0x80 | op);
	if (total < 126) {
		head[1] = (unsigned char)total;
	} else if (total <= UINT16_MAX) {
		head[1] = 126;
		head[n++] = (unsigned char)(total >> 8);
		head[n++] = (unsigned char)total;
	} else {
		head[1] = 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			head[n++] = (unsigned char)((uint64_t)total >> shift);
	}
	if (w->server) {
		w->ev.on_send(w->arg, head, n);
		if (prefix_len)
			w->ev.on_send(w->arg, prefix, prefix_len);
		if (len)
			w->ev.on_send(w->arg, p, len);
		return;
	}
	/* A client masks, so that no middlebox takes our bytes for a request (RFC 6455, 10.3). */
	_cleanup_buf_ struct buf masked = BUF_INIT;
	unsigned char mask[4];
	env->random(mask, sizeof(mask));
	head[1] |= 0x80;
	memcpy(head + n, mask, 4);
	buf_add(&masked, head, n + 4);
	buf_add(&masked, prefix, prefix_len);
	buf_add(&masked, p, len);
	apply_mask(masked.data + n + 4, total, mask, 0);
	w->ev.on_send(w->arg, masked.data, masked.len);
}

void ws_send(struct ws *w, bool text, const void *prefix, size_t prefix_len, const void *p, size_t len)
{
	if (!w->close_sent)
		send_frame(w, text ? OP_TEXT : OP_BINARY, prefix, prefix_len, p, len);
}

void ws_ping(struct ws *w, const void *p, size_t len)
{
	if (!w->close_sent)
		send_frame(w, OP_PING, NULL, 0, p, MIN_OF(len, (size_t)CONTROL_MAX));
}

static void send_close(struct ws *w, int code, const char *reason, size_t len)
{
	unsigned char status[2] = {(unsigned char)(code >> 8), (unsigned char)code};
	bool none = code == WS_NO_CODE || code == WS_ABNORMAL;

	if (w->close_sent)
		return;
	w->close_sent = true;
	len = MIN_OF(len, (size_t)CONTROL_MAX - 2);
	while (len && !utf8_valid(reason, len)) /* cut within a character */
		len--;
	send_frame(w, OP_CLOSE, status, none ? 0 : 2, reason, none ? 0 : len);
}

void ws_close(struct ws *w, int code, const char *reason)
{
	send_close(w, code, str_or(reason, ""), strlen(str_or(reason, "")));
}

/* ---- receiving ---- */

static void closed(struct ws *w, int code, const char *reason, size_t len)
{
	w->over = true;
	if (w->ev.on_close)
		w->ev.on_close(w->arg, code, reason, len);
}

static void fail(struct ws *w, int code, const char *reason)
{
	send_close(w, code, reason, strlen(reason));
	closed(w, code, reason, strlen(reason));
}

static bool valid_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static void close_frame(struct ws *w)
{
	const unsigned char *p = (const unsigned char *)w->control;
	int code = WS_NO_CODE;

	if (w->control_len == 1) {
		fail(w, WS_PROTOCOL_ERROR, "truncated close code");
		return;
	}
	if (w->control_len) {
		code = p[0] << 8 | p[1];
		if (!valid_code((unsigned)code)) {
			fail(w, WS_PROTOCOL_ERROR, "invalid close code");
			return;
		}
		if (!utf8_valid(w->control + 2, w->control_len - 2)) {
			fail(w, WS_INVALID_DATA, "close reason is not UTF-8");
			return;
		}
	}
	w->close_received = true;
	send_close(w, code, "", 0);
	closed(w, code, w->control_len ? w->control + 2 : w->control, w->control_len ? w->control_len - 2 : 0);
}

static void control_frame(struct ws *w)
{
	w->control[w->control_len] = 0;
	if (w->opcode == OP_CLOSE)
		close_frame(w);
	else if (w->opcode == OP_PING && !w->close_sent)
		send_frame(w, OP_PONG, NULL, 0, w->control, w->control_len);
	else if (w->opcode == OP_PONG && w->ev.on_pong)
		w->ev.on_pong(w->arg, w->control, w->control_len);
}

static void data_frame(struct ws *w)
{
	w->in_message = !w->fin;
	if (!w->fin)
		return;
	if (w->text && !utf8_valid(buf_str(&w->message), w->message.len)) {
		fail(w, WS_INVALID_DATA, "text is not UTF-8");
		return;
	}
	struct buf m = w->message; /* the owner may free us */
	w->message = (struct buf)BUF_INIT;
	if (w->ev.on_message)
		w->ev.on_message(w->arg, w->text, buf_str(&m), m.len);
	if (w->freed || m.cap > MESSAGE_KEEP || w->message.cap) {
		buf_release(&m);
	} else {
		buf_clear(&m);
		w->message = m;
	}
}

static void frame_end(struct ws *w)
{
	w->in_payload = false;
	w->head_len = 0;
	w->head_need = 2;
	if (w->opcode & 8)
		control_frame(w);
	else
		data_frame(w);
}

/* The first two bytes: what may follow and how long the head is. NULL or why not. */
static const char *check_start(struct ws *w)
{
	unsigned char a = w->head[0], b = w->head[1];
	unsigned op = a & 15, len = b & 127;

	if (a & 0x70)
		return "reserved bits are set";
	if (op > OP_PONG || (op > OP_BINARY && op < OP_CLOSE))
		return "unknown opcode";
	if (!!(b & 0x80) != w->server)
		return w->server ? "frames of a client must be masked" : "frames of a server must not be masked";
	if ((op & 8) && (!(a & 0x80) || len > CONTROL_MAX))
		return "control frame is fragmented or too long";
	if (op == OP_CONTINUATION && !w->in_message)
		return "continuation of nothing";
	if ((op == OP_TEXT || op == OP_BINARY) && w->in_message)
		return "message begins within another";
	w->fin = a & 0x80;
	w->opcode = (enum opcode)op;
	w->head_need = 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + (w->server ? 4 : 0);
	return NULL;
}

/* The whole head. */
static void frame_start(struct ws *w)
{
	unsigned len = w->head[1] & 127;
	size_t bytes = len == 126 ? 2 : len == 127 ? 8 : 0;

	w->left = len;
	if (bytes) {
		w->left = 0;
		for (size_t i = 0; i < bytes; i++)
			w->left = w->left << 8 | w->head[2 + i];
		if (w->left < (bytes == 2 ? 126u : 65536u) || w->left >> 63) {
			fail(w, WS_PROTOCOL_ERROR, "length is not in its shortest form");
			return;
		}
	}
	if (w->server)
		memcpy(w->mask, w->head + 2 + bytes, 4);
	w->mask_at = 0;
	if (w->opcode & 8) {
		w->control_len = 0;
	} else {
		if (w->opcode != OP_CONTINUATION) {
			w->text = w->opcode == OP_TEXT;
			buf_clear(&w->message);
		}
		if (w->left > w->max - w->message.len) {
			fail(w, WS_TOO_BIG, "message is too big");
			return;
		}
	}
	w->in_payload = true;
	if (!w->left)
		frame_end(w);
}

static size_t payload(struct ws *w, const char *p, size_t len)
{
	size_t n = (size_t)MIN_OF((uint64_t)len, w->left);
	char *to;

	if (w->opcode & 8) {
		to = w->control + w->control_len;
		memcpy(to, p, n);
		w->control_len += n;
	} else {
		buf_add(&w->message, p, n);
		to = w->message.data + w->message.len - n;
	}
	if (w->server)
		apply_mask(to, n, w->mask, w->mask_at);
	w->mask_at = (w->mask_at + n) & 3;
	w->left -= n;
	if (!w->left)
		frame_end(w);
	return n;
}

static size_t head(struct ws *w, const char *p, size_t len)
{
	size_t n = MIN_OF(len, w->head_need - w->head_len);

	memcpy(w->head + w->head_len, p, n);
	w->head_len += n;
	if (w->head_len < w->head_need)
		return n;
	if (w->head_need == 2) {
		const char *why = check_start(w);
		if (why) {
			fail(w, WS_PROTOCOL_ERROR, why);
			return n;
		}
	}
	if (w->head_len == w->head_need)
		frame_start(w);
	return n;
}

void ws_input(struct ws *w, const char *p, size_t len)
{
	w->busy++;
	while (len && !w->over) {
		size_t n = w->in_payload ? payload(w, p, len) : head(w, p, len);
		p += n;
		len -= n;
	}
	if (--w->busy == 0 && w->freed)
		really_free(w);
}

void ws_accept_key(const char *key, struct buf *out)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
	_cleanup_free_ char *text = xasprintf("%s%s", key, guid);
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1((const unsigned char *)text, strlen(text), digest);
	base64_encode(out, digest, sizeof(digest));
}
