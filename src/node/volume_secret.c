/* SPDX-License-Identifier: Apache-2.0 */
/* secret volumes: the keys of a Secret as files on memory, live. */
#include <errno.h>

#include "api/object.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "node/atomic_writer.h"
#include "node/volume.h"

int secret_payload(const struct json *source, const char *name_key, mode_t mode, const struct volume_input *in,
		   struct payload *p, struct status *err)
{
	const char *name = str_or(json_path_str(source, name_key), "");
	const struct object *o = in->object(in->arg, "secrets", name);

	if (!o) {
		if (json_bool(json_get(source, "optional"), false))
			return 0;
		status_not_found(err, "", "secrets", name);
		return -ENOENT;
	}
	return keys_payload(source, json_get(object_tree(o, in->arena), "data"), true, mode, "secret", in, p, err);
}

static void needs(const struct json *source, const struct volume_needs *n)
{
	n->object(n->arg, "secrets", str_or(json_path_str(source, "secretName"), ""));
}

static int prepare(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err)
{
	struct payload p = {0};
	int r =
	    secret_payload(source, "secretName", volume_mode(source, "defaultMode", VOLUME_MODE_DEFAULT), in, &p, err);

	v->readonly = true;
	if (r == 0)
		r = volume_write(v, &p, in, err);
	VEC_RELEASE(&p.files);
	return r;
}

const struct volume_ops volume_secret = {
    .source = "secret",
    .needs = needs,
    .prepare = prepare,
    .update = prepare,
    .teardown = volume_remove_dir,
};
