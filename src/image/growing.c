/* SPDX-License-Identifier: Apache-2.0 */
#include "image/growing.h"

#include <errno.h>
#include <unistd.h>

#include "base/macros.h"
#include "image/image_internal.h"

void growing_init(struct growing *g, int fd, uint64_t have, uint64_t total)
{
	*g = (struct growing){.fd = fd, .have = have, .total = total};
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->more, NULL);
}

void growing_release(struct growing *g)
{
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->more);
}

int growing_error(struct growing *g)
{
	pthread_mutex_lock(&g->lock);
	int r = g->error;
	pthread_mutex_unlock(&g->lock);
	return r;
}

uint64_t growing_have(struct growing *g)
{
	pthread_mutex_lock(&g->lock);
	uint64_t n = g->have;
	pthread_mutex_unlock(&g->lock);
	return n;
}

void growing_fail(struct growing *g, int error)
{
	pthread_mutex_lock(&g->lock);
	if (!g->error)
		g->error = error;
	pthread_cond_broadcast(&g->more);
	pthread_mutex_unlock(&g->lock);
}

int growing_write(struct growing *g, const void *p, size_t len)
{
	uint64_t at = growing_have(g);
	int r = growing_error(g);

	if (r < 0)
		return r;
	if (len > g->total - at)
		return -EBADMSG;
	if (at % IMAGE_ROOM_STEP < len && (r = image_room(g->fd)) < 0)
		return r;
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(g->fd, (const char *)p + done, len - done, (off_t)(at + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	pthread_mutex_lock(&g->lock);
	g->have = at + len;
	pthread_cond_broadcast(&g->more);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

ssize_t growing_read(void *arg, void *p, size_t len)
{
	struct growing *g = arg;
	ssize_t n;

	pthread_mutex_lock(&g->lock);
	while (!g->error && g->at == g->have && g->have < g->total)
		pthread_cond_wait(&g->more, &g->lock);
	int r = g->error;
	uint64_t there = g->have - g->at;
	pthread_mutex_unlock(&g->lock);
	if (r < 0)
		return r;
	do
		n = pread(g->fd, p, MIN_OF((uint64_t)len, there), (off_t)g->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0 && there)
		return -EIO; /* somebody else cut the file */
	g->at += (uint64_t)n;
	return n;
}

void growing_abort(void *arg)
{
	growing_fail(arg, -ECANCELED);
}
