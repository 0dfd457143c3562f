/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "oci/error.h"
#include "oci/pass.h"

#define ANSWER_WAIT_MS 25000 /* what D-Bus libraries wait for an answer */
#define HEADER_FIXED 16	     /* up to and with the length of the fields */

enum { CALL = 1, REPLY = 2, ERROR = 3, SIGNAL = 4 };
enum { PATH = 1, INTERFACE = 2, MEMBER = 3, ERROR_NAME = 4, REPLY_SERIAL = 5, DESTINATION = 6, SIGNATURE = 8 };

/* ---- writing ---- */

void bus_align(struct buf *b, unsigned alignment)
{
	while (b->len % alignment && !buf_failed(b))
		buf_addc(b, 0);
}

void bus_put_u32(struct buf *b, uint32_t v)
{
	bus_align(b, 4);
	buf_add(b, &v, sizeof(v));
}

void bus_put_u64(struct buf *b, uint64_t v)
{
	bus_align(b, 8);
	buf_add(b, &v, sizeof(v));
}

void bus_put_string(struct buf *b, const char *s)
{
	bus_put_u32(b, (uint32_t)strlen(s));
	buf_add(b, s, strlen(s) + 1);
}

void bus_put_signature(struct buf *b, const char *s)
{
	buf_addc(b, (char)strlen(s));
	buf_add(b, s, strlen(s) + 1);
}

size_t bus_begin_array(struct buf *b, unsigned alignment)
{
	bus_put_u32(b, 0);
	size_t begun = b->len;
	bus_align(b, alignment);
	return begun;
}

void bus_end_array(struct buf *b, size_t begun, unsigned alignment)
{
	size_t first = (begun + alignment - 1) / alignment * alignment;
	uint32_t n = (uint32_t)(b->len - first);
	if (!buf_failed(b))
		memcpy(b->data + begun - sizeof(n), &n, sizeof(n));
}

static void put_field(struct buf *b, int code, const char *type, const char *value)
{
	if (!value)
		return;
	bus_align(b, 8);
	buf_addc(b, (char)code);
	bus_put_signature(b, type);
	if (*type == 'g')
		bus_put_signature(b, value);
	else
		bus_put_string(b, value);
}

/* ---- reading ---- */

static int64_t monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whatever has come, at least a byte. */
static ssize_t read_some(int fd, char *to, size_t max, int64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left = until_ms - monotonic_ms();
	int r;
	do
		r = poll(&p, 1, left > 0 ? (int)left : 0);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	ssize_t n = read(fd, to, max);
	return n < 0 ? -errno : n ? n : -ECONNRESET;
}

static int read_all(int fd, void *to, size_t n, int64_t until_ms)
{
	for (char *at = to; n;) {
		ssize_t got = read_some(fd, at, n, until_ms);
		if (got < 0)
			return (int)got;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static uint32_t u32_at(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* A field of the header at *at: what of it is wanted. False: it is cut off, or of a type that no field has. */
static bool read_field(const char *data, size_t len, size_t *at, struct bus_message *m)
{
	size_t i = (*at + 7) / 8 * 8;
	if (i + 4 > len || data[i + 1] != 1 || data[i + 3])
		return false;
	int code = data[i];
	char type = data[i + 2];
	i += 4;
	if (type == 'g') {
		size_t n = i < len ? (unsigned char)data[i] : len;
		*at = i + n + 2;
		return *at <= len;
	}
	if (!strchr("sou", type) || i + 4 > len)
		return false;
	uint32_t n = u32_at(data + i);
	*at = i + 4;
	if (type == 'u') {
		if (code == REPLY_SERIAL)
			m->reply_to = n;
		return true;
	}
	if (n >= len - *at || data[*at + n])
		return false;
	if (code == MEMBER)
		snprintf(m->member, sizeof(m->member), "%s", data + *at);
	if (code == ERROR_NAME)
		snprintf(m->error, sizeof(m->error), "%s", data + *at);
	*at += n + 1;
	return true;
}

int bus_next(struct bus *bus, int64_t until_ms, struct bus_message *ret)
{
	char head[HEADER_FIXED];
	struct bus_message m = {0};
	int r = read_all(bus->fd, head, sizeof(head), until_ms);
	if (r < 0)
		return r;
	size_t body = u32_at(head + 4), fields = u32_at(head + 12);
	if (head[0] != 'l' || body > BUS_MESSAGE_MAX || fields > BUS_MESSAGE_MAX)
		return -EBADMSG;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t padded = (fields + 7) / 8 * 8;
	char *data = buf_reserve(&b, padded + 1);
	r = read_all(bus->fd, data, padded, until_ms);
	m.type = (uint8_t)head[1];
	for (size_t at = 0; r == 0 && at < fields;)
		if (!read_field(data, fields, &at, &m))
			return -EBADMSG;
	buf_init(&m.body, 0);
	char *to = r == 0 ? buf_reserve(&m.body, body + 1) : NULL;
	if (r == 0)
		r = read_all(bus->fd, to, body, until_ms);
	if (r < 0) {
		buf_release(&m.body);
		return r;
	}
	m.body.len = body;
	to[body] = 0;
	*ret = m;
	return 0;
}

const char *bus_string(const struct bus_message *m, size_t skip, unsigned n)
{
	size_t at = skip;
	for (;; n--) {
		at = (at + 3) / 4 * 4;
		if (at + 4 > m->body.len)
			return NULL;
		uint32_t len = u32_at(m->body.data + at);
		at += 4;
		if (len >= m->body.len - at || m->body.data[at + len])
			return NULL;
		if (!n)
			return m->body.data + at;
		at += len + 1;
	}
}

void bus_message_release(struct bus_message *m)
{
	buf_release(&m->body);
}

/* ---- the connection ---- */

static int send_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return -errno;
		data += sent > 0 ? sent : 0;
		n -= sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

/*
 * Who we are the other side sees by itself: in a user namespace we would not know. All at once: systemd may read what
 * follows BEGIN together with it, and then looks at that only when more comes.
 */
static int authenticate(int fd)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	char said[512] = "";
	int64_t until = monotonic_ms() + ANSWER_WAIT_MS;
	int r = send_all(fd, hello, sizeof(hello) - 1);
	/* "DATA", "OK …", each with an end of line; nothing after that before we call. */
	for (size_t n = 0; r == 0;) {
		ssize_t got = n + 1 < sizeof(said) ? read_some(fd, said + n, sizeof(said) - 1 - n, until) : -EBADMSG;
		if (got < 0)
			return (int)got;
		n += (size_t)got;
		const char *ok = strstr(said, "OK ");
		if (strstr(said, "REJECTED") || strstr(said, "ERROR"))
			r = -EACCES;
		else if (ok && strchr(ok, '\n'))
			break;
	}
	return r;
}

int bus_connect(struct bus *bus, const char *path, bool direct)
{
	bus->fd = pass_connect("bus", path);
	if (bus->fd < 0)
		return bus->fd;
	int r = authenticate(bus->fd);
	if (r < 0) {
		bus_close(bus);
		return oci_fail(r, "connecting to bus %s", path);
	}
	bus->direct = direct;
	static const char name[] = "org.freedesktop.DBus";
	struct bus_call call = {name, "/org/freedesktop/DBus", name, "Hello", NULL};
	struct buf none = BUF_INIT;
	return direct ? 0 : bus_call(bus, &call, &none, NULL);
}

void bus_close(struct bus *bus)
{
	if (bus->fd >= 0)
		close(bus->fd);
	bus->fd = -1;
}

static int send_call(struct bus *bus, const struct bus_call *c, const struct buf *body)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_add(&b, "l\1\0\1", 4);
	bus_put_u32(&b, (uint32_t)body->len);
	bus_put_u32(&b, ++bus->serial);
	size_t fields = bus_begin_array(&b, 8);
	put_field(&b, PATH, "o", c->path);
	put_field(&b, INTERFACE, "s", c->interface);
	put_field(&b, MEMBER, "s", c->member);
	put_field(&b, DESTINATION, "s", c->destination);
	put_field(&b, SIGNATURE, "g", c->signature);
	bus_end_array(&b, fields, 8);
	bus_align(&b, 8);
	buf_add(&b, body->data, body->len);
	return send_all(bus->fd, b.data, b.len);
}

int bus_call(struct bus *bus, const struct bus_call *call, const struct buf *body, struct bus_message *ret)
{
	int64_t until = monotonic_ms() + ANSWER_WAIT_MS;
	int r = send_call(bus, call, body);
	while (r == 0) {
		struct bus_message m;
		r = bus_next(bus, until, &m);
		if (r < 0)
			break;
		bool ours = m.reply_to == bus->serial && (m.type == REPLY || m.type == ERROR);
		if (ours && m.type == ERROR)
			r = oci_fail(strstr(m.error, "NoSuchUnit") ? -ENOENT : 0, "%s: %s: %s", call->member, m.error,
				     str_or(bus_string(&m, 0, 0), ""));
		if (ours && r == 0 && ret)
			*ret = m;
		else
			bus_message_release(&m);
		if (ours)
			return r;
	}
	return oci_fail(r, "calling %s of %s", call->member, call->destination);
}
