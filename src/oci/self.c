/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif
#include <sys/mount.h>
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

int self_protect(char **argv)
{
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (exe < 0)
		return oci_fail(-errno, "opening /proc/self/exe");
	if (safe(exe))
		return 0;
	_cleanup_close_ int clone = read_only_clone();
	if (clone < 0)
		clone = sealed_copy(exe);
	if (clone < 0)
		return oci_fail(clone, "protecting the runtime's executable");
	syscall(SYS_execveat, clone, "", argv, environ, AT_EMPTY_PATH);
	return oci_fail(-errno, "executing the protected copy of the runtime");
}
