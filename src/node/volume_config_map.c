/* SPDX-License-Identifier: Apache-2.0 */
/* configMap volumes: the keys of a ConfigMap as files, live. */
#include <errno.h>

#include "api/object.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "node/atomic_writer.h"
#include "node/volume.h"

int config_map_payload(const struct json *source, mode_t mode, const struct volume_input *in, struct payload *p,
		       struct status *err)
{
	const char *name = str_or(json_path_str(source, "name"), "");
	const struct object *o = in->object(in->arg, "configmaps", name);
	const struct json *tree;
	struct json *all;

	if (!o) {
		if (json_bool(json_get(source, "optional"), false))
			return 0;
		status_not_found(err, "", "configmaps", name);
		return -ENOENT;
	}
	tree = object_tree(o, in->arena);
	all = json_new(in->arena, JSON_OBJECT);
	JSON_EACH(m, json_get(tree, "data"))
		json_set(in->arena, all, m->key, json_clone(in->arena, m));
	/* binaryData is decoded on its own; items may name keys of either. */
	JSON_EACH(m, json_get(tree, "binaryData")) {
		struct payload one = {0};
		struct json *single = json_new(in->arena, JSON_OBJECT);

		json_set(in->arena, single, m->key, json_clone(in->arena, m));
		keys_payload(NULL, single, true, mode, "config", in, &one, err);
		if (one.files.n) {
			struct payload_file *f = one.files.at;

			json_set(in->arena, all, m->key, json_new_strn(in->arena, f->data, f->len));
		}
		VEC_RELEASE(&one.files);
	}
	return keys_payload(source, all, false, mode, "config", in, p, err);
}

static void needs(const struct json *source, const struct volume_needs *n)
{
	n->object(n->arg, "configmaps", str_or(json_path_str(source, "name"), ""));
}

static int prepare(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err)
{
	struct payload p = {0};
	int r = config_map_payload(source, volume_mode(source, "defaultMode", VOLUME_MODE_DEFAULT), in, &p, err);

	v->readonly = true;
	if (r == 0)
		r = volume_write(v, &p, in, err);
	VEC_RELEASE(&p.files);
	return r;
}

const struct volume_ops volume_config_map = {
    .source = "configMap",
    .needs = needs,
    .prepare = prepare,
    .update = prepare,
    .teardown = volume_remove_dir,
};
