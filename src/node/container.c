/* SPDX-License-Identifier: Apache-2.0 */
#include "node/container.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

static const char *const stage_names[] = {"waiting", "starting", "running", "stopping", "exited"};

/* One bit for each state that may follow. */
static const unsigned char moves[] = {
    [STAGE_WAITING] = 1 << STAGE_STARTING | 1 << STAGE_RUNNING | 1 << STAGE_EXITED,
    [STAGE_STARTING] = 1 << STAGE_WAITING | 1 << STAGE_RUNNING | 1 << STAGE_EXITED,
    [STAGE_RUNNING] = 1 << STAGE_STOPPING | 1 << STAGE_EXITED,
    [STAGE_STOPPING] = 1 << STAGE_EXITED,
    [STAGE_EXITED] = 1 << STAGE_STARTING | 1 << STAGE_WAITING,
};

const char *container_stage_name(enum container_stage s)
{
	return stage_names[s];
}

bool container_can_move(enum container_stage from, enum container_stage to)
{
	return moves[from] >> to & 1;
}

void container_move(struct container *c, enum container_stage to)
{
	assert(container_can_move(c->stage, to));
	log_debug("container moves name=%s from=%s to=%s", c->name, stage_names[c->stage], stage_names[to]);
	c->stage = to;
}

void container_exit_release(struct container_exit *e)
{
	free(e->message);
	free(e->id);
	*e = (struct container_exit){0};
}

void resources_given_release(struct resources_given *g)
{
	free(g->allocated);
	free(g->applied);
	*g = (struct resources_given){0};
}

void container_release(struct container *c)
{
	free(c->name);
	free(c->id);
	free(c->image_id);
	free(c->image_digest);
	free(c->pull_error);
	free(c->waiting_message);
	resources_given_release(&c->resources);
	container_exit_release(&c->exit);
	container_exit_release(&c->last);
	*c = (struct container){0};
}

void container_set_waiting(struct container *c, const char *reason, const char *message)
{
	char *copy = xstrdup(message);

	free(c->waiting_message);
	c->waiting_message = copy;
	c->waiting_reason = reason;
}
