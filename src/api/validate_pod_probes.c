/* SPDX-License-Identifier: Apache-2.0 */
/* Probes and lifecycle hooks. */
#include "api/meta.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

static void check_http(struct check *c, const char *at, const struct json *get)
{
	static const char *const schemes[] = {"HTTP", "HTTPS", NULL};

	need_in(c, at, get, "path");
	check_port_or_name(c, PATH(c, "%s.port", at), json_get(get, "port"));
	choice_in(c, at, get, "scheme", schemes);
	EACH_ITEM(h, json_get(get, "httpHeaders")) {
		const char *name = str_or(json_path_str(h, "name"), ""), *why = name_check_http_header(name);
		if (why)
			bad_invalid_str(c, PATH(c, "%s.httpHeaders", at), name, why);
	}
}

static void check_sleep(struct pod_check *p, const char *at, const struct json *sleep)
{
	const struct json *grace = json_get(p->spec, "terminationGracePeriodSeconds");
	int64_t seconds = json_path_int(sleep, "seconds", 0);

	if (grace && (seconds < 0 || seconds > json_int(grace, 0)))
		bad_invalid(p->c, at, json_new_int(&p->c->arena, seconds),
			    PATH(p->c, "must be non-negative and less than terminationGracePeriodSeconds (%lld)",
				 (long long)json_int(grace, 0)));
}

/* An action of a probe or lifecycle hook: exactly one. */
static void check_handler(struct pod_check *p, const char *at, const struct json *h)
{
	static const char *const kinds[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};
	struct check *c = p->c;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *k = json_get(h, kinds[i]);
		if (!k)
			continue;
		const char *kind_at = PATH(c, "%s.%s", at, kinds[i]);
		if (n++)
			bad_forbidden(c, kind_at, "may not specify more than 1 handler type");
		else if (i == 0 && !json_len(json_get(k, "command")))
			bad_required(c, PATH(c, "%s.command", kind_at), NULL);
		else if (i == 1)
			check_http(c, kind_at, k);
		else if (i == 2 || i == 3)
			check_port_or_name(c, PATH(c, "%s.port", kind_at), json_get(k, "port"));
		else if (i == 4)
			check_sleep(p, kind_at, k);
	}
	if (!n)
		bad_required(c, at, "must specify a handler type");
}

static void check_probe(struct pod_check *p, const char *at, const struct json *probe, bool readiness)
{
	static const char *const numbers[] = {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
					      "successThreshold", "failureThreshold"};
	const struct json *grace = json_get(probe, "terminationGracePeriodSeconds");
	struct check *c = p->c;

	check_handler(p, at, probe);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		min_in(c, at, probe, numbers[i], 0);
	if (grace && json_int(grace, 0) <= 0)
		bad_invalid(c, PATH(c, "%s.terminationGracePeriodSeconds", at), grace, "must be greater than 0");
	if (readiness && grace)
		bad_invalid(c, PATH(c, "%s.terminationGracePeriodSeconds", at), grace,
			    "must not be set for readinessProbes");
	if (!readiness && json_path_int(probe, "successThreshold", 1) != 1)
		bad_invalid(c, PATH(c, "%s.successThreshold", at), json_get(probe, "successThreshold"), "must be 1");
}

/* SIGRTMIN, SIGRTMIN+1 … SIGRTMIN+15, SIGRTMAX-14 … SIGRTMAX-1, SIGRTMAX */
static bool is_realtime_signal(const char *s)
{
	bool low = str_has_prefix(s, "SIGRTMIN");
	const char *tail = low ? str_after(s, "SIGRTMIN") : str_after(s, "SIGRTMAX");
	int64_t n;

	return tail && (!*tail || (*tail == (low ? '+' : '-') && parse_int_range(tail + 1, 1, low ? 15 : 14, &n) == 0));
}

static void check_stop_signal(struct pod_check *p, const char *at, const struct json *signal)
{
	static const char *const windows[] = {"SIGKILL", "SIGTERM", NULL};
	static const char *const posix[] = {
	    "SIGABRT", "SIGALRM",   "SIGBUS",  "SIGCHLD",   "SIGCLD",	"SIGCONT", "SIGFPE",  "SIGHUP",	 "SIGILL",
	    "SIGINT",  "SIGIO",	    "SIGIOT",  "SIGKILL",   "SIGPIPE",	"SIGPOLL", "SIGPROF", "SIGPWR",	 "SIGQUIT",
	    "SIGSEGV", "SIGSTKFLT", "SIGSTOP", "SIGSYS",    "SIGTERM",	"SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU",
	    "SIGURG",  "SIGUSR1",   "SIGUSR2", "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ", NULL};
	const char *os = str_or(json_path_str(p->spec, "os.name"), ""), *name = str_or(json_str(signal), "");

	if (!*os)
		bad_forbidden(p->c, at, "may not be set for containers with empty `spec.os.name`");
	else if (str_eq(os, "windows") && !str_in(name, windows))
		bad_unsupported(p->c, at, name, windows);
	else if (!str_in(name, posix) && !is_realtime_signal(name))
		bad_unsupported(p->c, at, name, posix);
}

static void check_lifecycle(struct pod_check *p, const char *at, const struct json *hooks)
{
	struct check *c = p->c;

	if (json_get(hooks, "postStart"))
		check_handler(p, PATH(c, "%s.postStart", at), json_get(hooks, "postStart"));
	if (json_get(hooks, "preStop"))
		check_handler(p, PATH(c, "%s.preStop", at), json_get(hooks, "preStop"));
	if (!str_empty(json_path_str(hooks, "stopSignal")))
		check_stop_signal(p, PATH(c, "%s.stopSignal", at), json_get(hooks, "stopSignal"));
}

void check_probes(struct pod_check *p, const char *at, const struct json *container)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};

	if (json_get(container, "lifecycle"))
		check_lifecycle(p, PATH(p->c, "%s.lifecycle", at), json_get(container, "lifecycle"));
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		if (json_get(container, probes[i]))
			check_probe(p, PATH(p->c, "%s.%s", at, probes[i]), json_get(container, probes[i]), i == 1);
}
