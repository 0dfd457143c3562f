/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/systemd.h"

#include <errno.h>

#include "oci/error.h"
#include "oci/group.h"

int systemd_plan(struct cgroup *g, const char *path, const char *id)
{
	(void)g;
	(void)path;
	(void)id;
	return oci_fail(-ENOTSUP, "the systemd cgroup driver");
}

int systemd_start_scope(struct cgroup *g, const struct json *config, const char *id, pid_t pid)
{
	(void)g;
	(void)config;
	(void)id;
	(void)pid;
	return -ENOTSUP;
}

void systemd_stop_scope(const struct cgroup *g)
{
	(void)g;
}
