/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/net_devices.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/macros.h"
#include "oci/error.h"
#include "oci/maker.h"

int net_loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return oci_fail(-errno, "bringing the loopback interface up");
	return 0;
}

int net_devices_take(const struct maker *m)
{
	JSON_EACH(d, json_path(m->c->config, "linux.netDevices"))
		return oci_fail(-ENOTSUP, "linux.netDevices: %s", d->key);
	return 0;
}
