/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/self.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "oci/error.h"
#include "runtime/rootfs.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

extern char **environ;

/* Opening our executable for writing could not succeed through this descriptor's mount or file. */
static bool safe(int exe)
{
	struct statvfs fs;
	int seals = fcntl(exe, F_GET_SEALS);
	if (seals >= 0 && (seals & SEALS) == SEALS)
		return true;
	/* The clone is the root of a detached mount: a read-only mount somebody else could make writable again is not
	 * enough. */
	return fstatvfs(exe, &fs) == 0 && fs.f_flag & ST_RDONLY;
}

static int read_only_clone(void)
{
	_cleanup_close_ int fd = mount_clone(AT_FDCWD, "/proc/self/exe", false);
	if (fd < 0)
		return fd;
	struct mount_attr a = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int sealed_copy(int exe)
{
	struct stat st;
	/* Without MFD_CLOEXEC a script could find it; with it execveat still works, since we are no script. */
	_cleanup_close_ int fd = memfd_create("proa-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (fd < 0 && errno == EINVAL) /* a kernel before MFD_EXEC */
		fd = memfd_create("proa-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fstat(exe, &st) < 0)
		return -errno;
	for (off_t done = 0; done < st.st_size;) {
		ssize_t n = sendfile(fd, exe, NULL, (size_t)(st.st_size - done));
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += n;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* ---- in the same process ---- */

static int detached = -1;

struct addresses {
	unsigned long long start_code, end_code, start_stack, start_data, end_data, start_brk, args, args_end, env,
	    env_end;
};

/* Fields 26 to 28 and 45 to 51 of proc(5)'s stat. The name before them may hold anything: counted from its end. */
static int read_addresses(struct addresses *a)
{
	char text[1024];
	_cleanup_close_ int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	const char *at = strrchr(text, ')');
	for (int field = 2; at && field < 26; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu %llu %llu", &a->start_code, &a->end_code, &a->start_stack) != 3)
		return -EIO;
	for (int field = 26; at && field < 45; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu %llu %llu %llu %llu %llu %llu", &a->start_data, &a->end_data, &a->start_brk,
			  &a->args, &a->args_end, &a->env, &a->env_end) != 7)
		return -EIO;
	return 0;
}

/* One segment anew, with the same content at the same place: what is read only from exe, what was written to copied. */
static int map_again(const ElfW(Phdr) * s, uintptr_t base, uintptr_t page, int exe)
{
	uintptr_t from = (base + s->p_vaddr) & ~(page - 1),
		  to = (base + s->p_vaddr + s->p_filesz + page - 1) & ~(page - 1);
	off_t offset = (off_t)(s->p_offset & ~(page - 1));
	int prot = (s->p_flags & PF_R ? PROT_READ : 0) | (s->p_flags & PF_X ? PROT_EXEC : 0);
	if (from >= to)
		return 0;
	if (!(s->p_flags & PF_W))
		return mmap((void *)from, to - from, prot, MAP_PRIVATE | MAP_FIXED, exe, offset) == MAP_FAILED ? -errno
													       : 0;
	void *copy = mmap(NULL, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return -errno;
	memcpy(copy, (void *)from, to - from);
	if (mremap(copy, to - from, to - from, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)from) == MAP_FAILED)
		return -errno;
	return 0;
}

struct again {
	int exe, error;
};

static int segments_again(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct again *a = arg;
	uintptr_t page = (uintptr_t)getpagesize(), base = info->dlpi_addr;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum && a->error == 0; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			a->error = map_again(&info->dlpi_phdr[i], base, page, a->exe);
	for (int i = 0; i < info->dlpi_phnum && a->error == 0; i++) {
		const ElfW(Phdr) *s = &info->dlpi_phdr[i];
		uintptr_t from = (base + s->p_vaddr) & ~(page - 1), to = (base + s->p_vaddr + s->p_memsz) & ~(page - 1);
		if (s->p_type == PT_GNU_RELRO && from < to && mprotect((void *)from, to - from, PROT_READ) < 0)
			a->error = -errno;
	}
	return 1; /* the first is the program */
}

/*
 * exec does not more for us than to exchange the file that /proc/PID/exe leads to, and takes a third of what the rest
 * of `exec` does. So it is exchanged (PR_SET_MM_MAP), which the kernel permits when nothing of the old one is mapped.
 */
static int adopt(int clone)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", clone);
	struct again again = {.exe = open(path, O_RDONLY | O_CLOEXEC)};
	_cleanup_close_ int exe = again.exe;
	struct addresses a;
	int r = exe < 0 ? -errno : read_addresses(&a);
	if (r < 0)
		return r;
	dl_iterate_phdr(segments_again, &again);
	if (again.error < 0)
		return again.error;
	struct prctl_mm_map map = {.start_code = a.start_code,
				   .end_code = a.end_code,
				   .start_data = a.start_data,
				   .end_data = a.end_data,
				   .start_brk = a.start_brk,
				   .brk = (uintptr_t)sbrk(0),
				   .start_stack = a.start_stack,
				   .arg_start = a.args,
				   .arg_end = a.args_end,
				   .env_start = a.env,
				   .env_end = a.env_end,
				   .exe_fd = (unsigned)exe};
	return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0 ? -errno : 0;
}

int self_mount(void)
{
	return detached;
}

void self_mount_close(void)
{
	if (detached >= 0)
		close(detached);
	detached = -1;
}

/* ---- both ---- */

static bool adopted(int clone)
{
	if (!STATIC_PROGRAM || adopt(clone) < 0)
		return false;
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return exe >= 0 && safe(exe);
}

int self_protect(char **argv)
{
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (exe < 0)
		return oci_fail(-errno, "opening /proc/self/exe");
	if (safe(exe))
		return 0;
	_cleanup_close_ int clone = read_only_clone();
	if (clone >= 0 && adopted(clone)) {
		detached = TAKE_FD(clone);
		return 0;
	}
	if (clone < 0)
		clone = sealed_copy(exe);
	if (clone < 0)
		return oci_fail(clone, "protecting the runtime's executable");
	syscall(SYS_execveat, clone, "", argv, environ, AT_EMPTY_PATH);
	return oci_fail(-errno, "executing the protected copy of the runtime");
}
