/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container's first process and its maker tell each other, one datagram a step over a SOCK_SEQPACKET pair:
 *
 *	child                              parent
 *	PID (the forking stage: whom it made)
 *	MAPS (in its user namespace) →     writes the id maps
 *	                             ←     GO
 *	NET_DEVICES (in its network) →     moves interfaces there
 *	                             ←     GO
 *	HOOKS (mounts made)          →     prestart, createRuntime
 *	                             ←     GO
 *	CREATED                      →     writes state, answers its caller
 *
 * From then on with whoever starts it: `start` over a socket in the state directory, `run` over the same pair:
 *
 *	                             ←     GO
 *	EXEC (about to), end of file →     running
 *
 * FAILED instead of any step, also after EXEC, says what went wrong; the child ends then.
 */
#ifndef PROA_OCI_SYNC_H
#define PROA_OCI_SYNC_H

#include <stdint.h>

#include "oci/error.h"

enum step_kind { STEP_PID = 1, STEP_MAPS, STEP_NET_DEVICES, STEP_HOOKS, STEP_CREATED, STEP_EXEC, STEP_FAILED, STEP_GO };

struct step {
	int kind;
	int error;     /* FAILED: negative errno */
	int64_t value; /* PID */
	char text[OCI_ERROR_MAX];
};

int step_send(int fd, int kind, int64_t value);
void step_send_failure(int fd, int error); /* with oci_error() */
/* 1, 0 at the end of file, or negative errno. Waits. */
int step_receive(int fd, struct step *ret);
/* Waits for GO. */
int step_wait(int fd, int64_t *ret_value); /* ret_value may be NULL */

#endif
