/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod sandbox and a container are to be: plain data, filled by the node agent (from a Pod) or by proa-oci (from
 * a config.json), carried to the shim as JSON (spec_json.h) and carried out there. Strings and arrays belong to the
 * caller; lists end with NULL or have a count beside them. Zero-initialise: every zero is a sensible default unless the
 * field says otherwise.
 *
 * The spec is trusted (it comes from the API server's validated objects); the rootfs and everything in it is not.
 */
#ifndef PROA_RUNTIME_SPEC_H
#define PROA_RUNTIME_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Named limits. A pod's object is at most 1.5 MiB in the store, so larger lists cannot be legitimate. */
#define SPEC_LOWERDIRS_MAX 128 /* image_layers max is 125; each is an open descriptor meanwhile */
#define SPEC_MOUNTS_MAX 1024
#define SPEC_GROUPS_MAX 1024 /* supplementary groups; the kernel takes 65536, nobody has them */

/* Limits of a cgroup. 0: not limited (pids, memory, cpu) or the kernel's default (shares). */
struct spec_resources {
	int64_t cpu_shares;	 /* v1 scale 2..262144 (a whole CPU is 1024); converted to cpu.weight on v2 */
	int64_t cpu_quota_us;	 /* per period; <= 0: none */
	int64_t cpu_period_us;	 /* 0: 100000 */
	int64_t memory_limit;	 /* bytes */
	int64_t memory_low_high; /* memory.high on v2, bytes; 0: none */
	int64_t pids_limit;
	bool oom_group; /* v2: running out of memory kills the whole group; set by the runtime for containers */
	const char *cpuset_cpus, *cpuset_mems; /* NULL: the parent's */
};

struct spec_sysctl {
	const char *name, *value; /* "net.ipv4.ip_forward" or with slashes; only namespaced ones are accepted */
};

struct pod_spec {
	const char *uid;	       /* names the pod's directory and cgroup: [A-Za-z0-9-]{1,64} */
	const char *name, *namespace_; /* for people: in logs and state files */
	const char *hostname;	       /* of the pod's UTS namespace; unused with host_network */
	bool host_network, host_pid, host_ipc;
	bool share_pid; /* shareProcessNamespace: one pid namespace whose pid 1 only reaps */
	struct spec_sysctl *sysctls;
	size_t n_sysctls;
	const char *cgroup_parent;	 /* below the runtime's root: "besteffort", "burstable" or "" for guaranteed */
	struct spec_resources resources; /* of the whole pod */
	int64_t shm_size;		 /* of the /dev/shm that its containers share; 0: 64 MiB */
};

enum spec_propagation {
	SPEC_PRIVATE,		/* mountPropagation None */
	SPEC_HOST_TO_CONTAINER, /* rslave */
	SPEC_BIDIRECTIONAL,	/* rshared */
};

struct spec_mount {
	const char *type;   /* NULL or "bind"; "tmpfs" */
	const char *source; /* bind: absolute host path (trusted), or NULL with source_fd_index */
	/*
	 * bind: 1 + index into container_create's fds array, an O_PATH descriptor of the file or directory to bind. For
	 * subPath, where the path below the volume is the container's and must be resolved by descriptor. 0: use
	 * source.
	 */
	int source_fd_index;
	const char *target; /* absolute path in the container; resolved inside the rootfs, created when absent */
	const char *data;   /* tmpfs: mount options, "size=65536k,mode=1777" */
	bool readonly;
	bool recursive_readonly; /* submounts too */
	bool noexec, nosuid, nodev;
	int propagation; /* enum spec_propagation */
};

struct spec_device {
	const char *host_path;	    /* a device node of the host */
	const char *container_path; /* NULL: the same */
	const char *permissions;    /* subset of "rwm"; NULL: all */
};

struct spec_rlimit {
	const char *name;   /* "RLIMIT_NOFILE" */
	int64_t soft, hard; /* -1: unlimited */
};

struct container_spec {
	const char *id;	  /* 64 lower-case hex digits (container_id_make) or, for OCI, [A-Za-z0-9_.-]{1,128} */
	const char *name; /* for people */

	/* rootfs: either an overlay of these, or a plain directory in rootfs */
	const char *const *lowerdirs;	/* absolute, uppermost first */
	const char *upperdir, *workdir; /* absolute, on one file system that can be an upper layer, empty at first */
	const char *rootfs;
	bool readonly_rootfs;

	/* process; also used, alone, for exec */
	const char *const *args; /* at least one; looked up in the env's PATH inside the rootfs when it has no slash */
	const char *const *env;	 /* "K=V" */
	const char *cwd;	 /* absolute; NULL or "": "/". Created when absent, as upstream's runtimes do */
	/*
	 * user: the image's form, "", "uid", "name", "uid:gid", "name:group"; names are looked up in the rootfs.
	 * run_as_user / run_as_group override it when has_* is set. run_as_non_root refuses uid 0.
	 */
	const char *user;
	bool has_run_as_user, has_run_as_group;
	int64_t run_as_user, run_as_group;
	bool run_as_non_root;
	bool strict_groups;    /* supplementalGroupsPolicy Strict: do not add those of the rootfs's /etc/group */
	const int64_t *groups; /* supplementary groups to add, fsGroup among them */
	size_t n_groups;

	/* Exact capability sets (bit n: capability n), for OCI; else they follow from privileged, cap_add and cap_drop.
	 */
	bool has_caps;
	int64_t cap_bounding, cap_permitted, cap_effective, cap_ambient;
	bool privileged;			      /* all capabilities and devices, nothing masked, no seccomp */
	const char *const *cap_add, *const *cap_drop; /* Kubernetes' names, without CAP_; "ALL" */
	bool no_new_privileges;			      /* allowPrivilegeEscalation: false */
	/*
	 * "RuntimeDefault", "Unconfined" or NULL (the same), or the absolute path of a compiled filter (what
	 * seccomp_compile_file made of a Localhost profile).
	 */
	const char *seccomp;
	bool unmasked_proc;					 /* procMount: Unmasked */
	const char *const *masked_paths, *const *readonly_paths; /* NULL: the usual ones */
	struct spec_rlimit *rlimits;
	size_t n_rlimits;
	bool has_oom_score_adj;
	int64_t oom_score_adj; /* best effort where lowering is not permitted */

	bool tty;
	bool stdin_;	      /* keep stdin open for attach; else /dev/null */
	bool stdin_once;      /* the first attach that ends closes it */
	const char *log_path; /* CRI log file; its directory exists. NULL: output is only for attach */

	struct spec_mount *mounts;
	size_t n_mounts;
	struct spec_device *devices;
	size_t n_devices;
	struct spec_resources resources;
};

/* How far a container is. Allowed: CREATED -> RUNNING -> EXITED, CREATED -> EXITED. */
enum container_state { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED };

struct container_status {
	char id[129];
	int state;					      /* enum container_state */
	int pid;					      /* in the host's pid namespace; 0 once exited */
	int exit_code;					      /* 0..255; 128 + signal when killed by one */
	int signal;					      /* that killed it, or 0 */
	bool oom_killed;				      /* a process of this container was killed for memory */
	int64_t created_at_ns, started_at_ns, finished_at_ns; /* wall clock; 0: not yet */
};

#define CONTAINER_ID_LEN 64
void container_id_make(char out[CONTAINER_ID_LEN + 1]); /* random */

#endif
