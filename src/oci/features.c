/* SPDX-License-Identifier: Apache-2.0 */
/* features: what this runtime knows (runtime-spec, features.md), from the tables that the rest works by. */
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "oci/command.h"
#include "oci/config.h"
#include "oci/filter.h"
#include "oci/hooks.h"
#include "oci/mount_options.h"
#include "oci/namespaces.h"
#include "runtime/caps.h"

static struct json *strings(struct arena *a, const char *const *list)
{
	struct json *o = json_new(a, JSON_ARRAY);
	for (; *list; list++)
		json_append(o, json_new_str(a, *list));
	return o;
}

static struct json *enabled(struct arena *a, bool yes)
{
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_bool(a, o, "enabled", yes);
	return o;
}

static struct json *linux_features(struct arena *a)
{
	struct json *o = json_new(a, JSON_OBJECT), *list = json_array_in(a, o, "namespaces");
	for (size_t i = 0; i < NAMESPACE_KINDS; i++)
		json_append(list, json_new_str(a, namespace_kinds[i].name));
	list = json_array_in(a, o, "capabilities");
	for (int i = 0; caps_name(i); i++)
		json_append(list, json_new_strf(a, "CAP_%s", caps_name(i)));
	struct json *group = json_object_in(a, o, "cgroup");
	static const char *const kinds[] = {"v1", "v2", "systemd", "systemdUser", "rdma", NULL};
	for (const char *const *k = kinds; *k; k++)
		json_set_bool(a, group, *k, true);
	struct json *seccomp = json_set(a, o, "seccomp", enabled(a, true));
	json_set(a, seccomp, "actions", strings(a, filter_actions));
	json_set(a, seccomp, "operators", strings(a, filter_operators));
	json_set(a, seccomp, "archs", strings(a, filter_archs));
	json_set(a, seccomp, "knownFlags", strings(a, filter_flags));
	json_set(a, seccomp, "supportedFlags", strings(a, filter_flags));
	json_set(a, o, "apparmor", enabled(a, true));
	json_set(a, o, "selinux", enabled(a, true));
	json_set(a, o, "intelRdt", enabled(a, false));
	json_set(a, json_object_in(a, o, "mountExtensions"), "idmap", enabled(a, true));
	json_set(a, o, "netDevices", enabled(a, true));
	return o;
}

static int features(int argc, char **argv)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = json_new(&a, JSON_OBJECT), *list;
	(void)argc;
	(void)argv;
	json_set_str(&a, o, "ociVersionMin", "1.0.0");
	json_set_str(&a, o, "ociVersionMax", OCI_VERSION);
	json_set(&a, o, "hooks", strings(&a, hook_points));
	list = json_array_in(&a, o, "mountOptions");
	for (int i = 0; mount_option_name(i); i++)
		json_append(list, json_new_str(&a, arena_strdup(&a, mount_option_name(i))));
	json_set(&a, o, "linux", linux_features(&a));
	struct json *notes = json_object_in(&a, o, "annotations");
	json_set_str(&a, notes, "io.github.seccomp.libseccomp.version", filter_library());
	json_set_str(&a, notes, "org.opencontainers.runc.checkpoint.enabled", "false");
	json_set_str(&a, notes, "proa.version", PROA_VERSION);
	return print_json(o, true);
}

const struct command command_features = {"features", "",      "say what this runtime knows, as JSON", NULL, 0, 0, false,
					 false,	     features};
