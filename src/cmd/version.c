/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"
#include "cmd/command.h"
#include "cmd/version.h"

static int run(const struct args *a)
{
	const char *output = args_value(a, "output");

	if (str_eq(output, "json"))
		printf("{\"version\":\"%s\",\"kubernetes\":\"%s\"}\n", PROA_VERSION, KUBERNETES_VERSION);
	else if (!output)
		printf("proa %s (Kubernetes %s)\n", PROA_VERSION, KUBERNETES_VERSION);
	else
		return command_fail("--output must be 'json'");
	return 0;
}

static const struct flag flags[] = {{"output", "FORMAT", NULL, "'json' for an object instead of a line."}, {0}};

const struct command command_version = {
    .name = "version",
    .summary = "Print the version of proa and of the Kubernetes API it serves",
    .about = "Print the version of proa and of the Kubernetes API that it serves.",
    .example = "  proa version\n  proa version --output=json",
    .operands = "",
    .flags = flags,
    .run = run,
};
