/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources onto cgroup files: a table of properties, each with its controller, its file on v1 and on v2, and how
 * the value is written there. What a machine cannot do is an error that names the property.
 */
#ifndef PROA_OCI_RESOURCES_H
#define PROA_OCI_RESOURCES_H

#include <stdbool.h>

#include "runtime/cgroup.h"

struct cgroup;
struct json;

/* res limits something (device rules aside). */
bool resources_demanded(const struct json *res);
/* linux.resources.devices in their order; how many, or negative. */
int resources_device_rules(const struct json *rules, struct cgroup_rule list[CGROUP_RULES_MAX]);
/* creating: device rules too, and the default ones when res has none. */
int resources_apply(const struct cgroup *g, const struct json *res, bool creating);

#endif
