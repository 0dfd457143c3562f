/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/user_name.h"

static int state(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	(void)argc;
	int r = container_load(&c, argv[0], false);
	if (r < 0)
		return r;
	struct json *o = container_state(&c.arena, &c, NULL);
	json_set_str(&c.arena, o, "rootfs", c.rootfs);
	json_set_str(&c.arena, o, "created", c.created);
	json_set_str(&c.arena, o, "owner", user_name(&c.arena, c.owner));
	return print_json(o, true);
}

const struct command command_state = {"state", "ID", "say how a container is, as JSON", NULL, 1, 1, false,
				      false,   state};
