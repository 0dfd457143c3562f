/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that one thread writes while another reads behind it: a layer is unpacked while it arrives. The writer may
 * break off and go on; the reader waits.
 */
#ifndef PROA_IMAGE_GROWING_H
#define PROA_IMAGE_GROWING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct growing {
	int fd;		/* the caller's */
	uint64_t total; /* bytes that there will be */
	pthread_mutex_t lock;
	pthread_cond_t more;
	uint64_t have; /* written so far */
	uint64_t at;   /* the reader's */
	int error;     /* the writer gave up, or the reader did: negative errno */
};

void growing_init(struct growing *g, int fd, uint64_t have, uint64_t total);
void growing_release(struct growing *g);
int growing_write(struct growing *g, const void *p,
		  size_t len); /* -EBADMSG beyond total; the error once there is one */
void growing_fail(struct growing *g, int error);
uint64_t growing_have(struct growing *g);
int growing_error(struct growing *g);
/* For struct image_source. */
ssize_t growing_read(void *arg, void *p, size_t len);
void growing_abort(void *arg);

#endif
