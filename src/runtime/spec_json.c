/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spec_json.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/macros.h"

enum kind {
	STRING,	 /* const char * */
	CHARS,	 /* char[n] inside the struct; n in count_offset */
	BOOL,	 /* bool */
	INT,	 /* int */
	INT64,	 /* int64_t */
	STRINGS, /* const char *const *, NULL-terminated; absent and NULL are the same */
	INTS,	 /* const int64_t * with a count */
	OBJECT,	 /* struct inside */
	OBJECTS, /* array of structs with a count */
};

struct table;
struct field {
	const char *name;
	enum kind kind;
	size_t offset, count_offset;
	const struct table *of;
};

struct table {
	size_t size;
	const struct field *fields;
	size_t n;
	bool open; /* members that aren't here are skipped: what a newer peer tells; what it asks for must be known */
};

#define F(type, member, kind)                                                                                          \
	{                                                                                                              \
#member, kind, offsetof(type, member), 0, NULL                                                         \
	}
#define FCHARS(type, member)                                                                                           \
	{                                                                                                              \
#member, CHARS, offsetof(type, member), sizeof(((type *)0)->member), NULL                              \
	}
#define FINTS(type, member)                                                                                            \
	{                                                                                                              \
#member, INTS, offsetof(type, member), offsetof(type, n_##member), NULL                                \
	}
#define FOBJECT(type, member, table)                                                                                   \
	{                                                                                                              \
#member, OBJECT, offsetof(type, member), 0, &(table)                                                   \
	}
#define FOBJECTS(type, member, table)                                                                                  \
	{                                                                                                              \
#member, OBJECTS, offsetof(type, member), offsetof(type, n_##member), &(table)                         \
	}
#define TABLE(type, fields)                                                                                            \
	{                                                                                                              \
		sizeof(type), fields, ARRAY_SIZE(fields), false                                                        \
	}

static const struct field resources_fields[] = {
    F(struct spec_resources, cpu_shares, INT64),      F(struct spec_resources, cpu_quota_us, INT64),
    F(struct spec_resources, cpu_period_us, INT64),   F(struct spec_resources, memory_limit, INT64),
    F(struct spec_resources, memory_low_high, INT64), F(struct spec_resources, pids_limit, INT64),
    F(struct spec_resources, oom_group, BOOL),	      F(struct spec_resources, cpuset_cpus, STRING),
    F(struct spec_resources, cpuset_mems, STRING),
};
static const struct table resources_table = TABLE(struct spec_resources, resources_fields);

static const struct field sysctl_fields[] = {F(struct spec_sysctl, name, STRING), F(struct spec_sysctl, value, STRING)};
static const struct table sysctl_table = TABLE(struct spec_sysctl, sysctl_fields);

static const struct field pod_fields[] = {
    F(struct pod_spec, uid, STRING),
    F(struct pod_spec, name, STRING),
    F(struct pod_spec, namespace_, STRING),
    F(struct pod_spec, hostname, STRING),
    F(struct pod_spec, host_network, BOOL),
    F(struct pod_spec, host_pid, BOOL),
    F(struct pod_spec, host_ipc, BOOL),
    F(struct pod_spec, share_pid, BOOL),
    FOBJECTS(struct pod_spec, sysctls, sysctl_table),
    F(struct pod_spec, cgroup_parent, STRING),
    FOBJECT(struct pod_spec, resources, resources_table),
    F(struct pod_spec, shm_size, INT64),
};
static const struct table pod_table = TABLE(struct pod_spec, pod_fields);

static const struct field mount_fields[] = {
    F(struct spec_mount, type, STRING),
    F(struct spec_mount, source, STRING),
    F(struct spec_mount, source_fd_index, INT),
    F(struct spec_mount, target, STRING),
    F(struct spec_mount, data, STRING),
    F(struct spec_mount, readonly, BOOL),
    F(struct spec_mount, recursive_readonly, BOOL),
    F(struct spec_mount, noexec, BOOL),
    F(struct spec_mount, nosuid, BOOL),
    F(struct spec_mount, nodev, BOOL),
    F(struct spec_mount, propagation, INT),
};
static const struct table mount_table = TABLE(struct spec_mount, mount_fields);

static const struct field device_fields[] = {
    F(struct spec_device, host_path, STRING),
    F(struct spec_device, container_path, STRING),
    F(struct spec_device, permissions, STRING),
};
static const struct table device_table = TABLE(struct spec_device, device_fields);

static const struct field rlimit_fields[] = {
    F(struct spec_rlimit, name, STRING),
    F(struct spec_rlimit, soft, INT64),
    F(struct spec_rlimit, hard, INT64),
};
static const struct table rlimit_table = TABLE(struct spec_rlimit, rlimit_fields);

static const struct field container_fields[] = {
    F(struct container_spec, id, STRING),
    F(struct container_spec, name, STRING),
    F(struct container_spec, lowerdirs, STRINGS),
    F(struct container_spec, upperdir, STRING),
    F(struct container_spec, workdir, STRING),
    F(struct container_spec, rootfs, STRING),
    F(struct container_spec, readonly_rootfs, BOOL),
    F(struct container_spec, args, STRINGS),
    F(struct container_spec, env, STRINGS),
    F(struct container_spec, cwd, STRING),
    F(struct container_spec, user, STRING),
    F(struct container_spec, has_run_as_user, BOOL),
    F(struct container_spec, has_run_as_group, BOOL),
    F(struct container_spec, run_as_user, INT64),
    F(struct container_spec, run_as_group, INT64),
    F(struct container_spec, run_as_non_root, BOOL),
    F(struct container_spec, strict_groups, BOOL),
    FINTS(struct container_spec, groups),
    F(struct container_spec, has_caps, BOOL),
    F(struct container_spec, cap_bounding, INT64),
    F(struct container_spec, cap_permitted, INT64),
    F(struct container_spec, cap_effective, INT64),
    F(struct container_spec, cap_ambient, INT64),
    F(struct container_spec, privileged, BOOL),
    F(struct container_spec, cap_add, STRINGS),
    F(struct container_spec, cap_drop, STRINGS),
    F(struct container_spec, no_new_privileges, BOOL),
    F(struct container_spec, seccomp, STRING),
    F(struct container_spec, unmasked_proc, BOOL),
    F(struct container_spec, masked_paths, STRINGS),
    F(struct container_spec, readonly_paths, STRINGS),
    FOBJECTS(struct container_spec, rlimits, rlimit_table),
    F(struct container_spec, has_oom_score_adj, BOOL),
    F(struct container_spec, oom_score_adj, INT64),
    F(struct container_spec, tty, BOOL),
    F(struct container_spec, stdin_, BOOL),
    F(struct container_spec, stdin_once, BOOL),
    F(struct container_spec, log_path, STRING),
    FOBJECTS(struct container_spec, mounts, mount_table),
    FOBJECTS(struct container_spec, devices, device_table),
    FOBJECT(struct container_spec, resources, resources_table),
};
static const struct table container_table = TABLE(struct container_spec, container_fields);

static const struct field status_fields[] = {
    FCHARS(struct container_status, id),
    F(struct container_status, state, INT),
    F(struct container_status, pid, INT),
    F(struct container_status, exit_code, INT),
    F(struct container_status, signal, INT),
    F(struct container_status, oom_killed, BOOL),
    F(struct container_status, created_at_ns, INT64),
    F(struct container_status, started_at_ns, INT64),
    F(struct container_status, finished_at_ns, INT64),
};
static const struct table status_table = {sizeof(struct container_status), status_fields, ARRAY_SIZE(status_fields),
					  true};

#define AT(base, offset, type) (*(type *)((char *)(base) + (offset)))
#define CAT(base, offset, type) (*(__typeof__(type) const *)((const char *)(base) + (offset)))

static struct json *encode(struct arena *a, const struct table *t, const void *s)
{
	struct json *o = json_new(a, JSON_OBJECT), *list;
	for (const struct field *f = t->fields; f < t->fields + t->n; f++) {
		switch (f->kind) {
		case STRING:
			if (CAT(s, f->offset, char *))
				json_set_str(a, o, f->name, CAT(s, f->offset, char *));
			break;
		case CHARS:
			json_set_str(a, o, f->name, (const char *)s + f->offset);
			break;
		case BOOL:
			if (CAT(s, f->offset, bool))
				json_set_bool(a, o, f->name, true);
			break;
		case INT:
			if (CAT(s, f->offset, int))
				json_set_int(a, o, f->name, CAT(s, f->offset, int));
			break;
		case INT64:
			if (CAT(s, f->offset, int64_t))
				json_set_int(a, o, f->name, CAT(s, f->offset, int64_t));
			break;
		case STRINGS: {
			const char *const *v = CAT(s, f->offset, const char *const *);
			if (!v)
				break;
			list = json_set(a, o, f->name, json_new(a, JSON_ARRAY));
			for (; *v; v++)
				json_append(list, json_new_str(a, *v));
			break;
		}
		case INTS: {
			const int64_t *v = CAT(s, f->offset, int64_t *);
			size_t n = CAT(s, f->count_offset, size_t);
			if (!n)
				break;
			list = json_set(a, o, f->name, json_new(a, JSON_ARRAY));
			for (size_t i = 0; i < n; i++)
				json_append(list, json_new_int(a, v[i]));
			break;
		}
		case OBJECT:
			json_set(a, o, f->name, encode(a, f->of, (const char *)s + f->offset));
			break;
		case OBJECTS: {
			size_t n = CAT(s, f->count_offset, size_t);
			const char *at = CAT(s, f->offset, char *);
			if (!n)
				break;
			list = json_set(a, o, f->name, json_new(a, JSON_ARRAY));
			for (size_t i = 0; i < n; i++)
				json_append(list, encode(a, f->of, at + i * f->of->size));
			break;
		}
		}
	}
	return o;
}

static int decode(struct arena *a, const struct table *t, const struct json *o, void *s);

static int decode_list(struct arena *a, const struct field *f, const struct json *v, void *s)
{
	size_t n = json_len(v), i = 0;
	if (!json_is(v, JSON_ARRAY))
		return -EINVAL;
	if (f->kind == STRINGS) {
		const char **list = arena_zalloc(a, (n + 1) * sizeof(*list));
		JSON_EACH(c, v) {
			/* U+0000 inside would end the string early for execve: not what was asked for. */
			if (!json_is(c, JSON_STRING) || strlen(c->str) != c->len)
				return -EINVAL;
			list[i++] = arena_strdup(a, c->str);
		}
		AT(s, f->offset, const char **) = list;
		return 0;
	}
	if (f->kind == INTS) {
		int64_t *list = arena_zalloc(a, (n + 1) * sizeof(*list));
		JSON_EACH(c, v) {
			if (!json_is_int(c))
				return -EINVAL;
			list[i++] = json_int(c, 0);
		}
		AT(s, f->offset, int64_t *) = list;
	} else {
		char *list = arena_zalloc(a, (n + 1) * f->of->size);
		JSON_EACH(c, v) {
			int r = decode(a, f->of, c, list + i++ * f->of->size);
			if (r < 0)
				return r;
		}
		AT(s, f->offset, char *) = list;
	}
	AT(s, f->count_offset, size_t) = n;
	return 0;
}

static int decode_field(struct arena *a, const struct field *f, const struct json *v, void *s)
{
	switch (f->kind) {
	case STRING:
		if (!json_is(v, JSON_STRING) || strlen(v->str) != v->len)
			return -EINVAL;
		AT(s, f->offset, char *) = arena_strdup(a, v->str);
		return 0;
	case CHARS:
		if (!json_is(v, JSON_STRING) || v->len >= f->count_offset || strlen(v->str) != v->len)
			return -EINVAL;
		memcpy((char *)s + f->offset, v->str, v->len + 1);
		return 0;
	case BOOL:
		if (!json_is(v, JSON_BOOL))
			return -EINVAL;
		AT(s, f->offset, bool) = json_bool(v, false);
		return 0;
	case INT:
	case INT64: {
		if (!json_is_int(v))
			return -EINVAL;
		int64_t n = json_int(v, 0);
		if (f->kind == INT64)
			AT(s, f->offset, int64_t) = n;
		else if (n < INT_MIN || n > INT_MAX)
			return -EINVAL;
		else
			AT(s, f->offset, int) = (int)n;
		return 0;
	}
	case OBJECT:
		return decode(a, f->of, v, (char *)s + f->offset);
	default:
		return decode_list(a, f, v, s);
	}
}

static int decode(struct arena *a, const struct table *t, const struct json *o, void *s)
{
	memset(s, 0, t->size);
	if (!json_is(o, JSON_OBJECT))
		return -EINVAL;
	size_t known = 0;
	for (const struct field *f = t->fields; f < t->fields + t->n; f++) {
		const struct json *v = json_get(o, f->name);
		known += v != NULL;
		int r = v && !json_is(v, JSON_NULL) ? decode_field(a, f, v, s) : 0;
		if (r < 0)
			return r;
	}
	return known < json_len(o) && !t->open ? -EOPNOTSUPP : 0;
}

static const struct field *find(const struct table *t, const char *name)
{
	for (const struct field *f = t->fields; f < t->fields + t->n; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

static const char *unknown(const struct table *t, const struct json *o)
{
	const char *name = NULL;
	JSON_EACH(v, o) {
		const struct field *f = find(t, v->key);
		if (!f)
			return v->key;
		if (f->kind == OBJECT)
			name = unknown(f->of, v);
		for (size_t i = 0; f->kind == OBJECTS && !name && i < json_len(v); i++)
			name = unknown(f->of, json_at(v, i));
		if (name)
			return name;
	}
	return NULL;
}

const char *container_spec_unknown(const struct json *v)
{
	return unknown(&container_table, v);
}

#define CODEC(name, type, table)                                                                                       \
	struct json *name##_to_json(struct arena *a, const type *s)                                                    \
	{                                                                                                              \
		return encode(a, &table, s);                                                                           \
	}                                                                                                              \
	int name##_from_json(struct arena *a, const struct json *v, type *ret)                                         \
	{                                                                                                              \
		return decode(a, &table, v, ret);                                                                      \
	}

CODEC(pod_spec, struct pod_spec, pod_table)
CODEC(container_spec, struct container_spec, container_table)
CODEC(spec_resources, struct spec_resources, resources_table)
CODEC(container_status, struct container_status, status_table)

void container_id_make(char out[CONTAINER_ID_LEN + 1])
{
	unsigned char bytes[CONTAINER_ID_LEN / 2];
	env->random(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
