/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules of CronJobs: five fields (minute, hour, day of month, month, day of week) of *, ?, n, a-b, each with an
 * optional /step, separated by commas; names for months and days; @yearly and friends; "@every 90s". The grammar is
 * that of upstream's parser (robfig/cron's standard one): days of the week are 0 to 6.
 */
#ifndef PROA_API_CRON_H
#define PROA_API_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cron_schedule {
	uint64_t minutes, hours, days, months, weekdays; /* bit n: n is meant */
	/* Both given as *: every day. Only one restricted: that one counts. Both: a day of either. */
	bool any_day, any_weekday;
	int64_t every_s; /* "@every": seconds from one run to the next; 0: the fields count */
};

#define CRON_ERROR_MAX 160

/* 0, or -EINVAL with an explanation. */
int cron_parse(const char *text, struct cron_schedule *ret, char error[CRON_ERROR_MAX]);

#endif
