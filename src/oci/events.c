/* SPDX-License-Identifier: Apache-2.0 */
/* events: statistics of a container, and running out of memory, one JSON line each, in runc's form. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/stats.h"

static struct {
	bool stats;
	const char *interval;
} given = {.interval = "5s"};

static const struct flag flags[] = {{"stats", 0, FLAG_BOOL, &given.stats, "one line and done"},
				    {"interval", 0, FLAG_STRING, &given.interval, "between lines (5s)"},
				    {0}};

static int print_event(struct container *c, const char *type, struct json *data)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set_str(&a, o, "type", type);
	json_set_str(&a, o, "id", c->id);
	if (data)
		json_set(&a, o, "data", data);
	return print_json(o, false);
}

static int print_stats(struct container *c)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *data;
	int r = stats_read(&a, c, &data);
	return r < 0 ? r : print_event(c, "stats", data);
}

/* "5s", "500ms", "1m". */
static int64_t parse_interval_ms(const char *text)
{
	int64_t n;
	char digits[16];
	size_t len = strspn(text, "0123456789");
	snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
	if (len >= sizeof(digits) || parse_int_range(digits, 1, 86400000, &n) < 0)
		return -1;
	return !strcmp(text + len, "ms")		? n
	       : !strcmp(text + len, "s") || !text[len] ? n * 1000
	       : !strcmp(text + len, "m")		? n * 60000
							: -1;
}

static int follow(struct container *c, int64_t interval_ms)
{
	_cleanup_close_ int pidfd = container_pidfd(c), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
			    oom = stats_watch_oom(c);
	int64_t kills = stats_oom_kills(c);
	struct itimerspec every = {.it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000},
				   .it_value = {interval_ms / 1000, interval_ms % 1000 * 1000000}};
	if (timer < 0 || timerfd_settime(timer, 0, &every, NULL) < 0)
		return oci_fail(-errno, "timer");
	struct pollfd p[3] = {{pidfd, POLLIN, 0}, {timer, POLLIN, 0}, {oom, (short)(POLLPRI | POLLIN), 0}};
	for (;;) {
		uint64_t n;
		char text[4096];
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return oci_fail(-errno, "poll");
		if (p[2].revents) {
			(void)!pread(oom, text, sizeof(text), 0);
			(void)!read(oom, &n, p[2].revents & POLLPRI ? 0 : sizeof(n));
			int64_t now = stats_oom_kills(c);
			if (now > kills && print_event(c, "oom", NULL) < 0)
				return -EIO;
			kills = now;
			if (p[2].revents & (POLLERR | POLLHUP) && !(p[2].revents & POLLPRI))
				p[2].fd = -1;
		}
		if (p[0].revents)
			return 0;
		if (p[1].revents) {
			(void)!read(timer, &n, sizeof(n));
			int r = print_stats(c);
			if (r < 0)
				return r;
		}
	}
}

static int events(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int64_t interval_ms = parse_interval_ms(given.interval);
	(void)argc;
	if (interval_ms < 0)
		return oci_fail(0, "duration interval \"%s\" must be greater than 0", given.interval);
	int r = container_load(&c, argv[0], false);
	if (r == 0 && container_phase_of(&c) == PHASE_STOPPED)
		return oci_fail(0, "container not running: %s is stopped", c.id);
	if (r == 0)
		r = group_detect(&c.group);
	if (r < 0)
		return r;
	return given.stats ? print_stats(&c) : follow(&c, interval_ms);
}

const struct command command_events = {"events", "ID",	"print statistics and out-of-memory events", flags, 1, 1, false,
				       false,	 events};
