/* SPDX-License-Identifier: Apache-2.0 */
#include "server/rbac_install.h"

#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/auth.h"
#include "server/rbac_bootstrap.h"
#include "server/registry.h"

struct install {
	struct registry *registry;
	struct arena arena; /* the objects and everything their writes build */
	struct user *user;
	struct loop_defer *finish;
	size_t pending;
	struct status first_error;
	void (*done)(void *arg, const struct status *err);
	void *arg;
};

static void finish(void *arg)
{
	struct install *i = arg;

	i->done(i->arg, status_failed(&i->first_error) ? &i->first_error : NULL);
	loop_defer_free(i->finish);
	status_release(&i->first_error);
	arena_release(&i->arena);
	free(i);
}

static void release(struct install *i)
{
	if (--i->pending == 0)
		loop_defer_schedule(i->finish);
}

static void written(void *arg, const struct status *err, const struct write_result *result)
{
	struct install *i = arg;

	(void)result;
	if (err && !status_failed(&i->first_error))
		status_copy(&i->first_error, err);
	release(i);
}

static bool contains(const struct json *array, const struct json *value)
{
	JSON_EACH(x, array)
		if (json_equal(x, value))
			return true;
	return false;
}

/* Appends what wanted has more. Names and API groups of subjects are defaulted alike, so equality is enough. */
static bool add_missing(struct arena *a, struct json *object, const struct json *wanted, const char *member)
{
	bool changed = false;

	JSON_EACH(x, json_get(wanted, member)) {
		if (contains(json_get(object, member), x))
			continue;
		json_append(json_array_in(a, object, member), json_clone(a, x));
		changed = true;
	}
	return changed;
}

static void install_one(void *arg, const char *plural, const char *ns, struct json *object)
{
	struct install *i = arg;
	const struct resource *row = resource_by_plural("rbac.authorization.k8s.io", plural);
	_cleanup_status_ struct status missing = STATUS_INIT;
	struct write_request w = {.verb = WRITE_CREATE,
				  .resource = row,
				  .ns = ns,
				  .name = meta_name(object),
				  .body = object,
				  .user = i->user,
				  .field_manager = "proa",
				  .arena = &i->arena,
				  .done = written,
				  .arg = i};

	const struct object *live = registry_get(i->registry, row, ns, meta_name(object), &missing);
	if (live) {
		w.verb = WRITE_UPDATE;
		w.body = object_tree(live, &i->arena);
		if (str_eq(meta_annotation(w.body, "rbac.authorization.kubernetes.io/autoupdate"), "false"))
			return;
		/* What an aggregated role allows follows from the labels of others: not ours to complete here. */
		bool changed = !json_get(w.body, "aggregationRule") && add_missing(&i->arena, w.body, object, "rules");
		changed |= add_missing(&i->arena, w.body, object, "subjects");
		if (!changed)
			return;
	}
	i->pending++;
	registry_write(i->registry, &w);
}

void rbac_install(struct registry *r, void (*done)(void *arg, const struct status *err), void *arg)
{
	struct install *i = NEW(struct install);

	i->registry = r;
	i->done = done;
	i->arg = arg;
	i->finish = loop_defer_new(registry_loop(r), finish, i);
	i->user = user_new(&i->arena, "system:apiserver", GROUP_MASTERS, GROUP_AUTHENTICATED, NULL);
	i->pending = 1; /* ours, so that finishing waits until all were started */
	rbac_bootstrap_each(&i->arena, install_one, i);
	release(i);
}
