/* SPDX-License-Identifier: Apache-2.0 */
/* linux.memoryPolicy (runtime-spec 1.3): which NUMA nodes the container's memory comes from, set_mempolicy(2). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/error.h"
#include "oci/process.h"

#define NODES_MAX 1024 /* the kernel's own bound, MAX_NUMNODES at its largest */
#define LONG_BITS (sizeof(unsigned long) * CHAR_BIT)

struct word {
	const char *name;
	int value;
};

static int find(const struct word *words, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(words[i].name, name))
			return words[i].value;
	return -1;
}

/* "0-3,5" into bits. */
static int parse_nodes(const char *list, unsigned long *bits)
{
	for (const char *at = list; *at;) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;
		if (end == at)
			return -EINVAL;
		if (*end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
			if (end == at)
				return -EINVAL;
		}
		if (first > last || last >= NODES_MAX || (*end && *end != ','))
			return -EINVAL;
		for (unsigned long i = first; i <= last; i++)
			bits[i / LONG_BITS] |= 1ul << i % LONG_BITS;
		at = end + (*end == ',');
	}
	return 0;
}

int process_memory_policy(const struct json *policy)
{
	static const struct word modes[] = {{"MPOL_DEFAULT", 0},
					    {"MPOL_PREFERRED", 1},
					    {"MPOL_BIND", 2},
					    {"MPOL_INTERLEAVE", 3},
					    {"MPOL_LOCAL", 4},
					    {"MPOL_PREFERRED_MANY", 5},
					    {"MPOL_WEIGHTED_INTERLEAVE", 6}};
	static const struct word flags[] = {
	    {"MPOL_F_STATIC_NODES", 1 << 15}, {"MPOL_F_RELATIVE_NODES", 1 << 14}, {"MPOL_F_NUMA_BALANCING", 1 << 13}};
	unsigned long bits[NODES_MAX / LONG_BITS] = {0};
	if (!policy)
		return 0;
	const char *name = json_path_str(policy, "mode"), *nodes = str_or(json_path_str(policy, "nodes"), "");
	int mode = find(modes, ARRAY_SIZE(modes), name);
	if (mode < 0)
		return oci_fail(0, "linux.memoryPolicy: invalid memory policy mode \"%s\"", name);
	JSON_EACH(f, json_get(policy, "flags")) {
		int flag = find(flags, ARRAY_SIZE(flags), json_str(f));
		if (flag < 0)
			return oci_fail(0, "linux.memoryPolicy: invalid memory policy flag \"%s\"", json_str(f));
		mode |= flag;
	}
	if (parse_nodes(nodes, bits) < 0)
		return oci_fail(0, "linux.memoryPolicy: invalid memory policy nodes \"%s\"", nodes);
	if (syscall(SYS_set_mempolicy, mode, *nodes ? bits : NULL, *nodes ? NODES_MAX + 1 : 0) < 0)
		return oci_fail(-errno, "linux.memoryPolicy: set_mempolicy %s, nodes \"%s\"", name, nodes);
	return 0;
}
