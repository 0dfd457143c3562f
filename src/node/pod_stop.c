/* SPDX-License-Identifier: Apache-2.0 */
/* Ending containers: hooks, signals, grace periods; and what is learnt when one has ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/cri_log.h"
#include "node/hook.h"
#include "node/kubelet_internal.h"
#include "node/pod.h"
#include "node/probe.h"
#include "runtime/runtime.h"

#define STOP_MS_MIN 2000	    /* upstream: a container gets 2 s even when its hook took all the grace there was */
#define TERMINATION_BYTES_MAX 4096  /* upstream's MaxContainerTerminationMessageLength */
#define TERMINATION_LOG_BYTES 2048  /* MaxContainerTerminationMessageLogLength */
#define TERMINATION_LOG_LINES 80    /* MaxContainerTerminationMessageLogLines */
#define LOG_TAIL_BYTES (256u << 10) /* of the file: 80 lines of CRI's 16 KiB at most are cut to 2 KiB anyway */

/* ---- stopping ---- */

static void send_stop(struct pod_container *pc)
{
	struct pod *p = pc->pod;
	int64_t left = pc->stop_by_ms - monotonic_ms();

	if (pc->c.stage != STAGE_STOPPING || !pc->c.id)
		return;
	if (!pc->stop_sent && left < STOP_MS_MIN && left != 0 && pc->stop_by_ms != 0)
		left = STOP_MS_MIN;
	pc->stop_sent = true;
	runtime_container_stop(p->agent->runtime, p->uid, pc->c.id, pc->stop_signal, MAX_OF(left, 0), NULL, NULL);
}

void pod_container_stop(struct pod_container *pc, int64_t grace_ms, const char *message)
{
	struct pod *p = pc->pod;
	int64_t by = monotonic_ms() + grace_ms;

	if (pc->c.stage == STAGE_STOPPING) {
		if (by >= pc->stop_by_ms)
			return;
		pc->stop_by_ms = by; /* shorter than before */
		hook_cancel(pc);
		send_stop(pc);
		return;
	}
	if (pc->c.stage != STAGE_RUNNING)
		return;
	container_move(&pc->c, STAGE_STOPPING);
	pc->stop_by_ms = by;
	pc->stop_sent = false;
	hook_cancel(pc);
	if (message)
		pod_event(p, pc, "Normal", "Killing", "%s", message);
	else
		pod_event(p, pc, "Normal", "Killing", "Stopping container %s", pc->c.name);
	/* Readiness goes on while the pod ends (it may want to be taken out of Services); the others don't matter now.
	 */
	probes_stop(pc);
	if (grace_ms > 0 && hook_pre_stop(pc, grace_ms, send_stop))
		return;
	send_stop(pc);
}

void pod_stop_containers(struct pod *p)
{
	int64_t grace = MAX_OF(p->stop_by_ms - monotonic_ms(), 0);
	bool others = false, later = false;

	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];

		if (pc->c.kind == CONTAINER_SIDECAR || !container_is_alive(&pc->c))
			continue;
		others |= pc->c.kind != CONTAINER_EPHEMERAL;
		pod_container_stop(pc, grace, NULL);
	}
	/* Sidecars end after the containers they serve, the last one first, all within the pod's grace period. */
	for (size_t i = p->n_containers; i-- > 0;) {
		struct pod_container *pc = p->containers[i];

		if (pc->c.kind != CONTAINER_SIDECAR || !container_is_alive(&pc->c))
			continue;
		if ((others || later) && grace > 0)
			loop_timer_start(p->timer, grace); /* then all at once */
		else
			pod_container_stop(pc, grace, NULL);
		later = true;
	}
}

/* ---- what an end leaves ---- */

/* The text of the last lines of the container's log. */
static void read_log_end(const char *path, struct buf *out)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *data = NULL;
	struct stat st;
	size_t len, at;
	int64_t lines;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	len = MIN_OF((size_t)st.st_size, LOG_TAIL_BYTES);
	data = xmalloc(len + 1);
	n = pread(fd, data, len, st.st_size - (off_t)len);
	if (n <= 0)
		return;
	len = (size_t)n;
	at = cri_log_tail(data, len, TERMINATION_LOG_LINES, &lines);
	while (at < len) {
		const char *nl = memchr(data + at, '\n', len - at);
		size_t line = nl ? (size_t)(nl - data) - at : len - at;
		struct cri_log_line l;

		if (cri_log_parse(data + at, line, &l) == 0) {
			buf_add(out, l.text, l.text_len);
			if (!l.partial)
				buf_addc(out, '\n');
		}
		at += line + 1;
	}
	if (out->len > TERMINATION_LOG_BYTES)
		buf_consume(out, out->len - TERMINATION_LOG_BYTES);
}

static char *termination_message(struct pod_container *pc, int exit_code)
{
	_cleanup_close_ int fd =
	    pc->termination_path ? open(pc->termination_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	_cleanup_buf_ struct buf out = BUF_INIT;
	char text[TERMINATION_BYTES_MAX];
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

	if (n > 0)
		buf_add(&out, text, (size_t)n);
	if (out.len == 0 && exit_code != 0 && pc->fallback_to_logs && pc->log_path)
		read_log_end(pc->log_path, &out);
	if (out.len == 0)
		return NULL;
	/* Containers write bytes, the API takes UTF-8: what isn't is replaced. */
	if (!utf8_valid(out.data, out.len))
		for (size_t i = 0; i < out.len; i++)
			if ((unsigned char)out.data[i] >= 0x80)
				out.data[i] = '?';
	for (size_t i = 0; i < out.len; i++)
		if (out.data[i] == 0)
			out.data[i] = '?';
	return buf_steal(&out, NULL);
}

static const char *exit_reason(const struct container_status *st)
{
	if (st->oom_killed)
		return "OOMKilled";
	return st->exit_code == 0 ? "Completed" : "Error";
}

void pod_container_exited(struct pod_container *pc, const struct container_status *st)
{
	struct pod *p = pc->pod;

	if (!container_is_alive(&pc->c))
		return;
	probes_stop(pc);
	hook_cancel(pc);
	container_exit_release(&pc->c.exit);
	pc->c.exit = (struct container_exit){.valid = true,
					     .code = st->exit_code,
					     .signal = 0, /* upstream's runtimes leave it out, the code has it */
					     .reason = exit_reason(st),
					     .message = termination_message(pc, st->exit_code),
					     .id = xstrdup(st->id),
					     .started_ns = st->started_at_ns ? st->started_at_ns : pc->c.started_ns,
					     .finished_ns = st->finished_at_ns ? st->finished_at_ns : now_ns()};
	pc->c.exited_ms = monotonic_ms();
	pc->c.ready = pc->c.started = false;
	container_set_waiting(&pc->c, NULL, NULL);
	container_move(&pc->c, STAGE_EXITED);
	p->status_dirty = true;
	pod_record_save(p);
	kubelet_logs_wake(p->agent->api, p->uid);
	pod_wake(p);
}

void pod_container_free(struct pod_container *pc)
{
	probes_stop(pc);
	container_release(&pc->c);
	free(pc->image_ref);
	free(pc->termination_path);
	free(pc->log_path);
	free(pc);
}
