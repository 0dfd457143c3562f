/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a bus: one after the other until they end or one is refused, with the strings of their bodies. */
/* sources: oci/bus.c oci/error.c oci/pass.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "oci/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bus bus = {.fd = memfd_create("bus", MFD_CLOEXEC)};
	struct bus_message m;

	assert(bus.fd >= 0 && write(bus.fd, data, size) == (ssize_t)size);
	lseek(bus.fd, 0, SEEK_SET);
	while (bus_next(&bus, 0, &m) == 0) {
		for (unsigned n = 0; n < 8; n++) {
			const char *s = bus_string(&m, n % 2 ? 4 : 0, n);
			assert(!s || strlen(s) < m.body.len);
		}
		bus_message_release(&m);
	}
	bus_close(&bus);
	return 0;
}
