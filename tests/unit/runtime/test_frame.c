/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/frame.h"

static struct frame_conn a, b;

static int setup(void **state)
{
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	frame_conn_init(&a, pair[0]);
	frame_conn_init(&b, pair[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	frame_conn_release(&a);
	frame_conn_release(&b);
	return 0;
}

static void test_round_trip(void **state)
{
	struct frame f;
	int p[2];
	char c = 0;
	(void)state;
	assert_int_equal(frame_receive(&b, &f), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(frame_send(&a, FRAME_EXEC, 77, "{}", 2, &p[1], 1), 0);
	close(p[1]);
	assert_int_equal(frame_receive(&b, &f), 1);
	assert_int_equal(f.type, FRAME_EXEC);
	assert_int_equal(f.id, 77);
	assert_string_equal(f.body, "{}");
	assert_int_equal(f.n_fds, 1);
	assert_int_equal(write(f.fds[0], "x", 1), 1);
	frame_release(&f);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(read(p[0], &c, 1), 0); /* no descriptor is left open anywhere */
	close(p[0]);
}

static void test_large(void **state)
{
	struct frame f;
	size_t n = FRAME_BODY_MAX;
	char *body = xmalloc(n + 1);
	(void)state;
	memset(body, 'z', n + 1);
	assert_int_equal(frame_send(&a, FRAME_CREATE, 1, body, n + 1, NULL, 0), -EMSGSIZE);
	assert_int_equal(frame_send(&a, FRAME_CREATE, 1, body, n, &a.fd, 1), 0);
	assert_int_equal(frame_receive(&b, &f), 1);
	assert_int_equal(f.len, n);
	assert_memory_equal(f.body, body, n);
	assert_int_equal(f.n_fds, 1);
	frame_release(&f);
	free(body);
}

static void test_queue(void **state)
{
	struct frame f;
	int r = 0, sent = 0, got = 0;
	char body[1000];
	(void)state;
	memset(body, 'q', sizeof(body));
	while ((r = frame_send(&a, FRAME_CONTAINER, (uint64_t)sent, body, sizeof(body), NULL, 0)) == 0)
		sent++;
	assert_int_equal(r, -ENOBUFS);
	assert_true(frame_pending(&a));
	while (got < sent) {
		r = frame_receive(&b, &f);
		if (r == 0) {
			assert_int_equal(frame_flush(&a), 0);
			continue;
		}
		assert_int_equal(r, 1);
		assert_int_equal(f.id, got++);
		frame_release(&f);
	}
	assert_false(frame_pending(&a));
	frame_conn_release(&a);
	assert_int_equal(frame_receive(&b, &f), -EPIPE);
	assert_int_equal(frame_send(&b, FRAME_HELLO, 1, "", 0, NULL, 0), -EPIPE);
	assert_int_equal(frame_send(&a, FRAME_HELLO, 1, "", 0, NULL, 0), -EPIPE);
}

static void refused(const struct frame_header *h, size_t len, int fd)
{
	struct frame f;
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)h, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(a.fd, &m, 0), len);
	assert_int_equal(frame_receive(&b, &f), -EBADMSG);
}

/* A newer peer's request arrives, so that it can be answered. */
static void test_unknown_type(void **state)
{
	struct frame f;
	(void)state;
	assert_int_equal(frame_send(&a, FRAME_TYPE_LAST_1 + 7, 5, "{}", 2, NULL, 0), 0);
	assert_int_equal(frame_receive(&b, &f), 1);
	assert_int_equal(f.type, FRAME_TYPE_LAST_1 + 7);
	frame_release(&f);
	assert_false(frame_known(FRAME_TYPE_LAST_1 + 7, 1));
	assert_true(frame_known(FRAME_TYPE_LAST_1 + 7, 2) && frame_known(FRAME_ATTACH, 1));
}

static void test_hostile(void **state)
{
	struct frame_header good = {FRAME_MAGIC, FRAME_HELLO, 0, 1, 0, 0}, h;
	(void)state;
	refused(&good, 3, -1);
	h = good, h.magic = 1, refused(&h, sizeof(h), -1);
	h = good, h.type = 0, refused(&h, sizeof(h), -1);
	h = good, h.len = 5, refused(&h, sizeof(h), -1);
	h = good, h.n_fds = 1, refused(&h, sizeof(h), -1);
	h = good, h.in_memfd = 1, refused(&h, sizeof(h), -1);
	h = good, h.in_memfd = 2, refused(&h, sizeof(h), a.fd);
	refused(&good, sizeof(good), a.fd);
	/* A memfd that is not one, is not sealed, or is shorter than it says. */
	h = good, h.in_memfd = 1, h.len = 10, refused(&h, sizeof(h), a.fd);
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	refused(&h, sizeof(h), fd);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	h.len = 11;
	refused(&h, sizeof(h), fd);
	h.len = FRAME_BODY_MAX + 1;
	refused(&h, sizeof(h), fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_large, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_queue, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unknown_type, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
