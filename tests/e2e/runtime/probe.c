/* SPDX-License-Identifier: Apache-2.0 */
/* In a container: system calls that reach parts of the kernel which a container has no business with. "NAME ERRNO"
 * each. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

int main(void)
{
	static char zeros[4096];
	const struct {
		const char *name;
		long nr, a, b, c, d;
	} calls[] = {
	    {"getpid", SYS_getpid, 0, 0, 0, 0}, /* what is allowed */
	    {"socket", SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0},
	    {"vsock", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0},
	    {"io_uring_setup", 425, 1, (long)zeros, 0, 0},
	    {"io_uring_enter", 426, -1, 0, 0, 0},
	    {"io_uring_register", 427, -1, 0, 0, 0},
	    {"bpf", SYS_bpf, 0, (long)zeros, 64, 0},
	    {"userfaultfd", SYS_userfaultfd, 1, 0, 0, 0},
	    {"perf_event_open", SYS_perf_event_open, (long)zeros, 0, -1, -1},
	    {"keyctl", SYS_keyctl, 0, -3, 0, 0},
	    {"add_key", SYS_add_key, (long)"user", (long)"x", (long)"y", 1},
	    {"request_key", SYS_request_key, (long)"user", (long)"x", 0, 0},
	    {"mount", SYS_mount, (long)"x", (long)"/tmp", (long)"tmpfs", 0},
	    {"umount2", SYS_umount2, (long)"/proc", 2, 0, 0},
	    {"pivot_root", SYS_pivot_root, (long)"/tmp", (long)"/tmp", 0, 0},
	    {"open_tree", 428, -100, (long)"/", 1, 0},
	    {"move_mount", 429, -1, (long)"", -1, (long)""},
	    {"fsopen", 430, (long)"tmpfs", 0, 0, 0},
	    {"mount_setattr", 442, -100, (long)"/", 0, (long)zeros},
	    {"unshare", SYS_unshare, CLONE_NEWUSER, 0, 0, 0},
	    {"clone", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0},
	    {"clone3", 435, (long)zeros, 64, 0, 0},
	    {"setns", SYS_setns, 0, 0, 0, 0},
	    {"open_by_handle_at", SYS_open_by_handle_at, -100, (long)zeros, 0, 0},
	    {"process_vm_readv", SYS_process_vm_readv, 1, 0, 0, 0},
	    {"pidfd_getfd", 438, -1, 0, 0, 0},
	    {"kcmp", SYS_kcmp, 1, 1, 0, 0},
	    {"init_module", SYS_init_module, (long)zeros, 0, (long)"", 0},
	    {"finit_module", SYS_finit_module, -1, (long)"", 0, 0},
	    {"delete_module", SYS_delete_module, (long)"x", 0, 0, 0},
	    {"kexec_load", SYS_kexec_load, 0, 0, 0, 0},
	    {"reboot", SYS_reboot, 0, 0, 0, 0},
	    {"swapon", SYS_swapon, (long)"/x", 0, 0, 0},
	    {"acct", SYS_acct, (long)"/x", 0, 0, 0},
	    {"settimeofday", SYS_settimeofday, (long)zeros, 0, 0, 0},
	    {"quotactl", SYS_quotactl, 0, 0, 0, 0},
	    {"syslog", SYS_syslog, 10, 0, 0, 0},
	    {"fanotify_init", SYS_fanotify_init, 0, 0, 0, 0},
	    {"lsm_get_self_attr", 459, 100, 0, 0, 0},
	    {"statmount", 457, 0, 0, 0, 0},
#ifdef __x86_64__
	    {"iopl", SYS_iopl, 3, 0, 0, 0},
	    {"ioperm", SYS_ioperm, 0, 1, 1, 0},
	    {"x32 getpid", 0x40000000 | SYS_getpid, 0, 0, 0, 0},
#endif
	    {"not yet there", 600, 0, 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		errno = 0;
		long r = syscall(calls[i].nr, calls[i].a, calls[i].b, calls[i].c, calls[i].d, 0L);
		printf("%s %d\n", calls[i].name, r < 0 ? errno : 0);
		fflush(stdout);
	}
	return 0;
}
