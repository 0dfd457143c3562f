/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the judge (tests/judge/pod_security): reads {"level":…,"version":…,"pod":…} a line, writes what is wrong with the
 * pod, or an empty line, and again with the rules' names only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "api/pod_security.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	for (ssize_t len; (len = getline(&line, &cap, stdin)) > 0;) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *in;
		struct json_error bad;
		struct pod_security_policy p;
		const char *details = "", *reasons = "";
		if (json_parse(&a, line, (size_t)len, &in, &bad) < 0 ||
		    !pod_security_parse_level(str_or(json_path_str(in, "level"), ""), &p.level) ||
		    !pod_security_parse_version(str_or(json_path_str(in, "version"), ""), &p.minor)) {
			fprintf(stderr, "not understood: %s", line);
			return 1;
		}
		pod_security_check(&a, p, json_path(in, "pod.metadata"), json_path(in, "pod.spec"), &details, &reasons);
		printf("%s\n%s\n", details, reasons);
		fflush(stdout); /* the judge waits for each answer */
	}
	free(line);
	return 0;
}
