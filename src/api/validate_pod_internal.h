/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of pod validation share: the spec being judged and what its parts refer to. */
#ifndef PROA_API_VALIDATE_POD_INTERNAL_H
#define PROA_API_VALIDATE_POD_INTERNAL_H

#include "api/validate_internal.h"

struct pod_check {
	struct check *c;
	const struct json *spec, *meta; /* meta: labels, annotations */
	const struct json *old_spec;	/* as stored; NULL: none */
	const char *path;		/* of spec: "spec", "spec.template.spec" */
	bool is_pod;			/* a Pod itself: more is required than of a template */
	bool host_users;
	struct map volumes;    /* name → the volume; those without mistakes */
	struct map claims;     /* names of spec.resourceClaims */
	struct map containers; /* names met so far, of all lists */
	struct map host_ports; /* of spec.containers */
};

enum container_kind { CONTAINER, INIT_CONTAINER, EPHEMERAL_CONTAINER };

/* initContainers, containers and ephemeralContainers in upstream's order; at is the container's path. */
typedef void each_container_fn(struct pod_check *p, const char *at, const struct json *container, void *arg);
void each_container(struct pod_check *p, each_container_fn *fn, void *arg);
bool container_is_sidecar(const struct json *init_container);

/* validate_pod_volumes.c */
void check_volumes(struct pod_check *p);
void check_relative_path(struct check *c, const char *path, const char *s);
bool path_steps_up(const char *s);
/* validate_pod_containers.c */
void check_containers(struct pod_check *p);
/* validate_pod_env.c */
void check_env(struct pod_check *p, const char *at, const struct json *container);
/* Downward API: the fields of the pod, and of a container's resources, that may be asked for. */
void check_field_ref(struct check *c, const char *at, const struct json *ref, bool for_volume);
void check_resource_field_ref(struct check *c, const char *at, const struct json *ref, bool for_volume);
/* validate_pod_mounts.c */
void check_mounts(struct pod_check *p, const char *at, const struct json *container);
/* validate_pod_probes.c */
void check_probes(struct pod_check *p, const char *at, const struct json *container);
/* validate_pod_resources.c */
void check_resource_claims(struct pod_check *p);
void check_container_resources(struct pod_check *p, const char *at, const struct json *resources);
void check_pod_resources(struct pod_check *p);
/* validate_pod_security.c */
void check_pod_security(struct pod_check *p);
void check_container_security(struct pod_check *p, const char *at, const struct json *security);
void check_os(struct pod_check *p);
void check_host_process(struct pod_check *p);
/* validate_pod_annotations.c; at: of the annotations */
void check_pod_annotations(struct pod_check *p, const char *at);
void check_profile_annotations(struct pod_check *p); /* against the fields of the same meaning */
/* validate_pod_update.c */
void check_annotations_kept(struct check *c);
/* validate_pod_placement.c */
void check_affinity(struct pod_check *p);
void check_spread(struct pod_check *p);

#endif
