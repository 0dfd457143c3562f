/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/error.h"

enum kind { STRING, BOOL, INT, I32, UINT, U32, ID, OBJECT, MAP, LIST };

/* LIST and MAP: `of` is one row, what each element or value is. OBJECT: the rows of its members, ended by a NULL name.
 */
struct property {
	const char *name;
	enum kind kind;
	const struct property *of;
	bool required;
};

#define END                                                                                                            \
	{                                                                                                              \
		0                                                                                                      \
	}
static const struct property a_string = {"", STRING, NULL, false};
static const struct property an_id = {"", ID, NULL, false};
#define ROW(type)                                                                                                      \
	{                                                                                                              \
		"", OBJECT, type, false                                                                                \
	}

static const struct property rlimit[] = {
    {"type", STRING, 0, true}, {"soft", UINT, 0, true}, {"hard", UINT, 0, true}, END};
static const struct property rlimit_row = ROW(rlimit);
static const struct property user[] = {{"uid", ID, 0, false},	       {"gid", ID, 0, false},
				       {"umask", U32, 0, false},       {"additionalGids", LIST, &an_id, false},
				       {"username", STRING, 0, false}, END};
static const struct property capabilities[] = {
    {"bounding", LIST, &a_string, false},    {"effective", LIST, &a_string, false},
    {"inheritable", LIST, &a_string, false}, {"permitted", LIST, &a_string, false},
    {"ambient", LIST, &a_string, false},     END};
static const struct property console_size[] = {{"height", U32, 0, false}, {"width", U32, 0, false}, END};
static const struct property scheduler[] = {{"policy", STRING, 0, true}, {"nice", I32, 0, false},
					    {"priority", I32, 0, false}, {"flags", LIST, &a_string, false},
					    {"runtime", UINT, 0, false}, {"deadline", UINT, 0, false},
					    {"period", UINT, 0, false},	 END};
static const struct property io_priority[] = {{"class", STRING, 0, true}, {"priority", INT, 0, false}, END};
static const struct property affinity[] = {{"initial", STRING, 0, false}, {"final", STRING, 0, false}, END};
static const struct property process[] = {{"terminal", BOOL, 0, false},
					  {"consoleSize", OBJECT, console_size, false},
					  {"user", OBJECT, user, false},
					  {"args", LIST, &a_string, false},
					  {"env", LIST, &a_string, false},
					  {"cwd", STRING, 0, true},
					  {"capabilities", OBJECT, capabilities, false},
					  {"rlimits", LIST, &rlimit_row, false},
					  {"noNewPrivileges", BOOL, 0, false},
					  {"apparmorProfile", STRING, 0, false},
					  {"selinuxLabel", STRING, 0, false},
					  {"oomScoreAdj", INT, 0, false},
					  {"scheduler", OBJECT, scheduler, false},
					  {"ioPriority", OBJECT, io_priority, false},
					  {"execCPUAffinity", OBJECT, affinity, false},
					  END};
static const struct property root[] = {{"path", STRING, 0, true}, {"readonly", BOOL, 0, false}, END};
static const struct property id_map[] = {
    {"containerID", U32, 0, true}, {"hostID", U32, 0, true}, {"size", U32, 0, true}, END};
static const struct property id_map_row = ROW(id_map);
static const struct property mount[] = {{"destination", STRING, 0, true},
					{"type", STRING, 0, false},
					{"source", STRING, 0, false},
					{"options", LIST, &a_string, false},
					{"uidMappings", LIST, &id_map_row, false},
					{"gidMappings", LIST, &id_map_row, false},
					END};
static const struct property mount_row = ROW(mount);
static const struct property hook[] = {{"path", STRING, 0, true},
				       {"args", LIST, &a_string, false},
				       {"env", LIST, &a_string, false},
				       {"timeout", INT, 0, false},
				       END};
static const struct property hook_row = ROW(hook);
static const struct property hooks[] = {{"prestart", LIST, &hook_row, false},
					{"createRuntime", LIST, &hook_row, false},
					{"createContainer", LIST, &hook_row, false},
					{"startContainer", LIST, &hook_row, false},
					{"poststart", LIST, &hook_row, false},
					{"poststop", LIST, &hook_row, false},
					END};
static const struct property device[] = {
    {"type", STRING, 0, true},	 {"path", STRING, 0, true}, {"major", INT, 0, false}, {"minor", INT, 0, false},
    {"fileMode", U32, 0, false}, {"uid", ID, 0, false},	    {"gid", ID, 0, false},    END};
static const struct property device_row = ROW(device);
static const struct property namespace[] = {{"type", STRING, 0, true}, {"path", STRING, 0, false}, END};
static const struct property namespace_row = ROW(namespace);
static const struct property device_rule[] = {{"allow", BOOL, 0, true},	    {"type", STRING, 0, false},
					      {"major", INT, 0, false},	    {"minor", INT, 0, false},
					      {"access", STRING, 0, false}, END};
static const struct property device_rule_row = ROW(device_rule);
static const struct property memory[] = {{"limit", INT, 0, false},
					 {"reservation", INT, 0, false},
					 {"swap", INT, 0, false},
					 {"kernel", INT, 0, false},
					 {"kernelTCP", INT, 0, false},
					 {"swappiness", UINT, 0, false},
					 {"disableOOMKiller", BOOL, 0, false},
					 {"useHierarchy", BOOL, 0, false},
					 {"checkBeforeUpdate", BOOL, 0, false},
					 END};
static const struct property cpu[] = {{"shares", UINT, 0, false},
				      {"quota", INT, 0, false},
				      {"burst", UINT, 0, false},
				      {"period", UINT, 0, false},
				      {"realtimeRuntime", INT, 0, false},
				      {"realtimePeriod", UINT, 0, false},
				      {"cpus", STRING, 0, false},
				      {"mems", STRING, 0, false},
				      {"idle", INT, 0, false},
				      END};
static const struct property pids[] = {{"limit", INT, 0, false}, END};
static const struct property weight_device[] = {
    {"major", INT, 0, true}, {"minor", INT, 0, true}, {"weight", U32, 0, false}, {"leafWeight", U32, 0, false}, END};
static const struct property weight_device_row = ROW(weight_device);
static const struct property throttle[] = {
    {"major", INT, 0, true}, {"minor", INT, 0, true}, {"rate", UINT, 0, false}, END};
static const struct property throttle_row = ROW(throttle);
static const struct property block_io[] = {{"weight", U32, 0, false},
					   {"leafWeight", U32, 0, false},
					   {"weightDevice", LIST, &weight_device_row, false},
					   {"throttleReadBpsDevice", LIST, &throttle_row, false},
					   {"throttleWriteBpsDevice", LIST, &throttle_row, false},
					   {"throttleReadIOPSDevice", LIST, &throttle_row, false},
					   {"throttleWriteIOPSDevice", LIST, &throttle_row, false},
					   END};
static const struct property hugepage[] = {{"pageSize", STRING, 0, true}, {"limit", UINT, 0, true}, END};
static const struct property hugepage_row = ROW(hugepage);
static const struct property net_priority[] = {{"name", STRING, 0, true}, {"priority", U32, 0, true}, END};
static const struct property net_priority_row = ROW(net_priority);
static const struct property network[] = {
    {"classID", U32, 0, false}, {"priorities", LIST, &net_priority_row, false}, END};
static const struct property rdma[] = {{"hcaHandles", U32, 0, false}, {"hcaObjects", U32, 0, false}, END};
static const struct property rdma_row = ROW(rdma);
static const struct property resources[] = {{"devices", LIST, &device_rule_row, false},
					    {"memory", OBJECT, memory, false},
					    {"cpu", OBJECT, cpu, false},
					    {"pids", OBJECT, pids, false},
					    {"blockIO", OBJECT, block_io, false},
					    {"hugepageLimits", LIST, &hugepage_row, false},
					    {"network", OBJECT, network, false},
					    {"rdma", MAP, &rdma_row, false},
					    {"unified", MAP, &a_string, false},
					    END};
static const struct property seccomp_arg[] = {
    {"index", U32, 0, true}, {"value", UINT, 0, true}, {"valueTwo", UINT, 0, false}, {"op", STRING, 0, true}, END};
static const struct property seccomp_arg_row = ROW(seccomp_arg);
static const struct property syscall_[] = {{"names", LIST, &a_string, true},
					   {"action", STRING, 0, true},
					   {"errnoRet", U32, 0, false},
					   {"args", LIST, &seccomp_arg_row, false},
					   END};
static const struct property syscall_row = ROW(syscall_);
static const struct property seccomp[] = {
    {"defaultAction", STRING, 0, true},	       {"defaultErrnoRet", U32, 0, false},
    {"architectures", LIST, &a_string, false}, {"flags", LIST, &a_string, false},
    {"listenerPath", STRING, 0, false},	       {"listenerMetadata", STRING, 0, false},
    {"syscalls", LIST, &syscall_row, false},   END};
static const struct property time_offset[] = {{"secs", INT, 0, false}, {"nanosecs", U32, 0, false}, END};
static const struct property time_offset_row = ROW(time_offset);
static const struct property personality[] = {{"domain", STRING, 0, true}, {"flags", LIST, &a_string, false}, END};
static const struct property intel_rdt[] = {{"closID", STRING, 0, false},	  {"schemata", LIST, &a_string, false},
					    {"l3CacheSchema", STRING, 0, false},  {"memBwSchema", STRING, 0, false},
					    {"enableMonitoring", BOOL, 0, false}, END};
static const struct property net_device[] = {{"name", STRING, 0, false}, END};
static const struct property net_device_row = ROW(net_device);
static const struct property memory_policy[] = {
    {"mode", STRING, 0, true}, {"nodes", STRING, 0, false}, {"flags", LIST, &a_string, false}, END};
static const struct property linux_[] = {{"devices", LIST, &device_row, false},
					 {"uidMappings", LIST, &id_map_row, false},
					 {"gidMappings", LIST, &id_map_row, false},
					 {"namespaces", LIST, &namespace_row, false},
					 {"netDevices", MAP, &net_device_row, false},
					 {"resources", OBJECT, resources, false},
					 {"cgroupsPath", STRING, 0, false},
					 {"rootfsPropagation", STRING, 0, false},
					 {"seccomp", OBJECT, seccomp, false},
					 {"sysctl", MAP, &a_string, false},
					 {"maskedPaths", LIST, &a_string, false},
					 {"readonlyPaths", LIST, &a_string, false},
					 {"mountLabel", STRING, 0, false},
					 {"intelRdt", OBJECT, intel_rdt, false},
					 {"personality", OBJECT, personality, false},
					 {"timeOffsets", MAP, &time_offset_row, false},
					 {"memoryPolicy", OBJECT, memory_policy, false},
					 END};
static const struct property config[] = {{"ociVersion", STRING, 0, true},     {"root", OBJECT, root, false},
					 {"mounts", LIST, &mount_row, false}, {"process", OBJECT, process, false},
					 {"hostname", STRING, 0, false},      {"domainname", STRING, 0, false},
					 {"hooks", OBJECT, hooks, false},     {"annotations", MAP, &a_string, false},
					 {"linux", OBJECT, linux_, false},    END};

/* Where the checker is, for its message. */
struct place {
	const struct place *above;
	const char *name;
	int index; /* -1: a member */
};

static void write_place(const struct place *p, char *out, size_t max)
{
	if (!p)
		return;
	write_place(p->above, out, max);
	size_t n = strlen(out);
	if (p->index >= 0)
		snprintf(out + n, max - n, "[%d]", p->index);
	else
		snprintf(out + n, max - n, "%s%s", n ? "." : "", p->name);
}

static int wrong(const struct place *at, const char *what)
{
	char path[300] = "";
	write_place(at, path, sizeof(path));
	return oci_fail(0, "config: %s %s", path, what);
}

static bool number_within(const struct json *v, enum kind k)
{
	uint64_t u;
	int64_t i;
	if (k == INT)
		return json_is_int(v);
	if (k == I32)
		return json_is_int(v) && json_int(v, 0) >= INT32_MIN && json_int(v, 0) <= INT32_MAX;
	if (v->type != JSON_NUMBER)
		return false;
	if (parse_u64(v->str, &u) < 0) { /* also 3.0 and 3e2 */
		i = json_int(v, -1);
		if (!json_is_int(v) || i < 0)
			return false;
		u = (uint64_t)i;
	}
	/* (uid_t)-1 means "unchanged" to the kernel: no user has it. */
	return k == UINT || (k == U32 && u <= UINT32_MAX) || (k == ID && u < UINT32_MAX);
}

static int check(const struct json *v, const struct property *row, const struct place *at);

static int check_object(const struct json *v, const struct property *rows, const struct place *at)
{
	for (const struct property *row = rows; row->name; row++) {
		const struct json *member = json_get(v, row->name);
		struct place here = {at, row->name, -1};
		if (!member || member->type == JSON_NULL) {
			if (row->required)
				return wrong(&here, "is required");
			continue;
		}
		int r = check(member, row, &here);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_all(const struct json *v, const struct property *row, const struct place *at)
{
	int i = 0;
	JSON_EACH(e, v) {
		struct place here = {at, e->key ? e->key : "", e->key ? -1 : i++};
		if (e->key && strlen(e->key) != e->key_len)
			return wrong(&here, "must not hold a NUL");
		int r = row->of ? check(e, row->of, &here) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int check(const struct json *v, const struct property *row, const struct place *at)
{
	switch (row->kind) {
	case STRING:
		if (v->type != JSON_STRING)
			return wrong(at, "must be a string");
		return strlen(v->str) == v->len ? 0 : wrong(at, "must not hold a NUL");
	case BOOL:
		return v->type == JSON_BOOL ? 0 : wrong(at, "must be true or false");
	case INT:
		return number_within(v, INT) ? 0 : wrong(at, "must be an integer");
	case I32:
		return number_within(v, I32) ? 0 : wrong(at, "must be an integer of 32 bits");
	case UINT:
		return number_within(v, UINT) ? 0 : wrong(at, "must be an integer and not negative");
	case U32:
		return number_within(v, U32) ? 0 : wrong(at, "must be an integer of 32 bits and not negative");
	case ID:
		return number_within(v, ID) ? 0 : wrong(at, "must be an id between 0 and 4294967294");
	case OBJECT:
		return v->type == JSON_OBJECT ? check_object(v, row->of, at) : wrong(at, "must be an object");
	case MAP:
		return v->type == JSON_OBJECT ? check_all(v, row, at) : wrong(at, "must be an object");
	case LIST:
		return v->type == JSON_ARRAY ? check_all(v, row, at) : wrong(at, "must be a list");
	}
	return 0;
}

int config_check(const struct json *c)
{
	static const struct property row = ROW(config);
	if (!json_is(c, JSON_OBJECT))
		return oci_fail(0, "config: must be an object");
	int r = check(c, &row, NULL);
	if (r < 0)
		return r;
	const char *version = json_path_str(c, "ociVersion");
	if (!str_has_prefix(version, "1."))
		return oci_fail(0, "config: ociVersion \"%s\" is not supported (1.x is)", version);
	return 0;
}

int config_check_process(const struct json *p)
{
	static const struct property row = ROW(process);
	return json_is(p, JSON_OBJECT) ? check(p, &row, NULL) : oci_fail(0, "process: must be an object");
}

int config_check_resources(const struct json *r)
{
	static const struct property row = ROW(resources);
	return json_is(r, JSON_OBJECT) ? check(r, &row, NULL) : oci_fail(0, "resources: must be an object");
}

static int read_stdin(struct buf *b)
{
	for (;;) {
		char *at = buf_reserve(b, 4096);
		if (!at)
			return -EFBIG;
		ssize_t n = read(STDIN_FILENO, at, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		b->len += (size_t)n;
		b->data[b->len] = 0;
	}
}

int config_read(struct arena *a, const char *path, struct json **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json_error err;
	buf_init(&b, CONFIG_MAX);
	int r = !strcmp(path, "-") ? read_stdin(&b) : fs_read(path, CONFIG_MAX, &b);
	if (r < 0)
		return oci_fail(r, "reading %s", path);
	if (json_parse(a, buf_str(&b), b.len, ret, &err) < 0)
		return oci_fail(0, "%s is not valid JSON: %s at byte %zu", path, err.message, err.offset);
	return 0;
}

uint64_t config_u64(const struct json *v, uint64_t fallback)
{
	uint64_t u;
	if (!json_is(v, JSON_NUMBER))
		return fallback;
	return parse_u64(v->str, &u) == 0 ? u : (uint64_t)json_int(v, (int64_t)fallback);
}

const char **config_strings(struct arena *a, const struct json *array, size_t *ret_n)
{
	size_t n = 0;
	const char **list = arena_zalloc(a, (json_len(array) + 1) * sizeof(*list));
	JSON_EACH(e, array)
		list[n++] = str_or(json_str(e), "");
	if (ret_n)
		*ret_n = n;
	return list;
}

bool config_list_has(const struct json *array, const char *word)
{
	JSON_EACH(e, array)
		if (str_eq(json_str(e), word))
			return true;
	return false;
}
