/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: fault REPORT N PROGRAM [WORD…], or these three in FAULT_REPORT, FAULT_N and FAULT_PROGRAM: runs the program
 * and lets the Nth system call of it and of what it clones fail with ENOMEM, without being made (close with EIO, and
 * made: what it closes is closed whatever it says). What executes another program is let go first: it isn't under
 * test. With -N, who makes that call is killed instead.
 *
 * REPORT gets "calls COUNT", "failed NAME NUMBER pid|child" when the Nth was reached, and "left PID" for each process
 * that is still there LEFT_WAIT_S after a program that failed. The exit status is the program's; 124 when it hangs.
 */
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANG_S 10	/* a command takes milliseconds */
#define LEFT_WAIT_S 2	/* killed processes need a moment */
#define TRACEES_MAX 256 /* a run of the runtime has three or four */
#define OPTIONS                                                                                                        \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

static struct tracee {
	pid_t pid; /* 0: free */
	bool in_call, failing, closing;
} tracees[TRACEES_MAX];
static long calls, victim;
static bool killing;
static FILE *report;
static struct stat program;
static volatile sig_atomic_t late;

static struct tracee *find(pid_t pid)
{
	struct tracee *vacant = NULL;
	for (int i = 0; i < TRACEES_MAX; i++) {
		if (tracees[i].pid == pid)
			return &tracees[i];
		if (!tracees[i].pid && !vacant)
			vacant = &tracees[i];
	}
	if (!vacant)
		abort();
	*vacant = (struct tracee){.pid = pid};
	return vacant;
}

static void forget(pid_t pid)
{
	find(pid)->pid = 0;
}

static int alive(void)
{
	int n = 0;
	for (int i = 0; i < TRACEES_MAX; i++)
		n += tracees[i].pid > 0;
	return n;
}

static void on_alarm(int sig)
{
	(void)sig;
	late = 1;
}

/* Not those that cannot fail. */
static bool counts(long nr)
{
	return nr != SYS_exit && nr != SYS_exit_group && nr != SYS_rt_sigreturn && nr != SYS_restart_syscall;
}

static void on_call(struct tracee *t, bool first)
{
	struct user_regs_struct regs;
	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &regs) < 0)
		return;
	t->in_call = !t->in_call;
	if (t->in_call && counts((long)regs.orig_rax) && ++calls == victim) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)regs.orig_rax);
		fprintf(report, "failed %s %lld %s\n", name ? name : "?", (long long)regs.orig_rax,
			first ? "parent" : "child");
		fflush(report); /* for who looks after us when it hangs */
		free(name);
		if (killing) {
			kill(t->pid, SIGKILL);
			return;
		}
		t->failing = true;
		t->closing = regs.orig_rax == SYS_close;
		regs.orig_rax = (unsigned long long)-1;
		if (!t->closing)
			ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
	} else if (!t->in_call && t->failing) {
		regs.rax = (unsigned long long)(t->closing ? -EIO : -ENOMEM);
		ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
		t->failing = false;
	}
}

static bool runs_program(pid_t pid)
{
	char path[40];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &st) == 0 && st.st_ino == program.st_ino && st.st_dev == program.st_dev;
}

/* One stop of a tracee. */
static void step(pid_t pid, int status, bool first)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	struct tracee *t = find(pid);
	if (sig == (SIGTRAP | 0x80)) {
		on_call(t, first);
		sig = 0;
	} else if (event == PTRACE_EVENT_EXEC && !runs_program(pid)) {
		ptrace(PTRACE_DETACH, pid, NULL, 0);
		forget(pid);
		return;
	} else if (event) {
		unsigned long child;
		if (event != PTRACE_EVENT_EXEC && ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child) == 0)
			find((pid_t)child);
		sig = 0;
	} else if (sig == SIGSTOP) {
		sig = 0; /* how a new one begins */
	}
	ptrace(PTRACE_SYSCALL, pid, NULL, sig);
}

/* One may have ended before its maker's stop told of it. */
static bool still_there(pid_t pid)
{
	char path[40], line[100];
	int tracer = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	if (f)
		fclose(f);
	return tracer == getpid();
}

static int trace(pid_t pid)
{
	int status, result = 124;
	bool ended = false;
	while (!late && (!ended || (result && alive()))) {
		pid_t got = waitpid(-1, &status, __WALL);
		if (got < 0 && errno == ECHILD)
			break;
		if (got < 0)
			continue;
		if (WIFSTOPPED(status)) {
			step(got, status, got == pid);
			continue;
		}
		forget(got);
		if (got == pid) {
			ended = true;
			result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
			alarm(LEFT_WAIT_S);
		}
	}
	for (int i = 0; i < TRACEES_MAX; i++) {
		if (tracees[i].pid && (result || !ended) && still_there(tracees[i].pid))
			fprintf(report, "left %d\n", tracees[i].pid);
		if (tracees[i].pid && !ended)
			kill(tracees[i].pid, SIGKILL);
	}
	return result;
}

int main(int argc, char **argv)
{
	int status;
	char *path = getenv("FAULT_PROGRAM"), *to = getenv("FAULT_REPORT"), *n = getenv("FAULT_N"), **words = argv;
	bool stands_in = path && to && n; /* for the program: what we leave behind ends with us */
	if (!stands_in && argc >= 4) {
		to = argv[1];
		n = argv[2];
		path = argv[3];
		words = argv + 3;
	}
	if (!path || !to || !n || stat(path, &program) < 0 || !(report = fopen(to, "we"))) {
		fprintf(stderr, "usage: fault REPORT N PROGRAM [WORD…]\n");
		return 2;
	}
	killing = *n == '-';
	victim = labs(strtol(n, NULL, 10));
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(path, words);
		_exit(127);
	}
	int options = OPTIONS | (stands_in ? PTRACE_O_EXITKILL : 0);
	if (pid < 0 || waitpid(pid, &status, __WALL) != pid || ptrace(PTRACE_SETOPTIONS, pid, NULL, options) < 0)
		return 2;
	if (stands_in) /* its connection is its own */
		close(3);
	/* Calls count from the program's first one on. */
	ptrace(PTRACE_CONT, pid, NULL, 0);
	if (waitpid(pid, &status, __WALL) != pid || status >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8))
		return 2;
	find(pid);
	alarm(stands_in ? 3 * HANG_S : HANG_S);
	ptrace(PTRACE_SYSCALL, pid, NULL, 0);
	int result = trace(pid);
	fprintf(report, "calls %ld\n", calls);
	fclose(report);
	return result;
}
