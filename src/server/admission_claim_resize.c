/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumeClaimResize: a claim grows only when it is bound and its class can do that. */
#include "api/meta.h"
#include "api/object.h"
#include "api/quantity.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"

static struct quantity size_of(const struct json *claim)
{
	struct quantity q = QUANTITY_ZERO;
	quantity_from_json(json_path(claim, "spec.resources.requests.storage"), &q);
	return q;
}

static int validate(const struct admission *a, struct status *err)
{
	struct json *old = object_tree(a->old, a->arena);
	struct quantity was = size_of(old), is = size_of(a->object);
	if (*a->subresource || quantity_compare(&is, &was) <= 0)
		return 0;
	if (!str_eq(json_path_str(old, "status.phase"), "Bound"))
		return admission_forbid(a, err, "Only bound persistent volume claims can be expanded");
	const char *mark = meta_annotation(a->object, "volume.beta.kubernetes.io/storage-class");
	const char *class = mark ? mark : json_path_str(a->object, "spec.storageClassName");
	struct json *sc = admission_lookup(a, "storage.k8s.io", "storageclasses", "", class);
	if (!json_path_bool(sc, "allowVolumeExpansion", false))
		return admission_forbid(a, err,
					"only dynamically provisioned pvc can be resized and the storageclass that "
					"provisions the pvc must support resize");
	return 0;
}

const struct admission_plugin admission_claim_resize = {
    .name = "PersistentVolumeClaimResize",
    .operations = ADMIT_UPDATE,
    .group = "",
    .resource = "persistentvolumeclaims",
    .validate = validate,
};
