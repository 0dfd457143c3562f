/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands for containers without a cluster share. */
#ifndef PROA_CMD_LOCAL_INTERNAL_H
#define PROA_CMD_LOCAL_INTERNAL_H

#include "cmd/cluster.h"
#include "cmd/command.h"
#include "local/local.h"

#define LOCAL_DATA_DIR_FLAG                                                                                            \
	{                                                                                                              \
		"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory of images and containers."                             \
	}

#define EXIT_OURS 125 /* as docker: it was not the container that failed */
#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND 127

/* Opens the session with its image store. 0, or an exit status after telling why. a outlives it. */
int local_command_open(const struct args *a, struct arena *arena, struct local *ret);
void local_command_close(struct local *l);
/* The container that an operand names, or an exit status after telling why. */
int local_command_find(struct local *l, const char *name, struct local_container **ret);
/* Of an error of starting: 126, 127 or 125. */
int local_exit_status(int error, const char *why);

#endif
