/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/mount_options.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/error.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#define ATIME MOUNT_ATTR__ATIME

/* Attributes; each also with an "r" in front. */
static const struct {
	const char *name;
	uint64_t set, clear;
} attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"noatime", MOUNT_ATTR_NOATIME, ATIME},
    {"atime", MOUNT_ATTR_RELATIME, ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, ATIME},
    {"norelatime", MOUNT_ATTR_STRICTATIME, ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, ATIME},
    {"nostrictatime", MOUNT_ATTR_RELATIME, ATIME},
};
static const struct {
	const char *name;
	unsigned long flag;
} propagations[] = {{"private", MS_PRIVATE}, {"shared", MS_SHARED}, {"slave", MS_SLAVE}, {"unbindable", MS_UNBINDABLE}};
/* Flags of the file system itself. */
static const char *const fs_flags[] = {"sync", "dirsync", "lazytime", "mand", "silent", NULL};
/* Their opposites, and words for other programs. */
static const char *const ignored[] = {"async",	  "nolazytime", "nomand", "loud",  "defaults",
				      "iversion", "noiversion", "acl",	  "noacl", NULL};
static const char *const special[] = {"bind", "rbind", "tmpcopyup", "idmap", "ridmap", NULL};

uint64_t mount_propagation(const char *word, bool *ret_recursive)
{
	*ret_recursive = word[0] == 'r';
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		if (!strcmp(word + *ret_recursive, propagations[i].name))
			return propagations[i].flag;
	return 0;
}

static bool take_attribute(struct mount_plan *m, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (!strcmp(word, attributes[i].name)) {
			m->clear = (m->clear & ~attributes[i].set) | attributes[i].clear;
			m->set = (m->set & ~attributes[i].clear) | attributes[i].set;
			return true;
		}
		if (word[0] == 'r' && !strcmp(word + 1, attributes[i].name)) {
			m->rec_clear = (m->rec_clear & ~attributes[i].set) | attributes[i].clear;
			m->rec_set = (m->rec_set & ~attributes[i].clear) | attributes[i].set;
			return true;
		}
	}
	return false;
}

static int take_special(struct mount_plan *m, const char *word)
{
	if (!strcmp(word, "bind"))
		m->bind = true;
	else if (!strcmp(word, "rbind"))
		m->bind = m->recursive = true;
	else if (!strcmp(word, "tmpcopyup"))
		m->copy_up = true;
	else if (!strcmp(word, "idmap"))
		m->idmap = 1;
	else if (!strcmp(word, "ridmap"))
		m->idmap = 2;
	else
		return oci_fail(0, "mount at %s: option \"%s\" is not supported", m->target, word);
	return 0;
}

int mount_options_read(struct arena *a, const struct json *mount, struct mount_plan *ret)
{
	struct mount_plan m = {.ids = -1, .tree = -1};
	_cleanup_buf_ struct buf data = BUF_INIT;
	m.target = json_path_str(mount, "destination");
	m.type = str_or(json_path_str(mount, "type"), "");
	m.source = str_or(json_path_str(mount, "source"), "");
	m.uid_maps = json_get(mount, "uidMappings");
	m.gid_maps = json_get(mount, "gidMappings");
	m.bind = !strcmp(m.type, "bind");
	m.recursive = !strcmp(m.type, "rbind");
	m.bind |= m.recursive;
	const struct json *options = json_get(mount, "options");
	JSON_EACH(e, options) {
		const char *word = json_str(e);
		bool recursive;
		uint64_t p = mount_propagation(word, &recursive);
		if (p && recursive)
			m.rec_propagation = p;
		else if (p)
			m.propagation = p;
		else if (!*word || take_attribute(&m, word) || str_in(word, ignored))
			continue;
		else if (str_in(word, special)) {
			int r = take_special(&m, word);
			if (r < 0)
				return r;
		} else {
			if (m.bind || config_list_has(options, "bind") || config_list_has(options, "rbind")) {
				/* The kernel would take no notice of it; flags are the file system's own affair. */
				if (str_in(word, fs_flags))
					continue;
				return oci_fail(0, "mount at %s: a bind mount has no option \"%s\"", m.target, word);
			}
			if (data.len)
				buf_addc(&data, ',');
			buf_adds(&data, word);
		}
	}
	if ((json_len(m.uid_maps) > 0) != (json_len(m.gid_maps) > 0))
		return oci_fail(0, "mount at %s: uidMappings and gidMappings go together", m.target);
	if (json_len(m.uid_maps) && !m.idmap)
		m.idmap = 1;
	if (m.idmap && !m.bind)
		return oci_fail(0, "mount at %s: only bind mounts can be idmapped", m.target);
	if (m.copy_up && strcmp(m.type, "tmpfs"))
		return oci_fail(0, "mount at %s: tmpcopyup goes with tmpfs only", m.target);
	m.data = arena_strdup(a, buf_str(&data));
	*ret = m;
	return 0;
}

const char *mount_option_name(int i)
{
	static char name[32];
	static const char *const *const lists[] = {fs_flags, ignored, special};
	int n = 2 * (int)ARRAY_SIZE(attributes), p = 2 * (int)ARRAY_SIZE(propagations);
	if (i < n + p) {
		const char *base = i < n ? attributes[i / 2].name : propagations[(i - n) / 2].name;
		snprintf(name, sizeof(name), "%s%s", i % 2 ? "r" : "", base);
		return name;
	}
	i -= n + p;
	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (const char *const *at = lists[l]; *at; at++)
			if (i-- == 0)
				return *at;
	return NULL;
}
