/* SPDX-License-Identifier: Apache-2.0 */
/* What of the pod's volumes a container sees, as files (volumeMounts) and as devices (volumeDevices). */
#include "api/validate_pod_internal.h"
#include "base/str.h"

/* The values of a member over a list. */
static void collect(struct map *set, const struct json *list, const char *key)
{
	EACH_ITEM(m, list)
		map_set(set, str_or(json_path_str(m, key), ""), set);
}

static void check_sub_paths(struct check *c, const char *list_at, const char *at, const struct json *m,
			    const struct json *volume)
{
	static const char *const keys[] = {"subPath", "subPathExpr"};
	const char *paths[] = {str_or(json_path_str(m, keys[0]), ""), str_or(json_path_str(m, keys[1]), "")};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (*paths[i] && json_get(volume, "image"))
			bad_invalid_str(c, PATH(c, "%s.%s", at, keys[i]), paths[i],
					"not allowed in image volume sources");
	check_relative_path(c, PATH(c, "%s.subPath", list_at), paths[0]);
	if (*paths[0] && *paths[1])
		bad_invalid_str(c, PATH(c, "%s.subPathExpr", at), paths[1],
				"subPathExpr and subPath are mutually exclusive");
	check_relative_path(c, PATH(c, "%s.subPathExpr", list_at), paths[1]);
}

static void check_modes(struct check *c, const char *list_at, const struct json *m, const struct json *container)
{
	static const char *const propagations[] = {"Bidirectional", "HostToContainer", "None", NULL};
	static const char *const recursive[] = {"Disabled", "Enabled", "IfPossible", NULL};
	const char *propagation = json_path_str(m, "mountPropagation"), *mode = json_path_str(m, "recursiveReadOnly");

	choice_in(c, list_at, m, "mountPropagation", propagations);
	if (str_eq(propagation, "Bidirectional") && !json_path_bool(container, "securityContext.privileged", false))
		bad_forbidden(c, PATH(c, "%s.mountPropagation", list_at),
			      "Bidirectional mount propagation is available only to privileged containers");
	if (!choice_in(c, list_at, m, "recursiveReadOnly", recursive) || !mode || str_eq(mode, "Disabled"))
		return;
	if (!json_path_bool(m, "readOnly", false))
		bad_forbidden(c, PATH(c, "%s.recursiveReadOnly", list_at),
			      "may only be specified when readOnly is true");
	if (propagation && !str_eq(propagation, "None"))
		bad_forbidden(c, PATH(c, "%s.recursiveReadOnly", list_at),
			      "may only be specified when mountPropagation is None or not specified");
}

static void check_volume_mounts(struct pod_check *p, const char *list_at, const struct json *container)
{
	struct check *c = p->c;
	const struct json *devices = json_get(container, "volumeDevices");
	_cleanup_names_ struct map points = MAP_INIT, device_names = MAP_INIT, device_paths = MAP_INIT;
	size_t i = 0;

	collect(&device_names, devices, "name");
	collect(&device_paths, devices, "devicePath");
	EACH_ITEM(m, json_get(container, "volumeMounts")) {
		const char *at = PATH(c, "%s[%zu]", list_at, i++), *name = str_or(json_path_str(m, "name"), "");
		const char *point = str_or(json_path_str(m, "mountPath"), "");
		const struct json *volume = map_get(&p->volumes, name);
		need_in(c, at, m, "name");
		if (!volume)
			bad_not_found(c, PATH(c, "%s.name", at), name);
		need_in(c, at, m, "mountPath");
		if (map_set(&points, point, p))
			bad_invalid_str(c, PATH(c, "%s.mountPath", at), point, "must be unique");
		if (map_has(&device_names, name))
			bad_invalid_str(c, PATH(c, "%s.name", at), name, "must not already exist in volumeDevices");
		if (map_has(&device_paths, point))
			bad_invalid_str(c, PATH(c, "%s.mountPath", at), point,
					"must not already exist as a path in volumeDevices");
		if (has_member(m, "subPath") || has_member(m, "subPathExpr"))
			check_sub_paths(c, list_at, at, m, volume);
		check_modes(c, list_at, m, container);
	}
}

static void check_volume_devices(struct pod_check *p, const char *list_at, const struct json *container)
{
	struct check *c = p->c;
	const struct json *mounts = json_get(container, "volumeMounts");
	_cleanup_names_ struct map names = MAP_INIT, paths = MAP_INIT, mounted = MAP_INIT, points = MAP_INIT;
	size_t i = 0;

	collect(&mounted, mounts, "name");
	collect(&points, mounts, "mountPath");
	EACH_ITEM(d, json_get(container, "volumeDevices")) {
		const char *at = PATH(c, "%s[%zu]", list_at, i++), *name = str_or(json_path_str(d, "name"), "");
		const char *path = str_or(json_path_str(d, "devicePath"), "");
		const struct json *volume = map_get(&p->volumes, name);
		need_in(c, at, d, "name");
		if (*name && map_set(&names, name, p))
			bad_invalid_str(c, PATH(c, "%s.name", at), name, "must be unique");
		if (!volume)
			bad_not_found(c, PATH(c, "%s.name", at), name);
		else if (!json_get(volume, "persistentVolumeClaim") && !json_get(volume, "ephemeral"))
			bad_invalid_str(c, PATH(c, "%s.name", at), name,
					"can only use volume source type of PersistentVolumeClaim or Ephemeral for "
					"block mode");
		need_in(c, at, d, "devicePath");
		if (map_has(&paths, path))
			bad_invalid_str(c, PATH(c, "%s.devicePath", at), path, "must be unique");
		if (path_steps_up(path))
			bad_invalid_str(c, PATH(c, "%s.devicePath", at), path, "can not contain backsteps ('..')");
		else
			map_set(&paths, path, p);
		if (map_has(&mounted, name))
			bad_invalid_str(c, PATH(c, "%s.name", at), name, "must not already exist in volumeMounts");
		if (map_has(&points, path))
			bad_invalid_str(c, PATH(c, "%s.devicePath", at), path,
					"must not already exist as a path in volumeMounts");
	}
}

void check_mounts(struct pod_check *p, const char *at, const struct json *container)
{
	if (json_get(container, "volumeMounts"))
		check_volume_mounts(p, PATH(p->c, "%s.volumeMounts", at), container);
	if (json_get(container, "volumeDevices"))
		check_volume_devices(p, PATH(p->c, "%s.volumeDevices", at), container);
}
