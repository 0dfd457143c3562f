/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/sync.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int send_step(int fd, const struct step *s)
{
	size_t len = offsetof(struct step, text) + strlen(s->text) + 1;
	return send(fd, s, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int step_send(int fd, int kind, int64_t value)
{
	struct step s = {.kind = kind, .value = value};
	return send_step(fd, &s);
}

void step_send_failure(int fd, int error)
{
	struct step s = {.kind = STEP_FAILED, .error = error};
	snprintf(s.text, sizeof(s.text), "%s", oci_error());
	(void)send_step(fd, &s);
}

int step_receive(int fd, struct step *ret)
{
	ssize_t n;
	do
		n = recv(fd, ret, sizeof(*ret), 0);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET)); /* told once, before what the other end still sent */
	if (n <= 0)
		return n == 0 ? 0 : -errno;
	if ((size_t)n <= offsetof(struct step, text))
		return -EPROTO;
	ret->text[(size_t)n - offsetof(struct step, text) - 1] = 0;
	return 1;
}

int step_wait(int fd, int64_t *ret_value)
{
	struct step s;
	int r = step_receive(fd, &s);
	if (r <= 0)
		return oci_fail(r, "whoever makes this container is gone");
	if (s.kind != STEP_GO)
		return oci_fail(0, "unexpected step %d", s.kind);
	if (ret_value)
		*ret_value = s.value;
	return 0;
}
