/* SPDX-License-Identifier: Apache-2.0 */
/* proa down: stops a cluster and leaves nothing of it but its data. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/status.h"
#include "cmd/cluster.h"
#include "cmd/command.h"
#include "cmd/process.h"
#include "cmd/teardown.h"

#define SUPERVISOR_MS 60000 /* pods get their grace, then the rest is quick */

static int run(const struct args *a)
{
	struct cluster_flags f = {.data_dir = args_value(a, "data-dir")};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct cluster c;

	if (geteuid() != 0)
		return command_fail("stopping a cluster needs root");
	if (cluster_load(&f, &c, &err) < 0)
		return command_fail("%s", err.message);
	if (!c.existed) {
		cluster_release(&c);
		return command_fail("there is no cluster in %s", args_value(a, "data-dir"));
	}
	_cleanup_close_ int pidfd = process_find(cluster_path(&c, c.run_dir, "up.pid"), NULL);
	if (pidfd >= 0)
		process_end(pidfd, SIGTERM, SUPERVISOR_MS);
	int status = teardown(&c, &err) < 0 ? command_fail("%s", err.message) : 0;
	if (status == 0)
		printf("The cluster is stopped. Its state is kept in %s; 'proa up' starts it again.\n", c.data_dir);
	cluster_release(&c);
	return status;
}

static const struct flag flags[] = {{"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory of the cluster to stop."}, {0}};

const struct command command_down = {
    .name = "down",
    .summary = "Stop a cluster",
    .about = "Stop a cluster: its pods, node agent and control plane. Its state stays on disk.",
    .example = "  proa down\n  proa down --data-dir=/srv/two",
    .operands = "",
    .flags = flags,
    .run = run,
};
