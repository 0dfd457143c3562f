/* SPDX-License-Identifier: Apache-2.0 */
/* Capability sets of a container as 64-bit masks (bit n: capability n of linux/capability.h). */
#ifndef PROA_RUNTIME_CAPS_H
#define PROA_RUNTIME_CAPS_H

#include <stdint.h>

struct container_spec;

/* What containers have unless told otherwise: the 14 capabilities that docker, containerd and CRI-O agree on. */
extern const uint64_t caps_default;
uint64_t caps_known(void);	      /* all that this kernel knows */
int caps_from_name(const char *name); /* "NET_ADMIN" or "CAP_NET_ADMIN", any case; the number, or -EINVAL */
const char *caps_name(int cap);	      /* without CAP_; NULL beyond the last one known here */
struct caps {
	uint64_t bounding, permitted, effective, ambient; /* inheritable stays empty (CVE-2022-27650) */
};
/* From has_caps, privileged, cap_add and cap_drop. -EINVAL with *ret_unknown the name that nobody knows. */
int caps_of_spec(const struct container_spec *s, struct caps *ret, const char **ret_unknown);

#endif
