/* SPDX-License-Identifier: Apache-2.0 */
/* emptyDir volumes: a directory on the node's disk, or on memory, that lives as long as the pod. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "api/quantity.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "node/volume.h"

static int prepare(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err)
{
	const char *medium = str_or(json_path_str(source, "medium"), "");
	struct quantity limit = QUANTITY_ZERO;
	int r;

	if (quantity_from_json(json_get(source, "sizeLimit"), &limit) < 0) {
		status_set(err, 400, "emptyDir.sizeLimit is not a quantity");
		return -EINVAL;
	}
	if (str_eq(medium, "Memory")) {
		r = volume_tmpfs(v->path, quantity_value(&limit), 0777, err);
	} else if (*medium) {
		status_set(err, 400, "emptyDir.medium \"%s\" is not supported on this node", medium);
		return -EINVAL;
	} else {
		r = fs_mkdir_p(v->path, 0750);
		if (r == 0 && chmod(v->path, 0777) < 0)
			r = -errno;
		if (r < 0)
			status_set(err, 500, "cannot make %s: %s", v->path, strerror(-r));
	}
	return r < 0 ? r : volume_set_group(v->path, in->fs_group, err);
}

const struct volume_ops volume_empty_dir = {
    .source = "emptyDir",
    .prepare = prepare,
    .teardown = volume_remove_dir,
};
