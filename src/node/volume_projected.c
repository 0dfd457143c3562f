/* SPDX-License-Identifier: Apache-2.0 */
/* projected volumes: ConfigMaps, Secrets, downward API and service account tokens in one directory, live. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "node/atomic_writer.h"
#include "node/volume.h"

#define TOKEN_MODE_GROUP 0640 /* with fsGroup; without, a token is the owner's and readable as defaultMode says */

static int64_t expiration(const struct json *token)
{
	return json_int(json_get(token, "expirationSeconds"), TOKEN_EXPIRATION_S_DEFAULT);
}

static void needs(const struct json *source, const struct volume_needs *n)
{
	JSON_EACH(s, json_get(source, "sources")) {
		const struct json *part;

		if ((part = json_get(s, "configMap")))
			n->object(n->arg, "configmaps", str_or(json_path_str(part, "name"), ""));
		if ((part = json_get(s, "secret")))
			n->object(n->arg, "secrets", str_or(json_path_str(part, "name"), ""));
		if ((part = json_get(s, "serviceAccountToken")))
			n->token(n->arg, str_or(json_path_str(part, "audience"), ""), expiration(part));
	}
}

/*
 * A token is for whom the containers run as: 0600 and that user's when all of them run as one, readable by the fsGroup
 * when there is one, by all (the volume's mode) otherwise.
 */
static int token_payload(const struct json *source, mode_t mode, const struct volume_input *in, struct payload *p,
			 struct status *err)
{
	const char *audience = str_or(json_path_str(source, "audience"), "");
	const char *path = str_or(json_path_str(source, "path"), "token");
	const char *token = in->token(in->arg, audience, expiration(source));
	int64_t user = json_path_int(in->downward.pod, "spec.securityContext.runAsUser", -1);

	if (!token) {
		status_set(err, 404, "no token for audience \"%s\" yet", audience);
		return -ENOENT;
	}
	if (in->fs_group >= 0)
		mode = TOKEN_MODE_GROUP & ~0040;
	else if (user >= 0)
		mode = 0600;
	payload_add(p, path, token, strlen(token), mode);
	if (in->fs_group < 0 && user >= 0)
		VEC_LAST(&p->files).uid = user;
	return 0;
}

static int source_payload(const struct json *s, mode_t mode, const struct volume_input *in, struct payload *p,
			  struct status *err)
{
	const struct json *part;
	int r = 0;

	if ((part = json_get(s, "configMap")))
		r = config_map_payload(part, mode, in, p, err);
	if (r == 0 && (part = json_get(s, "secret")))
		r = secret_payload(part, "name", mode, in, p, err);
	if (r == 0 && (part = json_get(s, "downwardAPI")))
		r = downward_payload(part, mode, in, p, err);
	if (r == 0 && (part = json_get(s, "serviceAccountToken")))
		r = token_payload(part, mode, in, p, err);
	return r;
}

static int prepare(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err)
{
	mode_t mode = volume_mode(source, "defaultMode", VOLUME_MODE_DEFAULT);
	struct payload p = {0};
	int r = 0;

	v->readonly = true;
	JSON_EACH(s, json_get(source, "sources")) {
		r = source_payload(s, mode, in, &p, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = volume_write(v, &p, in, err);
	VEC_RELEASE(&p.files);
	return r;
}

const struct volume_ops volume_projected = {
    .source = "projected",
    .needs = needs,
    .prepare = prepare,
    .update = prepare,
    .teardown = volume_remove_dir,
};
