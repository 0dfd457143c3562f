/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees of a transfer: on a terminal a bar for each blob, drawn again when it has grown visibly; elsewhere
 * a line when something begins or ends. To standard error, so that standard output is the result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "cmd/image_internal.h"
#include "image/pull.h"

#define BAR 30
#define DRAW_MS 100 /* more often is only flicker */

struct line {
	char hex[13];
	enum image_step step;
	uint64_t done, total;
};

struct image_progress {
	bool terminal;
	size_t drawn; /* lines on the screen */
	int64_t drawn_ms;
	VEC(struct line) lines;
};

static const char *const words[] = {
    [IMAGE_STEP_RESOLVING] = "Resolving", [IMAGE_STEP_WAITING] = "Waiting", [IMAGE_STEP_MOVING] = "Transferring",
    [IMAGE_STEP_RETRYING] = "Retrying",	  [IMAGE_STEP_EXISTS] = "Exists",   [IMAGE_STEP_DONE] = "Done",
};

static void draw(struct image_progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\033[%zuA", p->drawn);
	for (size_t i = 0; i < p->lines.n; i++) {
		const struct line *l = &p->lines.at[i];
		char done[32], total[32], bar[BAR + 1];
		size_t full = l->total ? (size_t)((double)l->done / (double)l->total * BAR) : 0;

		image_human_size(l->done, done);
		image_human_size(l->total, total);
		memset(bar, '-', BAR);
		memset(bar, '=', MIN_OF(full, (size_t)BAR));
		bar[BAR] = 0;
		if (l->step == IMAGE_STEP_DONE || l->step == IMAGE_STEP_EXISTS)
			fprintf(stderr, "\033[2K%s: %-12s %s\n", l->hex, words[l->step], total);
		else
			fprintf(stderr, "\033[2K%s: %-12s [%s] %s/%s\n", l->hex, words[l->step], bar, done, total);
	}
	p->drawn = p->lines.n;
	p->drawn_ms = monotonic_ms();
}

static void on_progress(void *arg, const char *hex, enum image_step step, uint64_t done, uint64_t total)
{
	struct image_progress *p = arg;
	struct line *l = NULL;

	if (!hex)
		return;
	for (size_t i = 0; i < p->lines.n && !l; i++)
		if (strncmp(p->lines.at[i].hex, hex, 12) == 0)
			l = &p->lines.at[i];
	if (!l) {
		struct line fresh = {.step = IMAGE_STEP_WAITING};
		snprintf(fresh.hex, sizeof(fresh.hex), "%.12s", hex);
		VEC_PUSH(&p->lines, fresh);
		l = &VEC_LAST(&p->lines);
	}
	bool changed = l->step != step;
	l->step = step;
	l->done = done;
	l->total = total;
	if (p->terminal && (changed || monotonic_ms() - p->drawn_ms >= DRAW_MS))
		draw(p);
	else if (!p->terminal && changed && step != IMAGE_STEP_WAITING)
		fprintf(stderr, "%s: %s\n", l->hex, words[step]);
}

struct image_progress *image_progress_new(void)
{
	struct image_progress *p = NEW(struct image_progress);

	p->terminal = isatty(STDERR_FILENO) && !str_eq(getenv("TERM"), "dumb");
	return p;
}

void image_progress_free(struct image_progress *p)
{
	if (!p)
		return;
	if (p->terminal)
		draw(p);
	VEC_RELEASE(&p->lines);
	free(p);
}

void image_progress_hook(struct image_progress *p, struct image_transfer *t)
{
	t->progress = on_progress;
	t->arg = p;
}
