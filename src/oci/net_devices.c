/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/net_devices.h"

#include <errno.h>

#include "base/json.h"
#include "oci/error.h"
#include "oci/maker.h"

int net_devices_take(const struct maker *m)
{
	JSON_EACH(d, json_path(m->c->config, "linux.netDevices"))
		return oci_fail(-ENOTSUP, "linux.netDevices: %s", d->key);
	return 0;
}
