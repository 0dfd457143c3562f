/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs commands by turns, so that what else the machine does meets all alike, and prints one JSON object with medians.
 *
 *   by_turns ROUNDS NAME COMMAND [NAME COMMAND]…
 *
 * A command's words are separated by spaces; {} is a fresh identifier for each run; " ;; " separates commands that are
 * run one after the other and count as one. "cpu_ms" is the time of the processes waited for, and of theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 64
#define ROUNDS_MAX 1000
#define WARM_UP 2 /* runs that don't count: page cache, first directories */

extern char **environ;

struct measured {
	double ms[ROUNDS_MAX], cpu_ms[ROUNDS_MAX];
	int failed;
};

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(const struct rusage *r)
{
	return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1e3 +
	       (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e3;
}

static char *with_id(const char *command, int id)
{
	char *out = malloc(strlen(command) * 16 + 1), *at = out;
	for (const char *p = command; *p;)
		if (p[0] == '{' && p[1] == '}') {
			at += sprintf(at, "t%d-%d", getpid(), id);
			p += 2;
		} else {
			*at++ = *p++;
		}
	*at = 0;
	return out;
}

/* One of the commands; false when it failed. */
static int run(char *words, const posix_spawn_file_actions_t *quiet, double *cpu)
{
	char *argv[WORDS_MAX + 1], *save;
	int n = 0, status;
	struct rusage used;
	pid_t pid;
	for (char *w = strtok_r(words, " ", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	argv[n] = NULL;
	if (posix_spawnp(&pid, argv[0], quiet, NULL, argv, environ) != 0 || wait4(pid, &status, 0, &used) < 0)
		return 0;
	*cpu += cpu_ms(&used);
	return status == 0;
}

static void measure(const char *command, int round, const posix_spawn_file_actions_t *quiet, struct measured *m)
{
	static int serial;
	char *text = with_id(command, serial++);
	double begin = now_ms(), cpu = 0;
	int ok = 1;
	for (char *at = text, *end; at; at = end) {
		end = strstr(at, " ;; ");
		if (end) {
			*end = 0;
			end += 4;
		}
		ok &= run(at, quiet, &cpu);
	}
	if (round >= 0) {
		m->ms[round] = now_ms() - begin;
		m->cpu_ms[round] = cpu;
		m->failed += !ok;
	}
	free(text);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 0, n = (argc - 2) / 2;
	if (rounds < 1 || rounds > ROUNDS_MAX || n < 1 || argc % 2) {
		fprintf(stderr, "usage: by_turns ROUNDS NAME COMMAND [NAME COMMAND]…\n");
		return 2;
	}
	posix_spawn_file_actions_t quiet;
	posix_spawn_file_actions_init(&quiet);
	for (int fd = 0; fd < 3; fd++)
		if (fd < 2 || !getenv("BY_TURNS_STDERR"))
			posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_RDWR, 0);
	struct measured *m = calloc((size_t)n, sizeof(*m));
	for (int round = -WARM_UP; round < rounds; round++)
		for (int i = 0; i < n; i++)
			measure(argv[3 + 2 * i], round, &quiet, &m[i]);
	printf("{");
	for (int i = 0; i < n; i++) {
		qsort(m[i].ms, (size_t)rounds, sizeof(double), compare);
		qsort(m[i].cpu_ms, (size_t)rounds, sizeof(double), compare);
		printf("%s\"%s\":{\"median_ms\":%.2f,\"p10_ms\":%.2f,\"cpu_ms\":%.2f,\"failed\":%d}", i ? "," : "",
		       argv[2 + 2 * i], m[i].ms[rounds / 2], m[i].ms[rounds / 10], m[i].cpu_ms[rounds / 2],
		       m[i].failed);
	}
	printf("}\n");
	return 0;
}
