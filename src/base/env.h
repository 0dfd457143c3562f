/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside world that logic depends on: clock and randomness as an ops table, so that a simulation can replace
 * both. `env` is the process-wide current table; it starts as the real one.
 */
#ifndef PROA_BASE_ENV_H
#define PROA_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct env_ops {
	int64_t (*now_ns)(void);       /* wall clock, nanoseconds since 1970-01-01 UTC */
	int64_t (*monotonic_ns)(void); /* since an arbitrary start */
	void (*random)(void *p, size_t len);
};

extern const struct env_ops env_real;
extern const struct env_ops *env;

static inline int64_t now_ns(void)
{
	return env->now_ns();
}
static inline int64_t now_s(void)
{
	return env->now_ns() / 1000000000;
}
static inline int64_t monotonic_ms(void)
{
	return env->monotonic_ns() / 1000000;
}

#define TIME_RFC3339_MAX 40
/* "2026-11-23T01:57:00Z"; micro: with six decimals, as MicroTime. Returns out. */
char *time_format(int64_t ns, char out[TIME_RFC3339_MAX]);
char *time_format_micro(int64_t ns, char out[TIME_RFC3339_MAX]);
char *time_format_nano(int64_t ns, char out[TIME_RFC3339_MAX]); /* nine decimals, as container logs */
/* RFC 3339 with optional fraction and offset; 0 or -EINVAL. */
/* Years that nanoseconds don't reach (before 1678, after 2261) give the first or last time they do. */
int time_parse(const char *s, int64_t *ret_ns);

#define UUID_LEN 36
void uuid_make(char out[UUID_LEN + 1]); /* version 4, lower case */
/* n random characters of the alphabet Kubernetes uses for generated names (no vowels, no 0, 1, 3), and a NUL. */
void random_suffix(char *out, size_t n);

#endif
