/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/command.h"
#include "oci/error.h"

static int refuse(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return oci_fail(0, "checkpoint and restore are not supported by proa-oci");
}

/* Whatever flags they are given, that is what there is to say. */
const struct command command_checkpoint = {"checkpoint", "ID",	"refused: not supported", NULL, -1, -1, true,
					   false,	 refuse};
const struct command command_restore = {"restore", "ID", "refused: not supported", NULL, -1, -1, true, false, refuse};
