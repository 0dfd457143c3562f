/* SPDX-License-Identifier: Apache-2.0 */
/* Which device nodes the processes of a group may use: rules for whichever version has the controller. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "runtime/cgroup_internal.h"

/* mknod of any; 1:3 null, 1:5 zero, 1:7 full, 1:8 random, 1:9 urandom, 5:0 tty, 5:1 console, 5:2 ptmx, 136:* pts. */
static const struct cgroup_rule usual[] = {
    {true, {'c', -1, -1, "m"}}, {true, {'b', -1, -1, "m"}}, {true, {'c', 1, 3, "rwm"}},	   {true, {'c', 1, 5, "rwm"}},
    {true, {'c', 1, 7, "rwm"}}, {true, {'c', 1, 8, "rwm"}}, {true, {'c', 1, 9, "rwm"}},	   {true, {'c', 5, 0, "rwm"}},
    {true, {'c', 5, 1, "rwm"}}, {true, {'c', 5, 2, "rwm"}}, {true, {'c', 136, -1, "rwm"}},
};

const struct cgroup_rule *cgroup_usual_rules(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(usual);
	return usual;
}

static int apply(const struct cgroup_layout *l, const char *path, const struct cgroup_rule *rules, size_t n)
{
	/* Where v1 has the controller, v2's program would only repeat it. */
	bool v1 = cgroup_layout_controllers(l) & CGROUP_DEVICES;
	for (size_t i = 0; i < l->n; i++) {
		if (v1 ? !(l->h[i].controllers & CGROUP_DEVICES) : !l->h[i].v2)
			continue;
		_cleanup_close_ int dir = cgroup_open_in(&l->h[i], path);
		return dir < 0 ? dir : l->h[i].ops->rules(dir, rules, n);
	}
	return -EOPNOTSUPP;
}

int cgroup_apply_rules(const struct cgroup_layout *l, const char *path, const struct cgroup_rule *rules, size_t n)
{
	if (n > CGROUP_RULES_MAX)
		return -E2BIG;
	struct cgroup_rule *all = xcalloc(n + ARRAY_SIZE(usual), sizeof(*all));
	if (n)
		memcpy(all, rules, n * sizeof(*all));
	memcpy(all + n, usual, sizeof(usual));
	int r = apply(l, path, all, n + ARRAY_SIZE(usual));
	free(all);
	return r;
}

int cgroup_apply_devices(const struct cgroup_layout *l, const char *path, bool all, const struct cgroup_device *extra,
			 size_t n_extra)
{
	if (all)
		return 0; /* a new group has what its parent has */
	if (n_extra > CGROUP_RULES_MAX)
		return -E2BIG;
	struct cgroup_rule *rules = xcalloc(n_extra + 1, sizeof(*rules));
	for (size_t i = 0; i < n_extra; i++)
		rules[i] = (struct cgroup_rule){true, extra[i]};
	int r = cgroup_apply_rules(l, path, rules, n_extra);
	free(rules);
	return r;
}
