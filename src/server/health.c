/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /healthz, /livez and /readyz: checks by name, as upstream has them (KEP-1753). /readyz/NAME asks one; ?exclude=NAME,
 * any number of times, leaves some out; ?verbose tells them all, and so does a failure.
 */
#include "base/buf.h"
#include "base/str.h"
#include "server/health.h"
#include "server/server_internal.h"
#include "store/store.h"

static const char *check_start(struct server *s)
{
	return s->ready || s->draining ? NULL : "not finished";
}

static const char *check_shutdown(struct server *s)
{
	return s->draining ? "process is shutting down" : NULL;
}

/* A disk that doesn't answer may do so after a restart; one that is full will not, and its readers are served. */
static const char *check_stalled(struct server *s)
{
	return store_health(s->store) == STORE_STALLED ? "a commit does not end" : NULL;
}

static const char *check_commits(struct server *s)
{
	return store_health(s->store) != STORE_WORKS ? "the last commit failed" : NULL;
}

static const struct {
	const char *name;
	const char *(*check)(struct server *s); /* NULL: that we answer is the proof */
	bool readyz_only;
} builtin[] = {
    {"ping", NULL, false},
    {"log", NULL, false},
    {"etcd", check_stalled, false},
    {"etcd-readiness", check_commits, true},
    {"informer-sync", check_start, true},
    {"poststarthook/rbac/bootstrap-roles", check_start, false},
    {"poststarthook/scheduling/bootstrap-system-priority-classes", check_start, false},
    {"poststarthook/priority-and-fairness-config-producer", check_start, false},
    {"poststarthook/start-system-namespaces-controller", check_start, false},
    {"shutdown", check_shutdown, true},
};

struct answer {
	struct buf text;
	const char *only; /* "": all */
	const struct query *query;
	bool found, failed;
	bool used[QUERY_PARAMS_MAX]; /* excludes that named a check */
};

static bool excluded(struct answer *a, const char *name)
{
	bool found = false;
	for (size_t i = 0; i < a->query->n; i++) {
		const struct query_param *p = &a->query->params[i];
		if (str_eq(p->name, "exclude") && str_eq(p->value, name))
			found = a->used[i] = true;
	}
	return found;
}

static void judge(struct answer *a, const char *name, const char *why)
{
	if (*a->only && !str_eq(a->only, name))
		return;
	a->found = true;
	if (excluded(a, name)) {
		buf_addf(&a->text, "[+]%s excluded: ok\n", name);
		return;
	}
	a->failed |= why != NULL;
	buf_addf(&a->text, why ? "[-]%s failed: reason withheld\n" : "[+]%s ok\n", name);
}

static void warn_unused(struct answer *a)
{
	for (size_t i = 0; i < a->query->n; i++) {
		const struct query_param *p = &a->query->params[i];
		if (str_eq(p->name, "exclude") && !a->used[i])
			buf_addf(&a->text, "warn: some health checks cannot be excluded: no matches for \"%s\"\n",
				 p->value);
	}
}

bool handle_health(struct request *r, const char *endpoint, const char *rest)
{
	struct server *s = r->server;
	struct answer a = {.text = BUF_INIT, .only = *rest == '/' ? rest + 1 : "", .query = &r->query};
	bool readyz = str_eq(endpoint, "readyz");
	if (*rest && *rest != '/')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(builtin); i++)
		if (readyz || !builtin[i].readyz_only)
			judge(&a, builtin[i].name, builtin[i].check ? builtin[i].check(s) : NULL);
	VEC_EACH(c, &s->checks)
		judge(&a, c->name, c->check(c->arg));
	if (*a.only && !a.found) {
		buf_release(&a.text);
		return false;
	}
	if (!*a.only)
		warn_unused(&a);
	buf_addf(&a.text, "%s check %s\n", endpoint, a.failed ? "failed" : "passed");
	bool all = a.failed || query_get(&r->query, "verbose");
	reply_text(r, a.failed ? 500 : 200, all ? buf_str(&a.text) : "ok");
	buf_release(&a.text);
	return true;
}
