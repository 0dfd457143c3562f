/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stddef.h>

#include "base/log.h"
#include "cmd/command.h"

static const struct command *const commands[] = {
    &command_up,  &command_down,    &command_server,	 &command_agent,    &command_image,
    &command_run, &command_ps,	    &command_exec,	 &command_logs,	    &command_stop,
    &command_rm,  &command_version, &command_completion, &command_complete, NULL};

const struct command command_root = {
    .name = "proa",
    .about = "proa is a Kubernetes cluster in one small program.\n\n"
	     " 'proa up' starts one and writes a kubeconfig; kubectl and every other client work on it.",
    .operands = "",
    .commands = commands,
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	log_init(argc > 1 && argv[1][0] != '-' ? argv[1] : "proa");
	return command_main(&command_root, argc, argv);
}
