/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a child tells the one who started it that it is ready: one line into the pipe that --ready-fd names. The pipe
 * closes without a line when the child fails.
 */
#ifndef PROA_CMD_READY_H
#define PROA_CMD_READY_H

struct args;

#define READY_FLAG                                                                                                     \
	{                                                                                                              \
		"ready-fd", "FD", NULL, "Descriptor that gets a line with the address once everything is ready."       \
	}

int ready_fd_of(const struct args *a);	    /* -1: not given */
void ready_tell(int *fd, const char *line); /* writes line and closes; *fd -1: nothing */

#endif
