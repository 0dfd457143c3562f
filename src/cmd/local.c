/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/local_internal.h"
#include "cmd/process.h"
#include "image/image.h"

int local_command_open(const struct args *a, struct arena *arena, struct local *ret)
{
	char why[LOCAL_ERR_MAX] = "";
	const char *data = args_value(a, "data-dir");
	if (geteuid() != 0) {
		command_fail("this needs root");
		return EXIT_OURS;
	}
	int r = local_open(ret, arena_printf(arena, "%s/agent/containers", data), process_beside(arena, "proa-shim"),
			   why, sizeof(why));
	if (r == 0)
		r = image_store_open(arena_printf(arena, "%s/agent/images", data), &ret->images, why, sizeof(why));
	if (r < 0) {
		local_close(ret);
		command_fail("%s", why);
		return EXIT_OURS;
	}
	local_sweep(ret);
	return 0;
}

void local_command_close(struct local *l)
{
	image_store_close(l->images);
	local_close(l);
}

int local_command_find(struct local *l, const char *name, struct local_container **ret)
{
	char why[LOCAL_ERR_MAX] = "";
	return local_find(l, name, ret, why, sizeof(why)) < 0 ? command_fail("%s", why) : 0;
}

int local_exit_status(int error, const char *why)
{
	if (error != -EINVAL && error != -ENOEXEC)
		return EXIT_OURS;
	if (strcasestr(why, "not found") || strcasestr(why, "no such file"))
		return EXIT_NOT_FOUND;
	return strcasestr(why, "permission denied") || strcasestr(why, "exec format") ? EXIT_CANNOT_EXECUTE : EXIT_OURS;
}
