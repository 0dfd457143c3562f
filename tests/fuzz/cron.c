/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules of CronJobs: what is taken names at least one minute, and what is not is explained. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/cron.h"
#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct cron_schedule s = {0};
	char error[CRON_ERROR_MAX] = "";

	if (cron_parse(arena_strndup(&a, (const char *)data, size), &s, error) < 0) {
		assert(*error);
		return 0;
	}
	assert(s.every_s > 0 || (s.minutes && s.hours && s.days && s.months && s.weekdays));
	assert(s.every_s || (!(s.minutes >> 60) && !(s.hours >> 24) && !(s.months >> 13) && !(s.weekdays >> 7)));
	return 0;
}
