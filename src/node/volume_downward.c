/* SPDX-License-Identifier: Apache-2.0 */
/* downwardAPI volumes: the pod's own fields as files; labels and annotations change live. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "node/atomic_writer.h"
#include "node/volume.h"

int downward_payload(const struct json *source, mode_t mode, const struct volume_input *in, struct payload *p,
		     struct status *err)
{
	JSON_EACH(item, json_get(source, "items")) {
		const struct json *field = json_get(item, "fieldRef"), *resource = json_get(item, "resourceFieldRef");
		const char *path = str_or(json_path_str(item, "path"), ""), *value;

		if (field)
			value = downward_field(in->arena, &in->downward, json_path_str(field, "fieldPath"), err);
		else
			value = downward_resource(
			    in->arena, &in->downward,
			    downward_container(in->downward.pod, json_path_str(resource, "containerName")), resource,
			    err);
		if (!value)
			return -EINVAL;
		payload_add(p, path, value, strlen(value), volume_mode(item, "mode", mode));
	}
	return 0;
}

static int prepare(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err)
{
	struct payload p = {0};
	int r = downward_payload(source, volume_mode(source, "defaultMode", VOLUME_MODE_DEFAULT), in, &p, err);

	v->readonly = true;
	if (r == 0)
		r = volume_write(v, &p, in, err);
	VEC_RELEASE(&p.files);
	return r;
}

const struct volume_ops volume_downward = {
    .source = "downwardAPI",
    .prepare = prepare,
    .update = prepare,
    .teardown = volume_remove_dir,
};
