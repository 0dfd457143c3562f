/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is, and the Node object that says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "node/node_status.h"
#include "runtime/runtime.h"

#define SMALL_FILE_MAX 65536
#define STORAGE_RESERVE                                                                                                \
	10 /* a tenth of the disk is kept for the node itself, as upstream's eviction threshold does                   \
	    */

/* ---- facts ---- */

static void read_word(const char *path, char *out, size_t len)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *s;

	out[0] = 0;
	if (fs_read(path, SMALL_FILE_MAX, &b) < 0)
		return;
	s = buf_str(&b);
	snprintf(out, len, "%.*s", (int)MIN_OF(strcspn(s, " \t\r\n"), len - 1), s);
}

static void read_os_image(char *out, size_t len)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *s;

	snprintf(out, len, "Linux");
	if (fs_read("/etc/os-release", SMALL_FILE_MAX, &b) < 0)
		return;
	s = strstr(buf_str(&b), "PRETTY_NAME=");
	if (!s)
		return;
	s += strlen("PRETTY_NAME=");
	s += *s == '"';
	snprintf(out, len, "%.*s", (int)strcspn(s, "\"\n"), s);
}

static int64_t read_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (int64_t)pages * size : 0;
}

void node_facts_read(struct node_facts *f, const char *data_dir, unsigned pods)
{
	struct utsname u;
	struct statvfs fs;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*f = (struct node_facts){.cpus = cpus > 0 ? cpus : 1, .memory = read_memory(), .pods = pods};
	if (statvfs(data_dir, &fs) == 0)
		f->storage = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
	read_word("/etc/machine-id", f->machine_id, sizeof(f->machine_id));
	read_word("/proc/sys/kernel/random/boot_id", f->boot_id, sizeof(f->boot_id));
	read_word("/sys/class/dmi/id/product_uuid", f->system_uuid, sizeof(f->system_uuid));
	if (!f->system_uuid[0])
		snprintf(f->system_uuid, sizeof(f->system_uuid), "%s", f->machine_id);
	read_os_image(f->os_image, sizeof(f->os_image));
	uname(&u);
	snprintf(f->kernel, sizeof(f->kernel), "%s", u.release);
	snprintf(f->arch, sizeof(f->arch), "%s",
		 str_eq(u.machine, "x86_64")	? "amd64"
		 : str_eq(u.machine, "aarch64") ? "arm64"
						: u.machine);
}

/* ---- the object ---- */

static void put_quantity(struct arena *a, struct json *o, const char *key, int64_t value, enum quantity_format format)
{
	struct quantity q = quantity_of_int(value, format);

	json_set(a, o, key, quantity_to_json(a, &q));
}

static void put_resources(struct arena *a, struct json *o, const struct node_facts *f, int64_t storage)
{
	put_quantity(a, o, "cpu", f->cpus, QUANTITY_DECIMAL_SI);
	put_quantity(a, o, "ephemeral-storage", storage, QUANTITY_BINARY_SI);
	json_set_str(a, o, "hugepages-2Mi", "0");
	put_quantity(a, o, "memory", f->memory / 1024 * 1024, QUANTITY_BINARY_SI);
	put_quantity(a, o, "pods", f->pods, QUANTITY_DECIMAL_SI);
}

static void put_condition(struct arena *a, struct json *list, const struct json *previous, const char *type, bool value,
			  const char *reason, const char *message, int64_t now)
{
	struct json *c = json_append(list, json_new(a, JSON_OBJECT));
	const char *status = value ? "True" : "False", *since = NULL;
	char text[TIME_RFC3339_MAX];

	JSON_EACH(old, json_get(previous, "conditions"))
		if (str_eq(json_path_str(old, "type"), type) && str_eq(json_path_str(old, "status"), status))
			since = json_path_str(old, "lastTransitionTime");
	time_format(now, text);
	json_set_str(a, c, "type", type);
	json_set_str(a, c, "status", status);
	json_set_str(a, c, "lastHeartbeatTime", text);
	json_set_str(a, c, "lastTransitionTime", since ? since : text);
	json_set_str(a, c, "reason", reason);
	json_set_str(a, c, "message", message);
}

static void put_conditions(struct arena *a, struct json *status, const struct node_describe *d,
			   const struct json *previous)
{
	struct json *list = json_array_in(a, status, "conditions");

	put_condition(a, list, previous, "MemoryPressure", false, "KubeletHasSufficientMemory",
		      "kubelet has sufficient memory available", d->now_ns);
	put_condition(a, list, previous, "DiskPressure", false, "KubeletHasNoDiskPressure",
		      "kubelet has no disk pressure", d->now_ns);
	put_condition(a, list, previous, "PIDPressure", false, "KubeletHasSufficientPID",
		      "kubelet has sufficient PID available", d->now_ns);
	put_condition(a, list, previous, "Ready", d->ready, d->ready ? "KubeletReady" : "KubeletNotReady",
		      d->ready ? "kubelet is posting ready status" : str_or(d->not_ready_message, "starting"),
		      d->now_ns);
}

static void put_info(struct arena *a, struct json *status, const struct node_describe *d)
{
	struct json *info = json_object_in(a, status, "nodeInfo");
	const struct node_facts *f = d->facts;

	json_set_str(a, info, "architecture", f->arch);
	json_set_str(a, info, "bootID", f->boot_id);
	json_set_str(a, info, "containerRuntimeVersion", arena_printf(a, "proa://%s", runtime_version()));
	json_set_str(a, info, "kernelVersion", f->kernel);
	json_set_str(a, info, "kubeProxyVersion", "");
	json_set_str(a, info, "kubeletVersion", d->version);
	json_set_str(a, info, "machineID", f->machine_id);
	json_set_str(a, info, "operatingSystem", "linux");
	json_set_str(a, info, "osImage", f->os_image);
	json_set_str(a, info, "systemUUID", f->system_uuid);
}

static void put_address(struct arena *a, struct json *list, const char *type, const char *address)
{
	struct json *o = json_append(list, json_new(a, JSON_OBJECT));

	json_set_str(a, o, "type", type);
	json_set_str(a, o, "address", address);
}

struct json *node_object_status(struct arena *a, const struct node_describe *d, const struct json *previous)
{
	struct json *status = json_new(a, JSON_OBJECT), *addresses;
	const struct node_facts *f = d->facts;

	put_resources(a, json_object_in(a, status, "capacity"), f, f->storage);
	put_resources(a, json_object_in(a, status, "allocatable"), f, f->storage - f->storage / STORAGE_RESERVE);
	put_conditions(a, status, d, previous);
	addresses = json_array_in(a, status, "addresses");
	put_address(a, addresses, "InternalIP", d->ip);
	put_address(a, addresses, "Hostname", d->name);
	if (d->port)
		json_set_path(a, status, "daemonEndpoints.kubeletEndpoint.Port", json_new_int(a, d->port));
	put_info(a, status, d);
	struct json_error e;
	struct json *images;
	if (d->images && json_parse(a, d->images, strlen(d->images), &images, &e) == 0)
		json_set(a, status, "images", images);
	return status;
}

static void put_label(struct arena *a, struct json *labels, const char *key, const char *value)
{
	json_set_str(a, labels, key, value);
}

struct json *node_object(struct arena *a, const struct node_describe *d)
{
	struct json *node = meta_object_new(a, "v1", "Node", NULL, d->name);
	struct json *labels = json_object_in(a, meta_of(a, node), "labels");
	char *more = arena_strdup(a, str_or(d->labels, "")), *end;

	put_label(a, labels, "beta.kubernetes.io/arch", d->facts->arch);
	put_label(a, labels, "beta.kubernetes.io/os", "linux");
	put_label(a, labels, "kubernetes.io/arch", d->facts->arch);
	put_label(a, labels, "kubernetes.io/hostname", d->name);
	put_label(a, labels, "kubernetes.io/os", "linux");
	for (char *pair = strtok_r(more, ",", &end); pair; pair = strtok_r(NULL, ",", &end)) {
		char *eq = strchr(pair, '=');

		if (eq) {
			*eq = 0;
			put_label(a, labels, pair, eq + 1);
		}
	}
	json_object_in(a, node, "spec");
	json_set(a, node, "status", node_object_status(a, d, NULL));
	return node;
}
