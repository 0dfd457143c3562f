/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/systemd_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"
#include "oci/bus.h"
#include "oci/resources.h"
#include "runtime/cgroup.h"

#define PROC_DEVICES_MAX 65536 /* at most 512 majors of either kind, each a short line */

/* ---- what is allowed in the end ---- */

struct allowed {
	bool all;
	size_t n;
	struct cgroup_device list[CGROUP_RULES_MAX + 32]; /* the usual ones, too */
};

static bool everything(const struct cgroup_device *d)
{
	return d->type == 'a' && d->major < 0 && d->minor < 0 && strpbrk(d->permissions, "r") &&
	       strpbrk(d->permissions, "w") && strpbrk(d->permissions, "m");
}

static bool same(const struct cgroup_device *a, const struct cgroup_device *b)
{
	return a->type == b->type && a->major == b->major && a->minor == b->minor &&
	       strspn(a->permissions, b->permissions) == strlen(a->permissions);
}

static void take_away(struct allowed *a, const struct cgroup_device *d)
{
	size_t kept = 0;
	for (size_t i = 0; i < a->n; i++)
		if (!same(&a->list[i], d))
			a->list[kept++] = a->list[i];
	a->n = kept;
}

static void take(struct allowed *a, const struct cgroup_rule *rule)
{
	if (everything(&rule->device)) {
		a->all = rule->allow;
		a->n = 0;
	} else if (!a->all && rule->allow && a->n < ARRAY_SIZE(a->list)) {
		a->list[a->n++] = rule->device;
	} else if (!a->all && !rule->allow) {
		take_away(a, &rule->device);
	}
}

/* ---- how it is said ---- */

/* Of a major number: systemd takes its name in /proc/devices. False: the kernel has no such driver. */
static bool find_driver(const char *devices, char type, int64_t major, char *out, size_t max)
{
	const char *at = strstr(devices, type == 'b' ? "Block devices:" : "Character devices:");
	at = at ? strchr(at, '\n') : NULL;
	while (at && at[1] && at[1] != '\n') {
		char *name;
		long long n = strtoll(at + 1, &name, 10);
		name += strspn(name, " ");
		if (n == major) {
			int len = snprintf(out, max, "%s-%.*s", type == 'b' ? "block" : "char",
					   (int)strcspn(name, "\n"), name);
			return len > 0 && (size_t)len < max;
		}
		at = strchr(name, '\n');
	}
	return false;
}

static void put_one(struct buf *b, const char *devices, const struct cgroup_device *d, char type)
{
	char node[128];
	const char *kind = type == 'b' ? "block" : "char";
	if (d->major < 0)
		snprintf(node, sizeof(node), "%s-*", kind);
	else if (d->minor >= 0)
		snprintf(node, sizeof(node), "/dev/%s/%lld:%lld", kind, (long long)d->major, (long long)d->minor);
	else if (!find_driver(devices, type, d->major, node, sizeof(node)))
		return;
	bus_align(b, 8);
	bus_put_string(b, node);
	bus_put_string(b, d->permissions);
}

static void put_property(struct buf *b, const char *name, const char *type)
{
	bus_align(b, 8);
	bus_put_string(b, name);
	bus_put_signature(b, type);
}

int systemd_put_devices(struct buf *b, const struct json *rules)
{
	static struct cgroup_rule list[CGROUP_RULES_MAX];
	static struct allowed allowed;
	_cleanup_buf_ struct buf devices = BUF_INIT;
	int n = resources_device_rules(rules, list);
	if (n < 0)
		return n;
	size_t n_usual;
	const struct cgroup_rule *usual = cgroup_usual_rules(&n_usual);
	memset(&allowed, 0, sizeof(allowed));
	for (int i = 0; i < n; i++)
		take(&allowed, &list[i]);
	for (size_t i = 0; i < n_usual; i++)
		take(&allowed, &usual[i]);
	buf_init(&devices, PROC_DEVICES_MAX);
	(void)fs_read("/proc/devices", PROC_DEVICES_MAX, &devices);
	put_property(b, "DevicePolicy", "s");
	bus_put_string(b, allowed.all ? "auto" : "strict");
	put_property(b, "DeviceAllow", "a(ss)"); /* empty first: an update replaces what was there */
	bus_end_array(b, bus_begin_array(b, 8), 8);
	if (!allowed.n)
		return 0;
	put_property(b, "DeviceAllow", "a(ss)");
	size_t array = bus_begin_array(b, 8);
	for (size_t i = 0; i < allowed.n; i++) {
		const struct cgroup_device *d = &allowed.list[i];
		if (d->type != 'c')
			put_one(b, buf_str(&devices), d, 'b');
		if (d->type != 'b')
			put_one(b, buf_str(&devices), d, 'c');
	}
	bus_end_array(b, array, 8);
	return 0;
}
