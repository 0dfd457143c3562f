/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>

#include "base/macros.h"
#include "runtime/spec.h"

static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

#define BIT(cap) (1ull << (cap))
const uint64_t caps_default = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
			      BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) |
			      BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_RAW) | BIT(CAP_SYS_CHROOT) | BIT(CAP_MKNOD) |
			      BIT(CAP_AUDIT_WRITE) | BIT(CAP_SETFCAP);

uint64_t caps_known(void)
{
	static uint64_t all; /* the kernel's: the same at each of many calls */
	int known = 0, unknown = 64;
	if (all)
		return all;
	while (unknown - known > 1) {
		int i = (known + unknown) / 2;
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0)
			known = i;
		else
			unknown = i;
	}
	all = 2 * BIT(known) - 1;
	return all;
}

int caps_from_name(const char *name)
{
	if (!strncasecmp(name, "CAP_", 4))
		name += 4;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcasecmp(name, names[i]))
			return (int)i;
	return -EINVAL;
}

const char *caps_name(int cap)
{
	return cap >= 0 && (size_t)cap < ARRAY_SIZE(names) ? names[cap] : NULL;
}

/* "ALL" in add comes before the drops of single ones, and in drop before the additions of single ones. */
static int apply(const char *const *list, bool add, uint64_t *mask, const char **ret_unknown)
{
	for (; list && *list; list++) {
		if (!strcasecmp(*list, "ALL"))
			continue;
		int cap = caps_from_name(*list);
		if (cap < 0) {
			*ret_unknown = *list;
			return -EINVAL;
		}
		*mask = add ? *mask | BIT(cap) : *mask & ~BIT(cap);
	}
	return 0;
}

static bool has_all(const char *const *list)
{
	for (; list && *list; list++)
		if (!strcasecmp(*list, "ALL"))
			return true;
	return false;
}

int caps_of_spec(const struct container_spec *s, struct caps *ret, const char **ret_unknown)
{
	uint64_t known = caps_known();
	if (s->has_caps) {
		*ret = (struct caps){(uint64_t)s->cap_bounding & known, (uint64_t)s->cap_permitted & known,
				     (uint64_t)s->cap_effective & known, (uint64_t)s->cap_ambient & known};
		return 0;
	}
	uint64_t mask = s->privileged ? known : caps_default;
	if (has_all(s->cap_add))
		mask = known;
	if (has_all(s->cap_drop))
		mask = 0;
	int r = apply(s->cap_add, true, &mask, ret_unknown);
	if (r == 0)
		r = apply(s->cap_drop, false, &mask, ret_unknown);
	if (r < 0)
		return r;
	*ret = (struct caps){mask & known, mask & known, mask & known, 0};
	return 0;
}
