/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"

static int set_frozen(const char *id, bool frozen)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = container_load(&c, id, true);
	if (r < 0)
		return r;
	enum container_phase phase = container_phase_of(&c);
	if (phase == PHASE_STOPPED)
		return oci_fail(0, "container not running");
	if (frozen && phase == PHASE_PAUSED)
		return oci_fail(0, "container %s is paused already", id);
	if (!frozen && phase != PHASE_PAUSED)
		return oci_fail(0, "container %s is not paused", id);
	return group_freeze(&c.group, frozen);
}

static int pause_(int argc, char **argv)
{
	(void)argc;
	return set_frozen(argv[0], true);
}

static int resume(int argc, char **argv)
{
	(void)argc;
	return set_frozen(argv[0], false);
}

const struct command command_pause = {"pause", "ID",  "stop every process of a container", NULL, 1, 1, false,
				      false,   pause_};
const struct command command_resume = {"resume", "ID",	"let a paused container go on", NULL, 1, 1, false,
				       false,	 resume};
