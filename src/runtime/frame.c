/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

struct queued {
	struct list link;
	int *fds;
	int n_fds;
	size_t len;
	char packet[];
};

void frame_conn_init(struct frame_conn *c, int fd)
{
	c->fd = fd;
	c->queued = 0;
	list_init(&c->queue);
}

static void queued_free(struct frame_conn *c, struct queued *q)
{
	list_remove(&q->link);
	c->queued--;
	for (int i = 0; i < q->n_fds; i++)
		close(q->fds[i]);
	free(q->fds);
	free(q);
}

void frame_conn_release(struct frame_conn *c)
{
	LIST_EACH_SAFE(l, &c->queue)
		queued_free(c, LIST_ENTRY(l, struct queued, link));
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int send_packet(int fd, const struct iovec *iov, int n_iov, const int *fds, int n_fds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * (FRAME_FDS_MAX + 1))];
		struct cmsghdr align;
	} control;
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n_iov};
	if (n_fds) {
		memset(&control, 0, CMSG_SPACE(sizeof(int) * (size_t)n_fds));
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n_fds);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int enqueue(struct frame_conn *c, const struct iovec *iov, int n_iov, const int *fds, int n_fds)
{
	if (c->queued == FRAME_QUEUE_MAX)
		return -ENOBUFS;
	size_t len = 0;
	for (int i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	struct queued *q = xcalloc(1, sizeof(*q) + len);
	for (int i = 0; i < n_iov; i++) {
		memcpy(q->packet + q->len, iov[i].iov_base, iov[i].iov_len);
		q->len += iov[i].iov_len;
	}
	list_add_tail(&c->queue, &q->link);
	c->queued++;
	q->fds = xcalloc((size_t)n_fds + 1, sizeof(int));
	for (int i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fd < 0) {
			int r = -errno;
			queued_free(c, q);
			return r;
		}
		q->fds[q->n_fds++] = fd;
	}
	return 0;
}

int frame_send(struct frame_conn *c, int type, uint64_t id, const char *body, size_t len, const int *fds, int n_fds)
{
	if (c->fd < 0)
		return -EPIPE;
	if (len > FRAME_BODY_MAX || n_fds > FRAME_FDS_MAX)
		return -EMSGSIZE;
	struct frame_header h = {FRAME_MAGIC, (uint16_t)type, (uint16_t)n_fds, id, (uint32_t)len, 0};
	struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)body, len}};
	int all[FRAME_FDS_MAX + 1], n_all = n_fds, r;
	_cleanup_close_ int memfd = -1;
	if (n_fds)
		memcpy(all, fds, sizeof(int) * (size_t)n_fds);
	if (len > FRAME_INLINE_MAX) {
		memfd = memfd_create("proa-frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (memfd < 0)
			return -errno;
		r = fs_write_all(memfd, body, len);
		if (r < 0)
			return r;
		/* Sealed, so that the receiver need not fear it changing under its eyes. */
		if (fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
			return -errno;
		all[n_all++] = memfd;
		h.in_memfd = 1;
		iov[1].iov_len = 0;
	}
	r = frame_pending(c) ? -EAGAIN : send_packet(c->fd, iov, 2, all, n_all);
	return r == -EAGAIN ? enqueue(c, iov, 2, all, n_all) : r;
}

int frame_flush(struct frame_conn *c)
{
	LIST_EACH_SAFE(l, &c->queue) {
		struct queued *q = LIST_ENTRY(l, struct queued, link);
		struct iovec iov = {q->packet, q->len};
		int r = send_packet(c->fd, &iov, 1, q->fds, q->n_fds);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		queued_free(c, q);
	}
	return 0;
}

bool frame_known(int type, int protocol)
{
	return protocol > 1 || type <= FRAME_TYPE_LAST_1;
}

int frame_check(const struct frame_header *h, size_t len, int n_fds)
{
	if (len < sizeof(*h) || h->magic != FRAME_MAGIC || !h->type)
		return -EBADMSG;
	if (h->in_memfd > 1 || h->n_fds > FRAME_FDS_MAX || h->n_fds + (int)h->in_memfd != n_fds)
		return -EBADMSG;
	if (h->len > FRAME_BODY_MAX || (h->in_memfd ? len != sizeof(*h) : len != sizeof(*h) + h->len))
		return -EBADMSG;
	return 0;
}

static int read_memfd(int fd, struct frame *f)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_WRITE) || !(seals & F_SEAL_SHRINK))
		return -EBADMSG;
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)f->len)
		return -EBADMSG;
	for (size_t at = 0; at < f->len;) {
		ssize_t n = pread(fd, f->body + at, f->len - at, (off_t)at);
		if (n <= 0)
			return -EBADMSG;
		at += (size_t)n;
	}
	return 0;
}

int frame_receive(struct frame_conn *c, struct frame *ret)
{
	struct frame_header h = {0};
	char body[FRAME_INLINE_MAX];
	union {
		char space[CMSG_SPACE(sizeof(int) * (FRAME_FDS_MAX + 1))];
		struct cmsghdr align;
	} control;
	struct iovec iov[2] = {{&h, sizeof(h)}, {body, sizeof(body)}};
	struct msghdr m = {
	    .msg_iov = iov, .msg_iovlen = 2, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t n;
	do
		n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	int fds[FRAME_FDS_MAX + 1], n_fds = 0;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm; cm = CMSG_NXTHDR(&m, cm))
		if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
			int got = (int)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			for (int i = 0; i < got && n_fds <= FRAME_FDS_MAX; i++)
				memcpy(&fds[n_fds++], CMSG_DATA(cm) + sizeof(int) * (size_t)i, sizeof(int));
		}
	int r = m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EBADMSG : frame_check(&h, (size_t)n, n_fds);
	struct frame f = {.type = h.type, .id = h.id, .len = h.len};
	if (r == 0) {
		f.body = xmalloc(f.len + 1);
		f.body[f.len] = 0;
		if (h.in_memfd)
			r = read_memfd(fds[--n_fds], &f);
		else
			memcpy(f.body, body, f.len);
		if (h.in_memfd)
			close(fds[n_fds]);
	}
	if (r < 0) {
		while (n_fds)
			close(fds[--n_fds]);
		free(f.body);
		return r;
	}
	memcpy(f.fds, fds, sizeof(int) * (size_t)n_fds);
	f.n_fds = n_fds;
	*ret = f;
	return 1;
}

void frame_release(struct frame *f)
{
	for (int i = 0; i < f->n_fds; i++)
		if (f->fds[i] >= 0)
			close(f->fds[i]);
	free(f->body);
	f->body = NULL;
	f->n_fds = 0;
}
